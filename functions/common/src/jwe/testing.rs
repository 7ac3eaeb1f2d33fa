//! Messages as callers make them, good and bad.

use std::sync::OnceLock;

use getrandom::SysRng;
use p256::SecretKey;
use rsa::PrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::agreement::{self, Agreement};
use super::compact::encode;
use super::content::seal;
use super::kdf::concat_kdf;
use super::oaep;
use super::{AgreementKey, ContentKey, DecryptionKeys, JweError, JweSettings};
use crate::keys::testing::{MemoryStore, NOW, run};

pub(super) const CONTENT: &[u8] = br#"{"text":"hello"}"#;
pub(super) const IV: [u8; 12] = [3; 12];

/// 32 bytes of 1 and of 2, in base64url.
pub(super) const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(super) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

/// An RSA key in PKCS #8, made as the tests begin.
pub(super) fn pem() -> &'static str {
    static PEM: OnceLock<Zeroizing<String>> = OnceLock::new();
    PEM.get_or_init(|| new_pem(2048))
}

pub(super) fn new_pem(bits: usize) -> Zeroizing<String> {
    PrivateKey::new(&mut SysRng, bits).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap()
}

pub(super) fn settings() -> &'static JweSettings {
    static SETTINGS: OnceLock<JweSettings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let variable = |name| match name {
            "key_encryption_key" => Some(KEY.to_owned()),
            "decryption_keys" => Some(pem().to_owned()),
            _ => None,
        };
        JweSettings::read(|name| variable(name).map(Zeroizing::new)).unwrap().unwrap()
    })
}

/// Keys of an instance of its own.
pub(super) fn keys() -> DecryptionKeys<'static> {
    run(DecryptionKeys::open(settings(), &MemoryStore::default(), NOW)).unwrap()
}

/// The published key of a kind.
pub(super) fn published(keys: &DecryptionKeys<'_>, kty: &str) -> Value {
    let set = keys.public_set();
    let found = set["keys"].as_array().unwrap().iter().find(|key| key["kty"] == kty).cloned();
    found.unwrap()
}

/// A caller's key, and the private part of it.
pub(super) fn caller() -> (AgreementKey, Value) {
    use crate::keys::Kind as _;
    let key = AgreementKey::generate().unwrap();
    let jwk = key.public_jwk();
    (key, jwk)
}

/// A message that is good, and every part of which can be changed before it is written.
pub(super) struct Message {
    pub(super) header: Value,
    pub(super) content_key: ContentKey,
    pub(super) encrypted_key: Vec<u8>,
    pub(super) content: Vec<u8>,
}

impl Message {
    pub(super) fn to(jwk: &Value) -> Self {
        Self::with_parties(jwk, None)
    }

    /// With `apu` and `apv`.
    pub(super) fn with_parties(jwk: &Value, parties: Option<(&[u8], &[u8])>) -> Self {
        let content_key = Zeroizing::new([5; 32]);
        let mut header = json!({
            "alg": jwk["alg"], "enc": "A256GCM", "kid": jwk["kid"], "reply_jwk": caller().1,
        });
        let public = jwk.as_object().unwrap();
        let encrypted_key = if jwk["kty"] == "RSA" {
            oaep::wrap(&content_key, &oaep::public_key(public).unwrap()).unwrap()
        } else {
            let to = agreement::public_key(public).unwrap();
            let (epk, wrapped) = match parties {
                None => agreement::wrap(&content_key, &to).unwrap(),
                Some((apu, apv)) => {
                    header["apu"] = encode(apu).into();
                    header["apv"] = encode(apv).into();
                    wrap_with(&content_key, &to, apu, apv)
                }
            };
            header["epk"] = epk;
            wrapped
        };
        Self { header, content_key, encrypted_key, content: CONTENT.to_vec() }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    pub(super) fn write(&self) -> String {
        self.write_with_header(&self.header.to_string())
    }

    pub(super) fn write_with_header(&self, header: &str) -> String {
        let header = encode(header);
        let mut content = self.content.clone();
        let tag = seal(&self.content_key, &IV, &header, &mut content).unwrap();
        let [key, iv, content, tag] =
            [&self.encrypted_key, IV.as_slice(), &content, tag.as_slice()].map(encode);
        [header, key, iv, content, tag].join(".")
    }
}

/// Wraps as others would, `apu` and `apv` included.
fn wrap_with(
    content: &ContentKey,
    to: &p256::PublicKey,
    apu: &[u8],
    apv: &[u8],
) -> (Value, Vec<u8>) {
    use aes_gcm::aead::KeyInit as _;
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    let own = SecretKey::from_slice(&[9; 32]).unwrap();
    let shared = own.diffie_hellman(to);
    let key = concat_kdf(shared.raw_secret_bytes(), "ECDH-ES+A256KW", apu, apv, 256);
    let mut wrapped = vec![0; 40];
    let wrapper = aes_kw::AesKw::<aes_gcm::aes::Aes256>::new_from_slice(key.as_slice()).unwrap();
    wrapper.wrap_key(content.as_slice(), &mut wrapped).unwrap();
    let point = own.public_key().to_sec1_point(false);
    let epk = crate::keys::PublicPoint::from_sec1(point.as_bytes()).unwrap().members();
    (epk, wrapped)
}

/// An agreement without `apu` and `apv`.
pub(super) fn agreement_of(ephemeral: p256::PublicKey) -> Agreement {
    Agreement { ephemeral, apu: Vec::new(), apv: Vec::new() }
}

/// Asserts that a message is refused, in the one way in which all are, and gives the reason that the log has.
pub(super) fn refused(keys: &DecryptionKeys<'_>, message: &str) -> &'static str {
    let error = keys.decrypt(message.as_bytes()).unwrap_err();
    let JweError::Refused(reason) = error else { panic!("{error}: {message}") };
    let reply = error.problem().reply();
    assert_eq!(reply, JweError::Refused("").problem().reply());
    assert_eq!(reply.status, 400);
    reason
}
