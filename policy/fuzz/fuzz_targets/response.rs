//! Responses in pieces: how they are cut, and by what they end, changes nothing of what is taken out.
#![no_main]

use portcullis_fuzz::{End, request};

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8)| {
    let (body, pieces, kind) = input;
    let content_type = match kind % 4 {
        0 => "application/json",
        1 => "text/event-stream",
        2 => "application/x-ndjson",
        _ => "text/plain; charset=utf-8",
    };
    let end = match kind / 4 % 4 {
        0 => End::LastPart,
        1 => End::Length,
        2 => End::Chunks,
        _ => End::Trailers,
    };
    let respond = |end: End, pieces: &[u8]| {
        let mut judged = request("application/json", br#"{"text":"hello"}"#);
        let sent = judged.respond(content_type, end, &body, pieces);
        judged.finish();
        sent
    };
    let whole = respond(End::LastPart, &[]);
    assert_eq!(whole, respond(end, &pieces), "another way to cut or end it gives another response");
});
