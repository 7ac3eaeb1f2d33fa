//! The `penalty` section.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{KeyPart, LimitKey};

/// Who is refused again and again is shut out for a while, before credentials are looked at. Each time it happens again the time is
/// twice as long. Clients that share an address (behind a NAT, or a proxy whose own address is what the gate sees) are shut out
/// together: name such networks in `exempt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PenaltySection {
    /// Who is shut out: `address` (the default), `{subnet: …}`, or a list of one of them and `{header: …}`. A client whose address is
    /// not known never is.
    pub key: LimitKey,
    /// Which responses count, the gate's own and the upstream's. Default: 401, 403, 422, 429.
    pub statuses: Vec<u16>,
    /// How many of them within `per_seconds` are too many: 1 to 1000. Default: 20.
    pub strikes: u16,
    /// The time in which they are counted, in seconds. Default: 60.
    pub per_seconds: u32,
    /// For how long a client is shut out the first time, in seconds. Default: 30.
    pub first_seconds: u32,
    /// For how long at most, in seconds. Default: 3600.
    pub max_seconds: u32,
    /// After how many seconds without a further one of these responses all is forgotten. Default: 3600.
    pub forgive_after_seconds: u32,
    /// Networks that are never shut out.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub exempt: Vec<IpNet>,
    /// Whether it refuses. If false it counts, and the audit record names it where it would have refused. Default: true.
    pub enforced: bool,
}

impl Default for PenaltySection {
    fn default() -> Self {
        Self {
            key: LimitKey::One(KeyPart::Address),
            statuses: vec![401, 403, 422, 429],
            strikes: 20,
            per_seconds: 60,
            first_seconds: 30,
            max_seconds: 3600,
            forgive_after_seconds: 3600,
            exempt: Vec::new(),
            enforced: true,
        }
    }
}
