//! What a request brings: access and input.
#![forbid(unsafe_code)]

use portcullis_filter::Filter;
use portcullis_policy::{Stage, Stages};

const STAGES: Stages = Stages::of(&[Stage::Access, Stage::Input, Stage::Output, Stage::Audit]);

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Filter { name: "sanitize", stages: STAGES }.root(context_id));
}}
