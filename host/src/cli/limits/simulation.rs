//! A policy's limits in a trace's time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use portcullis_policy::{
    CredentialKind, Exchange, Header, Policy, Principal, Reason, RequestHead, Step, Timestamp,
};

use super::line::Line;
use crate::native::NativeEnvironment;
use crate::terminal::printable;

/// What would become of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Why it would be refused, by which limit if it is one, and after how many seconds it may come again.
    pub(super) refused: Option<(Reason, Option<String>, Option<u64>)>,
    /// The limits that would refuse it if they were enforced.
    pub(super) shadowed: Vec<String>,
}

/// One worker, whose clock is set.
pub(super) struct Simulation {
    policy: Arc<Policy>,
    environment: NativeEnvironment,
    /// Requests that are under way, by when they end.
    under_way: BinaryHeap<Reverse<(Timestamp, u64)>>,
    exchanges: std::collections::HashMap<u64, (Exchange, u16)>,
    ticked: Timestamp,
}

const SECOND: u64 = 1_000_000_000;

impl Simulation {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy: Arc::new(policy),
            environment: NativeEnvironment::default(),
            under_way: BinaryHeap::new(),
            exchanges: std::collections::HashMap::new(),
            ticked: Timestamp(0),
        }
    }

    /// Brings a request before the limits.
    ///
    /// # Errors
    ///
    /// There is no such route: names the field.
    pub(super) fn request(&mut self, line: &Line) -> Result<Verdict, String> {
        let now = line.time.0;
        self.pass_until(now);
        self.environment.now = Some(now);
        let headers = head(line);
        self.environment.source = line.address;
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let head = RequestHead { headers: &headers, has_body: false };
        let mut exchange = self.policy.begin(now);
        if let Some(name) = &line.route
            && !exchange.assume_route(name)
        {
            let names: Vec<&str> = self.policy.route_names().collect();
            let names = names.join(", ");
            return Err(format!("route: unknown route `{name}`, expected one of {names}"));
        }
        exchange.assume_principal(principal(line));
        exchange.assume_claims(line.claims.clone().unwrap_or_default());
        exchange.assume_cost(line.cost);
        let step = exchange.request_head(&head, &mut self.environment);
        let refused = exchange.refused().map(|(reason, findings)| {
            let limit = match reason {
                Reason::ShutOut => Some("penalty"),
                _ => findings.first().map(|finding| finding.at.as_str()),
            };
            (reason, limit.map(str::to_owned), retry_after(&step))
        });
        let refused = match exchange.has_route() {
            true => refused,
            false => refused.or(Some((Reason::RouteUnknown, None, None))),
        };
        // Whatever else there is to say is said by a refusal.
        if refused.is_none() && !matches!(step, Step::Continue(_)) {
            return Err(format!("expected a verdict without a body or a service, got {step:?}"));
        }
        let verdict = Verdict { refused, shadowed: exchange.shadowed().to_vec() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let lasts = (line.seconds * 1e9) as u64;
        let lasts = if verdict.refused.is_some() { 0 } else { lasts };
        let end = Timestamp(now.0.saturating_add(lasts));
        self.exchanges.insert(line.number, (exchange, line.status));
        self.under_way.push(Reverse((end, line.number)));
        // What takes no time is over.
        self.pass_until(now);
        Ok(verdict)
    }

    /// Ends what ends until then, and does each second what a worker does.
    fn pass_until(&mut self, now: Timestamp) {
        while let Some(Reverse((end, number))) = self.under_way.peek().copied()
            && end <= now
        {
            self.under_way.pop();
            self.tick(end);
            self.environment.now = Some(end);
            if let Some((mut exchange, status)) = self.exchanges.remove(&number) {
                let status = status.to_string();
                exchange.response_head(&[(":status", status.as_bytes())]);
                exchange.finish(&mut self.environment);
            }
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Timestamp) {
        if now.since(self.ticked) < SECOND {
            return;
        }
        // A second after what was last: later a lease would have been lost, which a worker that ticks does not let happen.
        self.environment.now = Some(Timestamp(self.ticked.0.saturating_add(SECOND)).min(now));
        self.policy.upkeep(&mut self.environment);
        self.ticked = now;
    }
}

impl Verdict {
    /// What there is to say of it, in a line.
    pub(super) fn describe(&self, line: &Line) -> Option<String> {
        let who = who(line);
        let shadowed = match self.shadowed.is_empty() {
            true => String::new(),
            false => format!("would be refused by {} (not enforced)", self.shadowed.join(", ")),
        };
        let time = line.time;
        match &self.refused {
            Some((reason, limit, wait)) => {
                let wait = wait.map_or_else(String::new, |wait| format!(", again in {wait} s"));
                let shadowed = if shadowed.is_empty() { shadowed } else { format!("; {shadowed}") };
                let limit = limit.as_ref().map_or_else(String::new, |limit| format!(" by {limit}"));
                Some(format!("{time} {who}: {}{limit}{wait}{shadowed}", reason.as_str()))
            }
            None if shadowed.is_empty() => None,
            None => Some(format!("{time} {who}: {shadowed}")),
        }
    }
}

/// The caller in words.
pub(super) fn who(line: &Line) -> String {
    let mut parts = Vec::new();
    match (&line.principal, &line.api_key) {
        (Some(subject), _) => parts.push(subject.clone()),
        (None, Some(key)) => parts.push(format!("API key {key}")),
        (None, None) => parts.push("anonymous".to_owned()),
    }
    parts.extend(line.tenant.as_ref().map(|tenant| format!("tenant {tenant}")));
    parts.extend(line.plan.as_ref().map(|plan| format!("plan {plan}")));
    parts.extend(line.address.map(|address| address.to_string()));
    printable(&parts.join(", "))
}

/// The header section. Where the route is named, the path does not matter.
fn head(line: &Line) -> Vec<(String, Vec<u8>)> {
    let text = |value: &Option<String>, default: &str| {
        value.as_deref().unwrap_or(default).as_bytes().to_vec()
    };
    let fields = [
        (":method", text(&line.method, "GET")),
        (":path", text(&line.path, "/")),
        (":authority", text(&line.host, "localhost")),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    let further = line.headers.iter();
    let further =
        further.map(|(name, value)| (name.to_ascii_lowercase(), value.clone().into_bytes()));
    fields.chain(further).collect()
}

fn principal(line: &Line) -> Principal {
    let via = match (&line.api_key, &line.principal) {
        (Some(_), _) => CredentialKind::ApiKey,
        (None, Some(_)) => CredentialKind::Jwt,
        (None, None) => CredentialKind::Anonymous,
    };
    Principal {
        issuer: line.issuer.clone(),
        subject: line.principal.clone().or_else(|| line.api_key.clone()).unwrap_or_default(),
        tenant: line.tenant.clone(),
        plan: line.plan.clone(),
        via,
        credential_id: line.api_key.clone(),
        ..Principal::anonymous()
    }
}

fn retry_after(step: &Step) -> Option<u64> {
    let Step::Respond(reply) = step else { return None };
    let field = reply.headers.iter().find(|(name, _)| *name == "retry-after")?;
    field.1.parse().ok()
}

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod tests;
