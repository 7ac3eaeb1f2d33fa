//! How much room results take, all tenants' together.
//!
//! A store that is full takes no usage either, and then nobody is served. So results never come to more than a part of it, and
//! what goes first is the oldest of whoever has most: a crowd that fills the store pushes itself out, and not those beside it.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::results::count;
use super::vault::Place;

/// The most that all results may take, in bytes, as [`bytes`] reckons them: half of what `portcullis function` keeps.
const MAXIMUM_BYTES: usize = 32 << 20;

/// Which entries of results are too many: the oldest of whoever has most, again and again.
pub(super) fn excess<'n>(results: &[Place<'n>]) -> Vec<&'n str> {
    excess_over(MAXIMUM_BYTES, results)
}

fn excess_over<'n>(maximum: usize, results: &[Place<'n>]) -> Vec<&'n str> {
    let mut all: usize = results.iter().map(bytes).sum();
    if all <= maximum {
        return Vec::new();
    }
    let mut persons: BTreeMap<&str, Vec<&Place<'n>>> = BTreeMap::new();
    for place in results {
        let person = place.name.strip_suffix(place.id).unwrap_or(place.name);
        persons.entry(person).or_default().push(place);
    }
    let mut by_size: BinaryHeap<(usize, &str, VecDeque<&Place<'n>>)> = persons
        .into_iter()
        .map(|(person, mut entries)| {
            // An id begins with the time.
            entries.sort_by_key(|place| place.id);
            (entries.iter().map(|place| bytes(place)).sum(), person, entries.into())
        })
        .collect();
    let mut excess = Vec::new();
    while all > maximum
        && let Some((size, person, mut entries)) = by_size.pop()
        && let Some(oldest) = entries.pop_front()
    {
        excess.push(oldest.name);
        all = all.saturating_sub(bytes(oldest));
        by_size.push((size.saturating_sub(bytes(oldest)), person, entries));
    }
    excess
}

/// What an entry takes at most, but for a subject and an issuer that are uncommonly long.
fn bytes(place: &Place<'_>) -> usize {
    const ENTRY: usize = 640;
    const RESULT: usize = 128;
    ENTRY.saturating_add(RESULT.saturating_mul(count(place.id).into()))
}

#[cfg(test)]
mod tests {
    use super::super::vault::place;
    use super::*;

    fn names(person: &str, times: std::ops::Range<u64>, results: u8) -> Vec<String> {
        let name = |time| format!("tenant/k.t/p/s/{person}/r/{time:010x}{:018x}{results:02x}", 0);
        times.map(name).collect()
    }

    #[test]
    fn whoever_has_most_loses_the_oldest() {
        let crowd = ["a", "b", "c"].map(|person| names(person, 100..140, 64)).concat();
        let few = names("d", 0..10, 1);
        let all: Vec<String> = crowd.iter().chain(&few).cloned().collect();
        let places: Vec<Place<'_>> = all.iter().map(|name| place(name).unwrap()).collect();
        let total: usize = places.iter().map(bytes).sum();
        assert!(excess_over(total, &places).is_empty());
        let excess = excess_over(total / 2, &places);
        let gone: usize = excess.iter().map(|name| bytes(&place(name).unwrap())).sum();
        assert!(
            total - gone <= total / 2 && total - gone > total / 2 - 20_000,
            "{gone} of {total}"
        );
        assert!(excess.iter().all(|name| !few.iter().any(|kept| kept == name)), "{excess:?}");
        for person in ["a", "b", "c"] {
            let of_person: Vec<&&str> =
                excess.iter().filter(|name| name.contains(&format!("/{person}/r/"))).collect();
            assert!((19..=21).contains(&of_person.len()), "{person}: {}", of_person.len());
            assert!(of_person.iter().all(|name| **name < names(person, 121..122, 0)[0].as_str()));
        }
        assert_eq!(excess_over(0, &places).len(), all.len());
    }
}
