//! One JSON Web Key, read (RFC 7517 §4).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::JwkError;
use super::algorithm::Algorithm;
use super::elliptic::{CURVES, EdwardsKey, EllipticKey};
use super::key::{Key, Material};
use super::rsa::RsaKey;
use super::symmetric::SymmetricKey;

/// The members of a key, and where they stand.
pub(super) struct Jwk<'a> {
    pub(super) members: &'a Map<String, Value>,
    /// Such as `keys[0]`; empty for a key alone.
    pub(super) field: &'a str,
}

/// Why a key is not used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It is for encryption, which is not our business.
    Encryption,
    /// It is of a kind that is not known here (RFC 7517 §5: to be ignored).
    Unknown(JwkError),
    /// It is weak, malformed, or says two things at once.
    Bad(JwkError),
}

impl Unusable {
    /// As an error where every key must be usable.
    pub(super) fn into_error(self) -> JwkError {
        match self {
            Self::Encryption => JwkError::new("use", "expected sig"),
            Self::Unknown(error) | Self::Bad(error) => error,
        }
    }
}

impl From<JwkError> for Unusable {
    fn from(error: JwkError) -> Self {
        Self::Bad(error)
    }
}

/// The kinds of keys, in `kty`.
const KINDS: [&str; 4] = ["RSA", "EC", "OKP", "oct"];

/// The private members of all kinds of public keys (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2), and a secret's only one.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The operations that have nothing to do with signatures (RFC 7517 §4.3).
const OTHER_OPERATIONS: [&str; 6] =
    ["encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"];

impl Jwk<'_> {
    pub(super) fn read(&self) -> Result<Key, Unusable> {
        let kind = self.required_text("kty")?;
        if !KINDS.contains(&kind) {
            return Err(self.unknown_kind());
        }
        if kind != "oct"
            && let Some(name) = PRIVATE.iter().find(|name| self.members.contains_key(**name))
        {
            return Err(self.error(name, "expected a public key, found a private one").into());
        }
        if !self.is_for_signatures()? {
            return Err(Unusable::Encryption);
        }
        let id = self.text("kid")?.map(Arc::from);
        let declared = match self.text("alg")? {
            None => None,
            Some(name) => Some(Algorithm::named(name).ok_or_else(|| {
                let names = Algorithm::ALL.map(Algorithm::as_str).join(", ");
                Unusable::Unknown(self.error("alg", &format!("expected one of {names}")))
            })?),
        };
        let (material, possible) = match kind {
            "RSA" => self.rsa()?,
            "EC" => self.elliptic()?,
            "OKP" => self.edwards()?,
            "oct" => self.symmetric(declared)?,
            _ => return Err(self.unknown_kind()),
        };
        // RFC 8725 §3.1: one algorithm for a key. For RSA keys without `alg`, of which there are many, it is the one that their
        // issuers sign with nearly always; others must be named in the policy (`Key::restricted_to`).
        let algorithm = match (declared, possible.as_slice()) {
            (None, [first, ..]) => *first,
            (Some(name), possible) if possible.contains(&name) => name,
            _ => {
                let names: Vec<&str> = possible.iter().map(|known| known.as_str()).collect();
                let expected = format!("expected {} for this key", names.join(", "));
                return Err(self.error("alg", &expected).into());
            }
        };
        let is_declared = declared.is_some();
        Ok(Key { id, material, algorithms: vec![algorithm], is_declared })
    }

    /// Keys for encryption may stand in the same set. `use` and `key_ops` must not contradict each other, no operation may be
    /// named twice, and operations of both kinds on one key are a mistake (RFC 7517 §4.3).
    fn is_for_signatures(&self) -> Result<bool, Unusable> {
        let usage = match self.text("use")? {
            None => None,
            Some("sig") => Some(true),
            Some("enc") => Some(false),
            Some(_) => return Err(self.unknown("use", "expected sig or enc")),
        };
        let Some(operations) = self.members.get("key_ops") else {
            return Ok(usage.unwrap_or(true));
        };
        let wrong = |expected: &str| Err(self.error("key_ops", expected).into());
        let operations: Option<Vec<&str>> =
            operations.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        let Some(operations) = operations else { return wrong("expected an array of strings") };
        let is_repeated = |(index, name): (usize, &&str)| {
            operations.iter().skip(index + 1).any(|other| other == name)
        };
        if operations.iter().enumerate().any(is_repeated) {
            return wrong("expected every operation once");
        }
        let others = operations.iter().filter(|name| OTHER_OPERATIONS.contains(*name)).count();
        let signs = operations.contains(&"verify");
        match (signs, others) {
            (true, 1..) => wrong("expected operations of one kind"),
            (true, 0) if usage == Some(false) => wrong("expected no verify where use is enc"),
            (true, 0) => Ok(true),
            (false, 1..) if usage == Some(true) => wrong("expected verify where use is sig"),
            (false, 1..) if others == operations.len() => Ok(false),
            (false, _) => wrong("expected verify"),
        }
    }

    fn rsa(&self) -> Result<(Material, Vec<Algorithm>), Unusable> {
        let key = RsaKey::new(&self.bytes("n")?, &self.bytes("e")?);
        let key = key.map_err(|(name, expected)| self.error(name, &expected))?;
        // RS256 first: what a key without `alg` is for.
        let possible = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_rsa());
        Ok((Material::Rsa(Box::new(key)), possible.collect()))
    }

    fn elliptic(&self) -> Result<(Material, Vec<Algorithm>), Unusable> {
        let curve = self.required_text("crv")?;
        if !CURVES.contains(&curve) {
            return Err(self.unknown("crv", &format!("expected {}", CURVES.join(", "))));
        }
        let key = EllipticKey::new(curve, &self.bytes("x")?, &self.bytes("y")?);
        let key = key.map_err(|(name, expected)| self.error(name, &expected))?;
        let algorithm = key.algorithm();
        Ok((Material::Elliptic(Box::new(key)), vec![algorithm]))
    }

    fn edwards(&self) -> Result<(Material, Vec<Algorithm>), Unusable> {
        if self.required_text("crv")? != "Ed25519" {
            return Err(self.unknown("crv", "expected Ed25519"));
        }
        let key = EdwardsKey::new(&self.bytes("x")?)
            .ok_or_else(|| self.error("x", "expected an Ed25519 public key"))?;
        Ok((Material::Edwards(Box::new(key)), vec![Algorithm::EdDsa]))
    }

    /// Without `alg` a secret could be used with any algorithm.
    fn symmetric(
        &self,
        declared: Option<Algorithm>,
    ) -> Result<(Material, Vec<Algorithm>), Unusable> {
        let algorithm = declared
            .filter(|algorithm| algorithm.is_symmetric())
            .ok_or_else(|| self.error("alg", "expected HS256, HS384, HS512 for this key"))?;
        let secret = Zeroizing::new(self.bytes("k")?);
        let key = SymmetricKey::new(algorithm, &secret);
        let key = key.map_err(|expected| self.error("k", &expected))?;
        Ok((Material::Symmetric(key), vec![algorithm]))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, JwkError> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "expected a string")),
        }
    }

    fn required_text(&self, name: &str) -> Result<&str, JwkError> {
        self.text(name)?.ok_or_else(|| self.error(name, "expected a string, found nothing"))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, JwkError> {
        let text = self.required_text(name)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| self.error(name, "expected base64url"))
    }

    fn unknown_kind(&self) -> Unusable {
        self.unknown("kty", &format!("expected {}", KINDS.join(", ")))
    }

    fn unknown(&self, name: &str, expected: &str) -> Unusable {
        Unusable::Unknown(self.error(name, expected))
    }

    pub(super) fn error(&self, name: &str, expected: &str) -> JwkError {
        match self.field {
            "" => JwkError::new(name, expected),
            field => JwkError::new(format!("{field}.{name}"), expected),
        }
    }
}
