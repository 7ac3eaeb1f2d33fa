//! Tokens that are known by their form more than by how they begin.

use std::ops::Range;

use super::super::bytes::{at, before, cut, entropy, run, run_back};
use super::super::{Kind, Scan};
use super::{Token, vendor};

/// Three letters, a digit and `Q~`, and 31 to 34 more.
pub(super) fn azure_client_secret(
    text: &[u8],
    range: &Range<usize>,
    token: &Token,
) -> Option<(usize, usize)> {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let start = range.start.checked_sub(3)?;
    let end = run(text, range.end, token.most + 1, is_in);
    // The sentence's.
    let end = if before(text, end) == b'.' { end - 1 } else { end };
    let value = cut(text, range.end, end);
    let is_head = cut(text, start, range.start).iter().all(|byte| is_in(*byte));
    let is_long = (token.fewest..=token.most).contains(&value.len());
    (is_head && !is_in(before(text, start)) && is_long && entropy(value) > 3.0)
        .then_some((start, end))
}

/// The signature in the query of a shared access signature: an HMAC-SHA-256 in base64.
pub(super) fn azure_signature(text: &[u8], range: &Range<usize>) -> Option<(usize, usize)> {
    if !matches!(before(text, range.start), b'?' | b'&' | b';') {
        return None;
    }
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=%".contains(&byte);
    let end = run(text, range.end, 160, is_in);
    let value = cut(text, range.end, end);
    let escapes = value.iter().filter(|byte| **byte == b'%').count();
    let is_padded = value.ends_with(b"=")
        || value.last_chunk::<3>().is_some_and(|end| end.eq_ignore_ascii_case(b"%3d"));
    let letters = value.len().saturating_sub(escapes * 2);
    (is_padded && (43..=44).contains(&letters) && entropy(value) > 3.0).then_some((range.end, end))
}

/// The number of a bot, a colon, and 35 letters of which the first two are `AA`.
pub(super) fn telegram(text: &[u8], range: &Range<usize>, token: &Token) -> Option<(usize, usize)> {
    let start = run_back(text, range.start, 11, |byte| byte.is_ascii_digit());
    let digits = range.start - start;
    // In the address of the interface it stands behind `bot`.
    let is_bot = cut(text, start.saturating_sub(3), start).eq_ignore_ascii_case(b"bot");
    let is_clear = is_bot || !before(text, start).is_ascii_alphanumeric();
    if !is_clear || !(8..=10).contains(&digits) {
        return None;
    }
    vendor(text, range.start, range.end, token).map(|(_, end)| (start, end))
}

/// 32 digits of hexadecimal, and the data centre.
pub(super) fn mailchimp(text: &[u8], range: &Range<usize>) -> Option<(usize, usize)> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let end = run(text, range.end, 3, |byte| byte.is_ascii_digit());
    let start = run_back(text, range.start, 33, is_hex);
    let is_whole = range.start - start == 32 && (1..=2).contains(&(end - range.end));
    let is_clear =
        !before(text, start).is_ascii_alphanumeric() && !at(text, end).is_ascii_alphanumeric();
    (is_whole && is_clear && entropy(cut(text, start, range.start)) > 2.5).then_some((start, end))
}

/// Tokens of Discord's bots have no prefix, but three parts: the number of the bot in base64 (so it begins with one of a few
/// letters), a time of six letters, and 27 to 38 more.
pub(super) fn find_discord(scan: &mut Scan<'_>) {
    const TIME: usize = 6;
    let text = scan.text;
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let dots = memchr::memchr_iter(b'.', text).filter(|dot| at(text, dot + TIME + 1) == b'.');
    for dot in dots {
        let time = cut(text, dot + 1, dot + 1 + TIME);
        let start = run_back(text, dot, 29, is_in);
        let end = run(text, dot + TIME + 2, 39, is_in);
        let (number, rest) = (cut(text, start, dot), cut(text, dot + TIME + 2, end));
        let [first, second, third, ..] = number else { continue };
        let is_number =
            b"MNO".contains(first) && b"DTjz".contains(second) && b"AEIMQUYcgk".contains(third);
        let has_digit = |part: &[u8]| part.iter().any(u8::is_ascii_digit);
        let is_token = (22..=28).contains(&number.len())
            && (27..=38).contains(&rest.len())
            && time.iter().all(|byte| is_in(*byte))
            && has_digit(number)
            && has_digit(rest)
            && entropy(rest) > 3.5;
        if is_number && is_token {
            scan.report(Kind::Secret, "discord", start..end, 0.95);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::PersonalData;
    use super::Kind;

    /// What was found in a text, and by which rule.
    fn found(text: &str) -> Vec<(&str, &'static str)> {
        let finder = PersonalData::compile(&[Kind::Secret], "f").unwrap();
        let found = finder.find(text).into_iter();
        found.map(|found| (text.get(found.range).unwrap(), found.rule)).collect()
    }

    const MIXED: &str =
        "Ab3dE5gH1jK2mN4pQ6rS8tU0vW7xY9zA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1vW2xY3zA4bC5dE6fG7hI8jK9";
    const HEX: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071";

    fn mixed(length: usize) -> &'static str {
        &MIXED[..length]
    }

    #[test]
    fn tokens_are_known_by_their_form() {
        let long = format!("fm2_{}", MIXED.repeat(9));
        for (token, rule) in [
            (format!("123456789:AA{}", mixed(33)), "telegram"),
            (format!("Ab3{}~{}", "8Q", mixed(34)), "azure_client_secret"),
            (format!("MTA4NzY1NDMyMTA5ODc2NTQz.GaBcDe.{}", mixed(38)), "discord"),
            (format!("{}-us12", &HEX[..32]), "mailchimp"),
            (format!("ATBB{}", mixed(32)), "bitbucket"),
            (format!("HRKU-AA{}", mixed(58)), "heroku"),
            (format!("sbp_{}", &HEX[..40]), "supabase"),
            (format!("fm2_{}", mixed(80)), "fly"),
            (long, "fly"),
            (format!("dp.pt.{}", mixed(43)), "doppler"),
            (format!("dp.st.dev.{}", mixed(43)), "doppler"),
            (format!("tgp_v1_{}", mixed(43)), "together"),
            (format!("pcl_fbb2a9c4_{}", mixed(43)), "portcullis"),
        ] {
            for text in [token.clone(), format!("use {token}, please"), format!("({token}).")] {
                assert_eq!(found(&text), [(&*token, rule)], "{text}");
            }
        }
        let bot = format!("https://api.telegram.org/bot123456789:AA{}/getMe", mixed(33));
        assert_eq!(found(&bot)[0].1, "telegram");
        for signature in [format!("{}=", mixed(43)), format!("{}%2B{}%3D", mixed(20), mixed(22))] {
            let url = format!("?sv=2022-11-02&ss=b&sp=rl&sig={signature}");
            assert_eq!(found(&url), [(&*signature, "azure_sas")], "{url}");
        }
    }

    #[test]
    fn what_only_resembles_a_token_is_none() {
        for text in [
            "en-us12 and en-US, 12-us3",
            "12:AAA and 123456789:AA",
            "12:30:AA and ratio 16:AA-rated",
            "design=1&sig=12",
            "https://example.com/?sig=AOvVaw0abcdefgh12345",
            "MTextFieldComponentHolder1.render.someVeryLongFunctionName1ThatGoesOn",
            "Nothing.really.of-this-kind-is-a-token-of-anything",
            "pcl_example_key and pcl_id_SECRET",
            "8Q~ and 7Q~ are what they begin with",
            "dp.pt.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "fm2_ and ATBB stand before it",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
