//! Where the function behind this one is.

/// `http://host` or `https://host`, with a port or without: what a path follows.
///
/// In upper case, with a user, a path or anything else it would not be the host that the manifest allows.
pub(crate) fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(authority) = authority else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let host_fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.bytes().all(plain),
    };
    host_fits && port_fits
}

/// A path that goes before the function's own ones: `/a` or `/a/b`, of plain characters.
pub(crate) fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    text.len() <= 256 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_a_scheme_and_a_host() {
        for origin in [
            "http://scam-detector.spin.internal",
            "http://127.0.0.1:3000",
            "https://[::1]:443",
            "https://a",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://a/",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://A",
            "http://u@a",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://a b",
            "http://[x]",
            "http://*.a",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }

    #[test]
    fn prefixes_are_plain() {
        for prefix in ["/encrypted", "/a/b", "/a.b-c_d"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        for other in ["", "/", "a", "/a/", "//a", "/a//b", "/..", "/a/./b", "/a%2f", "/a?b", "/é"]
        {
            assert!(!is_prefix(other), "{other}");
        }
    }
}
