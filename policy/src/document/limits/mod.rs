//! The `limits`, `limits_table` and `penalty` sections.

mod cost;
mod key;
mod penalty;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use cost::{Cost, RequestValue, Reserve, ResponseValue};
pub use key::{KeyPart, LimitKey, Subnet};
pub use penalty::PenaltySection;

/// One limit: a token bucket (`requests`, `per_seconds`, `burst`), a quota (`requests`, `per`, `time_zone`) or a bound on what is
/// under way at a time (`concurrent`, `lost_after_seconds`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// Its name, as the RateLimit fields and the audit record give it: lower-case letters, digits, hyphens.
    /// Limits of the same name on several routes share what they count and must be alike.
    pub name: String,
    /// What is counted for itself: one thing, or a list of things that count together.
    pub key: LimitKey,
    /// How many requests flow back into the bucket in `per_seconds`, or may come in a day or month. Where `cost` is not `request`,
    /// this and `burst` are in the unit of the cost: bytes or tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// A token bucket: the time in which they flow back, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_seconds: Option<u32>,
    /// How many fit into the bucket: the most at once. Default: `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// A quota: the part of the calendar after which it begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Period>,
    /// Whose calendar: a name of the IANA time zone database, such as `Europe/Zurich`. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How many requests may be under way at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u16>,
    /// After how many seconds the place of a request whose end was never seen, because a worker crashed, is free again: not
    /// sooner, and not later than after twice that. A request that lasts longer does not count any more. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_after_seconds: Option<u32>,
    /// What is otherwise for callers on a plan, by the plan's name. Each plan counts for itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, Allowance>,
    /// What a request takes. Default: `request`, which is 1.
    #[serde(default, skip_serializing_if = "Cost::is_request")]
    pub cost: Cost,
    /// Whether it refuses. If false it counts, and the audit record names it where it would have refused. Default: true.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enforced: bool,
    /// For how many keys of a hundred it is enforced; for the others it is as if `enforced` were false. Which ones depends on the key
    /// alone, so nobody is on both sides, and who is within 10 is within 20. Default: 100.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub percent: u8,
    /// Whether the `rate_limit_service` counts it for all gates, under this name: a token bucket or a quota, of requests. This
    /// gate alone then admits what is said here at most, and all gates together what the service says. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// What a plan has in place of what the limit says: field by field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Allowance {
    /// In place of the limit's `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// In place of the limit's `per_seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_seconds: Option<u32>,
    /// In place of the limit's `burst`. Default where the plan has `requests`: those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// In place of the limit's `concurrent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u16>,
}

/// A part of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// Which responses tell of limits, in the fields `RateLimit` and `RateLimit-Policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitsFields {
    /// All of them, so that clients slow down before they are refused.
    #[default]
    All,
    /// Only refusals: what a limit is, and how much of it is left, is not told before. It costs less.
    Refused,
}

impl LimitsFields {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::All
    }
}

/// The memory that the limits of all keys share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// For how many keys there is room at a time: 1024 to 16777216. Half of them are for keys that callers have proved, so that
    /// keys that anybody can make up (addresses, header fields) never take their room. A key takes 34 bytes. Default: 65536.
    pub keys: u32,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self { keys: 65_536 }
    }
}

fn yes() -> bool {
    true
}

fn all() -> u8 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_all(value: &u8) -> bool {
    *value == all()
}
