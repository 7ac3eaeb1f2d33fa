//! Words by what they do in a prompt, over languages.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::fold::Folding;
use super::hash::{CHAIN, FNV_OFFSET, chain, fnv, fnv_step};
use super::words::words;

const LEXICON: &str = include_str!("lexicon.txt");
/// How many words a phrase may have; in scripts without spaces, how many characters.
const LONGEST_PHRASE: usize = 2;
const LONGEST_DENSE_PHRASE: usize = 5;
/// How long stems are, in characters.
pub(super) const STEMS: [usize; 2] = [7, 5];
/// What is told apart at most: classes are bits of a u64.
const MOST_CLASSES: usize = 63;
/// These are also known in ROT13 and backwards: words of an attack, long enough not to be there by chance.
const DISGUISED: [&str; 6] = ["override", "prior", "instr", "reveal", "secret", "system"];
const DISGUISED_LETTERS: usize = 6;

/// What a word does, a number from 1; 0 is none of them.
pub(super) type Class = u8;

/// How a text may be written otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disguise {
    Rot13,
    Backwards,
}

#[derive(Debug)]
pub(super) struct Lexicon {
    names: Vec<&'static str>,
    phrases: Map<Class>,
    stems: Map<Class>,
    disguised: Map<Disguise>,
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

impl Lexicon {
    pub(super) fn new(folding: &Folding) -> Self {
        let mut lexicon = Self {
            names: Vec::new(),
            phrases: Map::default(),
            stems: Map::default(),
            disguised: Map::default(),
        };
        let lines = LEXICON.lines().filter(|line| !line.starts_with('#'));
        for (name, entries) in lines.filter_map(|line| line.split_once(':')).take(MOST_CLASSES) {
            lexicon.names.push(name);
            let class = Class::try_from(lexicon.names.len()).unwrap_or(0);
            for entry in entries.split_whitespace() {
                lexicon.add(folding, name, class, entry);
            }
        }
        lexicon
    }

    fn add(&mut self, folding: &Folding, name: &str, class: Class, entry: &str) {
        if let Some(stem) = entry.strip_suffix('*') {
            let mut hash = FNV_OFFSET;
            for character in stem.chars() {
                folding.fold(character, |folded| hash = step(hash, folded));
            }
            self.stems.entry(hash).or_insert(class);
            return;
        }
        let parts = words(folding, &entry.replace('_', " "));
        let phrase = parts.iter().fold(0, |row, word| chain(row, fnv(&word.text)));
        self.phrases.entry(phrase).or_insert(class);
        if let [only] = parts.as_slice()
            && DISGUISED.contains(&name)
            && only.text.is_ascii()
            && only.text.len() >= DISGUISED_LETTERS
        {
            self.disguised.insert(fnv(&rot13(&only.text)), Disguise::Rot13);
            let backwards: String = only.text.chars().rev().collect();
            self.disguised.insert(fnv(&backwards), Disguise::Backwards);
        }
    }

    /// The number of a class, 0 if there is none of the name.
    pub(super) fn class(&self, name: &str) -> Class {
        let place = self.names.iter().position(|known| *known == name);
        place.and_then(|place| Class::try_from(place.saturating_add(1)).ok()).unwrap_or(0)
    }

    /// Whether it knows a word of this hash.
    pub(super) fn holds(&self, hash: u64) -> bool {
        self.phrases.contains_key(&hash)
    }

    pub(super) fn disguise(&self, hash: u64) -> Option<Disguise> {
        self.disguised.get(&hash).copied()
    }

    /// The class of the longest phrase that ends with the last of these words, or of its stem.
    pub(super) fn find(&self, hashes: &[u64], is_dense: bool, stems: [u64; 2]) -> Class {
        let longest = if is_dense { LONGEST_DENSE_PHRASE } else { LONGEST_PHRASE };
        let (mut row, mut factor, mut class) = (0_u64, 1_u64, 0);
        for hash in hashes.iter().rev().take(longest) {
            row = row.wrapping_add(hash.wrapping_mul(factor));
            factor = factor.wrapping_mul(CHAIN);
            class = self.phrases.get(&row).copied().unwrap_or(class);
        }
        if class != 0 {
            return class;
        }
        let of_stem = |stem: u64| if stem == 0 { None } else { self.stems.get(&stem).copied() };
        stems.into_iter().find_map(of_stem).unwrap_or(0)
    }
}

/// The hash with one character more.
pub(super) fn step(hash: u64, character: char) -> u64 {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => fnv_step(hash, byte),
        _ => character.encode_utf8(&mut [0; 4]).bytes().fold(hash, fnv_step),
    }
}

pub(super) fn rot13(text: &str) -> String {
    let turn = |character: char| match character {
        'a'..='m' | 'A'..='M' => char::from_u32(u32::from(character).saturating_add(13)),
        'n'..='z' | 'N'..='Z' => char::from_u32(u32::from(character).saturating_sub(13)),
        _ => None,
    };
    text.chars().map(|character| turn(character).unwrap_or(character)).collect()
}

/// What is looked up is a hash already. It is not secret: the lexicon alone fills the tables.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().copied().fold(self.0, fnv_step);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value ^ (value >> 32);
    }
}
