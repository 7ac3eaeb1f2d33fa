//! Header hygiene: one reading of the header section, whoever reads it.

use crate::byte_set::ByteSet;
use crate::document::HeaderLimits;
use crate::problem::{Reason, Refusal};

/// A header field as proxies hand it over: the name in lower case, the value in bytes. Pseudo-header
/// fields (`:method`, `:path`, `:authority`, `:scheme`) come as in HTTP/2 (RFC 9113 §8.3.1).
///
/// Borrowed from what the runtime holds: nothing is copied to look at it.
pub type Header<'a> = (&'a str, &'a [u8]);

/// Fields that are there once or not at all. Two of them, and two readers may see two requests.
const SINGULAR: [&str; 10] = [
    ":method",
    ":path",
    ":authority",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
    "transfer-encoding",
];

/// Fields that Portcullis sets. What a client may set, a client may forge: they are removed from
/// every request first.
const RESERVED: [&str; 3] = ["content-digest", "signature", "signature-input"];

/// What all of Portcullis's own fields begin with.
const RESERVED_PREFIX: &str = "portcullis-";

/// Fields by which some frameworks take another method or path than those that were judged.
const OVERRIDES: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Fields by which proxies tell whence a request came, beside `x-forwarded-for` and `x-forwarded-proto`, which every host of
/// the policy writes itself. Where no proxy in front is trusted a client has made them up, and frameworks make links of them,
/// choose tenants and let in by them: they go no further.
pub const TOLD_BY_PROXIES: [&str; 12] = [
    "forwarded",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
];

/// Whether a field is one that only Portcullis may set. Some upstreams read `portcullis_principal` as
/// `portcullis-principal`, so an underscore counts as a hyphen.
pub fn is_reserved(name: &str) -> bool {
    let begins = name.as_bytes().get(..RESERVED_PREFIX.len());
    begins.is_some_and(|begins| is_same_folded(begins, RESERVED_PREFIX.as_bytes()))
        || RESERVED.iter().any(|reserved| is_same_folded(name.as_bytes(), reserved.as_bytes()))
}

/// Whether some upstream takes another method or path from a field of this name than those that were judged.
pub(crate) fn is_override(name: &str) -> bool {
    OVERRIDES.iter().any(|field| is_same_folded(name.as_bytes(), field.as_bytes()))
}

/// Whether a name is `folded`, which is folded already, to the most lenient upstream.
fn is_same_folded(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len()
        && name.iter().zip(folded).all(|(byte, folded)| fold(*byte) == *folded)
}

fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// A name as the most lenient upstream reads it.
pub(crate) fn folded(name: &str) -> String {
    name.replace('_', "-").to_ascii_lowercase()
}

/// Whether a field says how a request is to be read, whence it came or who is calling: no claim is written to it.
pub(crate) fn has_meaning(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "accept",
        "authorization",
        "connection",
        "cookie",
        "dpop",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    const PREFIXES: [&str; 6] = [":", "accept-", "content-", "x-envoy-", "x-forwarded-", "x-b3-"];
    let name = folded(name);
    NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    const TOKEN: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !text.is_empty() && TOKEN.holds_all(text.as_bytes())
}

/// The value of a field, if it is there.
pub(crate) fn single<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

/// What the header section must be like.
#[derive(Debug, Clone)]
pub(crate) struct HeaderRules {
    limits: HeaderLimits,
    /// Singular fields beside the standard ones: those that carry credentials.
    singular: Vec<String>,
    /// Fields that are made of claims, as the most lenient upstream reads their names.
    claim_fields: Vec<String>,
}

impl HeaderRules {
    /// `singular` are further fields that may be there once, `claim_fields` those that clients may not send.
    pub(crate) fn new(limits: HeaderLimits, singular: &[&str], claim_fields: &[&str]) -> Self {
        let further = singular.iter().filter(|name| !SINGULAR.contains(name));
        Self {
            limits,
            singular: further.map(|name| (*name).to_owned()).collect(),
            claim_fields: claim_fields.iter().map(|name| folded(name)).collect(),
        }
    }

    /// Whether a field is one that clients may not send under this policy: that only Portcullis may set, or that would have an
    /// upstream read something else than was judged.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        is_reserved(name)
            || self.is_claim_field(name)
            || is_override(name)
            || self.is_disguised(name)
    }

    /// Whether a field is, to an upstream that takes an underscore for a hyphen, another one that says how the request is to be
    /// read, whence it came or who is calling.
    fn is_disguised(&self, name: &str) -> bool {
        let is_other = |field: &str| {
            name != field && is_same_folded(name.as_bytes(), folded(field).as_bytes())
        };
        name.contains('_')
            && (has_meaning(name) || self.singular.iter().any(|field| is_other(field)))
            && !self.singular.iter().any(|field| field == name)
    }

    /// Whether a field is made of claims under this policy.
    pub(crate) fn is_claim_field(&self, name: &str) -> bool {
        self.claim_fields.iter().any(|field| is_same_folded(name.as_bytes(), field.as_bytes()))
    }

    pub(crate) fn check(&self, headers: &[Header<'_>]) -> Result<(), Refusal> {
        self.check_size(headers)?;
        // A bit for each field that may be there once.
        let mut seen = 0_u64;
        for (name, value) in headers {
            check_name(name)?;
            check_value(name, value)?;
            let Some(place) = self.place_of_singular(name) else { continue };
            let bit = 1_u64.checked_shl(place).unwrap_or(u64::MAX);
            // Some proxies, Envoy among them, join two fields of a name into one with a comma before we see them.
            let is_joined = !name.starts_with(':') && value.contains(&b',');
            if seen & bit != 0 || is_joined {
                return Err(conflict(name, "this field once, with one value"));
            }
            seen |= bit;
        }
        check_framing(headers)?;
        check_host(headers)
    }

    fn place_of_singular(&self, name: &str) -> Option<u32> {
        let standard = SINGULAR.iter().copied();
        let place = standard
            .chain(self.singular.iter().map(String::as_str))
            .position(|other| other == name);
        place.and_then(|place| u32::try_from(place).ok())
    }

    fn check_size(&self, headers: &[Header<'_>]) -> Result<(), Refusal> {
        let HeaderLimits { max_count, max_bytes } = self.limits;
        let bytes = headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        let bytes = bytes.fold(0, usize::saturating_add);
        if headers.len() > max_count as usize || bytes > max_bytes as usize {
            let detail =
                format!("Send at most {max_count} header fields of {max_bytes} bytes in all.");
            return Err(Refusal::new(Reason::HeadersTooLarge, detail));
        }
        Ok(())
    }
}

/// RFC 9110 §5.6.2: a token; pseudo-header fields begin with a colon.
fn check_name(name: &str) -> Result<(), Refusal> {
    if is_token(name.strip_prefix(':').unwrap_or(name)) {
        return Ok(());
    }
    // The name itself is not repeated: it may hold anything.
    Err(invalid("a header field name", "letters, digits and hyphens (RFC 9110 §5.6.2)"))
}

/// RFC 9110 §5.5, without obs-text that is not UTF-8: nobody agrees on what that means.
fn check_value(name: &str, value: &[u8]) -> Result<(), Refusal> {
    // Without a branch for each byte: most values are plain, and some are long.
    let (mut control, mut beyond_ascii) = (false, false);
    for byte in value {
        control |= (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
        beyond_ascii |= *byte >= 0x80;
    }
    if control || (beyond_ascii && std::str::from_utf8(value).is_err()) {
        return Err(invalid(name, "UTF-8 text without control characters"));
    }
    Ok(())
}

/// RFC 9112 §6: one length for the body, or request smuggling.
fn check_framing(headers: &[Header<'_>]) -> Result<(), Refusal> {
    let length = single(headers, "content-length");
    let coding = single(headers, "transfer-encoding");
    if let Some(length) = length {
        let digits =
            !length.is_empty() && length.len() <= 19 && length.iter().all(u8::is_ascii_digit);
        if !digits {
            return Err(invalid("content-length", "a decimal number of bytes"));
        }
        if coding.is_some() {
            return Err(conflict("content-length", "either content-length or transfer-encoding"));
        }
    }
    match coding {
        Some(coding) if !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(invalid("transfer-encoding", "chunked"))
        }
        _ => Ok(()),
    }
}

/// RFC 9113 §8.3.1: `host` must not say another thing than `:authority`.
fn check_host(headers: &[Header<'_>]) -> Result<(), Refusal> {
    match (single(headers, ":authority"), single(headers, "host")) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(conflict("host", "the same host as in the request target"))
        }
        _ => Ok(()),
    }
}

fn invalid(name: &str, expected: &str) -> Refusal {
    let detail = "Send this header field as its specification says.";
    Refusal::new(Reason::HeaderInvalid, detail).finding(name, expected)
}

fn conflict(name: &str, expected: &str) -> Refusal {
    let detail = "Send only one of the contradicting header fields.";
    Refusal::new(Reason::HeaderConflict, detail).finding(name, expected)
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
