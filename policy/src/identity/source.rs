//! Where credentials stand in a request, and how they are taken out of it.

use std::borrow::Cow;

use crate::access::{Header, Target, is_token, split_at_first};
use crate::byte_set::ByteSet;
use crate::document::CredentialSource;
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// The most places that are looked at for one kind of credential.
const MAXIMUM_SOURCES: usize = 8;

/// The longest query and the longest Cookie field in which a credential is looked for, in bytes.
const MAXIMUM_SEARCHED_BYTES: usize = 64 * 1024;

/// A place where a credential may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    place: Place,
    forward: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The name in lower case, and the word before the credential.
    Header(String, Option<String>),
    Query(String),
    Cookie(String),
}

/// A credential as it stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether it was presented with the scheme of RFC 9449 §7.1.
    pub(crate) is_dpop: bool,
    /// The header field, or what kind of place it was, for findings.
    pub(crate) at: &'a str,
}

impl Source {
    pub(crate) fn compile_all(
        sections: &[CredentialSource],
        field: &str,
    ) -> Result<Vec<Self>, CompileError> {
        if !(1..=MAXIMUM_SOURCES).contains(&sections.len()) {
            let message = format!("expected 1 to {MAXIMUM_SOURCES} places");
            return Err(CompileError::new(field, message));
        }
        let mut sources: Vec<Self> = Vec::with_capacity(sections.len());
        for (index, section) in sections.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let source = Self::compile(section, &field)?;
            if sources.iter().any(|other| other.is_same_place(&source)) {
                return Err(CompileError::new(field, "expected a place that is not listed before"));
            }
            sources.push(source);
        }
        Ok(sources)
    }

    fn compile(section: &CredentialSource, field: &str) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| Err(CompileError::new(format!("{field}.{name}"), message));
        if section.header.is_none() && section.prefix.is_some() {
            return error("prefix", "expected it only beside `header`");
        }
        let place = match (&section.header, &section.query, &section.cookie) {
            (Some(name), None, None) => {
                let name = name.to_ascii_lowercase();
                let structural = [
                    "host",
                    "cookie",
                    "content-type",
                    "content-length",
                    "transfer-encoding",
                    "te",
                    "connection",
                ];
                if !is_token(&name) || structural.contains(&name.as_str()) {
                    return error(
                        "header",
                        "expected the name of a field for credentials, such as x-api-key",
                    );
                }
                let prefix = match &section.prefix {
                    Some(prefix) if !is_token(prefix) => {
                        return error("prefix", "expected a word such as Bearer (RFC 9110 §11.1)");
                    }
                    Some(prefix) => Some(prefix.clone()),
                    None => (name == "authorization").then(|| BEARER.to_owned()),
                };
                Place::Header(name, prefix)
            }
            (None, Some(name), None) if is_plain(name) => Place::Query(name.clone()),
            (None, Some(_), None) => {
                return error("query", "expected letters, digits, hyphens, underscores and dots");
            }
            (None, None, Some(name)) if is_token(name) => Place::Cookie(name.clone()),
            (None, None, Some(_)) => {
                return error("cookie", "expected the name of a cookie (RFC 6265 §4.1.1)");
            }
            _ => {
                let message = "expected one of `header`, `query` and `cookie`";
                return Err(CompileError::new(field, message));
            }
        };
        Ok(Self { place, forward: section.forward })
    }

    /// The header field that may be there only once because of this source.
    pub(crate) fn header(&self) -> Option<&str> {
        match &self.place {
            Place::Header(name, _) => Some(name),
            Place::Query(_) | Place::Cookie(_) => None,
        }
    }

    /// Whether a token may stand here as RFC 9449 §7.1 has it.
    pub(crate) fn takes_dpop(&self) -> bool {
        matches!(&self.place, Place::Header(name, Some(_)) if name == "authorization")
    }

    /// Whether the upstream sees what stands here.
    pub(crate) fn forwards(&self) -> bool {
        self.forward
    }

    /// Whether what stands here stands where the other one looks too.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Header(name, prefix), Place::Header(other_name, other_prefix)) => {
                let lower = |prefix: &Option<String>| {
                    prefix.as_ref().map(|prefix| prefix.to_ascii_lowercase())
                };
                name == other_name && lower(prefix) == lower(other_prefix)
            }
            (place, other) => place == other,
        }
    }

    /// How a client is told to present the credential.
    pub(crate) fn describe(&self) -> String {
        match &self.place {
            Place::Header(name, Some(prefix)) => format!("in the {name} field after `{prefix}`"),
            Place::Header(name, None) => format!("in the {name} field"),
            Place::Query(name) => format!("as query parameter {name}"),
            Place::Cookie(name) => format!("as cookie {name}"),
        }
    }

    /// What stands here, if it is of the scheme that is expected here. `takes_dpop` says whether tokens may be presented
    /// as RFC 9449 has it.
    pub(crate) fn find<'a>(
        &'a self,
        headers: &'a [Header<'a>],
        target: &'a Target,
        takes_dpop: bool,
    ) -> Result<Option<Found<'a>>, Refusal> {
        match &self.place {
            Place::Header(name, prefix) => {
                let Some(value) = once(headers, name)? else { return Ok(None) };
                let text = std::str::from_utf8(value).map_err(|_| self.malformed())?;
                let (is_dpop, text) = match prefix {
                    None => (false, text),
                    Some(prefix) => {
                        let (scheme, text) =
                            split_at_first(text, b' ').ok_or_else(|| self.malformed())?;
                        let is_dpop =
                            takes_dpop && self.takes_dpop() && scheme.eq_ignore_ascii_case(DPOP);
                        if !is_dpop && !scheme.eq_ignore_ascii_case(prefix) {
                            return Ok(None);
                        }
                        (is_dpop, text.trim_start_matches(' '))
                    }
                };
                if !is_credential(text) {
                    return Err(self.malformed());
                }
                Ok(Some(Found { text: text.into(), is_dpop, at: name }))
            }
            Place::Query(name) => {
                let query = target.query.as_deref().unwrap_or_default();
                let mut values =
                    parameters(query)?.filter(|(key, _)| key == name).map(|(_, value)| value);
                let (found, second) = (values.next(), values.next());
                one(found, second.is_some(), "query")
            }
            Place::Cookie(name) => {
                let mut values =
                    cookies(headers)?.filter(|(key, _)| *key == name).map(|(_, value)| value);
                let (found, second) = (values.next(), values.next());
                // RFC 6265 §4.1.1: a value may stand in quotes.
                let found = found.map(|value| value.trim_matches('"'));
                one(found.map(Cow::Borrowed), second.is_some(), "cookie")
            }
        }
    }

    /// The refusal of what is no credential.
    pub(crate) fn malformed(&self) -> Refusal {
        match &self.place {
            Place::Header(name, prefix) => malformed(name, prefix.as_deref()),
            Place::Query(_) => malformed("query", None),
            Place::Cookie(_) => malformed("cookie", None),
        }
    }
}

/// The edits by which credentials are hidden from the upstream. The query is changed in `target`.
pub(crate) fn hide<'a>(
    sources: impl Iterator<Item = &'a Source>,
    headers: &[Header<'_>],
    target: &mut Target,
) -> Vec<HeaderEdit> {
    let mut edits = Vec::new();
    let mut hidden_cookies: Vec<&str> = Vec::new();
    for source in sources.filter(|source| !source.forward) {
        match &source.place {
            Place::Header(name, _) => {
                let edit = HeaderEdit::Remove(name.clone());
                if headers.iter().any(|(other, _)| other == name) && !edits.contains(&edit) {
                    edits.push(edit);
                }
            }
            Place::Query(name) => target.remove_parameter(name),
            Place::Cookie(name) => hidden_cookies.push(name),
        }
    }
    if !hidden_cookies.is_empty() {
        edits.extend(without_cookies(headers, &hidden_cookies));
    }
    edits
}

fn without_cookies(headers: &[Header<'_>], hidden: &[&str]) -> Option<HeaderEdit> {
    let pairs: Vec<(&str, &str)> = cookies(headers).ok()?.collect();
    let left: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| !hidden.contains(name))
        .map(
            |(name, value)| {
                if name.is_empty() { (*value).to_owned() } else { format!("{name}={value}") }
            },
        )
        .collect();
    if left.len() == pairs.len() {
        return None;
    }
    Some(match left.is_empty() {
        true => HeaderEdit::Remove("cookie".to_owned()),
        false => HeaderEdit::Set("cookie".to_owned(), left.join("; ")),
    })
}

const BEARER: &str = "Bearer";

/// RFC 9449 §7.1.
const DPOP: &str = "DPoP";

/// The value of a field. Two of a name, and who is calling depends on who reads which.
fn once<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value);
    let found = values.next();
    match values.next() {
        None => Ok(found),
        Some(_) => Err(conflict(name)),
    }
}

fn one<'a>(
    found: Option<Cow<'a, str>>,
    more: bool,
    at: &'static str,
) -> Result<Option<Found<'a>>, Refusal> {
    match found {
        _ if more => Err(conflict(at)),
        Some(text) if is_credential(&text) => Ok(Some(Found { text, is_dpop: false, at })),
        Some(_) => Err(malformed(at, None)),
        None => Ok(None),
    }
}

fn conflict(at: &str) -> Refusal {
    Refusal::new(Reason::CredentialConflict, "Present one credential.").finding(at, "this once")
}

fn malformed(at: &str, prefix: Option<&str>) -> Refusal {
    let (detail, expected) = match prefix {
        Some(prefix) => (
            format!("Write `{prefix}`, a space and the credential."),
            format!("{prefix} CREDENTIAL (RFC 9110 §11.4)"),
        ),
        None => ("Write the credential and nothing else.".to_owned(), "a credential".to_owned()),
    };
    Refusal::new(Reason::CredentialMalformed, detail).finding(at, expected)
}

/// RFC 9110 §11.2: a token68, which JSON Web Tokens and API keys are.
fn is_credential(text: &str) -> bool {
    const CREDENTIAL: ByteSet = ByteSet::alphanumeric_and(b"-._~+/=");
    !text.is_empty() && CREDENTIAL.holds_all(text.as_bytes())
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

/// The parameters of a query as upstreams read them (WHATWG URL, application/x-www-form-urlencoded).
fn parameters(query: &str) -> Result<impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)>, Refusal> {
    if query.len() > MAXIMUM_SEARCHED_BYTES {
        return Err(too_long("query"));
    }
    Ok(form_urlencoded::parse(query.as_bytes()))
}

/// The cookies of all Cookie fields (RFC 6265 §5.4; RFC 9113 §8.2.3 lets a client split it).
fn cookies<'a>(
    headers: &'a [Header<'a>],
) -> Result<impl Iterator<Item = (&'a str, &'a str)>, Refusal> {
    let fields = || headers.iter().filter(|(name, _)| *name == "cookie");
    if fields().any(|(_, value)| value.len() > MAXIMUM_SEARCHED_BYTES) {
        return Err(too_long("cookie"));
    }
    Ok(fields()
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(';'))
        // A cookie without a name, whose value is another, is that one once an equals sign gets lost: browsers lose it.
        .map(|pair| pair.trim_start_matches(|c: char| c == '=' || c.is_whitespace()).trim_end())
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or(("", pair)))
        .map(|(name, value)| (name.trim(), value.trim())))
}

fn too_long(at: &str) -> Refusal {
    Refusal::new(Reason::CredentialMalformed, "Present the credential in a header field.")
        .finding(at, format!("at most {MAXIMUM_SEARCHED_BYTES} bytes"))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
