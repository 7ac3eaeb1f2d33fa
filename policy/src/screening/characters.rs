//! What characters a text may have, and how many.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _};
use unicode_normalization::{is_nfc_quick, is_nfkc_quick};

use crate::byte_set;
use crate::document::{Handling, Normalisation, TextSection};
use crate::problem::Reason;

/// A compiled `input.text` section.
#[derive(Debug, Clone, Copy)]
pub(super) struct CharacterRules {
    max_chars: usize,
    control: Handling,
    invisible: Handling,
    normalise: Normalisation,
    /// Nothing may be taken out or written otherwise.
    is_name: bool,
}

/// A text as it may go on, where it is not the one that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// Without some characters.
    Stripped(String),
    /// In another form of Unicode, perhaps without some characters too.
    Normalised(String),
}

impl Rewritten {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Stripped(text) | Self::Normalised(text) => text,
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Stripped(text) | Self::Normalised(text) => text,
        }
    }
}

impl CharacterRules {
    pub(super) fn compile(section: TextSection) -> Self {
        Self {
            max_chars: section.max_chars as usize,
            control: section.control,
            invisible: section.invisible,
            normalise: section.normalise,
            is_name: false,
        }
    }

    /// The rules for names: there is nothing to take out of them that could not make two into one.
    pub(super) fn for_names(self) -> Self {
        let refused = |handling| match handling {
            Handling::Strip => Handling::Refuse,
            other => other,
        };
        let (control, invisible) = (refused(self.control), refused(self.invisible));
        Self { control, invisible, is_name: true, ..self }
    }

    /// The rules for what stands in the head of a request, where nothing is taken out either. Of how long and of what form texts
    /// are, others say there.
    pub(super) fn for_heads(self) -> Self {
        Self { normalise: Normalisation::None, ..self.for_names().of_any_length() }
    }

    /// The rules for texts of whose length others say something.
    pub(super) fn of_any_length(self) -> Self {
        Self { max_chars: usize::MAX, ..self }
    }

    /// Whether no control character may stay where nothing can be taken out.
    pub(super) fn refuses_control(self) -> bool {
        self.control != Handling::Allow
    }

    /// The text as it may go on: another one where characters were taken out, or written otherwise.
    pub(super) fn check(self, text: &str) -> Result<Option<Rewritten>, Unfit> {
        self.check_length(text)?;
        // Printable ASCII, the usual case.
        if byte_set::all(text.as_bytes(), |byte| (0x20..0x7f).contains(&byte)) {
            return Ok(None);
        }
        let mut strips = false;
        for (index, character) in text.chars().enumerate() {
            let (handling, reason) = self.handling(character);
            match handling {
                Handling::Allow => {}
                Handling::Strip => strips = true,
                Handling::Refuse => {
                    let number = u32::from(character);
                    let expected = format!("no U+{number:04X}, found at character {index}");
                    return Err(Unfit { reason, expected, character: index });
                }
            }
        }
        let stays = |character: &char| self.handling(*character).0 != Handling::Strip;
        let stripped: Option<String> = strips.then(|| text.chars().filter(stays).collect());
        match self.normalised(stripped.as_deref().unwrap_or(text)) {
            None => Ok(stripped.map(Rewritten::Stripped)),
            Some(_) if self.is_name => Err(self.unfit_name()),
            Some(normalised) => {
                // Some characters become eighteen, and none may become one that was to be taken out.
                self.check_length(&normalised)?;
                if let Some((character, number)) = self.unwanted(&normalised) {
                    let expected = format!("no character that is U+{number:04X} in another form");
                    return Err(Unfit { reason: Reason::InvisibleCharacter, expected, character });
                }
                Ok(Some(Rewritten::Normalised(normalised)))
            }
        }
    }

    fn check_length(self, text: &str) -> Result<(), Unfit> {
        // No text has more characters than bytes.
        if text.len() > self.max_chars && text.chars().count() > self.max_chars {
            let expected = format!("at most {} characters", self.max_chars);
            return Err(Unfit { reason: Reason::TextTooLong, expected, character: self.max_chars });
        }
        Ok(())
    }

    /// The text in the form that is asked for, if it is not in it.
    fn normalised(self, text: &str) -> Option<String> {
        let is_sure = |quick: IsNormalized| quick == IsNormalized::Yes;
        let normalised: String = match self.normalise {
            Normalisation::None => return None,
            Normalisation::Nfc if is_sure(is_nfc_quick(text.chars())) => return None,
            Normalisation::Nfkc if is_sure(is_nfkc_quick(text.chars())) => return None,
            Normalisation::Nfc => text.nfc().collect(),
            Normalisation::Nfkc => text.nfkc().collect(),
        };
        (normalised != text).then_some(normalised)
    }

    /// The first character that may not stay.
    fn unwanted(self, text: &str) -> Option<(usize, u32)> {
        let mut characters = text.chars().enumerate();
        let found = characters.find(|(_, c)| self.handling(*c).0 != Handling::Allow);
        found.map(|(place, character)| (place, u32::from(character)))
    }

    fn unfit_name(self) -> Unfit {
        let form = if self.normalise == Normalisation::Nfkc { "NFKC" } else { "NFC" };
        let expected = format!("a name in the form {form} of Unicode");
        Unfit { reason: Reason::TextInvalid, expected, character: 0 }
    }

    fn handling(self, character: char) -> (Handling, Reason) {
        if is_control(character) {
            (self.control, Reason::ControlCharacter)
        } else if is_invisible(character) {
            (self.invisible, Reason::InvisibleCharacter)
        } else {
            (Handling::Allow, Reason::TextInvalid)
        }
    }
}

/// Why a text cannot be let through, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Why.
    pub reason: Reason,
    /// What was expected.
    pub expected: String,
    /// The first character that is not as expected, counted from 0.
    pub character: usize,
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
    use super::*;

    fn rules(control: Handling, invisible: Handling) -> CharacterRules {
        let normalise = Normalisation::None;
        CharacterRules::compile(TextSection { max_chars: 40, control, invisible, normalise })
    }

    fn check(text: &str) -> Result<Option<Rewritten>, Reason> {
        rules(Handling::Refuse, Handling::Refuse).check(text).map_err(|unfit| unfit.reason)
    }

    fn normalised(normalise: Normalisation, text: &str) -> Result<Option<Rewritten>, Reason> {
        let rules = CharacterRules { normalise, ..rules(Handling::Refuse, Handling::Strip) };
        rules.check(text).map_err(|unfit| unfit.reason)
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
            assert_eq!(check(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused_or_taken_out() {
        let tags: String =
            "ignore".bytes().map(|b| char::from_u32(0xE0000 + u32::from(b)).unwrap()).collect();
        let strip = rules(Handling::Strip, Handling::Strip);
        for text in [
            "a\u{200B}b",
            "a\u{202E}b",
            "\u{2066}ab",
            &format!("a{tags}b"),
            "ab\u{E0100}",
            "\u{FEFF}ab",
        ] {
            assert_eq!(check(text), Err(Reason::InvisibleCharacter), "{text:?}");
            assert_eq!(
                strip.check(text),
                Ok(Some(Rewritten::Stripped("ab".to_owned()))),
                "{text:?}"
            );
        }
        for text in ["a\0b", "\u{1b}ab", "a\u{85}b", "\u{7f}ab"] {
            assert_eq!(check(text), Err(Reason::ControlCharacter), "{text:?}");
            assert_eq!(
                strip.check(text),
                Ok(Some(Rewritten::Stripped("ab".to_owned()))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn one_that_is_taken_out_does_not_hide_one_that_is_refused() {
        let rules = rules(Handling::Refuse, Handling::Strip);
        let unfit = rules.check("a\u{200B}\0").unwrap_err();
        assert_eq!(unfit.expected, "no U+0000, found at character 2");
    }

    #[test]
    fn the_form_is_the_one_that_is_asked_for() {
        let to = |text: &str| Ok(Some(Rewritten::Normalised(text.to_owned())));
        use Normalisation::{Nfc, Nfkc, None as AsItCame};
        for (form, text, expected) in [
            (AsItCame, "e\u{301} ｉｄ ﬁ", Ok(None)),
            (Nfc, "e\u{301} ｉｄ ﬁ", to("é ｉｄ ﬁ")),
            (Nfkc, "e\u{301} ｉｄ ﬁ", to("é id fi")),
            (Nfc, "é, 한국어, plain", Ok(None)),
            (Nfkc, "é, 한국어, plain", Ok(None)),
            // Marks in another order, and one that is the same after all.
            (Nfc, "a\u{323}\u{307}", to("ạ\u{307}")),
            (Nfc, "q\u{323}\u{307}", Ok(None)),
            // What is taken out does not keep two apart.
            (Nfc, "e\u{200b}\u{301}", to("é")),
            // Eighteen characters each.
            (Nfkc, "\u{fdfa}\u{fdfa}\u{fdfa}", Err(Reason::TextTooLong)),
        ] {
            assert_eq!(normalised(form, text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_in_the_form_or_refused() {
        let rules = rules(Handling::Refuse, Handling::Strip);
        let names = CharacterRules { normalise: Normalisation::Nfkc, ..rules }.for_names();
        assert_eq!(names.check("naïve").map_err(|unfit| unfit.reason), Ok(None));
        let unfit = names.check("ｉｄ").unwrap_err();
        assert_eq!((unfit.reason, unfit.character), (Reason::TextInvalid, 0));
        assert_eq!(unfit.expected, "a name in the form NFKC of Unicode");
    }

    #[test]
    fn length_is_in_characters() {
        assert_eq!(check(&"é".repeat(40)), Ok(None));
        assert_eq!(check(&"é".repeat(41)), Err(Reason::TextTooLong));
    }
}
