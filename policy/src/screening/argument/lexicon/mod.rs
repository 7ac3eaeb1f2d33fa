//! The words attacks are made of, and what they are known for. Most of them are harmless alone: `or`, `cat`, `from`.

mod marks;
mod words;

pub(super) use marks::*;

use words::{ENCODINGS, EVENTS, WORDS};

/// Words of this length or less are known; all others are not looked up.
const LONGEST: usize = 26;
const SLOTS: usize = 4096;

/// The words, found by a hash of their own.
#[derive(Debug)]
pub(super) struct Lexicon {
    entries: Vec<(&'static [u8], Marks)>,
    /// One more than the place of the entry.
    slots: Vec<u16>,
    /// The beginnings of the names of events, after `on`, by their first letters.
    events: Vec<Vec<&'static [u8]>>,
}

impl Lexicon {
    pub(super) fn new() -> Self {
        let mut events = vec![Vec::new(); 256];
        for event in EVENTS.split_ascii_whitespace().map(str::as_bytes) {
            if let Some(bucket) =
                event.first().and_then(|first| events.get_mut(usize::from(*first)))
            {
                bucket.push(event);
            }
        }
        let mut lexicon = Self { entries: Vec::new(), slots: vec![0; SLOTS], events };
        for (marks, words) in WORDS {
            for word in words.split_ascii_whitespace() {
                lexicon.add(word.as_bytes(), marks);
            }
        }
        lexicon
    }

    fn add(&mut self, word: &'static [u8], marks: Marks) {
        let mut slot = hash(word);
        loop {
            let place = self.slots.get(slot).copied().unwrap_or(0);
            match usize::from(place).checked_sub(1).and_then(|place| self.entries.get_mut(place)) {
                Some((known, known_marks)) if *known == word => {
                    *known_marks |= marks;
                    return;
                }
                Some(_) => slot = (slot + 1) % SLOTS,
                None => break,
            }
        }
        self.entries.push((word, marks));
        if let Some(place) = self.slots.get_mut(slot) {
            *place = u16::try_from(self.entries.len()).unwrap_or(0);
        }
    }

    /// The word, in lower case, that a text begins with: its length, and what it is known for. Hashed as it is read.
    pub(super) fn read(&self, text: &[u8], is_word: impl Fn(u8) -> bool) -> (usize, Marks) {
        let (mut hash, mut length) = (BASIS, 0_usize);
        for byte in text {
            if !is_word(*byte) {
                break;
            }
            hash = hash_step(hash, byte);
            length = length.wrapping_add(1);
        }
        let word = text.get(..length).unwrap_or_default();
        (length, self.marks(word, slot(hash)))
    }

    fn marks(&self, word: &[u8], mut slot: usize) -> Marks {
        if word.len() > LONGEST {
            return self.marks_of_beginning(word);
        }
        loop {
            let place = usize::from(self.slots.get(slot).copied().unwrap_or(0));
            match place.checked_sub(1).and_then(|place| self.entries.get(place)) {
                Some((known, marks)) if *known == word => return *marks,
                Some(_) => slot = (slot + 1) % SLOTS,
                None => return self.marks_of_beginning(word),
            }
        }
    }

    fn marks_of_beginning(&self, word: &[u8]) -> Marks {
        match word {
            [b'o', b'n', event @ ..] => {
                let bucket = event.first().and_then(|first| self.events.get(usize::from(*first)));
                let is_event = |known: &&[u8]| event.starts_with(known);
                if bucket.is_some_and(|bucket| bucket.iter().any(is_event)) { EVENT } else { 0 }
            }
            [b'l' | b'r' | b'k' | b'c' | b'a', ..]
                if ENCODINGS.iter().any(|encoding| word.starts_with(encoding)) =>
            {
                ENCODED
            }
            _ => 0,
        }
    }
}

/// FNV-1a. That its collisions can be had for the asking does no harm: the table is fixed and mostly empty.
fn hash(word: &[u8]) -> usize {
    slot(word.iter().fold(BASIS, hash_step))
}

const BASIS: u32 = 0x811c_9dc5;

fn hash_step(hash: u32, byte: &u8) -> u32 {
    (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
}

fn slot(hash: u32) -> usize {
    usize::try_from((hash ^ (hash >> 15)) % 4096).unwrap_or(0)
}
