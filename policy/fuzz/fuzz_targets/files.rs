//! Files in JSON: what goes on has its metadata, and what is replaced in text, gone for good.
#![no_main]

use portcullis_fuzz::request;

libfuzzer_sys::fuzz_target!(|input: (&[u8], u8)| {
    let (file, kind) = input;
    const TYPES: [&str; 9] = [
        "image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "image/svg+xml", "text/markdown",
        "application/json", "application/jsonl",
    ];
    let media_type = TYPES[usize::from(kind) % TYPES.len()];
    let encoded = portcullis_fuzz::base64(file);
    let body = serde_json::json!({ "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": format!("data:{media_type};base64,{encoded}") } }
    ] }] });
    let judged = request("application/json", body.to_string().as_bytes());
    if let Some(forwarded) = judged.forwarded.as_deref() {
        let again = request("application/json", forwarded);
        assert_eq!(
            again.forwarded.as_deref(),
            Some(forwarded),
            "what went on once goes on again, unchanged"
        );
    }
    judged.finish();
});
