//! Check digits. All take the values of digits, 0 to 9.

/// Luhn's (ISO/IEC 7812-1, annex B).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(*digit) << (place % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of each digit times its weight. Digits without a weight do not count.
pub(super) fn weighted(digits: &[u8], weights: &[u8]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * u32::from(*weight)).sum()
}

/// The number that the digits are.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value: u64, digit| value.saturating_mul(10).saturating_add(u64::from(*digit)))
}

/// Verhoeff's, the dihedral group of order 10.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    // The group's product of a and b, without its table of a hundred.
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, digit)| {
        let step = |digit: u8| STEP.get(usize::from(digit)).copied().unwrap_or_default();
        let digit = (0..place % 8).fold((*digit).min(9), |digit, _| step(digit));
        product(check, digit)
    });
    check == 0
}

/// ISO/IEC 7064, MOD 11,10.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10, |product: u32, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// ISO/IEC 7064, MOD 97-10, over letters and digits in either case.
pub(super) fn mod_97(characters: impl Iterator<Item = u8>) -> u32 {
    characters.fold(0, |rest, character| {
        let value = (character as char).to_digit(36).unwrap_or_default();
        (if value > 9 { rest * 100 + value } else { rest * 10 + value }) % 97
    })
}

/// Whether a day and a month can be.
pub(super) fn is_date(month: u64, day: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    /// Every single wrong digit is noticed, which all of these promise.
    #[test]
    fn a_wrong_digit_is_noticed() {
        type Check = fn(&[u8]) -> bool;
        let checks: [(&str, Check); 3] =
            [("4111111111111111", luhn), ("2363", verhoeff), ("86095742719", mod_11_10)];
        for (number, check) in checks {
            let right = digits(number);
            assert!(check(&right), "{number}");
            for place in 0..right.len() {
                for other in (0..10).filter(|other| *other != right[place]) {
                    let mut wrong = right.clone();
                    wrong[place] = other;
                    assert!(!check(&wrong), "{wrong:?}");
                }
            }
        }
        assert_eq!(mod_97("WEST12345698765432GB82".bytes()), 1);
        assert!(is_date(2, 29) && !is_date(2, 30) && !is_date(13, 1) && !is_date(1, 0));
    }
}
