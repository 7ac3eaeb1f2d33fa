//! Someone who can only ask the model, and asks it often: greedy search for a wording that passes.
//!
//! The attacker sees the exact probability, which is more than a gate that rounds it shows. It
//! finds the words that weigh most by leaving each out, then disguises them one after the other,
//! keeping whatever lowers the probability most, until the label falls or its budget is spent. The
//! message must still say what it said: only every other word may be changed.

#![allow(clippy::unwrap_used, reason = "tests")]

use portcullis_model::{Card, Detector, Label};

const SCAMS: &str = include_str!("scams.txt");
const ONNX: &[u8] = include_bytes!("../scam-detector.onnx");
const CARD: &[u8] = include_bytes!("../model.json");

/// How often the attacker may ask for one message.
const BUDGET: usize = 150;

/// A detector that only looks at texts in their normalised spelling.
fn without_views() -> Detector {
    let mut card: Card = serde_json::from_slice(CARD).unwrap();
    card.margins.written = 1e9;
    card.margins.respelled = 1e9;
    card.margins.window = 1e9;
    Detector::new(ONNX, &serde_json::to_vec(&card).unwrap()).unwrap()
}

struct Attacker<'a> {
    detector: &'a Detector,
    changes: fn(&str) -> Vec<String>,
    queries: usize,
}

impl Attacker<'_> {
    fn ask(&mut self, words: &[String]) -> Option<(f32, Label)> {
        if self.queries == BUDGET {
            return None;
        }
        self.queries += 1;
        let assessment = self.detector.assess(&words.join(" ")).unwrap();
        Some((assessment.probability, assessment.label))
    }

    /// Whether a wording passes that the attacker finds.
    fn succeeds(&mut self, text: &str) -> Option<bool> {
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let (mut best, label) = self.ask(&words)?;
        if label == Label::Ham {
            return None;
        }
        let mut weights = Vec::new();
        for index in 0..words.len() {
            let mut without = words.clone();
            without.remove(index);
            let Some((probability, _)) = self.ask(&without) else { return Some(false) };
            weights.push((probability, index));
        }
        weights.sort_by(|a, b| a.0.total_cmp(&b.0));
        for &(_, index) in weights.iter().take(words.len().div_ceil(2)) {
            let mut choice = words[index].clone();
            for changed in (self.changes)(&words[index]) {
                let mut tried = words.clone();
                tried[index].clone_from(&changed);
                let Some((probability, label)) = self.ask(&tried) else { return Some(false) };
                if label == Label::Ham {
                    return Some(true);
                }
                if probability < best {
                    best = probability;
                    choice = changed;
                }
            }
            words[index] = choice;
        }
        Some(false)
    }
}

/// Disguises that a reader sees through, of the letters of one word.
fn characters(word: &str) -> Vec<String> {
    if word.contains("://") || word.chars().filter(|letter| letter.is_alphabetic()).count() < 3 {
        return Vec::new();
    }
    let letters: Vec<char> = word.chars().collect();
    let swapped = |table: &[(char, char)]| -> String {
        let swap = |letter: char| {
            let found = table.iter().find(|(from, _)| *from == letter.to_ascii_lowercase());
            found.map_or(letter, |(_, to)| *to)
        };
        letters.iter().copied().map(swap).collect()
    };
    let middle = letters.len() / 2;
    let with = |mark: &str| -> String {
        let (head, tail) = letters.split_at(middle);
        head.iter().collect::<String>() + mark + &tail.iter().collect::<String>()
    };
    let between = |mark: &str| letters.iter().map(char::to_string).collect::<Vec<_>>().join(mark);
    let mut transposed = letters.clone();
    transposed.swap(middle - 1, middle);
    let mut shortened = letters.clone();
    shortened.remove(middle);
    vec![
        swapped(&[('a', 'а'), ('e', 'е'), ('o', 'о'), ('c', 'с'), ('p', 'р'), ('i', 'і')]),
        swapped(&[('o', '0'), ('i', '1'), ('e', '3'), ('a', '4'), ('s', '5'), ('t', '7')]),
        swapped(&[('a', '@'), ('s', '$'), ('i', '!')]),
        with("\u{200b}"),
        with("-"),
        with("."),
        with(" "),
        between("."),
        between(" "),
        transposed.into_iter().collect(),
        shortened.into_iter().collect(),
    ]
}

/// Other words that say the same, and harmless ones beside.
fn wordings(word: &str) -> Vec<String> {
    const SAME: &[(&str, &[&str])] = &[
        ("pay", &["settle", "cover"]),
        ("verify", &["check", "review"]),
        ("account", &["profile", "page"]),
        ("suspended", &["paused", "stopped"]),
        ("claim", &["collect", "pick up"]),
        ("prize", &["present", "thing"]),
        ("won", &["got", "been given"]),
        ("urgent", &["important", "hello"]),
        ("now", &["soon", "today"]),
        ("immediately", &["soon", "this week"]),
        ("bank", &["branch", "building society"]),
        ("fee", &["amount", "rest"]),
        ("parcel", &["thing", "delivery"]),
        ("refund", &["money back", "difference"]),
        ("free", &["at no cost", "on us"]),
        ("call", &["ring", "phone"]),
        ("send", &["pass on", "hand"]),
        ("expires", &["ends", "is over"]),
        ("locked", &["closed", "shut"]),
        ("loan", &["advance", "help"]),
        ("cash", &["money", "notes"]),
    ];
    let plain = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    let same = SAME.iter().find(|(from, _)| *from == plain).map_or(&[][..], |(_, to)| to);
    let mut wordings: Vec<String> = same.iter().map(|&other| other.to_owned()).collect();
    for harmless in ["lunch", "thanks", "meeting", "love"] {
        wordings.push(format!("{word} {harmless}"));
    }
    wordings
}

/// The share of the scams for which a wording is found, of those that are seen as they are.
fn success(detector: &Detector, changes: fn(&str) -> Vec<String>) -> f64 {
    let outcomes: Vec<bool> = SCAMS
        .lines()
        .filter_map(|text| Attacker { detector, changes, queries: 0 }.succeeds(text))
        .collect();
    assert!(outcomes.len() >= 20, "only {} scams are seen as they are", outcomes.len());
    let found = outcomes.iter().filter(|&&found| found).count();
    found as f64 / outcomes.len() as f64
}

#[test]
fn disguised_letters_seldom_pass() {
    let before = success(&without_views(), characters);
    let after = success(&Detector::embedded().unwrap(), characters);
    println!(
        "disguised letters, {BUDGET} questions: {before:.2} pass without views, {after:.2} with"
    );
    assert!(after <= before, "views must not help the attacker");
    assert!(after <= 0.25, "{after:.2} of the attacks succeed");
}

#[test]
fn other_words_pass_sometimes() {
    let before = success(&without_views(), wordings);
    let after = success(&Detector::embedded().unwrap(), wordings);
    println!("other words, {BUDGET} questions: {before:.2} pass without views, {after:.2} with");
    assert!(after <= before, "views must not help the attacker");
    assert!(after <= 0.5, "{after:.2} of the attacks succeed");
}
