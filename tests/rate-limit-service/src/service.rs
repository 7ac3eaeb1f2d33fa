//! The one call that there is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use limitador::counter::Counter;
use limitador::limit::{Context, Limit};
use tonic::{Request, Response, Status};

use crate::counters::Counters;

pub(crate) struct Service {
    limits: Vec<Arc<Limit>>,
    counters: Counters,
}

impl Service {
    pub(crate) fn new(limits: Vec<Arc<Limit>>, counters: Counters) -> Self {
        Self { limits, counters }
    }

    /// The counter that a call is about. One: the gates ask about one limit at a time, and several could not be counted all
    /// or none.
    fn counter(&self, request: &RateLimitRequest) -> Result<Counter, Status> {
        let descriptors = request.descriptors.iter().map(|descriptor| {
            let entries = descriptor.entries.iter();
            entries.map(|entry| (entry.key.clone(), entry.value.clone())).collect()
        });
        let descriptors: Vec<HashMap<String, String>> = descriptors.collect();
        if descriptors.len() != 1 {
            return Err(Status::invalid_argument("expected one descriptor"));
        }
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), descriptors);
        let mut counters = self
            .limits
            .iter()
            .filter(|limit| limit.namespace().as_ref() == request.domain && limit.applies(&context))
            .filter_map(|limit| Counter::new(Arc::clone(limit), &context).transpose());
        let counter = counters.next().ok_or_else(|| Status::not_found("no limit is for this"))?;
        if counters.next().is_some() {
            return Err(Status::failed_precondition("several limits are for this"));
        }
        counter.map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let counter = self.counter(&request)?;
        let taken = self.counters.take(&counter, request.hits_addend.max(1)).await;
        let taken = taken.map_err(|error| Status::unavailable(error.to_string()))?;
        let code = if taken.within { Code::Ok } else { Code::OverLimit };
        let status = DescriptorStatus {
            code: code.into(),
            current_limit: current_limit(&counter),
            limit_remaining: taken.remaining,
            duration_until_reset: Some(duration(taken.reset)),
            ..Default::default()
        };
        Ok(Response::new(RateLimitResponse {
            overall_code: code.into(),
            statuses: vec![status],
            ..Default::default()
        }))
    }
}

fn duration(duration: Duration) -> ProtoDuration {
    ProtoDuration {
        seconds: duration.as_secs().try_into().unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().try_into().unwrap_or_default(),
    }
}

/// Only where the window is one of Envoy's units.
fn current_limit(counter: &Counter) -> Option<RateLimit> {
    let unit = match counter.window().as_secs() {
        1 => Unit::Second,
        60 => Unit::Minute,
        3600 => Unit::Hour,
        86_400 => Unit::Day,
        _ => return None,
    };
    let requests_per_unit = counter.max_value().try_into().ok()?;
    let name = counter.limit().name().unwrap_or_default().to_owned();
    Some(RateLimit { name, requests_per_unit, unit: unit.into() })
}
