use proptest::prelude::*;

use super::*;
use crate::normalise::normalise;

fn respelled(text: &str) -> Option<String> {
    respell(&normalise(text, 100_000).unwrap().canonical).map(|text| text.text().to_owned())
}

#[test]
fn obfuscated_words_are_read_as_a_reader_reads_them() {
    for (text, expected) in [
        ("please v e r i f y now", "please verify now"),
        ("please v.e.r.i.f.y now", "please verify now"),
        ("please v-e-r-i-f-y now", "please verify now"),
        ("please ver-ify now", "please verify now"),
        ("please ver.ify now!", "please verify now!"),
        ("please v*e*r*i*f*y now", "please verify now"),
        ("please v3r1fy now", "please verify now"),
        ("your acc0unt", "your account"),
        ("your @cc0unt", "your account"),
        ("your acce$$ is gone", "your access is gone"),
        ("a fr33 g1ft", "a free gift"),
        ("ver ify it", "verify it"),
        ("verifyyouraccount", "verify your account"),
        ("v e r i f y y o u r a c c o u n t", "verify your account"),
        ("please verfiy it", "please verify it"),
        ("please veriffy it", "please verify it"),
        ("please vrify it", "please verify it"),
        ("please vwrify it", "please verify it"),
        ("your acc0umt", "your account"),
        ("claimnowhttp://evil.top/x", "claim now http://evil.top/x"),
        ("a freeeee gift", "a free gift"),
    ] {
        assert_eq!(respelled(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn ordinary_texts_stay() {
    for text in [
        "",
        "Are we still on for lunch tomorrow?",
        "Your OTP is 123456. Do not share it with anyone.",
        "it's 5pm, don't be late!",
        "http://login.example.com/a-b-c?x=1 and john.doe@mail.example.com",
        "on-line or off-line, and/or both",
        "Wir sehen uns morgen im Schwimmbad",
        "Привет, как дела?",
        "a 4 x 4 car, part no. 3b",
    ] {
        assert_eq!(respelled(text), None, "{text}");
    }
}

#[test]
fn time_is_linear_in_hostile_lengths() {
    let started = std::time::Instant::now();
    for text in [
        "! ".repeat(30_000),
        "a ".repeat(30_000),
        "x".repeat(60_000),
        "verifyyour".repeat(6_000),
        "v.".repeat(30_000),
        "3a".repeat(30_000),
        "http".repeat(15_000),
        "vrify ".repeat(10_000),
    ] {
        let _ = respelled(&text);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "[a-z0-9.@$!|:/ -]{0,60}|\\PC{0,60}") {
        let length = text.chars().count();
        let Some(normalised) = normalise(&text, 2_000) else { return Ok(()) };
        if let Some(respelled) = respell(&normalised.canonical) {
            for at in 0..respelled.text().len() {
                prop_assert!((respelled.origin(at).unwrap() as usize) < length);
            }
        }
    }
}
