//! Addresses in place of files. The upstream fetches what is there, with what it may reach.

use crate::screening::{HostPlace, host_place};

/// The longest address.
const MAXIMUM_BYTES: usize = 2048;

/// Names of networks that nobody outside of them knows, beside those that the screen for arguments has.
const LOCAL_SUFFIXES: [&str; 11] = [
    "local",
    "localhost",
    "lan",
    "home",
    "corp",
    "intranet",
    "private",
    "arpa",
    "onion",
    "consul",
    "svc",
];

/// What is expected of an address, where it is not so. What a name stands for is not known here: who owns it may have it lead
/// to an address of the upstream's own network, so the upstream must look again when it connects.
pub(crate) fn check_address(address: &str) -> Result<(), &'static str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let rest = rest.ok_or("an address that begins with https:// or http://")?;
    // What parsers of URLs take out, turn around or decode is not there.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
    if address.len() > MAXIMUM_BYTES || !address.bytes().all(is_plain) {
        return Err("an address of at most 2048 visible characters, percent-encoded");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let host = host.to_ascii_lowercase();
    let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    // Numbers at the end are an IPv4 address, in one of a dozen notations.
    let is_name = host.contains('.')
        && host.len() <= 253
        && host.split('.').all(is_label)
        && last.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !is_name || !is_port {
        return Err("an address with the whole name of a host, without a user's name");
    }
    if host_place(host.as_bytes()) != HostPlace::Elsewhere || LOCAL_SUFFIXES.contains(&last) {
        return Err("an address of the internet");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_internet() {
        for good in [
            "https://upload.wikimedia.org/a/b.png",
            "http://a.example.com:8080/x?y=z#w",
            "https://xn--bcher-kva.example.com",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        let long = format!("https://a.com/{}", "a".repeat(2048));
        for bad in [
            "",
            "https://",
            "ftp://a.com/b",
            "file:///etc/passwd",
            "gopher://a.com",
            "//a.com/b",
            "a.com",
            "HTTPS://a.com",
            " https://a.com",
            "https://a.com/ b",
            "https://a.com\\@127.0.0.1/",
            "https://user@a.com/",
            "https://a.com:b@c.com/",
            "https://a.com:/",
            "https://a.com:99999999/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://1.1.1.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://metadata.google.internal/computeMetadata",
            "https://169.254.169.254/latest/meta-data",
            "https://printer.local/",
            "https://intranet/",
            "https://127.0.0.1.nip.io/",
            "https://a.svc.cluster.local/",
            "https://a..com/",
            "https://.com/",
            "https://a%2ecom/",
            "https://\u{ff41}.com/",
            "https:a.com",
            "https:///a.com",
            &long,
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
