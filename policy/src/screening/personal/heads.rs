//! Many words at once, found by their first three letters: in most places of most texts none of them begins, and to know it
//! takes a look at one bit. No automaton, which would be megabytes.

use std::ops::Range;

use super::bytes::{at, cut};

/// So many letters say whether a word may begin.
const HEAD: usize = 3;
/// Two to the power of this are the slots of the table; and the bits that say whether a slot has anything, of which there are more
/// than slots, so that fewer heads share one.
const BITS: u32 = 11;
const SLOTS: usize = 1 << BITS;
const FILTER_BITS: u32 = 16;
const FILTER_WORDS: usize = 1 << (FILTER_BITS - u64::BITS.ilog2());
const MIX: u32 = 0x9e37_79b1;
/// The first three of four bytes.
const THREE: u32 = 0x00ff_ffff;
/// The bits by which capitals differ from small letters.
const CASE: u64 = 0x2020_2020_2020_2020;

/// The words, and which of them may begin where.
#[derive(Debug)]
pub(super) struct Heads {
    words: Vec<&'static [u8]>,
    filter: Box<[u64; FILTER_WORDS]>,
    /// For each slot one more than its place in `lists`, 0 for none.
    slots: Box<[u16; SLOTS]>,
    /// Words by slot.
    lists: Vec<Vec<Entry>>,
}

/// A word of a slot.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its first four letters, or as many as it has, in either case; and which bits they are.
    letters: u32,
    mask: u32,
    /// Its place in `words`.
    place: u16,
}

impl Heads {
    /// Two letters are the least; such words are only found where a digit of hexadecimal follows.
    pub(super) fn new(words: Vec<&'static [u8]>) -> Self {
        let mut heads = Self {
            words: Vec::new(),
            filter: Box::new([0; FILTER_WORDS]),
            slots: Box::new([0; SLOTS]),
            lists: Vec::new(),
        };
        for (place, word) in words.iter().enumerate() {
            match **word {
                [first, second, third, fourth, ..] => {
                    heads.add([first, second, third, fourth], u32::MAX, place);
                }
                [first, second, third] => heads.add([first, second, third, 0], THREE, place),
                [first, second] => {
                    for third in *b"0123456789abcdef" {
                        heads.add([first, second, third, 0], THREE, place);
                    }
                }
                _ => {}
            }
        }
        heads.words = words;
        heads
    }

    fn add(&mut self, beginning: [u8; HEAD + 1], mask: u32, word: usize) {
        let letters = u32::from_le_bytes(beginning) | CASE as u32;
        let hash = hash(letters);
        let (place, bit) = filter_place(hash);
        if let Some(word) = self.filter.get_mut(place) {
            *word |= 1 << bit;
        }
        let Some(list) = self.slots.get_mut(slot(hash)) else { return };
        if *list == 0 {
            self.lists.push(Vec::new());
            *list = u16::try_from(self.lists.len()).unwrap_or(u16::MAX);
        }
        let list = self.lists.get_mut(usize::from(*list).saturating_sub(1));
        if let (Some(list), Ok(place)) = (list, u16::try_from(word)) {
            list.push(Entry { letters: letters & mask, mask, place });
        }
    }

    /// Each place where a word stands, in either case, and which one; in the order of the ends.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(Range<usize>, usize)> {
        let mut found = Vec::new();
        // The letters of four places are in eight bytes, and are read at once.
        let mut start = 0_usize;
        while let Some(bytes) = text.get(start..).and_then(<[u8]>::first_chunk::<8>) {
            let bytes = u64::from_le_bytes(*bytes) | CASE;
            let letters =
                [bytes as u32, (bytes >> 8) as u32, (bytes >> 16) as u32, (bytes >> 24) as u32];
            // Without a branch for each: nearly always nothing begins.
            let bits = letters.map(|letters| self.bit(hash(letters)));
            if bits.iter().fold(0, |any, bit| any | bit) & 1 != 0 {
                for (place, (letters, bit)) in letters.into_iter().zip(bits).enumerate() {
                    if bit & 1 != 0 {
                        self.look(text, start + place, letters, &mut found);
                    }
                }
            }
            start += letters.len();
        }
        for place in start..text.len() {
            let bytes = [0, 1, 2, 3].map(|more| at(text, place + more));
            let letters = u32::from_le_bytes(bytes) | CASE as u32;
            self.look(text, place, letters, &mut found);
        }
        found.sort_unstable_by_key(|(range, word)| (range.end, range.start, *word));
        found
    }

    /// The lowest bit is whether any word may begin with a head of this hash.
    fn bit(&self, hash: u32) -> u64 {
        let (place, bit) = filter_place(hash);
        self.filter.get(place).map_or(0, |word| word >> bit)
    }

    #[inline(never)]
    fn look(
        &self,
        text: &[u8],
        start: usize,
        letters: u32,
        found: &mut Vec<(Range<usize>, usize)>,
    ) {
        let list = self.slots.get(slot(hash(letters))).copied().unwrap_or(0);
        let list = usize::from(list).checked_sub(1).and_then(|list| self.lists.get(list));
        for entry in list.map(Vec::as_slice).unwrap_or_default() {
            if letters & entry.mask != entry.letters {
                continue;
            }
            let place = usize::from(entry.place);
            let Some(word) = self.words.get(place) else { continue };
            let end = start + word.len();
            if is_any_case(cut(text, start, end), word)
                && (word.len() >= HEAD || at(text, end).is_ascii_hexdigit())
            {
                found.push((start..end, place));
            }
        }
    }
}

fn is_any_case(text: &[u8], word: &[u8]) -> bool {
    text.len() == word.len()
        && text.iter().zip(word).all(|(byte, other)| byte.eq_ignore_ascii_case(other))
}

/// Of the first three of four letters.
fn hash(letters: u32) -> u32 {
    (letters & THREE).wrapping_mul(MIX)
}

fn slot(hash: u32) -> usize {
    (hash >> (u32::BITS - BITS)) as usize
}

/// The word of the filter, and the bit in it.
fn filter_place(hash: u32) -> (usize, u32) {
    let bit = hash >> (u32::BITS - FILTER_BITS);
    ((bit / u64::BITS) as usize, bit % u64::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_either_case_and_in_each_other() {
        let heads = Heads::new(vec![b"token=", b"access_token=", b"SK", b"eyJ", "密码".as_bytes()]);
        let text = "my ACCESS_token=1, sk9 or skip, EYJ, 密码";
        let found: Vec<_> =
            heads.find(text.as_bytes()).into_iter().map(|(range, _)| &text[range]).collect();
        assert_eq!(found, ["ACCESS_token=", "token=", "sk", "EYJ", "密码"]);
        assert!(heads.find(b"").is_empty() && heads.find(b"SK").is_empty());
    }

    /// Places are looked at four at a time, and the last ones one by one.
    #[test]
    fn words_are_found_at_each_place() {
        let heads = Heads::new(vec![b"token=", b"SK", b"eyJ"]);
        for (before, after) in (0..12).flat_map(|before| (0..12).map(move |after| (before, after)))
        {
            for (word, length) in [("Token=", 6), ("sk7", 2), ("EYJ", 3)] {
                let text = format!("{}{word}{}", ".".repeat(before), ".".repeat(after));
                let found = heads.find(text.as_bytes());
                let [(range, _)] = found.as_slice() else { panic!("{text}: {found:?}") };
                assert_eq!(*range, before..before + length, "{text}");
            }
        }
    }
}
