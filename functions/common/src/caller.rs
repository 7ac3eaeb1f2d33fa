//! Whether a request comes through the gate: the assertion that the gate signs (RFC 9421).

use portcullis_policy::assertion::{AssertionError, Received, Verifier};
use portcullis_policy::{Principal, Secret, SecretError};

use crate::Request;

/// The gate's name for its key.
pub const KEY_ID: &str = "portcullis";

/// Verifies that requests come through the gate.
pub struct Gatekeeper(Verifier);

impl Gatekeeper {
    /// Takes the key as it is configured, base64url (RFC 4648 §5) of 32 bytes or more.
    pub fn new(key: String) -> Result<Self, SecretError> {
        let key = zeroize::Zeroizing::new(key);
        let secret = Secret::from_base64url(&key)?;
        Ok(Self(Verifier::new([(String::from(KEY_ID), secret)])))
    }

    /// Who is calling. The body must be the one that was signed.
    pub fn principal(
        &self,
        request: &Request<'_>,
        body: &[u8],
    ) -> Result<Principal, AssertionError> {
        self.0.verify(&Received {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body,
            now: request.now,
        })
    }
}
