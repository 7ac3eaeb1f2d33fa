//! One request's way through the stages: its header section (`head`, and in it who calls: `caller`), its `body`, and the
//! `response`.

mod body;
mod caller;
mod head;
mod response;

pub use response::ResponseInterest;

use std::sync::Arc;

use crate::Principal;
use crate::access::Header;
use crate::audit::Record;
use crate::environment::{Environment, Timestamp};
use crate::identity::Claims;
use crate::limits::{Admission, Ending, Limit, LimitSettlement, LimitTake};
use crate::output::BodyCap;
use crate::policy::Policy;
use crate::principal::RenderedPrincipal;
use crate::problem::{Finding, Reason, Refusal, Reply, Stage};
use crate::route::CompiledRoute;
use crate::screening::RewriteBody;
use crate::stages::{Announced, CheckResponse};

/// A request's header section, as the runtime has it.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// All fields, pseudo-header fields included, names in lower case, in order, duplicates kept.
    pub headers: &'a [Header<'a>],
    /// Whether a body (or trailers) will follow.
    pub has_body: bool,
}

/// What to do with the exchange now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let it go on, with these changes to the header section.
    Continue(Vec<HeaderEdit>),
    /// Let it go on, with these changes to the header section and this body in place of its own.
    Rewrite(Vec<HeaderEdit>, Vec<u8>),
    /// Hold the header section back, buffer the body up to [`Exchange::max_body_bytes`] and come again with
    /// all of it.
    NeedBody,
    /// Something has to be fetched before this can be decided. Hold the request, see to [`Policy::upkeep`], and when
    /// something has been fetched, or a second has gone by, come again with [`Exchange::request_head`]: it decides in the end,
    /// whatever comes. Where [`Exchange::takes`] has something, it is that which is waited for.
    Wait,
    /// Send this to the client, and nothing to the upstream.
    Respond(Reply),
}

/// A change to a header section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Remove all fields of this name.
    Remove(String),
    /// Replace all fields of this name by one.
    Set(String, String),
}

/// One exchange. Events go in, [`Step`]s come out:
/// [`request_head`](Self::request_head), then [`request_body`](Self::request_body) if it was asked for, then
/// [`response_head`](Self::response_head), then [`finish`](Self::finish). After a refusal only `finish` is of use.
#[derive(Debug)]
pub struct Exchange {
    policy: Arc<Policy>,
    begun: Timestamp,
    may_wait: bool,
    has_waited: bool,
    principal: Arc<RenderedPrincipal>,
    claims: Option<Arc<Claims>>,
    route: Option<usize>,
    assumed_route: Option<usize>,
    announced: Announced,
    awaits_body: bool,
    is_grpc: bool,
    /// Whether the caller has been judged, and limits that are counted elsewhere are what is waited for.
    is_at_limits: bool,
    /// Whether the caller has been judged, and the rate limit service is what is waited for.
    awaits_grant: bool,
    edits: Vec<HeaderEdit>,
    response_edits: Vec<HeaderEdit>,
    admission: Admission,
    rewriter: Option<Box<dyn RewriteBody>>,
    cap: Option<BodyCap>,
    check: Option<Box<dyn CheckResponse>>,
    record: Record,
}

impl Exchange {
    pub(crate) fn new(policy: Arc<Policy>, now: Timestamp) -> Self {
        Self {
            begun: now,
            may_wait: true,
            has_waited: false,
            principal: Arc::clone(&policy.anonymous),
            policy,
            claims: None,
            route: None,
            assumed_route: None,
            announced: Announced::default(),
            awaits_body: false,
            is_grpc: false,
            is_at_limits: false,
            awaits_grant: false,
            edits: Vec::new(),
            response_edits: Vec::new(),
            admission: Admission::default(),
            rewriter: None,
            cap: None,
            check: None,
            record: Record::new(now),
        }
    }

    /// Who is calling, as far as it is known yet.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same as a field, for other filters of the chain and for the upstream.
    pub fn principal_field(&self) -> &str {
        self.principal.field()
    }

    /// Takes over the principal that another filter of the same chain has established. It must come from where
    /// clients cannot write.
    pub fn assume_principal(&mut self, principal: Principal) {
        self.principal = Arc::new(principal.into());
    }

    /// Takes over the claims of the token by which another has established the principal. As little as that may clients write them.
    pub fn assume_claims(&mut self, claims: Claims) {
        self.claims = Some(Arc::new(claims));
    }

    /// Has the request take so much of limits whose cost is not 1, whatever is in it and in its response: for simulations, which have
    /// no bodies.
    pub fn assume_cost(&mut self, cost: u64) {
        self.admission.assumed_cost = Some(cost);
    }

    /// Whether a route is for the request, as far as it has been judged.
    pub fn has_route(&self) -> bool {
        self.route.is_some()
    }

    /// Has the route be the one of this name, whatever the path is, and tells whether there is one: for simulations.
    pub fn assume_route(&mut self, name: &str) -> bool {
        self.assumed_route = self.policy.route_named(name);
        self.assumed_route.is_some()
    }

    /// Has all limits counted by whoever drives this exchange, in a store that many machines share. Keys are digests under `secret`,
    /// which all of them have and nobody else.
    ///
    /// [`Step::Wait`] then may come of a header section or a body, with [`Self::takes`] to be asked of the store, all or none of them.
    /// [`Self::request_head_counted`] and [`Self::request_body_counted`] go on with what it said. After [`Self::finish`], and
    /// whenever a request was refused, there may be [`Self::settlements`].
    pub fn count_elsewhere(&mut self, secret: [u8; 16]) {
        self.admission.count_elsewhere(secret);
    }

    /// What is to be taken before this goes on. No key is in it twice.
    pub fn takes(&self) -> &[LimitTake] {
        self.admission.asked()
    }

    /// What comes after what was taken. Each is handed out once.
    pub fn settlements(&mut self) -> Vec<LimitSettlement> {
        self.admission.settlements()
    }

    /// The limits that are not enforced and would have refused the request; `penalty` stands for the penalty box.
    pub fn shadowed(&self) -> &[String] {
        self.admission.shadowed()
    }

    /// There is no room for this request to wait: the next [`Self::request_head`] decides.
    pub fn cannot_wait(&mut self) {
        self.may_wait = false;
    }

    /// Why the request was refused, and what was found.
    pub fn refused(&self) -> Option<(Reason, &[Finding])> {
        self.record.refused.as_ref().map(|(reason, findings)| (*reason, findings.as_slice()))
    }

    /// The exchange is over, however it ended: the audit record to write, if the policy wants one.
    pub fn finish(&mut self, environment: &mut dyn Environment) -> Option<String> {
        self.leave(environment);
        self.note_cut();
        let policy = &self.policy;
        if !policy.stages.contains(Stage::Audit) || !self.record.is_wanted(policy.audit) {
            return None;
        }
        let route = self.route(policy).map(|route| route.name.as_str());
        Some(self.record.line(&self.principal, route, &policy.digest, environment))
    }

    /// The limits of the request's route, where there is one and this filter sees to them.
    fn limits<'a>(&self, policy: &'a Policy) -> &'a [Limit] {
        let route = self.route(policy).filter(|_| policy.stages.contains(Stage::Limits));
        route.map_or(&[], |route| &route.limits)
    }

    /// What was taken from limits is given back or settled, and refusals are counted.
    fn leave(&mut self, environment: &mut dyn Environment) {
        let policy = Arc::clone(&self.policy);
        let limits = self.limits(&policy);
        let ending = if self.record.allowed { Ending::Forwarded } else { Ending::Refused };
        self.admission.end(&policy.limiter, limits, ending, environment);
        self.record.shadowed = self.shadowed().to_vec();
        let refused = self.record.refused.as_ref().map(|(reason, _)| *reason);
        if refused != Some(Reason::ShutOut)
            && let Some(status) = refused.map(Reason::status).or(self.record.status)
        {
            self.admission.strike(&policy.limiter, status, environment);
        }
    }

    fn route<'a>(&self, policy: &'a Policy) -> Option<&'a CompiledRoute> {
        self.route.and_then(|index| policy.routes.get(index))
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.record.status = Some(refusal.reason.status());
        self.record.allowed = false;
        self.record.refused = Some((refusal.reason, refusal.findings.clone()));
        Step::Respond(match self.is_grpc {
            true => refusal.into_grpc_reply(),
            false => refusal.into_reply(self.record.request_id.as_deref()),
        })
    }
}
