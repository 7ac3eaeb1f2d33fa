//! Private JSON Web Keys (RFC 7517), to sign with.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, rand};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Failure;
use crate::cli::input_file;

/// A key that signs.
pub(super) struct PrivateKey {
    id: Option<String>,
    material: Material,
}

enum Material {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
    Hs256(hmac::Key),
}

/// The members that are looked at; all but `kty` depend on it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<Zeroizing<String>>,
    p: Option<Zeroizing<String>>,
    q: Option<Zeroizing<String>>,
    dp: Option<Zeroizing<String>>,
    dq: Option<Zeroizing<String>>,
    qi: Option<Zeroizing<String>>,
    k: Option<Zeroizing<String>>,
}

impl PrivateKey {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no private key of a known kind. Nothing of it is quoted.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = Zeroizing::new(input_file(path)?);
        let shown = path.display();
        let jwk: Jwk = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Failure::input(format_args!("{shown}:{line}:{column}: expected a private JSON Web Key"))
        })?;
        let material = jwk.material().map_err(|(field, expected)| {
            Failure::input(format_args!("{shown}: {field}: {expected}"))
        })?;
        let key = Self { id: jwk.kid, material };
        match jwk.alg.as_deref() {
            Some(name) if name != key.algorithm() && name != "Ed25519" => {
                let expected = key.algorithm();
                Err(Failure::input(format_args!("{shown}: alg: expected {expected} for this key")))
            }
            _ => Ok(key),
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The `alg` of what it signs.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.material {
            Material::Es256(_) => "ES256",
            Material::EdDsa(_) => "EdDSA",
            Material::Rs256(_) => "RS256",
            Material::Hs256(_) => "HS256",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let failed = |_| Failure::runtime("the key does not sign");
        match &self.material {
            Material::Es256(key) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Material::EdDsa(key) => Ok(key.sign(message).as_ref().to_vec()),
            Material::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let random: &dyn rand::SecureRandom = &SystemRandom::new();
                key.sign(&RSA_PKCS1_SHA256, random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Material::Hs256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

/// A member, and what was expected there.
type Wrong = (&'static str, &'static str);

impl Jwk {
    fn material(&self) -> Result<Material, Wrong> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => self.elliptic_curve(),
            ("OKP", Some("Ed25519")) => self.edwards_curve(),
            ("RSA", _) => self.rsa(),
            ("oct", _) => self.symmetric(),
            ("EC", _) => Err(("crv", "expected P-256")),
            ("OKP", _) => Err(("crv", "expected Ed25519")),
            _ => Err(("kty", "expected EC, OKP, RSA or oct")),
        }
    }

    fn elliptic_curve(&self) -> Result<Material, Wrong> {
        let private = secret(&self.d, "d")?;
        let (x, y) = (public(&self.x, "x")?, public(&self.y, "y")?);
        let point = [[4].as_slice(), &x, &y].concat();
        EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private,
            &point,
            &SystemRandom::new(),
        )
        .map(Material::Es256)
        .map_err(|_| ("d", "expected a P-256 key whose d, x and y belong together"))
    }

    fn edwards_curve(&self) -> Result<Material, Wrong> {
        let (seed, x) = (secret(&self.d, "d")?, public(&self.x, "x")?);
        Ed25519KeyPair::from_seed_and_public_key(&seed, &x)
            .map(Material::EdDsa)
            .map_err(|_| ("d", "expected an Ed25519 key whose d and x belong together"))
    }

    fn rsa(&self) -> Result<Material, Wrong> {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: public(&self.n, "n")?, e: public(&self.e, "e")? },
            d: secret(&self.d, "d")?,
            p: secret(&self.p, "p")?,
            q: secret(&self.q, "q")?,
            dP: secret(&self.dp, "dp")?,
            dQ: secret(&self.dq, "dq")?,
            qInv: secret(&self.qi, "qi")?,
        };
        RsaKeyPair::from_components(&components).map(|key| Material::Rs256(Box::new(key))).map_err(
            |_| ("n", "expected an RSA key of at least 2048 bits whose members belong together"),
        )
    }

    fn symmetric(&self) -> Result<Material, Wrong> {
        if self.alg.as_deref() != Some("HS256") {
            return Err(("alg", "expected HS256 for this key"));
        }
        let key = secret(&self.k, "k")?;
        match key.len() >= portcullis_policy::MINIMUM_SECRET_BYTES {
            true => Ok(Material::Hs256(hmac::Key::new(hmac::HMAC_SHA256, &key))),
            false => Err(("k", "expected at least 32 bytes")),
        }
    }
}

fn public(member: &Option<String>, name: &'static str) -> Result<Vec<u8>, Wrong> {
    decode(member.as_deref(), name)
}

fn secret(
    member: &Option<Zeroizing<String>>,
    name: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    decode(member.as_ref().map(|text| text.as_str()), name).map(Zeroizing::new)
}

fn decode(member: Option<&str>, name: &'static str) -> Result<Vec<u8>, Wrong> {
    let text = member.ok_or((name, "expected base64url, found nothing: a private key has it"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| (name, "expected base64url"))
}
