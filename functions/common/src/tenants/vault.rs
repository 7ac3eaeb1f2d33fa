//! What belongs to one tenant in the store: where it lies and under which keys.
//!
//! ```text
//! tenant/TENANT/u/r/DAY/…           what one request was, until it is summed up
//! tenant/TENANT/u/p/…               sums
//! tenant/TENANT/p/SUBJECT/PERSON/r/ID   a retained result
//! tenant/TENANT/p/SUBJECT/PERSON/f/ID   feedback
//! tenant/TENANT/p/SUBJECT/PERSON/q/last what the last questions looked like
//! ```
//!
//! TENANT, SUBJECT and PERSON are keyed hashes (HMAC-SHA-256, 128 bits, base64url): whatever an id holds, it cannot leave its
//! place, no name is longer than 255 bytes, and the names alone tell nobody who is meant (only how much there is, and of which
//! day). SUBJECT is of the subject's name, PERSON of the name with its issuer and the kind of credential: two issuers may have
//! a subject of the same name.
//!
//! Each tenant has a key of its own (HKDF-SHA-256), and each person in it one derived from that. What is sealed is bound to its
//! name, and so opens for no other tenant, person, kind or id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_policy::{CredentialKind, Principal, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keys::{NoRandomness, Sealer, Store, StoreError};

/// All names begin so.
pub(super) const PREFIX: &str = "tenant/";

/// How often what was deleted is looked for again.
const ROUNDS: usize = 3;

/// The space of one tenant, or of one person who has none.
///
/// Who belongs to no tenant has a space of their own, by kind of credential, issuer and subject: there is none that is shared by
/// all those. Nobody in particular (an anonymous caller) has none.
pub(super) struct TenantVault<'a> {
    principal: &'a Principal,
    /// With a slash at its end.
    base: String,
    key: Secret,
}

/// Why an entry cannot be had. For the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum VaultError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// An entry is not what was written there.
    #[error(
        "the entry {0:?} does not open: expected the tenant_key that it was stored under, and its own content"
    )]
    NotOpened(String),
    /// Entries come and go faster than they are read or deleted.
    #[error("the entries {0:?} change all the time")]
    Unsteady(String),
}

/// What an entry of a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Result,
    Feedback,
    /// What the last questions looked like.
    Queries,
}

impl Kind {
    fn segment(self) -> &'static str {
        match self {
            Self::Result => "r",
            Self::Feedback => "f",
            Self::Queries => "q",
        }
    }
}

/// An entry's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'n> {
    pub(super) name: &'n str,
    /// SUBJECT/PERSON.
    pub(super) person: &'n str,
    pub(super) kind: Kind,
    pub(super) id: &'n str,
}

impl<'a> TenantVault<'a> {
    /// The space that a caller's credential leads to; nothing of a request has a say in it. `None` for who is nobody in particular.
    pub(super) fn of(principal: &'a Principal, tenant_key: &Secret) -> Option<Self> {
        if principal.via == CredentialKind::Anonymous || principal.subject.is_empty() {
            return None;
        }
        let parts = match tenant(principal) {
            Some(tenant) => vec!["tenant", tenant],
            None => {
                let issuer = principal.issuer.as_deref();
                person_parts(principal.via, &principal.subject, issuer)
            }
        };
        let names = derive(tenant_key, "portcullis tenants: names of tenants", &[])?;
        let key = derive(tenant_key, "portcullis tenants: what is kept of a tenant", &parts)?;
        Some(Self { principal, base: format!("{PREFIX}{}/", hashed(&names, &parts)?), key })
    }

    /// What all names of this space begin with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// Whether the space is its caller's alone.
    pub(super) fn is_personal(&self) -> bool {
        tenant(self.principal).is_none()
    }

    /// What its owner is called: the tenant's id, or the subject.
    pub(super) fn owner(&self) -> &'a str {
        tenant(self.principal).unwrap_or(&self.principal.subject)
    }

    /// SUBJECT of a subject.
    pub(super) fn subject(&self, subject: &str) -> Option<String> {
        hashed(&self.names()?, &["subject", subject])
    }

    /// SUBJECT/PERSON of a subject.
    pub(super) fn person(
        &self,
        via: CredentialKind,
        subject: &str,
        issuer: Option<&str>,
    ) -> Option<String> {
        let person = hashed(&self.names()?, &person_parts(via, subject, issuer))?;
        Some(format!("{}/{person}", self.subject(subject)?))
    }

    /// The caller's own.
    pub(super) fn own_person(&self) -> Option<String> {
        let Principal { via, subject, issuer, .. } = self.principal;
        self.person(*via, subject, issuer.as_deref())
    }

    pub(super) fn name(&self, person: &str, kind: Kind, id: &str) -> String {
        format!("{}p/{person}/{}/{id}", self.base, kind.segment())
    }

    /// Takes the name of a person's entry in this space apart.
    pub(super) fn place<'n>(&self, name: &'n str) -> Option<Place<'n>> {
        place(name).filter(|_| name.starts_with(&self.base))
    }

    /// Under what a part of the usage is sealed.
    pub(super) fn usage_sealer(&self, part: &str) -> Result<Sealer, VaultError> {
        let sealer = Sealer::derive(&self.key, &info("portcullis tenants: usage", &[part]));
        sealer.ok_or_else(|| VaultError::NotOpened(self.base.clone()))
    }

    /// Seals and writes an entry.
    pub(super) async fn write(
        &self,
        store: &impl Store,
        place: Place<'_>,
        content: &[u8],
    ) -> Result<(), VaultError> {
        let sealer = self.sealer(place)?;
        Ok(store.set(place.name, sealer.seal(place.name, content)?).await?)
    }

    /// Reads and opens an entry, if it is there.
    pub(super) async fn read(
        &self,
        store: &impl Store,
        place: Place<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(sealed) = store.value(place.name).await? else { return Ok(None) };
        let content = self.sealer(place)?.open(place.name, &sealed);
        content.map(Some).map_err(|_| VaultError::NotOpened(place.name.to_owned()))
    }

    /// What stands for a text in this space: the same text has another digest in each.
    pub(super) fn digest(&self, text: &str) -> Option<String> {
        let key = derive(&self.key, "portcullis tenants: digests of texts", &[])?;
        Some(hexadecimal(&mac(&key, &[text])?))
    }

    /// Deletes everything whose name begins with one of these, and looks whether it is gone. Counts what it deleted.
    pub(super) async fn erase(
        &self,
        store: &impl Store,
        beginnings: &[String],
    ) -> Result<usize, VaultError> {
        let mut erased = 0_usize;
        for _ in 0..=ROUNDS {
            let mut names = store.names().await?;
            names.retain(|name| {
                name.starts_with(&self.base) && beginnings.iter().any(|b| name.starts_with(b))
            });
            if names.is_empty() {
                return Ok(erased);
            }
            for name in &names {
                store.delete(name).await?;
                erased = erased.saturating_add(1);
            }
        }
        Err(VaultError::Unsteady(self.base.clone()))
    }

    fn names(&self) -> Option<Secret> {
        derive(&self.key, "portcullis tenants: names of persons", &[])
    }

    /// Under what a person's entries are sealed. It follows from the name, so that a tenant's whole data can be read.
    fn sealer(&self, place: Place<'_>) -> Result<Sealer, VaultError> {
        let not_opened = || VaultError::NotOpened(place.name.to_owned());
        if !place.name.starts_with(&self.base) {
            return Err(not_opened());
        }
        let purpose = "portcullis tenants: what is kept of a person";
        Sealer::derive(&self.key, &info(purpose, &[place.person])).ok_or_else(not_opened)
    }
}

/// Takes the name of any tenant's entry about a person apart.
pub(super) fn place(name: &str) -> Option<Place<'_>> {
    let (_, path) = name.strip_prefix(PREFIX)?.split_once("/p/")?;
    let (rest, id) = path.rsplit_once('/')?;
    let (person, kind) = rest.rsplit_once('/')?;
    let kind = match kind {
        "r" => Kind::Result,
        "f" => Kind::Feedback,
        "q" => Kind::Queries,
        _ => return None,
    };
    Some(Place { name, person, kind, id })
}

/// The tenant. An empty name is none: those who have one have nothing in common.
fn tenant(principal: &Principal) -> Option<&str> {
    principal.tenant.as_deref().filter(|tenant| !tenant.is_empty())
}

fn person_parts<'a>(
    via: CredentialKind,
    subject: &'a str,
    issuer: Option<&'a str>,
) -> Vec<&'a str> {
    ["person", via.as_str(), subject].into_iter().chain(issuer).collect()
}

/// A key for one purpose (HKDF-SHA-256, RFC 5869). `None` cannot happen: the length asked for is a fixed one.
fn derive(key: &Secret, purpose: &str, parts: &[&str]) -> Option<Secret> {
    let mut derived = Zeroizing::new(vec![0; 32]);
    Hkdf::<Sha256>::new(None, key.expose()).expand(&info(purpose, parts), &mut derived).ok()?;
    Secret::from_bytes(derived).ok()
}

/// No two lists of parts are written alike.
fn info(purpose: &str, parts: &[&str]) -> Vec<u8> {
    let mut info = Vec::new();
    for part in [purpose].iter().chain(parts) {
        info.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        info.extend(part.as_bytes());
    }
    info
}

/// HMAC-SHA-256. `None` cannot happen: it takes a key of any length.
fn mac(key: &Secret, parts: &[&str]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
    mac.update(&info("", parts));
    Some(mac.finalize().into_bytes().into())
}

/// What stands for ids in names.
fn hashed(key: &Secret, parts: &[&str]) -> Option<String> {
    let mac = mac(key, parts)?;
    mac.first_chunk::<16>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// In lower case.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
