//! Private JSON Web Keys (RFC 7517), to sign with.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p521::ecdsa::signature::Signer as _;
use portcullis_policy::identity::{Algorithm, Key};
use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{digest, hmac};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Failure;
use crate::cli::input_file;

/// A key that signs, and by which algorithm.
pub(super) struct PrivateKey {
    id: Option<String>,
    algorithm: Algorithm,
    /// The public key; a secret has none.
    public: Option<Value>,
    material: Material,
}

enum Material {
    Elliptic(EcdsaKeyPair),
    P521(Box<p521::ecdsa::SigningKey>),
    Edwards(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Symmetric(hmac::Key),
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
        let (algorithm, material) = jwk.material().map_err(|(field, expected)| {
            Failure::input(format_args!("{shown}: {field}: {expected}"))
        })?;
        Ok(Self { public: jwk.public(), id: jwk.kid, algorithm, material })
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The `alg` of what it signs.
    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm.as_str()
    }

    /// The public key, a JSON Web Key with its required members only.
    ///
    /// # Errors
    ///
    /// It is a secret.
    pub(super) fn public(&self) -> Result<&Value, Failure> {
        let expected = "expected a key for DPoP (RFC 9449), which is no secret that others share";
        self.public.as_ref().ok_or_else(|| Failure::input(expected))
    }

    /// The public key's thumbprint (RFC 7638), in base64url.
    ///
    /// # Errors
    ///
    /// It is a secret, or no gate would take it.
    pub(super) fn thumbprint(&self) -> Result<String, Failure> {
        let key = Key::from_public_jwk(self.public()?).map_err(Failure::input)?;
        key.thumbprint().ok_or_else(|| Failure::runtime("a public key without a thumbprint"))
    }

    /// Signs a JSON Web Token (RFC 7519 §7.1).
    pub(super) fn sign_token(&self, header: &Value, claims: &Value) -> Result<String, Failure> {
        let signed =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let random: &dyn SecureRandom = &SystemRandom::new();
        let failed = |_| Failure::runtime("the key does not sign");
        match &self.material {
            Material::Elliptic(key) => {
                Ok(key.sign(random, message).map_err(failed)?.as_ref().to_vec())
            }
            Material::P521(key) => {
                let signature: p521::ecdsa::Signature =
                    key.try_sign(message).map_err(|_| Failure::runtime("the key does not sign"))?;
                Ok(signature.to_bytes().to_vec())
            }
            Material::Edwards(key) => Ok(key.sign(message).as_ref().to_vec()),
            Material::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Material::Symmetric(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

/// A member, and what was expected there.
type Wrong = (&'static str, &'static str);

impl Jwk {
    fn material(&self) -> Result<(Algorithm, Material), Wrong> {
        let declared = match self.alg.as_deref() {
            None => None,
            Some(name) => {
                Some(Algorithm::named(name).ok_or(("alg", "expected a signature algorithm"))?)
            }
        };
        // What the curve says is all there is to say.
        let only = |algorithm: Algorithm, expected| match declared {
            Some(name) if name != algorithm => Err(("alg", expected)),
            _ => Ok(algorithm),
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let algorithm = only(Algorithm::Es256, "expected ES256 for this key")?;
                Ok((algorithm, self.elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING)?))
            }
            ("EC", Some("P-384")) => {
                let algorithm = only(Algorithm::Es384, "expected ES384 for this key")?;
                Ok((algorithm, self.elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING)?))
            }
            ("EC", Some("P-521")) => {
                Ok((only(Algorithm::Es512, "expected ES512 for this key")?, self.p521()?))
            }
            ("OKP", Some("Ed25519")) => {
                Ok((only(Algorithm::EdDsa, "expected EdDSA for this key")?, self.edwards()?))
            }
            ("RSA", _) => self.rsa(declared.unwrap_or(Algorithm::Rs256)),
            ("oct", _) => self.symmetric(declared),
            ("EC", _) => Err(("crv", "expected P-256, P-384 or P-521")),
            ("OKP", _) => Err(("crv", "expected Ed25519")),
            _ => Err(("kty", "expected EC, OKP, RSA or oct")),
        }
    }

    fn public(&self) -> Option<Value> {
        let Self { kty, crv, x, y, n, e, .. } = self;
        match kty.as_str() {
            "EC" => Some(json!({ "kty": kty, "crv": crv, "x": x, "y": y })),
            "OKP" => Some(json!({ "kty": kty, "crv": crv, "x": x })),
            "RSA" => Some(json!({ "kty": kty, "n": n, "e": e })),
            _ => None,
        }
    }

    fn elliptic(&self, algorithm: &'static EcdsaSigningAlgorithm) -> Result<Material, Wrong> {
        let private = secret(&self.d, "d")?;
        EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            &private,
            &self.point()?,
            &SystemRandom::new(),
        )
        .map(Material::Elliptic)
        .map_err(|_| NO_PAIR)
    }

    /// ring does not know this curve.
    fn p521(&self) -> Result<Material, Wrong> {
        let private = secret(&self.d, "d")?;
        let key = p521::ecdsa::SigningKey::from_slice(&private).map_err(|_| NO_PAIR)?;
        let point = p521::ecdsa::VerifyingKey::from(&key).to_sec1_point(false);
        match point.as_bytes() == self.point()? {
            true => Ok(Material::P521(Box::new(key))),
            false => Err(NO_PAIR),
        }
    }

    /// The public key, uncompressed (SEC 1 section 2.3.3).
    fn point(&self) -> Result<Vec<u8>, Wrong> {
        Ok([[4].as_slice(), &public(&self.x, "x")?, &public(&self.y, "y")?].concat())
    }

    fn edwards(&self) -> Result<Material, Wrong> {
        let (seed, x) = (secret(&self.d, "d")?, public(&self.x, "x")?);
        Ed25519KeyPair::from_seed_and_public_key(&seed, &x)
            .map(Material::Edwards)
            .map_err(|_| ("d", "expected an Ed25519 key whose d and x belong together"))
    }

    fn rsa(&self, algorithm: Algorithm) -> Result<(Algorithm, Material), Wrong> {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &RSA_PSS_SHA256,
            Algorithm::Ps384 => &RSA_PSS_SHA384,
            Algorithm::Ps512 => &RSA_PSS_SHA512,
            _ => return Err(("alg", "expected RS256, RS384, RS512, PS256, PS384 or PS512")),
        };
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: public(&self.n, "n")?, e: public(&self.e, "e")? },
            d: secret(&self.d, "d")?,
            p: secret(&self.p, "p")?,
            q: secret(&self.q, "q")?,
            dP: secret(&self.dp, "dp")?,
            dQ: secret(&self.dq, "dq")?,
            qInv: secret(&self.qi, "qi")?,
        };
        let key = RsaKeyPair::from_components(&components).map_err(|_| {
            ("n", "expected an RSA key of 2048 to 4096 bits whose members belong together")
        })?;
        Ok((algorithm, Material::Rsa(Box::new(key), encoding)))
    }

    /// Without `alg` a secret could be used with any algorithm.
    fn symmetric(&self, declared: Option<Algorithm>) -> Result<(Algorithm, Material), Wrong> {
        let (algorithm, hmac_algorithm) = match declared {
            Some(Algorithm::Hs256) => (Algorithm::Hs256, hmac::HMAC_SHA256),
            Some(Algorithm::Hs384) => (Algorithm::Hs384, hmac::HMAC_SHA384),
            Some(Algorithm::Hs512) => (Algorithm::Hs512, hmac::HMAC_SHA512),
            _ => return Err(("alg", "expected HS256, HS384 or HS512 for this key")),
        };
        let key = secret(&self.k, "k")?;
        let digest: &digest::Algorithm = hmac_algorithm.digest_algorithm();
        match key.len() >= digest.output_len() {
            true => Ok((algorithm, Material::Symmetric(hmac::Key::new(hmac_algorithm, &key)))),
            false => Err(("k", "expected as many bytes as the hash has (32, 48 or 64), or more")),
        }
    }
}

const NO_PAIR: Wrong = ("d", "expected a key of this curve whose d, x and y belong together");

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
