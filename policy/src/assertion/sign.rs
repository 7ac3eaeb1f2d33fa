//! The gate's side.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use sfv::{BareItem, InnerList, Parameters};

use super::base::{Covered, byte_sequence, component_items, content_digest, serialised};
use super::{
    ALGORITHM, CONTENT_DIGEST_FIELD, LABEL, PRINCIPAL_FIELD, SIGNATURE_FIELD,
    SIGNATURE_INPUT_FIELD, TAG,
};
use crate::Secret;

/// Signs requests to the upstream.
#[derive(Debug, Clone)]
pub struct Signer {
    /// What is covered, and the parameters that are the same in all signatures, serialised once.
    components: String,
    constant: String,
    key: Secret,
    lifetime_seconds: u32,
}

impl Signer {
    /// `key_id` tells the verifier which key it was (RFC 9421 §2.3 `keyid`); `lifetime_seconds` is how long an
    /// assertion is good for: long enough for the clocks' difference and the way, no longer.
    pub fn new(key_id: &str, key: Secret, lifetime_seconds: u32) -> Self {
        let components = serialised(&InnerList::new(component_items()));
        let all = InnerList::with_params(component_items(), constant_parameters(key_id));
        let all = serialised(&all);
        let constant = all.strip_prefix(&components).unwrap_or_default().to_owned();
        Self { components, constant, key, lifetime_seconds }
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
        let parameters = self.parameters(now, nonce);
        let covered = Covered { method, path, query, content_digest: &content_digest, principal };
        // A line break cannot be signed unambiguously; and without a signature the upstream refuses.
        let mac = match covered.has_line_break() {
            true => None,
            false => covered.mac(self.key.expose(), &parameters),
        };
        let signature = mac.map(|mac| mac.finalize().into_bytes());
        let signature = signature.as_ref().map_or(&[][..], |signature| signature.as_slice());
        vec![
            (SIGNATURE_INPUT_FIELD, format!("{LABEL}={parameters}")),
            (SIGNATURE_FIELD, byte_sequence(LABEL, signature)),
            (CONTENT_DIGEST_FIELD, content_digest),
            (PRINCIPAL_FIELD, principal.to_owned()),
        ]
    }

    /// The inner list of what is covered, with its parameters (RFC 9421 §2.3), as it is serialised.
    fn parameters(&self, now: u64, nonce: &[u8; 16]) -> String {
        let Self { components, constant, .. } = self;
        let expires = now.saturating_add(u64::from(self.lifetime_seconds));
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        format!("{components};created={now};expires={expires};nonce=\"{nonce}\"{constant}")
    }
}

/// The parameters that are the same in all signatures.
fn constant_parameters(key_id: &str) -> Parameters {
    let text = |value: &str| match sfv::String::from_string(value.to_owned()) {
        Ok(string) => BareItem::String(string),
        Err((_, value)) => BareItem::DisplayString(value),
    };
    [("alg", ALGORITHM), ("keyid", key_id), ("tag", TAG)]
        .into_iter()
        .map(|(name, value)| (sfv::key_ref(name).to_owned(), text(value)))
        .collect()
}
