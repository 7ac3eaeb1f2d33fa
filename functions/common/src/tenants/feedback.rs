//! Feedback: what a text really was.

use portcullis_policy::CredentialKind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::problems::{
    FEEDBACK_FULL, NOT_JSON, TEXT_TOO_LONG, UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE, WRONG_SHAPE,
    unavailable,
};
use super::reach::{Page, Parameters, Reach};
use super::results::{self, Retention, open};
use super::vault::{Kind, Person, Place, TenantVault};
use crate::keys::Store;
use crate::{Problem, Reply, Request};

/// The most that is kept of a tenant, and of a person in it. More is refused, not put in place of the oldest: so nobody can
/// push out what others have said, and nobody can fill a tenant's room alone. Who send at the same time may come to a little more.
pub(super) const MAXIMUM_OF_A_TENANT: usize = 1000;
pub(super) const MAXIMUM_OF_A_PERSON: usize = 200;

const MAXIMUM_TEXT_CHARACTERS: usize = 4000;
const MAXIMUM_COMMENT_CHARACTERS: usize = 1000;

/// What the ids of feedback about a text begin with. Others are those of the results that they are about.
const ABOUT_A_TEXT: &str = "text-";

/// As it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default, deserialize_with = "present")]
    result: Option<String>,
    #[serde(default, deserialize_with = "present")]
    text: Option<String>,
    label: Label,
    #[serde(default, deserialize_with = "present")]
    comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    Scam,
    Ham,
}

/// As it is kept, and as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Feedback {
    /// The result's, or that of a text.
    id: String,
    time: u64,
    pub(super) subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// `POST /v1/feedback`: about one of the caller's results or, for who answers for the tenant, one of anybody's there; or about a
/// text. Sent again, it takes the place of what was sent before.
pub(super) async fn give(
    vault: &TenantVault<'_>,
    store: &impl Store,
    request: &Request<'_>,
    reach: &Reach,
    retention: Retention,
    keeps_text: bool,
) -> Result<Reply, Problem> {
    let given = read(request)?;
    let own = vault.principal();
    // Under another key a text has another id: all that it may have been called are looked for.
    let mut ids = Vec::new();
    let (via, feedback) = match given {
        Given { result: Some(id), text: None, label, comment } => {
            let (via, result) = results::find(vault, store, reach, &id, retention).await?;
            let (subject, issuer) = (result.subject, result.issuer);
            let time = request.now;
            let (digest, text) = (None, None);
            ids.push(id.clone());
            (via, Feedback { id, time, subject, issuer, label, comment, digest, text })
        }
        Given { result: None, text: Some(text), label, comment } => {
            for space in vault.spaces() {
                let digest = space.digest(&text).ok_or(UNAVAILABLE)?;
                let short = digest.get(..32).ok_or(UNAVAILABLE)?;
                ids.push(format!("{ABOUT_A_TEXT}{short}"));
            }
            let feedback = Feedback {
                id: ids.first().cloned().ok_or(UNAVAILABLE)?,
                time: request.now,
                subject: own.subject.clone(),
                issuer: own.issuer.clone(),
                label,
                comment,
                digest: Some(vault.current().digest(&text).ok_or(UNAVAILABLE)?),
                text: Some(text).filter(|_| keeps_text),
            };
            (own.via, feedback)
        }
        _ => return Err(WRONG_SHAPE),
    };
    keep(vault, store, via, feedback, &ids).await
}

async fn keep(
    vault: &TenantVault<'_>,
    store: &impl Store,
    via: CredentialKind,
    mut feedback: Feedback,
    ids: &[String],
) -> Result<Reply, Problem> {
    let whose = Person { via, subject: &feedback.subject, issuer: feedback.issuer.as_deref() };
    let persons = vault.spaces().map(|space| space.person(whose));
    let persons: Vec<String> = persons.collect::<Option<_>>().ok_or(UNAVAILABLE)?;
    let person = persons.first().ok_or(UNAVAILABLE)?;
    let name = vault.current().name(person, Kind::Feedback, &feedback.id);

    let (mut before, mut replaced) = (None, Vec::new());
    for (space, person) in vault.spaces().zip(&persons) {
        for id in ids {
            let name = space.name(person, Kind::Feedback, id);
            let place = Place { name: &name, person, kind: Kind::Feedback, id };
            if let Some(found) = open::<Feedback>(vault, store, place).await.map_err(unavailable)? {
                before = before.or(Some(found));
                replaced.push(name);
            }
        }
    }
    let status = if before.is_some() { 200 } else { 201 };
    match before {
        None => require_room(vault, store, &persons).await?,
        // The same again changes nothing, not even its time.
        Some(before) if before.says_the_same(&feedback) => feedback.time = before.time,
        Some(_) => {}
    }
    let content = serde_json::to_vec(&feedback).map_err(|_| UNAVAILABLE)?;
    let place = Place { name: &name, person, kind: Kind::Feedback, id: &feedback.id };
    vault.write(store, place, &content).await.map_err(unavailable)?;
    for old in replaced.iter().filter(|old| **old != name) {
        store.delete(old).await.map_err(|error| unavailable(error.into()))?;
    }
    let Feedback { id, time, label, text, .. } = &feedback;
    let mut reply = Reply::json(&json!({
        "id": id, "time": time, "label": label, "text_kept": text.is_some(),
    }))?;
    reply.status = status;
    Ok(reply)
}

impl Feedback {
    /// Whether it is the same but for the time, and for what a text is called under another key.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.label, &self.comment, &self.text) == (other.label, &other.comment, &other.text)
    }
}

async fn require_room(
    vault: &TenantVault<'_>,
    store: &impl Store,
    persons: &[String],
) -> Result<(), Problem> {
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    let places = Reach::whole(vault).places(vault, Kind::Feedback, &names);
    let of_person = places.iter().filter(|place| persons.iter().any(|p| p == place.person)).count();
    match places.len() < MAXIMUM_OF_A_TENANT && of_person < MAXIMUM_OF_A_PERSON {
        true => Ok(()),
        false => Err(FEEDBACK_FULL),
    }
}

/// `GET /v1/feedback`.
pub(super) async fn list(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    parameters: &Parameters,
) -> Result<Reply, Problem> {
    let page = Page::read(parameters, is_id)?;
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    let (places, next) = page.of(reach.places(vault, Kind::Feedback, &names), |place| place.id);
    let mut feedback = Vec::with_capacity(places.len());
    for place in places {
        feedback.extend(open::<Feedback>(vault, store, place).await.map_err(unavailable)?);
    }
    Reply::json(&json!({ "feedback": feedback, "next": next }))
}

fn read(request: &Request<'_>) -> Result<Given, Problem> {
    if !request.is_of_type("application/json") {
        return Err(UNSUPPORTED_MEDIA_TYPE);
    }
    let body = request.body()?;
    let given: Given = serde_json::from_slice(body).map_err(|error| {
        use serde_json::error::Category;
        match error.classify() {
            Category::Data => WRONG_SHAPE,
            Category::Io | Category::Syntax | Category::Eof => NOT_JSON,
        }
    })?;
    // A derived reader also takes the members of an object as a list.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(WRONG_SHAPE);
    }
    let fits = |text: &Option<String>, most| {
        text.as_ref().is_none_or(|text| text.chars().take(most + 1).count() <= most)
    };
    match fits(&given.text, MAXIMUM_TEXT_CHARACTERS)
        && fits(&given.comment, MAXIMUM_COMMENT_CHARACTERS)
    {
        true => Ok(given),
        false => Err(TEXT_TOO_LONG),
    }
}

fn is_id(text: &str) -> bool {
    results::is_id(text.strip_prefix(ABOUT_A_TEXT).unwrap_or(text))
}

/// Something, if the member is there: `null` is not the same as nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}
