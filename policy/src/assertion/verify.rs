//! The upstream's side.

use hmac::Mac as _;
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::base::{Covered, component_items, serialised};
use super::{
    ALGORITHM, CONTENT_DIGEST_FIELD, LABEL, MAXIMUM_LIFETIME_SECONDS, PRINCIPAL_FIELD,
    SIGNATURE_FIELD, SIGNATURE_INPUT_FIELD, TAG,
};
use crate::{Principal, Secret};

/// How far the signer's clock may be ahead of the verifier's, in seconds.
const CLOCK_SKEW_SECONDS: u64 = 5;

/// Checks assertions. Keys are looked up by `keyid`, so two may be good while one replaces the other.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Vec<(String, Secret)>,
}

/// A request as an upstream received it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// As in the request line; compared exactly.
    pub method: &'a str,
    /// The path as it was sent, still percent-encoded, without the query.
    pub path: &'a str,
    /// The query without its question mark; `None` and empty are the same.
    pub query: Option<&'a str>,
    /// All header fields, names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body.
    pub body: &'a [u8],
    /// Seconds since the epoch.
    pub now: u64,
}

/// Why a request does not carry a good assertion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// The field is not there.
    #[error("the request has no {field} field")]
    Missing {
        /// Which one.
        field: &'static str,
    },
    /// The field is there twice, is not ASCII or is not the structured field it should be.
    #[error("the {field} field is malformed or repeated")]
    Malformed {
        /// Which one.
        field: &'static str,
    },
    /// The signature covers other components, or lacks or has other parameters than the gate's.
    #[error("the signature does not cover what the gate signs")]
    Coverage,
    /// No key of that `keyid`.
    #[error("the signature was made with an unknown key")]
    UnknownKey,
    /// Past its `expires`.
    #[error("the assertion has expired")]
    Expired,
    /// Its `created` lies in the future.
    #[error("the assertion is not valid yet")]
    NotYetValid,
    /// It would live longer than [`MAXIMUM_LIFETIME_SECONDS`].
    #[error("the assertion's lifetime is too long")]
    LifetimeTooLong,
    /// It was made for another request, or by somebody without the key.
    #[error("the signature does not match the request")]
    SignatureMismatch,
    /// The digest that was signed is not this body's.
    #[error("the body is not the one that was signed")]
    BodyMismatch,
}

impl Verifier {
    /// Keys with their `keyid`s.
    pub fn new(keys: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// The principal that the gate vouches for, if it really does for exactly this request.
    pub fn verify(&self, received: &Received<'_>) -> Result<Principal, AssertionError> {
        let input = single(received, SIGNATURE_INPUT_FIELD)?;
        let signature = single(received, SIGNATURE_FIELD)?;
        let content_digest = single(received, CONTENT_DIGEST_FIELD)?;
        let principal = single(received, PRINCIPAL_FIELD)?;

        let list = inner_list(input)?;
        let parameters = SignatureParameters::read(&list).ok_or(AssertionError::Coverage)?;
        parameters.check_time(received.now)?;
        let (_, key) = self
            .keys
            .iter()
            .find(|(id, _)| *id == parameters.key_id)
            .ok_or(AssertionError::UnknownKey)?;

        let covered = Covered {
            method: received.method,
            path: received.path,
            query: received.query,
            content_digest,
            principal,
        };
        if covered.has_line_break() {
            return Err(AssertionError::SignatureMismatch);
        }
        let signature = byte_sequence(signature, LABEL, SIGNATURE_FIELD)?;
        covered
            .mac(key.expose(), &serialised(&list))
            .and_then(|mac| mac.verify_slice(&signature).ok())
            .ok_or(AssertionError::SignatureMismatch)?;

        let digest = byte_sequence(content_digest, "sha-256", CONTENT_DIGEST_FIELD)?;
        if !bool::from(Sha256::digest(received.body).as_slice().ct_eq(&digest)) {
            return Err(AssertionError::BodyMismatch);
        }
        Principal::from_field(principal).ok_or(AssertionError::Malformed { field: PRINCIPAL_FIELD })
    }
}

/// The parameters of the gate's signature (RFC 9421 §2.3).
struct SignatureParameters {
    created: u64,
    expires: u64,
    key_id: String,
}

impl SignatureParameters {
    /// `None` unless the list covers exactly what the gate covers and says so with all its parameters.
    fn read(list: &InnerList) -> Option<Self> {
        let text = |name: &str| match list.params.get(name)? {
            BareItem::String(text) => Some(text.as_str()),
            _ => None,
        };
        let seconds = |name: &str| match list.params.get(name)? {
            BareItem::Integer(value) => u64::try_from(*value).ok(),
            _ => None,
        };
        let exact =
            list.items == component_items() && text("alg")? == ALGORITHM && text("tag")? == TAG;
        exact.then_some(Self {
            created: seconds("created")?,
            expires: seconds("expires")?,
            key_id: text("keyid")?.to_owned(),
        })
    }

    fn check_time(&self, now: u64) -> Result<(), AssertionError> {
        if self.created > now.saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(AssertionError::NotYetValid);
        }
        if self.expires.saturating_sub(self.created) > u64::from(MAXIMUM_LIFETIME_SECONDS) {
            return Err(AssertionError::LifetimeTooLong);
        }
        if now >= self.expires {
            return Err(AssertionError::Expired);
        }
        Ok(())
    }
}

/// The value of a field that must be there exactly once.
fn single<'a>(received: &Received<'a>, field: &'static str) -> Result<&'a str, AssertionError> {
    let mut values = received.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
    let (_, value) = values.next().ok_or(AssertionError::Missing { field })?;
    if values.next().is_some() {
        return Err(AssertionError::Malformed { field });
    }
    std::str::from_utf8(value).map_err(|_| AssertionError::Malformed { field })
}

/// The gate's member of a `Signature-Input` field.
fn inner_list(value: &str) -> Result<InnerList, AssertionError> {
    match dictionary_member(value, LABEL) {
        Some(ListEntry::InnerList(list)) => Ok(list),
        _ => Err(AssertionError::Malformed { field: SIGNATURE_INPUT_FIELD }),
    }
}

fn byte_sequence(
    value: &str,
    member: &str,
    field: &'static str,
) -> Result<Vec<u8>, AssertionError> {
    match dictionary_member(value, member) {
        Some(ListEntry::Item(item)) => match item.bare_item {
            BareItem::ByteSequence(bytes) => Ok(bytes),
            _ => Err(AssertionError::Malformed { field }),
        },
        _ => Err(AssertionError::Malformed { field }),
    }
}

fn dictionary_member(value: &str, member: &str) -> Option<ListEntry> {
    let mut members = Parser::new(value).parse::<Dictionary>().ok()?;
    members.swap_remove(member)
}
