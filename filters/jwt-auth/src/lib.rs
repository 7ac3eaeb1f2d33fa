//! Who is calling and whether they may: identity and authorisation.
#![forbid(unsafe_code)]

use portcullis_filter::Filter;
use portcullis_policy::{Stage, Stages};

const STAGES: Stages = Stages::of(&[Stage::Identity, Stage::Authorisation, Stage::Audit]);

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Filter { name: "jwt-auth", stages: STAGES }.root(context_id));
}}
