//! Encrypted bodies: JSON Web Encryption (RFC 7516). What is in one only the upstream can tell, which has to look into it as
//! the gate would. Here it is made sure that it is one, so that nothing else gets by under this name.

use crate::problem::{Reason, Refusal};

/// Whether a body has the form of a JWE in compact serialisation: five parts in base64url.
pub(super) fn check(body: &[u8]) -> Result<(), Refusal> {
    let mut parts = body.split(|byte| *byte == b'.');
    let is_header = parts.next().is_some_and(|header| !header.is_empty());
    let is_base64url =
        |part: &[u8]| part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    if is_header && parts.count() == 4 && body.split(|byte| *byte == b'.').all(is_base64url) {
        return Ok(());
    }
    let detail = "Send application/jose as a JWE in compact serialisation (RFC 7516 §7.1).";
    Err(Refusal::new(Reason::ContentTypeUnsupported, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_jwe_gets_by() {
        for message in ["a.b.c.d.e", "eyJ-_0..A.B.C", "a...."] {
            assert_eq!(check(message.as_bytes()), Ok(()), "{message}");
        }
        for other in [
            "",
            "....",
            "a.b.c",
            "a.b.c.d",
            "a.b.c.d.e.f",
            "a.b.c.d.e\n",
            "a.b.c.d.e=",
            "a.b.c.d.<script>",
            "{\"protected\":\"a\"}",
            "a.b.c.d.é",
        ] {
            assert_eq!(check(other.as_bytes()).unwrap_err().reason, Reason::ContentTypeUnsupported);
        }
    }
}
