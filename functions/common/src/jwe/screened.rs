//! The policy's input stage over what the gate could not read.

use std::sync::Arc;

use portcullis_policy::document::DocumentError;
use portcullis_policy::{
    Environment, Exchange, Header, HeaderEdit, NativeSignature, PROBLEM_MEDIA_TYPE, Policy,
    Principal, RequestHead, Secrets, Stage, Stages, Step, Swap, Timestamp, Unavailable, Version,
};
use zeroize::Zeroizing;

use super::MEDIA_TYPE;
use crate::{Problem, Reply};

/// The field in which the gate tells what it found in a request that goes on all the same.
const FINDINGS: &str = "portcullis-findings";

/// A constant: what no stage of it needs is not linked.
const STAGES: Stages = Stages::of(&[Stage::Input]);

/// The input stage of a policy, and of nothing else in it.
pub struct Screen(Arc<Policy>);

/// A request as it would have come to the gate, had it not been encrypted.
pub struct ClearRequest<'a> {
    /// The method (RFC 9110 §9).
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Without its question mark.
    pub query: Option<&'a str>,
    /// The Host field, where there is one: routes may be for some hosts.
    pub host: Option<&'a str>,
    /// What the header of the message says of it.
    pub content_type: &'a str,
    /// What was decrypted.
    pub content: &'a [u8],
    /// Who is calling, as the gate has it.
    pub principal: Principal,
    /// Seconds since 1970.
    pub now: u64,
}

/// What goes on.
pub struct Screened {
    /// What goes on in the content's place, if it is not to go on as it is.
    pub rewritten: Option<Zeroizing<Vec<u8>>>,
    /// What was found and let pass, as the gate's `portcullis-findings` field tells it.
    pub findings: Option<String>,
    exchange: Exchange,
}

impl Screen {
    /// Reads and compiles a policy document in JSON: the gate's own, as `portcullis` gives it to filters. Of its secrets it
    /// needs those of `redaction` and `output.canaries`, if it has them.
    pub fn compile(
        name: &str,
        document: &str,
        secrets: &dyn Secrets,
    ) -> Result<Self, DocumentError> {
        let policy = Policy::from_json(name, document, secrets, STAGES)?;
        Ok(Self(Arc::new(policy)))
    }

    /// Judges a request as the gate's input stage would on the route that is for it. The error is the gate's own refusal,
    /// which may name parts of the content: to be encrypted like an answer.
    pub fn check(&self, request: ClearRequest<'_>) -> Result<Screened, Reply> {
        let ClearRequest { method, path, query, host, content_type, content, principal, now } =
            request;
        if !is_normal(path) {
            return Err(PATH_INVALID.reply());
        }
        let target = match query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let headers: Vec<Header<'_>> = [
            (":method", method),
            (":path", &target),
            (":authority", host.unwrap_or_default()),
            ("content-type", content_type),
        ]
        .map(|(name, value)| (name, value.as_bytes()))
        .into();
        // At the gate this is a type that cannot be looked into, which was to end here.
        if content_type.trim_start().to_ascii_lowercase().starts_with(MEDIA_TYPE) {
            return Err(UNSCREENED.reply());
        }
        let mut environment = Alone { now };
        let mut exchange = self.0.begin(environment.now());
        exchange.assume_principal(principal);
        exchange.cannot_wait();
        let head = RequestHead { headers: &headers, has_body: true };
        let step = match exchange.request_head(&head, &mut environment) {
            Step::NeedBody if content.len() > exchange.max_body_bytes() => {
                exchange.body_too_large()
            }
            Step::NeedBody => exchange.request_body(content, &mut environment),
            // The stage has asked for no body: no route of the policy is for this.
            Step::Continue(_) | Step::Rewrite(..) | Step::Wait => return Err(UNSCREENED.reply()),
            refused @ Step::Respond(_) => refused,
        };
        let (edits, rewritten) = match step {
            Step::Continue(edits) => (edits, None),
            Step::Rewrite(edits, body) => (edits, Some(Zeroizing::new(body))),
            Step::Respond(reply) => {
                return Err(Reply::new(reply.status, PROBLEM_MEDIA_TYPE, reply.body));
            }
            Step::NeedBody | Step::Wait => return Err(UNSCREENED.reply()),
        };
        Ok(Screened { rewritten, findings: findings(edits), exchange })
    }
}

impl Screened {
    /// What of an answer may leave, before it is encrypted: personal data, markers and tokens as the gate would treat
    /// them in a clear one.
    pub fn answer(mut self, mut reply: Reply) -> Reply {
        let status = reply.status.to_string();
        let fields = reply.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let headers: Vec<Header<'_>> =
            [(":status", status.as_bytes())].into_iter().chain(fields).collect();
        // Which fields leave is the gate's to say.
        self.exchange.response_head(&headers);
        if let Some(body) = self.exchange.response_body(&reply.body, true) {
            reply.body = body;
        }
        reply
    }
}

/// Whether the gate sends a path on as it is. The policy finds a route for what is meant by a path, so that another
/// spelling of it would be judged as one thing, and be another to whoever it is sent on to.
fn is_normal(path: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_needless = |after: &str| {
        let digits = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        digits.is_some_and(is_unreserved)
    };
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    !path.contains("//")
        && !path.contains('\\')
        && !path.split('/').any(is_dots)
        && !path.split('%').skip(1).any(is_needless)
}

fn findings(edits: Vec<HeaderEdit>) -> Option<String> {
    edits.into_iter().find_map(|edit| match edit {
        HeaderEdit::Set(name, value) if name == FINDINGS => Some(value),
        _ => None,
    })
}

/// What the policy needs from where it runs: the input stage, nothing but the time.
struct Alone {
    now: u64,
}

impl Environment for Alone {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.now.saturating_mul(1_000_000_000))
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        getrandom::fill(bytes).map_err(|_| Unavailable)
    }

    fn load(&mut self, _: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Err(Unavailable)
    }

    fn compare_and_swap(
        &mut self,
        _: &str,
        _: Option<Version>,
        _: &[u8],
    ) -> Result<Swap, Unavailable> {
        Err(Unavailable)
    }

    fn source(&mut self) -> Option<std::net::IpAddr> {
        None
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}

const PATH_INVALID: Problem = Problem::new(
    400,
    "path-invalid",
    "The path is malformed or ambiguous",
    "Send a plain, normalised path.",
);

const UNSCREENED: Problem = Problem::new(
    403,
    "route-unknown",
    "There is nothing here that you may use",
    "Check the path, the method and the host.",
);

#[cfg(test)]
#[path = "screened_tests.rs"]
mod tests;
