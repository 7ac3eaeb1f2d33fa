//! Header sections: pseudo-headers, credentials, whatever names and values.
#![no_main]

use portcullis_fuzz::head;

libfuzzer_sys::fuzz_target!(|fields: Vec<(String, Vec<u8>)>| {
    let fields: Vec<(&str, &[u8])> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    head(&fields, b"").finish();

    // And behind a path that is read as far as the query.
    let mut with_path: Vec<(&str, &[u8])> =
        vec![(":method", b"GET"), (":path", b"/v1/anything"), (":authority", b"api.example")];
    with_path.extend(&fields);
    head(&with_path, b"").finish();
});
