//! One request's way through the stages.

use std::sync::Arc;

use crate::access::{Header, RequestId, Target, single};
use crate::audit::Record;
use crate::authorisation::Asked;
use crate::environment::{Environment, Timestamp, Unavailable};
use crate::grpc::is_grpc;
use crate::identity::{Claims, Required};
use crate::input::{DEFAULT_BODY_BYTES, too_large};
use crate::limits::{Admission, Caller, Ending, Limit, Patience};
use crate::limits::{LimitAnswer, LimitSettlement, LimitTake};
use crate::output::signals;
use crate::policy::{CompiledRoute, Policy};
use crate::principal::RenderedPrincipal;
use crate::problem::{Finding, PROBLEM_MEDIA_TYPE, Reason, Refusal, Reply, Stage};
use crate::screening::{RewriteBody, unreadable_response};
use crate::stages::{Announced, CheckResponse, Identify, Inspect, Interruption, Question};
use crate::trace::Trace;
use crate::{CredentialKind, Principal};

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

/// What of a response's header section has to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseInterest {
    /// Nothing.
    None,
    /// `:status`.
    Status,
    /// All of it.
    Head,
}

/// A change to a header section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Remove all fields of this name.
    Remove(String),
    /// Replace all fields of this name by one.
    Set(String, String),
}

/// The field that tells the upstream what was found in a request that goes on all the same.
const FINDINGS: &str = "portcullis-findings";

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
    announced: Announced,
    awaits_body: bool,
    is_grpc: bool,
    /// Whether the caller has been judged, and limits that are counted elsewhere are what is waited for.
    is_at_limits: bool,
    edits: Vec<HeaderEdit>,
    response_edits: Vec<HeaderEdit>,
    admission: Admission,
    rewriter: Option<Box<dyn RewriteBody>>,
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
            announced: Announced::default(),
            awaits_body: false,
            is_grpc: false,
            is_at_limits: false,
            edits: Vec::new(),
            response_edits: Vec::new(),
            admission: Admission::default(),
            rewriter: None,
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

    /// The longest body that will be looked at. Beyond it, [`Self::body_too_large`].
    pub fn max_body_bytes(&self) -> usize {
        let route = self.route(&self.policy);
        route.map_or(DEFAULT_BODY_BYTES as usize, |route| {
            route.input.as_deref().map_or(route.max_body_bytes, Inspect::max_body_bytes)
        })
    }

    /// The request's header section.
    pub fn request_head(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Step {
        let judged = self.judge_head(head, environment);
        self.end_head(judged, environment)
    }

    /// The same header section, and what was said to [`Self::takes`]; an error where the store cannot be asked.
    pub fn request_head_counted(
        &mut self,
        answers: Result<Vec<LimitAnswer>, Unavailable>,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Step {
        self.admission.answer(answers);
        // What comes before the caller is judged is the same a second time; a proof of possession would not be.
        let judged = match self.is_at_limits {
            true => self.judge_counted(head, environment),
            false => self.judge_head(head, environment),
        };
        self.end_head(judged, environment)
    }

    fn end_head(
        &mut self,
        judged: Result<Step, Interruption>,
        environment: &mut dyn Environment,
    ) -> Step {
        let refusal = match judged {
            Ok(step) => {
                self.record.allowed = matches!(step, Step::Continue(_));
                return step;
            }
            Err(Interruption::Wait) if !self.takes().is_empty() => return Step::Wait,
            Err(Interruption::Wait) if self.may_wait => {
                self.has_waited = true;
                return Step::Wait;
            }
            Err(Interruption::Wait) => {
                Refusal::new(Reason::IdentityUnavailable, "Try again in a moment.")
                    .header("retry-after", "1")
            }
            Err(Interruption::Refused(refusal)) => *refusal,
        };
        environment.note(|trace| trace.refused(&refusal));
        self.refuse(refusal)
    }

    /// The whole body, after [`Step::NeedBody`].
    pub fn request_body(&mut self, body: &[u8], environment: &mut dyn Environment) -> Step {
        match self.judge_body(body, environment) {
            Ok(step) => {
                self.record.allowed = true;
                step
            }
            // Nothing else is waited for when the body is there.
            Err(Interruption::Wait) => Step::Wait,
            Err(Interruption::Refused(refusal)) => {
                environment.note(|trace| trace.refused(&refusal));
                self.refuse(*refusal)
            }
        }
    }

    /// The same body, and what was said to [`Self::takes`].
    pub fn request_body_counted(
        &mut self,
        answers: Result<Vec<LimitAnswer>, Unavailable>,
        body: &[u8],
        environment: &mut dyn Environment,
    ) -> Step {
        self.admission.answer(answers);
        self.request_body(body, environment)
    }

    /// The body has grown beyond [`Self::max_body_bytes`].
    pub fn body_too_large(&mut self) -> Step {
        let refusal = too_large(self.max_body_bytes());
        self.refuse(refusal)
    }

    /// The names of request trailers to remove: those that only Portcullis may set.
    pub fn request_trailers(&mut self, trailers: &[Header<'_>]) -> Vec<HeaderEdit> {
        let reserved = trailers.iter().filter(|(name, _)| self.policy.headers.is_reserved(name));
        reserved.map(|(name, _)| HeaderEdit::Remove((*name).to_owned())).collect()
    }

    /// What [`Self::response_head`] needs: reading a header section costs, and often nobody wants it.
    pub fn response_interest(&self) -> ResponseInterest {
        let Policy { stages, audit, limiter, .. } = &*self.policy;
        if stages.contains(Stage::Output)
            || self.looks_at_responses(&self.policy)
            || self.admission.wants_usage(self.limits(&self.policy))
        {
            return ResponseInterest::Head;
        }
        let is_recorded = stages.contains(Stage::Audit)
            && (self.record.is_wanted(*audit) || !self.shadowed().is_empty());
        match is_recorded || limiter.has_penalty() {
            true => ResponseInterest::Status,
            false => ResponseInterest::None,
        }
    }

    /// A response's header section, as far as it [is of interest](Self::response_interest): the upstream's, or one that the
    /// gate or the proxy made itself.
    pub fn response_head(&mut self, headers: &[Header<'_>]) -> Vec<HeaderEdit> {
        let status = single(headers, ":status").and_then(|status| std::str::from_utf8(status).ok());
        self.record.status = status.and_then(|status| status.parse().ok()).or(self.record.status);
        let mut edits = Vec::new();
        if self.policy.stages.contains(Stage::Output) {
            edits = self.policy.output.edits(headers);
            self.record.signals = signals(headers);
        }
        edits.extend_from_slice(&self.response_edits);
        if self.record.refused.is_none() {
            let policy = Arc::clone(&self.policy);
            let limits = self.limits(&policy);
            self.admission.fields(limits, self.begun, &mut edits);
            self.admission.response_head(limits, headers);
            self.rewrite_response(headers, &mut edits);
            let input = self.route(&policy).and_then(|route| route.input.as_deref());
            self.check = input.and_then(|input| input.response_check(&self.announced, headers));
        }
        edits
    }

    /// Where the response was not what `output.schema` says, as far as it is known: JSON pointers, and what was expected there.
    pub fn response_violations(&self) -> impl Iterator<Item = (&str, &str)> {
        let violations = self.record.response_schema.iter();
        violations.map(|violation| (violation.at.as_str(), violation.expected.as_str()))
    }

    /// Whether anything looks at the bodies of responses on this route.
    fn looks_at_responses(&self, policy: &Policy) -> bool {
        let input = self.route(policy).and_then(|route| route.input.as_deref());
        self.rewrites_responses(policy) || input.is_some_and(Inspect::checks_responses)
    }

    /// Whether the bodies of responses are looked into on this route.
    fn rewrites_responses(&self, policy: &Policy) -> bool {
        let input = self.route(policy).and_then(|route| route.input.as_deref());
        input.is_some_and(Inspect::looks_at_responses)
    }

    fn rewrite_response(&mut self, headers: &[Header<'_>], edits: &mut Vec<HeaderEdit>) {
        let policy = Arc::clone(&self.policy);
        let input = self.route(&policy).and_then(|route| route.input.as_deref());
        self.rewriter = input.and_then(|input| input.response(headers, &self.principal));
        if self.rewriter.is_none() {
            return;
        }
        let removed =
            ["content-length", "content-digest", "repr-digest", "digest", "content-md5", "etag"];
        edits.extend(removed.map(|name| HeaderEdit::Remove(name.to_owned())));
        let is_encoded = single(headers, "content-encoding")
            .is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if is_encoded {
            let reply = unreadable_response().into_reply(None);
            edits.push(HeaderEdit::Set(":status".to_owned(), reply.status.to_string()));
            edits.push(HeaderEdit::Remove("content-encoding".to_owned()));
            let media_type = PROBLEM_MEDIA_TYPE.to_owned();
            edits.push(HeaderEdit::Set("content-type".to_owned(), media_type));
            self.record.status = Some(reply.status);
        }
    }

    /// Whether [`Self::response_body`] is to be called: asked after [`Self::response_head`], and again as the body comes.
    pub fn wants_response_body(&self) -> bool {
        self.rewriter.is_some() || self.check.is_some() || self.admission.wants_response_body()
    }

    /// A part of the response's body, in order, and whether it is the last one. What goes on in its place, where it is not to go
    /// on as it is: it may be less, as long as it is not known what follows, or nothing.
    pub fn response_body(&mut self, part: &[u8], is_last: bool) -> Option<Vec<u8>> {
        if self.admission.wants_response_body() {
            self.admission.response_body(part);
        }
        if let Some(check) = &mut self.check {
            self.record.response_schema.extend(check.push(part, is_last));
        }
        self.rewriter.as_mut().map(|rewriter| rewriter.rewrite(part, is_last))
    }

    /// Whether some of the response's body waits for what follows. A last part brings it out, which may be an empty one: where trailers
    /// may end the body, whoever drives this has to keep a place for what comes then.
    pub fn response_body_waits(&self) -> bool {
        self.rewriter.as_ref().is_some_and(|rewriter| rewriter.waits())
    }

    /// A part of the response's body could not be shown. Whether it must not go on.
    pub fn response_body_unseen(&mut self) -> bool {
        self.admission.response_body_unseen();
        if let Some(check) = &mut self.check {
            check.give_up();
        }
        self.rewriter.is_some()
    }

    /// The exchange is over, however it ended: the audit record to write, if the policy wants one.
    pub fn finish(&mut self, environment: &mut dyn Environment) -> Option<String> {
        self.leave(environment);
        self.record.cut = self.rewriter.as_ref().is_some_and(|rewriter| rewriter.is_cut());
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

    fn judge_head(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Step, Interruption> {
        let policy = Arc::clone(&self.policy);
        let stages = policy.stages;
        // A request that has waited comes a second time.
        self.edits.clear();
        environment.note(Trace::begin);
        self.record.request_id = single(head.headers, "x-request-id").and_then(RequestId::read);
        self.is_grpc = single(head.headers, "content-type").is_some_and(is_grpc);

        if stages.contains(Stage::Access) {
            policy.headers.check(head.headers)?;
            environment.note(|trace| {
                let found = format!("{} well-formed header fields", head.headers.len());
                trace.passed(Stage::Access, "access.headers", found);
            });
        }
        let mut target = Target::read(head.headers)?;
        self.route = policy.route(&target);
        let route = self.route(&policy);
        environment.note(|trace| trace.follow(self.route));
        let judged = self.judge_caller(&policy, route, head, &mut target, environment);
        self.record.target = Some(target);
        judged?;
        // Filters without authorisation let pass what no route is for: another one decides.
        let Some(route) = route else { return Ok(Step::Continue(std::mem::take(&mut self.edits))) };

        if stages.contains(Stage::Limits) {
            let limits = &route.limits;
            let by_address =
                limits.iter().any(|limit| limit.goes_by_address(&self.principal, head.headers));
            let caller = Caller {
                principal: &self.principal,
                claims: self.claims.as_deref(),
                source: if by_address { environment.source() } else { None },
                headers: head.headers,
                route: &route.name,
            };
            // From the service that counts for all gates first: it is what can make a request wait, and nothing may be taken before.
            let patience = Patience { since: self.begun, may_wait: self.may_wait };
            let granted =
                policy.service.as_ref().filter(|_| !self.admission.is_counted_elsewhere());
            let granted = granted
                .map(|service| service.take(limits, &caller, patience, environment))
                .transpose()?;
            let taken =
                self.admission.head(&policy.limiter, limits, &caller, head.has_body, environment);
            if let Err(interruption) = taken {
                if let Some(granted) = granted {
                    granted.give_back(environment);
                }
                self.is_at_limits = interruption == Interruption::Wait;
                return Err(interruption);
            }
        }
        self.judge_announced(route, head, environment)
    }

    /// Goes on where limits that are counted elsewhere have answered.
    fn judge_counted(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Step, Interruption> {
        let policy = Arc::clone(&self.policy);
        let Some(route) = self.route(&policy) else {
            return Err(Refusal::new(Reason::LimitsUnavailable, "Try again in a moment.").into());
        };
        self.is_at_limits = false;
        let has_body = head.has_body;
        self.admission.head_answered(&policy.limiter, &route.limits, has_body, environment)?;
        self.judge_announced(route, head, environment)
    }

    /// What is left of the header section when the caller may come.
    fn judge_announced(
        &mut self,
        route: &CompiledRoute,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Step, Interruption> {
        let policy = Arc::clone(&self.policy);
        if policy.stages.contains(Stage::Limits) {
            self.edits.extend(self.admission.edits(&route.limits));
        }
        let needs_body = self.admission.needs_body(&route.limits);
        if route.input.is_none() && route.decodes && needs_body {
            // Another filter would see more of it than is counted here. Where that one comes first, nothing is compressed any more.
            check_uncompressed(head.headers)?;
        }
        if route.input.is_none() && policy.signer.is_none() && !needs_body {
            return Ok(Step::Continue(std::mem::take(&mut self.edits)));
        }
        if let Some(input) = &route.input {
            let target = self.record.target.as_ref();
            let (announced, notes) = input.check_head(head.headers, target, head.has_body)?;
            self.announced = announced;
            self.record.notes.extend(notes);
        }
        match head.has_body {
            true => {
                self.awaits_body = true;
                Ok(Step::NeedBody)
            }
            false => self.judge_body(&[], environment),
        }
    }

    /// Whether the caller may ask for this: access, identity and authorisation.
    fn judge_caller(
        &mut self,
        policy: &Policy,
        route: Option<&CompiledRoute>,
        head: &RequestHead<'_>,
        target: &mut Target,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        if policy.stages.contains(Stage::Access) {
            if let Some(route) = route {
                route.access.check(|| environment.source(), &target.method)?;
                if environment.trace().is_some() {
                    let source = environment.source();
                    environment.note(|trace| route.access.note(source, &target.method, trace));
                }
            }
            self.strip(head.headers, |name| policy.headers.is_reserved(name));
        } else {
            // Portcullis's own fields may be those of a filter before this one. What is made of claims here is not.
            self.strip(head.headers, |name| policy.headers.is_claim_field(name));
            target.rewritten = false;
        }
        if policy.stages.contains(Stage::Limits) {
            let source = if policy.limiter.has_penalty() { environment.source() } else { None };
            self.admission.at_the_door(&policy.limiter, source, head.headers, environment)?;
        }
        if let Some(identity) = &policy.identity {
            self.identify(identity.as_ref(), head, target, route, environment)?;
            add(&mut self.edits, identity.hide(head.headers, target));
        }
        if target.rewritten {
            self.edits.push(HeaderEdit::Set(":path".to_owned(), target.path_and_query()));
        }
        if policy.stages.contains(Stage::Authorisation) {
            self.authorise(policy, route, target, environment)?;
        }
        Ok(())
    }

    fn identify(
        &mut self,
        identity: &dyn Identify,
        head: &RequestHead<'_>,
        target: &Target,
        route: Option<&CompiledRoute>,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        let any_or_none = Required::default();
        let question = Question {
            headers: head.headers,
            target,
            required: route.map_or(&any_or_none, |route| &route.required),
            route: route.map(|route| route.name.as_str()),
            since: self.begun,
            now: if self.has_waited { environment.now() } else { self.begun },
        };
        let caller = identity.identify(&question, environment)?;
        environment.note(|trace| {
            let found = caller.as_ref().map(|caller| caller.principal.describe());
            let found = found.unwrap_or_else(|| "no credential".to_owned());
            trace.passed(Stage::Identity, "", format!("the caller: {found}"));
        });
        if let Some(caller) = caller {
            self.principal = caller.principal;
            self.claims = caller.claims;
            add(&mut self.edits, caller.edits);
            self.response_edits = caller.response_edits;
        }
        Ok(())
    }

    fn judge_body(
        &mut self,
        body: &[u8],
        environment: &mut dyn Environment,
    ) -> Result<Step, Interruption> {
        let policy = Arc::clone(&self.policy);
        self.record.body_bytes = Some(body.len());
        let route = self.route(&policy);
        // What costs are read of, and what is judged, is what the upstream gets.
        let input = route.and_then(|route| route.input.as_deref());
        let decoded = input.map(|input| input.decode(&self.announced, body)).transpose()?.flatten();
        let (is_decoded, sent) = (decoded.is_some(), body);
        let body = decoded.as_deref().unwrap_or(sent);
        // Without a body all has been taken with the header section.
        if let Some(route) =
            route.filter(|_| self.awaits_body && policy.stages.contains(Stage::Limits))
        {
            self.admission.body(&policy.limiter, &route.limits, body, environment)?;
        }
        let mut rewritten = None;
        if let Some(input) = input {
            let inspected = input.check_body(&self.announced, body, &self.principal)?;
            rewritten = inspected.rewritten;
            self.record.notes.extend(inspected.notes);
            let found = || match body.len() {
                0 => "no body".to_owned(),
                length => format!("a body of {length} bytes that the route takes"),
            };
            environment.note(|trace| trace.passed(Stage::Input, "input", found()));
        }
        let rewritten = rewritten.or(decoded);
        let mut edits = std::mem::take(&mut self.edits);
        if is_decoded {
            edits.push(HeaderEdit::Remove("content-encoding".to_owned()));
        }
        if let Some(rewritten) = &rewritten {
            // What the client said of its length and of its digest (RFC 9530): it is another body now.
            let length = rewritten.len().to_string();
            edits.push(HeaderEdit::Set("content-length".to_owned(), length));
            let digests = ["content-digest", "repr-digest", "digest", "content-md5"];
            edits.extend(digests.map(|name| HeaderEdit::Remove(name.to_owned())));
        }
        if self.rewrites_responses(&policy) {
            // What is compressed cannot be read.
            edits.push(HeaderEdit::Set("accept-encoding".to_owned(), "identity".to_owned()));
        }
        if !self.record.notes.is_empty() {
            edits.push(HeaderEdit::Set(FINDINGS.to_owned(), self.record.notes.field()));
        }
        let body = rewritten.as_deref().unwrap_or(sent);
        if let (Some(signer), Some(target)) = (&policy.signer, &self.record.target) {
            let mut nonce = [0; 16];
            environment.random(&mut nonce).map_err(|_| {
                Refusal::new(Reason::AssertionUnavailable, "Try again in a moment.")
                    .header("retry-after", "1")
            })?;
            let fields = signer.sign(
                self.principal.field(),
                &target.method,
                &target.path,
                target.query.as_deref(),
                body,
                environment.now().seconds(),
                &nonce,
            );
            let found = "the upstream is told who is calling, signed";
            environment.note(|trace| trace.passed(Stage::Assertion, "assertion", found));
            let fields = fields.into_iter();
            edits.extend(fields.map(|(name, value)| HeaderEdit::Set(name.to_owned(), value)));
        }
        Ok(match rewritten {
            Some(body) => Step::Rewrite(edits, body),
            None => Step::Continue(edits),
        })
    }

    /// Callers who have not proved who they are learn nothing about routes, not even which there are.
    fn authorise(
        &self,
        policy: &Policy,
        route: Option<&CompiledRoute>,
        target: &Target,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        let anonymous = self.principal.via == CredentialKind::Anonymous;
        let missing = || match &policy.identity {
            Some(identity) => identity.missing(),
            None => Refusal::new(Reason::CredentialMissing, "Present a credential."),
        };
        let Some(route) = route else {
            environment.note(|trace| policy.note_no_route(target, trace));
            return Err(match anonymous {
                true => missing(),
                false => {
                    Refusal::new(Reason::RouteUnknown, "Check the path, the method and the host.")
                }
            });
        };
        let Target { method, path, .. } = target;
        environment.note(|trace| {
            let found = format!("the route `{}`, for {method} {path}", route.name);
            trace.passed(Stage::Authorisation, trace.route_field("match"), found);
        });
        if route.authorisation.needs_credential() && anonymous {
            return Err(missing());
        }
        let asked = Asked {
            principal: &self.principal,
            claims: self.claims.as_deref(),
            tenant: route.matcher.tenant(path),
        };
        route.authorisation.check(asked, environment.trace())
    }

    /// Removes what only Portcullis may say.
    fn strip(&mut self, headers: &[Header<'_>], is_reserved: impl Fn(&str) -> bool) {
        for (name, _) in headers {
            if !is_reserved(name) {
                continue;
            }
            let removal = HeaderEdit::Remove((*name).to_owned());
            if !self.edits.contains(&removal) {
                self.edits.push(removal);
            }
            if !self.record.stripped.iter().any(|stripped| stripped == name) {
                self.record.stripped.push((*name).to_owned());
            }
        }
    }
}

fn check_uncompressed(headers: &[Header<'_>]) -> Result<(), Refusal> {
    let mut values = headers.iter().filter(|(name, _)| *name == "content-encoding");
    match values.all(|(_, value)| value.eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => {
            let detail = "Send the body uncompressed.";
            let refusal = Refusal::new(Reason::ContentEncodingUnsupported, detail);
            Err(refusal.header("accept-encoding", "identity"))
        }
    }
}

/// Adds edits, without a copy where there were none before, as there mostly were not.
fn add(edits: &mut Vec<HeaderEdit>, more: Vec<HeaderEdit>) {
    if edits.is_empty() {
        *edits = more;
    } else {
        edits.extend(more);
    }
}
