//! The audit stage: one record for each exchange, in Elastic Common Schema (ECS 8) fields.
//!
//! It says who, what, the verdict, the stage and the reason, and how long it took. It never holds a body, a
//! query, a credential or a secret.

use std::net::IpAddr;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::{AuditLevel, AuditSection};
use crate::environment::Timestamp;
use crate::problem::{Finding, Reason};
use crate::{CredentialKind, Principal};

/// The longest text of the client's own in a record, in characters.
const MAXIMUM_CHARS: usize = 256;

/// What has become known of an exchange.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) begun: Timestamp,
    pub(crate) source: Option<IpAddr>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) request_id: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) body_bytes: Option<usize>,
    /// Whether the request was let through. A request may also end undecided: the client went away, or the proxy
    /// refused it while its body was coming.
    pub(crate) allowed: bool,
    pub(crate) refused: Option<(Reason, Vec<Finding>)>,
    pub(crate) stripped: Vec<String>,
    /// The limits that would have refused the request, and are not enforced.
    pub(crate) shadowed: Vec<String>,
    pub(crate) status: Option<u16>,
}

impl Record {
    pub(crate) fn new(begun: Timestamp) -> Self {
        Self {
            begun,
            source: None,
            method: String::new(),
            path: String::new(),
            host: String::new(),
            request_id: None,
            route: None,
            body_bytes: None,
            allowed: false,
            refused: None,
            stripped: Vec::new(),
            shadowed: Vec::new(),
            status: None,
        }
    }

    /// The record as one line of JSON, or `None` where the policy does not want it.
    pub(crate) fn line(
        &self,
        section: AuditSection,
        principal: &Principal,
        policy_digest: &str,
        now: Timestamp,
    ) -> Option<String> {
        if section.record == AuditLevel::Refused && self.allowed && self.shadowed.is_empty() {
            return None;
        }
        let (outcome, action, kind) = match (&self.refused, self.allowed) {
            (Some(_), _) => ("failure", "refused", "denied"),
            (None, true) => ("success", "allowed", "allowed"),
            (None, false) => ("unknown", "aborted", "end"),
        };
        let mut event = json!({
            "kind": "event",
            "category": ["web"],
            "type": ["access", kind],
            "dataset": "portcullis.audit",
            "action": action,
            "outcome": outcome,
            "duration": now.since(self.begun),
        });
        let credential = principal.credential_id.as_deref().map(short);
        let mut portcullis = json!({
            "policy": policy_digest,
            "route": self.route,
            "credential": { "kind": principal.via.as_str(), "id": credential },
        });
        if let Some((reason, findings)) = &self.refused {
            put(&mut event, "reason", reason.as_str().into());
            put(&mut portcullis, "stage", reason.stage().as_str().into());
            put(&mut portcullis, "findings", findings.iter().map(Finding::to_json).collect());
        }
        if !self.stripped.is_empty() {
            put(&mut portcullis, "stripped", self.stripped.clone().into());
        }
        if !self.shadowed.is_empty() {
            put(&mut portcullis, "shadowed", self.shadowed.clone().into());
        }
        let mut record = json!({
            "@timestamp": rfc3339(self.begun),
            "ecs": { "version": "8.17.0" },
            "event": event,
            "http": {
                "request": {
                    "method": short(&self.method),
                    "id": self.request_id,
                    "body": { "bytes": self.body_bytes },
                },
                "response": { "status_code": self.status },
            },
            "url": { "domain": short(&self.host), "path": short(&self.path) },
            "source": { "ip": self.source.map(|address| address.to_string()) },
            "portcullis": portcullis,
        });
        if principal.via != CredentialKind::Anonymous {
            let user = json!({ "id": short(&principal.subject), "roles": principal.roles });
            put(&mut record, "user", user);
            if let Some(tenant) = &principal.tenant {
                put(&mut record, "organization", json!({ "id": short(tenant) }));
            }
        }
        Some(record.to_string())
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

/// What a client wrote, cut: records are read by people and paid for by the byte.
fn short(text: &str) -> String {
    text.chars().take(MAXIMUM_CHARS).collect()
}

fn rfc3339(time: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
