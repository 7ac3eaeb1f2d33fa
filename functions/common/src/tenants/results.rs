//! Answers that are retained: what was said of a text, and never the text.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::problems::{ABSENT, UNAVAILABLE, unavailable};
use super::reach::{Page, Parameters, Reach};
use super::vault::{Kind, Place, TenantVault, VaultError, hexadecimal};
use crate::keys::{Store, random};
use crate::{Problem, Reply};

/// The most results that are kept of a tenant. The oldest go when others are tidied up.
pub(super) const MAXIMUM_RESULTS: usize = 10_000;

const SECONDS_OF_A_DAY: u64 = 86_400;

/// An id is the time of the answer in seconds, and 88 random bits, both hexadecimal: so results are listed by their time, and
/// expire by their name alone.
const TIME_DIGITS: usize = 10;
const LATEST: u64 = (1 << (4 * TIME_DIGITS)) - 1;
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

/// As it is kept, and as it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Retained {
    pub(super) id: String,
    pub(super) time: u64,
    pub(super) subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    label: String,
    probability: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adversarial: Option<String>,
    digest: String,
}

/// Keeps an answer of the caller's, and tells its id.
pub(super) async fn retain(
    vault: &TenantVault<'_>,
    store: &impl Store,
    assessed: &Assessed<'_>,
    now: u64,
) -> Result<String, VaultError> {
    let time = now.min(LATEST);
    let id = format!("{time:010x}{}", hexadecimal(random::<11>()?.as_slice()));
    let not_opened = || VaultError::NotOpened(id.clone());
    let retained = Retained {
        id: id.clone(),
        time,
        subject: vault.principal().subject.clone(),
        issuer: vault.principal().issuer.clone(),
        label: assessed.label.to_owned(),
        // JSON has no other numbers.
        probability: Some(assessed.probability).filter(|p| p.is_finite()).ok_or_else(not_opened)?,
        adversarial: assessed.adversarial.map(str::to_owned),
        digest: vault.digest(assessed.text).ok_or_else(not_opened)?,
    };
    let content = serde_json::to_vec(&retained).map_err(|_| not_opened())?;
    let person = vault.own_person().ok_or_else(not_opened)?;
    let name = vault.name(&person, Kind::Result, &id);
    let place = Place { name: &name, person: &person, kind: Kind::Result, id: &id };
    vault.write(store, place, &content).await?;
    Ok(id)
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
    let (places, next) = page.of(places);
    let mut results = Vec::with_capacity(places.len());
    for place in places {
        results.extend(open::<Retained>(vault, store, place).await.map_err(unavailable)?);
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

/// A result within reach, and of which person it is.
pub(super) async fn find(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    id: &str,
    retention: Retention,
) -> Result<(String, Retained), Problem> {
    if !is_id(id) || retention.is_over(id) {
        return Err(ABSENT);
    }
    // Nearly always it is the caller's own: then nobody has to look through all names.
    let person = vault.own_person().ok_or(UNAVAILABLE)?;
    let name = vault.name(&person, Kind::Result, id);
    let place = Place { name: &name, person: &person, kind: Kind::Result, id };
    if let Some(result) = open::<Retained>(vault, store, place).await.map_err(unavailable)? {
        return Ok((person, result));
    }
    if reach.is_own() {
        return Err(ABSENT);
    }
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    let places = reach.places(vault, Kind::Result, &names);
    let place = places.into_iter().find(|place| place.id == id).ok_or(ABSENT)?;
    let result = open::<Retained>(vault, store, place).await.map_err(unavailable)?;
    Ok((place.person.to_owned(), result.ok_or(ABSENT)?))
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
