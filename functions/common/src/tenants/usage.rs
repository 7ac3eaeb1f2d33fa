//! What a tenant has used: counts by day.

use std::collections::BTreeMap;

use serde::Serialize;

use super::calendar::{self, Day};

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests that were answered, well or not.
    pub requests: u64,
    /// Texts that were assessed.
    pub texts: u64,
    /// Their characters.
    pub characters: u64,
    /// Texts that were found to be a scam.
    pub scams: u64,
    /// Texts that were marked as adversarial.
    pub adversarial: u64,
    /// Requests that were refused or failed.
    pub errors: u64,
}

/// Counts by day.
pub(super) type Days = BTreeMap<Day, Counts>;

/// A month's usage as it is answered.
#[derive(Serialize)]
pub(super) struct MonthReport {
    month: String,
    total: Counts,
    days: Vec<DayReport>,
}

/// A day's.
#[derive(Serialize)]
pub(super) struct DayReport {
    day: String,
    #[serde(flatten)]
    counts: Counts,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sums = self.numbers();
        for (sum, number) in sums.iter_mut().zip(other.numbers()) {
            *sum = sum.saturating_add(number);
        }
        Self::of(sums)
    }

    fn numbers(self) -> [u64; 6] {
        let Self { requests, texts, characters, scams, adversarial, errors } = self;
        [requests, texts, characters, scams, adversarial, errors]
    }

    fn of([requests, texts, characters, scams, adversarial, errors]: [u64; 6]) -> Self {
        Self { requests, texts, characters, scams, adversarial, errors }
    }
}

impl MonthReport {
    pub(super) fn new(month: &str, days: &Days, range: std::ops::RangeInclusive<Day>) -> Self {
        let days = days.range(range);
        let total = days.clone().fold(Counts::default(), |total, (_, counts)| total.plus(*counts));
        let days = days.map(|(day, counts)| DayReport::new(*day, *counts)).collect();
        Self { month: month.to_owned(), total, days }
    }
}

impl DayReport {
    pub(super) fn new(day: Day, counts: Counts) -> Self {
        Self { day: calendar::written(day), counts }
    }
}

pub(super) fn add(days: &mut Days, day: Day, counts: Counts) {
    let sum = days.entry(day).or_default();
    *sum = sum.plus(counts);
}

/// Appends a day and its counts.
pub(super) fn write(bytes: &mut Vec<u8>, day: Day, counts: Counts) {
    for number in std::iter::once(u64::from(day)).chain(counts.numbers()) {
        write_number(bytes, number);
    }
}

/// Takes them from the beginning of `bytes`.
pub(super) fn read(bytes: &mut &[u8]) -> Option<(Day, Counts)> {
    let day = Day::try_from(read_number(bytes)?).ok()?;
    let mut numbers = [0; 6];
    for number in &mut numbers {
        *number = read_number(bytes)?;
    }
    Some((day, Counts::of(numbers)))
}

/// LEB128: most numbers are small, and there is one entry for each request.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(0x80 | number.to_le_bytes().first().map_or(0, |byte| byte & 0x7f));
        number >>= 7;
    }
    bytes.extend(number.to_le_bytes().first());
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        let shifted = part.checked_shl(shift)?;
        // Nothing may be shifted out.
        if shifted >> shift != part {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_come_back(day: Day, numbers: [u64; 6], more: Vec<u8>) {
            let counts = Counts::of(numbers);
            let mut bytes = Vec::new();
            write(&mut bytes, day, counts);
            bytes.extend(&more);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read(&mut rest), Some((day, counts)));
            prop_assert_eq!(rest, more.as_slice());
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let _ = read(&mut bytes.as_slice());
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        let most = Counts::of([u64::MAX; 6]);
        assert_eq!(most.plus(Counts::of([1; 6])), most);
    }
}
