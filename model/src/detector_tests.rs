use tract_onnx::pb::ModelProto;

use super::*;
use crate::features::TextTooLong;

/// The forward pass by hand, from the numbers in the file: what tract computes must be this.
struct Oracle {
    table: Vec<i8>,
    scale: f32,
    bias: f32,
}

impl Oracle {
    fn new() -> Self {
        let mut onnx = tract_onnx::onnx()
            .proto_model_for_read(&mut std::io::Cursor::new(EMBEDDED_ONNX))
            .unwrap();
        let graph = ModelProto::default().graph.or(onnx.graph.take()).unwrap();
        let raw = |name: &str| {
            let tensor = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
            tensor.raw_data.clone()
        };
        let float = |name: &str| f32::from_le_bytes(raw(name)[..4].try_into().unwrap());
        let table = raw("table").iter().map(|&byte| byte.cast_signed()).collect();
        Self { table, scale: float("scale"), bias: float("bias") }
    }

    fn terms(&self, features: &Features) -> Vec<f64> {
        let pairs = features.ids.iter().zip(&features.values);
        pairs
            .map(|(&id, &value)| {
                f64::from(self.table[id as usize]) * f64::from(value) * f64::from(self.scale)
            })
            .collect()
    }

    fn log_odds(&self, features: &Features) -> f64 {
        self.terms(features).iter().sum::<f64>() + f64::from(self.bias)
    }
}

const TEXTS: [&str; 6] = [
    "",
    "Are we still on for lunch tomorrow?",
    "USPS: your parcel is held, pay the fee of $1.99 at http://usps-redelivery.top/x",
    "Your OTP is 123456. Do not share it with anyone.",
    "Прывітанне, як справы?",
    "URGENT! You have won a £2000 prize. Call 09061701461 to claim. Code KL341. 12 hours only.",
];

#[test]
fn tract_computes_what_the_file_says() {
    let detector = Detector::embedded().unwrap();
    let oracle = Oracle::new();
    let long = TEXTS.join(" ").repeat(20);
    let disguised = "v.e.r.i.f.y y\u{200b}our аccount".to_owned();
    for text in TEXTS.into_iter().chain([long.as_str(), disguised.as_str()]) {
        for (_, features) in &extract(text).unwrap().all {
            let answer = detector.answer(features).unwrap();
            let expected = oracle.log_odds(features);
            assert!((f64::from(answer.log_odds) - expected).abs() < 1e-3, "{text}");
            let terms = answer.terms.to_plain_array_view::<f32>().unwrap();
            for (actual, expected) in terms.iter().zip(oracle.terms(features)) {
                assert!((f64::from(*actual) - expected).abs() < 1e-4, "{text}");
            }
        }
    }
}

#[test]
fn labels_the_obvious() {
    let detector = Detector::embedded().unwrap();
    let labels = TEXTS.map(|text| detector.assess(text).unwrap().label);
    use Label::{Ham, Scam};
    assert_eq!(labels, [Ham, Ham, Scam, Ham, Ham, Scam]);
}

#[test]
fn a_scam_in_disguise_scores_the_same_and_is_called_adversarial() {
    let detector = Detector::embedded().unwrap();
    let scam =
        "Dear customer, verify your account now or it will be suspended: http://evil.top/login";
    let plain = detector.assess(scam).unwrap();
    assert_eq!((plain.label, plain.adversarial), (Label::Scam, None));
    let zero_width: String = scam.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
    let wide: String = scam
        .chars()
        .map(|letter| match letter {
            'a'..='z' => char::from_u32(u32::from(letter) + 0xfee0).unwrap(),
            other => other,
        })
        .collect();
    let dotted = scam.replace("verify", "v.e.r.i.f.y").replace("account", "a.c.c.o.u.n.t");
    for (disguised, kind) in [
        (zero_width, Some(Adversarial::InvisibleCharacters)),
        (wide, Some(Adversarial::LookAlikes)),
        (dotted, None),
    ] {
        let seen = detector.assess(&disguised).unwrap();
        assert_eq!(seen.label, Label::Scam, "{disguised}");
        assert!(seen.probability > plain.probability - 0.1, "{disguised}");
        if kind.is_some() {
            assert_eq!(seen.adversarial, kind, "{disguised}");
        }
    }
}

/// A thousand characters.
const PROSE: &str = include_str!("../tests/prose.txt");

#[test]
fn a_scam_in_the_middle_of_harmless_words_is_seen() {
    let detector = Detector::embedded().unwrap();
    let hidden = format!("{PROSE} {} {PROSE}", TEXTS[2]);
    // By a window where the whole no longer gives it away; which of the two it is, is the model's affair.
    assert_eq!(detector.assess(&hidden).unwrap().label, Label::Scam);
    assert_eq!(detector.assess(&PROSE.repeat(9)).unwrap().label, Label::Ham);
}

#[test]
fn what_weighed_is_named_by_its_place_in_the_given_text() {
    let detector = Detector::embedded().unwrap();
    let text = "  Hello Ünal 👋,  pay the fee at ｈttp://u\u{200b}sps-redelivery.top/x today ";
    let (assessment, spans) = detector.explain(text).unwrap();
    assert_eq!(assessment, detector.assess(text).unwrap());
    assert!(!spans.is_empty() && spans.len() <= crate::MAX_SPANS);
    let characters: Vec<char> = text.chars().collect();
    for span in &spans {
        assert!(span.start < span.end && span.end <= characters.len());
        assert!(!characters[span.start].is_whitespace());
        assert!(!characters[span.end - 1].is_whitespace());
    }
    assert!(spans.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
    let link = text.chars().position(|character| character == 'ｈ').unwrap();
    let heaviest = spans.iter().filter(|span| span.weight > 0.0).collect::<Vec<_>>();
    assert!(heaviest.iter().any(|span| span.start <= link && link < span.end), "{spans:?}");
}

#[test]
fn a_window_is_explained_in_the_whole_text() {
    let detector = Detector::embedded().unwrap();
    let hidden = format!("{PROSE} {} {PROSE}", TEXTS[2]);
    let (_, spans) = detector.explain(&hidden).unwrap();
    let from = PROSE.chars().count() + 1;
    let place = from..from + TEXTS[2].chars().count();
    assert!(spans.iter().any(|span| place.contains(&span.start) && span.weight > 1.0), "{spans:?}");
    assert!(place.contains(&spans[0].start), "{spans:?}");
}

#[test]
fn a_card_of_another_model_is_refused() {
    let mut other = EMBEDDED_ONNX.to_vec();
    other.push(0);
    let error = Detector::new(&other, EMBEDDED_CARD).err().unwrap();
    assert!(matches!(error, LoadError::OtherModel { .. }), "{error}");
}

#[test]
fn bad_files_are_errors() {
    assert!(matches!(Detector::new(EMBEDDED_ONNX, b"{").err(), Some(LoadError::Card(_))));

    let damaged = &EMBEDDED_ONNX[..EMBEDDED_ONNX.len() / 2];
    let mut card: Card = serde_json::from_slice(EMBEDDED_CARD).unwrap();
    card.sha256 = hexadecimal(&Sha256::digest(damaged));
    let error = Detector::new(damaged, &serde_json::to_vec(&card).unwrap()).err().unwrap();
    assert!(matches!(error, LoadError::Graph(_)), "{error}");

    let changed = |change: fn(&mut Card)| {
        let mut card: Card = serde_json::from_slice(EMBEDDED_CARD).unwrap();
        change(&mut card);
        Detector::new(EMBEDDED_ONNX, &serde_json::to_vec(&card).unwrap()).err()
    };
    assert!(matches!(changed(|card| card.threshold = 1.5), Some(LoadError::Threshold(_))));
    assert!(matches!(changed(|card| card.margins.window = -1.0), Some(LoadError::Margin { .. })));
    assert!(matches!(changed(|card| card.buckets = 7), Some(LoadError::OtherFeatures(7))));
}

#[test]
fn the_longest_text_is_assessed_in_bounded_time() {
    let detector = Detector::embedded().unwrap();
    let started = std::time::Instant::now();
    let text = "win a prize now! ".repeat(65_536 / 17);
    detector.assess(&text).unwrap();
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    assert!(matches!(detector.assess(&"x".repeat(70_000)), Err(AssessError::TooLong(TextTooLong))));
}
