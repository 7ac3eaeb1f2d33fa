//! Where a host is: nearby, at the metadata service of a cloud, or elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Where a host is, from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A name of the internet.
    Elsewhere,
    /// An address of the internet.
    Address,
    /// This machine or the network it is in.
    Local,
    /// An address in a notation that only hides it.
    Odd,
    /// What tells the credentials of the machine.
    Metadata,
}

/// Names that lead to this machine or its neighbours.
const LOCAL_NAMES: [&str; 18] = [
    "localhost",
    "localhost4",
    "localhost6",
    "localdomain",
    "localdomain4",
    "localdomain6",
    "localtest.me",
    "lvh.me",
    "vcap.me",
    "nip.io",
    "sslip.io",
    "xip.io",
    "internal",
    "ip6-localhost",
    "ip6-loopback",
    "ipv6-localhost",
    "svc.cluster.local",
    "spoofed.burpcollaborator.net",
];
/// Names of metadata services.
const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.tencentyun.com",
    "instance-data",
    "rancher-metadata",
];

/// Where `authority` leads to, a host with perhaps a port, in lower case.
pub(crate) fn place(authority: &[u8]) -> Place {
    let Ok(authority) = std::str::from_utf8(authority) else { return Place::Elsewhere };
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().map_or(Place::Elsewhere, version_6);
    }
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.');
    if METADATA_NAMES.contains(&host) {
        return Place::Metadata;
    }
    if authority.matches(':').count() > 1 {
        return version_6(authority);
    }
    if host.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && let Some((address, is_odd)) = version_4(host)
    {
        return match place_4(address) {
            Place::Address if is_odd => Place::Odd,
            Place::Local if is_odd => Place::Odd,
            place => place,
        };
    }
    let is_local = |name: &&str| {
        host.strip_suffix(*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if LOCAL_NAMES.iter().any(is_local) { Place::Local } else { Place::Elsewhere }
}

/// An address as `inet_aton` reads it, and whether nobody would write it so.
fn version_4(host: &str) -> Option<(Ipv4Addr, bool)> {
    let mut parts = [0_u64; 4];
    let mut count = 0_usize;
    let mut is_odd = false;
    for part in host.split('.') {
        let (digits, radix) = match part.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if part.len() > 1 && part.starts_with('0') => (part, 8),
            None => (part, 10),
        };
        is_odd |= radix != 10;
        *parts.get_mut(count)? = u64::from_str_radix(digits, radix).ok()?;
        count += 1;
    }
    is_odd |= count < 4;
    let (leading, last) = parts.get(..count)?.split_at_checked(count.checked_sub(1)?)?;
    let mut value = 0_u64;
    for part in leading {
        value = value.checked_mul(256)?.checked_add(*part & 0xff)?;
        // Some parsers take what is too large modulo 256.
        is_odd |= *part > 255;
    }
    let shift = 8 * u32::try_from(5_usize.checked_sub(count)?).ok()?;
    value = value.checked_shl(shift)?.checked_add(*last.first()?)?;
    // A small number alone is a number, or a port.
    if count == 1 && value < 0x0100_0000 && value != 0 {
        return None;
    }
    let low = u32::try_from(value & 0xffff_ffff).ok()?;
    Some((Ipv4Addr::from(low), is_odd))
}

fn place_4(address: Ipv4Addr) -> Place {
    match address.octets() {
        [169, 254, 169, 254]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [169, 254, 170, 2]
        | [168, 63, 129, 16] => Place::Metadata,
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => Place::Local,
        [172, 16..=31, ..] | [100, 64..=127, ..] => Place::Local,
        _ => Place::Address,
    }
}

fn version_6(host: &str) -> Place {
    let host = host.split('%').next().unwrap_or(host);
    let Ok(address) = host.parse::<Ipv6Addr>() else { return Place::Elsewhere };
    if let Some(address) = address.to_ipv4_mapped() {
        return place_4(address).max(Place::Local);
    }
    let first = address.segments().first().copied().unwrap_or(0);
    let is_local = address.is_loopback()
        || address.is_unspecified()
        || first & 0xfe00 == 0xfc00
        || first & 0xffc0 == 0xfe80;
    match address.segments() {
        [0xfd00, 0xec2, .., 0x254] => Place::Metadata,
        _ if is_local => Place::Local,
        _ => Place::Address,
    }
}
