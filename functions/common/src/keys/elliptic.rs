//! Public keys on the curve P-256 as JSON Web Keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{NoRandomness, random};

/// A point on P-256, written in base64url, with its thumbprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPoint {
    x: String,
    y: String,
    id: String,
}

impl PublicPoint {
    /// Takes a point that is on the curve, uncompressed (SEC 1 §2.3.3).
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4]).filter(|rest| rest.len() == 64)?;
        let (x, y) = coordinates.split_at_checked(32)?;
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        // RFC 7638: the members in this order, without blanks.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint.as_bytes()));
        Some(Self { x, y, id })
    }

    /// The thumbprint (RFC 7638), which is the `kid`: an id cannot be given to another key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The members that are the key itself (RFC 7518 §6.2.1).
    pub fn members(&self) -> Value {
        json!({ "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y })
    }

    /// A JSON Web Key for one purpose (RFC 7517 §4).
    pub fn jwk(&self, purpose: &str, algorithm: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y,
            "kid": self.id, "use": purpose, "alg": algorithm,
        })
    }

    /// A private key of 32 random bytes, whatever `accept` makes of them.
    pub fn generate<T>(accept: impl Fn(&[u8]) -> Option<T>) -> Result<T, NoRandomness> {
        // One in 2^32 numbers is not below the order of the curve.
        for _ in 0..8 {
            if let Some(key) = accept(random::<32>()?.as_slice()) {
                return Ok(key);
            }
        }
        Err(NoRandomness)
    }
}
