//! E-mail addresses (RFC 5321, RFC 6531).

use super::bytes::{at, before, cut, run, run_back};
use super::{Kind, Scan};

const MAXIMUM_LOCAL_BYTES: usize = 64;
const MAXIMUM_DOMAIN_BYTES: usize = 253;

pub(super) fn find(scan: &mut Scan<'_>) {
    let text = scan.text;
    for place in memchr::memchr_iter(b'@', text) {
        let Some(start) = local_part(text, place) else { continue };
        let Some(end) = domain(text, place + 1) else { continue };
        let local = cut(text, start, place);
        // git@host:path names a repository; name@2x.png is a picture at twice its size.
        let is_repository = local == b"git" && matches!(at(text, end), b':' | b'/');
        let label =
            cut(text, place + 1, end).split(|byte| *byte == b'.').next().unwrap_or_default();
        let is_picture = label.len() == 2 && label.ends_with(b"x") && at(label, 0).is_ascii_digit();
        if !is_repository && !is_picture {
            scan.report(Kind::EmailAddress, "mailbox", start..end, 0.95);
        }
    }
}

fn local_part(text: &[u8], end: usize) -> Option<usize> {
    if before(text, end) == b'"' {
        // "somebody else"@example.com
        let start = run_back(text, end - 1, MAXIMUM_LOCAL_BYTES, |byte| {
            byte != b'"' && byte != b'\n' && byte != b'@'
        });
        let is_quoted = before(text, start) == b'"' && start < end - 1;
        return is_quoted.then(|| start - 1);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-'&!#$*^{}|~`".contains(&byte);
    // Prose without spaces (Chinese, Thai) may stand directly before an address in Latin letters, so a local part is
    // of scripts that have them or of scripts that have not: of characters of up to two bytes, or of more.
    let is_continuation = |byte: u8| byte & 0xC0 == 0x80;
    let lead = run_back(text, end, 4, is_continuation);
    let is_of_long = lead < end && before(text, lead) >= 0xE0;
    let mut start = end;
    while end - start < MAXIMUM_LOCAL_BYTES {
        let lead = run_back(text, start, 4, is_continuation);
        let byte = before(text, lead);
        let is_ascii = lead == start && is_plain(byte);
        let is_other = lead < start && byte >= 0xC0 && (byte >= 0xE0) == is_of_long;
        if !is_ascii && !is_other {
            break;
        }
        start = lead - 1;
    }
    while start < end && b".-'&!#$*^{}|~`%".contains(text.get(start)?) {
        start += 1;
    }
    let local = cut(text, start, end);
    let is_dotted = local.ends_with(b".") || local.windows(2).any(|pair| pair == b"..");
    (!local.is_empty() && !is_dotted).then_some(start)
}

/// Where the domain that begins here ends.
fn domain(text: &[u8], start: usize) -> Option<usize> {
    let is_in =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte >= 0x80;
    let mut end = run(text, start, MAXIMUM_DOMAIN_BYTES, is_in);
    while end > start && matches!(before(text, end), b'.' | b'-') {
        end -= 1;
    }
    let name = cut(text, start, end);
    // Cut behind the last label that can be one: what follows is another sentence.
    let mut good = None;
    let mut place = start;
    for (index, label) in name.split(|byte| *byte == b'.').enumerate() {
        let is_label = !label.is_empty()
            && label.len() <= 63
            && !label.starts_with(b"-")
            && !label.ends_with(b"-");
        if !is_label {
            break;
        }
        let after = place + label.len();
        let is_letters =
            label.len() >= 2 && label.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80);
        let is_encoded = label.len() > 4 && cut(label, 0, 4).eq_ignore_ascii_case(b"xn--");
        // Prose may follow directly, as it may come before.
        let is_latin = |byte: &u8| byte.is_ascii_alphabetic();
        let latin = label.iter().position(|byte| !is_latin(byte)).unwrap_or(label.len());
        if index > 0 && latin >= 2 && at(label, latin) >= 0xE0 {
            return Some(place + latin);
        }
        if index > 0 && (is_letters || is_encoded) {
            good = Some(after);
        }
        place = after + 1;
    }
    good
}
