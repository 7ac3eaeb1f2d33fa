//! Files of text: told apart by what is said of them, since nothing in them does, and held to it.

use super::kind::{FileType, Sniffed, sniff};
use super::rules::File;
use super::{Fault, active};

/// Where the strings of a file of text stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// All of it is one.
    Prose,
    /// In a JSON text (RFC 8259).
    Json,
    /// In JSON texts, one on each line.
    JsonLines,
}

/// A file of text that may go on, as far as bytes tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextFile<'a> {
    pub(crate) form: TextForm,
    pub(crate) text: &'a str,
}

/// The type of text that a file is said to be, by all that is said of it.
pub(super) fn told(file: &File<'_>, types: &[FileType]) -> Option<FileType> {
    let is_said = !file.declared.is_empty() || file.extension.is_some();
    let texts = types.iter().copied().filter(|known| is_said && known.text_form().is_some());
    texts.into_iter().find(|known| known.agrees(file.declared, file.extension))
}

/// All of it, if it is text and nothing else that others find in it.
pub(super) fn walk(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| "text in UTF-8")?;
    let is_stray = |character: char| character.is_control() && !"\t\n\r".contains(character);
    if text.contains(is_stray) {
        return Err("text without control characters");
    }
    // Browsers leave out white space before they guess.
    let start = text.trim_start_matches(|first: char| first.is_whitespace() || first == '\u{feff}');
    if sniff(start.as_bytes()) != Sniffed::Unknown {
        return Err("text that does not begin as something else does");
    }
    active::check_documents(bytes)?;
    Ok(bytes.to_vec())
}
