//! The signature base (RFC 9421 §2.5) that both sides compute.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sfv::{Dictionary, InnerList, Item};
use sha2::{Digest as _, Sha256};

use super::{CONTENT_DIGEST_FIELD, LABEL, PRINCIPAL_FIELD};

/// What is covered, in this order. A verifier accepts this list and no other.
pub(super) const COMPONENTS: [&str; 5] =
    ["@method", "@path", "@query", CONTENT_DIGEST_FIELD, PRINCIPAL_FIELD];

/// The values of the covered components.
pub(super) struct Covered<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Without the question mark; an absent query counts as an empty one (RFC 9421 §2.2.7).
    pub(super) query: Option<&'a str>,
    pub(super) content_digest: &'a str,
    pub(super) principal: &'a str,
}

impl Covered<'_> {
    /// An HMAC that has taken in the signature base of these components and `signature_params`, the
    /// serialised inner list.
    ///
    /// No value may hold a line feed, or one request could pass for another; HTTP field values, methods
    /// and request targets cannot, and the callers check it.
    pub(super) fn mac(&self, key: &[u8], signature_params: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        let query = self.query.unwrap_or_default();
        for part in [
            "\"@method\": ",
            self.method,
            "\n\"@path\": ",
            self.path,
            "\n\"@query\": ?",
            query,
            "\n\"content-digest\": ",
            self.content_digest,
            "\n\"portcullis-principal\": ",
            self.principal,
            "\n\"@signature-params\": ",
            signature_params,
        ] {
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// Whether a value could break out of its line of the signature base.
    pub(super) fn has_line_break(&self) -> bool {
        [
            self.method,
            self.path,
            self.query.unwrap_or_default(),
            self.content_digest,
            self.principal,
        ]
        .iter()
        .any(|value| value.bytes().any(|byte| byte == b'\n' || byte == b'\r'))
    }
}

/// The `Content-Digest` of a body: `sha-256=:…:`.
pub(super) fn content_digest(body: &[u8]) -> String {
    byte_sequence("sha-256", &Sha256::digest(body))
}

/// A dictionary with one member, a byte sequence (RFC 9651 §3.3.5).
pub(super) fn byte_sequence(name: &str, bytes: &[u8]) -> String {
    format!("{name}=:{}:", STANDARD.encode(bytes))
}

/// The covered components as the items of the signature's inner list.
pub(super) fn component_items() -> Vec<Item> {
    COMPONENTS
        .iter()
        .filter_map(|name| sfv::String::from_string((*name).to_owned()).ok())
        .map(Item::new)
        .collect()
}

/// An inner list as it stands in the signature base.
pub(super) fn serialised(list: &InnerList) -> String {
    let mut members = Dictionary::new();
    members.insert(sfv::key_ref(LABEL).to_owned(), list.clone().into());
    let mut serializer = sfv::DictSerializer::new();
    serializer.members(&members);
    let labelled = serializer.finish().unwrap_or_default();
    let list = labelled.strip_prefix(LABEL).and_then(|rest| rest.strip_prefix('='));
    list.map(str::to_owned).unwrap_or_default()
}
