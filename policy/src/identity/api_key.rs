//! API keys: a public id to find them by and a random secret, of which only a digest is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::source::Source;
use crate::document::{ApiKeyEntry, ApiKeySection};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::remote::Refreshed;
use crate::stages::{Interruption, Question};
use crate::{CredentialKind, Environment, Principal, Secret, Secrets};

/// What all keys begin with, so that scanners for leaked secrets find them.
const PREFIX: &str = "pcl_";

/// Random bytes in the secret part: twice the 128 bits that are out of reach of guessing.
const SECRET_BYTES: usize = 32;

/// Bytes in an id.
const ID_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

const DIGEST_PREFIX: &str = "hmac-sha256:";

/// A whole API key, `pcl_ID_SECRET`. Wiped when dropped, never printed by `Debug`.
pub struct ApiKey {
    text: Zeroizing<String>,
    id_end: usize,
}

/// Why a text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected pcl_ID_SECRET: an id of 4 to 32 lower-case letters and digits, a secret of 43 base64url characters"
)]
pub struct ApiKeyError;

impl ApiKey {
    /// Makes a key of an id and 32 random bytes.
    pub fn new(id: &str, secret: &[u8; SECRET_BYTES]) -> Result<Self, ApiKeyError> {
        Self::parse(&Zeroizing::new(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret))))
    }

    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError)?;
        let (id, secret) = rest.split_once('_').ok_or(ApiKeyError)?;
        if !is_id(id) {
            return Err(ApiKeyError);
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).map(Zeroizing::new).map_err(|_| ApiKeyError)?;
        if secret.len() != SECRET_BYTES {
            return Err(ApiKeyError);
        }
        let id_end = PREFIX.len().saturating_add(id.len());
        Ok(Self { text: Zeroizing::new(text.to_owned()), id_end })
    }

    /// The public part.
    pub fn id(&self) -> &str {
        self.text.get(PREFIX.len()..self.id_end).unwrap_or_default()
    }

    /// The key itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored: `hmac-sha256:` and the HMAC-SHA-256 of the whole key under the pepper, in base64url.
    pub fn digest(&self, pepper: &Secret) -> String {
        format!("{DIGEST_PREFIX}{}", URL_SAFE_NO_PAD.encode(hmac(pepper, self.text.as_bytes())))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id())
    }
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ID_BYTES.contains(&id.len()) && id.bytes().all(plain)
}

/// A compiled `identity.api_keys` section.
#[derive(Debug)]
pub(crate) struct ApiKeyRules {
    pub(super) sources: Vec<Source>,
    pepper: Secret,
    keys: BTreeMap<String, StoredKey>,
}

#[derive(Debug)]
struct StoredKey {
    digest: [u8; 32],
    principal: Arc<Principal>,
}

impl ApiKeyRules {
    pub(crate) fn compile(
        section: &ApiKeySection,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        const FIELD: &str = "identity.api_keys";
        let pepper = CompileError::secret(secrets, &section.pepper, &format!("{FIELD}.pepper"))?;
        let mut keys = BTreeMap::new();
        for (index, entry) in section.keys.iter().enumerate() {
            let field = format!("{FIELD}.keys[{index}]");
            let stored = StoredKey::compile(entry, &field)?;
            if keys.insert(entry.id.clone(), stored).is_some() {
                let message = "expected an id that no other key has";
                return Err(CompileError::new(format!("{field}.id"), message));
            }
        }
        Ok(Self {
            sources: Source::compile_all(&section.sources, &format!("{FIELD}.sources"))?,
            pepper,
            keys,
        })
    }

    /// Whether a credential is meant as an API key.
    pub(super) fn is_key(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// What is fetched.
    pub(super) fn remote(&self) -> Option<Arc<dyn Refreshed>> {
        None
    }

    /// Whose key it is. Unknown keys take as long as wrong ones, and are refused in the same words.
    pub(super) fn verify(
        &self,
        text: &str,
        _question: &Question<'_>,
        _environment: &mut dyn Environment,
    ) -> Result<Arc<Principal>, Interruption> {
        let refusal =
            || Refusal::new(Reason::ApiKeyInvalid, "Check the key, or ask for a new one.");
        let key = ApiKey::parse(text).map_err(|_| refusal())?;
        let digest = hmac(&self.pepper, key.text.as_bytes());
        let stored = self.keys.get(key.id());
        let expected = stored.map_or([0; 32], |stored| stored.digest);
        let matches = bool::from(digest.ct_eq(&expected));
        match stored {
            Some(stored) if matches => Ok(Arc::clone(&stored.principal)),
            _ => Err(refusal().into()),
        }
    }
}

impl StoredKey {
    fn compile(entry: &ApiKeyEntry, field: &str) -> Result<Self, CompileError> {
        if !is_id(&entry.id) {
            let message = "expected 4 to 32 lower-case letters and digits";
            return Err(CompileError::new(format!("{field}.id"), message));
        }
        let digest = entry.digest.strip_prefix(DIGEST_PREFIX);
        let digest = digest.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or_else(|| {
            let message = "expected hmac-sha256: and 32 bytes in base64url, as `portcullis key new` prints";
            CompileError::new(format!("{field}.digest"), message)
        })?;
        if entry.owner.is_empty() {
            let message = "expected a text that is not empty";
            return Err(CompileError::new(format!("{field}.owner"), message));
        }
        let sorted = |words: &[String]| {
            let mut words = words.to_vec();
            words.sort_unstable();
            words.dedup();
            words
        };
        let principal = Principal {
            issuer: None,
            plan: entry.plan.clone(),
            subject: entry.owner.clone(),
            tenant: entry.tenant.clone(),
            roles: sorted(&entry.roles),
            scopes: sorted(&entry.scopes),
            via: CredentialKind::ApiKey,
            credential_id: Some(entry.id.clone()),
        };
        Ok(Self { digest, principal: Arc::new(principal) })
    }
}

fn hmac(pepper: &Secret, message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length (RFC 2104 §2), so this cannot fail; zeros match no digest.
    Hmac::<Sha256>::new_from_slice(pepper.expose())
        .map(|mut mac| {
            mac.update(message);
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::access::Target;
    use crate::document::{CredentialSource, SecretSource};
    use crate::identity::Required;
    use crate::testing::TestEnvironment;

    fn pepper() -> Secret {
        Secret::from_bytes(Zeroizing::new(vec![3; 32])).unwrap()
    }

    fn rules(key: &ApiKey) -> Result<ApiKeyRules, CompileError> {
        let section = ApiKeySection {
            sources: vec![CredentialSource {
                header: Some("X-API-Key".into()),
                ..Default::default()
            }],
            pepper: SecretSource { env: "PEPPER".into() },
            keys: vec![ApiKeyEntry {
                tenant: Some("acme".into()),
                roles: vec!["caller".into()],
                ..ApiKeyEntry::new(key.id(), key.digest(&pepper()), "batch")
            }],
            file: None,
            remote: None,
        };
        let secrets =
            BTreeMap::from([("PEPPER".to_owned(), URL_SAFE_NO_PAD.encode(pepper().expose()))]);
        ApiKeyRules::compile(&section, &secrets)
    }

    fn verify(rules: &ApiKeyRules, text: &str) -> Result<Arc<Principal>, Interruption> {
        let headers = [(":path".to_owned(), b"/".to_vec())];
        let question = Question {
            headers: &headers,
            target: &Target::read(&headers).unwrap(),
            source: None,
            client_certificate: None,
            required: &Required::default(),
            route: Some("predict"),
            since: Timestamp(0),
        };
        rules.verify(text, &question, &mut TestEnvironment::new())
    }

    fn reason(verdict: Result<Arc<Principal>, Interruption>) -> Reason {
        match verdict {
            Err(Interruption::Refused(refusal)) => refusal.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_key_itself_is_accepted() {
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        let rules = rules(&key).unwrap();
        let principal = verify(&rules, key.expose()).unwrap();
        assert_eq!((principal.subject.as_str(), principal.via), ("batch", CredentialKind::ApiKey));

        let other = ApiKey::new("batch1", &[8; 32]).unwrap();
        let unknown = ApiKey::new("batch2", &[9; 32]).unwrap();
        let stored = key.digest(&pepper());
        for attempt in [
            other.expose(),
            unknown.expose(),
            stored.as_str(),
            "",
            "pcl_",
            "pcl_batch1_",
            "pcl_batch1",
            &key.expose()[..key.expose().len() - 1],
            &format!("{} ", key.expose()),
            &key.expose().to_uppercase(),
        ] {
            assert_eq!(reason(verify(&rules, attempt)), Reason::ApiKeyInvalid, "{attempt}");
        }
    }

    #[test]
    fn a_key_whose_digest_were_zero_opens_nothing() {
        // An unknown id is compared with zeros; that comparison must never count.
        let rules = rules(&ApiKey::new("batch1", &[9; 32]).unwrap()).unwrap();
        let unknown = ApiKey::new("nobody", &[0; 32]).unwrap();
        assert_eq!(reason(verify(&rules, unknown.expose())), Reason::ApiKeyInvalid);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(batch1)");
    }
}
