//! One reading of the host that a request is for.

use std::net::Ipv6Addr;

use super::path::split_at_first;
use crate::byte_set::ByteSet;

/// A host as a request's is compared with it; none where no request's is ever written so.
pub(crate) fn normal_host(text: &str) -> Option<String> {
    host(text).filter(|host| !host.is_empty() && text.eq_ignore_ascii_case(host))
}

/// The host of an authority (RFC 3986 §3.2), in lower case, without its port and the dot of the root. Nothing that some take
/// for a host and others do not: a route that is for a host must not be missed by a spelling of it.
pub(super) fn host(authority: &str) -> Option<String> {
    const LABEL: ByteSet = ByteSet::alphanumeric_and(b"-_~");
    if authority.is_empty() {
        return Some(String::new());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = split_at_first(rest, b']')?;
            let port = if port.is_empty() { port } else { port.strip_prefix(':')? };
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (name, port) = split_at_first(authority, b':').unwrap_or((authority, ""));
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_label = |label: &str| !label.is_empty() && LABEL.holds_all(label.as_bytes());
            (name.split('.').all(is_label).then(|| name.to_ascii_lowercase())?, port)
        }
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || (is_number && port.parse::<u16>().is_ok())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_root() {
        for (authority, expected) in [
            ("a", "a"),
            ("a:", "a"),
            ("A.b.:8080", "a.b"),
            ("[2001:DB8:0::1]:1", "[2001:db8::1]"),
            ("127.0.0.1:65535", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(host(authority).as_deref(), Some(expected), "{authority}");
        }
        for authority in [
            "user@evil",
            "a/b",
            "a:8x",
            "a:1:2",
            "a:+1",
            "a:65536",
            "a..",
            "a..b",
            ".",
            ".a",
            ":1",
            "::1",
            "[::1",
            "[a]",
            "[::1]1",
            "[::1]:x",
            "[[::1]]",
            "a]",
            "a b",
            "\u{e9}",
        ] {
            assert_eq!(host(authority), None, "{authority}");
        }
    }

    #[test]
    fn a_policy_names_hosts_as_they_are_compared() {
        for (text, expected) in [("A.example", "a.example"), ("[2001:DB8::1]", "[2001:db8::1]")] {
            assert_eq!(normal_host(text).as_deref(), Some(expected));
        }
        for text in ["", "a:80", "a.", "[::0]", "::1", "*.a", "https://a"] {
            assert_eq!(normal_host(text), None, "{text}");
        }
    }
}
