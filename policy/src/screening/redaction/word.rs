//! What looks like the beginning of something that is looked for, at the end of a text that may go on.

/// A number in more groups than this is none.
const MAXIMUM_WORDS: usize = 32;

/// Fewer digits than this tell nothing.
const FEWEST_DIGITS: usize = 3;

/// Words of letters, numbers, and words of both that go on for longer become nothing that is looked for.
const MOST_LETTERS: usize = 32;
const MOST_DIGITS: usize = 48;
const MOST_OF_A_WORD: usize = 128;

/// What may stand around a word, and ends it.
const AROUND_WORDS: [char; 16] =
    ['.', ',', '!', '?', ';', ':', '(', ')', '[', ']', '{', '}', '"', '\'', '*', '…'];

/// Up to where nothing of what is held looks like the beginning of something: a word with more in it than letters, numbers and what is
/// between them; and, where it counts, any word that may go on. What is found of a value whose first letters are gone is masked
/// all the same. The window is what is held, and what went before it.
pub(super) fn begins(held: &str, window: &str, counts_all: bool) -> usize {
    let mut end = held.len();
    if is_endless(window) {
        return end;
    }
    let mut cut = end;
    let words = held.split_inclusive(ends_word).rev().take(MAXIMUM_WORDS);
    let mut words = words.map(|word| {
        end -= word.len();
        (end, word)
    });
    let mut digits = 0;
    let mut between = 0;
    if let Some((start, word)) = words.next() {
        let said = word.trim_matches(AROUND_WORDS);
        let is_plain = said.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’'));
        let has_ended = word.ends_with(ends_word);
        let may_go_on = !has_ended && !word.ends_with(AROUND_WORDS);
        digits = count_digits(word);
        if digits >= FEWEST_DIGITS || !has_ended && !is_plain || counts_all && may_go_on {
            cut = start;
        }
        between = usize::from(digits == 0);
    }
    // A number in groups, with a word of letters in it, as an IBAN may have.
    for (start, word) in words {
        let more = count_digits(word);
        digits += more;
        between = if more == 0 { between + 1 } else { 0 };
        if between > 1 {
            break;
        }
        if digits >= FEWEST_DIGITS && more > 0 {
            cut = start;
        }
    }
    cut
}

/// Whether the word at the end is longer than any that is looked for and not found yet: names of things, one after another.
fn is_endless(text: &str) -> bool {
    let word = text.rfind(ends_word).and_then(|place| text.get(place..)).unwrap_or(text);
    // A token of ours, or the head of a JWT, which is none before its last part.
    if word.contains('<') || word.contains("eyJ") {
        return false;
    }
    let digits = count_digits(word);
    let is_plain = |c: char| c.is_alphabetic() || "'_-./:".contains(c);
    let length = word.chars().filter(|c| !ends_word(*c)).count();
    let most = match word.chars().filter(|c| !ends_word(*c)).all(is_plain) {
        true => MOST_LETTERS,
        false if digits == length => MOST_DIGITS,
        false => MOST_OF_A_WORD,
    };
    length > most
}

/// Whether a word cannot go on behind this. Scripts other than ours mostly have no spaces.
pub(super) fn ends_word(character: char) -> bool {
    let is_wide = matches!(character, '\u{ff01}'..='\u{ff5e}');
    character.is_whitespace() || !character.is_ascii() && !character.is_numeric() && !is_wide
}

fn count_digits(word: &str) -> usize {
    word.chars().filter(|c| c.is_numeric()).count()
}
