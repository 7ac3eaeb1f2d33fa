//! The signature base (RFC 9421 §2.5) that both sides compute.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry};
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
    let digest = Sha256::digest(body).to_vec();
    dictionary("sha-256", Item::new(BareItem::ByteSequence(digest)).into())
}

/// The covered components as the items of the signature's inner list.
pub(super) fn component_items() -> Vec<Item> {
    COMPONENTS
        .iter()
        .filter_map(|name| sfv::String::from_string((*name).to_owned()).ok())
        .map(Item::new)
        .collect()
}

/// A dictionary with the one member `portcullis=…`.
pub(super) fn labelled(entry: ListEntry) -> String {
    dictionary(LABEL, entry)
}

/// An inner list as it stands in the signature base: the labelled dictionary without its label.
pub(super) fn serialised(list: &InnerList) -> String {
    let labelled = labelled(list.clone().into());
    labelled
        .strip_prefix(LABEL)
        .and_then(|rest| rest.strip_prefix('='))
        .map(str::to_owned)
        .unwrap_or_default()
}

fn dictionary(name: &'static str, entry: ListEntry) -> String {
    let mut members = Dictionary::new();
    members.insert(sfv::key_ref(name).to_owned(), entry);
    let mut serializer = sfv::DictSerializer::new();
    serializer.members(&members);
    serializer.finish().unwrap_or_default()
}
