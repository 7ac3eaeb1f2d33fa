//! How often a caller may: limits. Put it behind jwt-auth to limit by principal and tenant.
#![forbid(unsafe_code)]

use portcullis_filter::Filter;
use portcullis_policy::{Stage, Stages};

const STAGES: Stages = Stages::of(&[Stage::Limits, Stage::Audit]);

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Filter { name: "rate-limit", stages: STAGES }.root(context_id));
}}
