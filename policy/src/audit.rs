//! The audit stage: one record for each exchange, in Elastic Common Schema (ECS 8) fields.
//!
//! It says who, what, the verdict, the stage and the reason, and how long it took. It never holds a body, a
//! query, a credential or a secret.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::access::{RequestId, Target};
use crate::document::{AuditLevel, AuditSection};
use crate::environment::{Environment, Timestamp};
use crate::input::Violation;
use crate::problem::{Finding, Reason};
use crate::screening::Notes;
use crate::{CredentialKind, Principal};

/// The longest text of the client's own in a record, in characters.
const MAXIMUM_CHARS: usize = 256;

/// What most records are shorter than: grown from nothing, a text is moved four times.
const USUAL_BYTES: usize = 1024;

/// What has become known of an exchange.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) begun: Timestamp,
    /// What was asked for, once it has been read.
    pub(crate) target: Option<Target>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) body_bytes: Option<usize>,
    /// Whether the request was let through. A request may also end undecided: the client went away, or the proxy
    /// refused it while its body was coming.
    pub(crate) allowed: bool,
    pub(crate) refused: Option<(Reason, Vec<Finding>)>,
    pub(crate) stripped: Vec<String>,
    /// The limits that would have refused the request, and are not enforced.
    pub(crate) shadowed: Vec<String>,
    pub(crate) status: Option<u16>,
    /// What was found and let through.
    pub(crate) notes: Notes,
    /// Where the response was not what it should be.
    pub(crate) response_schema: Vec<Violation>,
    /// Whether the response was cut short, or not sent at all.
    pub(crate) cut: bool,
    /// Why the response was not sent, or not to its end, where that is not because of something in it.
    pub(crate) unsent: Option<Reason>,
    /// What the upstream has noticed of the request.
    pub(crate) signals: Vec<String>,
}

impl Record {
    pub(crate) fn new(begun: Timestamp) -> Self {
        Self {
            begun,
            target: None,
            request_id: None,
            body_bytes: None,
            allowed: false,
            refused: None,
            stripped: Vec::new(),
            shadowed: Vec::new(),
            status: None,
            notes: Notes::default(),
            response_schema: Vec::new(),
            cut: false,
            unsent: None,
            signals: Vec::new(),
        }
    }

    /// Whether the policy wants it.
    pub(crate) fn is_wanted(&self, section: AuditSection) -> bool {
        section.record != AuditLevel::Refused
            || !self.allowed
            || !self.shadowed.is_empty()
            || !self.notes.is_empty()
            || !self.response_schema.is_empty()
            || self.cut
            || !self.signals.is_empty()
    }

    /// The record as one line of JSON.
    pub(crate) fn line(
        &self,
        principal: &Principal,
        route: Option<&str>,
        policy_digest: &str,
        environment: &mut dyn Environment,
    ) -> String {
        let (outcome, action, kind) = match (&self.refused, self.allowed) {
            (Some(_), _) => ("failure", "refused", "denied"),
            (None, true) => ("success", "allowed", "allowed"),
            (None, false) => ("unknown", "aborted", "end"),
        };
        let reason = self.refused.as_ref().map(|(reason, _)| *reason);
        let is_known = principal.via != CredentialKind::Anonymous;
        let target = self.target.as_ref();
        let line = Line {
            timestamp: rfc3339(self.begun),
            ecs: Ecs { version: "8.17.0" },
            event: Event {
                kind: "event",
                category: ["web"],
                r#type: ["access", kind],
                dataset: "portcullis.audit",
                action,
                outcome,
                duration: environment.now().since(self.begun),
                reason: reason.map(Reason::as_str),
            },
            http: Http {
                request: Request {
                    method: target.map_or("", |target| short(&target.method)),
                    id: self.request_id.as_deref(),
                    body: Body { bytes: self.body_bytes },
                },
                response: Response { status_code: self.status },
            },
            url: Url {
                domain: target.map_or("", |target| short(&target.host)),
                path: target.map_or("", |target| short(&target.path)),
            },
            source: Source { ip: environment.source() },
            user: is_known.then(|| User { id: short(&principal.subject), roles: &principal.roles }),
            organization: principal
                .tenant
                .as_deref()
                .filter(|_| is_known)
                .map(|tenant| Organization { id: short(tenant) }),
            portcullis: Portcullis {
                policy: policy_digest,
                route,
                credential: Credential {
                    kind: principal.via.as_str(),
                    id: principal.credential_id.as_deref().map(short),
                },
                stage: reason.map(|reason| reason.stage().as_str()),
                findings: self
                    .refused
                    .as_ref()
                    .map(|(_, findings)| findings.iter().map(Finding::to_json).collect()),
                stripped: &self.stripped,
                shadowed: &self.shadowed,
                notes: &self.notes,
                response_schema: &self.response_schema,
                cut: self.cut,
                unsent: self.unsent.map(Reason::as_str),
                signals: &self.signals,
            },
        };
        let mut text = Vec::with_capacity(USUAL_BYTES);
        // Neither can fail: a record has no maps, and a vector takes everything.
        serde_json::to_writer(&mut text, &line)
            .ok()
            .and_then(|()| String::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

/// The fields of a record. Written as they stand: a record is made for every request, and a tree of values for each would be
/// most of what it costs.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    ecs: Ecs,
    event: Event,
    http: Http<'a>,
    url: Url<'a>,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Organization<'a>>,
    portcullis: Portcullis<'a>,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize)]
struct Event {
    kind: &'static str,
    category: [&'static str; 1],
    r#type: [&'static str; 2],
    dataset: &'static str,
    action: &'static str,
    outcome: &'static str,
    /// In nanoseconds.
    duration: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Http<'a> {
    request: Request<'a>,
    response: Response,
}

#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    id: Option<&'a str>,
    body: Body,
}

#[derive(Serialize)]
struct Body {
    bytes: Option<usize>,
}

#[derive(Serialize)]
struct Response {
    status_code: Option<u16>,
}

#[derive(Serialize)]
struct Url<'a> {
    domain: &'a str,
    path: &'a str,
}

#[derive(Serialize)]
struct Source {
    ip: Option<IpAddr>,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    roles: &'a [String],
}

#[derive(Serialize)]
struct Organization<'a> {
    id: &'a str,
}

/// What ECS has no fields for.
#[derive(Serialize)]
struct Portcullis<'a> {
    /// The policy's digest.
    policy: &'a str,
    route: Option<&'a str>,
    credential: Credential<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Value>>,
    /// Fields of the request that only Portcullis may set.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stripped: &'a [String],
    /// Limits that are not enforced and would have refused the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shadowed: &'a [String],
    /// What was found in the request and let through, or taken out.
    #[serde(rename = "detections", skip_serializing_if = "Notes::is_empty")]
    notes: &'a Notes,
    /// Where the response was not what it should be, and went on.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    response_schema: &'a [Violation],
    /// Whether the response was cut short, or not sent at all.
    #[serde(rename = "response_cut", skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    /// Why, where that is not because of something in it.
    #[serde(rename = "response_reason", skip_serializing_if = "Option::is_none")]
    unsent: Option<&'static str>,
    /// What the upstream has noticed of the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    signals: &'a [String],
}

#[derive(Serialize)]
struct Credential<'a> {
    kind: &'static str,
    id: Option<&'a str>,
}

/// What a client wrote, cut: records are read by people and paid for by the byte.
fn short(text: &str) -> &str {
    let end = text.char_indices().nth(MAXIMUM_CHARS).map_or(text.len(), |(place, _)| place);
    text.get(..end).unwrap_or(text)
}

fn rfc3339(time: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
