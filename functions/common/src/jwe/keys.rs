//! The function's keys, and what they decrypt.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::compact::Compact;
use super::content::open;
use super::header::{Header, Recipient, Sender};
use super::oaep::RsaKey;
use super::reply_key::MISSING;
use super::{AgreementKey, JweError, JweSettings, ReplyKey};
use crate::keys::{Keyring, KeyringError, Kind as _, Rotation, Store, random};

/// The keys at one time: those that the function makes and replaces itself, and the operator's.
pub struct DecryptionKeys<'a> {
    settings: &'a JweSettings,
    /// `None` where there is nothing to encrypt them under.
    own: Option<Keyring<AgreementKey>>,
}

/// A request that was encrypted. Its content is not printed.
pub struct Decrypted {
    /// As hostile as any body.
    pub content: Zeroizing<Vec<u8>>,
    /// Its media type: what `cty` says, or `application/json`.
    pub content_type: String,
    /// What every answer from here on is to be encrypted to.
    pub reply_key: ReplyKey,
    /// Who it says it is from.
    pub sender: Sender,
}

impl<'a> DecryptionKeys<'a> {
    /// Reads the keys; makes and deletes some where it is time to.
    pub async fn open(
        settings: &'a JweSettings,
        store: &impl Store,
        now: u64,
    ) -> Result<Self, KeyringError> {
        let own = match &settings.sealer {
            Some(sealer) => {
                Some(Keyring::open(store, sealer, now, settings.rotation_seconds).await?)
            }
            None => None,
        };
        Ok(Self { settings, own })
    }

    /// The keys to encrypt to now (RFC 7517 §5), one of each kind: those that came before still decrypt, and are told to
    /// nobody. To be cached for an hour at most.
    pub fn public_set(&self) -> Value {
        let own = self.own.as_ref().and_then(Keyring::current).map(AgreementKey::public_jwk);
        let rsa = self.settings.rsa.first().map(RsaKey::public_jwk);
        json!({ "keys": own.into_iter().chain(rsa).collect::<Vec<_>>() })
    }

    /// Makes a new key, if the function makes any and none waits already; it takes over in an hour.
    pub async fn rotate(&mut self, store: &impl Store) -> Result<Option<Rotation>, KeyringError> {
        match (&mut self.own, &self.settings.sealer) {
            (Some(own), Some(sealer)) => own.rotate(store, sealer).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Decrypts a request.
    ///
    /// What is looked at before a private key is used is what its sender wrote, and the sender may know how long that
    /// takes. From there on all is the same whatever is wrong: where the content's key cannot be had, decryption goes on
    /// with a random one and fails in the end (RFC 7516 §11.5), so that neither the answer nor its time tells whether a
    /// padding was good.
    pub fn decrypt(&self, body: &[u8]) -> Result<Decrypted, JweError> {
        let (header, content) = self.open_message(body)?;
        // Told only to who has sent this very message.
        let reply_key = ReplyKey::from_jwk(header.reply_jwk.as_ref().ok_or(MISSING)?)?;
        let Header { content_type, sender, .. } = header;
        Ok(Decrypted { content, content_type, reply_key, sender })
    }

    pub(super) fn open_message(
        &self,
        body: &[u8],
    ) -> Result<(Header, Zeroizing<Vec<u8>>), JweError> {
        let Compact { encoded_header, header, encrypted_key, iv, mut ciphertext, tag } =
            Compact::split(body)?;
        let header = Header::read(&header)?;
        // A key is for its own algorithm only, so that of the header decides among which it is looked for.
        const UNKNOWN: JweError = JweError::Refused("expected the kid of a key for this alg");
        let content_key = match &header.recipient {
            Recipient::Rsa => {
                let key = self.settings.rsa.iter().find(|key| key.id() == header.key_id);
                key.ok_or(UNKNOWN)?.unwrap(&encrypted_key)
            }
            Recipient::Agreement(agreement) => {
                let mut keys = self.own.iter().flat_map(Keyring::all);
                let key = keys.find(|key| key.id() == header.key_id);
                key.ok_or(UNKNOWN)?.unwrap(agreement, &encrypted_key)
            }
        };
        let substitute = random::<32>()?;
        let content_key = content_key.unwrap_or(substitute);
        open(&content_key, &iv, encoded_header, &mut ciphertext, &tag).ok_or(JweError::Refused(
            "expected a message that was encrypted to this key, unchanged",
        ))?;
        Ok((header, ciphertext))
    }
}

impl std::fmt::Debug for Decrypted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decrypted").finish_non_exhaustive()
    }
}
