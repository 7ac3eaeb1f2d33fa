//! Keys with lives: made and replaced by the function itself, and kept, encrypted, in Spin's key-value store.
//!
//! [`Keyring`] is all of it, for any kind of key ([`Kind`]): the token issuer's, which sign, and those of JSON Web
//! Encryption, which decrypt.

mod elliptic;
mod keyring;
mod kind;
mod random;
mod sealer;
#[cfg(target_family = "wasm")]
mod spin;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use elliptic::PublicPoint;
pub use keyring::{
    GRACE_SECONDS, Keyring, KeyringError, PUBLISHED_BEFORE_SECONDS, Rotation, State,
};
pub use kind::Kind;
pub use random::{NoRandomness, random};
pub use sealer::{NotOpened, Sealer};
#[cfg(target_family = "wasm")]
pub use spin::DefaultStore;
pub use store::{Store, StoreError};
