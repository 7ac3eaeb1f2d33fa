//! Forms (application/x-www-form-urlencoded), read strictly: what two parsers could read differently is refused.

use zeroize::Zeroizing;

/// The most parameters a request may have. The grant knows eight.
const MAXIMUM_PARAMETERS: usize = 32;

/// The parameters of a request. Values may be secrets.
pub(crate) struct Form(Vec<(Zeroizing<String>, Zeroizing<String>)>);

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormError {
    Malformed,
    /// RFC 6749 §3.2: parameters must not be included more than once.
    Repeated,
    TooMany,
}

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FormError> {
        let mut parameters: Vec<(Zeroizing<String>, Zeroizing<String>)> = Vec::new();
        if body.is_empty() {
            return Ok(Self(parameters));
        }
        for pair in body.split(|byte| *byte == b'&') {
            let equals = pair.iter().position(|byte| *byte == b'=').ok_or(FormError::Malformed)?;
            let (name, value) = pair.split_at_checked(equals).ok_or(FormError::Malformed)?;
            let value = value.strip_prefix(b"=").ok_or(FormError::Malformed)?;
            let name = decode(name).filter(|name| !name.is_empty()).ok_or(FormError::Malformed)?;
            let value = decode(value).ok_or(FormError::Malformed)?;
            // By the decoded name: `sc%6Fpe` is `scope`.
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(FormError::Repeated);
            }
            if parameters.len() >= MAXIMUM_PARAMETERS {
                return Err(FormError::TooMany);
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// A parameter's value. One without a value counts as left out (RFC 6749 §3.2).
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known.as_str() == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Decodes a name or a value: plus signs and percent-encodings, UTF-8, no control characters.
pub(crate) fn decode(encoded: &[u8]) -> Option<Zeroizing<String>> {
    // Enough for all of it: growing would leave copies of a secret behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hexadecimal(bytes.next()?)?.checked_mul(16)? | hexadecimal(bytes.next()?)?,
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    let text = std::str::from_utf8(&decoded).ok()?;
    (!text.chars().any(char::is_control)).then(|| Zeroizing::new(text.to_owned()))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        b'A'..=b'F' => digit.checked_sub(b'A')?.checked_add(10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(body: &[u8]) -> FormError {
        Form::parse(body).map(drop).unwrap_err()
    }

    #[test]
    fn values_are_decoded_once() {
        let form = Form::parse(b"a=b+c&d=%2525&e=&f=x=y&%67=%C3%a9&h=https://a/b:c").unwrap();
        for (name, value) in [
            ("a", Some("b c")),
            ("d", Some("%25")),
            ("e", None),
            ("f", Some("x=y")),
            ("g", Some("é")),
            ("h", Some("https://a/b:c")),
            ("i", None),
        ] {
            assert_eq!(form.value(name), value, "{name}");
        }
        assert!(Form::parse(b"").unwrap().value("a").is_none());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            &b"a"[..],
            b"a=1&",
            b"&a=1",
            b"a=1&&b=2",
            b"=1",
            b"a=1;b",
            b"a=%",
            b"a=%4",
            b"a=%zz",
            b"a=%+1",
            b"a=%u0041",
            b"a=%ff",
            b"a=%c0%80",
            b"a=%00",
            b"a=%0d%0a",
            b"a=%7f",
            b"a=\xc3\xa9",
            b"a=\x00",
            b"a=1 2",
            b"a=1\r\n",
        ] {
            let parsed = Form::parse(body);
            let semicolon = body.contains(&b';');
            assert!(parsed.is_err() || semicolon, "{body:?}");
        }
        // Never a separator.
        assert_eq!(Form::parse(b"a=1;b=2").unwrap().value("a"), Some("1;b=2"));
    }

    #[test]
    fn nothing_is_there_twice_however_it_is_spelled() {
        assert_eq!(error(b"scope=a&scope=a"), FormError::Repeated);
        assert_eq!(error(b"scope=a&sc%6Fpe=b"), FormError::Repeated);
        assert_eq!(error(b"scope=&scope="), FormError::Repeated);
        assert!(Form::parse(b"scope=a&Scope=b").is_ok());
        let many: Vec<String> = (0..=MAXIMUM_PARAMETERS).map(|n| format!("p{n}=1")).collect();
        assert_eq!(error(many.join("&").as_bytes()), FormError::TooMany);
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn what_was_encoded_comes_back(text in "[^\\p{Cc}]{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let form = Form::parse(format!("a={encoded}").as_bytes()).unwrap();
            prop_assert_eq!(form.value("a").unwrap_or_default(), text);
        }
    }
}
