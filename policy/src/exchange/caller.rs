//! Who calls, and whether they may: access, identity and authorisation.

use super::{Exchange, HeaderEdit, RequestHead};
use crate::CredentialKind;
use crate::access::{Header, Target};
use crate::authorisation::Asked;
use crate::environment::Environment;
use crate::identity::Required;
use crate::policy::Policy;
use crate::problem::{Reason, Refusal, Stage};
use crate::route::CompiledRoute;
use crate::stages::{Identify, Interruption, Question};

impl Exchange {
    /// Whether the caller may ask for this: access, identity and authorisation.
    pub(super) fn judge_caller(
        &mut self,
        policy: &Policy,
        route: Option<&CompiledRoute>,
        head: &RequestHead<'_>,
        target: &mut Target,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        if policy.stages.contains(Stage::Access) {
            // Also where no route is: whoever is kept out may not try credentials, and learns of no route by its method.
            let access = route.map_or(&policy.access, |route| &route.access);
            access.check(|| environment.source(), &target.method)?;
            if environment.trace().is_some() {
                let source = environment.source();
                environment.note(|trace| access.note(source, &target.method, trace));
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

/// Adds edits, without a copy where there were none before, as there mostly were not.
fn add(edits: &mut Vec<HeaderEdit>, more: Vec<HeaderEdit>) {
    if edits.is_empty() {
        *edits = more;
    } else {
        edits.extend(more);
    }
}
