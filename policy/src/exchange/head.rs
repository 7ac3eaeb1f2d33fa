//! What is decided when the header section of a request is there.

use std::sync::Arc;

use super::{Exchange, HeaderEdit, RequestHead, Step};
use crate::access::{Header, RequestId, Target, single};
use crate::environment::{Environment, Unavailable};
use crate::grpc::is_grpc;
use crate::limits::{Caller, LimitAnswer, Patience};
use crate::problem::{Reason, Refusal, Stage};
use crate::route::CompiledRoute;
use crate::stages::Interruption;
use crate::trace::Trace;

impl Exchange {
    /// The request's header section.
    pub fn request_head(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Step {
        // A proof of possession that was good before it waited would be a replay now.
        let judged = match std::mem::take(&mut self.awaits_grant) {
            true => self.judge_limits(head, environment),
            false => self.judge_head(head, environment),
        };
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

    /// The names of request trailers to remove: those that only Portcullis may set.
    pub fn request_trailers(&mut self, trailers: &[Header<'_>]) -> Vec<HeaderEdit> {
        let reserved = trailers.iter().filter(|(name, _)| self.policy.headers.is_reserved(name));
        reserved.map(|(name, _)| HeaderEdit::Remove((*name).to_owned())).collect()
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
        self.route = self.assumed_route.or_else(|| policy.route(&target));
        let route = self.route(&policy);
        environment.note(|trace| trace.follow(self.route));
        let judged = self.judge_caller(&policy, route, head, &mut target, environment);
        self.record.target = Some(target);
        judged?;
        // Told to who may come in, or it would tell others which routes there are.
        let target = self.record.target.as_ref().zip(self.route);
        if target.is_some_and(|(target, route)| policy.is_disguised(target, route)) {
            let refusal = Refusal::new(Reason::PathInvalid, "Send a path without parameters.");
            let expected = "no `;` without which it would be the path of something else";
            return Err(refusal.finding(":path", expected).into());
        }
        self.judge_limits(head, environment)
    }

    /// What follows when the caller may ask for it.
    fn judge_limits(
        &mut self,
        head: &RequestHead<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Step, Interruption> {
        let policy = Arc::clone(&self.policy);
        let stages = policy.stages;
        let route = self.route(&policy);
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
            let service =
                policy.service.as_ref().filter(|_| !self.admission.is_counted_elsewhere());
            let granted = service
                .map(|service| service.take(limits, &caller, patience, environment))
                .transpose();
            self.awaits_grant = granted.as_ref().err() == Some(&Interruption::Wait);
            self.admission.granted = granted?;
            let taken =
                self.admission.head(&policy.limiter, limits, &caller, head.has_body, environment);
            if let Err(interruption) = taken {
                self.admission.give_back_granted(environment);
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
