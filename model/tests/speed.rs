//! How long an assessment takes: `cargo test --release -p portcullis-model --test speed -- --ignored
//! --nocapture`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_model::{Detector, extract};

/// 160 characters.
const PLAIN: &str = "Dear customer, your parcel could not be delivered because of an unpaid fee. Please \
                     settle it within 24 hours at http://parcel-fees.top/pay or it goes back now.";

/// The median of many runs, after some to warm up.
fn median(mut run: impl FnMut()) -> Duration {
    (0..50).for_each(|_| run());
    let mut times: Vec<Duration> = (0..501)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "says something in release mode alone"]
fn an_assessment_is_quick() {
    let detector = Detector::embedded().unwrap();
    let hidden: String = PLAIN.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
    let dotted = PLAIN.replace("parcel", "p.a.r.c.e.l").replace("unpaid", "unpa1d");
    let both: String = dotted.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
    let long = PLAIN.repeat(10);
    for (name, text) in [
        ("plain", PLAIN),
        ("invisible characters", hidden.as_str()),
        ("obfuscated spelling", dotted.as_str()),
        ("both", both.as_str()),
        ("1,600 characters", long.as_str()),
    ] {
        let features = median(|| {
            black_box(extract(black_box(text)).unwrap());
        });
        let all = median(|| {
            black_box(detector.assess(black_box(text)).unwrap());
        });
        println!("{name}: {all:?}, of which features {features:?}");
    }
    let plain = median(|| {
        black_box(detector.assess(black_box(PLAIN)).unwrap());
    });
    assert!(plain < Duration::from_micros(150), "{plain:?}");
}
