//! Tokens that carry a value, encrypted for its owner: nothing is kept between request and response.

use std::ops::Range;

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::super::personal::PersonalData;
use super::{Kind, Owner, derive};
use crate::secret::Secret;

/// The longest value that becomes a token, in bytes.
const MAXIMUM_VALUE_BYTES: usize = 256;

/// The shortest and longest text in a token: SIV's tag and a value, in base64url.
const FEWEST_CHARACTERS: usize = 23;
const MOST_CHARACTERS: usize = (16 + MAXIMUM_VALUE_BYTES).div_ceil(3) * 4;

/// The longest token, with its label and brackets.
pub(super) const MAXIMUM_TOKEN_BYTES: usize = MOST_CHARACTERS + 20;

/// Seals values in tokens, and opens them.
#[derive(Clone)]
pub(super) struct Tokens {
    key: Zeroizing<[u8; 64]>,
}

impl Tokens {
    pub(super) fn new(secret: &Secret) -> Self {
        let mut key = Zeroizing::new([0; 64]);
        let halves = ["portcullis redaction: token 1", "portcullis redaction: token 2"];
        for (half, purpose) in key.chunks_exact_mut(32).zip(halves) {
            half.copy_from_slice(&*derive(secret, purpose));
        }
        Self { key }
    }

    /// The token for a value: always the same for one owner. `None` where there cannot be one.
    pub(super) fn seal(&self, kind: Kind, value: &str, owner: &Owner) -> Option<String> {
        if value.len() > MAXIMUM_VALUE_BYTES {
            return None;
        }
        let label = label(kind);
        let headers = [label.as_bytes().to_vec(), owner.identity()?];
        let sealed = Aes256Siv::new(&(*self.key).into()).encrypt(headers, value.as_bytes()).ok()?;
        Some(format!("<{label}:{}>", URL_SAFE_NO_PAD.encode(sealed)))
    }

    fn open(&self, label: &str, text: &[u8], owner: &Owner) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let headers = [label.as_bytes().to_vec(), owner.identity()?];
        let value = Aes256Siv::new(&(*self.key).into()).decrypt(headers, &sealed).ok()?;
        String::from_utf8(value).ok()
    }

    /// The tokens in a text that are this owner's, and their values.
    pub(super) fn find(&self, text: &str, owner: &Owner) -> Vec<(Range<usize>, String)> {
        if owner.identity().is_none() {
            return Vec::new();
        }
        let bytes = text.as_bytes();
        let brackets = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<');
        let tokens = brackets.filter_map(|(start, _)| {
            let rest = bytes.get(start + 1..)?;
            let label = PersonalData::KINDS.iter().map(|kind| label(*kind)).find(|label| {
                rest.starts_with(label.as_bytes()) && rest.get(label.len()) == Some(&b':')
            })?;
            let sealed = rest.get(label.len() + 1..)?;
            let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
            let length = sealed.iter().take(MOST_CHARACTERS + 1).position(|byte| !is_in(byte))?;
            if length < FEWEST_CHARACTERS || sealed.get(length) != Some(&b'>') {
                return None;
            }
            let value = self.open(label, sealed.get(..length)?, owner)?;
            Some((start..start + 1 + label.len() + 1 + length + 1, value))
        });
        tokens.collect()
    }
}

/// What a kind is called in what takes a value's place.
pub(super) fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::EmailAddress => "email_address",
        Kind::PhoneNumber => "phone_number",
        Kind::PaymentCard => "payment_card",
        Kind::Iban => "iban",
        Kind::UsSsn => "us_ssn",
        Kind::NationalId => "national_id",
        Kind::IpAddress => "ip_address",
        Kind::MacAddress => "mac_address",
        Kind::CryptoAddress => "crypto_address",
        Kind::CredentialUrl => "credential_url",
        Kind::Secret => "secret",
        Kind::PrivateKey => "private_key",
        _ => "redacted",
    }
}
