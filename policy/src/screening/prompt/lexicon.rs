//! Words by what they do in a prompt, over languages.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::fold::Folding;
use super::hash::{CHAIN, FNV_OFFSET, MIX, chain, fnv, fnv_step, step};
use super::words::{Word, Words};

const LEXICON: &str = include_str!("lexicon.txt");
/// How many words a phrase may have; in scripts without spaces, how many characters.
const LONGEST_PHRASE: usize = 2;
const LONGEST_DENSE_PHRASE: usize = 5;
/// So many letters tell whether a known word may begin.
pub(super) const BEGINNING: usize = 3;
/// Two to the power of this: ten times the number of entries and more.
const FILTER_BITS: u32 = 14;
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
    phrases: Table<Class>,
    /// The words that phrases end with.
    ends: Filter,
    stems: Table<Class>,
    disguised: Table<Disguise>,
    /// The first letters of known words.
    beginnings: Table<()>,
}

impl Lexicon {
    pub(super) fn new(folding: &Folding) -> Self {
        let mut lexicon = Self {
            names: Vec::new(),
            phrases: Table::default(),
            ends: Filter::default(),
            stems: Table::default(),
            disguised: Table::default(),
            beginnings: Table::default(),
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
            self.stems.insert(hash, class);
            return;
        }
        let entry = entry.replace('_', " ");
        let words = Words::read(folding, &entry);
        let phrase = words.list.iter().fold(0, |row, word| chain(row, word.letters.whole));
        self.phrases.insert(phrase, class);
        if let Some(last) = words.list.last() {
            self.ends.insert(last.letters.whole);
        }
        let [only] = words.list.as_slice() else { return };
        let only: &str = &words.text(only);
        if let Some(beginning) = only.get(..BEGINNING) {
            self.beginnings.insert(fnv(beginning), ());
        }
        if DISGUISED.contains(&name) && only.is_ascii() && only.len() >= DISGUISED_LETTERS {
            self.disguised.insert(fnv(&rot13(only)), Disguise::Rot13);
            let backwards: String = only.chars().rev().collect();
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
        self.phrases.get(hash).is_some()
    }

    /// Whether a word that it knows may begin with [`BEGINNING`] letters of this hash.
    pub(super) fn may_begin(&self, hash: u64) -> bool {
        self.beginnings.get(hash).is_some()
    }

    pub(super) fn disguise(&self, hash: u64) -> Option<Disguise> {
        self.disguised.get(hash)
    }

    /// The class of the longest phrase that ends with the word at `last`, or of its stem.
    pub(super) fn find(&self, words: &[Word], last: usize) -> Class {
        let until = words.get(..=last).unwrap_or_default();
        let Some(Word { letters, .. }) = until.last() else { return 0 };
        if self.ends.may_hold(letters.whole) {
            let class = self.phrase(until, letters.is_dense());
            if class != 0 {
                return class;
            }
        }
        let [longer, shorter] = letters.stems;
        // Most words are too short for either.
        if shorter == 0 {
            return 0;
        }
        let longer = if longer == 0 { None } else { self.stems.get(longer) };
        longer.or_else(|| self.stems.get(shorter)).unwrap_or(0)
    }

    /// The class of the longest phrase that these words end with, or 0.
    fn phrase(&self, words: &[Word], is_dense: bool) -> Class {
        let longest = if is_dense { LONGEST_DENSE_PHRASE } else { LONGEST_PHRASE };
        let (mut row, mut factor, mut class) = (0_u64, 1_u64, 0);
        for word in words.iter().rev().take(longest) {
            row = row.wrapping_add(word.letters.whole.wrapping_mul(factor));
            factor = factor.wrapping_mul(CHAIN);
            class = self.phrases.get(row).unwrap_or(class);
        }
        class
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

/// Values by hash. Nearly always what is asked for is not there, and a look at one bit tells.
#[derive(Debug)]
struct Table<V> {
    filter: Filter,
    values: HashMap<u64, V, BuildHasherDefault<Hashed>>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { filter: Filter::default(), values: HashMap::default() }
    }
}

impl<V: Copy> Table<V> {
    /// The first value of a hash stays.
    fn insert(&mut self, hash: u64, value: V) {
        self.filter.insert(hash);
        self.values.entry(hash).or_insert(value);
    }

    fn get(&self, hash: u64) -> Option<V> {
        if self.filter.may_hold(hash) { self.find(hash) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn find(&self, hash: u64) -> Option<V> {
        self.values.get(&hash).copied()
    }
}

/// A bit for each hash, which some share.
#[derive(Debug)]
struct Filter(Box<[u64; FILTER_WORDS]>);

const FILTER_WORDS: usize = 1 << (FILTER_BITS - 6);

impl Default for Filter {
    fn default() -> Self {
        Self(Box::new([0; FILTER_WORDS]))
    }
}

impl Filter {
    fn insert(&mut self, hash: u64) {
        let (word, bit) = Self::place(hash);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn place(hash: u64) -> (usize, u64) {
        let place = hash.wrapping_mul(MIX) >> (u64::BITS - FILTER_BITS);
        ((place >> 6) as usize, 1 << (place & 63))
    }
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
