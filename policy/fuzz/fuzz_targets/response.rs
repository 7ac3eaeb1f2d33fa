//! Responses in pieces: how they are cut changes nothing of what is taken out.
#![no_main]

use portcullis_fuzz::request;

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8)| {
    let (body, pieces, kind) = input;
    let content_type = match kind % 3 {
        0 => "application/json",
        1 => "text/event-stream",
        _ => "text/plain; charset=utf-8",
    };
    let respond = |pieces: &[u8]| {
        let mut judged = request("application/json", br#"{"text":"hello"}"#);
        let sent = judged.respond(content_type, &body, pieces);
        judged.finish();
        sent
    };
    assert_eq!(respond(&[]), respond(&pieces), "another way to cut it gives another response");
});
