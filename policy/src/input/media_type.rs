//! Media types (RFC 9110 §8.3.1), as far as they can be inspected.

/// How a body of a type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Form,
    /// Its boundary is not looked at here.
    Multipart,
    Text,
    /// Encrypted for somebody behind the gate: only its form can be looked at.
    Jose,
}

/// A media type without parameters, in lower case.
#[derive(Debug, Clone)]
pub(super) struct MediaType {
    name: String,
    pub(super) kind: Kind,
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl MediaType {
    /// What there is to choose from where any that can be inspected is taken.
    pub(super) const INSPECTED: [&str; 4] = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain",
    ];

    /// `None` for types that cannot be inspected, and for any charset but UTF-8, which would make the upstream
    /// read another text than the gate.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        for parameter in parts {
            let (attribute, value) = parameter.split_once('=')?;
            let value = value.trim_matches('"');
            if attribute.eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
                return None;
            }
        }
        let (kind, subtype) = name.split_once('/')?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        if subtype.is_empty() || !subtype.bytes().all(is_name_byte) {
            return None;
        }
        let kind = match (kind, subtype) {
            ("application", "json") => Kind::Json,
            ("application", subtype) if subtype.ends_with("+json") => Kind::Json,
            ("application", "x-www-form-urlencoded") => Kind::Form,
            ("multipart", "form-data") => Kind::Multipart,
            ("text", "plain") => Kind::Text,
            ("application", "jose") => Kind::Jose,
            _ => return None,
        };
        Some(Self { name, kind })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }
}
