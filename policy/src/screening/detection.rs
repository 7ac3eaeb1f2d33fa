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
    /// A secret marker of the system's instructions (OWASP LLM07).
    Canary,
}
