//! Texts, as prose and as arguments.
#![no_main]

use portcullis_fuzz::{Profiles, screen};

libfuzzer_sys::fuzz_target!(|text: &str| {
    screen(Profiles::Prompt, text);
    screen(Profiles::Argument, text);
});
