//! The gate's side.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use sfv::{BareItem, InnerList, Integer, ListEntry, Parameters};

use super::base::{Covered, component_items, content_digest, labelled, serialised};
use super::{
    ALGORITHM, CONTENT_DIGEST_FIELD, PRINCIPAL_FIELD, SIGNATURE_FIELD, SIGNATURE_INPUT_FIELD, TAG,
};
use crate::Secret;

/// Signs requests to the upstream.
#[derive(Debug, Clone)]
pub struct Signer {
    key_id: String,
    key: Secret,
    lifetime_seconds: u32,
}

impl Signer {
    /// `key_id` tells the verifier which key it was (RFC 9421 §2.3 `keyid`); `lifetime_seconds` is how long an
    /// assertion is good for: long enough for the clocks' difference and the way, no longer.
    pub fn new(key_id: impl Into<String>, key: Secret, lifetime_seconds: u32) -> Self {
        Self { key_id: key_id.into(), key, lifetime_seconds }
    }

    /// The header fields to set on the request to the upstream, replacing any of that name.
    ///
    /// `principal` is [`Principal::to_field`](crate::Principal::to_field), `now` is in seconds since the epoch; `nonce` must be random.
    #[allow(clippy::too_many_arguments, reason = "each is one component of the signature")]
    pub fn sign(
        &self,
        principal: &str,
        method: &str,
        path: &str,
        query: Option<&str>,
        body: &[u8],
        now: u64,
        nonce: &[u8; 16],
    ) -> Vec<(&'static str, String)> {
        let content_digest = content_digest(body);
        let list = InnerList::with_params(component_items(), self.parameters(now, nonce));
        let covered = Covered { method, path, query, content_digest: &content_digest, principal };
        // A line break cannot be signed unambiguously; and without a signature the upstream refuses.
        let signature = match covered.has_line_break() {
            true => Vec::new(),
            false => covered
                .mac(self.key.expose(), &serialised(&list))
                .map(|mac| mac.finalize().into_bytes().to_vec())
                .unwrap_or_default(),
        };
        vec![
            (SIGNATURE_INPUT_FIELD, labelled(list.into())),
            (SIGNATURE_FIELD, labelled(ListEntry::from(BareItem::ByteSequence(signature)))),
            (CONTENT_DIGEST_FIELD, content_digest),
            (PRINCIPAL_FIELD, principal.to_owned()),
        ]
    }

    fn parameters(&self, now: u64, nonce: &[u8; 16]) -> Parameters {
        let seconds = |value: u64| {
            BareItem::Integer(Integer::try_from(value).unwrap_or_else(|_| Integer::from(0)))
        };
        let text = |value: &str| match sfv::String::from_string(value.to_owned()) {
            Ok(string) => BareItem::String(string),
            Err((_, value)) => BareItem::DisplayString(value),
        };
        let expires = now.saturating_add(u64::from(self.lifetime_seconds));
        [
            ("created", seconds(now)),
            ("expires", seconds(expires)),
            ("nonce", text(&URL_SAFE_NO_PAD.encode(nonce))),
            ("alg", text(ALGORITHM)),
            ("keyid", text(&self.key_id)),
            ("tag", text(TAG)),
        ]
        .into_iter()
        .map(|(name, value)| (sfv::key_ref(name).to_owned(), value))
        .collect()
    }
}
