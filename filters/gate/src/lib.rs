//! All stages of the policy in one filter.
#![forbid(unsafe_code)]

use portcullis_filter::Filter;
use portcullis_policy::Stages;

proxy_wasm::main! {{
    Filter { name: "gate", stages: Stages::ALL }.register();
}}
