//! What a limit counts for itself.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What is counted for itself: one thing, or several that count together, such as each route of each tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LimitKey {
    /// One thing.
    One(KeyPart),
    /// Each combination of these.
    All(Vec<KeyPart>),
}

/// A thing that is counted for itself. Where a request has none, something stands in for it that the client cannot choose: never
/// does leaving something out lead to no bucket, or to that of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// The caller: issuer's subject or API key's owner. Anonymous callers go by their address.
    Principal,
    /// The API key, by its id. Callers without one go by their principal.
    ApiKey,
    /// The caller's tenant. Callers without one go by their principal.
    Tenant,
    /// The caller's plan: all callers on it count together. Callers without one go by their principal.
    Plan,
    /// The client address; IPv6 by its /64, which is what one subscriber has. Clients whose address is not known count together.
    Address,
    /// The client's network.
    Subnet(Subnet),
    /// The route, by its name.
    Route,
    /// The value of a header field, byte for byte; of several fields of that name the first. The client chooses it: who writes
    /// something else every time is not limited by this alone. Requests without it go by their principal.
    Header(String),
    /// A claim of the caller's token: its name, or a JSON pointer (RFC 6901) such as `/org/id`. Callers without it, and those where
    /// it is no string, number or boolean, go by their principal.
    Claim(String),
}

/// How large a client's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Subnet {
    /// The length of the prefix of IPv4 addresses, 8 to 32. Default: 24.
    pub ipv4: u8,
    /// The length of the prefix of IPv6 addresses, 16 to 128. Default: 64.
    pub ipv6: u8,
}

impl Default for Subnet {
    fn default() -> Self {
        Self { ipv4: 24, ipv6: 64 }
    }
}

impl Default for LimitKey {
    fn default() -> Self {
        Self::One(KeyPart::Principal)
    }
}

impl LimitKey {
    /// Its parts, in order.
    pub fn parts(&self) -> &[KeyPart] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::All(parts) => parts,
        }
    }
}

/// By hand: serde's own errors for untagged enums do not say what was expected.
impl<'de> Deserialize<'de> for LimitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = LimitKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("principal, api_key, tenant, plan, address, route, {subnet: …}, {header: …}, {claim: …}, or a list of these")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LimitKey, E> {
        KeyPart::deserialize(StrDeserializer::new(text)).map(LimitKey::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<LimitKey, A::Error> {
        KeyPart::deserialize(MapAccessDeserializer::new(members)).map(LimitKey::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LimitKey, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = items.next_element()? {
            parts.push(part);
        }
        Ok(LimitKey::All(parts))
    }
}
