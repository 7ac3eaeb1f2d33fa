//! JSON bodies: what goes on is one JSON document that every reader reads alike, and going on once more changes nothing.
#![no_main]

use portcullis_fuzz::request;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let judged = request("application/json", body);
    if let Some(forwarded) = judged.forwarded.as_deref()
        && !forwarded.is_empty()
    {
        serde_json::from_slice::<Value>(forwarded).expect("what goes on is JSON");
        let again = request("application/json", forwarded);
        if let Some(twice) = &again.forwarded {
            assert_eq!(twice.as_slice(), forwarded, "a second pass changes what the first let through");
        }
        again.finish();
    }
    judged.finish();
});
