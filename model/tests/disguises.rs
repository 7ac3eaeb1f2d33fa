//! A disguised scam is the scam that it was.

#![allow(clippy::unwrap_used, reason = "tests")]

use portcullis_model::{Adversarial, Assessment, Detector, Label};

const SCAMS: &str = include_str!("scams.txt");
const PROSE: &str = include_str!("prose.txt");

/// The share of the scams that are seen when written so, and the share of those seen that are
/// called adversarial.
fn seen(disguise: impl Fn(&str) -> String, kind: Adversarial) -> (f64, f64) {
    let detector = Detector::embedded().unwrap();
    let found: Vec<Assessment> = SCAMS
        .lines()
        .map(|text| detector.assess(&disguise(text)).unwrap())
        .filter(|assessment| assessment.label == Label::Scam)
        .collect();
    let called = found.iter().filter(|assessment| assessment.adversarial == Some(kind)).count();
    let recall = found.len() as f64 / SCAMS.lines().count() as f64;
    (recall, called as f64 / found.len().max(1) as f64)
}

fn plain() -> f64 {
    seen(str::to_owned, Adversarial::BuriedInText).0
}

fn words(text: &str, change: impl Fn(&str) -> String) -> String {
    let change = |word: &str| {
        let is_word = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word { change(word) } else { word.to_owned() }
    };
    text.split(' ').map(change).collect::<Vec<_>>().join(" ")
}

fn letters(text: &str, table: &[(char, char)]) -> String {
    let swap =
        |letter: char| table.iter().find(|(from, _)| *from == letter).map_or(letter, |(_, to)| *to);
    text.chars().map(swap).collect()
}

#[test]
fn what_normalising_undoes_costs_nothing() {
    let plain = plain();
    assert!(plain > 0.9, "{plain}");
    let hidden = |text: &str| text.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
    let (recall, called) = seen(hidden, Adversarial::InvisibleCharacters);
    assert!(recall >= plain && called > 0.5, "invisible characters: {recall} {called}");

    let wide = |text: &str| {
        let widened = text.chars().map(|letter| match letter {
            'A'..='Z' | 'a'..='z' => char::from_u32(u32::from(letter) + 0xfee0).unwrap(),
            other => other,
        });
        widened.collect()
    };
    let (recall, called) = seen(wide, Adversarial::LookAlikes);
    assert!(recall >= plain && called > 0.5, "full-width letters: {recall} {called}");

    let marked = |text: &str| text.chars().flat_map(|letter| [letter, '\u{336}']).collect();
    let (recall, _) = seen(marked, Adversarial::LookAlikes);
    assert!(recall >= plain, "struck through: {recall}");
    for case in [str::to_uppercase, str::to_lowercase] {
        assert!(seen(case, Adversarial::LookAlikes).0 >= plain);
    }
}

#[test]
fn obfuscated_spellings_are_read() {
    let plain = plain();
    let cyrillic = [('a', 'а'), ('e', 'е'), ('o', 'о'), ('c', 'с'), ('p', 'р'), ('i', 'і')];
    let digits = [('o', '0'), ('i', '1'), ('e', '3'), ('a', '4'), ('s', '5')];
    let between = |mark: &'static str| {
        move |word: &str| word.chars().map(String::from).collect::<Vec<_>>().join(mark)
    };
    let hyphenated = |word: &str| {
        let (head, tail) = word.split_at(word.len() / 2);
        format!("{head}-{tail}")
    };
    let twisted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        let middle = letters.len() / 2;
        letters.swap(middle - 1, middle);
        letters.into_iter().collect()
    };
    type Disguise<'a> = (&'a str, f64, Box<dyn Fn(&str) -> String + 'a>);
    let disguises: [Disguise<'_>; 7] = [
        ("look-alikes", 0.95, Box::new(|text| letters(text, &cyrillic))),
        ("spaced", 0.95, Box::new(|text| words(text, between(" ")))),
        ("leet", 0.9, Box::new(|text| words(text, |word| letters(word, &digits)))),
        ("dotted", 0.9, Box::new(|text| words(text, between(".")))),
        ("hyphenated", 0.9, Box::new(|text| words(text, hyphenated))),
        ("twisted", 0.85, Box::new(|text| words(text, twisted))),
        ("joined", 0.9, Box::new(|text| text.replacen(' ', "", 6))),
    ];
    for (name, least, disguise) in disguises {
        let (recall, called) = seen(disguise, Adversarial::ObfuscatedSpelling);
        println!("{name}: {recall:.2} seen, {called:.2} of them called obfuscated");
        assert!(recall >= least * plain, "{name}: {recall} of {plain}");
    }
}

#[test]
fn a_scam_in_long_prose_is_mostly_seen() {
    let (before, after) = PROSE.split_at(400);
    let buried = |text: &str| format!("{before} {text} {after}");
    let (recall, called) = seen(buried, Adversarial::BuriedInText);
    println!("in prose: {recall:.2} seen, {called:.2} of them called buried");
    assert!(recall >= 0.75 * plain(), "{recall}");
    let detector = Detector::embedded().unwrap();
    let harmless = detector.assess(PROSE).unwrap();
    assert_eq!((harmless.label, harmless.adversarial), (Label::Ham, None));
}
