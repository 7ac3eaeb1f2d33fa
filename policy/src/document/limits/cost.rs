//! What a request takes from a limit.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// What a request takes from a limit. A value that cannot be read, is negative, fractional or too large counts as the cap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// 1.
    #[default]
    Request,
    /// The bytes of the request's body, at least 1.
    BodyBytes,
    /// An estimate of the tokens in the request: the bytes (UTF-8) of all strings in a JSON body, member names left out, or of the
    /// whole body where it is not JSON, divided by four and rounded up; at least 1.
    TextTokens,
    /// A number in the request's JSON body, at least 1.
    RequestValue(RequestValue),
    /// A number in the response's JSON body, or in the last event of a stream (`text/event-stream`) that has it. What is reserved
    /// before is settled afterwards: what is left is given back, and what was exceeded is owed.
    ResponseValue(ResponseValue),
}

impl Cost {
    pub(crate) fn is_request(&self) -> bool {
        *self == Self::Request
    }
}

/// A number in the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RequestValue {
    /// Where: a JSON pointer (RFC 6901) such as `/max_tokens`.
    pub pointer: String,
    /// What counts where it is absent or null. Default: the cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<u64>,
    /// The most that counts: what the upstream does at most for one request.
    pub cap: u64,
}

/// A number in the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResponseValue {
    /// Where: a JSON pointer (RFC 6901) such as `/usage/total_tokens`.
    pub pointer: String,
    /// What is taken before the request is let through. Default: `estimate`.
    #[serde(default)]
    pub reserve: Reserve,
    /// The most that counts: what the upstream does at most for one request. Counts also where a successful response (2xx) does
    /// not have the number, or broke off before.
    pub cap: u64,
}

/// What is taken from a limit before it is known what the request takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Reserve {
    /// The estimate of `text_tokens`, but not more than the cap.
    #[default]
    #[serde(serialize_with = "as_estimate")]
    #[cfg_attr(feature = "schema", schemars(with = "Estimate"))]
    Estimate,
    /// So much.
    Fixed(u64),
}

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "it is there for its schema")]
enum Estimate {
    Estimate,
}

fn as_estimate<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("estimate")
}

/// By hand: serde's own errors for untagged enums do not say what was expected.
impl<'de> Deserialize<'de> for Reserve {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReserveVisitor)
    }
}

struct ReserveVisitor;

impl Visitor<'_> for ReserveVisitor {
    type Value = Reserve;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`estimate`, or a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Reserve, E> {
        Ok(Reserve::Fixed(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Reserve, E> {
        let number = u64::try_from(number);
        number.map(Reserve::Fixed).map_err(|_| E::custom("expected a number that is not negative"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Reserve, E> {
        match text {
            "estimate" => Ok(Reserve::Estimate),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}
