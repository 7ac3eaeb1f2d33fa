//! An issuer for every algorithm, and hosts to verify on. It signs with ring, so that nothing is verified by the code that
//! signed it; ring does not know P-521.
#![allow(dead_code, reason = "each test file uses some of it")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p521::ecdsa::signature::Signer as _;
use portcullis_policy::identity::{Algorithm, KeySet, Token};
use portcullis_policy::{
    Environment, NativeSignature, Reason, Swap, Timestamp, Unavailable, Version,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Value, json};

pub(crate) const RSA_PEM: &str = include_str!("../signatures/rsa.pem");

/// Signs with one algorithm; its key is called `k`.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    pub(crate) jwk: Value,
    signer: Signer,
}

enum Signer {
    Elliptic(EcdsaKeyPair),
    P521(p521::ecdsa::SigningKey),
    Edwards(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Symmetric(hmac::Key),
}

impl Issuer {
    /// A new key, but for RSA, of which there is one.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let (signer, mut jwk) = match algorithm {
            Algorithm::Rs256 => rsa_key(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa_key(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa_key(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa_key(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa_key(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa_key(&RSA_PSS_SHA512),
            Algorithm::Es256 => elliptic("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => elliptic("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Es512 => {
                let key = p521::ecdsa::SigningKey::from_slice(&{
                    let mut bytes = random(66);
                    bytes[0] = 0;
                    bytes
                })
                .unwrap();
                let point = p521::ecdsa::VerifyingKey::from(&key).to_sec1_point(false);
                let jwk = elliptic_jwk("P-521", point.as_bytes());
                (Signer::P521(key), jwk)
            }
            Algorithm::EdDsa => {
                let key = Ed25519KeyPair::from_seed_unchecked(&random(32)).unwrap();
                let x = encode(key.public_key());
                (Signer::Edwards(key), json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
            }
            Algorithm::Hs256 => symmetric(hmac::HMAC_SHA256),
            Algorithm::Hs384 => symmetric(hmac::HMAC_SHA384),
            Algorithm::Hs512 => symmetric(hmac::HMAC_SHA512),
        };
        jwk["kid"] = "k".into();
        jwk["alg"] = algorithm.as_str().into();
        Self { algorithm, jwk, signer }
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Algorithm::ALL.into_iter().map(Self::new)
    }

    /// The key set that it publishes.
    pub(crate) fn keys(&self) -> Value {
        json!({"keys": [self.jwk]})
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Elliptic(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Signer::Edwards(key) => key.sign(message).as_ref().to_vec(),
            Signer::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Symmetric(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// A good token with further header parameters, or other values for its own.
    pub(crate) fn token(&self, header: &Value) -> String {
        self.signed(self.header(header), r#"{"sub":"alice"}"#)
    }

    /// A token of any header and any payload.
    pub(crate) fn signed(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.signed_as_is(&format!("{}.{}", encode(header), encode(payload)))
    }

    /// A token of what is encoded already, somehow.
    pub(crate) fn signed_as_is(&self, signed: &str) -> String {
        with_signature(signed, &self.sign(signed.as_bytes()))
    }

    pub(crate) fn header(&self, changes: &Value) -> String {
        let mut header = json!({"alg": self.algorithm.as_str(), "kid": "k"});
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.to_string()
    }
}

/// A host that verifies natively, or does not, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) answer: Option<bool>,
    pub(crate) asked: Vec<(String, Vec<u8>, Vec<u8>)>,
}

impl Host {
    /// Says yes to anything.
    pub(crate) fn gullible() -> Self {
        Self { answer: Some(true), ..Self::default() }
    }
}

impl Environment for Host {
    fn now(&mut self) -> Timestamp {
        Timestamp(1_700_000_000_000_000_000)
    }

    fn random(&mut self, _: &mut [u8]) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    fn source(&mut self) -> Option<std::net::IpAddr> {
        None
    }

    fn load(&mut self, _: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Err(Unavailable)
    }

    fn compare_and_swap(
        &mut self,
        _: &str,
        _: Option<Version>,
        _: &[u8],
    ) -> Result<Swap, Unavailable> {
        Err(Unavailable)
    }

    fn verify_signature(&mut self, signature: &NativeSignature<'_>) -> Option<bool> {
        let NativeSignature { hash, public_key, signature, .. } = *signature;
        self.asked.push((hash.to_owned(), public_key.to_vec(), signature.to_vec()));
        self.answer
    }
}

pub(crate) fn verify(keys: &Value, token: &str) -> Result<(), Reason> {
    verify_on(keys, token, &mut Host::default())
}

pub(crate) fn verify_on(keys: &Value, token: &str, host: &mut Host) -> Result<(), Reason> {
    let keys = KeySet::from_value(keys).unwrap();
    let token = Token::parse(token).map_err(|refusal| refusal.reason)?;
    keys.verify_compact(token.text, host).map_err(|refusal| refusal.reason)
}

pub(crate) fn parse(token: &str) -> Token<'_> {
    Token::parse(token).unwrap()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A token of a header, claims and any signature.
pub(crate) fn with_signature(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", encode(signature))
}

/// A token by HMAC under any key.
pub(crate) fn by_hmac(algorithm: hmac::Algorithm, key: &[u8], header: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(r#"{"sub":"admin"}"#));
    let code = hmac::sign(&hmac::Key::new(algorithm, key), signed.as_bytes());
    with_signature(&signed, code.as_ref())
}

pub(crate) fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

fn rsa_key(encoding: &'static dyn RsaEncoding) -> (Signer, Value) {
    let base64 = RSA_PEM.split_once("-----\n").unwrap().1.split_once("-----END").unwrap().0;
    let der = STANDARD.decode(base64.replace('\n', "")).unwrap();
    let key = RsaKeyPair::from_pkcs8(&der).unwrap();
    let public: rsa::PublicKeyComponents<Vec<u8>> = key.public().into();
    let jwk = json!({"kty": "RSA", "n": encode(public.n), "e": encode(public.e)});
    (Signer::Rsa(key, encoding), jwk)
}

fn elliptic(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> (Signer, Value) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let jwk = elliptic_jwk(curve, key.public_key().as_ref());
    (Signer::Elliptic(key), jwk)
}

fn elliptic_jwk(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

fn symmetric(algorithm: hmac::Algorithm) -> (Signer, Value) {
    let secret = random(algorithm.digest_algorithm().output_len());
    let key = hmac::Key::new(algorithm, &secret);
    (Signer::Symmetric(key), json!({"kty": "oct", "k": encode(secret)}))
}
