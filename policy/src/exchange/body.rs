//! What is decided when the body of a request is there, or when it has none: what the upstream gets.

use std::sync::Arc;

use super::{Exchange, HeaderEdit, Step};
use crate::environment::{Environment, Unavailable};
use crate::input::{DEFAULT_BODY_BYTES, too_large};
use crate::limits::LimitAnswer;
use crate::problem::{Reason, Refusal, Stage};
use crate::stages::{Inspect, Interruption};

/// The field that tells the upstream what was found in a request that goes on all the same.
const FINDINGS: &str = "portcullis-findings";

impl Exchange {
    /// The longest body that will be looked at. Beyond it, [`Self::body_too_large`].
    pub fn max_body_bytes(&self) -> usize {
        let route = self.route(&self.policy);
        route.map_or(DEFAULT_BODY_BYTES as usize, |route| {
            route.input.as_deref().map_or(route.max_body_bytes, Inspect::max_body_bytes)
        })
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

    pub(super) fn judge_body(
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
            let taken = self.admission.body(&policy.limiter, &route.limits, body, environment);
            taken.inspect_err(|_| self.admission.give_back_granted(environment))?;
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
}
