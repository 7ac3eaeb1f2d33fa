//! The policy itself.

use std::sync::Arc;

use portcullis_policy::{Exchange, Header, Policy, RequestHead, Step, Timestamp};

use super::{Backend, BackendError, FoundIssue, Request, Verdict};
use crate::cli::fetched::{Answered, Fetched};
use crate::native::NativeEnvironment;

/// Asks the policy in this process, without a proxy.
#[derive(Debug)]
pub struct PolicyBackend {
    policy: Arc<Policy>,
    fetched: Fetched,
    environment: NativeEnvironment,
}

impl PolicyBackend {
    /// Decides by `policy`, with buckets of its own and with `fetched` in place of the network.
    pub fn new(policy: Policy, fetched: Fetched) -> Self {
        Self { policy: Arc::new(policy), fetched, environment: NativeEnvironment::default() }
    }
}

impl Backend for PolicyBackend {
    fn decide(&mut self, request: &Request) -> Result<Verdict, BackendError> {
        let Driven { step, exchange, answered } =
            drive(&self.policy, request, &self.fetched, &mut self.environment);
        for warning in answered.warnings {
            eprintln!("portcullis: {warning}");
        }
        match (step, exchange.refused()) {
            (Step::Continue(_) | Step::Rewrite(..), _) => Ok(Verdict::allow()),
            (Step::Respond(_), Some((reason, findings))) => {
                Ok(Verdict::deny(reason, findings.iter().map(FoundIssue::from).collect()))
            }
            (step, _) => Err(BackendError(format!("the policy ended with {step:?}"))),
        }
    }
}

/// How a request ended.
pub(crate) struct Driven {
    pub(crate) step: Step,
    pub(crate) exchange: Exchange,
    /// What was asked of the servers meanwhile.
    pub(crate) answered: Answered,
}

/// Longer than any request waits, in seconds.
const MAXIMUM_WAIT: u64 = 60;

/// Brings a request before the policy at the request's own time. While it waits, seconds go by on its clock and files are given
/// for what is fetched.
pub(crate) fn drive(
    policy: &Arc<Policy>,
    request: &Request,
    fetched: &Fetched,
    environment: &mut NativeEnvironment,
) -> Driven {
    environment.now = Some(request.time);
    let mut answered = fetched.answer(policy, environment);
    environment.source = Some(request.source);
    environment.client_certificate = request.client_certificate;
    let map = request.header_map();
    let headers: Vec<Header<'_>> = map
        .iter()
        // Names are text from the start.
        .map(|(name, value)| (std::str::from_utf8(name).unwrap_or_default(), value))
        .collect();
    let head = RequestHead { headers: &headers, has_body: !request.body.is_empty() };
    let mut exchange = policy.begin(request.time);
    let mut step = exchange.request_head(&head, environment);
    for second in 1..=MAXIMUM_WAIT {
        if step != Step::Wait {
            break;
        }
        environment.now = Some(Timestamp(request.time.0.saturating_add(second * 1_000_000_000)));
        answered.extend(fetched.answer(policy, environment));
        step = exchange.request_head(&head, environment);
    }
    if step == Step::Wait {
        exchange.cannot_wait();
        step = exchange.request_head(&head, environment);
    }
    if step == Step::NeedBody {
        // One that is too long is refused as `body_too_large` would.
        step = exchange.request_body(&request.body, environment);
    }
    Driven { step, exchange, answered }
}
