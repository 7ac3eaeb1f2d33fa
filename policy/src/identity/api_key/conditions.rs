//! When, where from and what for a key is good.

use std::net::IpAddr;

use ipnet::IpNet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Environment;
use crate::access::check_networks;
use crate::document::ApiKeyEntry;
use crate::environment::Timestamp;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::Question;

/// The most networks, and the most routes, of one key.
const MAXIMUM_CONDITIONS: usize = 100;

/// What must hold whenever a key is used. These are told apart only to who has shown the right secret.
#[derive(Debug)]
pub(super) struct Conditions {
    revoked: bool,
    begins: Timestamp,
    expires: Timestamp,
    networks: Vec<IpNet>,
    routes: Vec<String>,
}

impl Conditions {
    pub(super) fn compile(entry: &ApiKeyEntry, field: &str) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| Err(CompileError::new(format!("{field}.{name}"), message));
        let time = |text: &Option<String>, name: &str, default: Timestamp| match text {
            None => Ok(default),
            Some(text) => time(text).ok_or_else(|| {
                let message = "expected a date and time such as 2030-01-31T12:00:00Z (RFC 3339)";
                CompileError::new(format!("{field}.{name}"), message)
            }),
        };
        let begins = time(&entry.not_before, "not_before", Timestamp(0))?;
        let expires = time(&entry.expires, "expires", Timestamp(u64::MAX))?;
        if expires <= begins {
            return error("expires", "expected a time after `not_before`");
        }
        for (name, length) in [("networks", entry.networks.len()), ("routes", entry.routes.len())] {
            if length > MAXIMUM_CONDITIONS {
                return error(name, &format!("expected at most {MAXIMUM_CONDITIONS}"));
            }
        }
        check_networks(&entry.networks, &format!("{field}.networks"))?;
        Ok(Self {
            revoked: entry.revoked,
            begins,
            expires,
            networks: entry.networks.clone(),
            routes: entry.routes.clone(),
        })
    }

    /// Whether a key that is theirs may be used for this request now.
    pub(super) fn check(
        &self,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        if self.revoked {
            return Err(Refusal::new(Reason::ApiKeyRevoked, "Ask for a new key."));
        }
        if question.now >= self.expires {
            return Err(Refusal::new(Reason::ApiKeyExpired, "Ask for a new key."));
        }
        if question.now < self.begins {
            return Err(Refusal::new(Reason::ApiKeyNotYetValid, "Use the key later."));
        }
        if !self.networks.is_empty() && !self.admits_source(environment.source()) {
            let detail = "Use the key from a network that it is for.";
            return Err(Refusal::new(Reason::ApiKeyNetworkDenied, detail));
        }
        if !self.admits_route(question.route) {
            let detail = "Use a key that is for this kind of request.";
            return Err(Refusal::new(Reason::ApiKeyRouteDenied, detail));
        }
        Ok(())
    }

    /// An address that is not known is in no network.
    fn admits_source(&self, source: Option<IpAddr>) -> bool {
        // ::ffff:10.0.0.1 is 10.0.0.1, as in the access stage.
        let source = source.map(|address| address.to_canonical());
        source.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
    }

    fn admits_route(&self, route: Option<&str>) -> bool {
        self.routes.is_empty()
            || route.is_some_and(|name| self.routes.iter().any(|other| other == name))
    }
}

/// The time, if it can be one. A clock that stands at the epoch, or at the end of time where it could not be read, would
/// make keys good that are not.
pub(super) fn plausible(now: Timestamp) -> Option<Timestamp> {
    /// 2020-01-01 and 2200-01-01, in seconds since the epoch.
    const PLAUSIBLE: std::ops::Range<u64> = 1_577_836_800..7_258_118_400;
    PLAUSIBLE.contains(&now.seconds()).then_some(now)
}

/// Reads a date and time. What lies before the epoch has been, what lies beyond the year 2554 never comes.
fn time(text: &str) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let nanoseconds = time.unix_timestamp_nanos().max(0);
    Some(Timestamp(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(change: impl FnOnce(&mut ApiKeyEntry)) -> Result<Conditions, String> {
        let mut entry = ApiKeyEntry::new("abcd", String::new(), "batch");
        change(&mut entry);
        Conditions::compile(&entry, "keys[0]").map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_read_strictly() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Some(Timestamp(1_000_000_000)));
        assert_eq!(time("1970-01-01T01:00:01.5+01:00"), Some(Timestamp(1_500_000_000)));
        assert_eq!(time("1969-12-31T23:59:59Z"), Some(Timestamp(0)));
        assert_eq!(time("9999-12-31T23:59:59Z"), Some(Timestamp(u64::MAX)));
        for text in [
            "",
            "2030-01-31",
            "2030-01-31 12:00:00",
            "2030-01-31T12:00:00",
            "2030-02-30T12:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T12:00Z",
            "2030-01-31T12:00:00Zx",
            " 2030-01-31T12:00:00Z",
            "2030-1-31T12:00:00Z",
            "20300131T120000Z",
            "1900000000",
            "never",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn impossible_conditions_are_errors() {
        let until = |text: &str| compile(|entry| entry.expires = Some(text.to_owned()));
        assert_eq!(
            until("tomorrow").unwrap_err(),
            "keys[0].expires: expected a date and time such as 2030-01-31T12:00:00Z (RFC 3339)"
        );
        let error = compile(|entry| {
            entry.not_before = Some("2030-01-01T00:00:00Z".to_owned());
            entry.expires = Some("2030-01-01T01:00:00+01:00".to_owned());
        });
        assert_eq!(error.unwrap_err(), "keys[0].expires: expected a time after `not_before`");
        for (network, is_good) in [
            ("::ffff:10.0.0.0/104", false),
            ("::/0", true),
            ("10.0.0.0/8", true),
            ("2001:db8::/32", true),
        ] {
            let result = compile(|entry| entry.networks = vec![network.parse().unwrap()]);
            assert_eq!(result.is_ok(), is_good, "{network}");
        }
        assert!(compile(|entry| entry.routes = vec!["a".to_owned(); 101]).is_err());
    }
}
