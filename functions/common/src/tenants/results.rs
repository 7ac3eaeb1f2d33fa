//! Answers that are retained: what was said of a text, and never the text.

use portcullis_policy::CredentialKind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::problems::{ABSENT, UNAVAILABLE, unavailable};
use super::reach::{Page, Parameters, Reach};
use super::vault::{Kind, Own, Place, TenantVault, VaultError, hexadecimal};
use crate::keys::{Store, random};
use crate::{Problem, Reply};

/// The most results that are kept of a tenant. The oldest go, with those of the same answer, when others are tidied up.
pub(super) const MAXIMUM_RESULTS: usize = 10_000;

const SECONDS_OF_A_DAY: u64 = 86_400;

/// What is said in one answer lies in one entry, whose id is the time of the answer in seconds, 72 random bits and the number of
/// results in it, all hexadecimal; a result's own id is that and its place in the entry. So results are listed by their time, and
/// expire, by names alone.
const TIME_DIGITS: usize = 10;
const LATEST: u64 = (1 << (4 * TIME_DIGITS)) - 1;
const RANDOM_BYTES: usize = 9;
const ENTRY_DIGITS: usize = 30;
const ID_DIGITS: usize = 32;

/// What was said of a text.
#[derive(Debug, Clone, Copy)]
pub struct Assessed<'a> {
    /// Of which nothing is kept but a keyed digest.
    pub text: &'a str,
    /// What it was found to be.
    pub label: &'a str,
    /// How probable it is that it is a scam.
    pub probability: f64,
    /// In what way it looks made to deceive the detector.
    pub adversarial: Option<&'a str>,
}

/// As it is answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Retained {
    pub(super) id: String,
    pub(super) time: u64,
    pub(super) subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    #[serde(flatten)]
    said: Said,
}

/// As it is kept: all that was said in one answer.
#[derive(Serialize, Deserialize)]
struct Entry {
    time: u64,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    results: Vec<Said>,
}

/// Of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Said {
    label: String,
    probability: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adversarial: Option<String>,
    digest: String,
}

/// Keeps an answer of the caller's in one write, and tells the id of each result. There are 255 at most.
pub(super) async fn retain(
    vault: &TenantVault<'_>,
    own: &Own,
    store: &impl Store,
    assessed: &[Assessed<'_>],
    now: u64,
) -> Result<Vec<String>, VaultError> {
    if assessed.is_empty() {
        return Ok(Vec::new());
    }
    let time = now.min(LATEST);
    let random = hexadecimal(random::<RANDOM_BYTES>()?.as_slice());
    let begins = format!("{time:010x}{random}");
    let not_opened = || VaultError::NotOpened(begins.clone());
    let count = u8::try_from(assessed.len()).map_err(|_| not_opened())?;
    let digests = vault.current().digests().ok_or_else(not_opened)?;
    let said = |assessed: &Assessed<'_>| {
        Some(Said {
            label: assessed.label.to_owned(),
            // JSON has no other numbers.
            probability: Some(assessed.probability).filter(|p| p.is_finite())?,
            adversarial: assessed.adversarial.map(str::to_owned),
            digest: digests.of(assessed.text)?,
        })
    };
    let results = assessed.iter().map(said).collect::<Option<_>>().ok_or_else(not_opened)?;
    let entry = Entry {
        time,
        subject: vault.principal().subject.clone(),
        issuer: vault.principal().issuer.clone(),
        results,
    };
    let content = serde_json::to_vec(&entry).map_err(|_| not_opened())?;
    let id = format!("{begins}{count:02x}");
    let (name, sealer) = vault.own_entry(own, Kind::Result, &id);
    store.set(&name, sealer.seal(&name, &content)?).await?;
    Ok(ids(&id).collect())
}

/// The ids of the results in an entry.
pub(super) fn ids(entry: &str) -> impl Iterator<Item = String> {
    (0..count(entry)).map(move |place| format!("{entry}{place:02x}"))
}

/// How many results there are in an entry.
pub(super) fn count(entry: &str) -> u8 {
    let digits =
        entry.get(ENTRY_DIGITS.saturating_sub(2)..).filter(|_| entry.len() == ENTRY_DIGITS);
    digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// All results of an entry, unless it has been deleted since.
pub(super) async fn open_entry(
    vault: &TenantVault<'_>,
    store: &impl Store,
    place: Place<'_>,
) -> Result<Vec<Retained>, VaultError> {
    let Some(Entry { time, subject, issuer, results }) = open(vault, store, place).await? else {
        return Ok(Vec::new());
    };
    let retained = |(id, said)| {
        let (subject, issuer) = (subject.clone(), issuer.clone());
        Retained { id, time, subject, issuer, said }
    };
    Ok(ids(place.id).zip(results).map(retained).collect())
}

/// `GET /v1/results`.
pub(super) async fn list(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    parameters: &Parameters,
    retention: Retention,
) -> Result<Reply, Problem> {
    let page = Page::read(parameters, is_id)?;
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    let mut places = reach.places(vault, Kind::Result, &names);
    places.retain(|place| !retention.is_over(place.id));
    let all = places.into_iter().flat_map(|place| ids(place.id).map(move |id| (place, id)));
    let (wanted, next) = page.of(all.collect(), |(_, id)| id);
    let mut results = Vec::with_capacity(wanted.len());
    let mut wanted = wanted.into_iter().peekable();
    while let Some((place, first)) = wanted.next() {
        let mut of_entry = vec![first];
        while let Some((_, id)) = wanted.next_if(|(next, _)| next.name == place.name) {
            of_entry.push(id);
        }
        let entry = open_entry(vault, store, place).await.map_err(unavailable)?;
        results.extend(entry.into_iter().filter(|result| of_entry.contains(&result.id)));
    }
    Reply::json(&json!({ "results": results, "next": next }))
}

/// `GET /v1/results/{id}`.
pub(super) async fn one(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    id: &str,
    retention: Retention,
) -> Result<Reply, Problem> {
    Reply::json(&find(vault, store, reach, id, retention).await?.1)
}

/// A result within reach, and by which kind of credential the person is known whose it is.
pub(super) async fn find(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    id: &str,
    retention: Retention,
) -> Result<(CredentialKind, Retained), Problem> {
    if !is_id(id) || retention.is_over(id) {
        return Err(ABSENT);
    }
    // Nearly always it is the caller's own: then nobody has to look through all names.
    let entry = id.get(..ENTRY_DIGITS).ok_or(ABSENT)?;
    let is_it = |result: &Retained| result.id == id;
    let own = vault.own_person();
    for space in vault.spaces() {
        let person = space.person(own).ok_or(UNAVAILABLE)?;
        let name = space.name(&person, Kind::Result, entry);
        let place = Place { name: &name, person: &person, kind: Kind::Result, id: entry };
        let results = open_entry(vault, store, place).await.map_err(unavailable)?;
        if let Some(result) = results.into_iter().find(is_it) {
            return Ok((own.via, result));
        }
    }
    if reach.is_own() {
        return Err(ABSENT);
    }
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    let places = reach.places(vault, Kind::Result, &names);
    let place = places.into_iter().find(|place| place.id == entry).ok_or(ABSENT)?;
    let results = open_entry(vault, store, place).await.map_err(unavailable)?;
    let result = results.into_iter().find(is_it).ok_or(ABSENT)?;
    let person = vault.person_of(place, &result.subject, result.issuer.as_deref());
    Ok((person.ok_or(UNAVAILABLE)?.via, result))
}

/// What is kept there, unless it has been deleted since.
pub(super) async fn open<T: serde::de::DeserializeOwned>(
    vault: &TenantVault<'_>,
    store: &impl Store,
    place: Place<'_>,
) -> Result<Option<T>, VaultError> {
    let Some(content) = vault.read(store, place).await? else { return Ok(None) };
    let content = serde_json::from_slice(&content);
    content.map(Some).map_err(|_| VaultError::NotOpened(place.name.to_owned()))
}

/// For how long results are kept.
#[derive(Clone, Copy)]
pub(super) struct Retention {
    pub(super) days: u32,
    pub(super) now: u64,
}

impl Retention {
    /// Whether a result is not to be had any more.
    pub(super) fn is_over(self, id: &str) -> bool {
        let time = id.get(..TIME_DIGITS).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let lifetime = u64::from(self.days).saturating_mul(SECONDS_OF_A_DAY);
        time.is_none_or(|time| self.now >= time.saturating_add(lifetime))
    }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
