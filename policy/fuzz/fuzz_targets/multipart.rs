//! Multipart bodies. The boundary is fixed, so that the fuzzer can find it.
#![no_main]

use portcullis_fuzz::request;

const CONTENT_TYPE: &str = "multipart/form-data; boundary=b";

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let judged = request(CONTENT_TYPE, body);
    if let Some(forwarded) = judged.forwarded.as_deref() {
        let again = request(CONTENT_TYPE, forwarded);
        if let Some(twice) = &again.forwarded {
            assert_eq!(twice.as_slice(), forwarded, "a second pass changes what the first let through");
        }
    }
    judged.finish();
});
