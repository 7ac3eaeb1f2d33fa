//! One spelling for what looks the same.
//!
//! Scammers write one message in a thousand spellings: full-width letters, zero-width characters
//! between letters, Cyrillic look-alikes, stacked accents. All of them are brought to one spelling
//! before any feature is computed, so that none of them is a way past the model:
//!
//! 1. control and format characters and other invisible ones are dropped (Unicode Cc, Cf);
//! 2. compatibility forms are unified (NFKD) and non-spacing marks (Mn) dropped;
//! 3. letters are lower-cased, white space becomes one space;
//! 4. look-alikes are replaced by the ASCII they imitate (UTS 39 skeleton), but only in words that
//!    mix scripts or that map to ASCII as a whole: genuine Cyrillic or Greek stays what it is.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};
use unicode_security::confusable_detection::skeleton;

/// Brings `text` to its canonical spelling: lower case, words parted by single spaces.
///
/// Returns `None` where that spelling has more than `limit` characters (compatibility
/// decomposition makes up to 18 characters out of one). Time and memory are linear in the input.
pub(crate) fn normalise(text: &str, limit: usize) -> Option<String> {
    let plain = plain(text, limit)?;
    let mut canonical = String::with_capacity(plain.len());
    for word in plain.split_ascii_whitespace() {
        if !canonical.is_empty() {
            canonical.push(' ');
        }
        push_unmasked(word, &mut canonical);
    }
    Some(canonical)
}

/// Steps 1 to 3 of the module's list.
fn plain(text: &str, limit: usize) -> Option<String> {
    let decomposed = text.chars().filter_map(visible).map(unboxed).nfkd();
    let lower = decomposed
        .filter(|&character| character.general_category() != GeneralCategory::NonspacingMark)
        .filter_map(visible)
        .flat_map(char::to_lowercase)
        // Some letters only get their mark when lower-cased, final sigma depends on its place.
        .filter(|&character| character.general_category() != GeneralCategory::NonspacingMark)
        .map(|character| if character == 'ς' { 'σ' } else { character });

    let mut plain = String::with_capacity(text.len());
    for (count, character) in lower.nfc().enumerate() {
        if count >= limit {
            return None;
        }
        plain.push(character);
    }
    Some(plain)
}

/// The character if a reader sees it, a space for any white space, nothing for the rest.
fn visible(character: char) -> Option<char> {
    if character.is_ascii_graphic() {
        return Some(character);
    }
    if character.is_whitespace() {
        return Some(' ');
    }
    // Blank, but letters, marks or symbols by their category.
    if matches!(
        character,
        '\u{034f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{2800}'
    ) {
        return None;
    }
    match character.general_category() {
        GeneralCategory::Control | GeneralCategory::Format => None,
        _ => Some(character),
    }
}

/// The letter in a negative circled or squared letter; these have no compatibility decomposition.
fn unboxed(character: char) -> char {
    let code = u32::from(character);
    let offset = match code {
        0x1f150..=0x1f169 => code - 0x1f150,
        0x1f170..=0x1f189 => code - 0x1f170,
        _ => return character,
    };
    char::from_u32(u32::from('a') + offset).unwrap_or(character)
}

/// Step 4: appends `word` with its look-alikes replaced where the word is a masquerade.
fn push_unmasked(word: &str, out: &mut String) {
    if word.is_ascii() {
        out.push_str(word);
        return;
    }

    let mixed = mixes_scripts(word);
    let wholly = !mixed && masks_ascii_wholly(word);
    for character in word.chars() {
        let script = character.script();
        let replaced = if character.is_ascii() {
            None
        } else if script == Script::Latin || wholly {
            imitated(character)
        } else if mixed && character.is_alphanumeric() {
            imitated(character).or_else(|| character.to_uppercase().next().and_then(imitated))
        } else {
            None
        };
        match replaced {
            Some(ascii) => out.push_str(&ascii),
            None => out.push(character),
        }
    }
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

/// The ASCII letters or digits that a character imitates (UTS 39 skeleton), in lower case.
fn imitated(character: char) -> Option<String> {
    let mut buffer = [0; 4];
    let mut ascii = String::new();
    for part in skeleton(character.encode_utf8(&mut buffer)) {
        if part.general_category() == GeneralCategory::NonspacingMark {
            continue;
        }
        if !part.is_ascii_alphanumeric() {
            return None;
        }
        ascii.push(part.to_ascii_lowercase());
    }
    (!ascii.is_empty()).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        normalise(text, 10_000).unwrap()
    }

    #[test]
    fn disguises_come_out_as_what_they_imitate() {
        for disguised in [
            "Verify your PayPal account",
            "Ｖｅｒｉｆｙ ｙｏｕｒ ＰａｙＰａｌ ａｃｃｏｕｎｔ",
            "V\u{200b}erify yo\u{ad}ur Pay\u{2060}Pal acc\u{feff}ount",
            "V\u{301}e\u{308}r\u{336}ify your PayPal account",
            "Vеrify yоur PаyPаl aссоunt",
            "𝐕𝐞𝐫𝐢𝐟𝐲 𝓎𝑜𝓊𝓇 𝙿𝚊𝚢𝙿𝚊𝚕 ⓐⓒⓒⓞⓤⓝⓣ",
            "Verify\u{3000}your\tPayPal\r\n account\u{0}",
            "🅥🅔🅡🅘🅕🅨 your 🅿🅰🆈🅿🅰🅻 account",
        ] {
            assert_eq!(canonical(disguised), "verify your paypal account", "{disguised}");
        }
    }

    #[test]
    fn genuine_other_scripts_stay() {
        assert_eq!(canonical("Привет, как дела?"), "привет, как дела?");
        assert_eq!(canonical("Καλημέρα φίλε"), "καλημερα φιλε");
        assert_eq!(canonical("漢字とカナ"), "漢字とカナ");
    }

    #[test]
    fn a_decomposition_bomb_is_refused_at_the_limit() {
        // U+FDFA becomes 18 characters.
        assert_eq!(normalise(&"\u{fdfa}".repeat(100), 1_000), None);
        assert!(normalise(&"\u{fdfa}".repeat(50), 1_000).is_some());
    }
}
