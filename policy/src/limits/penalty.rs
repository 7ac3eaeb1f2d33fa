//! The penalty box: who is refused again and again is shut out for a while, before anything is looked at that costs more.

use ipnet::IpNet;

use super::elsewhere::LimitCount;
use super::fingerprint::Key;
use super::table::State;
use super::{Caller, NANOSECONDS};
use crate::access::check_networks;
use crate::document::{KeyPart, PenaltySection};
use crate::environment::Timestamp;
use crate::policy::CompileError;

/// A compiled `penalty`.
#[derive(Debug, Clone)]
pub(super) struct Penalty {
    pub(super) key: Key,
    pub(super) enforced: bool,
    statuses: Vec<u16>,
    exempt: Vec<IpNet>,
    strikes: u16,
    per_seconds: u64,
    first_seconds: u64,
    max_seconds: u64,
    forgive_after_seconds: u64,
}

/// What is known of a source: `since` when strikes are counted, or until when it is shut out where `strikes` is [`SHUT`]; and how
/// often it has been.
#[derive(Debug, Clone, Copy)]
struct Conduct {
    since: u64,
    strikes: u16,
    times: u16,
}

const SHUT: u16 = u16::MAX;

impl Penalty {
    pub(super) fn compile(section: &PenaltySection) -> Result<Self, CompileError> {
        const DAY: u32 = 86_400;
        let error =
            |name: &str, message: &str| CompileError::new(format!("penalty.{name}"), message);
        let in_a_day = |name: &str, seconds: u32| match (1..=DAY).contains(&seconds) {
            true => Ok(u64::from(seconds)),
            false => Err(error(name, "expected 1 to 86400")),
        };
        let parts = section.key.parts();
        let is_known = |part: &KeyPart| {
            matches!(part, KeyPart::Address | KeyPart::Subnet(_) | KeyPart::Header(_))
        };
        let is_address = |part: &KeyPart| matches!(part, KeyPart::Address | KeyPart::Subnet(_));
        if !parts.iter().all(is_known) || !parts.iter().any(is_address) {
            let message =
                "expected address or subnet, alone or with header: who is calling is not known yet";
            return Err(error("key", message));
        }
        if section.statuses.is_empty()
            || !section.statuses.iter().all(|status| (400..500).contains(status))
        {
            return Err(error("statuses", "expected at least one, from 400 to 499"));
        }
        if !(1..=1000).contains(&section.strikes) {
            return Err(error("strikes", "expected 1 to 1000"));
        }
        let first_seconds = in_a_day("first_seconds", section.first_seconds)?;
        let max_seconds = in_a_day("max_seconds", section.max_seconds)?;
        if max_seconds < first_seconds {
            return Err(error("max_seconds", "expected not less than first_seconds"));
        }
        check_networks(&section.exempt, "penalty.exempt")?;
        Ok(Self {
            key: Key::compile(parts, "penalty.key")?,
            enforced: section.enforced,
            statuses: section.statuses.clone(),
            exempt: section.exempt.clone(),
            strikes: section.strikes,
            per_seconds: in_a_day("per_seconds", section.per_seconds)?,
            first_seconds,
            max_seconds,
            forgive_after_seconds: in_a_day(
                "forgive_after_seconds",
                section.forgive_after_seconds,
            )?,
        })
    }

    /// Whether a caller can be shut out. One whose address is not known cannot: it would be everybody.
    pub(super) fn is_for(&self, caller: &Caller<'_>) -> bool {
        let Some(source) = caller.source.map(|source| source.to_canonical()) else { return false };
        !self.exempt.iter().any(|network| network.contains(&source))
    }

    /// The same for who counts elsewhere. All are in a day.
    pub(super) fn count(&self) -> LimitCount {
        let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
        LimitCount::Penalty {
            strikes: self.strikes,
            per_seconds: seconds(self.per_seconds),
            first_seconds: seconds(self.first_seconds),
            max_seconds: seconds(self.max_seconds),
            forgive_after_seconds: seconds(self.forgive_after_seconds),
        }
    }

    pub(super) fn counts(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }

    /// For how many seconds more a source is shut out.
    pub(super) fn shut_for(&self, state: &State, now: Timestamp) -> Option<u64> {
        let Conduct { since, strikes, times } = unpack(state.value);
        let left = since.saturating_sub(now.seconds());
        // Longer than it can have been: the clock has gone backwards since.
        let is_plausible = left <= self.duration(times);
        (strikes == SHUT && left > 0 && is_plausible).then_some(left)
    }

    /// Counts a refusal. Answers for how many seconds the source is shut out from now on, if it is.
    pub(super) fn strike(&self, state: &mut State, now: Timestamp) -> Option<u64> {
        let seconds = now.seconds();
        let is_forgiven = idle_from(state) <= now;
        let mut conduct = if is_forgiven { unpack(0) } else { unpack(state.value) };
        if let Some(left) = self.shut_for(state, now).filter(|_| !is_forgiven) {
            // Requests that were under way when it was shut out.
            return Some(left);
        }
        let is_over = seconds.saturating_sub(conduct.since) >= self.per_seconds;
        if conduct.strikes == SHUT || is_over || conduct.since > seconds {
            conduct = Conduct { since: seconds, strikes: 0, ..conduct };
        }
        conduct.strikes = conduct.strikes.saturating_add(1);
        let mut forgotten = seconds.saturating_add(match conduct.times {
            0 => self.per_seconds,
            _ => self.forgive_after_seconds,
        });
        let mut shut_for = None;
        if conduct.strikes >= self.strikes {
            let times = conduct.times.saturating_add(1);
            let duration = self.duration(times);
            conduct = Conduct { since: seconds.saturating_add(duration), strikes: SHUT, times };
            forgotten = conduct.since.saturating_add(self.forgive_after_seconds);
            shut_for = Some(duration);
        }
        let time = Timestamp(forgotten.saturating_mul(NANOSECONDS));
        *state = State { time, value: pack(conduct) };
        shut_for
    }

    /// Twice as long each time.
    fn duration(&self, times: u16) -> u64 {
        let doublings = u32::from(times.saturating_sub(1));
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        self.first_seconds.saturating_mul(factor).min(self.max_seconds)
    }
}

/// From when on a source is forgiven.
pub(super) fn idle_from(state: &State) -> Timestamp {
    state.time
}

fn pack(Conduct { since, strikes, times }: Conduct) -> u64 {
    (since << 32) | (u64::from(strikes) << 16) | u64::from(times)
}

fn unpack(value: u64) -> Conduct {
    let [since @ .., a, b, c, d] = value.to_be_bytes();
    Conduct {
        since: u32::from_be_bytes(since).into(),
        strikes: u16::from_be_bytes([a, b]),
        times: u16::from_be_bytes([c, d]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn penalty() -> Penalty {
        let section = PenaltySection {
            strikes: 3,
            per_seconds: 10,
            first_seconds: 30,
            max_seconds: 100,
            forgive_after_seconds: 600,
            ..PenaltySection::default()
        };
        Penalty::compile(&section).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp((1_700_000_000 + seconds) * NANOSECONDS)
    }

    fn shut_out(state: &mut State, seconds: u64) -> u64 {
        let strikes = (0..3).map(|_| penalty().strike(state, at(seconds)));
        strikes.last().flatten().unwrap()
    }

    #[test]
    fn it_grows_and_is_bounded_and_forgives() {
        let mut state = State::default();
        assert_eq!(shut_out(&mut state, 0), 30);
        assert_eq!(penalty().shut_for(&state, at(29)), Some(1));
        assert_eq!(penalty().shut_for(&state, at(30)), None);
        assert_eq!(shut_out(&mut state, 30), 60);
        assert_eq!(shut_out(&mut state, 100), 100);
        assert_eq!(shut_out(&mut state, 300), 100);
        // Quiet for long enough.
        assert_eq!(shut_out(&mut state, 1000), 30);
    }

    #[test]
    fn few_refusals_are_nothing() {
        let mut state = State::default();
        for second in (0..1000).step_by(5) {
            assert_eq!(penalty().strike(&mut state, at(second)), None);
        }
    }

    #[test]
    fn what_is_sent_while_shut_out_makes_it_no_longer() {
        let mut state = State::default();
        shut_out(&mut state, 0);
        for second in 0..30 {
            assert_eq!(penalty().strike(&mut state, at(second)), Some(30 - second));
        }
        assert_eq!(penalty().shut_for(&state, at(30)), None);
    }

    #[test]
    fn a_clock_that_goes_backwards_locks_nobody_out() {
        let mut state = State::default();
        shut_out(&mut state, 100_000);
        assert_eq!(penalty().shut_for(&state, at(0)), None);
        assert_eq!(penalty().strike(&mut state, at(0)), None);
        assert_eq!(penalty().shut_for(&state, at(1)), None);
    }

    #[test]
    fn what_is_not_known_yet_is_no_key() {
        for key in [KeyPart::Principal, KeyPart::Header("x-a".into()), KeyPart::Route] {
            let section = PenaltySection {
                key: crate::document::LimitKey::One(key),
                ..PenaltySection::default()
            };
            assert_eq!(Penalty::compile(&section).unwrap_err().field, "penalty.key");
        }
    }
}
