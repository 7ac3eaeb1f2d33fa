//! What the tests have in common.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// 32 bytes of 1, of 2 and of 3, in base64url.
pub(crate) const ASSERTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
pub(crate) const THIRD_KEY: &str = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM";

pub(crate) const UPSTREAM: &str = "http://scam-detector.spin.internal";

/// A policy as the gate has it, with what only the gate needs.
pub(crate) fn policy() -> Value {
    json!({
        "version": 1,
        "assertion": {
            "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis", "lifetime_seconds": 30,
        },
        "input": {
            "content_types": ["application/json"],
            "max_body_bytes": 1000,
            "text": { "control": "strip", "invisible": "strip" },
            "screening": {
                "attacks": "refuse", "prompt_injection": "flag",
                "personal_data": { "email_address": "mask" },
            },
        },
        "output": { "personal_data": { "payment_card": "mask" } },
        "routes": [
            {
                "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] },
                "input": { "schema": { "inline": {
                    "type": "object", "required": ["text"], "additionalProperties": false,
                    "properties": { "text": { "type": "string" }, "source": { "type": "string" } },
                } } },
            },
            { "name": "other", "match": { "path": "/other", "methods": ["POST"], "hosts": ["b.example"] } },
        ],
    })
}

pub(crate) fn variables() -> BTreeMap<String, String> {
    let variables = [
        ("assertion_key", ASSERTION_KEY.to_owned()),
        ("key_encryption_key", OTHER_KEY.to_owned()),
        ("input_policy", policy().to_string()),
        ("upstream", UPSTREAM.to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
