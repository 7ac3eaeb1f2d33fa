//! Whether a service answers, as all workers of a gate know it.

use std::time::Duration;

use crate::environment::{Change, Environment, Timestamp};

/// The time after the first failure in which nobody asks; it doubles with each.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);

/// The longest such time.
const MAXIMUM_BACK_OFF: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// How many calls in a row have failed.
    failures: u32,
    /// When the next one may go out, where some have.
    probe_at: u64,
}

impl Health {
    pub(super) fn is_well(self) -> bool {
        self.failures == 0
    }

    /// Whether a call may go out. A clock that has jumped back must not put it off.
    pub(super) fn may_ask(self, now: Timestamp) -> bool {
        let longest = now.after(PROBE_CLAIM.saturating_add(MAXIMUM_BACK_OFF)).0;
        self.is_well() || self.probe_at <= now.0 || self.probe_at > longest
    }

    fn read(bytes: &[u8]) -> Self {
        let Some((failures, rest)) = bytes.split_first_chunk() else { return Self::default() };
        let Some(probe_at) = rest.first_chunk() else { return Self::default() };
        Self { failures: u32::from_le_bytes(*failures), probe_at: u64::from_le_bytes(*probe_at) }
    }

    fn write(self) -> Vec<u8> {
        [self.failures.to_le_bytes().as_slice(), &self.probe_at.to_le_bytes()].concat()
    }
}

/// How long nobody else asks a service that has failed, while somebody tries it: longer than any answer takes.
const PROBE_CLAIM: Duration = Duration::from_secs(6);

/// Where it is kept.
#[derive(Debug)]
pub(super) struct SharedHealth {
    key: String,
}

impl SharedHealth {
    pub(super) fn new(cluster: &str) -> Self {
        Self { key: format!("portcullis/limits/service/health/{cluster}") }
    }

    /// What is known. A store that does not answer knows of no failures: what is asked for cannot be kept there either.
    pub(super) fn look(&self, environment: &mut dyn Environment) -> Health {
        let stored = environment.load(&self.key).ok().flatten();
        stored.map(|(bytes, _)| Health::read(&bytes)).unwrap_or_default()
    }

    /// Whether a call may go out now. Of those who would try a service that has failed, one may.
    pub(super) fn claim(&self, environment: &mut dyn Environment, now: Timestamp) -> bool {
        let health = self.look(environment);
        if health.is_well() {
            return true;
        }
        if !health.may_ask(now) {
            return false;
        }
        let claimed = Health { probe_at: now.after(PROBE_CLAIM).0, ..health };
        // Who loses has been told by who won.
        self.swap(environment, |found| (found == health).then_some(claimed))
    }

    pub(super) fn answered(&self, environment: &mut dyn Environment) {
        self.swap(environment, |found| (!found.is_well()).then(Health::default));
    }

    pub(super) fn failed(&self, environment: &mut dyn Environment, now: Timestamp) {
        self.swap(environment, |found| {
            let failures = found.failures.saturating_add(1);
            let doublings = failures.saturating_sub(1).min(10);
            let back_off = FIRST_BACK_OFF.saturating_mul(1 << doublings).min(MAXIMUM_BACK_OFF);
            Some(Health { failures, probe_at: now.after(back_off).0 })
        });
    }

    fn swap(
        &self,
        environment: &mut dyn Environment,
        change: impl Fn(Health) -> Option<Health>,
    ) -> bool {
        let updated = environment.update(&self.key, |stored| {
            let found = stored.map(|bytes| Health::read(&bytes)).unwrap_or_default();
            match change(found) {
                Some(health) => Change::Store(health.write(), true),
                None => Change::Keep(false),
            }
        });
        updated.unwrap_or(false)
    }
}
