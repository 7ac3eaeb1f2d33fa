//! One stream in one filter: what Envoy's filter manager does for each filter of a chain.

use std::sync::Arc;

use tokio::sync::Notify;

use super::abi::Direction;
use super::local_reply::LocalReply;
use super::message::Event;
use super::pass::Pass;
use super::plugin::{FailurePolicy, Plugin, StreamId};
use super::state::Iteration;
use super::stream_info::StreamInfo;

/// What comes out of a filter when something has gone in.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What goes on to the next filter.
    pub(super) events: Vec<Event>,
    pub(super) reply: Option<LocalReply>,
    pub(super) reset: bool,
}

/// A stream in a filter.
pub(super) enum FilterStream {
    /// Not begun: the request headers have not come this far.
    Waiting(Plugin),
    Running(Plugin, StreamId),
    /// There was no VM and the policy is to let streams pass.
    Bypassed,
    /// There was no VM and the policy is to answer 503; done so already or not.
    Refused(bool),
    Finished,
}

impl FilterStream {
    /// Takes a part of the message in.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        event: Event,
        info: &Arc<StreamInfo>,
        wake: &Arc<Notify>,
    ) -> Output {
        if let Self::Waiting(plugin) = self {
            if direction == Direction::Response {
                return Output { events: vec![event], ..Output::default() };
            }
            let begun = plugin.0.begin(info, wake);
            *self = match begun {
                Some(id) => Self::Running(plugin.clone(), id),
                None if plugin.0.config.failure_policy == FailurePolicy::FailOpen => Self::Bypassed,
                None => Self::Refused(false),
            };
        }
        match self {
            Self::Waiting(_) | Self::Bypassed | Self::Finished => {
                Output { events: vec![event], ..Output::default() }
            }
            Self::Refused(_) if direction == Direction::Response => {
                Output { events: vec![event], ..Output::default() }
            }
            Self::Refused(true) => Output::default(),
            Self::Refused(told) => {
                *told = true;
                Output { reply: Some(failure()), ..Output::default() }
            }
            Self::Running(plugin, id) => {
                let result = plugin.0.with_stream(*id, |access| {
                    let mut pass = Pass::new(access, plugin, id.1, direction);
                    pass.event(event);
                    pass.finish()
                });
                // A stream that its filter has lost track of must not pass unseen.
                result.unwrap_or_else(|| Output { reply: Some(failure()), ..Output::default() })
            }
        }
    }

    /// Lets the stream go on if the filter has called for that since, in `direction`.
    pub(super) fn resume(&mut self, direction: Direction) -> Output {
        let Self::Running(plugin, id) = self else { return Output::default() };
        let result = plugin.0.with_stream(*id, |access| {
            let mut pass = Pass::new(access, plugin, id.1, direction);
            pass.resume();
            pass.finish()
        });
        result.unwrap_or_default()
    }

    /// Whether the filter holds the stream back in `direction`, and whether it holds so much that
    /// no more should be sent.
    pub(super) fn pressure(&self, direction: Direction) -> (bool, bool) {
        let Self::Running(plugin, id) = self else { return (false, false) };
        let held = plugin.0.with_stream(*id, |mut access| {
            let side = access.stream(id.1)?.side(direction);
            let stopped = side.iteration != Iteration::Continue;
            let bytes = side.buffer.as_ref().map_or(0, Vec::len);
            Some((stopped, stopped && bytes > plugin.0.config.buffer_limit))
        });
        held.flatten().unwrap_or_default()
    }

    /// Whether something may yet move the stream.
    pub(super) fn has_work_outstanding(&self) -> bool {
        let Self::Running(plugin, _) = self else { return false };
        plugin.0.has_work_outstanding()
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self) {
        if let Self::Running(plugin, id) = std::mem::replace(self, Self::Finished) {
            plugin.0.finish(id);
        }
    }
}

/// The answer to a stream whose filter has failed.
pub(super) fn failure() -> LocalReply {
    LocalReply { grpc_status: Some(14), ..LocalReply::by_host(503, "", "wasm_fail_stream") }
}
