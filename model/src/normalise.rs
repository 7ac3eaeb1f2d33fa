//! One spelling for what looks the same.
//!
//! Scammers write one message in a thousand spellings: full-width letters, zero-width characters
//! between letters, Cyrillic look-alikes, stacked accents. All of them are brought to one spelling
//! before any feature is computed, so that none of them is a way past the model:
//!
//! 1. control and format characters and other invisible ones are dropped (Unicode Cc, Cf);
//! 2. compatibility forms are unified (NFKD) and non-spacing and enclosing marks (Mn, Me) dropped;
//! 3. letters are lower-cased, white space becomes one space;
//! 4. look-alikes are replaced by the ASCII they imitate (UTS 39 skeleton), but only in words that
//!    mix scripts or that map to ASCII as a whole: genuine Cyrillic or Greek stays what it is.
//!
//! Beside it stands the text *as written*: lower-cased and with the accents of real languages
//! taken off, and otherwise untouched. Where both say different things, somebody hides something.

use unicode_normalization::char::{compose, decompose_compatible};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

use crate::canonical::Canonical;
use crate::look_alikes::{imitated, unboxed};

/// A text in its canonical spelling: lower case, words parted by single spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Normalised {
    pub(crate) canonical: Canonical,
    /// The text as written, where it differs from the canonical one by more than case, white
    /// space, and the accents of real languages.
    pub(crate) written: Option<Canonical>,
    /// How many characters were dropped that no reader sees.
    pub(crate) invisible: usize,
    /// How many characters were replaced by the one they look like.
    pub(crate) look_alikes: usize,
}

/// Brings `text` to its canonical spelling.
///
/// Returns `None` where that spelling has more than `limit` characters (compatibility
/// decomposition makes up to 18 characters out of one). Time and memory are linear in the input.
pub(crate) fn normalise(text: &str, limit: usize) -> Option<Normalised> {
    let mut invisible = 0;
    let mut look_alikes = 0;
    let plain = plain(text, limit, &mut invisible, &mut look_alikes)?;

    let canonical = if plain.text().is_ascii() {
        plain
    } else {
        let mut canonical = Canonical::with_capacity(plain.text().len());
        let mut start = 0;
        for word in plain.text().split(' ') {
            let end = start + word.len();
            if start > 0 {
                canonical.push_from(&plain, start - 1..start);
            }
            look_alikes += push_unmasked(&plain, word, start, &mut canonical);
            start = end + 1;
        }
        // A letter may imitate two.
        if canonical.characters() > limit {
            return None;
        }
        canonical
    };
    let differs = invisible > 0 || look_alikes > 0;
    let written = differs.then(|| written(text, limit)).filter(|written| *written != canonical);
    Some(Normalised { canonical, written, invisible, look_alikes })
}

/// Steps 1 to 3 of the module's list.
fn plain(
    text: &str,
    limit: usize,
    invisible: &mut usize,
    look_alikes: &mut usize,
) -> Option<Canonical> {
    let mut plain = Canonical::with_capacity(text.len());
    let mut previous = ' ';
    for (index, character) in text.chars().enumerate() {
        let origin = u32::try_from(index).unwrap_or(u32::MAX);
        if character.is_ascii_graphic() {
            plain.push(character.to_ascii_lowercase(), origin);
        } else if character.is_whitespace() {
            plain.part(origin);
        } else if is_invisible(character) {
            *invisible += usize::from(!is_invisible_by_right(character, previous));
        } else if is_mark(character) {
            *look_alikes += usize::from(!is_mark_by_right(character, previous));
        } else {
            let unboxed = unboxed(character);
            *look_alikes += usize::from(unboxed != character);
            push_decomposed(unboxed, origin, &mut plain, look_alikes);
        }
        if plain.characters() > limit {
            return None;
        }
        previous = character;
    }
    if plain.text().ends_with(' ') {
        plain.pop();
    }
    Some(plain)
}

/// Appends what a character that is neither ASCII nor white space stands for.
fn push_decomposed(character: char, origin: u32, out: &mut Canonical, look_alikes: &mut usize) {
    // Hangul syllables would be taken apart only to be put together again.
    if matches!(character, '\u{ac00}'..='\u{d7a3}') || character.is_ascii() {
        return push_composed(character, origin, out);
    }
    let mut first = true;
    decompose_compatible(character, |part| {
        if std::mem::take(&mut first) && part.is_ascii_alphanumeric() && !is_accented(character) {
            *look_alikes += 1;
        }
        if part.is_whitespace() {
            return out.part(origin);
        }
        if is_mark(part) || is_invisible(part) {
            return;
        }
        for lower in part.to_lowercase() {
            // Some letters get a mark when lower-cased; final sigma depends on its place.
            if !is_mark(lower) {
                push_composed(if lower == 'ς' { 'σ' } else { lower }, origin, out);
            }
        }
    });
}

/// Appends a character, as one with the last one where Unicode has one character for both (the
/// letters of a Hangul syllable).
fn push_composed(character: char, origin: u32, out: &mut Canonical) {
    if character.is_ascii() {
        return out.push(character, origin);
    }
    match out.pop() {
        Some((last, before)) => match compose(last, character) {
            Some(both) => out.push(both, before),
            None => {
                out.push(last, before);
                out.push(character, origin);
            }
        },
        None => out.push(character, origin),
    }
}

/// The text as written; never longer than `limit` characters, since it only serves to compare.
fn written(text: &str, limit: usize) -> Canonical {
    let mut written = Canonical::with_capacity(text.len());
    let mut previous = ' ';
    for (index, character) in text.chars().enumerate().take(limit) {
        let origin = u32::try_from(index).unwrap_or(u32::MAX);
        if character.is_ascii_graphic() {
            written.push(character.to_ascii_lowercase(), origin);
        } else if character.is_whitespace() {
            written.part(origin);
        } else if (is_invisible(character) && is_invisible_by_right(character, previous))
            || (is_mark(character) && is_mark_by_right(character, previous))
        {
        } else if is_accented(character) {
            decompose_compatible(character, |part| {
                // Some forms of Arabic marks are a space with a mark on it.
                if part.is_whitespace() {
                    written.part(origin);
                } else if !is_mark(part) {
                    part.to_lowercase().for_each(|lower| written.push(lower, origin));
                }
            });
        } else {
            character.to_lowercase().for_each(|lower| written.push(lower, origin));
        }
        previous = character;
    }
    if written.text().ends_with(' ') {
        written.pop();
    }
    written
}

/// Whether no reader sees the character.
fn is_invisible(character: char) -> bool {
    if character.is_ascii_graphic() {
        return false;
    }
    // Blank, but letters, marks or symbols by their category; and what selects a glyph.
    if matches!(
        character,
        '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            | '\u{2800}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{e0100}'..='\u{e01ef}'
    ) {
        return true;
    }
    matches!(character.general_category(), GeneralCategory::Control | GeneralCategory::Format)
}

/// What keyboards put in by themselves: joiners and selectors behind an emoji or a letter of a
/// script that needs them, marks of direction, control characters of the line.
fn is_invisible_by_right(character: char, previous: char) -> bool {
    match character {
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}' => {
            !previous.is_ascii_alphanumeric() && previous.script() != Script::Latin
        }
        '\u{200e}' | '\u{200f}' | '\u{feff}' => !previous.is_alphanumeric(),
        _ => false,
    }
}

fn is_mark(character: char) -> bool {
    !character.is_ascii()
        && matches!(
            character.general_category(),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
        )
}

/// Whether a real language has this mark on this letter: one that Unicode has a character for, or
/// any on a letter of a script that is not Latin.
fn is_mark_by_right(mark: char, previous: char) -> bool {
    compose(previous, mark).is_some()
        || !matches!(previous.script(), Script::Latin | Script::Common | Script::Inherited)
}

/// Whether the character is a letter with the accents of a real language, as "é" or "ǘ".
fn is_accented(character: char) -> bool {
    matches!(character, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
        || !matches!(character.script(), Script::Latin | Script::Common | Script::Inherited)
}

/// Step 4: appends `word`, which begins at byte `start` of `plain`, with its look-alikes replaced
/// where the word is a masquerade. Returns how many letters of other scripts were replaced.
fn push_unmasked(plain: &Canonical, word: &str, start: usize, out: &mut Canonical) -> usize {
    if word.is_ascii() {
        out.push_from(plain, start..start + word.len());
        return 0;
    }

    let mixed = mixes_scripts(word);
    let wholly = !mixed && masks_ascii_wholly(word);
    let mut count = 0;
    for (at, character) in word.char_indices() {
        let origin = plain.origin(start + at).unwrap_or_default();
        let replaced = if character.is_ascii() {
            None
        } else if character.script() == Script::Latin || wholly {
            imitated(character)
        } else if mixed && character.is_alphanumeric() {
            imitated(character).or_else(|| character.to_uppercase().next().and_then(imitated))
        } else {
            None
        };
        match replaced {
            Some(ascii) => {
                count += usize::from(!matches!(character, '\u{c0}'..='\u{24f}'));
                ascii.chars().for_each(|letter| out.push(letter, origin));
            }
            None => out.push(character, origin),
        }
    }
    count
}

/// Whether a word has Latin letters and letters of another script.
fn mixes_scripts(word: &str) -> bool {
    let mut latin = false;
    let mut other = false;
    for character in word.chars().filter(|character| character.is_alphabetic()) {
        match character.script() {
            Script::Latin => latin = true,
            Script::Common | Script::Inherited | Script::Unknown => {}
            _ => other = true,
        }
    }
    latin && other
}

/// Whether every letter of a word without Latin ones looks like an ASCII letter, as in "сор".
fn masks_ascii_wholly(word: &str) -> bool {
    let mut letters = word.chars().filter(|character| character.is_alphanumeric()).peekable();
    letters.peek().is_some()
        && letters.all(|letter| letter.is_ascii_digit() || imitated(letter).is_some())
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
