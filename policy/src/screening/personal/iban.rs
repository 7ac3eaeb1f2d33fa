//! International bank account numbers (ISO 13616).

use super::bytes::{at, before, cut, is_word};
use super::checksum::mod_97;
use super::{Kind, Scan};

/// The longest number that any country has.
const MAXIMUM_LENGTH: usize = 34;

/// Countries, and what follows their check digits: n digits, a letters, c either.
#[rustfmt::skip]
const COUNTRIES: &[(&[u8; 2], &str)] = &[
    (b"AD", "n8c12"), (b"AE", "n19"), (b"AL", "n8c16"), (b"AT", "n16"), (b"AZ", "a4c20"), (b"BA", "n16"),
    (b"BE", "n12"), (b"BG", "a4n6c8"), (b"BH", "a4c14"), (b"BI", "n23"), (b"BR", "n23a1c1"), (b"BY", "c4n4c16"),
    (b"CH", "n5c12"), (b"CR", "n18"), (b"CY", "n8c16"), (b"CZ", "n20"), (b"DE", "n18"), (b"DJ", "n23"),
    (b"DK", "n14"), (b"DO", "c4n20"), (b"EE", "n16"), (b"EG", "n25"), (b"ES", "n20"), (b"FI", "n14"),
    (b"FK", "a2n12"), (b"FO", "n14"), (b"FR", "n10c11n2"), (b"GB", "a4n14"), (b"GE", "a2n16"), (b"GI", "a4c15"),
    (b"GL", "n14"), (b"GR", "n7c16"), (b"GT", "c24"), (b"HN", "a4n20"), (b"HR", "n17"), (b"HU", "n24"),
    (b"IE", "a4n14"), (b"IL", "n19"), (b"IQ", "a4n15"), (b"IS", "n22"), (b"IT", "a1n10c12"), (b"JO", "a4n4c18"),
    (b"KW", "a4c22"), (b"KZ", "n3c13"), (b"LB", "n4c20"), (b"LC", "a4c24"), (b"LI", "n5c12"), (b"LT", "n16"),
    (b"LU", "n3c13"), (b"LV", "a4c13"), (b"LY", "n21"), (b"MC", "n10c11n2"), (b"MD", "c20"), (b"ME", "n18"),
    (b"MK", "n3c10n2"), (b"MN", "n16"), (b"MR", "n23"), (b"MT", "a4n5c18"), (b"MU", "a4n19a3"), (b"NI", "a4n20"),
    (b"NL", "a4n10"), (b"NO", "n11"), (b"OM", "n3c16"), (b"PK", "a4c16"), (b"PL", "n24"), (b"PS", "a4c21"),
    (b"PT", "n21"), (b"QA", "a4c21"), (b"RO", "a4c16"), (b"RS", "n18"), (b"RU", "n14c15"), (b"SA", "n2c18"),
    (b"SC", "a4n20a3"), (b"SD", "n14"), (b"SE", "n20"), (b"SI", "n15"), (b"SK", "n20"), (b"SM", "a1n10c12"),
    (b"SO", "n19"), (b"ST", "n21"), (b"SV", "a4n20"), (b"TL", "n19"), (b"TN", "n20"), (b"TR", "n6c16"),
    (b"UA", "n6c19"), (b"VA", "n18"), (b"VG", "a4n16"), (b"XK", "n16"), (b"YE", "a4n4c18"),
];

pub(super) fn find(scan: &mut Scan<'_>) {
    // The check digits are always digits: each group of them is tried with the two letters before it.
    for index in 0..scan.numbers.count() {
        let Some(group) = scan.numbers.free(index) else { continue };
        let Some(start) = country_before(scan.text, group.start()) else { continue };
        let Some(end) = number(scan.text, start) else { continue };
        scan.report(Kind::Iban, "mod_97", start..end, 0.99);
        scan.numbers.take_range(&(start..end));
    }
}

/// Where the country's letters begin, which may have a separator behind them.
fn country_before(text: &[u8], digits: usize) -> Option<usize> {
    let end = if is_separator(before(text, digits)) { digits - 1 } else { digits };
    let start = end.checked_sub(2)?;
    let is_country = cut(text, start, end).iter().all(u8::is_ascii_alphabetic);
    (is_country && !before(text, start).is_ascii_alphanumeric()).then_some(start)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/' | b'\t' | b':')
}

/// Where the number that begins here ends.
fn number(text: &[u8], start: usize) -> Option<usize> {
    let country = [at(text, start).to_ascii_uppercase(), at(text, start + 1).to_ascii_uppercase()];
    let (_, structure) = COUNTRIES.iter().find(|(code, _)| **code == country)?;
    let mut characters = [0_u8; MAXIMUM_LENGTH];
    let mut length = 0;
    let mut place = start;
    let wanted = 4 + parts(structure).map(|(_, count)| count).sum::<usize>();
    while length < wanted {
        let byte = at(text, place);
        if byte.is_ascii_alphanumeric() {
            *characters.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
            place += 1;
            continue;
        }
        // One or two separators between groups, also at a line's end.
        let is_gap = |byte: u8| is_separator(byte) || matches!(byte, b'\n' | b'\r');
        let next = (1..=2).find(|gap| at(text, place + gap).is_ascii_alphanumeric())?;
        if !cut(text, place, place + next).iter().all(|byte| is_gap(*byte)) {
            return None;
        }
        place += next;
    }
    let characters = characters.get(..wanted)?;
    let (head, bban) = characters.split_at_checked(4)?;
    let is_checked = head.get(2..)?.iter().all(u8::is_ascii_digit)
        && mod_97(bban.iter().chain(head).copied()) == 1;
    let mut rest = bban;
    let is_structured = parts(structure).all(|(class, count)| {
        let (part, after) = rest.split_at_checked(count).unwrap_or_default();
        rest = after;
        part.len() == count
            && part.iter().all(|byte| match class {
                b'n' => byte.is_ascii_digit(),
                b'a' => byte.is_ascii_uppercase(),
                _ => true,
            })
    });
    (is_checked && is_structured && !is_word(at(text, place))).then_some(place)
}

/// `a4n14` as (a, 4), (n, 14).
fn parts(structure: &str) -> impl Iterator<Item = (u8, usize)> + '_ {
    let bytes = structure.as_bytes();
    bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic()).map(|(place, class)| {
        let digits = bytes.iter().skip(place + 1).take_while(|byte| byte.is_ascii_digit());
        let count = digits.fold(0, |count, digit| count * 10 + usize::from(digit - b'0'));
        (*class, count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_structure_has_the_length_that_numbers_have() {
        for (country, structure) in COUNTRIES {
            let length: usize = parts(structure).map(|(_, count)| count).sum();
            assert!((11..=30).contains(&length), "{country:?}");
        }
        // The examples of the registry.
        for number_ in [
            "GB82WEST12345698765432",
            "de89 3704 0044 0532 0130 00",
            "NO93-8601-1117-947",
            "FR14 2004 1010 0505 0001 3M02 606",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(number(number_.as_bytes(), 0), Some(number_.len()), "{number_}");
        }
        assert_eq!(number(b"GB82WEST12345698765433", 0), None);
        // The right remainder, but letters where digits are.
        assert_eq!(number(b"GB82WEST1234569876543", 0), None);
    }
}
