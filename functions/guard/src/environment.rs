//! What the policy needs from where it runs.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_policy::{Environment, NativeSignature, Swap, Timestamp, Unavailable, Version};

use crate::remotes::Kept;

/// A Spin component, of which nothing is left after a request. It has no store that instances share but the one for limits and what
/// is kept of documents, so what needs one (whether a proof of possession was used before) fails closed.
pub(crate) struct Instance {
    pub(crate) source: Option<IpAddr>,
    /// Of documents that are fetched.
    pub(crate) kept: Kept,
    /// None has the system's.
    pub(crate) now: Option<Timestamp>,
}

impl Environment for Instance {
    fn now(&mut self) -> Timestamp {
        // A clock that cannot be read is at the end of all: nothing is valid then.
        self.now.unwrap_or_else(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).ok();
            let elapsed = elapsed.and_then(|elapsed| u64::try_from(elapsed.as_nanos()).ok());
            Timestamp(elapsed.unwrap_or(u64::MAX))
        })
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        getrandom::fill(bytes).map_err(|_| Unavailable)
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        self.kept.load(key)
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        self.kept.compare_and_swap(key, expected, value)
    }

    fn source(&mut self) -> Option<IpAddr> {
        self.source
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}

/// Who has connected, as the host says. Hosts write over what clients send in that field; where it is there twice, one of them
/// may be a client's.
pub(crate) fn source<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<IpAddr> {
    let mut values = values.into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = std::str::from_utf8(value).ok()?.trim();
    let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
    with_port.or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_address() {
        let of = |values: &[&'static str]| source(values.iter().map(|value| value.as_bytes()));
        assert_eq!(of(&["192.0.2.1:80"]), "192.0.2.1".parse().ok());
        assert_eq!(of(&["[2001:db8::1]:80"]), "2001:db8::1".parse().ok());
        assert_eq!(of(&["192.0.2.1"]), "192.0.2.1".parse().ok());
        for none in [&[][..], &[""], &["a"], &["192.0.2.1:80", "192.0.2.2:80"]] {
            assert_eq!(of(none), None);
        }
    }
}
