//! The policy itself.

use std::sync::Arc;

use portcullis_policy::{Header, Policy, RequestHead, Step};

use super::{Backend, BackendError, FoundIssue, Request, Verdict};
use crate::native::NativeEnvironment;

/// Asks the policy in this process, without a proxy.
#[derive(Debug)]
pub struct PolicyBackend {
    policy: Arc<Policy>,
    environment: NativeEnvironment,
}

impl PolicyBackend {
    /// Decides by `policy`, with buckets of its own.
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), environment: NativeEnvironment::default() }
    }
}

impl Backend for PolicyBackend {
    fn decide(&mut self, request: &Request) -> Result<Verdict, BackendError> {
        self.environment.now = Some(request.time);
        let headers: Vec<Header> = request
            .header_map()
            .iter()
            // Names are text from the start.
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
            .collect();
        let head = RequestHead {
            headers: &headers,
            source: Some(request.source),
            has_body: !request.body.is_empty(),
            client_certificate: None,
        };
        let mut exchange = self.policy.begin(request.time);
        let mut step = exchange.request_head(&head, &mut self.environment);
        if step == Step::NeedBody {
            step = match request.body.len() > exchange.max_body_bytes() {
                true => exchange.body_too_large(),
                false => exchange.request_body(&request.body, &mut self.environment),
            };
        }
        match (step, exchange.refused()) {
            (Step::Continue(_), _) => Ok(Verdict::allow()),
            (Step::Respond(_), Some((reason, findings))) => {
                Ok(Verdict::deny(reason, findings.iter().map(FoundIssue::from).collect()))
            }
            (step, _) => Err(BackendError(format!("the policy ended with {step:?}"))),
        }
    }
}
