//! National identity and tax numbers that are all digits.

use std::cell::OnceCell;

use super::bytes::before;
use super::checksum::value;
use super::identity_forms::{FORMS, forms_of};
use super::numbers::{Group, Number, stands_alone};
use super::words::Topic;
use super::{Kind, MAXIMUM_BLANK_BYTES, Scan};

/// No form has more of them.
const MAXIMUM_GROUPS: usize = 7;
/// Without a form of its own none has more of them.
const SHAPELY_GROUPS: usize = 4;
/// The longest one, with what stands between its groups.
const MAXIMUM_BYTES: usize = 40;
/// And none fewer digits.
const FEWEST_DIGITS: usize = 9;
/// The forms of [`FORMS`] that only one kind of number has: with more groups than others, or with one of a single digit.
const UNSHAPELY: [&[u8]; 4] =
    [&[1, 2, 2, 2, 3, 3, 2], &[1, 4, 5, 2, 1], &[2, 2, 2, 3, 2], &[2, 3, 3, 4, 2]];

pub(super) fn find(scan: &mut Scan<'_>) {
    let mut index = 0;
    while let Some(next) = scan.numbers.next_long(index, FEWEST_DIGITS) {
        index = next;
        let Some((number, rule, score)) = longest(scan, index) else {
            index += 1;
            continue;
        };
        scan.report(Kind::NationalId, rule, number.range(), score);
        scan.numbers.take(index, number.end);
        index += number.sizes().len().max(1);
    }
}

fn longest(scan: &Scan<'_>, index: usize) -> Option<(Number, &'static str, f32)> {
    let mut number = Number::default();
    let mut best = None;
    let mut has_plus = false;
    if !may_begin(scan, index) {
        return None;
    }
    // With a plus before it, it is a telephone number.
    scan.numbers.free(index).filter(|group| before(scan.text, group.start()) != b'+')?;
    for next in index.. {
        let Some(group) = scan.numbers.free(next) else { break };
        has_plus |= next > index && scan.numbers.gap(scan.text, next) == Some(b"+");
        if next > index && !scan.numbers.gap(scan.text, next).is_some_and(is_gap) {
            break;
        }
        let is_added = number.add(scan.text, group);
        if !is_added || number.digits().len() > 18 || number.sizes().len() > MAXIMUM_GROUPS {
            break;
        }
        if next > index && !may_go_on(number.sizes()) {
            break;
        }
        let range = number.range();
        if number.digits().len() < FEWEST_DIGITS || !stands_alone(scan.text, range.start, range.end)
        {
            continue;
        }
        // What is cheap to see comes before the check digits, and once for all forms.
        let (is_cut, is_named) = (OnceCell::new(), OnceCell::new());
        let form = forms_of(number.digits().len()).find(|form| {
            let is_own = form.own.contains(&number.sizes())
                && !is_cut.get_or_init(|| is_in_chain(scan, index, next));
            (is_own || *is_named.get_or_init(|| self::is_named(scan, &number)))
                && (!has_plus || form.rule == "se_personnummer")
                && (form.is_valid)(number.digits())
        });
        if let Some(form) = form {
            let score = if form.own.contains(&number.sizes()) { 0.85 } else { 0.7 };
            best = Some((number, form.rule, score));
        }
    }
    best
}

/// Whether the groups from this one on have the digits of a number where [`may_go_on`] lets them: most have not, and this takes a
/// look at few of them.
fn may_begin(scan: &Scan<'_>, index: usize) -> bool {
    let mut sizes = [0; MAXIMUM_GROUPS];
    for (size, group) in sizes.iter_mut().zip(index..) {
        *size = scan.numbers.free(group).map_or(0, Group::len);
    }
    let is_own = |own: &&[u8]| own.iter().zip(sizes).all(|(own, size)| usize::from(*own) == size);
    if sizes.iter().take(SHAPELY_GROUPS).sum::<usize>() < FEWEST_DIGITS {
        return UNSHAPELY.iter().any(is_own);
    }
    // A form of its own, or a word beside it, or nothing but the number.
    let start = scan.numbers.start(index).unwrap_or_default();
    start < MAXIMUM_BLANK_BYTES
        || scan.sightings.is_near(Topic::Identity, &(start..start + MAXIMUM_BYTES), 48, 24)
        || FORMS.iter().flat_map(|form| form.own).any(is_own)
}

/// Whether groups may be a number, or the beginning of one: most rows of digits are neither.
fn may_go_on(sizes: &[u8]) -> bool {
    let (_, first) = sizes.split_last().unwrap_or((&0, &[]));
    let is_short = first.len() < SHAPELY_GROUPS && first.iter().all(|size| *size > 1);
    is_short || UNSHAPELY.iter().any(|own| own.starts_with(sizes))
}

/// Without a form of its own a number has at most four groups, none of which is of one digit but the last;
/// 3-2-4 is what it would not be in any country but one.
fn is_shapely(number: &Number) -> bool {
    let (last, first) = number.sizes().split_last().unwrap_or((&0, &[]));
    first.len() < SHAPELY_GROUPS
        && first.iter().all(|size| *size > 1)
        && *last > 0
        && number.sizes() != [3, 2, 4]
}

fn is_named(scan: &Scan<'_>, number: &Number) -> bool {
    let range = number.range();
    let near = |topic, before, after| scan.sightings.is_near(topic, &range, before, after);
    // The nearer word counts.
    let is_phone = near(Topic::Phone, 20, 8) && !near(Topic::Identity, 20, 8);
    is_shapely(number) && ((near(Topic::Identity, 48, 24) && !is_phone) || scan.is_all(&range))
}

/// Whether digits with the same separators go on before or after.
fn is_in_chain(scan: &Scan<'_>, first: usize, last: usize) -> bool {
    let is_joined = |index: usize| {
        scan.numbers.gap(scan.text, index).is_some_and(|gap| matches!(gap, b"-" | b"." | b"/"))
    };
    is_joined(first) || is_joined(last + 1)
}

fn is_gap(gap: &[u8]) -> bool {
    matches!(gap, b" " | b"-" | b"." | b"/" | b"+" | b" - " | b":")
}

/// United States social security numbers, and the taxpayer numbers that look like them.
pub(super) fn find_ssn(scan: &mut Scan<'_>) {
    let mut place = 0;
    while let Some(index) = scan.numbers.next_long(place, FEWEST_DIGITS) {
        place = index + 1;
        let mut number = Number::default();
        let mut next = index;
        while let Some(group) = scan.numbers.free(next) {
            let is_joined = next == index
                || scan
                    .numbers
                    .gap(scan.text, next)
                    .is_some_and(|gap| matches!(gap, b" " | b"-" | b"." | b" - " | b"/"));
            if !is_joined
                || number.sizes().len() == 3
                || !number.add(scan.text, group)
                || number.digits().len() >= 9
            {
                break;
            }
            next += 1;
        }
        let range = number.range();
        let is_named = |scan: &Scan<'_>| scan.sightings.is_near(Topic::Ssn, &range, 60, 24);
        let certain = match number.sizes() {
            [3, 2, 4] if same_gaps(scan, index) && !is_in_chain(scan, index, next) => 0.9,
            [3, 2, 4] | [9] if is_named(scan) => 0.8,
            [5, 4] | [3, 6] | [3, 3, 3] if is_named(scan) => 0.6,
            _ => continue,
        };
        if !stands_alone(scan.text, range.start, range.end) {
            continue;
        }
        let digits = number.digits();
        let (area, rest) = digits.split_at_checked(3).unwrap_or_default();
        let (group, serial) = rest.split_at_checked(2).unwrap_or_default();
        let (area, group, serial) = (value(area), value(group), value(serial));
        let is_itin = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
        let is_ssn = area < 900 && ![0, 666].contains(&area) && group != 0 && serial != 0;
        // Numbers that were printed in advertisements, which is why nobody has them.
        let is_sample = [78_051_120, 219_099_999, 123_456_789].contains(&value(digits))
            || digits.iter().all(|digit| digits.first() == Some(digit));
        if is_sample || !(is_ssn || is_itin) {
            continue;
        }
        let (kind, rule) =
            if is_ssn { (Kind::UsSsn, "us_ssn") } else { (Kind::NationalId, "us_itin") };
        scan.report(kind, rule, range.clone(), certain);
        if scan.wants(kind) {
            scan.numbers.take(index, range.end);
        }
    }
}

fn same_gaps(scan: &Scan<'_>, first: usize) -> bool {
    scan.numbers.gap(scan.text, first + 1) == scan.numbers.gap(scan.text, first + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_has_more_groups_than_are_looked_at() {
        let groups = FORMS.iter().flat_map(|form| form.own).map(|sizes| sizes.len());
        assert_eq!(groups.max(), Some(MAXIMUM_GROUPS));
        // By which those of some digits are found.
        assert!(FORMS.is_sorted_by(|one, next| one.digits >= next.digits));
        assert_eq!(forms_of(11).count(), 10);
        // Between groups there are at most three bytes.
        assert!(FORMS[0].digits + 3 * (MAXIMUM_GROUPS - 1) <= MAXIMUM_BYTES);
        assert!(FORMS.iter().all(|form| form.digits >= FEWEST_DIGITS));
        for sizes in FORMS.iter().flat_map(|form| form.own) {
            assert!((1..=sizes.len()).all(|count| may_go_on(&sizes[..count])), "{sizes:?}");
        }
    }
}
