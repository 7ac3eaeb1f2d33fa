//! From a request to an answer, without anything of Spin.

use std::sync::Arc;

use portcullis_function::{Body, Limit, Problem};
use portcullis_policy::{
    Environment, Exchange, Fetch, Header, HeaderEdit, Policy, RequestHead, Step, Timestamp,
};

use crate::counting::Counter;
use crate::environment::Instance;
use crate::message::{
    Answer, Content, Fields, Incoming, Outgoing, Upstream, UpstreamError, is_normal,
};
use crate::remotes::{Archive, Kept, Remotes};
use crate::store::LimitStore;

/// The policy in front of a function.
pub(crate) struct Service<'a, S, U, A> {
    pub(crate) policy: &'a Arc<Policy>,
    /// What keys of limits are digested under, on all machines.
    pub(crate) secret: [u8; 16],
    pub(crate) store: &'a S,
    pub(crate) upstream: &'a U,
    /// Documents that are fetched.
    pub(crate) archive: &'a A,
    /// None has the system's clock.
    pub(crate) now: Option<Timestamp>,
}

/// An answer, and the line for the audit log, if the policy wants one.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) record: Option<String>,
    /// Documents that are to be fetched again, for requests to come.
    pub(crate) due: Vec<Fetch>,
    pub(crate) instance: Instance,
}

/// The longest body that is ever read, whatever the policy allows: an instance has little memory.
pub(crate) const MAXIMUM_BODY: usize = 8 << 20;

impl<S: LimitStore, U: Upstream, A: Archive> Service<'_, S, U, A> {
    /// Judges a request, sends it on where it may, and judges what comes back.
    pub(crate) async fn answer(&self, request: &Incoming, content: impl Content) -> Answered {
        let mut instance =
            Instance { source: request.source, kept: Kept::default(), now: self.now };
        let judged = request_id(&mut instance).and_then(|id| request.judged(&id));
        let Some(judged) = judged.filter(|_| is_normal(&request.path)) else {
            let answer = of_problem(&TARGET_INVALID);
            return Answered { answer, record: None, due: Vec::new(), instance };
        };
        let begun = instance.now();
        let mut exchange = self.policy.begin(begun);
        exchange.count_elsewhere(self.secret);
        let mut counter = Counter::new(self.store);
        let remotes = Remotes { policy: self.policy, archive: self.archive };
        let due = remotes.due(&mut instance).await;
        let mut work = Work { exchange: &mut exchange, instance: &mut instance, begun, due };

        let admitted =
            work.admit(request, judged, content, &mut counter, &remotes).await.unwrap_or_else(Err);
        // Places are free, and refusals count, when there is an answer.
        let answered = match admitted {
            Ok(outgoing) => self.upstream.send(outgoing).await.unwrap_or_else(|error| {
                portcullis_function::log!("guard: {error}");
                if error.has_begun() {
                    work.exchange.response_broke_off();
                }
                of_problem(problem_of(&error))
            }),
            Err(refusal) => refusal,
        };
        let answer = work.respond(answered);
        let due = work.due;
        let record = exchange.finish(&mut instance);
        counter.settle(exchange.settlements()).await;
        Answered { answer, record, due, instance }
    }
}

/// A request on its way.
struct Work<'a> {
    exchange: &'a mut Exchange,
    instance: &'a mut Instance,
    begun: Timestamp,
    due: Vec<Fetch>,
}

impl Work<'_> {
    /// What goes on, or what is answered in its place; the outer error is one, too.
    async fn admit<S: LimitStore, A: Archive>(
        &mut self,
        request: &Incoming,
        judged: Fields,
        content: impl Content,
        counter: &mut Counter<'_, S>,
        remotes: &Remotes<'_, A>,
    ) -> Result<Result<Outgoing, Answer>, Answer> {
        let headers = borrowed(&judged);
        let head = RequestHead { headers: &headers, has_body: request.has_body() };
        let mut step = self.exchange.request_head(&head, self.instance);
        let mut looks = 0_usize;
        while matches!(step, Step::Wait) {
            if !self.exchange.takes().is_empty() {
                let answers = counter.take(self.exchange.takes()).await;
                step = self.exchange.request_head_counted(answers, &head, self.instance);
                continue;
            }
            // For a document.
            if remotes.is_too_late(self.begun, looks, self.instance) {
                self.exchange.cannot_wait();
            } else {
                looks = looks.saturating_add(1);
                remotes.wait(&mut self.due, self.instance).await;
            }
            step = self.exchange.request_head(&head, self.instance);
        }
        let mut body = Vec::new();
        if head.has_body && matches!(step, Step::NeedBody | Step::Continue(_)) {
            let limit = self.exchange.max_body_bytes().min(MAXIMUM_BODY);
            let read = content.read(Limit { bytes: limit, detail: "" }).await;
            body = match read {
                Body::Whole(content) => content.to_vec(),
                Body::TooLarge(_) => {
                    step = self.exchange.body_too_large();
                    Vec::new()
                }
                Body::Broken => return Err(of_problem(&BODY_INCOMPLETE)),
            };
        }
        if matches!(step, Step::NeedBody) {
            step = self.exchange.request_body(&body, self.instance);
            while matches!(step, Step::Wait) && !self.exchange.takes().is_empty() {
                let answers = counter.take(self.exchange.takes()).await;
                step = self.exchange.request_body_counted(answers, &body, self.instance);
            }
        }
        drop(headers);
        let (edits, body) = match step {
            Step::Continue(edits) => (edits, body),
            Step::Rewrite(edits, body) => (edits, body),
            Step::Respond(reply) => {
                let fields = reply.headers.into_iter();
                let fields = fields.map(|(name, value)| (name.to_owned(), value.into_bytes()));
                let fields = fields.collect();
                return Ok(Err(Answer { status: reply.status, fields, body: reply.body }));
            }
            // Nothing is decided, and what is not decided is refused.
            Step::NeedBody | Step::Wait => return Err(of_problem(&UNDECIDED)),
        };
        Ok(Outgoing::new(judged, edits, body).ok_or_else(|| of_problem(&UNDECIDED)))
    }

    /// What of an answer may leave.
    fn respond(&mut self, mut answer: Answer) -> Answer {
        let judged = answer.judged();
        let edits: Vec<HeaderEdit> = self.exchange.response_head(&borrowed(&judged));
        if self.exchange.wants_response_body()
            && let Some(body) = self.exchange.response_body(&answer.body, true)
        {
            answer.body = body;
        }
        answer.edit(edits);
        answer
    }
}

fn borrowed(fields: &Fields) -> Vec<Header<'_>> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

/// A UUID of version 4 (RFC 9562).
fn request_id(instance: &mut Instance) -> Option<String> {
    let mut bytes = [0; 16];
    instance.random(&mut bytes).ok()?;
    Some(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// A refusal that is not the policy's.
pub(crate) fn of_problem(problem: &Problem) -> Answer {
    let reply = problem.reply();
    let fields = reply.headers.into_iter();
    let fields = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    Answer { status: reply.status, fields: fields.collect(), body: reply.body }
}

fn problem_of(error: &UpstreamError) -> &'static Problem {
    match error {
        UpstreamError::Unreachable(_) => &UNREACHABLE,
        UpstreamError::Timeout { .. } => &TIMEOUT,
        UpstreamError::Unfit { .. } => &UNFIT,
    }
}

static TARGET_INVALID: Problem = Problem::new(
    400,
    "path-invalid",
    "The path is malformed or ambiguous",
    "Send a plain, normalised path, and one Host field.",
);

static BODY_INCOMPLETE: Problem = Problem::new(
    400,
    "body-incomplete",
    "Body incomplete",
    "The body ended too early. Send it again.",
);

static UNDECIDED: Problem = Problem::new(
    503,
    "function-unavailable",
    "Function unavailable",
    "The request could not be decided. Try again in a moment.",
);

static UNREACHABLE: Problem =
    Problem::new(502, "upstream-unreachable", "The function cannot be reached", "Try again later.");

static UNFIT: Problem = Problem::new(
    502,
    "upstream-answer-unfit",
    "The function's answer cannot be passed on",
    "Its operator finds the reason in the log.",
);

static TIMEOUT: Problem = Problem::new(
    504,
    "upstream-timeout",
    "The function does not answer in time",
    "Try again later, or send less.",
);
