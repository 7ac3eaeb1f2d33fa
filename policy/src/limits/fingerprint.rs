//! What stands for a key in the table.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::table::State;
use super::{Caller, NANOSECONDS, bucket, concurrency, penalty, quota};
use crate::access::{Header, single};
use crate::document::{KeyPart, Subnet};
use crate::environment::Timestamp;
use crate::identity::ClaimPath;
use crate::limits::table::Region;
use crate::policy::CompileError;
use crate::{CredentialKind, Principal};

/// What an entry of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bucket = 1,
    Quota = 2,
    Concurrency = 3,
    Penalty = 4,
}

/// 120 bits of a digest of the key, after a byte for what the entry is. The digest is SipHash-2-4 under a secret of this machine: a
/// pseudo-random function, so that keys of which one falls upon another cannot be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 16]);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

/// In the first byte, beside the kind.
const PROVEN: u8 = 0x80;

impl Fingerprint {
    pub(super) fn new(kind: Kind, digest: u128) -> Self {
        let mut bytes = digest.to_le_bytes();
        let [first, ..] = &mut bytes;
        *first = kind as u8;
        Self(bytes)
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Spread evenly.
    pub(super) fn number(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    pub(super) fn read(entry: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(entry).for_each(|(to, from)| *to = *from);
        let [first, ..] = &mut bytes;
        *first &= !PROVEN;
        Self(bytes)
    }

    pub(super) fn is_proven(entry: &[u8; 32]) -> bool {
        let [first, ..] = entry;
        first & PROVEN != 0
    }

    pub(super) fn set_proven(entry: &mut [u8; 32]) {
        let [first, ..] = entry;
        *first |= PROVEN;
    }

    /// From when on a state says the same as none.
    pub(super) fn idle_from(self, state: &State) -> Timestamp {
        let [kind, ..] = self.0;
        match kind {
            kind if kind == Kind::Bucket as u8 => bucket::Bucket::idle_from(state),
            kind if kind == Kind::Quota as u8 => quota::Quota::idle_from(state),
            kind if kind == Kind::Concurrency as u8 => concurrency::Concurrency::idle_from(state),
            kind if kind == Kind::Penalty as u8 => penalty::idle_from(state),
            // Nothing that this version writes.
            _ => Timestamp(0),
        }
    }

    /// How far ahead a state may look, in nanoseconds.
    pub(super) fn horizon(self) -> u64 {
        let [kind, ..] = self.0;
        let days: u64 = if kind == Kind::Quota as u8 { 33 } else { 3 };
        days.saturating_mul(86_400).saturating_mul(NANOSECONDS)
    }
}

/// The secret of this machine under which keys are digested.
pub(super) type Seed = [u8; 16];

/// A compiled `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Principal,
    ApiKey,
    Tenant,
    Plan,
    Address(Subnet),
    Route,
    Header(String),
    Claim(ClaimPath),
}

/// The longest list of parts.
const MAXIMUM_PARTS: usize = 8;

/// IPv4 whole, IPv6 by its /64: one subscriber has at least that many addresses (RFC 6177).
const SUBSCRIBER: Subnet = Subnet { ipv4: 32, ipv6: 64 };

impl Key {
    pub(super) fn compile(parts: &[KeyPart], field: &str) -> Result<Self, CompileError> {
        if !(1..=MAXIMUM_PARTS).contains(&parts.len()) {
            let message = format!("expected 1 to {MAXIMUM_PARTS} things to count by");
            return Err(CompileError::new(field, message));
        }
        if (1..parts.len())
            .any(|index| parts.iter().take(index).any(|part| Some(part) == parts.get(index)))
        {
            return Err(CompileError::new(field, "expected each thing to count by once"));
        }
        let parts =
            parts.iter().map(|part| Part::compile(part, field)).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// The digest of a request's key under `seed`, begun with what it belongs to; and in which part of the table it counts.
    pub(super) fn digest(&self, seed: &Seed, of: &[&str], caller: &Caller<'_>) -> (u128, Region) {
        let mut hasher = SipHasher24::new_with_key(seed);
        let region = self.write(&mut |bytes| hasher.write(bytes), of, caller);
        (hasher.finish128().as_u128(), region)
    }

    /// The same for where machines have no secret in common: a digest of which nobody finds two keys.
    pub(super) fn shared_digest(&self, of: &[&str], caller: &Caller<'_>) -> [u8; 32] {
        let mut hasher = Sha256::new();
        self.write(&mut |bytes| hasher.update(bytes), of, caller);
        hasher.finalize().into()
    }

    fn write(&self, to: &mut dyn FnMut(&[u8]), of: &[&str], caller: &Caller<'_>) -> Region {
        let mut digest = Digest(to);
        of.iter().for_each(|part| digest.part(part.as_bytes()));
        let mut is_proved = true;
        for part in &self.parts {
            is_proved &= part.write(&mut digest, caller);
        }
        if is_proved { Region::Proved } else { Region::Open }
    }

    /// Whether a caller's address is part of the key, or stands in for what the caller lacks.
    pub(super) fn goes_by_address(&self, principal: &Principal, headers: &[Header<'_>]) -> bool {
        let is_anonymous = principal.via == CredentialKind::Anonymous;
        self.parts.iter().any(|part| match part {
            Part::Address(_) => true,
            Part::Route => false,
            Part::Header(name) => is_anonymous && single(headers, name).is_none(),
            _ => is_anonymous,
        })
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let names = self.parts.iter().map(|part| match part {
            Part::Principal => "caller".to_owned(),
            Part::ApiKey => "API key".to_owned(),
            Part::Tenant => "tenant".to_owned(),
            Part::Plan => "plan".to_owned(),
            Part::Address(subnet) if *subnet == SUBSCRIBER => "address".to_owned(),
            Part::Address(Subnet { ipv4, ipv6 }) => format!("subnet (/{ipv4}, /{ipv6})"),
            Part::Route => "route".to_owned(),
            Part::Header(name) => format!("value of {name}"),
            Part::Claim(path) => format!("value of the claim {}", path.as_str()),
        });
        names.collect::<Vec<_>>().join(" and ")
    }
}

impl Part {
    fn compile(part: &KeyPart, field: &str) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| CompileError::new(format!("{field}.{name}"), message);
        Ok(match part {
            KeyPart::Principal => Self::Principal,
            KeyPart::ApiKey => Self::ApiKey,
            KeyPart::Tenant => Self::Tenant,
            KeyPart::Plan => Self::Plan,
            KeyPart::Address => Self::Address(SUBSCRIBER),
            KeyPart::Route => Self::Route,
            KeyPart::Subnet(subnet) => {
                if !(8..=32).contains(&subnet.ipv4) {
                    return Err(error("subnet.ipv4", "expected 8 to 32"));
                }
                if !(16..=128).contains(&subnet.ipv6) {
                    return Err(error("subnet.ipv6", "expected 16 to 128"));
                }
                Self::Address(*subnet)
            }
            KeyPart::Header(name) => {
                if !crate::access::is_token(name) {
                    return Err(error("header", "expected the name of a header field"));
                }
                Self::Header(name.to_ascii_lowercase())
            }
            KeyPart::Claim(path) => {
                Self::Claim(ClaimPath::compile(path, &format!("{field}.claim"))?)
            }
        })
    }

    /// Answers whether nobody can make it up.
    fn write(&self, digest: &mut Digest<'_>, caller: &Caller<'_>) -> bool {
        let principal = caller.principal;
        let proved = |digest: &mut Digest<'_>, tag: &str, value: &[u8]| {
            digest.part(tag.as_bytes());
            digest.part(value);
            true
        };
        match self {
            Self::Principal => write_principal(digest, caller),
            Self::ApiKey => match (&principal.credential_id, principal.via) {
                (Some(id), CredentialKind::ApiKey) => proved(digest, "api-key", id.as_bytes()),
                _ => write_principal(digest, caller),
            },
            Self::Tenant => match &principal.tenant {
                Some(tenant) => proved(digest, "tenant", tenant.as_bytes()),
                None => write_principal(digest, caller),
            },
            Self::Plan => match &principal.plan {
                Some(plan) => proved(digest, "plan", plan.as_bytes()),
                None => write_principal(digest, caller),
            },
            Self::Claim(path) => match caller.claims.and_then(|claims| path.find(claims)) {
                Some(value) if !value.is_array() && !value.is_object() => {
                    // Two issuers may mean different things by the same claim.
                    digest.part(principal.issuer.as_deref().unwrap_or_default().as_bytes());
                    proved(digest, "claim", value.to_string().as_bytes())
                }
                _ => write_principal(digest, caller),
            },
            Self::Address(subnet) => write_address(digest, *subnet, caller.source),
            Self::Route => {
                digest.part(b"route");
                digest.part(caller.route.as_bytes());
                true
            }
            Self::Header(name) => match single(caller.headers, name) {
                Some(value) => {
                    digest.part(b"header");
                    digest.part(value);
                    false
                }
                None => {
                    // Else who leaves the field out could move to the other part of the table.
                    write_principal(digest, caller);
                    false
                }
            },
        }
    }
}

/// Anonymous callers go by their address.
fn write_principal(digest: &mut Digest<'_>, caller: &Caller<'_>) -> bool {
    let principal = caller.principal;
    if principal.via == CredentialKind::Anonymous {
        return write_address(digest, SUBSCRIBER, caller.source);
    }
    digest.part(b"principal");
    digest.part(principal.via.as_str().as_bytes());
    // Two issuers, and two tenants, may have a subject of the same name.
    digest.part(principal.issuer.as_deref().unwrap_or_default().as_bytes());
    digest.part(principal.tenant.as_deref().unwrap_or_default().as_bytes());
    digest.part(principal.subject.as_bytes());
    true
}

fn write_address(digest: &mut Digest<'_>, subnet: Subnet, source: Option<IpAddr>) -> bool {
    digest.part(b"address");
    match source.map(|address| address.to_canonical()) {
        None => digest.part(b""),
        Some(IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(subnet.ipv4.min(32))).unwrap_or(0);
            digest.part(&(address.to_bits() & mask).to_be_bytes());
        }
        Some(IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(subnet.ipv6.min(128))).unwrap_or(0);
            digest.part(&(address.to_bits() & mask).to_be_bytes());
        }
    }
    false
}

struct Digest<'a>(&'a mut dyn FnMut(&[u8]));

impl Digest<'_> {
    /// Every part is preceded by its length: no key can be made to look like another.
    fn part(&mut self, bytes: &[u8]) {
        (self.0)(&(bytes.len() as u64).to_le_bytes());
        (self.0)(bytes);
    }
}
