//! JSON Web Key Sets (RFC 7517), checked when they are loaded: a weak or ambiguous key is an error then, not
//! a hole later.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{ES256PublicKey, Ed25519PublicKey, HS256Key, RS256PublicKey};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::MINIMUM_SECRET_BYTES;
use crate::input::{JsonLimits, parse_json};

/// The longest key set that is read.
const MAXIMUM_SET_BYTES: usize = 64 * 1024;

/// The most keys in a set.
const MAXIMUM_KEYS: usize = 64;

const LIMITS: JsonLimits = JsonLimits { max_depth: 8, max_values: 10_000 };

/// The signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1). A key has one, and a token does not get to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
}

impl Algorithm {
    /// All, in the order of their names in documentation.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Es256, Self::EdDsa, Self::Hs256];

    /// The name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// The keys of one issuer.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) material: Material,
}

#[derive(Clone)]
pub(super) enum Material {
    /// With its SubjectPublicKeyInfo in DER, for hosts that verify natively.
    Rs256(Box<RS256PublicKey>, Vec<u8>),
    Es256(Box<ES256PublicKey>, Vec<u8>),
    EdDsa(Box<Ed25519PublicKey>),
    Hs256(HS256Key),
}

impl Key {
    pub(super) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rs256(..) => Algorithm::Rs256,
            Material::Es256(..) => Algorithm::Es256,
            Material::EdDsa(_) => Algorithm::EdDsa,
            Material::Hs256(_) => Algorithm::Hs256,
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, {})", self.id, self.algorithm().as_str())
    }
}

/// What is wrong with a key set, and in which field of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{expected}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct JwkError {
    /// Such as `keys[0].n`; empty for the set as a whole.
    pub field: String,
    /// What was expected there.
    pub expected: String,
}

impl JwkError {
    fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { field: field.into(), expected: expected.into() }
    }
}

impl KeySet {
    /// Reads a key set. Every key in it that is for signatures must be usable, have its own `kid`, and be as strong as its algorithm
    /// wants (RFC 7518 §3.2, §3.3; RFC 8725 §3.5). Symmetric and public keys do not mix: a public key that
    /// could be taken for a secret is how tokens are forged.
    pub fn parse(text: &str) -> Result<Self, JwkError> {
        if text.len() > MAXIMUM_SET_BYTES {
            return Err(JwkError::new("", format!("expected at most {MAXIMUM_SET_BYTES} bytes")));
        }
        let value = parse_json(text.as_bytes(), LIMITS)
            .map_err(|error| JwkError::new("", format!("expected {error}")))?;
        Self::from_value(&value)
    }

    /// Likewise, from JSON that has been read.
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        let items = value.get("keys").and_then(Value::as_array);
        let items = items
            .ok_or_else(|| JwkError::new("keys", "expected an array of keys (RFC 7517 §5)"))?;
        if items.len() > MAXIMUM_KEYS {
            return Err(JwkError::new("keys", format!("expected at most {MAXIMUM_KEYS} keys")));
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let field = format!("keys[{index}]");
            let members = item.as_object();
            let members = members.ok_or_else(|| JwkError::new(&field, "expected an object"))?;
            let jwk = Jwk { members, field: &field };
            if jwk.is_for_encryption()? {
                continue;
            }
            let key = jwk.read()?;
            if keys.iter().any(|other| other.id == key.id) {
                let message = "expected a kid that no other key has";
                return Err(JwkError::new(format!("{field}.kid"), message));
            }
            keys.push(key);
        }
        let symmetric = keys.iter().filter(|key| key.algorithm() == Algorithm::Hs256).count();
        if symmetric > 0 && symmetric < keys.len() {
            return Err(JwkError::new("keys", "expected symmetric or public keys, not both"));
        }
        if keys.is_empty() {
            return Err(JwkError::new("keys", "expected at least one key for signatures"));
        }
        Ok(Self { keys })
    }

    /// Whether these keys are secrets.
    pub fn is_symmetric(&self) -> bool {
        self.keys.iter().any(|key| key.algorithm() == Algorithm::Hs256)
    }

    /// The key for a token: that of its `kid`, or the only one where it names none.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match id {
            Some(id) => self.keys.iter().find(|key| key.id.as_deref() == Some(id)),
            None => match self.keys.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}

/// One member of a set, unread.
struct Jwk<'a> {
    members: &'a Map<String, Value>,
    field: &'a str,
}

impl Jwk<'_> {
    /// Keys for encryption may stand in the same set; they are not ours.
    fn is_for_encryption(&self) -> Result<bool, JwkError> {
        match self.text("use")? {
            None | Some("sig") => {}
            Some("enc") => return Ok(true),
            Some(_) => return Err(self.error("use", "expected sig or enc")),
        }
        match self.members.get("key_ops") {
            None => Ok(false),
            Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => {
                Ok(false)
            }
            Some(Value::Array(operations))
                if operations.iter().any(|op| op == "encrypt" || op == "wrapKey") =>
            {
                Ok(true)
            }
            Some(_) => Err(self.error("key_ops", "expected an array with verify")),
        }
    }

    fn read(&self) -> Result<Key, JwkError> {
        let id = self.text("kid")?.map(str::to_owned);
        let algorithm = self.text("alg")?;
        let kind = self.required_text("kty")?;
        if kind != "oct" && self.members.contains_key("d") {
            return Err(self.error("d", "expected a public key, found a private one"));
        }
        let expect = |known: Algorithm| match algorithm {
            Some(name) if name != known.as_str() => {
                Err(self.error("alg", &format!("expected {} for this key", known.as_str())))
            }
            _ => Ok(()),
        };
        let material = match kind {
            "RSA" => {
                expect(Algorithm::Rs256)?;
                self.rsa()?
            }
            "EC" => {
                expect(Algorithm::Es256)?;
                self.elliptic_curve()?
            }
            "OKP" => {
                // RFC 9864 names it Ed25519 too.
                if algorithm != Some("Ed25519") {
                    expect(Algorithm::EdDsa)?;
                }
                self.edwards_curve()?
            }
            "oct" => {
                // Without `alg` a secret could be used with any algorithm.
                if algorithm != Some("HS256") {
                    return Err(self.error("alg", "expected HS256 for this key"));
                }
                self.symmetric()?
            }
            _ => return Err(self.error("kty", "expected RSA, EC, OKP or oct")),
        };
        Ok(Key { id, material })
    }

    fn rsa(&self) -> Result<Material, JwkError> {
        let modulus = self.bytes("n")?;
        let exponent = self.bytes("e")?;
        let bits = modulus.iter().position(|byte| *byte != 0).map_or(0, |zeros| {
            let first = modulus.get(zeros).copied().unwrap_or_default();
            (modulus.len() - zeros) * 8 - first.leading_zeros() as usize
        });
        if !(2048..=8192).contains(&bits) {
            let expected = format!("expected a modulus of 2048 to 8192 bits, found {bits}");
            return Err(self.error("n", &expected));
        }
        if exponent.as_slice() != [1, 0, 1] {
            return Err(self.error("e", "expected AQAB (65537)"));
        }
        let invalid = |_| self.error("n", "expected an RSA public key");
        let key = RS256PublicKey::from_components(&modulus, &exponent).map_err(invalid)?;
        let der = key.to_der().map_err(invalid)?;
        Ok(Material::Rs256(Box::new(key), der))
    }

    fn elliptic_curve(&self) -> Result<Material, JwkError> {
        if self.required_text("crv")? != "P-256" {
            return Err(self.error("crv", "expected P-256"));
        }
        let (x, y) = (self.bytes("x")?, self.bytes("y")?);
        if x.len() != 32 || y.len() != 32 {
            return Err(self.error("x", "expected two coordinates of 32 bytes"));
        }
        let point = [[4].as_slice(), &x, &y].concat();
        let invalid = |_| self.error("x", "expected a point on P-256");
        let key = ES256PublicKey::from_bytes(&point).map_err(invalid)?;
        let der = key.to_der().map_err(invalid)?;
        Ok(Material::Es256(Box::new(key), der))
    }

    fn edwards_curve(&self) -> Result<Material, JwkError> {
        if self.required_text("crv")? != "Ed25519" {
            return Err(self.error("crv", "expected Ed25519"));
        }
        let key = Ed25519PublicKey::from_bytes(&self.bytes("x")?)
            .map_err(|_| self.error("x", "expected an Ed25519 public key"))?;
        Ok(Material::EdDsa(Box::new(key)))
    }

    fn symmetric(&self) -> Result<Material, JwkError> {
        let key = Zeroizing::new(self.bytes("k")?);
        if key.len() < MINIMUM_SECRET_BYTES {
            let expected = format!("expected at least {MINIMUM_SECRET_BYTES} bytes");
            return Err(self.error("k", &expected));
        }
        Ok(Material::Hs256(HS256Key::from_bytes(&key)))
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

    fn error(&self, name: &str, expected: &str) -> JwkError {
        JwkError::new(format!("{}.{name}", self.field), expected)
    }
}

#[cfg(test)]
mod tests {
    use jwt_simple::prelude::{ECDSAP256PublicKeyLike as _, ES256KeyPair};
    use serde_json::json;

    use super::*;

    fn ec(kid: &str) -> Value {
        let point = ES256KeyPair::generate().public_key().public_key().to_bytes_uncompressed();
        json!({"kty": "EC", "crv": "P-256", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])})
    }

    fn oct(bytes: usize) -> Value {
        json!({"kty": "oct", "alg": "HS256", "kid": "s", "k": URL_SAFE_NO_PAD.encode(vec![1u8; bytes])})
    }

    fn rsa(bytes: usize, exponent: &str) -> Value {
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xffu8; bytes]), "e": exponent})
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    fn field(keys: Value) -> String {
        KeySet::from_value(&json!({ "keys": keys })).unwrap_err().field
    }

    #[test]
    fn finds_keys_by_id_and_alone_without() {
        let two = KeySet::from_value(&json!({"keys": [ec("a"), ec("b")]})).unwrap();
        assert_eq!(two.find(Some("b")).unwrap().id.as_deref(), Some("b"));
        assert!(two.find(Some("c")).is_none() && two.find(None).is_none());
        let one = KeySet::from_value(&json!({"keys": [ec("a")]})).unwrap();
        assert!(one.find(None).is_some() && !one.is_symmetric());
    }

    #[test]
    fn weak_and_ambiguous_keys_are_refused_by_field() {
        assert_eq!(field(json!([oct(31)])), "keys[0].k");
        assert_eq!(field(json!([with(oct(32), "alg", json!(null))])), "keys[0].alg");
        assert_eq!(field(json!([rsa(128, "AQAB")])), "keys[0].n");
        assert_eq!(field(json!([rsa(256, "AQ")])), "keys[0].e");
        assert_eq!(field(json!([ec("a"), ec("a")])), "keys[1].kid");
        assert_eq!(field(json!([ec("a"), oct(32)])), "keys");
        assert_eq!(field(json!([with(ec("a"), "alg", json!("ES384"))])), "keys[0].alg");
        assert_eq!(field(json!([with(ec("a"), "crv", json!("secp256k1"))])), "keys[0].crv");
        assert_eq!(field(json!([with(ec("a"), "d", json!("AA"))])), "keys[0].d");
        assert_eq!(field(json!([with(ec("a"), "use", json!("x"))])), "keys[0].use");
        assert_eq!(field(json!([with(ec("a"), "key_ops", json!(["sign"]))])), "keys[0].key_ops");
        assert_eq!(field(json!([with(ec("a"), "y", json!("AA"))])), "keys[0].x");
        let off_curve = URL_SAFE_NO_PAD.encode([7u8; 32]);
        assert_eq!(field(json!([with(ec("a"), "y", json!(off_curve))])), "keys[0].x");
        assert_eq!(field(json!([with(ec("a"), "use", json!("enc"))])), "keys");
        assert_eq!(field(json!([])), "keys");
        assert!(KeySet::parse("{\"keys\":[],\"keys\":[]}").unwrap_err().expected.contains("once"));
    }
}
