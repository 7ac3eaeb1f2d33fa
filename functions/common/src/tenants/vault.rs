//! What belongs to one tenant in the store: where it lies and under which keys.
//!
//! ```text
//! tenant/KEY.TENANT/u/r/DAY/…           what one request was, until it is summed up
//! tenant/KEY.TENANT/u/p/…               sums
//! tenant/KEY.TENANT/p/SUBJECT/PERSON/r/ID   a retained result
//! tenant/KEY.TENANT/p/SUBJECT/PERSON/f/ID   feedback
//! tenant/KEY.TENANT/p/SUBJECT/PERSON/q/last what the last questions looked like
//! ```
//!
//! KEY says which of the operator's keys all the rest is under; with another one, all of it is called otherwise. TENANT, SUBJECT and PERSON are keyed hashes (HMAC-SHA-256, 128 bits, base64url): whatever an id holds, it cannot leave its
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

/// The operator's keys.
pub(super) struct TenantKeys {
    /// What is written is under this one.
    pub(super) current: TenantKey,
    /// What was written under these can still be read.
    pub(super) former: Vec<TenantKey>,
}

/// One of them.
pub(super) struct TenantKey {
    root: Root,
    /// What it is called in names, so that everybody sees under which key an entry is: part of a hash, and of no use for anything else.
    id: String,
}

/// A key that others are derived from (HKDF-SHA-256, RFC 5869). The first step of that is done once.
struct Root(Hkdf<Sha256>);

/// The space of one tenant, or of one person who has none.
///
/// Who belongs to no tenant has a space of their own, by kind of credential, issuer and subject: there is none that is shared by
/// all those. Nobody in particular (an anonymous caller) has none.
pub(super) struct TenantVault<'a> {
    principal: &'a Principal,
    current: Space,
    former: Vec<Space>,
}

/// What a tenant has under one of the operator's keys.
pub(super) struct Space {
    /// With a slash at its end.
    base: String,
    root: Root,
}

/// What is kept of the caller: where, and under which key.
pub(super) struct Own {
    person: String,
    sealer: Sealer,
}

/// Somebody in a tenant, whoever has written it down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person<'p> {
    pub(super) via: CredentialKind,
    pub(super) subject: &'p str,
    pub(super) issuer: Option<&'p str>,
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

impl TenantKey {
    /// `None` cannot happen: the length that is asked for is a fixed one.
    pub(super) fn new(secret: Secret) -> Option<Self> {
        const ID_BYTES: usize = 6;
        let root = Root::new(&secret);
        let id = root.derive("portcullis tenants: what the key is called", &[])?;
        let id = URL_SAFE_NO_PAD.encode(id.expose().get(..ID_BYTES)?);
        Some(Self { root, id })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl<'a> TenantVault<'a> {
    /// The space that a caller's credential leads to; nothing of a request has a say in it. `None` for who is nobody in particular.
    pub(super) fn of(principal: &'a Principal, keys: &TenantKeys) -> Option<Self> {
        let former = keys.former.iter().map(|key| Space::of(principal, key));
        let former = former.collect::<Option<_>>()?;
        Some(Self { former, ..Self::to_write(principal, keys)? })
    }

    /// The same, for those who only write.
    pub(super) fn to_write(principal: &'a Principal, keys: &TenantKeys) -> Option<Self> {
        let current = Space::of(principal, &keys.current)?;
        Some(Self { principal, current, former: Vec::new() })
    }

    /// All parts of it: first the one that is written to.
    pub(super) fn spaces(&self) -> impl Iterator<Item = &Space> {
        std::iter::once(&self.current).chain(&self.former)
    }

    /// The part that is written to.
    pub(super) fn current(&self) -> &Space {
        &self.current
    }

    /// What the names of all that is written begin with.
    #[cfg(test)]
    pub(super) fn base(&self) -> &str {
        &self.current.base
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

    /// The caller.
    pub(super) fn own_person(&self) -> Person<'a> {
        let Principal { via, subject, issuer, .. } = self.principal;
        Person { via: *via, subject, issuer: issuer.as_deref() }
    }

    /// Where what is written of the caller lies.
    pub(super) fn own(&self) -> Result<Own, VaultError> {
        let not_opened = || VaultError::NotOpened(self.current.base.clone());
        let person = self.current.person(self.own_person()).ok_or_else(not_opened)?;
        let sealer = self.current.sealer(&person).ok_or_else(not_opened)?;
        Ok(Own { person, sealer })
    }

    /// The name of an entry of the caller's, and what seals and opens it.
    pub(super) fn own_entry<'o>(&self, own: &'o Own, kind: Kind, id: &str) -> (String, &'o Sealer) {
        (self.current.name(&own.person, kind, id), &own.sealer)
    }

    /// Whose an entry is, of which the subject and the issuer are known: the kind of credential follows from its name.
    pub(super) fn person_of<'p>(
        &self,
        place: Place<'_>,
        subject: &'p str,
        issuer: Option<&'p str>,
    ) -> Option<Person<'p>> {
        let space = self.space(place.name)?;
        let kinds = [CredentialKind::Jwt, CredentialKind::ApiKey];
        let persons = kinds.map(|via| Person { via, subject, issuer });
        persons.into_iter().find(|person| space.person(*person).as_deref() == Some(place.person))
    }

    /// Takes the name of a person's entry in this space apart.
    pub(super) fn place<'n>(&self, name: &'n str) -> Option<Place<'n>> {
        place(name).filter(|_| self.space(name).is_some())
    }

    /// Whether an entry is under a former key.
    pub(super) fn is_former(&self, name: &str) -> bool {
        self.former.iter().any(|space| name.starts_with(&space.base))
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
                self.space(name).is_some() && beginnings.iter().any(|b| name.starts_with(b))
            });
            if names.is_empty() {
                return Ok(erased);
            }
            for name in &names {
                store.delete(name).await?;
                erased = erased.saturating_add(1);
            }
        }
        Err(VaultError::Unsteady(self.current.base.clone()))
    }

    fn space(&self, name: &str) -> Option<&Space> {
        self.spaces().find(|space| name.starts_with(&space.base))
    }

    /// Under what a person's entries are sealed. It follows from the name, so that a tenant's whole data can be read.
    fn sealer(&self, place: Place<'_>) -> Result<Sealer, VaultError> {
        let not_opened = || VaultError::NotOpened(place.name.to_owned());
        self.space(place.name).and_then(|space| space.sealer(place.person)).ok_or_else(not_opened)
    }
}

impl Space {
    fn of(principal: &Principal, key: &TenantKey) -> Option<Self> {
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
        let TenantKey { root, id } = key;
        let names = root.derive("portcullis tenants: names of tenants", &[])?;
        let key = root.derive("portcullis tenants: what is kept of a tenant", &parts)?;
        let base = format!("{PREFIX}{id}.{}/", hashed(&names, &parts)?);
        Some(Self { base, root: Root::new(&key) })
    }

    /// What all names of this space begin with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// SUBJECT of a subject.
    pub(super) fn subject(&self, subject: &str) -> Option<String> {
        hashed(&self.names()?, &["subject", subject])
    }

    /// SUBJECT/PERSON.
    pub(super) fn person(&self, person: Person<'_>) -> Option<String> {
        let Person { via, subject, issuer } = person;
        let names = self.names()?;
        let hashed_person = hashed(&names, &person_parts(via, subject, issuer))?;
        Some(format!("{}/{hashed_person}", hashed(&names, &["subject", subject])?))
    }

    pub(super) fn name(&self, person: &str, kind: Kind, id: &str) -> String {
        format!("{}p/{person}/{}/{id}", self.base, kind.segment())
    }

    /// Under what a part of the usage is sealed.
    pub(super) fn usage_sealer(&self, part: &str) -> Result<Sealer, VaultError> {
        let sealer = self.root.sealer("portcullis tenants: usage", &[part]);
        sealer.ok_or_else(|| VaultError::NotOpened(self.base.clone()))
    }

    /// What stands for a text in this space: the same text has another digest in each.
    pub(super) fn digest(&self, text: &str) -> Option<String> {
        self.digests()?.of(text)
    }

    /// The same, for several texts.
    pub(super) fn digests(&self) -> Option<Digests> {
        self.root.derive("portcullis tenants: digests of texts", &[]).map(Digests)
    }

    /// Under what a person's entries are sealed.
    fn sealer(&self, person: &str) -> Option<Sealer> {
        self.root.sealer("portcullis tenants: what is kept of a person", &[person])
    }

    fn names(&self) -> Option<Secret> {
        self.root.derive("portcullis tenants: names of persons", &[])
    }
}

/// The key of the digests that stand for texts.
pub(super) struct Digests(Secret);

impl Digests {
    pub(super) fn of(&self, text: &str) -> Option<String> {
        Some(hexadecimal(&mac(&self.0, &[text])?))
    }
}

impl Root {
    fn new(key: &Secret) -> Self {
        Self(Hkdf::new(None, key.expose()))
    }

    /// A key for one purpose. `None` cannot happen: the length asked for is a fixed one.
    fn derive(&self, purpose: &str, parts: &[&str]) -> Option<Secret> {
        let mut derived = Zeroizing::new(vec![0; 32]);
        self.0.expand(&info(purpose, parts), &mut derived).ok()?;
        Secret::from_bytes(derived).ok()
    }

    fn sealer(&self, purpose: &str, parts: &[&str]) -> Option<Sealer> {
        Sealer::expand(&self.0, &info(purpose, parts))
    }
}

/// What the key of an entry of any tenant is called.
pub(super) fn key_id(name: &str) -> Option<&str> {
    let (space, _) = name.strip_prefix(PREFIX)?.split_once('/')?;
    space.split_once('.').map(|(id, _)| id)
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
