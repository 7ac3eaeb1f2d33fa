//! The request id that proxies give.

use std::ops::Deref;

/// A UUID in lower case (RFC 9562 §4). Every request has one, so it is kept where it is and not in a text of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId([u8; 36]);

impl RequestId {
    /// Reads the field. Anything else that a client may have put there is not repeated.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let mut id: [u8; 36] = value.try_into().ok()?;
        let is_uuid = id.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        id.make_ascii_lowercase();
        is_uuid.then_some(Self(id))
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_an_id() {
        let id = RequestId::read(b"0A1b2c3d-1111-4222-8333-44445555FfFf").unwrap();
        assert_eq!(&*id, "0a1b2c3d-1111-4222-8333-44445555ffff");
        for text in [
            "",
            "0a1b2c3d-1111-4222-8333-44445555fff",
            "0a1b2c3d-1111-4222-8333-44445555fffff",
            "0a1b2c3d01111-4222-8333-44445555ffff",
            "0a1b2c3d-1111-4222-8333-44445555fffg",
            "{a1b2c3d-1111-4222-8333-44445555fff}",
            "0a1b2c3d-1111-4222-8333-44445555ff\u{e9}",
        ] {
            assert_eq!(RequestId::read(text.as_bytes()), None, "{text}");
        }
    }
}
