//! The proxy as the policy's environment.

use std::net::{IpAddr, SocketAddr};
use std::time::UNIX_EPOCH;

use portcullis_policy::{
    Environment, Header, NativeSignature, Swap, Timestamp, Unavailable, Version,
};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

/// What [`Environment::compare_and_swap`] expects where nothing is stored. The host takes 0 for «do not
/// compare», and ignores what is given where the key is missing; so a version that no write ever reaches means
/// «only if it is still missing».
const ABSENT: u32 = u32::MAX;

pub(crate) struct HostEnvironment {
    /// The header that holds the time, and what it held.
    replay: Option<(String, Timestamp)>,
    /// The client's address, once the host has been asked: access, limits and the record all want it, and asking
    /// costs 3 µs.
    source: Option<Option<IpAddr>>,
}

impl HostEnvironment {
    pub(crate) fn new(replay_clock_header: Option<String>) -> Self {
        Self { replay: replay_clock_header.map(|name| (name, BEYOND)), source: None }
    }

    /// Takes the time from a request, where the VM was started so.
    pub(crate) fn set_clock(&mut self, headers: &[Header<'_>]) {
        if let Some((name, now)) = &mut self.replay {
            let value = headers.iter().find(|(other, _)| *other == name);
            let value = value.and_then(|(_, value)| std::str::from_utf8(value).ok());
            *now = value.and_then(|value| value.parse().ok()).map_or(BEYOND, Timestamp);
        }
    }
}

/// The end of time: where the clock cannot be read, everything has expired.
const BEYOND: Timestamp = Timestamp(u64::MAX);

impl Environment for HostEnvironment {
    fn now(&mut self) -> Timestamp {
        if let Some((_, now)) = self.replay {
            return now;
        }
        hostcalls::get_current_time()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| u64::try_from(since.as_nanos()).ok())
            .map_or(BEYOND, Timestamp)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        getrandom::fill(bytes).map_err(|_| Unavailable)
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        match hostcalls::get_shared_data(key) {
            Ok((Some(value), Some(version))) => Ok(Some((value, Version(version)))),
            // An empty value comes without bytes.
            Ok((None, Some(version))) => Ok(Some((Vec::new(), Version(version)))),
            Ok((_, None)) => Ok(None),
            Err(_) => Err(Unavailable),
        }
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        let expected = expected.map_or(ABSENT, |version| version.0);
        match hostcalls::set_shared_data(key, Some(value), Some(expected)) {
            Ok(()) => Ok(Swap::Done),
            Err(Status::CasMismatch) => Ok(Swap::Conflict),
            Err(_) => Err(Unavailable),
        }
    }

    fn source(&mut self) -> Option<IpAddr> {
        *self.source.get_or_insert_with(source_address)
    }

    fn client_certificate(&mut self) -> Option<[u8; 32]> {
        // Set where the client has shown a certificate and the proxy has verified it: a digest alone says neither.
        let mtls = property(&["connection", "mtls"])?;
        if mtls != [1] {
            return None;
        }
        sha256_in_hex(&property(&["connection", "sha256_peer_certificate_digest"])?)
    }

    fn verify_signature(&mut self, signature: &NativeSignature<'_>) -> Option<bool> {
        let arguments = verify_signature_arguments(signature);
        match hostcalls::call_foreign_function("verify_signature", Some(&arguments)) {
            // A false result is left off the wire, and with it perhaps all bytes.
            Ok(reply) => VerifySignatureResult::decode(reply.unwrap_or_default().as_slice())
                .ok()
                .map(|reply| reply.result),
            Err(_) => None,
        }
    }
}

/// `VerifySignatureArguments` of envoy/source/extensions/common/wasm/ext/verify_signature.proto, written into one buffer:
/// a message type would have to own a copy of each part first.
fn verify_signature_arguments(signature: &NativeSignature<'_>) -> Vec<u8> {
    let fields = [
        (1, signature.hash.as_bytes()),
        (2, signature.public_key),
        (3, signature.signature),
        (4, signature.message),
    ];
    let length = |bytes: &[u8]| bytes.len().saturating_add(MAXIMUM_FIELD_HEAD);
    let mut arguments = Vec::with_capacity(fields.iter().map(|(_, bytes)| length(bytes)).sum());
    for (tag, bytes) in fields {
        encode_key(tag, WireType::LengthDelimited, &mut arguments);
        encode_varint(bytes.len() as u64, &mut arguments);
        arguments.extend_from_slice(bytes);
    }
    arguments
}

/// The longest key and length of a field, in bytes: a tag below 16, and a varint.
const MAXIMUM_FIELD_HEAD: usize = 11;

/// What the host answers, of the same file.
#[derive(prost::Message)]
struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    result: bool,
}

fn source_address() -> Option<IpAddr> {
    let bytes = property(&["source", "address"])?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let address = text.parse::<SocketAddr>().map(|address| address.ip());
    address.or_else(|_| text.parse()).ok()
}

fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

fn sha256_in_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(prost::Message)]
    struct VerifySignatureArguments {
        #[prost(string, tag = "1")]
        hash_function: String,
        #[prost(bytes = "vec", tag = "2")]
        public_key: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        signature: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        text: Vec<u8>,
    }

    #[test]
    fn arguments_are_the_message_that_hosts_read() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let message = vec![b'm'; length];
            let signature = NativeSignature {
                hash: "sha256",
                public_key: b"key",
                signature: &[0xff; 256],
                message: &message,
            };
            let arguments = verify_signature_arguments(&signature);
            let read = VerifySignatureArguments::decode(arguments.as_slice()).unwrap();
            assert_eq!((read.hash_function.as_str(), read.public_key), ("sha256", b"key".to_vec()));
            assert_eq!((read.signature, read.text), (vec![0xff; 256], message));
        }
    }
}
