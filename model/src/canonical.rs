//! A text in one spelling, with the way back to the text it was made from.

/// A rewritten text that remembers, for each of its bytes, the character it stems from.
///
/// Places are indices of Unicode scalar values in the text that the caller gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Canonical {
    text: String,
    origins: Vec<u32>,
    characters: usize,
}

impl Canonical {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            origins: Vec::with_capacity(bytes),
            characters: 0,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many characters it has.
    pub(crate) fn characters(&self) -> usize {
        self.characters
    }

    /// Appends a character that stems from the caller's character number `origin`.
    pub(crate) fn push(&mut self, character: char, origin: u32) {
        self.text.push(character);
        self.origins.resize(self.text.len(), origin);
        self.characters = self.characters.saturating_add(1);
    }

    /// Takes the last character off again.
    pub(crate) fn pop(&mut self) -> Option<(char, u32)> {
        let character = self.text.pop()?;
        let origin = self.origins.get(self.text.len()).copied();
        self.origins.truncate(self.text.len());
        self.characters = self.characters.saturating_sub(1);
        origin.map(|origin| (character, origin))
    }

    /// Appends a stretch of another canonical text, given in bytes.
    pub(crate) fn push_from(&mut self, other: &Self, bytes: std::ops::Range<usize>) {
        let (Some(text), Some(origins)) = (other.text.get(bytes.clone()), other.origins.get(bytes))
        else {
            return;
        };
        self.text.push_str(text);
        self.origins.extend_from_slice(origins);
        self.characters = self.characters.saturating_add(text.chars().count());
    }

    /// Begins a new word: one space, unless the text is empty or already ends with one.
    pub(crate) fn part(&mut self, origin: u32) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.push(' ', origin);
        }
    }

    /// The character of the caller's text that the byte stems from.
    pub(crate) fn origin(&self, byte: usize) -> Option<u32> {
        self.origins.get(byte).copied()
    }
}
