//! Obfuscated spellings brought back to words.
//!
//! "v e r i f y", "v.e.r.i.f.y", "ver-ify", "v3r1fy", "verifyyouraccount" and "verfiy" are read as
//! a reader reads them. A spelling is only changed where it is no word itself and its reading is
//! one (see [`crate::lexicon`]), so that genuine texts mostly stay as they are. The result is a
//! view of its own beside the text: what it says does not replace what the text says.

use crate::canonical::Canonical;
use crate::lexicon::{LEXICON, LONGEST};
use crate::misspelt::misspelt;
use crate::reading::{Letters, segments};
use crate::tokens::is_link_or_address;

/// The text with its obfuscated words replaced, or `None` where there are none. Linear in its
/// length.
pub(crate) fn respell(text: &Canonical) -> Option<Canonical> {
    let mut speller = Speller { out: Canonical::with_capacity(text.text().len()), changed: false };
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut start = 0;
    for word in text.text().split(' ') {
        chunks.push(Chunk { start, end: start + word.len() });
        start += word.len() + 1;
    }
    let mut rest = chunks.as_slice();
    while let Some((&first, others)) = rest.split_first() {
        let taken = speller.run_of_letters(text, rest).or_else(|| speller.parts(text, rest));
        match taken {
            Some(count) => rest = rest.get(count.max(1)..).unwrap_or_default(),
            None => {
                speller.chunk(text, first);
                rest = others;
            }
        }
    }
    speller.changed.then_some(speller.out)
}

/// What stands between two spaces, in bytes.
#[derive(Clone, Copy)]
struct Chunk {
    start: usize,
    end: usize,
}

impl Chunk {
    fn text(self, whole: &Canonical) -> &str {
        whole.text().get(self.start..self.end).unwrap_or_default()
    }
}

struct Speller {
    out: Canonical,
    changed: bool,
}

/// How many chunks in a row may be parts of one word.
const PARTS: usize = 4;

impl Speller {
    /// "v e r i f y": single characters in a row. Returns how many chunks were read.
    fn run_of_letters(&mut self, text: &Canonical, rest: &[Chunk]) -> Option<usize> {
        let count = rest.iter().take_while(|chunk| chunk.text(text).len() == 1).count();
        if count < 3 {
            return None;
        }
        let run = rest.get(..count)?;
        let mut joined = Canonical::with_capacity(count);
        for chunk in run {
            joined.push_from(text, chunk.start..chunk.end);
        }
        let mut inner = Self { out: Canonical::with_capacity(count * 2), changed: false };
        let whole = Chunk { start: 0, end: joined.text().len() };
        if LEXICON.contains(joined.text().as_bytes()) {
            inner = Self { out: joined, changed: true };
        } else {
            inner.chunk(&joined, whole);
        }
        // The whole run is dealt with at once either way: to try again from each of its
        // characters would take quadratic time.
        if inner.changed {
            self.out.part(run.first().and_then(|chunk| text.origin(chunk.start))?);
            self.out.push_from(&inner.out, 0..inner.out.text().len());
            self.changed = true;
        } else {
            run.iter().for_each(|&chunk| self.chunk(text, chunk));
        }
        Some(count)
    }

    /// "ver ify": a word in two to four parts, not all of them words themselves.
    fn parts(&mut self, text: &Canonical, rest: &[Chunk]) -> Option<usize> {
        let mut joined = Letters::default();
        let mut all_known = true;
        let mut found = None;
        for (index, chunk) in rest.iter().take(PARTS).enumerate() {
            let part = chunk.text(text);
            let trailing = part.trim_end_matches(['.', ',', '!', '?', ':', ';']);
            if trailing.is_empty() || !trailing.bytes().all(|byte| byte.is_ascii_lowercase()) {
                break;
            }
            let is_known = LEXICON.contains(trailing.as_bytes());
            all_known &= is_known && (trailing.len() > 1 || matches!(trailing, "a" | "i"));
            joined.extend(text, chunk.start..chunk.start + trailing.len());
            if joined.len() > LONGEST {
                break;
            }
            if index > 0 && !all_known && joined.len() >= 5 && joined.is_word() {
                found = Some((index + 1, joined.clone(), chunk.start + trailing.len()..chunk.end));
            }
            if trailing.len() < part.len() || (index == 0 && all_known && trailing.len() > 3) {
                break;
            }
        }
        let (count, word, tail) = found?;
        self.out.part(word.origin());
        word.push_to(&mut self.out);
        self.out.push_from(text, tail);
        self.changed = true;
        Some(count)
    }

    /// One chunk: as it stands, or as what it is read as.
    fn chunk(&mut self, text: &Canonical, chunk: Chunk) {
        let word = chunk.text(text);
        self.out.part(text.origin(chunk.start).unwrap_or_default());
        let plain = word.trim_matches(|letter: char| matches!(letter, '.' | ',' | '!' | '?' | ':'));
        let is_plain = plain.bytes().all(|byte| byte.is_ascii_lowercase());
        if !word.is_ascii() || (is_plain && LEXICON.contains(plain.as_bytes())) {
            return self.out.push_from(text, chunk.start..chunk.end);
        }
        // "nowhttp://": what is joined to a link is no part of it.
        if let Some(at) = word.find("http").filter(|&at| at > 0)
            && word.get(at..).is_some_and(|link| link.contains("://"))
            && !word.contains("hxxp")
        {
            let middle = chunk.start + at;
            self.chunk(text, Chunk { start: chunk.start, end: middle });
            self.out.part(text.origin(middle).unwrap_or_default());
            self.out.push_from(text, middle..chunk.end);
            self.changed = true;
            return;
        }
        if is_link_or_address(word) {
            let stripped = Letters::stripped(text, chunk.start..chunk.end);
            let disguised = !word.contains(['/', '@', ':']) && stripped.len() >= 5;
            if disguised && !word.contains("www") && stripped.is_word() {
                stripped.push_to(&mut self.out);
                self.changed = true;
            } else {
                self.out.push_from(text, chunk.start..chunk.end);
            }
            return;
        }
        if !is_plain && self.disguised(text, chunk) {
            return;
        }
        self.runs(text, chunk);
    }

    /// A word with marks between its letters, or with digits and signs in their place.
    fn disguised(&mut self, text: &Canonical, chunk: Chunk) -> bool {
        let word = chunk.text(text);
        let inner = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if inner.is_empty() {
            return false;
        }
        let from = chunk.start + (inner.as_ptr() as usize - word.as_ptr() as usize);
        let to = from + inner.len();
        // "$ecure" and "acce$$": signs at the ends may be letters, or else they are just signs.
        let is_end = |letter: char| !letter.is_ascii_alphanumeric() && !"@$".contains(letter);
        let wide = word.trim_matches(is_end);
        let wide_from = chunk.start + (wide.as_ptr() as usize - word.as_ptr() as usize);
        for (from, to) in [(wide_from, wide_from + wide.len()), (from, to)] {
            let Some(letters) = Letters::read(text, from..to) else { continue };
            self.out.push_from(text, chunk.start..from);
            letters.push_to(&mut self.out);
            self.out.push_from(text, to..chunk.end);
            self.changed = true;
            return true;
        }
        false
    }

    /// The runs of letters in a chunk: words joined to one another, or misspelt.
    fn runs(&mut self, text: &Canonical, chunk: Chunk) {
        let mut at = chunk.start;
        let bytes = chunk.text(text).as_bytes();
        let mut was_cut = false;
        for run in bytes.chunk_by(|a, b| a.is_ascii_lowercase() == b.is_ascii_lowercase()) {
            let place = at..at + run.len();
            at = place.end;
            let is_letters = run.first().is_some_and(u8::is_ascii_lowercase);
            if was_cut && (is_letters || run.first().is_some_and(u8::is_ascii_digit)) {
                self.out.part(text.origin(place.start).unwrap_or_default());
            }
            if is_letters && !LEXICON.contains(run) {
                if let Some(words) = segments(run) {
                    for (from, to) in words {
                        self.out.part(text.origin(place.start + from).unwrap_or_default());
                        self.out.push_from(text, place.start + from..place.start + to);
                    }
                    (self.changed, was_cut) = (true, true);
                    continue;
                }
                let letters = Letters::of(text, place.clone());
                if let Some(word) = letters.squeezed().or_else(|| misspelt(&letters)) {
                    word.push_to(&mut self.out);
                    self.changed = true;
                    continue;
                }
            }
            self.out.push_from(text, place);
        }
    }
}

#[cfg(test)]
#[path = "respell_tests.rs"]
mod tests;
