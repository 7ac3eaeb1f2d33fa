//! What Envoy refuses by itself, as problem documents (RFC 9457), with the policy's own types where the policy would
//! have refused for that reason.

use portcullis_policy::{PROBLEM_MEDIA_TYPE, PROBLEM_TYPE_PREFIX, Reason};
use serde_json::{Value, json};

/// The section `local_reply_config`.
pub(super) fn section() -> String {
    let mut text = String::from(HEAD);
    for refusal in REFUSALS {
        let expression = Value::from(refusal.when);
        let problem = refusal.problem();
        text.push_str(&format!(
            "    - filter:\n        extension_filter:\n          name: envoy.access_loggers.extension_filters.cel\n          \
             typed_config:\n            \"@type\": {CEL}\n            expression: {expression}\n      \
             status_code: {status}\n      body_format_override:\n        content_type: {PROBLEM_MEDIA_TYPE}\n        \
             json_format: {problem}\n",
            status = refusal.status(),
        ));
    }
    text
}

const HEAD: &str = "\
# What Envoy refuses by itself it refuses with a problem document (RFC 9457). The first that fits applies; what the
# filter has refused fits none and stays as it is.
local_reply_config:
  mappers:
";

const CEL: &str =
    "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

/// A refusal of Envoy's own and what clients are told.
struct Refusal {
    /// A CEL expression over `response.code_details`, which says who refused and why.
    when: &'static str,
    said: Said,
}

enum Said {
    /// The policy refuses this too: its type and status, and where, and what was expected there.
    AsPolicy(Reason, Option<(&'static str, &'static str)>),
    /// Envoy's alone: status, name, title.
    Proxy(u16, &'static str, &'static str),
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        when: "response.code_details == 'path_normalization_failed'",
        said: Said::AsPolicy(Reason::PathInvalid, None),
    },
    Refusal {
        when: "response.code_details in ['http1.headers_too_large', 'http1.too_many_headers', \
               'http2.too_many_headers', 'request_headers_too_large']",
        said: Said::AsPolicy(Reason::HeadersTooLarge, None),
    },
    Refusal {
        when: "response.code_details == 'request_payload_too_large'",
        said: Said::AsPolicy(Reason::BodyTooLarge, None),
    },
    Refusal {
        when: "response.code_details == 'http1.content_length_and_chunked_not_allowed'",
        said: Said::AsPolicy(
            Reason::HeaderConflict,
            Some(("content-length", "either content-length or transfer-encoding")),
        ),
    },
    Refusal {
        when: "response.code_details == 'http1.invalid_transfer_encoding'",
        said: Said::AsPolicy(Reason::HeaderInvalid, Some(("transfer-encoding", "chunked"))),
    },
    Refusal {
        when: "response.code_details == 'http.invalid_authority'",
        said: Said::AsPolicy(Reason::HeaderInvalid, Some(("host", "host or host:port"))),
    },
    Refusal {
        when: "response.code_details == 'http1.invalid_characters'",
        said: Said::AsPolicy(Reason::HeaderInvalid, None),
    },
    Refusal {
        when: "response.code_details == 'overload'",
        said: Said::Proxy(503, "overloaded", "The service has too much to do at the moment"),
    },
    Refusal {
        when: "response.code_details.startsWith('wasm_fail')",
        said: Said::Proxy(503, "gate-unavailable", "The request cannot be checked at the moment"),
    },
    Refusal {
        when: "response.code_details in ['upstream_response_timeout', 'response_timeout', \
               'upstream_per_try_timeout', 'upstream_per_try_idle_timeout']",
        said: Said::Proxy(504, "upstream-timeout", "The service did not answer in time"),
    },
    Refusal {
        when: "response.code_details in ['request_overall_timeout', 'stream_idle_timeout', \
               'request_header_timeout']",
        said: Said::Proxy(408, "request-timeout", "The request did not arrive in time"),
    },
    Refusal {
        when: "response.code_details.startsWith('upstream_') || response.code_details in \
               ['no_healthy_upstream', 'maintenance_mode', 'cluster_not_found']",
        said: Said::Proxy(
            503,
            "upstream-unavailable",
            "The service is not available at the moment",
        ),
    },
    Refusal {
        when: "response.code_details == 'upgrade_failed'",
        said: Said::Proxy(403, "upgrade-refused", "The connection cannot be upgraded"),
    },
    Refusal {
        when: "response.code_details == 'low_version'",
        said: Said::Proxy(426, "version-unsupported", "Use HTTP/1.1 or HTTP/2"),
    },
    Refusal {
        when: "response.code_details.startsWith('http1.') || response.code_details.startsWith('http2.') || \
               response.code_details.startsWith('http.') || response.code_details == 'missing_host_header'",
        said: Said::Proxy(400, "bad-request", "The request is not valid HTTP"),
    },
];

impl Refusal {
    fn status(&self) -> u16 {
        match self.said {
            Said::AsPolicy(reason, _) => reason.status(),
            Said::Proxy(status, ..) => status,
        }
    }

    fn problem(&self) -> Value {
        match self.said {
            Said::AsPolicy(reason, finding) => {
                let mut problem = json!({
                    "type": reason.problem_type(),
                    "title": reason.title(),
                    "status": reason.status(),
                });
                if let Some((at, expected)) = finding {
                    let error =
                        json!({ "reason": reason.as_str(), "at": at, "expected": expected });
                    problem["errors"] = json!([error]);
                }
                problem
            }
            Said::Proxy(status, name, title) => {
                json!({ "type": format!("{PROBLEM_TYPE_PREFIX}{name}"), "title": title, "status": status })
            }
        }
    }
}
