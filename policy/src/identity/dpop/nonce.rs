//! Nonces without a memory (RFC 9449 §9): one for each window of time, a code over the window's number.
//!
//! Who has no access to the gate cannot know a nonce in advance, so a proof that holds one was not made long before it is
//! used, whatever the client's clock says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::Secret;

/// What keeps these codes apart from others under the same key.
const CONTEXT: &[u8] = b"portcullis DPoP nonce\0";

/// Bytes of a nonce: 128 bits are out of reach of guessing.
const NONCE_BYTES: usize = 16;

/// Makes nonces, and knows them again.
#[derive(Debug)]
pub(super) struct Nonces {
    key: Secret,
    window_seconds: u64,
}

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Of the window that it is.
    Current,
    /// Of the window before: good, but not for long.
    Previous,
    /// Too old, or none of ours.
    Stale,
}

impl Nonces {
    /// Nonces of windows of so many seconds, at least one.
    pub(super) fn new(key: Secret, window_seconds: u64) -> Self {
        Self { key, window_seconds: window_seconds.max(1) }
    }

    /// The nonce to give out at a time in seconds.
    pub(super) fn current(&self, now: u64) -> String {
        self.of(self.window(now))
    }

    /// Compares in constant time.
    pub(super) fn check(&self, nonce: &str, now: u64) -> Freshness {
        let window = self.window(now);
        let is_of = |window| bool::from(self.of(window).as_bytes().ct_eq(nonce.as_bytes()));
        if is_of(window) {
            return Freshness::Current;
        }
        match window.checked_sub(1).is_some_and(is_of) {
            true => Freshness::Previous,
            false => Freshness::Stale,
        }
    }

    fn window(&self, now: u64) -> u64 {
        now.checked_div(self.window_seconds).unwrap_or(now)
    }

    fn of(&self, window: u64) -> String {
        // HMAC takes keys of any length (RFC 2104 §2), so this cannot fail.
        let code = Hmac::<Sha256>::new_from_slice(self.key.expose()).map(|mac| {
            mac.chain_update(CONTEXT).chain_update(window.to_be_bytes()).finalize().into_bytes()
        });
        let code = code.unwrap_or_default();
        URL_SAFE_NO_PAD.encode(code.get(..NONCE_BYTES).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(byte: u8) -> Nonces {
        Nonces::new(Secret::from_bytes(vec![byte; 32].into()).unwrap(), 60)
    }

    #[test]
    fn a_nonce_is_good_for_two_windows() {
        let nonces = nonces(1);
        let nonce = nonces.current(600);
        assert_eq!(nonce.len(), 22);
        assert_eq!(nonces.current(659), nonce);
        assert_eq!(nonces.check(&nonce, 659), Freshness::Current);
        assert_eq!(nonces.check(&nonce, 660), Freshness::Previous);
        assert_eq!(nonces.check(&nonce, 719), Freshness::Previous);
        assert_eq!(nonces.check(&nonce, 720), Freshness::Stale);
        // Of the time to come: a clock went backwards.
        assert_eq!(nonces.check(&nonce, 599), Freshness::Stale);
        assert_eq!(nonces.check(&nonces.current(0), 0), Freshness::Current);
    }

    #[test]
    fn nobody_else_makes_them() {
        let forged = nonces(2).current(600);
        let own = nonces(1).current(600);
        for nonce in [forged.as_str(), "", "AAAAAAAAAAAAAAAAAAAAAA", &own[..21], &format!("{own}=")]
        {
            assert_eq!(nonces(1).check(nonce, 600), Freshness::Stale, "{nonce}");
        }
    }
}
