//! Many words at once, found by their first three letters: in most places of most texts none of them begins, and to know it
//! takes a look into one small table. No automaton, which would be megabytes.

use std::ops::Range;

use super::bytes::{at, cut};

/// So many letters say whether a word may begin.
const HEAD: usize = 3;
/// Two to the power of this are the slots of the table.
const BITS: u32 = 13;
const SLOTS: usize = 1 << BITS;
const MIX: u32 = 0x9e37_79b1;
/// The bits by which capitals differ from small letters.
const CASE: u32 = 0x2020_2020;

/// The words, and which of them may begin where.
#[derive(Debug)]
pub(super) struct Heads {
    words: Vec<&'static [u8]>,
    /// For each slot one more than its place in `lists`, 0 for none.
    slots: Box<[u16; SLOTS]>,
    /// Words by slot: their places in `words`.
    lists: Vec<Vec<u16>>,
}

impl Heads {
    /// Two letters are the least; such words are only found where a digit of hexadecimal follows.
    pub(super) fn new(words: Vec<&'static [u8]>) -> Self {
        let mut heads = Self { words: Vec::new(), slots: Box::new([0; SLOTS]), lists: Vec::new() };
        for (place, word) in words.iter().enumerate() {
            match **word {
                [first, second, third, ..] => heads.add([first, second, third], place),
                [first, second] => {
                    for third in *b"0123456789abcdef" {
                        heads.add([first, second, third], place);
                    }
                }
                _ => {}
            }
        }
        heads.words = words;
        heads
    }

    fn add(&mut self, [first, second, third]: [u8; HEAD], word: usize) {
        let slot = slot(u32::from_le_bytes([first, second, third, 0]));
        let Some(list) = self.slots.get_mut(slot) else { return };
        if *list == 0 {
            self.lists.push(Vec::new());
            *list = u16::try_from(self.lists.len()).unwrap_or(u16::MAX);
        }
        let list = self.lists.get_mut(usize::from(*list).saturating_sub(1));
        if let (Some(list), Ok(word)) = (list, u16::try_from(word)) {
            list.push(word);
        }
    }

    /// Each place where a word stands, in either case, and which one; in the order of the ends.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(Range<usize>, usize)> {
        let mut found = Vec::new();
        // Four bytes are read at once, of which three count.
        for (start, bytes) in text.array_windows::<{ HEAD + 1 }>().enumerate() {
            let list = self.list(u32::from_le_bytes(*bytes));
            if list != 0 {
                self.look(text, start, list, &mut found);
            }
        }
        if let Some([first, second, third]) = text.last_chunk::<HEAD>() {
            let list = self.list(u32::from_le_bytes([*first, *second, *third, 0]));
            self.look(text, text.len() - HEAD, list, &mut found);
        }
        found.sort_unstable_by_key(|(range, word)| (range.end, range.start, *word));
        found
    }

    /// Which list the first three of four bytes are the head of.
    fn list(&self, bytes: u32) -> u16 {
        self.slots.get(slot(bytes)).copied().unwrap_or(0)
    }

    #[inline(never)]
    fn look(&self, text: &[u8], start: usize, list: u16, found: &mut Vec<(Range<usize>, usize)>) {
        let list = self.lists.get(usize::from(list).saturating_sub(1));
        for place in list.map(Vec::as_slice).unwrap_or_default() {
            let place = usize::from(*place);
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

/// Where the first three of four bytes are in the table, in either case.
fn slot(bytes: u32) -> usize {
    let head = (bytes | CASE) & 0x00ff_ffff;
    (head.wrapping_mul(MIX) >> (u32::BITS - BITS)) as usize
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
}
