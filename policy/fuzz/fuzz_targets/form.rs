//! Form bodies and plain text.
#![no_main]

use portcullis_fuzz::request;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for content_type in ["application/x-www-form-urlencoded", "text/plain"] {
        request(content_type, body).finish();
    }
});
