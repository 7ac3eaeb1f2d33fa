//! All stages of the policy in one filter.
#![forbid(unsafe_code)]

use portcullis_filter::Filter;
use portcullis_policy::Stages;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Filter { name: "gate", stages: Stages::ALL }.root(context_id));
}}
