//! National identity and tax numbers that have letters in them.

use super::bytes::{at, before, is_word, long_words, run, run_back};
use super::checksum::{is_date, value};
use super::numbers::Number;
use super::words::Topic;
use super::{Kind, Scan};

/// The longest of them, with separators.
const MAXIMUM_LENGTH: usize = 20;
const MAXIMUM_GAPS: usize = 7;
const MAXIMUM_BYTES: usize = MAXIMUM_LENGTH + MAXIMUM_GAPS;
const SHORTEST: usize = 8;
/// In those with gaps, so much stands before the first digit: two letters, with a gap behind each.
const MAXIMUM_BEFORE: usize = 4;
/// How long the one is that may have no digits, the Italian tax code.
const LETTERS_ALONE: usize = 16;

/// A kind of number. `shape` has `A` for a letter, `9` for a digit, `#` for either.
struct Form {
    rule: &'static str,
    shape: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
    /// So weak a form that a word must say what it is.
    needs_word: bool,
    /// Whether it is also written with gaps. Words that stand beside each other look like one number only where numbers are written so.
    has_gaps: bool,
}

static FORMS: [Form; 21] = [
    Form { has_gaps: true, ..form("uk_nino", b"AA999999A", british) },
    Form { has_gaps: true, ..form("es_nie", b"A9999999A", spanish) },
    Form { has_gaps: true, ..form("es_nif", b"99999999A", spanish) },
    form("sg_nric", b"A9999999A", singaporean),
    form("tw_national_id", b"A999999999", taiwanese),
    form("it_codice_fiscale", b"AAAAAA##A##A###A", italian),
    form("in_pan", b"AAAAA9999A", indian),
    form("in_gstin", b"99AAAAA9999A#A#", indian_company),
    form("mx_curp", b"AAAA999999AAAAAA#9", mexican),
    form("cn_resident_id", b"99999999999999999A", chinese),
    form("fi_hetu", b"999999A999#", finnish),
    Form { has_gaps: true, ..form("fr_nir", b"999999A99999999", corsican) },
    form("de_social_insurance", b"99999999A999", german_insurance),
    form("ie_pps", b"9999999A", irish),
    form("ie_pps", b"9999999AA", irish),
    Form { has_gaps: true, ..form("cl_rut", b"99999999A", chilean) },
    Form { needs_word: true, has_gaps: true, ..form("es_nif", b"9999999A", spanish_short) },
    Form { needs_word: true, ..form("de_id_card", b"A########", german) },
    Form { needs_word: true, ..form("in_voter", b"AAA9999999", any) },
    Form { needs_word: true, ..form("us_passport", b"A99999999", any) },
    Form { needs_word: true, ..form("in_passport", b"A9999999", any) },
];

const fn form(rule: &'static str, shape: &'static [u8], is_valid: fn(&[u8]) -> bool) -> Form {
    Form { rule, shape, is_valid, needs_word: false, has_gaps: false }
}

/// Sets of [`FORMS`], a bit each: those that may have a letter, or a digit, as their first, second, … sign, and those that are so long.
static MAY_BE_LETTER: [u32; MAXIMUM_LENGTH] = by_place(b'A');
static MAY_BE_DIGIT: [u32; MAXIMUM_LENGTH] = by_place(b'9');
static ARE_AS_LONG: [u32; MAXIMUM_LENGTH] = by_place(END);
const WITH_GAPS: u32 = {
    let (mut set, mut bit, mut rest) = (0, 1, FORMS.as_slice());
    while let [form, after @ ..] = rest {
        set |= if form.has_gaps { bit } else { 0 };
        (bit, rest) = (bit << 1, after);
    }
    set
};

/// Asks for the forms whose shape has no more signs.
const END: u8 = 0;

const fn by_place(sign: u8) -> [u32; MAXIMUM_LENGTH] {
    let mut sets = [0; MAXIMUM_LENGTH];
    let (mut bit, mut forms) = (1, FORMS.as_slice());
    while let [form, after @ ..] = forms {
        let (mut shape, mut places) = (form.shape, sets.as_mut_slice());
        while let [set, following @ ..] = places {
            let (is_it, rest) = match shape {
                [first, rest @ ..] => (*first == sign || (*first == b'#' && sign != END), rest),
                [] => {
                    (sign == END && following.len() + form.shape.len() + 1 == MAXIMUM_LENGTH, shape)
                }
            };
            *set |= if is_it { bit } else { 0 };
            (shape, places) = (rest, following);
        }
        (bit, forms) = (bit << 1, after);
    }
    sets
}

pub(super) fn find(scan: &mut Scan<'_>) {
    let text = scan.text;
    // All of them have digits, but for one whose digits may be written as letters, in one piece.
    let alone = long_words(text, LETTERS_ALONE).filter(|word| word.len() == LETTERS_ALONE);
    let mut alone = alone.map(|word| word.start).peekable();
    let mut place = 0;
    // The first letter that is not before what is looked at.
    let mut letter = run(text, 0, usize::MAX, |byte| !byte.is_ascii_alphabetic());
    for group in 0..scan.numbers.count() {
        let Some(digits) = scan.numbers.start(group) else { break };
        // Digits among digits, with no letter near: each byte is looked at once for that.
        let first = digits.saturating_sub(MAXIMUM_BEFORE);
        if letter < first {
            letter = run(text, first, usize::MAX, |byte| !byte.is_ascii_alphabetic());
        }
        if letter >= digits + MAXIMUM_BYTES {
            continue;
        }
        // Either the word that the digits are in, or few letters before them.
        let is_in = |byte: u8| byte.is_ascii_alphanumeric();
        let word = run_back(text, digits, MAXIMUM_LENGTH, is_in);
        let near = digits.saturating_sub(MAXIMUM_BEFORE)..=digits;
        for start in if word < *near.start() { word..=word } else { near } {
            while let Some(word) = alone.next_if(|word| *word < start) {
                place = if word < place { place } else { look(scan, word) };
            }
            if start >= place {
                place = look(scan, start);
            }
        }
    }
    for word in alone {
        place = if word < place { place } else { look(scan, word) };
    }
    find_with_check_after_separator(scan);
}

/// Looks for a number that begins at a place, and tells where to look next.
fn look(scan: &mut Scan<'_>, place: usize) -> usize {
    let is_start =
        !is_word(before(scan.text, place)) && at(scan.text, place).is_ascii_alphanumeric();
    match if is_start && may_begin(scan.text, place) { longest(scan, place) } else { None } {
        Some((rule, end, score)) => {
            scan.report(Kind::NationalId, rule, place..end, score);
            scan.numbers.take_range(&(place..end));
            end
        }
        None => place + 1,
    }
}

/// Whether what begins here is more than a word of prose: what has gaps begins with two letters at most, and all else is in
/// one piece.
fn may_begin(text: &[u8], place: usize) -> bool {
    let length = |is_in: fn(&u8) -> bool, most| run(text, place, most, |b| is_in(&b)) - place;
    let next_is = |from: usize, is: fn(&u8) -> bool| {
        let is_gap = is_separator(at(text, from)) && is(&at(text, from + 1));
        is(&at(text, from)) || is_gap
    };
    match length(u8::is_ascii_alphabetic, SHORTEST) {
        0 => {
            let digits = length(u8::is_ascii_digit, MAXIMUM_LENGTH);
            let next = at(text, place + digits);
            match next.is_ascii_alphabetic() {
                true => length(u8::is_ascii_alphanumeric, SHORTEST) + 1 >= SHORTEST,
                // A letter behind a gap comes after all digits, or after six.
                false if is_separator(next) => {
                    let after = at(text, place + digits + 1);
                    after.is_ascii_digit() || after.is_ascii_alphabetic() && matches!(digits, 6 | 8)
                }
                false => false,
            }
        }
        1 if is_separator(at(text, place + 1)) && !at(text, place + 2).is_ascii_digit() => {
            next_is(place + 3, u8::is_ascii_digit)
        }
        letters @ 1..=2 => next_is(place + letters, u8::is_ascii_digit),
        _ => length(u8::is_ascii_alphanumeric, SHORTEST) == SHORTEST,
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'+')
}

/// The longest number that begins at a place, and where it ends; single separators are skipped.
fn longest(scan: &Scan<'_>, start: usize) -> Option<(&'static str, usize, f32)> {
    let mut buffer = [0_u8; MAXIMUM_LENGTH];
    let (mut length, mut gaps) = (0, 0);
    let mut best = None;
    let mut place = start;
    // The forms that what has been read may be the beginning of.
    let mut possible = u32::MAX;
    while gaps < MAXIMUM_GAPS {
        let byte = at(scan.text, place);
        if is_separator(byte) && at(scan.text, place + 1).is_ascii_alphanumeric() {
            gaps += 1;
            place += 1;
            possible &= WITH_GAPS;
            continue;
        }
        possible &= match byte {
            b'0'..=b'9' => MAY_BE_DIGIT.get(length)?,
            b'a'..=b'z' | b'A'..=b'Z' => MAY_BE_LETTER.get(length)?,
            _ => break,
        };
        if possible == 0 {
            break;
        }
        *buffer.get_mut(length)? = byte.to_ascii_uppercase();
        length += 1;
        place += 1;
        let mut ended = possible & ARE_AS_LONG.get(length).copied().unwrap_or(0);
        let next = at(scan.text, place);
        if ended == 0 || is_word(next) || next == b'_' {
            continue;
        }
        let number = buffer.get(..length).unwrap_or_default();
        let range = start..place;
        while let Some(form) = FORMS.get(ended.trailing_zeros() as usize) {
            if (form.is_valid)(number) && (!form.needs_word || is_named(scan, &range)) {
                best = Some((form.rule, place, if form.needs_word { 0.6 } else { 0.85 }));
                break;
            }
            ended &= ended - 1;
        }
    }
    best
}

fn is_named(scan: &Scan<'_>, range: &std::ops::Range<usize>) -> bool {
    scan.sightings.is_near(Topic::Identity, range, 32, 16)
}

fn has_shape(number: &[u8], shape: &[u8]) -> bool {
    number.len() == shape.len()
        && number.iter().zip(shape).all(|(byte, sign)| match sign {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            _ => true,
        })
}

/// Numbers whose separator says something, or whose check digit follows one: 12.345.678-5, 131052-308T,
/// A123456(3).
fn find_with_check_after_separator(scan: &mut Scan<'_>) {
    for index in 0..scan.numbers.count() {
        let Some(group) = scan.numbers.free(index) else { continue };
        let (start, end) = (group.start(), group.end());
        let is_free = |place: usize| !is_word(before(scan.text, place));
        let found = match group.len() {
            6 if matches!(at(scan.text, end), b'-' | b'+') && is_free(start) => {
                let number: Vec<u8> = (start..start + 11).map(|p| at(scan.text, p)).collect();
                let number = number.to_ascii_uppercase();
                let is_clear = !is_word(at(scan.text, start + 11));
                (is_clear && has_shape(&number, b"999999#999#") && finnish(&number))
                    .then_some(("fi_hetu", start..start + 11))
            }
            6 if at(scan.text, end) == b'(' && at(scan.text, end + 2) == b')' => {
                let letter = before(scan.text, start).to_ascii_uppercase();
                let check = at(scan.text, end + 1).to_ascii_uppercase();
                let is_one = is_free(start.saturating_sub(1)) && letter.is_ascii_uppercase();
                let mut number = Number::default();
                number.add(scan.text, group);
                (is_one && hong_kong(letter, number.digits(), check))
                    .then_some(("hk_id", start.saturating_sub(1)..end + 3))
            }
            1 | 2 if is_free(start) => chilean_with_points(scan, index),
            _ => None,
        };
        if let Some((rule, range)) = found {
            scan.report(Kind::NationalId, rule, range.clone(), 0.9);
            scan.numbers.take_range(&range);
        }
    }
}

fn chilean_with_points(
    scan: &Scan<'_>,
    index: usize,
) -> Option<(&'static str, std::ops::Range<usize>)> {
    let mut number = Number::default();
    for next in index..index + 3 {
        if next > index && scan.numbers.gap(scan.text, next) != Some(b".") {
            return None;
        }
        number.add(scan.text, scan.numbers.free(next)?);
    }
    let [1 | 2, 3, 3] = number.sizes() else { return None };
    let check = at(scan.text, number.end + 1).to_ascii_uppercase();
    let is_clear = at(scan.text, number.end) == b'-' && !is_word(at(scan.text, number.end + 2));
    (is_clear && chilean_check(number.digits()) == check)
        .then_some(("cl_rut", number.start..number.end + 2))
}

/// The number that digits in ASCII are.
fn part(number: &[u8], from: usize, to: usize) -> u64 {
    let mut digits = [0_u8; MAXIMUM_LENGTH];
    let part = number.get(from..to).unwrap_or_default();
    digits.iter_mut().zip(part).for_each(|(to, from)| *to = from.wrapping_sub(b'0'));
    value(digits.get(..part.len()).unwrap_or_default())
}

/// The sum of the values of digits in ASCII times these weights.
fn weighted(number: &[u8], weights: &[u64]) -> u64 {
    let values = number.iter().map(|byte| u64::from(byte.wrapping_sub(b'0') % 10));
    values.zip(weights).map(|(value, weight)| value * weight).sum()
}

fn letter(table: &[u8], index: u64) -> u8 {
    at(table, index as usize)
}

fn any(_: &[u8]) -> bool {
    true
}

fn british(number: &[u8]) -> bool {
    let (first, second) = (at(number, 0), at(number, 1));
    let forbidden = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];
    !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !forbidden.iter().any(|prefix| number.starts_with(prefix.as_bytes()))
        && (b'A'..=b'D').contains(&at(number, 8))
}

const SPANISH: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn spanish(number: &[u8]) -> bool {
    let value = match at(number, 0) {
        first @ b'X'..=b'Z' => u64::from(first - b'X') * 10_000_000 + part(number, 1, 8),
        b'0'..=b'9' => part(number, 0, 8),
        _ => return false,
    };
    letter(SPANISH, value % 23) == before(number, number.len())
}

fn spanish_short(number: &[u8]) -> bool {
    letter(SPANISH, part(number, 0, 7) % 23) == at(number, 7)
}

fn singaporean(number: &[u8]) -> bool {
    let sum = weighted(number.get(1..8).unwrap_or_default(), &[2, 7, 6, 5, 4, 3, 2]);
    let (table, more): (&[u8], u64) = match at(number, 0) {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        b'M' => (b"XWUTRQPNJLK", 3),
        _ => return false,
    };
    let place = (sum + more) % 11;
    let place = if at(number, 0) == b'M' { 10 - place } else { place };
    letter(table, place) == at(number, 8)
}

fn taiwanese(number: &[u8]) -> bool {
    let Some(region) = b"ABCDEFGHJKLMNPQRSTUVXYWZIO".iter().position(|l| *l == at(number, 0))
    else {
        return false;
    };
    let region = region as u64 + 10;
    let digits = number.get(1..).unwrap_or_default();
    let sum = region / 10 + region % 10 * 9 + weighted(digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(at(number, 1), b'1' | b'2' | b'8' | b'9') && sum.is_multiple_of(10)
}

fn italian(number: &[u8]) -> bool {
    // Where two people would have the same number, letters take the places of digits.
    let is_digit = |byte: u8| byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte);
    let digits = [6, 7, 9, 10, 12, 13, 14];
    digits.iter().all(|place| is_digit(at(number, *place)))
        && b"ABCDEHLMPRST".contains(&at(number, 8))
}

fn indian(number: &[u8]) -> bool {
    b"PCHABGJLFT".contains(&at(number, 3))
}

fn indian_company(number: &[u8]) -> bool {
    (1..=38).contains(&part(number, 0, 2)) && at(number, 13) == b'Z'
}

fn mexican(number: &[u8]) -> bool {
    b"AEIOUX".contains(&at(number, 1))
        && is_date(part(number, 6, 8), part(number, 8, 10))
        && b"HMX".contains(&at(number, 10))
}

fn chinese(number: &[u8]) -> bool {
    const WEIGHTS: [u64; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    at(number, 17) == b'X'
        && is_date(part(number, 10, 12), part(number, 12, 14))
        && weighted(number, &WEIGHTS) % 11 == 2
}

fn finnish(number: &[u8]) -> bool {
    let value = part(number, 0, 6) * 1000 + part(number, 7, 10);
    is_date(part(number, 2, 4), part(number, 0, 2))
        && b"-+ABCDEFUVWXY".contains(&at(number, 6))
        && letter(b"0123456789ABCDEFHJKLMNPRSTUVWXY", value % 31) == at(number, 10)
}

fn corsican(number: &[u8]) -> bool {
    let department = match (at(number, 5), at(number, 6)) {
        (b'2', b'A') => 19,
        (b'2', b'B') => 18,
        _ => return false,
    };
    let value = (part(number, 0, 5) * 100 + department) * 1_000_000 + part(number, 7, 13);
    part(number, 13, 15) == 97 - value % 97
}

fn irish(number: &[u8]) -> bool {
    let second = match at(number, 8) {
        0 | b'W' => 0,
        second @ b'A'..=b'I' => u64::from(second - b'A' + 1),
        _ => return false,
    };
    let sum = weighted(number, &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    letter(b"WABCDEFGHIJKLMNOPQRSTUV", sum % 23) == at(number, 7)
}

fn chilean(number: &[u8]) -> bool {
    let mut digits = [0_u8; 8];
    digits.iter_mut().zip(number).for_each(|(to, from)| *to = from.wrapping_sub(b'0'));
    at(number, 8) == b'K' && chilean_check(&digits) == b'K'
}

fn chilean_check(digits: &[u8]) -> u8 {
    let weights = [2_u32, 3, 4, 5, 6, 7].iter().cycle();
    let sum: u32 = digits.iter().rev().zip(weights).map(|(d, weight)| u32::from(*d) * weight).sum();
    match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        check => b'0' + check as u8,
    }
}

fn hong_kong(letter: u8, digits: &[u8], check: u8) -> bool {
    let first = 36 * 9 + u32::from(letter.wrapping_sub(b'A') + 10) * 8;
    let weights = [7_u32, 6, 5, 4, 3, 2];
    let rest: u32 = digits.iter().zip(weights).map(|(d, weight)| u32::from(*d) * weight).sum();
    let check = if check == b'A' { 10 } else { u32::from(check.wrapping_sub(b'0')) };
    (first + rest + check).is_multiple_of(11)
}

fn german(number: &[u8]) -> bool {
    let is_letter = |byte: u8| b"CFGHJKLMNPRTVWXYZ".contains(&byte);
    let is_one = number.iter().all(|byte| byte.is_ascii_digit() || is_letter(*byte));
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    is_one && digits >= 4 && is_letter(at(number, 0))
}

fn german_insurance(number: &[u8]) -> bool {
    // The letter counts as its two-digit place in the alphabet; the digits of each product are added up.
    let ordinal = at(number, 8).wrapping_sub(b'A') + 1;
    let mut digits = [0_u8; 12];
    let tens = [b'0' + ordinal / 10, b'0' + ordinal % 10];
    let all = number.iter().take(8).chain(&tens).chain(number.iter().skip(9).take(2));
    digits.iter_mut().zip(all).for_each(|(to, from)| *to = from.wrapping_sub(b'0'));
    let products = digits.iter().zip([2_u8, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]);
    let sum: u32 = products
        .map(|(digit, weight)| u32::from(digit * weight))
        .map(|product| product / 10 + product % 10)
        .sum();
    is_date(part(number, 4, 6), part(number, 2, 4)) && sum % 10 == part(number, 11, 12) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_are_what_the_shapes_say() {
        for (index, form) in FORMS.iter().enumerate() {
            let holds = |sets: &[u32; MAXIMUM_LENGTH], place: usize| sets[place] >> index & 1 == 1;
            for place in 0..MAXIMUM_LENGTH {
                let sign = form.shape.get(place).copied();
                assert_eq!(holds(&MAY_BE_LETTER, place), matches!(sign, Some(b'A' | b'#')));
                assert_eq!(holds(&MAY_BE_DIGIT, place), matches!(sign, Some(b'9' | b'#')));
                assert_eq!(holds(&ARE_AS_LONG, place), form.shape.len() == place);
            }
            assert_eq!(WITH_GAPS >> index & 1 == 1, form.has_gaps, "{}", form.rule);
            assert!(form.shape.len() < MAXIMUM_LENGTH && form.shape.len() >= SHORTEST);
        }
    }
}
