//! One request's way through the stages.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{Header, Target, single};
use crate::audit::Record;
use crate::authorisation::Asked;
use crate::environment::{Environment, Timestamp};
use crate::identity::{Claims, Required};
use crate::input::{DEFAULT_BODY_BYTES, too_large};
use crate::limits::{self, Patience, Standing};
use crate::policy::{CompiledRoute, Policy};
use crate::problem::{Finding, Reason, Refusal, Reply, Stage};
use crate::stages::{Identify, Inspect, Interruption, Question};
use crate::trace::Trace;
use crate::{CredentialKind, Principal};

/// A request's header section, as the runtime has it.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// All fields, pseudo-header fields included, names in lower case, in order, duplicates kept.
    pub headers: &'a [Header],
    /// The client's address, as far as the runtime can vouch for it; never from a field that clients set.
    pub source: Option<IpAddr>,
    /// Whether a body (or trailers) will follow.
    pub has_body: bool,
    /// The SHA-256 digest of the client certificate's DER, where the client has shown one, has proved to hold its key, and the
    /// runtime has verified it; never from a field that clients set.
    pub client_certificate: Option<[u8; 32]>,
}

/// What to do with the exchange now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let it go on, with these changes to the header section.
    Continue(Vec<HeaderEdit>),
    /// Hold the header section back, buffer the body up to [`Exchange::max_body_bytes`] and come again with
    /// all of it.
    NeedBody,
    /// Something has to be fetched before this can be decided. Hold the request, see to [`Policy::upkeep`], and when
    /// something has been fetched, or a second has gone by, come again with [`Exchange::request_head`]: it decides in the end,
    /// whatever comes.
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
    principal: Arc<Principal>,
    claims: Option<Arc<Claims>>,
    target: Option<Target>,
    route: Option<usize>,
    headers: Vec<Header>,
    edits: Vec<HeaderEdit>,
    response_edits: Vec<HeaderEdit>,
    standing: Option<Standing>,
    record: Record,
}

impl Exchange {
    pub(crate) fn new(policy: Arc<Policy>, now: Timestamp) -> Self {
        Self {
            policy,
            begun: now,
            may_wait: true,
            principal: Arc::new(Principal::anonymous()),
            claims: None,
            target: None,
            route: None,
            headers: Vec::new(),
            edits: Vec::new(),
            response_edits: Vec::new(),
            standing: None,
            record: Record::new(now),
        }
    }

    /// Who is calling, as far as it is known yet.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Takes over the principal that another filter of the same chain has established. It must come from where
    /// clients cannot write.
    pub fn assume_principal(&mut self, principal: Principal) {
        self.principal = Arc::new(principal);
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
        let inspect = route.and_then(|route| route.input.as_deref());
        inspect.map_or(DEFAULT_BODY_BYTES as usize, Inspect::max_body_bytes)
    }

    /// The request's header section.
    pub fn request_head(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Step {
        let refusal = match self.judge_head(head, environment) {
            Ok(step) => {
                self.record.allowed = matches!(step, Step::Continue(_));
                return step;
            }
            Err(Interruption::Wait) if self.may_wait => return Step::Wait,
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
            Ok(edits) => {
                self.record.allowed = true;
                Step::Continue(edits)
            }
            Err(refusal) => {
                environment.note(|trace| trace.refused(&refusal));
                self.refuse(refusal)
            }
        }
    }

    /// The body has grown beyond [`Self::max_body_bytes`].
    pub fn body_too_large(&mut self) -> Step {
        let refusal = too_large(self.max_body_bytes());
        self.refuse(refusal)
    }

    /// The names of request trailers to remove: those that only Portcullis may set.
    pub fn request_trailers(&mut self, trailers: &[Header]) -> Vec<HeaderEdit> {
        let reserved = trailers.iter().filter(|(name, _)| self.policy.headers.is_reserved(name));
        reserved.map(|(name, _)| HeaderEdit::Remove(name.clone())).collect()
    }

    /// A response's header section: the upstream's, or one that the gate or the proxy made itself.
    pub fn response_head(&mut self, headers: &[Header]) -> Vec<HeaderEdit> {
        let status = single(headers, ":status").and_then(|status| std::str::from_utf8(status).ok());
        self.record.status = status.and_then(|status| status.parse().ok()).or(self.record.status);
        let mut edits = Vec::new();
        if self.policy.stages.contains(Stage::Output) {
            edits = self.policy.output.edits(headers);
        }
        edits.extend(self.response_edits.iter().cloned());
        if let (Some(standing), None) = (&self.standing, &self.record.refused) {
            let fields = standing.fields();
            edits.extend(fields.map(|(name, value)| HeaderEdit::Set(name.to_owned(), value)));
        }
        edits
    }

    /// The exchange is over, however it ended: the audit record to write, if the policy wants one.
    pub fn finish(&mut self, environment: &mut dyn Environment) -> Option<String> {
        if !self.policy.stages.contains(Stage::Audit) {
            return None;
        }
        let now = environment.now();
        self.record.line(self.policy.audit, &self.principal, &self.policy.digest, now)
    }

    fn route<'a>(&self, policy: &'a Policy) -> Option<&'a CompiledRoute> {
        self.route.and_then(|index| policy.routes.get(index))
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.record.status = Some(refusal.reason.status());
        self.record.allowed = false;
        self.record.refused = Some((refusal.reason, refusal.findings.clone()));
        Step::Respond(refusal.into_reply(self.record.request_id.as_deref()))
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
        self.record.source = head.source;
        self.record.request_id = single(head.headers, "x-request-id").and_then(uuid);

        if stages.contains(Stage::Access) {
            policy.headers.check(head.headers)?;
            environment.note(|trace| {
                let found = format!("{} well-formed header fields", head.headers.len());
                trace.passed(Stage::Access, "access.headers", found);
            });
        }
        let mut target = Target::read(head.headers)?;
        self.record.method.clone_from(&target.method);
        self.record.path.clone_from(&target.path);
        self.record.host.clone_from(&target.host);
        self.route = policy.route(&target);
        let route = self.route(&policy);
        self.record.route = route.map(|route| route.name.clone());
        environment.note(|trace| trace.follow(self.route));

        if stages.contains(Stage::Access) {
            if let Some(route) = route {
                route.access.check(head.source, &target.method)?;
                environment.note(|trace| {
                    let source = head.source.map_or("none".to_owned(), |source| source.to_string());
                    trace.passed(Stage::Access, "access.networks", format!("the address {source}"));
                    trace.passed(
                        Stage::Access,
                        "access.methods",
                        format!("the method {}", target.method),
                    );
                });
            }
            self.strip(head.headers, |name| policy.headers.is_reserved(name));
        } else {
            // Portcullis's own fields may be those of a filter before this one. What is made of claims here is not.
            self.strip(head.headers, |name| policy.headers.is_claim_field(name));
            target.rewritten = false;
        }
        if let Some(identity) = &policy.identity {
            self.identify(identity.as_ref(), head, &target, route, environment)?;
            self.edits.extend(identity.hide(head.headers, &mut target));
        }
        if target.rewritten {
            self.edits.push(HeaderEdit::Set(":path".to_owned(), target.path_and_query()));
        }
        if stages.contains(Stage::Authorisation) {
            self.authorise(&policy, route, &target, environment)?;
        }
        // Filters without authorisation let pass what no route is for: another one decides.
        let Some(route) = route else { return Ok(Step::Continue(std::mem::take(&mut self.edits))) };

        if stages.contains(Stage::Limits) {
            self.take(&policy, route, head.source, environment)?;
        }
        let signs = policy.signer.is_some();
        self.target = Some(target);
        if route.input.is_none() && !signs {
            return Ok(Step::Continue(std::mem::take(&mut self.edits)));
        }
        if let Some(input) = &route.input {
            input.check_head(head.headers, head.has_body)?;
            let content_type = head.headers.iter().find(|(name, _)| name == "content-type");
            self.headers = content_type.cloned().into_iter().collect();
        }
        match head.has_body {
            true => Ok(Step::NeedBody),
            false => Ok(self.judge_body(&[], environment).map(Step::Continue)?),
        }
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
            source: head.source,
            client_certificate: head.client_certificate.as_ref(),
            required: route.map_or(&any_or_none, |route| &route.required),
            route: route.map(|route| route.name.as_str()),
            since: self.begun,
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
            self.edits.extend(caller.edits);
            self.response_edits = caller.response_edits;
        }
        Ok(())
    }

    /// From the service that counts for all gates first: it is what can make a request wait, and nothing may be taken before.
    fn take(
        &mut self,
        policy: &Policy,
        route: &CompiledRoute,
        source: Option<IpAddr>,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        let granted = match &policy.service {
            Some(service) => {
                let patience = Patience { since: self.begun, may_wait: self.may_wait };
                service.take(&route.limits, &self.principal, source, patience, environment)?
            }
            None => Default::default(),
        };
        match limits::take(&route.limits, &self.principal, source, environment) {
            Ok(standing) => self.standing = standing,
            Err(refusal) => {
                granted.give_back(environment);
                return Err(refusal.into());
            }
        }
        Ok(())
    }

    fn judge_body(
        &mut self,
        body: &[u8],
        environment: &mut dyn Environment,
    ) -> Result<Vec<HeaderEdit>, Refusal> {
        let policy = Arc::clone(&self.policy);
        self.record.body_bytes = Some(body.len());
        let route = self.route(&policy);
        if let Some(input) = route.and_then(|route| route.input.as_deref()) {
            input.check_body(&self.headers, body)?;
            let found = || match body.len() {
                0 => "no body".to_owned(),
                length => format!("a body of {length} bytes that the route takes"),
            };
            environment.note(|trace| trace.passed(Stage::Input, "input", found()));
        }
        let mut edits = std::mem::take(&mut self.edits);
        if let (Some(signer), Some(target)) = (&policy.signer, &self.target) {
            let mut nonce = [0; 16];
            environment.random(&mut nonce).map_err(|_| {
                Refusal::new(Reason::AssertionUnavailable, "Try again in a moment.")
                    .header("retry-after", "1")
            })?;
            let fields = signer.sign(
                &self.principal,
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
        Ok(edits)
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
    fn strip(&mut self, headers: &[Header], is_reserved: impl Fn(&str) -> bool) {
        for (name, _) in headers {
            let removal = HeaderEdit::Remove(name.clone());
            if is_reserved(name) && !self.edits.contains(&removal) {
                if !self.record.stripped.contains(name) {
                    self.record.stripped.push(name.clone());
                }
                self.edits.push(removal);
            }
        }
    }
}

/// A request id as proxies make it (RFC 9562); anything else a client may have put there is not repeated.
fn uuid(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid.then(|| text.to_ascii_lowercase())
}
