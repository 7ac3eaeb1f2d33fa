//! Numbers of payment cards (ISO/IEC 7812).

use super::bytes::{at, before, run, run_back};
use super::checksum::{luhn, value};
use super::numbers::Number;
use super::words::Topic;
use super::{Kind, Scan};

/// Issuers: the first six digits from and to, and the lengths that their numbers have.
const ISSUERS: [(u32, u32, &[usize]); 24] = [
    (180000, 180099, &[15]),                             // JCB
    (213100, 213199, &[15]),                             // JCB
    (220000, 220499, &[16, 17, 18, 19]),                 // Mir
    (222100, 272099, &[16]),                             // Mastercard
    (300000, 305999, &[14, 16, 17, 18, 19]),             // Diners Club
    (309500, 309599, &[14, 16, 17, 18, 19]),             // Diners Club
    (340000, 349999, &[15]),                             // American Express
    (350000, 359999, &[16, 17, 18, 19]),                 // JCB, RuPay
    (360000, 369999, &[14, 15, 16, 17, 18, 19]),         // Diners Club
    (370000, 379999, &[15]),                             // American Express
    (380000, 399999, &[14, 16, 17, 18, 19]),             // Diners Club
    (400000, 499999, &[13, 16, 18, 19]),                 // Visa
    (500000, 509999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro, Verve, RuPay
    (510000, 559999, &[16]),                             // Mastercard
    (560000, 589999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (600000, 601099, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro, Hipercard
    (601100, 601199, &[16, 17, 18, 19]),                 // Discover
    (601200, 643999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro, UnionPay, InterPayment
    (644000, 659999, &[16, 17, 18, 19]),                 // Discover, Verve, RuPay
    (660000, 699999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (810000, 829999, &[16, 17, 18, 19]),                 // UnionPay, RuPay
    (861100, 861199, &[16]),                             // Humo
    (979200, 979299, &[16]),                             // Troy
    (986000, 986099, &[16]),                             // Uzcard
];

/// No number is shorter.
const FEWEST_DIGITS: usize = 12;
/// So many digits say who has issued it.
const ISSUER_DIGITS: usize = 6;

/// How numbers are grouped on cards.
const GROUPINGS: [&[u8]; 8] = [
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[4, 4, 4, 2],
    &[8, 8],
    &[4, 4, 5],
];

pub(super) fn find(scan: &mut Scan<'_>) {
    let mut index = 0;
    while let Some(next) = scan.numbers.next_long(index, FEWEST_DIGITS) {
        index = next;
        let Some((number, score)) = longest(scan, index) else {
            index += 1;
            continue;
        };
        scan.report(Kind::PaymentCard, "luhn", number.range(), score);
        scan.numbers.take(index, number.end);
        index += number.sizes().len().max(1);
    }
}

fn longest(scan: &Scan<'_>, index: usize) -> Option<(Number, f32)> {
    let first = scan.numbers.free(index)?;
    // In a row of groups of another size than those on cards there is none: what is cheap to see comes first.
    let is_usual = matches!(first.len(), 4 | 6 | 8 | FEWEST_DIGITS..);
    let gap = |index| scan.numbers.gap(scan.text, index);
    if !is_usual && gap(index).is_some() && gap(index) == gap(index + 1) {
        return None;
    }
    let mut number = Number::default();
    let mut best = None;
    let mut lengths = None;
    let mut gaps: [&[u8]; 20] = [b""; 20];
    for next in index.. {
        let Some(group) = scan.numbers.free(next) else { break };
        if next > index {
            let gap = scan.numbers.gap(scan.text, next).filter(|gap| is_gap(gap));
            let (Some(gap), Some(place)) = (gap, gaps.get_mut(number.sizes().len())) else { break };
            *place = gap;
        }
        if !number.add(scan.text, group) || number.digits().len() > 19 {
            break;
        }
        let digits = number.digits();
        if digits.len() < ISSUER_DIGITS {
            continue;
        }
        let lengths = *lengths.get_or_insert_with(|| lengths_of_issuer(digits));
        if lengths == 0 {
            break;
        }
        if lengths & 1 << digits.len() == 0 || !luhn(digits) {
            continue;
        }
        if let Some(score) = certainty(scan, index, next, &number, &gaps) {
            best = Some((number, score));
        }
    }
    best
}

fn is_gap(gap: &[u8]) -> bool {
    (1..=3).contains(&gap.len()) && gap.iter().all(|byte| b" -._/\t\r\n*|,:".contains(byte))
}

/// How long the numbers of the issuer are that these digits begin with, a bit each; none if there is no such issuer.
fn lengths_of_issuer(digits: &[u8]) -> u32 {
    let issuer = value(digits.get(..ISSUER_DIGITS).unwrap_or_default()) as u32;
    let issuers = ISSUERS.iter().filter(|(from, to, _)| (*from..=*to).contains(&issuer));
    let lengths = issuers.flat_map(|(_, _, lengths)| lengths.iter());
    lengths.fold(0, |bits, length| bits | 1 << length)
}

/// How sure it is that digits with the right check digit are a card's, and not just some of the tenth of all
/// numbers that have it. `None`: not sure enough.
fn certainty(
    scan: &Scan<'_>,
    first: usize,
    last: usize,
    number: &Number,
    gaps: &[&[u8]; 20],
) -> Option<f32> {
    let range = number.range();
    let is_named = scan.sightings.is_near(Topic::Card, &range, 80, 40);
    let sizes = number.sizes();
    if !is_clear(scan.text, &range) {
        return None;
    }
    if sizes.len() == 1 {
        let is_usual = number.digits().len() >= 14;
        return (is_usual || is_named || scan.is_all(&range)).then_some(0.95);
    }
    let (_, inner) = gaps.split_at_checked(1)?;
    let inner = inner.get(..sizes.len() - 1)?;
    if GROUPINGS.contains(&sizes) {
        return Some(0.98);
    }
    // Any other grouping has one separator throughout, and the number ends where the groups do.
    let gap = inner.first()?;
    let is_even = inner.iter().all(|other| other == gap);
    let is_longer = scan.numbers.gap(scan.text, first) == Some(*gap)
        || scan.numbers.gap(scan.text, last + 1) == Some(*gap);
    let (end, others) = sizes.split_last()?;
    let size = others.first()?;
    let is_uniform = others.iter().all(|other| other == size) && end <= size;
    let is_spelled = is_uniform && !is_longer && (*size > 2 || number.digits().len() >= 14);
    let is_list = gap.contains(&b',');
    (is_even && ((is_spelled && !is_list) || (is_named && !is_longer))).then_some(0.8)
}

/// Not the fraction of a number, and not in the middle of some identifier.
fn is_clear(text: &[u8], range: &std::ops::Range<usize>) -> bool {
    if before(text, range.start) == b'.' && before(text, range.start - 1).is_ascii_digit() {
        return false;
    }
    // Words may be written against it, in order to hide it; digests and identifiers have more digits, and
    // shorter numbers behind a letter are on all kinds of documents.
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    let start = run_back(text, range.start, 16, is_letter);
    let end = run(text, range.end, 16, is_letter);
    let is_free = |byte: u8| !byte.is_ascii_alphanumeric();
    let is_glued = start < range.start || end > range.end;
    is_free(before(text, start)) && is_free(at(text, end)) && (!is_glued || range.len() >= 15)
}
