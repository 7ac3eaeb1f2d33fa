//! Texts with digits and marks, where personal data are looked for and replaced.
#![no_main]

use portcullis_fuzz::{Profiles, request, screen};

/// What numbers, addresses and keys consist of.
const ALPHABET: &[u8] = b"0123456789 -+().,:/@_=ABCDEFXYZabcdefghijklmnopqrstuvwxyz\n";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let letters = bytes.iter().filter_map(|&byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()));
    let text: String = letters.map(|&letter| char::from(letter)).collect();
    screen(Profiles::Prompt, &text);
    let judged = request("application/json", serde_json::json!({ "text": text }).to_string().as_bytes());
    if let Some(forwarded) = &judged.forwarded {
        serde_json::from_slice::<serde_json::Value>(forwarded).expect("what goes on is JSON");
    }
    judged.finish();
});
