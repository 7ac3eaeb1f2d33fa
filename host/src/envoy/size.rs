//! How large Envoy's buffers must be for a policy.

use portcullis_policy::Document;

/// What a policy asks of Envoy's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The longest body of any route, in bytes.
    pub body_bytes: u32,
    /// The longest header section, in bytes.
    pub header_bytes: u32,
    /// The most header fields.
    pub header_count: u32,
}

/// What the policy allows where a document does not say (`input.max_body_bytes`).
const DEFAULT_BODY_BYTES: u32 = 65_536;

impl Sizes {
    /// The sizes that a document asks for.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let base = document.input.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES);
        let routes = document.routes.iter().filter_map(|route| route.input.max_body_bytes);
        let headers = document.access.headers.unwrap_or_default();
        Self {
            body_bytes: routes.fold(base, u32::max),
            header_bytes: headers.max_bytes,
            header_count: headers.max_count,
        }
    }

    /// Envoy answers 413 by itself when more than this is held back. The filter is asked after every read, and a read
    /// is at most as long as this limit; so that twice the longest body, and some room, leave the answer to it.
    pub(crate) fn buffer_bytes(self) -> u32 {
        self.body_bytes.saturating_mul(2).max(self.body_bytes.saturating_add(SLACK_BYTES))
    }

    /// Room for what Envoy itself counts, and for a section that the policy refuses. Envoy takes at most 8192.
    pub(super) fn headers_kb(self) -> u32 {
        self.header_bytes.div_ceil(1024).saturating_add(16).min(8192)
    }

    pub(super) fn headers_count(self) -> u32 {
        self.header_count.saturating_add(32)
    }
}

const SLACK_BYTES: u32 = 128 * 1024;
