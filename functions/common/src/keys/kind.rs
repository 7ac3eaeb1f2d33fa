//! What a keyring has to know of its keys.

use serde_json::Value;
use zeroize::Zeroizing;

use super::NoRandomness;

/// A kind of key. A key is wiped when dropped.
pub trait Kind: Sized {
    /// What the names of all entries in the store begin with, before the key's id.
    const PREFIX: &'static str;

    /// What the key under which these are encrypted is derived for (RFC 5869 §3.2): no other kind may say the same.
    const SEALED_FOR: &'static str;

    /// How long a key is of use after another one has taken over, in seconds.
    const RETAINED_SECONDS: u64;

    /// A new key.
    fn generate() -> Result<Self, NoRandomness>;

    /// Takes the private key as [`Self::to_bytes`] gave it.
    fn from_bytes(private: &[u8]) -> Option<Self>;

    /// The private key.
    fn to_bytes(&self) -> Zeroizing<[u8; 32]>;

    /// The `kid`: it must follow from the key, so that an id cannot be given to another one.
    fn id(&self) -> &str;

    /// The public key as a JSON Web Key (RFC 7517).
    fn public_jwk(&self) -> Value;
}
