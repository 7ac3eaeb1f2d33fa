//! The limits stage: how often a caller may.
//!
//! Token buckets, kept as virtual schedules (GCRA, ITU-T I.371): one number each, the time at which the bucket will be full
//! again. The buckets of all keys live in a fixed number of shared slots, so that nobody can make them grow, and are
//! changed by compare-and-swap, so that workers together admit what the limit says and no more.

mod bucket;
mod service;
mod table;

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::document::{LimitKey, LimitRule};
use crate::environment::{Environment, Timestamp};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal, Stage};
use crate::trace::Trace;
use crate::{CredentialKind, Principal};

use bucket::{Bucket, Decision};
use table::{Fingerprint, Outcome};

pub(crate) use service::{Patience, RateLimitService};
pub use service::{ServiceAnswer, ServiceCall, ServiceOutcome};

/// The longest time in which a bucket may fill, in seconds: a day.
const MAXIMUM_SECONDS: u32 = 86_400;

/// A compiled limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    name: String,
    key: LimitKey,
    requests: u32,
    per_seconds: u32,
    bucket: Bucket,
    is_shared: bool,
}

/// How much is left, for the RateLimit fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    name: String,
    requests: u32,
    per_seconds: u32,
    decision: Decision,
}

impl Limit {
    pub(crate) fn compile(rule: &LimitRule, field: &str) -> Result<Self, CompileError> {
        let is_name_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if rule.name.is_empty() || rule.name.len() > 64 || !rule.name.bytes().all(is_name_byte) {
            let message = "expected up to 64 lower-case letters, digits and hyphens";
            return Err(CompileError::new(format!("{field}.name"), message));
        }
        if rule.requests == 0 {
            let message = "expected at least 1: remove the route to refuse everything";
            return Err(CompileError::new(format!("{field}.requests"), message));
        }
        if !(1..=MAXIMUM_SECONDS).contains(&rule.per_seconds) {
            let message = format!("expected 1 to {MAXIMUM_SECONDS}");
            return Err(CompileError::new(format!("{field}.per_seconds"), message));
        }
        let burst = rule.burst.unwrap_or(rule.requests);
        let bucket = Bucket::new(rule.requests, rule.per_seconds, burst).ok_or_else(|| {
            let message = format!(
                "expected at least 1, and a bucket that fills in {MAXIMUM_SECONDS} seconds"
            );
            CompileError::new(format!("{field}.burst"), message)
        })?;
        Ok(Self {
            name: rule.name.clone(),
            key: rule.key,
            requests: rule.requests,
            per_seconds: rule.per_seconds,
            bucket,
            is_shared: rule.shared,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a rate limit service counts it, too.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn fingerprint(&self, principal: &Principal, source: Option<IpAddr>) -> Fingerprint {
        let mut hasher = Sha256::new();
        // Every part is preceded by its length: no key can be made to look like another.
        let mut part = |bytes: &[u8]| {
            hasher.update(bytes.len().to_le_bytes());
            hasher.update(bytes);
        };
        part(self.name.as_bytes());
        match (self.key, &principal.tenant) {
            (LimitKey::Tenant, Some(tenant)) => {
                part(b"tenant");
                part(tenant.as_bytes());
            }
            (LimitKey::Principal | LimitKey::Tenant, _)
                if principal.via != CredentialKind::Anonymous =>
            {
                part(b"principal");
                part(principal.via.as_str().as_bytes());
                // Two issuers, and two tenants, may have a subject of the same name.
                part(principal.issuer.as_deref().unwrap_or_default().as_bytes());
                part(principal.tenant.as_deref().unwrap_or_default().as_bytes());
                part(principal.subject.as_bytes());
            }
            _ => {
                part(b"address");
                part(&address_key(source));
            }
        }
        Fingerprint::of(&hasher.finalize().into())
    }
}

/// IPv4 whole, IPv6 by its /64: one subscriber has at least that many addresses (RFC 6177). Callers without an
/// address share one bucket.
fn address_key(source: Option<IpAddr>) -> Vec<u8> {
    match source.map(|address| address.to_canonical()) {
        None => Vec::new(),
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().iter().take(8).copied().collect(),
    }
}

/// Takes a token from each bucket, or from none where one of them is empty. Answers the tightest.
pub(crate) fn take(
    limits: &[Limit],
    principal: &Principal,
    source: Option<IpAddr>,
    environment: &mut dyn Environment,
) -> Result<Option<Standing>, Refusal> {
    let now = environment.now();
    let mut tightest: Option<Standing> = None;
    let mut taken: Vec<(&Limit, Fingerprint)> = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let fingerprint = limit.fingerprint(principal, source);
        let outcome = table::take(environment, fingerprint, limit.bucket, now);
        environment.note(|trace| limit.note(index, outcome, trace));
        let decision = match outcome {
            Outcome::Decided(decision) if decision.admitted => decision,
            refused => {
                for (limit, fingerprint) in taken {
                    table::give_back(environment, fingerprint, limit.bucket, now);
                }
                return Err(match refused {
                    Outcome::Decided(decision) => limit.standing(decision).refusal(),
                    Outcome::Unavailable => unavailable(),
                });
            }
        };
        taken.push((limit, fingerprint));
        let is_tighter = tightest
            .as_ref()
            .is_none_or(|standing| decision.remaining < standing.decision.remaining);
        if is_tighter {
            tightest = Some(limit.standing(decision));
        }
    }
    Ok(tightest)
}

impl Limit {
    fn note(&self, index: usize, outcome: Outcome, trace: &mut Trace) {
        let Self { name, requests, per_seconds, .. } = self;
        let key = match self.key {
            LimitKey::Principal => "caller",
            LimitKey::Tenant => "tenant",
            LimitKey::Address => "address",
        };
        let rule = format!("`{name}`, {requests} requests in {per_seconds} seconds for each {key}");
        let field = format!("limits[{index}]");
        match outcome {
            Outcome::Decided(decision) if decision.admitted => {
                trace.passed(Stage::Limits, field, format!("{rule}: {} left", decision.remaining));
            }
            Outcome::Decided(decision) => {
                let change = format!(
                    "wait {} seconds, or raise the limit",
                    decision.next_token_seconds().max(1)
                );
                trace.failed(field, format!("{rule}: none left"), change);
            }
            Outcome::Unavailable => {
                trace.failed(field, format!("{rule}: the store does not answer"), "try again");
            }
        }
    }

    fn standing(&self, decision: Decision) -> Standing {
        Standing {
            name: self.name.clone(),
            requests: self.requests,
            per_seconds: self.per_seconds,
            decision,
        }
    }
}

impl Standing {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
    pub(crate) fn fields(&self) -> [(&'static str, String); 2] {
        let Self { name, requests, per_seconds, decision } = self;
        let remaining = decision.remaining;
        let reset = decision.next_token_seconds();
        [
            ("ratelimit-policy", format!("\"{name}\";q={requests};w={per_seconds}")),
            ("ratelimit", format!("\"{name}\";r={remaining};t={reset}")),
        ]
    }

    fn refusal(&self) -> Refusal {
        let seconds = self.decision.next_token_seconds().max(1);
        let detail = format!("Wait {seconds} seconds, or send fewer requests.");
        let mut refusal = Refusal::new(Reason::RateExceeded, detail)
            .finding(
                &self.name,
                format!("{} requests in {} seconds", self.requests, self.per_seconds),
            )
            .header("retry-after", seconds.to_string());
        for (name, value) in self.fields() {
            refusal = refusal.header(name, value);
        }
        refusal
    }
}

fn unavailable() -> Refusal {
    Refusal::new(Reason::LimitsUnavailable, "Try again in a moment.").header("retry-after", "1")
}

/// Nanoseconds as a whole number of seconds, rounded up: who waits that long is not too early.
fn seconds_up(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(bucket::NANOSECONDS)
}

impl Timestamp {
    fn plus(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestEnvironment;

    fn limit(key: LimitKey, requests: u32, per_seconds: u32, burst: u32) -> Limit {
        let rule = LimitRule {
            name: "test".into(),
            key,
            requests,
            per_seconds,
            burst: Some(burst),
            shared: false,
        };
        Limit::compile(&rule, "limits[0]").unwrap()
    }

    fn principal(subject: &str, tenant: &str) -> Principal {
        Principal {
            subject: subject.into(),
            tenant: Some(tenant.into()),
            via: CredentialKind::Jwt,
            ..Principal::anonymous()
        }
    }

    fn admitted(limits: &[Limit], who: &Principal, environment: &mut TestEnvironment) -> bool {
        take(limits, who, "192.0.2.1".parse().ok(), environment).is_ok()
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let limits = [limit(LimitKey::Principal, 1, 10, 3)];
        let alice = principal("alice", "acme");
        let mut environment = TestEnvironment::new();
        for _ in 0..3 {
            assert!(admitted(&limits, &alice, &mut environment));
        }
        let refusal = take(&limits, &alice, None, &mut environment).unwrap_err();
        assert_eq!(refusal.reason, Reason::RateExceeded);
        assert!(refusal.headers.contains(&("retry-after", "10".to_owned())));
        assert!(refusal.headers.contains(&("ratelimit", "\"test\";r=0;t=10".to_owned())));
        environment.advance_seconds(9);
        assert!(!admitted(&limits, &alice, &mut environment));
        environment.advance_seconds(1);
        assert!(admitted(&limits, &alice, &mut environment));
        assert!(!admitted(&limits, &alice, &mut environment));
    }

    #[test]
    fn keys_have_buckets_of_their_own() {
        let mut environment = TestEnvironment::new();
        let by_principal = [limit(LimitKey::Principal, 1, 60, 1)];
        assert!(admitted(&by_principal, &principal("alice", "acme"), &mut environment));
        assert!(!admitted(&by_principal, &principal("alice", "acme"), &mut environment));
        assert!(admitted(&by_principal, &principal("bob", "acme"), &mut environment));
        assert!(admitted(&by_principal, &principal("alice", "globex"), &mut environment));

        let mut environment = TestEnvironment::new();
        let by_tenant = [limit(LimitKey::Tenant, 1, 60, 1)];
        assert!(admitted(&by_tenant, &principal("alice", "acme"), &mut environment));
        assert!(!admitted(&by_tenant, &principal("bob", "acme"), &mut environment));
        assert!(admitted(&by_tenant, &principal("bob", "globex"), &mut environment));
    }

    #[test]
    fn ipv6_callers_cannot_hop_within_their_network() {
        let limits = [limit(LimitKey::Address, 1, 60, 1)];
        let mut environment = TestEnvironment::new();
        let mut from = |address: &str| {
            take(&limits, &Principal::anonymous(), address.parse().ok(), &mut environment).is_ok()
        };
        assert!(from("2001:db8::1"));
        assert!(!from("2001:db8::2"));
        assert!(from("2001:db8:0:1::1"));
        assert!(from("192.0.2.1"));
        assert!(!from("::ffff:192.0.2.1"));
    }

    #[test]
    fn a_refused_request_costs_nothing_elsewhere() {
        let wide = Limit { name: "wide".into(), ..limit(LimitKey::Tenant, 10, 60, 10) };
        let narrow = Limit { name: "narrow".into(), ..limit(LimitKey::Principal, 1, 60, 1) };
        let limits = [wide, narrow];
        let mut environment = TestEnvironment::new();
        let alice = principal("alice", "acme");
        assert!(admitted(&limits, &alice, &mut environment));
        for _ in 0..50 {
            assert!(!admitted(&limits, &alice, &mut environment));
        }
        let standing = take(&limits[..1], &alice, None, &mut environment).unwrap().unwrap();
        assert_eq!(standing.decision.remaining, 8);
    }

    #[test]
    fn a_store_that_does_not_answer_closes_the_gate() {
        let limits = [limit(LimitKey::Principal, 1, 60, 1)];
        let mut environment = TestEnvironment::new();
        environment.store_fails = true;
        let refusal = take(&limits, &principal("a", "b"), None, &mut environment).unwrap_err();
        assert_eq!(refusal.reason, Reason::LimitsUnavailable);
    }
}
