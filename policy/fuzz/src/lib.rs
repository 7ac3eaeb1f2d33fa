//! A gate to throw things at: the whole engine, with a policy that has every check of input and output on.

#[allow(dead_code, reason = "a clock that tests put forward")]
#[path = "../../tests/common/runtime.rs"]
mod runtime;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use portcullis_policy::document::LocatedDocument;
use portcullis_policy::screening::{Owner, Profile, Screening};
use portcullis_policy::{Exchange, Header, Policy, RequestHead, Secret, Stages, Step};

pub use portcullis_policy::screening::Profile as Profiles;
use runtime::Runtime;

const POLICY: &str = include_str!("../policy.yaml");
/// 32 bytes in base64url.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

static GATE: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let located = LocatedDocument::read("policy.yaml", POLICY).expect("the fuzzer's own policy");
    let secrets: BTreeMap<String, String> =
        [("KEY", KEY), ("CANARY", "FuzzCanary7d1f0e99")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let stages = Stages::ALL;
    Arc::new(Policy::compile(&located.document, &secrets, stages).expect("the fuzzer's own policy"))
});

/// By what a response's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last part says so.
    LastPart,
    /// A length was announced.
    Length,
    /// The last part says so, and no trailers were announced.
    Chunks,
    /// Trailers follow, so no part is the last one.
    Trailers,
}

/// What became of a request.
pub struct Judged {
    runtime: Runtime,
    exchange: Exchange,
    /// The body that goes on, where one does.
    pub forwarded: Option<Vec<u8>>,
}

/// A request with this body.
pub fn request(content_type: &str, body: &[u8]) -> Judged {
    let length = body.len().to_string();
    let fields: [Header<'_>; 7] = [
        (":method", b"POST"),
        (":path", b"/v1/anything?q=1"),
        (":authority", b"api.example"),
        (":scheme", b"https"),
        ("x-request-id", b"5d3a7a0c-1111-4222-8333-944455556666"),
        ("content-type", content_type.as_bytes()),
        ("content-length", length.as_bytes()),
    ];
    head(&fields, body)
}

/// A request with these fields.
pub fn head(fields: &[Header<'_>], body: &[u8]) -> Judged {
    let mut runtime = Runtime::new();
    let mut exchange = GATE.begin(runtime.now());
    let head = RequestHead { headers: fields, has_body: !body.is_empty() };
    let mut step = exchange.request_head(&head, &mut runtime);
    if matches!(step, Step::NeedBody) {
        step = match body.len() > exchange.max_body_bytes() {
            true => exchange.body_too_large(),
            false => exchange.request_body(body, &mut runtime),
        };
    }
    let forwarded = match step {
        Step::Continue(_) => Some(body.to_vec()),
        Step::Rewrite(_, body) => Some(body),
        _ => None,
    };
    Judged { runtime, exchange, forwarded }
}

impl Judged {
    /// The upstream answers, in pieces of these sizes; what the client gets.
    pub fn respond(&mut self, content_type: &str, end: End, body: &[u8], pieces: &[u8]) -> Vec<u8> {
        let length = body.len().to_string();
        let framing: Option<Header<'_>> = match end {
            End::Length => Some(("content-length", length.as_bytes())),
            End::Chunks => Some(("transfer-encoding", b"chunked")),
            End::LastPart | End::Trailers => None,
        };
        let fields: [Header<'_>; 2] =
            [(":status", b"200"), ("content-type", content_type.as_bytes())];
        let fields: Vec<_> = fields.into_iter().chain(framing).collect();
        self.exchange.response_head(&fields);
        let (mut rest, mut sent) = (body, Vec::new());
        let mut sizes = pieces.iter().map(|&size| usize::from(size) + 1).cycle();
        loop {
            let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
            let (piece, left) = rest.split_at(size);
            rest = left;
            let is_last = rest.is_empty();
            let mut part = |piece: &[u8], is_last| {
                let replaced = match self.exchange.wants_response_body() {
                    true => self.exchange.response_body(piece, is_last),
                    false => None,
                };
                sent.extend_from_slice(replaced.as_deref().unwrap_or(piece));
            };
            part(piece, is_last && end != End::Trailers);
            if is_last && end == End::Trailers {
                part(&[], true);
            }
            if is_last {
                break;
            }
        }
        sent
    }

    /// The audit record, which must be a line of JSON whatever was sent.
    pub fn finish(mut self) {
        if let Some(record) = self.exchange.finish(&mut self.runtime) {
            assert!(!record.contains('\n'), "a record of two lines: {record}");
            serde_json::from_str::<serde_json::Value>(&record).expect("a record is JSON");
        }
    }
}

/// Screens a text, and holds what was found to what the detectors promise.
pub fn screen(profile: Profile, text: &str) {
    static SCREENING: LazyLock<Screening> = LazyLock::new(|| {
        let located = LocatedDocument::read("policy.yaml", POLICY).expect("the fuzzer's own policy");
        let section = located.document.input_of(None).expect("its own section");
        let key = Secret::from_base64url(KEY).expect("a key");
        Screening::compile(&section, Some(&key), "input").expect("the fuzzer's own policy")
    });
    if let Ok(screened) = SCREENING.screen(profile, text, &Owner::nobody()) {
        for found in &screened.found {
            let range = found.detection.range.clone();
            assert!(text.get(range.clone()).is_some(), "{range:?} is no part of {text:?}");
            assert!((0.0..=1.0).contains(&found.detection.score), "{found:?}");
        }
    }
}

/// RFC 4648 §4, with padding.
pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
