//! Telephone numbers: international ones (ITU-T E.164) by country code and length, national ones by how they
//! are written and by the words beside them.

use super::bytes::{at, before, cut, run};
use super::checksum::{is_date, value};
use super::numbers::{Group, Number, stands_alone};
use super::words::Topic;
use super::{Kind, Scan};

/// The most digits that a number has.
const MAXIMUM_DIGITS: usize = 15;
/// The most groups, but for a number with the prefix of a call abroad.
const MAXIMUM_GROUPS: usize = 6;
/// And the fewest, with the code of its country.
const FEWEST_DIGITS: usize = 7;
/// The longest one that only a word makes one, with what stands between its groups.
const MAXIMUM_NAMED_BYTES: usize = 32;
/// Fewer are nobody's without a plus, and more only behind the prefix of a call abroad.
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 7..=13;

/// Country codes, and the fewest and most digits that follow. Codes that begin with the same digits do not
/// exist beside each other.
#[rustfmt::skip]
const COUNTRIES: &[(u16, u8, u8)] = &[
    (1, 10, 10), (7, 10, 10), (20, 8, 10), (27, 9, 9), (30, 10, 10), (31, 9, 9), (32, 8, 9), (33, 9, 9),
    (34, 9, 9), (36, 8, 9), (39, 6, 11), (40, 9, 9), (41, 9, 9), (43, 7, 13), (44, 9, 10), (45, 8, 8),
    (46, 7, 10), (47, 8, 8), (48, 9, 9), (49, 6, 12), (51, 8, 9), (52, 10, 11), (53, 8, 8), (54, 10, 11),
    (55, 10, 11), (56, 9, 9), (57, 8, 10), (58, 10, 10), (60, 8, 10), (61, 9, 9), (62, 8, 12), (63, 8, 10),
    (64, 8, 10), (65, 8, 8), (66, 8, 9), (81, 9, 10), (82, 8, 10), (84, 9, 10), (86, 10, 11), (90, 10, 10),
    (91, 10, 10), (92, 9, 10), (93, 9, 9), (94, 9, 9), (95, 7, 10), (98, 10, 10), (211, 9, 9), (212, 9, 9),
    (213, 8, 9), (216, 8, 8), (218, 8, 9), (220, 7, 7), (221, 9, 9), (222, 8, 8), (223, 8, 8), (224, 8, 9),
    (225, 8, 10), (226, 8, 8), (227, 8, 8), (228, 8, 8), (229, 8, 10), (230, 7, 8), (231, 7, 9), (232, 8, 8),
    (233, 9, 9), (234, 7, 10), (235, 8, 8), (236, 8, 8), (237, 8, 9), (238, 7, 7), (239, 7, 7), (240, 9, 9),
    (241, 7, 8), (242, 9, 9), (243, 7, 9), (244, 9, 9), (245, 7, 9), (246, 7, 7), (248, 7, 7), (249, 9, 9),
    (250, 9, 9), (251, 9, 9), (252, 7, 9), (253, 8, 8), (254, 9, 9), (255, 9, 9), (256, 9, 9), (257, 8, 8),
    (258, 8, 9), (260, 9, 9), (261, 9, 9), (262, 9, 9), (263, 8, 9), (264, 8, 9), (265, 7, 9), (266, 8, 8),
    (267, 7, 8), (268, 8, 8), (269, 7, 7), (290, 4, 5), (291, 7, 7), (297, 7, 7), (298, 6, 6), (299, 6, 6),
    (350, 8, 8), (351, 9, 9), (352, 6, 11), (353, 7, 9), (354, 7, 9), (355, 8, 9), (356, 8, 8), (357, 8, 8),
    (358, 6, 11), (359, 8, 9), (370, 8, 8), (371, 8, 8), (372, 7, 8), (373, 8, 8), (374, 8, 8), (375, 9, 9),
    (376, 6, 9), (377, 8, 9), (378, 6, 10), (380, 9, 9), (381, 8, 9), (382, 8, 8), (383, 8, 9), (385, 8, 9),
    (386, 8, 8), (387, 8, 8), (389, 8, 8), (420, 9, 9), (421, 9, 9), (423, 7, 9), (500, 5, 5), (501, 7, 7),
    (502, 8, 8), (503, 8, 8), (504, 8, 8), (505, 8, 8), (506, 8, 8), (507, 7, 8), (508, 6, 6), (509, 8, 8),
    (590, 9, 9), (591, 8, 8), (592, 7, 7), (593, 8, 9), (594, 9, 9), (595, 9, 9), (596, 9, 9), (597, 6, 7),
    (598, 8, 8), (599, 7, 8), (670, 7, 8), (672, 6, 6), (673, 7, 7), (674, 7, 7), (675, 7, 8), (676, 5, 7),
    (677, 5, 7), (678, 5, 7), (679, 7, 7), (680, 7, 7), (682, 5, 5), (683, 4, 7), (685, 5, 7), (686, 8, 8),
    (687, 6, 6), (688, 5, 6), (689, 6, 8), (690, 4, 5), (691, 7, 7), (692, 7, 7), (800, 8, 8), (850, 8, 10),
    (852, 8, 8), (853, 8, 8), (855, 8, 9), (856, 8, 10), (880, 8, 10), (886, 8, 9), (960, 7, 7), (961, 7, 8),
    (962, 8, 9), (963, 8, 9), (964, 8, 10), (965, 8, 8), (966, 9, 9), (967, 7, 9), (968, 8, 8), (970, 8, 9),
    (971, 8, 9), (972, 8, 9), (973, 8, 8), (974, 8, 8), (975, 7, 8), (976, 8, 8), (977, 8, 10), (992, 9, 9),
    (993, 8, 8), (994, 9, 9), (995, 9, 9), (996, 9, 9), (998, 9, 9),
];

pub(super) fn find(scan: &mut Scan<'_>) {
    let mut index = 0;
    while let Some(next) = scan.numbers.next_long(index, FEWEST_DIGITS) {
        index = next;
        let Some(found) = best(scan, index) else {
            index += 1;
            continue;
        };
        let end = extension(scan.text, found.number.end);
        scan.report(Kind::PhoneNumber, found.rule, found.start..end, found.score);
        scan.numbers.take(index, end);
        index += found.number.sizes().len().max(1);
    }
}

struct Found {
    number: Number,
    rule: &'static str,
    /// Where it begins, with its plus or its parenthesis.
    start: usize,
    score: f32,
}

fn best(scan: &Scan<'_>, index: usize) -> Option<Found> {
    let first = scan.numbers.free(index)?;
    let mut opening = first.start();
    // Of what begins with one digit there is little, and a row of single digits is long: what is cheap to see comes first.
    let previous = cut(scan.text, first.start().saturating_sub(2), first.start());
    let has_signs = previous.iter().any(|byte| matches!(byte, b'+' | b'('));
    if first.len() == 1 && !has_signs && at(scan.text, first.start()) != b'0' {
        scan.numbers.free(index + 1).filter(|second| second.len() == 3)?;
    }
    // `+1`, `(+1)`, `+(1)`, `+ 1`, `(0)`
    let signs = [&b"("[..], b"+", b"(+", b"+(", b"+ ", b"( "];
    for signs in signs.into_iter().filter(|_| has_signs) {
        let start = first.start().saturating_sub(signs.len());
        if cut(scan.text, start, first.start()) == signs {
            opening = start;
        }
    }
    if is_word_before(scan.text, opening) {
        return None;
    }
    let signs = cut(scan.text, opening, first.start());
    // A parenthesis around all of it is none of its own.
    if signs == b"(+" && at(scan.text, first.end()) != b')' {
        opening += 1;
    }
    if signs.is_empty() && !may_be_bare(scan, index, first) {
        return None;
    }
    let has_plus = signs.contains(&b'+');
    let mut number = Number::default();
    let mut best: Option<Found> = None;
    // The trunk prefix in +44 (0)20 is written, not dialled.
    let mut trunk = 0;
    for next in index.. {
        let Some(group) = scan.numbers.free(next) else { break };
        if next > index {
            let Some(gap) = scan.numbers.gap(scan.text, next) else { break };
            if !is_gap(gap) {
                break;
            }
            let is_trunk = group.len() == 1 && at(scan.text, group.start()) == b'0';
            if is_trunk && gap.ends_with(b"(") && at(scan.text, group.end()) == b')' {
                trunk = 1;
            }
        }
        if !number.add(scan.text, group) || number.digits().len() > MAXIMUM_DIGITS + 4 {
            break;
        }
        // Most digits are nobody's number: what is cheap to see comes first.
        if !has_plus && !may_go_on(number.sizes(), number.digits()) {
            break;
        }
        if !(has_plus || may_be_national(number.digits())) || is_word_after(scan.text, number.end) {
            continue;
        }
        let judged = if has_plus {
            international(number.digits(), trunk).then_some(("e164", 0.9))
        } else {
            let is_open = signs.starts_with(b"(");
            national(scan, index, next, &number, is_open, opening)
        };
        if let Some((rule, score)) = judged
            && best.as_ref().is_none_or(|best| score >= best.score)
        {
            best = Some(Found { number, rule, start: opening, score });
        }
    }
    best
}

/// Whether what begins with a group that has no sign before it may be a number by any rule of [`national`]: nearly all digits are
/// none, and this takes a look at few of them.
fn may_be_bare(scan: &Scan<'_>, index: usize, first: Group) -> bool {
    let has_sizes = |sizes: &[usize]| {
        let groups = sizes.iter().zip(index..);
        groups.into_iter().all(|(size, at)| scan.numbers.free(at).map(Group::len) == Some(*size))
    };
    let start = first.start();
    // From abroad, or with a trunk prefix; as in North America; or because a word says so.
    let is_zero = |place: usize| at(scan.text, place) == b'0';
    // Behind two zeros there is no third one, here or in the next group.
    let third = if first.len() == 2 { scan.numbers.start(index + 1) } else { Some(start + 2) };
    let is_none = first.len() > 1 && is_zero(start + 1) && third.is_none_or(is_zero);
    is_zero(start) && !is_none
        || has_sizes(&[3, 3, 4])
        || has_sizes(&[1, 3, 3, 4])
        || scan.sightings.is_near(Topic::Phone, &(start..start + MAXIMUM_NAMED_BYTES), 28, 9)
}

/// Whether groups without a plus may be a number, or the beginning of one, by any rule of [`national`].
fn may_go_on(sizes: &[u8], digits: &[u8]) -> bool {
    let is_from_abroad = match digits {
        [0, 0, rest @ ..] | [0, 1, 1, rest @ ..] => rest.first() != Some(&0),
        [0] | [0, 1] => true,
        _ => false,
    };
    let may_be_grouped = match sizes {
        [1] | [1, 3] | [1, 3, 3] | [1, 3, 3, 4] => true,
        [1, ..] => false,
        sizes => sizes.len() <= MAXIMUM_GROUPS,
    };
    is_from_abroad || may_be_grouped
}

fn may_be_national(digits: &[u8]) -> bool {
    NATIONAL_DIGITS.contains(&digits.len())
        || digits.len() > *NATIONAL_DIGITS.end()
            && (digits.starts_with(&[0, 0]) || digits.starts_with(&[0, 1, 1]))
}

fn is_word_before(text: &[u8], place: usize) -> bool {
    let previous = before(text, place);
    let is_fraction =
        matches!(previous, b'.' | b',') && before(text, place.saturating_sub(1)).is_ascii_digit();
    previous.is_ascii_alphanumeric()
        || b"_$#".contains(&previous)
        || is_fraction
        || previous == b'='
}

fn is_word_after(text: &[u8], place: usize) -> bool {
    let next = at(text, place);
    let is_fraction = matches!(next, b'.' | b',') && at(text, place + 1).is_ascii_digit();
    let is_extension = extension(text, place) > place;
    ((next.is_ascii_alphanumeric() || b"_%=".contains(&next)) && !is_extension)
        || (is_fraction && next == b',')
}

fn is_gap(gap: &[u8]) -> bool {
    matches!(
        gap,
        b" " | b"-"
            | b"."
            | b"/"
            | b"("
            | b")"
            | b") "
            | b")-"
            | b")/"
            | b")."
            | b" ("
            | b"-("
            | b".("
            | b" - "
            | b") - "
            | b"  "
            | b")  "
            | b" -"
            | b"- "
            | b")("
            | b" / "
            | b"/ "
    )
}

/// An international number without its prefix.
fn international(digits: &[u8], trunk: usize) -> bool {
    (1..=3).any(|length| {
        let code = value(digits.get(..length).unwrap_or_default());
        let rest = digits.len().saturating_sub(length).saturating_sub(trunk);
        let place = COUNTRIES.binary_search_by_key(&code, |(other, _, _)| u64::from(*other));
        digits.first() != Some(&0)
            && place.ok().and_then(|place| COUNTRIES.get(place)).is_some_and(|(_, fewest, most)| {
                // A zero after the code is the trunk prefix, also where nothing says so.
                let is_trunk = trunk == 0 && digits.get(length) == Some(&0);
                let rest = if is_trunk && rest > usize::from(*most) { rest - 1 } else { rest };
                (usize::from(*fewest)..=usize::from(*most)).contains(&rest)
            })
    })
}

/// What a number without a plus is, and how sure that is.
fn national(
    scan: &Scan<'_>,
    first: usize,
    last: usize,
    number: &Number,
    is_open: bool,
    opening: usize,
) -> Option<(&'static str, f32)> {
    let (digits, sizes) = (number.digits(), number.sizes());
    let range = opening..number.end;
    let gap = |index: usize| scan.numbers.gap(scan.text, index).unwrap_or_default();
    let gaps = || (first + 1..=last).map(gap);
    let is_dashed = || gaps().any(|gap| matches!(gap, b"-" | b"."));
    let is_even = || gaps().all(|other| other == gap(first + 1));
    let is_longer = || {
        let is_joined = |index| {
            scan.numbers.gap(scan.text, index).is_some_and(|g| matches!(g, b"-" | b"." | b"/"))
        };
        is_joined(first) || is_joined(last + 1)
    };
    if looks_like_date(digits, sizes) || is_longer() {
        return None;
    }
    let near = |before, after| scan.sightings.is_near(Topic::Phone, &range, before, after);
    let is_free = || {
        stands_alone(scan.text, opening, number.end)
            || extension(scan.text, number.end) > number.end
    };
    // Abroad: 0044…, 011 44…, 00-1-…
    for prefix in [&[0, 0][..], &[0, 1, 1]] {
        if let Some(rest) = digits.strip_prefix(prefix)
            && rest.len() >= 9
            && international(rest, 0)
            && (sizes.len() > 1 || near(40, 16) || scan.is_all(&range))
        {
            return Some(("exit_code", 0.8));
        }
    }
    if is_open {
        // (415) 555-0132, (030) 1234567, (71) 4233-6306
        let is_closed = gap(first + 1).starts_with(b")")
            && gaps().skip(1).all(|gap| matches!(gap, b" " | b"-" | b"." | b" - "));
        let (area, rest) = sizes.split_first()?;
        let rest_digits: u8 = rest.iter().sum();
        let is_one = is_closed
            && (2..=5).contains(area)
            && (6..=8).contains(&rest_digits)
            && rest.len() <= 4;
        let is_year = *area == 4 && matches!(digits.get(..2), Some([1, 9] | [2, 0]));
        let is_sure = *area == 3 && rest == [3, 4];
        let is_bare = rest.len() == 1;
        if is_one && !is_year && (is_sure || !is_bare || near(40, 16)) {
            return Some(("area_code", if is_sure { 0.8 } else { 0.7 }));
        }
    }
    // North America: 415-555-0132, 1-415-555-0132.
    let american = match sizes {
        [3, 3, 4] | [1, 3, 3, 4] if sizes.len() == 3 || digits.first() == Some(&1) => {
            let digits = digits.get(digits.len().saturating_sub(10)..).unwrap_or_default();
            let is_area = |place: usize| digits.get(place).is_some_and(|digit| *digit >= 2);
            is_area(0) && (is_dashed() || is_area(3) || near(40, 16))
        }
        _ => false,
    };
    let is_dashed = american && is_dashed();
    if american && is_free() {
        return Some(("north_american", if is_dashed { 0.75 } else { 0.65 }));
    }
    // With a trunk prefix: 0171 1234567, 06 12 34 56 78.
    let is_trunk = digits.first() == Some(&0) && digits.get(1) != Some(&0);
    let (area, rest) = sizes.split_first()?;
    if is_trunk && (9..=12).contains(&digits.len()) && is_free() {
        let is_grouped = sizes != [3, 2, 4]
            && (2..=5).contains(area)
            && !rest.is_empty()
            && rest.len() <= 5
            && rest.iter().all(|size| *size >= 2)
            && (is_even() || gaps().all(|gap| matches!(gap, b" " | b"-" | b"/")));
        if is_grouped {
            return Some(("trunk_prefix", 0.7));
        }
        let is_mobile = sizes.len() == 1 && matches!(digits.len(), 10 | 11);
        if is_mobile && (near(40, 16) || scan.is_all(&range)) {
            return Some(("trunk_prefix", 0.6));
        }
    }
    // Only because a word says so.
    let is_plausible = match sizes {
        [single] => (9..=13).contains(single),
        _ => {
            (7..=12).contains(&digits.len())
                && sizes.len() <= 5
                && sizes.iter().all(|size| (2..=7).contains(size))
                && gaps().all(|gap| matches!(gap, b" " | b"-" | b"." | b"/"))
                && is_even()
        }
    };
    let is_amount =
        b"$%".contains(&before(scan.text, opening)) || before(scan.text, opening) >= 0x80;
    if is_plausible && is_free() && !is_amount && near(28, 9) && !is_range(sizes, digits) {
        return Some(("named", 0.5));
    }
    None
}

/// 31.12.1999, 1999-12-31, 12/31/99.
fn looks_like_date(digits: &[u8], sizes: &[u8]) -> bool {
    let part = |from: usize, to: usize| value(digits.get(from..to).unwrap_or_default());
    let is_day = |a: u64, b: u64| is_date(a, b) || is_date(b, a);
    match sizes {
        [2, 2, 4, ..] => is_day(part(0, 2), part(2, 4)) && (1000..=2999).contains(&part(4, 8)),
        [4, 2, 2, ..] => is_day(part(4, 6), part(6, 8)) && (1000..=2999).contains(&part(0, 4)),
        _ => false,
    }
}

/// 1990-1995
fn is_range(sizes: &[u8], digits: &[u8]) -> bool {
    let is_year = |digits: &[u8]| (1000..=2100).contains(&value(digits));
    sizes == [4, 4]
        && digits.split_at_checked(4).is_some_and(|(from, to)| is_year(from) && is_year(to))
}

/// Where the number ends with its extension: x123, ext. 123, #123.
fn extension(text: &[u8], end: usize) -> usize {
    let start = if at(text, end) == b' ' { end + 1 } else { end };
    if !b"eExX#,".contains(&at(text, start)) {
        return end;
    }
    let names = [&b"extension "[..], b"ext. ", b"ext.", b"ext ", b"ext", b"x", b"#", b", ext. "];
    for name in names {
        let found = cut(text, start, start + name.len());
        if found.eq_ignore_ascii_case(name) {
            let from = start + name.len();
            let to = run(text, from, 8, |byte| byte.is_ascii_digit());
            let is_clear = !at(text, to).is_ascii_alphanumeric();
            if (2..=6).contains(&(to - from))
                && is_clear
                && (name != b"x" || start == end || to - from > 2)
            {
                return to;
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_in_order() {
        assert!(COUNTRIES.is_sorted_by(|(one, ..), (next, ..)| one < next));
        let digits = |(code, fewest, _): &(u16, u8, u8)| code.to_string().len() + *fewest as usize;
        assert_eq!(COUNTRIES.iter().map(digits).min(), Some(FEWEST_DIGITS));
    }
}
