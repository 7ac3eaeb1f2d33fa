//! What is made of the response.

use std::sync::Arc;

use super::{Exchange, HeaderEdit};
use crate::access::{Header, single};
use crate::document::LimitsFields;
use crate::output::{BodyCap, signals};
use crate::policy::Policy;
use crate::problem::{PROBLEM_MEDIA_TYPE, Reason, Refusal, Stage};
use crate::screening::{AnnouncedBody, withheld};
use crate::stages::Inspect;

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

impl Exchange {
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
            if policy.limits_fields == LimitsFields::All {
                self.admission.fields(limits, self.begun, &mut edits);
            }
            self.admission.response_head(limits, headers, self.is_head());
            if !self.cap_response(headers, &mut edits) {
                self.rewrite_response(headers, &mut edits);
            }
            let input = self.route(&policy).and_then(|route| route.input.as_deref());
            self.check = input.and_then(|input| input.response_check(&self.announced, headers));
        }
        edits
    }

    /// Whether [`Self::response_body`] is to be called: asked after [`Self::response_head`], and again as the body comes.
    pub fn wants_response_body(&self) -> bool {
        self.rewriter.is_some()
            || self.cap.is_some()
            || self.check.is_some()
            || self.admission.wants_response_body()
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
        let Some(cap) = &mut self.cap else {
            return self.rewriter.as_mut().map(|rewriter| rewriter.rewrite(part, is_last));
        };
        let was_over = cap.is_over();
        let fitting = cap.take(part);
        match &mut self.rewriter {
            _ if was_over => Some(Vec::new()),
            // What waits for what does not come is not sent: nobody knows what it would have become.
            Some(rewriter) => Some(rewriter.rewrite(fitting, is_last && !cap.is_over())),
            None => cap.is_over().then(|| fitting.to_vec()),
        }
    }

    /// The upstream's response had begun, and well, and broke off before anything of it was passed on: what it cost is not known. What
    /// the client is answered in its place comes to [`Self::response_head`].
    pub fn response_broke_off(&mut self) {
        self.admission.break_off();
    }

    /// Whether some of the response's body waits for what follows. A last part brings it out, which may be an empty one: where trailers
    /// may end the body, whoever drives this has to keep a place for what comes then.
    pub fn response_body_waits(&self) -> bool {
        let is_over = self.cap.is_some_and(|cap| cap.is_over());
        !is_over && self.rewriter.as_ref().is_some_and(|rewriter| rewriter.waits())
    }

    /// A part of the response's body could not be shown. Whether it must not go on.
    pub fn response_body_unseen(&mut self) -> bool {
        self.admission.response_body_unseen();
        if let Some(check) = &mut self.check {
            check.give_up();
        }
        // How long it was is not known either.
        if let Some(cap) = &mut self.cap {
            cap.close();
        }
        self.rewriter.is_some() || self.cap.is_some()
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
    pub(super) fn rewrites_responses(&self, policy: &Policy) -> bool {
        let input = self.route(policy).and_then(|route| route.input.as_deref());
        input.is_some_and(Inspect::looks_at_responses)
    }

    /// Whether the response was cut, and why, for the record.
    pub(super) fn note_cut(&mut self) {
        let rewriter = self.rewriter.as_ref();
        let is_over = self.cap.is_some_and(|cap| cap.is_over());
        let reason = rewriter.and_then(|rewriter| rewriter.reason());
        self.record.cut = is_over || rewriter.is_some_and(|rewriter| rewriter.is_cut());
        self.record.unsent = reason.or(is_over.then_some(Reason::ResponseTooLarge));
    }

    /// Sees to the length that a response may have, where one is set. Whether it does not go on: it is said to be longer.
    fn cap_response(&mut self, headers: &[Header<'_>], edits: &mut Vec<HeaderEdit>) -> bool {
        let policy = Arc::clone(&self.policy);
        let bytes = match self.route(&policy) {
            Some(route) => route.max_response_bytes,
            None => policy.output.max_body_bytes,
        };
        let Some(bytes) = bytes.filter(|_| policy.stages.contains(Stage::Output)) else {
            return false;
        };
        let announced = AnnouncedBody::read(headers);
        // To HEAD, and with these statuses, the length is that of a body which does not come.
        let is_bare = self.is_head() || matches!(self.record.status, Some(100..=199 | 204 | 304));
        if !is_bare && announced.length.is_some_and(|length| length > bytes) {
            let detail = "The service answered with more than may be sent.";
            let refusal = Refusal::new(Reason::ResponseTooLarge, detail);
            self.rewriter = Some(withheld(refusal, self.record.request_id.as_deref(), &announced));
            self.edit_rewritten(edits);
            return true;
        }
        self.cap = Some(BodyCap::new(bytes));
        // One that cannot be believed is not passed on with a body that may be cut.
        if announced.length.is_none() && headers.iter().any(|(name, _)| *name == "content-length") {
            edits.push(HeaderEdit::Remove("content-length".to_owned()));
        }
        false
    }

    fn is_head(&self) -> bool {
        self.record.target.as_ref().is_some_and(|target| target.method == "HEAD")
    }

    fn rewrite_response(&mut self, headers: &[Header<'_>], edits: &mut Vec<HeaderEdit>) {
        let policy = Arc::clone(&self.policy);
        let input = self.route(&policy).and_then(|route| route.input.as_deref());
        self.rewriter = input.and_then(|input| input.response(headers, &self.principal));
        self.edit_rewritten(edits);
    }

    /// What a response's header section says of a body that is another now.
    fn edit_rewritten(&mut self, edits: &mut Vec<HeaderEdit>) {
        let Some(rewriter) = &self.rewriter else { return };
        let removed =
            ["content-length", "content-digest", "repr-digest", "digest", "content-md5", "etag"];
        edits.extend(removed.map(|name| HeaderEdit::Remove(name.to_owned())));
        if let Some(content_type) = rewriter.content_type() {
            edits.push(HeaderEdit::Set("content-type".to_owned(), content_type.to_owned()));
        }
        // It is withheld from the beginning: nobody can read it, or it is too long.
        if let Some(reason) = rewriter.reason().filter(|_| rewriter.is_cut()) {
            edits.push(HeaderEdit::Set(":status".to_owned(), reason.status().to_string()));
            for name in ["content-encoding", "content-range", "content-disposition"] {
                edits.push(HeaderEdit::Remove(name.to_owned()));
            }
            let media_type = PROBLEM_MEDIA_TYPE.to_owned();
            edits.push(HeaderEdit::Set("content-type".to_owned(), media_type));
            self.record.status = Some(reason.status());
        }
    }
}
