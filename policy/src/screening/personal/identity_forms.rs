//! What national identity and tax numbers of digits look like, and how they are checked.

use super::bytes::{at, before};
use super::checksum::{is_date, luhn, mod_11_10, value, verhoeff, weighted};

/// One kind of number.
pub(super) struct Form {
    pub(super) rule: &'static str,
    pub(super) digits: usize,
    /// Ways to group it that are so much its own that nothing else is needed; in order of digits. `[n]` for one
    /// whose check digits say enough.
    pub(super) own: &'static [&'static [u8]],
    pub(super) is_valid: fn(&[u8]) -> bool,
}

/// The forms of so many digits.
pub(super) fn forms_of(digits: usize) -> impl Iterator<Item = &'static Form> {
    let first = FORMS.partition_point(|form| form.digits > digits);
    FORMS.iter().skip(first).take_while(move |form| form.digits == digits)
}

/// Those with more digits come first. Where two forms would do, the first is named.
pub(super) static FORMS: [Form; 36] = [
    Form { rule: "cn_resident_id", digits: 18, own: &[&[18]], is_valid: chinese },
    Form {
        rule: "fr_nir",
        digits: 15,
        own: &[&[15], &[1, 2, 2, 2, 3, 3, 2], &[13, 2]],
        is_valid: french,
    },
    Form { rule: "br_cnpj", digits: 14, own: &[&[2, 3, 3, 4, 2]], is_valid: brazilian_company },
    Form { rule: "kr_rrn", digits: 13, own: &[&[6, 7]], is_valid: korean },
    Form { rule: "ch_ahv", digits: 13, own: &[&[3, 4, 4, 2], &[13]], is_valid: swiss },
    Form {
        rule: "za_id",
        digits: 13,
        own: &[&[13], &[6, 4, 3], &[6, 4, 2, 1]],
        is_valid: south_african,
    },
    Form { rule: "ro_cnp", digits: 13, own: &[&[13]], is_valid: romanian },
    Form { rule: "th_tnin", digits: 13, own: &[&[1, 4, 5, 2, 1]], is_valid: thai },
    Form { rule: "in_aadhaar", digits: 12, own: &[&[4, 4, 4]], is_valid: indian },
    Form { rule: "se_personnummer", digits: 12, own: &[&[8, 4]], is_valid: swedish },
    Form { rule: "jp_my_number", digits: 12, own: &[], is_valid: japanese },
    Form { rule: "ru_inn", digits: 12, own: &[], is_valid: russian_tax },
    Form { rule: "no_fodselsnummer", digits: 11, own: &[&[11], &[6, 5]], is_valid: norwegian },
    Form { rule: "br_cpf", digits: 11, own: &[&[3, 3, 3, 2]], is_valid: brazilian },
    Form {
        rule: "be_national_number",
        digits: 11,
        own: &[&[2, 2, 2, 3, 2], &[11]],
        is_valid: belgian,
    },
    Form { rule: "tr_kimlik", digits: 11, own: &[&[11]], is_valid: turkish },
    Form { rule: "pl_pesel", digits: 11, own: &[], is_valid: polish },
    Form { rule: "ee_lt_isikukood", digits: 11, own: &[], is_valid: baltic },
    Form { rule: "de_hr_tax_id", digits: 11, own: &[&[2, 3, 3, 3]], is_valid: german },
    Form { rule: "ru_snils", digits: 11, own: &[&[3, 3, 3, 2]], is_valid: russian },
    Form { rule: "au_abn", digits: 11, own: &[&[2, 3, 3, 3]], is_valid: australian_business },
    Form { rule: "ar_cuit", digits: 11, own: &[&[2, 8, 1]], is_valid: argentine },
    Form { rule: "kr_brn", digits: 10, own: &[&[3, 2, 5]], is_valid: korean_business },
    Form { rule: "uk_nhs", digits: 10, own: &[], is_valid: british_health },
    Form { rule: "se_personnummer", digits: 10, own: &[&[6, 4]], is_valid: swedish },
    Form { rule: "dk_cpr", digits: 10, own: &[], is_valid: danish },
    Form { rule: "cz_sk_rodne_cislo", digits: 10, own: &[], is_valid: czech },
    Form { rule: "au_medicare", digits: 10, own: &[&[4, 5, 1]], is_valid: australian_health },
    Form { rule: "bg_egn", digits: 10, own: &[], is_valid: bulgarian },
    Form { rule: "us_npi", digits: 10, own: &[], is_valid: american_provider },
    Form { rule: "ca_sin", digits: 9, own: &[], is_valid: canadian },
    Form { rule: "au_tfn", digits: 9, own: &[], is_valid: australian_tax },
    Form { rule: "au_acn", digits: 9, own: &[], is_valid: australian_company },
    Form { rule: "nl_bsn", digits: 9, own: &[], is_valid: dutch },
    Form { rule: "pt_nif", digits: 9, own: &[], is_valid: portuguese },
    Form { rule: "il_id", digits: 9, own: &[], is_valid: israeli },
];

/// The digits from one place to another, as a number.
fn part(digits: &[u8], from: usize, to: usize) -> u64 {
    value(digits.get(from..to).unwrap_or_default())
}

fn digit(digits: &[u8], place: usize) -> u32 {
    u32::from(at(digits, place))
}

fn last(digits: &[u8]) -> u32 {
    u32::from(before(digits, digits.len()))
}

/// Whether digits repeat one, as nobody's number does.
fn is_monotone(digits: &[u8]) -> bool {
    digits.iter().all(|digit| digits.first() == Some(digit))
}

fn chinese(digits: &[u8]) -> bool {
    const WEIGHTS: [u8; 18] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
    (1900..2100).contains(&part(digits, 6, 10))
        && is_date(part(digits, 10, 12), part(digits, 12, 14))
        && weighted(digits, &WEIGHTS) % 11 == 1
}

fn french(digits: &[u8]) -> bool {
    let month = part(digits, 3, 5);
    matches!(digit(digits, 0), 1 | 2 | 3 | 4 | 7 | 8)
        && ((1..=12).contains(&month) || (20..=42).contains(&month) || month >= 50)
        && part(digits, 13, 15) == 97 - part(digits, 0, 13) % 97
}

fn brazilian_company(digits: &[u8]) -> bool {
    const WEIGHTS: [u8; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let check = |sum: u32| if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    let (_, first) = WEIGHTS.split_at(1);
    !is_monotone(digits)
        && check(weighted(digits, first)) == digit(digits, 12)
        && check(weighted(digits, &WEIGHTS)) == digit(digits, 13)
}

fn korean(digits: &[u8]) -> bool {
    // Since October 2020 the last six digits are random: there is no check digit to rely on.
    is_date(part(digits, 2, 4), part(digits, 4, 6)) && (1..=8).contains(&digit(digits, 6))
}

fn swiss(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    part(digits, 0, 3) == 756 && sum.is_multiple_of(10)
}

fn south_african(digits: &[u8]) -> bool {
    is_date(part(digits, 2, 4), part(digits, 4, 6)) && digit(digits, 10) <= 2 && luhn(digits)
}

fn romanian(digits: &[u8]) -> bool {
    let check = weighted(digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    digit(digits, 0) > 0
        && is_date(part(digits, 3, 5), part(digits, 5, 7))
        && (1..=52).contains(&part(digits, 7, 9))
        && (if check == 10 { 1 } else { check }) == last(digits)
}

fn thai(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digit(digits, 0) > 0
        && (10..=96).contains(&part(digits, 1, 3))
        && (11 - sum % 11) % 10 == last(digits)
}

fn indian(digits: &[u8]) -> bool {
    let is_palindrome = digits.iter().eq(digits.iter().rev());
    digit(digits, 0) >= 2 && verhoeff(digits) && !is_palindrome
}

fn swedish(digits: &[u8]) -> bool {
    let digits = if digits.len() == 12 {
        if !(18..=20).contains(&part(digits, 0, 2)) {
            return false;
        }
        digits.get(2..).unwrap_or_default()
    } else {
        digits
    };
    // 60 is added to the days of people without a number of their own, 20 to the months of organisations.
    let (month, day) = (part(digits, 2, 4), part(digits, 4, 6));
    (is_date(month, day) || is_date(month, day.saturating_sub(60)) || month >= 20) && luhn(digits)
}

fn japanese(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest <= 1 { 0 } else { 11 - rest }) == last(digits) && !is_monotone(digits)
}

fn russian_tax(digits: &[u8]) -> bool {
    let first = weighted(digits, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]);
    let second = weighted(digits, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]);
    first % 11 % 10 == digit(digits, 10)
        && second % 11 % 10 == digit(digits, 11)
        && !is_monotone(digits)
}

fn norwegian(digits: &[u8]) -> bool {
    let first = weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    let (day, month) = (part(digits, 0, 2), part(digits, 2, 4));
    (is_date(month, day) || is_date(month, day.saturating_sub(40)))
        && first.is_multiple_of(11)
        && second.is_multiple_of(11)
}

fn brazilian(digits: &[u8]) -> bool {
    let check = |sum: u32| sum * 10 % 11 % 10;
    check(weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 9)
        && check(weighted(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 10)
        && !is_monotone(digits)
}

fn belgian(digits: &[u8]) -> bool {
    let (number, check) = (part(digits, 0, 9), part(digits, 9, 11));
    is_date(part(digits, 2, 4), part(digits, 4, 6))
        && [number, number + 2_000_000_000].iter().any(|number| 97 - number % 97 == check)
}

fn turkish(digits: &[u8]) -> bool {
    let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let sum: u32 = digits.iter().take(10).map(|digit| u32::from(*digit)).sum();
    digit(digits, 0) > 0
        && (odd * 7 + 90 - even) % 10 == digit(digits, 9)
        && sum % 10 == digit(digits, 10)
}

fn polish(digits: &[u8]) -> bool {
    // The century is in the month: 20 for this one, 80 for the one before the last.
    is_date(part(digits, 2, 4) % 20, part(digits, 4, 6))
        && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

fn baltic(digits: &[u8]) -> bool {
    let first = weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    (1..=6).contains(&digit(digits, 0))
        && is_date(part(digits, 3, 5), part(digits, 5, 7))
        && check == last(digits)
}

fn german(digits: &[u8]) -> bool {
    digit(digits, 0) > 0 && mod_11_10(digits) && !is_monotone(digits)
}

fn russian(digits: &[u8]) -> bool {
    weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100 == part(digits, 9, 11) as u32
}

fn australian_business(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digit(digits, 0) > 0 && (sum - 10).is_multiple_of(89)
}

fn argentine(digits: &[u8]) -> bool {
    let kinds = [20, 23, 24, 27, 30, 33, 34];
    let sum = weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    kinds.contains(&part(digits, 0, 2)) && sum.is_multiple_of(11)
}

fn british_health(digits: &[u8]) -> bool {
    weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) && !is_monotone(digits)
}

fn danish(digits: &[u8]) -> bool {
    is_date(part(digits, 2, 4), part(digits, 0, 2))
        && weighted(digits, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn czech(digits: &[u8]) -> bool {
    // 50 is added to the months of women.
    is_date(part(digits, 2, 4) % 50, part(digits, 4, 6)) && value(digits).is_multiple_of(11)
}

fn australian_health(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]);
    (2..=6).contains(&digit(digits, 0)) && sum % 10 == digit(digits, 8)
}

fn bulgarian(digits: &[u8]) -> bool {
    let month = part(digits, 2, 4);
    let sum = weighted(digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]);
    is_date(month % 20, part(digits, 4, 6)) && month < 53 && sum % 11 % 10 == last(digits)
}

fn american_provider(digits: &[u8]) -> bool {
    // Luhn's check digit is that of the number behind 80840, which adds 24.
    let mut all = [8, 0, 8, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    all.iter_mut().skip(5).zip(digits).for_each(|(to, from)| *to = *from);
    matches!(digit(digits, 0), 1 | 2) && luhn(&all)
}

fn korean_business(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + digit(digits, 8) * 5 / 10;
    digit(digits, 0) > 0 && (10 - sum % 10) % 10 == last(digits)
}

fn australian_company(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[8, 7, 6, 5, 4, 3, 2, 1]);
    (10 - sum % 10) % 10 == last(digits) && !is_monotone(digits)
}

fn canadian(digits: &[u8]) -> bool {
    !matches!(digit(digits, 0), 0 | 8) && luhn(digits) && !is_monotone(digits)
}

fn australian_tax(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !is_monotone(digits)
}

fn dutch(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == last(digits) && !is_monotone(digits)
}

fn portuguese(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(digit(digits, 0), 1 | 2 | 3 | 5 | 6 | 8 | 9)
        && (if rest < 2 { 0 } else { 11 - rest }) == last(digits)
}

fn israeli(digits: &[u8]) -> bool {
    luhn(digits) && !is_monotone(digits)
}
