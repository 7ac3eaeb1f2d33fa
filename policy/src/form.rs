//! Forms (application/x-www-form-urlencoded), read strictly: what two parsers could read differently is refused.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

/// The parameters of a form, in order, each name once but those that may be there again. Values may be secrets and are wiped when
/// dropped.
pub struct Form(Vec<(String, Zeroizing<String>)>);

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// Not NAME=VALUE with ampersands between, or an encoding that is broken or not of UTF-8.
    #[error(
        "names and values in the form NAME=VALUE&NAME=VALUE, percent-encoded (a semicolon is %3B), in UTF-8"
    )]
    Malformed,
    /// A name is there twice.
    #[error("each name once")]
    Repeated,
    /// More parameters than are allowed.
    #[error("fewer names")]
    TooMany,
}

impl Form {
    /// Reads a form of at most `max_parameters`. An empty body is a form without any.
    pub fn parse(body: &[u8], max_parameters: usize) -> Result<Self, FormError> {
        Self::parse_lists(body, max_parameters, |_| false)
    }

    /// The same, where those names may be there several times that `is_list` says are lists: once decoded, in one spelling.
    pub fn parse_lists(
        body: &[u8],
        max_parameters: usize,
        is_list: impl Fn(&str) -> bool,
    ) -> Result<Self, FormError> {
        let mut parameters = Vec::new();
        let mut names = BTreeSet::new();
        if body.is_empty() {
            return Ok(Self(parameters));
        }
        // A separator for some: Rack 2, and Go and Python of before 2021. Whoever means one in a value escapes it.
        if body.contains(&b';') {
            return Err(FormError::Malformed);
        }
        for pair in body.split(|byte| *byte == b'&') {
            let equals = pair.iter().position(|byte| *byte == b'=').ok_or(FormError::Malformed)?;
            let (name, value) = pair.split_at_checked(equals).ok_or(FormError::Malformed)?;
            let value = value.strip_prefix(b"=").ok_or(FormError::Malformed)?;
            let name = decode(name).filter(|name| !name.is_empty()).ok_or(FormError::Malformed)?;
            let value = decode(value).ok_or(FormError::Malformed)?;
            // By the decoded name: `sc%6Fpe` is `scope`.
            if !names.insert(name.as_str().to_owned()) && !is_list(&name) {
                return Err(FormError::Repeated);
            }
            if parameters.len() >= max_parameters {
                return Err(FormError::TooMany);
            }
            parameters.push((name.as_str().to_owned(), value));
        }
        Ok(Self(parameters))
    }

    /// A parameter's value, which may be empty; of several, the first.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Decodes a name or a value: plus signs and percent-encodings, into UTF-8.
pub fn decode(encoded: &[u8]) -> Option<Zeroizing<String>> {
    // Enough for all of it: growing would leave copies of a secret behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hexadecimal(bytes.next()?)?.checked_mul(16)? | hexadecimal(bytes.next()?)?,
            // What must be encoded and is not is read differently by different parsers.
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    std::str::from_utf8(&decoded).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(body: &[u8]) -> FormError {
        Form::parse(body, 32).map(drop).unwrap_err()
    }

    #[test]
    fn values_are_decoded_once() {
        let form =
            Form::parse(b"a=b+c&d=%2525&e=&f=x=y&%67=%C3%a9&h=https://a/b:c&j=%0D%0a", 32).unwrap();
        for (name, value) in [
            ("a", Some("b c")),
            ("d", Some("%25")),
            ("e", Some("")),
            ("f", Some("x=y")),
            ("g", Some("é")),
            ("h", Some("https://a/b:c")),
            ("i", None),
            ("j", Some("\r\n")),
        ] {
            assert_eq!(form.value(name), value, "{name}");
        }
        assert!(Form::parse(b"", 32).unwrap().value("a").is_none());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            &b"a"[..],
            b"a=1&",
            b"&a=1",
            b"a=1&&b=2",
            b"=1",
            b"a=%",
            b"a=%4",
            b"a=%zz",
            b"a=%+1",
            b"a=%u0041",
            b"a=%ff",
            b"a=%c0%80",
            b"a=\xc3\xa9",
            b"a=\x00",
            b"a=1 2",
            b"a=1\r\n",
            b"a=1;a=2",
            b"a=1;b=2",
            b"a=;",
            b"a;b=1",
        ] {
            assert_eq!(error(body), FormError::Malformed, "{body:?}");
        }
        assert_eq!(Form::parse(b"a=1%3Bb=2", 32).unwrap().value("a"), Some("1;b=2"));
    }

    #[test]
    fn nothing_is_there_twice_however_it_is_spelled() {
        assert_eq!(error(b"scope=a&scope=a"), FormError::Repeated);
        assert_eq!(error(b"scope=a&sc%6Fpe=b"), FormError::Repeated);
        assert_eq!(error(b"scope=&scope="), FormError::Repeated);
        assert!(Form::parse(b"scope=a&Scope=b", 32).is_ok());
        let many: Vec<String> = (0..33).map(|n| format!("p{n}=1")).collect();
        assert_eq!(error(many.join("&").as_bytes()), FormError::TooMany);
    }

    #[test]
    fn lists_may_be_there_again_and_count() {
        let is_list = |name: &str| name == "b";
        let form = Form::parse_lists(b"b=1&a=2&%62=3", 3, is_list).unwrap();
        let all: Vec<_> = form.iter().collect();
        assert_eq!(all, [("b", "1"), ("a", "2"), ("b", "3")]);
        let error = |body: &[u8]| Form::parse_lists(body, 3, is_list).map(drop).unwrap_err();
        assert_eq!(error(b"b=1&a=1&a=2"), FormError::Repeated);
        assert_eq!(error(b"b=1&b=1&b=1&b=1"), FormError::TooMany);
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&body, 32);
        }

        #[test]
        fn what_was_encoded_comes_back(text in ".{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let form = Form::parse(format!("a={encoded}").as_bytes(), 32).unwrap();
            prop_assert_eq!(form.value("a"), Some(text.as_str()));
        }
    }
}
