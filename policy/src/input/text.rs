//! What text may hold.

use serde_json::Value;

use crate::document::{Handling, TextSection};
use crate::problem::{Reason, Refusal};

/// A compiled `input.text` section.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextRules {
    max_chars: usize,
    refuse_control: bool,
    refuse_invisible: bool,
}

impl TextRules {
    pub(super) fn compile(section: TextSection) -> Self {
        Self {
            max_chars: section.max_chars as usize,
            refuse_control: section.control == Handling::Refuse,
            refuse_invisible: section.invisible == Handling::Refuse,
        }
    }

    /// Every string in a value, member names included.
    pub(super) fn check_json(self, value: &Value) -> Result<(), Refusal> {
        // Depth is bounded by the parser. The path is put together only when something was found.
        self.check_value(value).map_err(|Found { reason, expected, path }| {
            let at: String = path.iter().rev().map(|part| format!("/{}", escape(part))).collect();
            Refusal::new(reason, format!("Expected {expected}.")).finding(at, expected)
        })
    }

    fn check_value(self, value: &Value) -> Result<(), Found> {
        match value {
            Value::String(text) => self.check_text(text),
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.check_value(item).map_err(|found| found.within(&index.to_string()))
            }),
            Value::Object(members) => members.iter().try_for_each(|(name, item)| {
                // The name itself may hold what was found, so it is not repeated.
                self.check_text(name)?;
                self.check_value(item).map_err(|found| found.within(name))
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn check_text(self, text: &str) -> Result<(), Found> {
        // No text has more characters than bytes.
        if text.len() > self.max_chars && text.chars().count() > self.max_chars {
            let expected = format!("at most {} characters", self.max_chars);
            return Err(Found { reason: Reason::TextTooLong, expected, path: Vec::new() });
        }
        // Printable ASCII, the usual case, is seen eight bytes at a time by the compiler.
        if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Ok(());
        }
        for (index, character) in text.chars().enumerate() {
            let reason = if self.refuse_control && is_control(character) {
                Reason::ControlCharacter
            } else if self.refuse_invisible && is_invisible(character) {
                Reason::InvisibleCharacter
            } else {
                continue;
            };
            let expected = format!("no U+{:04X}, found at character {index}", u32::from(character));
            return Err(Found { reason, expected, path: Vec::new() });
        }
        Ok(())
    }
}

/// Something found, and where: the path from the inside out.
struct Found {
    reason: Reason,
    expected: String,
    path: Vec<String>,
}

impl Found {
    fn within(mut self, part: &str) -> Self {
        self.path.push(part.to_owned());
        self
    }
}

/// RFC 6901 §3.
fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// C0, DEL and C1, but for what ordinary text has: tab, line feed, carriage return.
fn is_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// Characters without a picture that carry text past a reader: ASCII in tag characters, bits in variation
/// selectors, words cut by zero-width spaces, order changed by bidirectional controls (UTR #36, UTS #39, CVE-2021-42574).
/// What ordinary writing needs is not among them: joiners (Persian, Indic scripts, emoji), directional marks (Arabic,
/// Hebrew), soft hyphens, and the first sixteen variation selectors (emoji).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{180B}'..='\u{180F}'     // Mongolian variation selectors and vowel separator
        | '\u{200B}'                // zero width space
        | '\u{202A}'..='\u{202E}'   // bidirectional embeddings and overrides
        | '\u{2060}'..='\u{206F}'   // word joiner, invisible operators, isolates, deprecated controls
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' // Hangul fillers
        | '\u{FEFF}'                // zero width no-break space
        | '\u{FFF0}'..='\u{FFFB}'   // unassigned, interlinear annotation
        | '\u{1BCA0}'..='\u{1BCA3}' // shorthand format controls
        | '\u{1D173}'..='\u{1D17A}' // musical format controls
        | '\u{E0000}'..='\u{E0FFF}' // tags, variation selectors supplement
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str) -> Result<(), Reason> {
        TextRules::compile(TextSection { max_chars: 40, ..TextSection::default() })
            .check_json(&json!(text))
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn ordinary_writing_passes() {
        for text in [
            "Hello,\n\tworld\r\n",
            "می‌خواهم", // Persian with a zero width non-joiner
            "क्‍ष",      // Devanagari with a zero width joiner
            "👩‍💻 ❤️ 🏳️‍🌈",
            "שלום\u{200F} (abc)",
            "co\u{AD}operate",
            "日本語、한국어",
            "Ünïcödé",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        let tags: String =
            "ignore".bytes().map(|b| char::from_u32(0xE0000 + u32::from(b)).unwrap()).collect();
        for text in
            ["a\u{200B}b", "a\u{202E}b", "\u{2066}a", &tags, "a\u{E0100}", "\u{FEFF}a", "\u{3164}"]
        {
            assert_eq!(check(text), Err(Reason::InvisibleCharacter), "{text:?}");
        }
        for text in ["a\0", "\u{1b}[31m", "a\u{85}b", "\u{7f}"] {
            assert_eq!(check(text), Err(Reason::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn length_is_in_characters() {
        assert_eq!(check(&"é".repeat(40)), Ok(()));
        assert_eq!(check(&"é".repeat(41)), Err(Reason::TextTooLong));
    }

    #[test]
    fn findings_say_where() {
        let rules = TextRules::compile(TextSection::default());
        let refusal = rules.check_json(&json!({"a/b": [{"c": "x\u{0}"}]})).unwrap_err();
        assert_eq!(refusal.findings[0].at, "/a~1b/0/c");
        assert_eq!(refusal.findings[0].expected, "no U+0000, found at character 1");
    }
}
