//! Keys that are agreed upon: ECDH-ES+A256KW (RFC 7518 §4.6) on the curve P-256.

use aes_gcm::aead::KeyInit as _;
use aes_gcm::aes::Aes256;
use aes_kw::AesKw;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::compact::decode;
use super::kdf::concat_kdf;
use super::{Algorithm, ContentKey};
use crate::keys::{Kind, NoRandomness, PublicPoint};

/// A key pair of the function's. Wiped when dropped, never printed.
pub struct AgreementKey {
    private: SecretKey,
    public: PublicPoint,
}

/// What the sender of a message brings to the agreement.
#[derive(Debug)]
pub(super) struct Agreement {
    /// The sender's public key for this one message.
    pub(super) ephemeral: PublicKey,
    pub(super) apu: Vec<u8>,
    pub(super) apv: Vec<u8>,
}

impl AgreementKey {
    /// The content's key; `None` where it was not wrapped for this key.
    pub(super) fn unwrap(&self, agreement: &Agreement, wrapped: &[u8]) -> Option<ContentKey> {
        let wrapper = wrapper(&self.private, agreement)?;
        let mut key = Zeroizing::new([0; 32]);
        // A shorter one would leave zeros in it.
        let unwrapped = wrapper.unwrap_key(wrapped, key.as_mut_slice()).ok()?;
        (unwrapped.len() == 32).then_some(key)
    }
}

impl Kind for AgreementKey {
    const PREFIX: &'static str = "jwe/key/";
    const SEALED_FOR: &'static str = "portcullis jwe: decryption keys at rest, AES-256-GCM";
    /// A day, for those who keep a public key that long.
    const RETAINED_SECONDS: u64 = 24 * 3600;

    fn generate() -> Result<Self, NoRandomness> {
        PublicPoint::generate(Self::from_bytes)
    }

    fn from_bytes(private: &[u8]) -> Option<Self> {
        let private: &[u8; 32] = private.try_into().ok()?;
        let private = SecretKey::from_slice(private).ok()?;
        let public = public_point(&private.public_key())?;
        Some(Self { private, public })
    }

    fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.private.to_bytes().into())
    }

    fn id(&self) -> &str {
        self.public.id()
    }

    fn public_jwk(&self) -> Value {
        self.public.jwk("enc", Algorithm::EcdhEsA256Kw.as_str())
    }
}

/// Wraps the content's key for whose public key this is, and gives the public key that the header needs.
pub(super) fn wrap(content: &ContentKey, to: &PublicKey) -> Result<(Value, Vec<u8>), NoRandomness> {
    let own = PublicPoint::generate(|bytes| SecretKey::from_slice(bytes).ok())?;
    let epk = public_point(&own.public_key()).ok_or(NoRandomness)?.members();
    let agreement = Agreement { ephemeral: *to, apu: Vec::new(), apv: Vec::new() };
    let wrapper = wrapper(&own, &agreement).ok_or(NoRandomness)?;
    let mut wrapped = vec![0; 40];
    // The lengths fit.
    wrapper.wrap_key(content.as_slice(), &mut wrapped).map_err(|_| NoRandomness)?;
    Ok((epk, wrapped))
}

fn wrapper(own: &SecretKey, agreement: &Agreement) -> Option<AesKw<Aes256>> {
    let Agreement { ephemeral, apu, apv } = agreement;
    let shared = own.diffie_hellman(ephemeral);
    let algorithm = Algorithm::EcdhEsA256Kw.as_str();
    let key = concat_kdf(shared.raw_secret_bytes(), algorithm, apu, apv, 256);
    AesKw::new_from_slice(key.as_slice()).ok()
}

/// The key that a JSON Web Key (RFC 7518 §6.2.1) is. It is on the curve: with another point, answers would give away the
/// private key bit by bit.
pub(super) fn public_key(jwk: &Map<String, Value>) -> Option<PublicKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("kty") != Some("EC") || text("crv") != Some("P-256") || jwk.contains_key("d") {
        return None;
    }
    let coordinate = |name| text(name).and_then(decode).filter(|bytes| bytes.len() == 32);
    let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
    PublicKey::from_sec1_bytes(&point).ok()
}

fn public_point(key: &PublicKey) -> Option<PublicPoint> {
    PublicPoint::from_sec1(key.to_sec1_point(false).as_bytes())
}
