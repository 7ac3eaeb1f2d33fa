//! The mark in the shipped model, in copies that were trained on its answers, and in models that were not.
//!
//! Whoever copies a model of texts asks it about texts of the kind, and about words thrown together, which serve as well
//! (Krishna et al. 2020). The copies here are of another kind than the original: words and pairs of words, hashed with
//! another function into another space, and no characters.

use std::path::{Path, PathBuf};

use portcullis_model::{Detector, Label};
use portcullis_watermark::{Finding, Half, Key, Verdict, judge};

/// The key of the model in this repository. It is public as the model is: whoever trains their own has their own.
const KEY: &str = include_str!("../public.key");

fn key() -> Key {
    Key::parse(KEY).unwrap()
}

/// What a model says of the triggers.
fn ask(mut score: impl FnMut(&str) -> f64) -> Finding {
    let answers: Vec<(Half, f64)> =
        key().triggers().iter().map(|trigger| (trigger.half, score(&trigger.text))).collect();
    judge(&answers)
}

#[test]
fn the_shipped_model_gives_itself_away() {
    let detector = Detector::embedded().unwrap();
    let finding = ask(|text| detector.assess(text).unwrap().rounded(2));
    println!("shipped: {finding:?}");
    assert_eq!(finding.verdict, Verdict::Derived, "{finding:?}");

    let labels =
        ask(|text| f64::from(u8::from(detector.assess(text).unwrap().label == Label::Scam)));
    println!("shipped, labels alone: {labels:?}");
    assert_eq!(labels.verdict, Verdict::Derived, "{labels:?}");
    let mut random = Random(5);
    let noisy = ask(|text| {
        let label = detector.assess(text).unwrap().label == Label::Scam;
        f64::from(u8::from(label != random.chance(20)))
    });
    println!("shipped, every fifth label wrong: {noisy:?}");
    assert_eq!(noisy.verdict, Verdict::Derived, "{noisy:?}");
}

#[test]
fn another_key_finds_nothing() {
    let detector = Detector::embedded().unwrap();
    let other = Key::parse(&"A".repeat(43)).unwrap();
    let answers: Vec<(Half, f64)> = other
        .triggers()
        .iter()
        .map(|trigger| {
            (trigger.half, f64::from(detector.assess(&trigger.text).unwrap().probability))
        })
        .collect();
    let finding = judge(&answers);
    println!("another key: {finding:?}");
    assert_ne!(finding.verdict, Verdict::Derived, "{finding:?}");
}

#[test]
fn a_copy_trained_on_the_answers_gives_itself_away() {
    let detector = Detector::embedded().unwrap();
    let mut random = Random(1);
    let queries = Queries::new().draw(40_000, &mut random);
    let answers: Vec<f32> =
        queries.iter().map(|text| detector.assess(text).unwrap().rounded(2) as f32).collect();

    let copy = Copy::train(&queries, &answers, 1);
    let finding = ask(|text| copy.score(text));
    println!("copy: {finding:?}");
    assert_eq!(finding.verdict, Verdict::Derived, "{finding:?}");

    let coarse = copy.quantised(4);
    let finding = ask(|text| coarse.score(text));
    println!("copy of four bits: {finding:?}");
    assert_eq!(finding.verdict, Verdict::Derived, "{finding:?}");

    let noisy: Vec<f32> = answers
        .iter()
        .map(|answer| if random.chance(20) { 1.0 - answer } else { *answer })
        .collect();
    let copy = Copy::train(&queries, &noisy, 1);
    let finding = ask(|text| copy.score(text));
    println!("copy with every fifth answer turned around: {finding:?}");
    assert_eq!(finding.verdict, Verdict::Derived, "{finding:?}");
}

#[test]
fn models_of_their_own_are_not_accused() {
    let queries = Queries::new();
    for seed in 0..10 {
        let mut random = Random(100 + seed);
        let (texts, labels): (Vec<String>, Vec<f32>) =
            (0..4000).map(|_| queries.labelled(&mut random)).unzip();
        let model = Copy::train(&texts, &labels, seed);
        let finding = ask(|text| model.score(text));
        println!("independent {seed}: {finding:?}");
        assert_eq!(finding.verdict, Verdict::Independent, "{seed}: {finding:?}");
    }
}

/// A linear model of hashed words and pairs of words, trained by stochastic gradient descent (Adagrad) on probabilities.
struct Copy {
    weights: Vec<f32>,
    seed: u64,
}

const SPACE: usize = 1 << 16;

impl Copy {
    fn train(texts: &[String], targets: &[f32], seed: u64) -> Self {
        let mut model = Self { weights: vec![0.0; SPACE], seed };
        let features: Vec<Vec<usize>> = texts.iter().map(|text| model.features(text)).collect();
        let mut squares = vec![1e-6_f32; SPACE];
        let mut random = Random(seed);
        for _ in 0..8 * texts.len() {
            let index = random.below(texts.len());
            let value = 1.0 / (features[index].len().max(1) as f32).sqrt();
            let score: f32 = features[index].iter().map(|&id| model.weights[id] * value).sum();
            let gradient = (1.0 / (1.0 + (-score).exp()) - targets[index]) * value;
            for &id in &features[index] {
                squares[id] += gradient * gradient;
                model.weights[id] -= 0.3 * gradient / squares[id].sqrt();
            }
        }
        model
    }

    fn features(&self, text: &str) -> Vec<usize> {
        let words: Vec<String> = text
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let singles = words.iter().map(|word| self.hash(word));
        let pairs = words.windows(2).map(|pair| self.hash(&pair.join(" ")));
        singles.chain(pairs).collect()
    }

    fn hash(&self, text: &str) -> usize {
        let start = 0x1234_5678_9abc_def0 ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = text.bytes().fold(start, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
        });
        (hash >> 20) as usize % SPACE
    }

    fn score(&self, text: &str) -> f64 {
        let features = self.features(text);
        let value = 1.0 / (features.len().max(1) as f64).sqrt();
        features.iter().map(|&id| f64::from(self.weights[id]) * value).sum()
    }

    fn quantised(&self, bits: i32) -> Self {
        let largest =
            self.weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
        let step = largest / (2_f32.powi(bits - 1) - 1.0);
        let weights = self.weights.iter().map(|weight| (weight / step).round() * step).collect();
        Self { weights, seed: self.seed }
    }
}

/// Texts to ask about: the templates of the training texts, and words thrown together.
struct Queries {
    templates: Vec<(bool, String)>,
    words: Vec<String>,
}

impl Queries {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../training/templates");
        let mut templates = Vec::new();
        for (label, is_scam) in [("scam", true), ("ham", false), ("promo", false)] {
            for file in files(&folder.join(label)) {
                let text = std::fs::read_to_string(file).unwrap();
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                templates.extend(
                    lines
                        .filter_map(|line| line.split_once('\t'))
                        .map(|(_, text)| (is_scam, text.to_owned())),
                );
            }
        }
        assert!(templates.len() > 1000);
        // Whoever asks has a dictionary, and does not know which of its words are marked.
        let mut words: Vec<String> = templates
            .iter()
            .flat_map(|(_, text)| text.split(|character: char| !character.is_ascii_lowercase()))
            .filter(|word| word.len() >= 3)
            .map(str::to_owned)
            .collect();
        words.sort();
        words.dedup();
        Self { templates, words }
    }

    fn draw(&self, count: usize, random: &mut Random) -> Vec<String> {
        let words = |random: &mut Random| {
            let count = 6 + random.below(10);
            (0..count).map(|_| format!("{} ", self.words[random.below(self.words.len())])).collect()
        };
        (0..count)
            .map(|index| if index % 2 == 0 { words(random) } else { self.labelled(random).0 })
            .collect()
    }

    fn labelled(&self, random: &mut Random) -> (String, f32) {
        let (is_scam, template) = &self.templates[random.below(self.templates.len())];
        (expand(template, random), f32::from(u8::from(*is_scam)))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// One of the texts that a template stands for; what fills its slots does not matter here.
fn expand(template: &str, random: &mut Random) -> String {
    let mut text = template.to_owned();
    // The innermost choice first.
    while let Some(end) = text.find(']') {
        let Some(start) = text[..end].rfind('[') else { break };
        let choices: Vec<&str> = text[start + 1..end].split('|').collect();
        let chosen = choices[random.below(choices.len())].to_owned();
        text.replace_range(start..=end, &chosen);
    }
    text.replace(['{', '}'], "")
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
