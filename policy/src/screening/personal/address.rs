//! IP and MAC addresses.

use std::net::Ipv6Addr;

use super::bytes::{at, before, cut, run, run_back};
use super::words::Topic;
use super::{Kind, Scan};

/// The longest IPv6 address, with an IPv4 address at its end.
const MAXIMUM_IPV6_BYTES: usize = 45;

pub(super) fn find_ip(scan: &mut Scan<'_>) {
    find_ipv6(scan);
    for index in 0..scan.numbers.count() {
        let Some(range) = ipv4(scan, index) else { continue };
        // 1.2.3.4 is also what versions and sections are called.
        if scan.sightings.is_near(Topic::Version, &range, 2, 0) {
            continue;
        }
        scan.report(Kind::IpAddress, "ipv4", range.clone(), 0.9);
        scan.numbers.take(index, range.end);
    }
}

fn ipv4(scan: &Scan<'_>, index: usize) -> Option<std::ops::Range<usize>> {
    let first = scan.numbers.free(index)?;
    let mut end = first.start();
    for next in index..index + 4 {
        let group = scan.numbers.free(next)?;
        if next > index && scan.numbers.gap(scan.text, next) != Some(b".") {
            return None;
        }
        let digits = cut(scan.text, group.start(), group.end());
        let value = digits.iter().fold(0_u32, |value, digit| {
            value.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
        });
        if value > 255 || digits.len() > 3 || (digits.len() > 1 && digits.starts_with(b"0")) {
            return None;
        }
        end = group.end();
    }
    let (previous, next) = (before(scan.text, first.start()), at(scan.text, end));
    let is_joined = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_longer = (previous == b'.' && before(scan.text, first.start() - 1).is_ascii_digit())
        || (next == b'.' && at(scan.text, end + 1).is_ascii_alphanumeric());
    (!is_joined(previous) && !is_joined(next) && !is_longer).then(|| first.start()..end)
}

fn find_ipv6(scan: &mut Scan<'_>) {
    let text = scan.text;
    let is_in = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let mut read = 0;
    // Nothing is one without a colon.
    for colon in memchr::memchr_iter(b':', text) {
        if colon < read {
            continue;
        }
        let start = run_back(text, colon, colon - read, is_in);
        let end = run(text, colon, usize::MAX, is_in);
        read = end;
        let mut end = end;
        while end > start
            && (before(scan.text, end) == b'.' || ends_with_one_colon(cut(scan.text, start, end)))
        {
            end -= 1;
        }
        // A label may stand before it: `ip:fe80::1`.
        let previous = before(scan.text, start);
        let is_label = at(scan.text, start) == b':' && at(scan.text, start + 1) != b':';
        let start = if is_label { start + 1 } else { start };
        let candidate = cut(scan.text, start, end);
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if candidate.len() > MAXIMUM_IPV6_BYTES
            || (is_word(previous) && !is_label)
            || is_word(at(scan.text, end))
            || !is_ipv6(candidate)
        {
            continue;
        }
        let zone = match at(scan.text, end) {
            b'%' => run(scan.text, end + 1, 16, |byte| byte.is_ascii_alphanumeric()),
            _ => end,
        };
        scan.report(Kind::IpAddress, "ipv6", start..zone, 0.9);
        scan.numbers.take_range(&(start..zone));
    }
}

fn ends_with_one_colon(text: &[u8]) -> bool {
    text.ends_with(b":") && !text.ends_with(b"::")
}

fn is_ipv6(candidate: &[u8]) -> bool {
    let colons = candidate.iter().filter(|byte| **byte == b':').count();
    let is_address = colons >= 2
        && std::str::from_utf8(candidate).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    // `a::b` is a path in a program, `::` and `[::2]` are slices: an address has more in it.
    let digits = candidate.iter().filter(|byte| byte.is_ascii_digit()).count();
    is_address && (digits >= 1 || colons >= 5) && candidate.len() - colons >= 4
        || candidate == b"::1"
}

pub(super) fn find_mac(scan: &mut Scan<'_>) {
    let text = scan.text;
    let mut read = 0;
    // Six pairs, or three times four: the first separator is where to begin.
    for place in memchr::memchr3_iter(b':', b'-', b'.', text) {
        if place < read {
            continue;
        }
        let separator = at(text, place);
        let size = if separator == b'.' { 4 } else { 2 };
        let Some(start) = place.checked_sub(size) else { continue };
        // Nearly always there is no second one.
        if at(text, place + size + 1) != separator {
            continue;
        }
        let length = if size == 4 { 14 } else { 17 };
        let candidate = cut(text, start, start + length);
        let is_one = candidate.len() == length
            && candidate.iter().enumerate().all(|(at, byte)| {
                if at % (size + 1) == size { *byte == separator } else { byte.is_ascii_hexdigit() }
            });
        if !is_one {
            continue;
        }
        let end = start + length;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let more = at(text, end) == separator && at(text, end + 1).is_ascii_hexdigit();
        let less = before(text, start) == separator
            && run_back(text, start - 1, 1, |byte| byte.is_ascii_hexdigit()) < start - 1;
        let hex = || candidate.iter().filter(|byte| byte.is_ascii_hexdigit());
        // Everybody's address, nobody's address, and numbers in groups of four.
        let is_nobody = hex().all(|byte| *byte == b'0' || byte.eq_ignore_ascii_case(&b'f'))
            || (size == 4 && hex().all(u8::is_ascii_digit));
        let is_joined = is_word(before(text, start)) || is_word(at(text, end));
        if !is_joined && !more && !less && !is_nobody {
            scan.report(Kind::MacAddress, "eui48", start..end, 0.9);
            scan.numbers.take_range(&(start..end));
            read = end;
        }
    }
}
