//! What ASCII letter another character imitates.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::confusable_detection::skeleton;

/// The letter in a boxed, circled, bracketed or flag letter, or the capital that a small capital
/// is. Most of these have no compatibility decomposition, or one with brackets in it.
pub(crate) fn unboxed(character: char) -> char {
    let code = u32::from(character);
    let offset = match code {
        0x249c..=0x24b5 => code - 0x249c,
        0x1f110..=0x1f129 => code - 0x1f110,
        0x1f150..=0x1f169 => code - 0x1f150,
        0x1f170..=0x1f189 => code - 0x1f170,
        0x1f1e6..=0x1f1ff => code - 0x1f1e6,
        0x0250..=0xa7ff => return small_capital(character),
        _ => return character,
    };
    char::from_u32(u32::from('a') + offset).unwrap_or(character)
}

fn small_capital(character: char) -> char {
    match character {
        'ᴀ' => 'a',
        'ʙ' => 'b',
        'ᴄ' => 'c',
        'ᴅ' => 'd',
        'ᴇ' => 'e',
        'ꜰ' => 'f',
        'ɢ' => 'g',
        'ʜ' => 'h',
        'ɪ' => 'i',
        'ᴊ' => 'j',
        'ᴋ' => 'k',
        'ʟ' => 'l',
        'ᴍ' => 'm',
        'ɴ' => 'n',
        'ᴏ' => 'o',
        'ᴘ' => 'p',
        'ʀ' => 'r',
        'ꜱ' => 's',
        'ᴛ' => 't',
        'ᴜ' => 'u',
        'ᴠ' => 'v',
        'ᴡ' => 'w',
        'ʏ' => 'y',
        'ᴢ' => 'z',
        other => other,
    }
}

/// The ASCII letters or digits that a character imitates (UTS 39 skeleton), in lower case.
pub(crate) fn imitated(character: char) -> Option<String> {
    match character {
        // Letters of real languages that have a usual spelling in ASCII.
        'ß' => return Some(String::from("ss")),
        'æ' => return Some(String::from("ae")),
        'œ' => return Some(String::from("oe")),
        'ø' => return Some(String::from("o")),
        'đ' | 'ð' => return Some(String::from("d")),
        'þ' => return Some(String::from("th")),
        'ł' => return Some(String::from("l")),
        _ => {}
    }
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
