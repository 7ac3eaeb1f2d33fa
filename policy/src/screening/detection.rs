//! What was found in a text, and where.

use std::ops::Range;

/// Something found in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// What it is.
    pub kind: Kind,
    /// The rule that found it: a stable name for operators, such as `libinjection` or `luhn`.
    pub rule: &'static str,
    /// Where it is, in bytes of the text as it was given, on character boundaries.
    pub range: Range<usize>,
    /// How sure it is, from 0 to 1. Not a probability unless the rule says so.
    pub score: f32,
}

/// What can be found. The names are those of OWASP and of the field.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    // Attacks on programs (CAPEC and CWE have the same names).
    /// CWE-89.
    SqlInjection,
    /// Cross-site scripting, CWE-79.
    Xss,
    /// CWE-78.
    CommandInjection,
    /// Code for an interpreter: PHP, Java, JavaScript, Python; serialised objects. CWE-94 and CWE-502.
    CodeInjection,
    /// Path traversal and inclusion of local files, CWE-22 and CWE-98.
    FileInclusion,
    /// Inclusion of remote files, CWE-98.
    RemoteFileInclusion,
    /// Server-side template injection, CWE-1336, and expression languages, CWE-917.
    TemplateInjection,
    /// CWE-943.
    NosqlInjection,
    /// CWE-90.
    LdapInjection,
    /// CWE-643.
    XpathInjection,
    /// XML external entities, CWE-611.
    Xxe,
    /// Server-side includes, CWE-97.
    ServerSideInclude,
    /// Server-side request forgery, CWE-918.
    Ssrf,
    /// Injection of lines into header sections and logs, CWE-93.
    CrlfInjection,

    // Attacks on models.
    /// OWASP LLM01: instructions that would replace the operator's, and jailbreaks.
    PromptInjection,

    // Personal data and secrets.
    /// An e-mail address.
    EmailAddress,
    /// A telephone number.
    PhoneNumber,
    /// The number of a payment card (ISO/IEC 7812).
    PaymentCard,
    /// An international bank account number (ISO 13616).
    Iban,
    /// A United States social security number.
    UsSsn,
    /// Another national identity or tax number.
    NationalId,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// A MAC address.
    MacAddress,
    /// An address of a cryptocurrency.
    CryptoAddress,
    /// A URL with a user's name or password in it.
    CredentialUrl,
    /// An API key, token or password.
    Secret,
    /// A private key.
    PrivateKey,
    /// A line of a stack trace, or the error message of a database: what a program says of itself, CWE-209.
    StackTrace,
    /// A secret marker of the system's instructions (OWASP LLM07).
    Canary,

    // Files.
    /// What a file says beside what it shows: where it was made, when, with what. It is taken out.
    FileMetadata,
    /// The address of a file in place of the file.
    FileAddress,
    /// What scanners of viruses find.
    Malware,
}

impl Kind {
    /// Whether it is an attack on a program.
    pub(crate) fn is_attack(self) -> bool {
        self <= Self::CrlfInjection
    }

    /// Its name in policies, records and header fields.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SqlInjection => "sql_injection",
            Self::Xss => "xss",
            Self::CommandInjection => "command_injection",
            Self::CodeInjection => "code_injection",
            Self::FileInclusion => "file_inclusion",
            Self::RemoteFileInclusion => "remote_file_inclusion",
            Self::TemplateInjection => "template_injection",
            Self::NosqlInjection => "nosql_injection",
            Self::LdapInjection => "ldap_injection",
            Self::XpathInjection => "xpath_injection",
            Self::Xxe => "xxe",
            Self::ServerSideInclude => "server_side_include",
            Self::Ssrf => "ssrf",
            Self::CrlfInjection => "crlf_injection",
            Self::PromptInjection => "prompt_injection",
            Self::EmailAddress => "email_address",
            Self::PhoneNumber => "phone_number",
            Self::PaymentCard => "payment_card",
            Self::Iban => "iban",
            Self::UsSsn => "us_ssn",
            Self::NationalId => "national_id",
            Self::IpAddress => "ip_address",
            Self::MacAddress => "mac_address",
            Self::CryptoAddress => "crypto_address",
            Self::CredentialUrl => "credential_url",
            Self::Secret => "secret",
            Self::PrivateKey => "private_key",
            Self::StackTrace => "stack_trace",
            Self::Canary => "canary",
            Self::FileMetadata => "file_metadata",
            Self::FileAddress => "file_address",
            Self::Malware => "malware",
        }
    }
}
