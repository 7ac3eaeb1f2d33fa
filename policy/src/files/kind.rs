//! Types of files, by what is in them.

use serde::{Deserialize, Serialize};

use super::TextForm;

/// A type of file that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FileType {
    /// PNG, also animated.
    #[serde(rename = "image/png")]
    Png,
    /// JPEG, baseline or progressive.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// GIF, also animated.
    #[serde(rename = "image/gif")]
    Gif,
    /// WebP, also animated.
    #[serde(rename = "image/webp")]
    Webp,
    /// SVG that draws: without scripts, styles, animation and references to anything outside.
    #[serde(rename = "image/svg+xml")]
    Svg,
    /// PDF without actions, attachments and forms of its own.
    #[serde(rename = "application/pdf")]
    Pdf,
    /// WAV with PCM samples, plain or A-law and µ-law.
    #[serde(rename = "audio/wav")]
    Wav,
    /// MP3: MPEG audio, layer III.
    #[serde(rename = "audio/mpeg")]
    Mp3,
    /// Plain text in UTF-8. The strings of this and the following are screened as prose.
    #[serde(rename = "text/plain")]
    Text,
    /// Markdown.
    #[serde(rename = "text/markdown")]
    Markdown,
    /// Comma-separated values (RFC 4180). What a spreadsheet makes of a cell is not looked at.
    #[serde(rename = "text/csv")]
    Csv,
    /// JSON, as strictly as a body.
    #[serde(rename = "application/json")]
    Json,
    /// A JSON text on each line, as APIs take them to learn from and in batches.
    #[serde(rename = "application/jsonl")]
    JsonLines,
}

impl FileType {
    /// Where nothing is said.
    pub(crate) const USUAL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp];

    /// Its media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Svg => "image/svg+xml",
            Self::Pdf => "application/pdf",
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Text => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// Where its strings stand, if it is text.
    pub(crate) fn text_form(self) -> Option<TextForm> {
        match self {
            Self::Text | Self::Markdown | Self::Csv => Some(TextForm::Prose),
            Self::Json => Some(TextForm::Json),
            Self::JsonLines => Some(TextForm::JsonLines),
            Self::Png
            | Self::Jpeg
            | Self::Gif
            | Self::Webp
            | Self::Svg
            | Self::Pdf
            | Self::Wav
            | Self::Mp3 => None,
        }
    }

    /// Whether it is all that is said of a file.
    pub(super) fn agrees(self, declared: &[String], extension: Option<&str>) -> bool {
        declared.iter().all(|name| self.is_declared_by(name))
            && extension.is_none_or(|end| self.has_extension(end))
    }

    /// Whether it is what a media type, or one of the short names of APIs, says.
    pub(crate) fn is_declared_by(self, name: &str) -> bool {
        let names: &[&str] = match self {
            Self::Png => &["png"],
            Self::Jpeg => &["image/jpg", "jpeg", "jpg"],
            Self::Gif => &["gif"],
            Self::Webp => &["webp"],
            Self::Svg => &["svg"],
            Self::Pdf => &["pdf"],
            Self::Wav => &["audio/wave", "audio/x-wav", "audio/vnd.wave", "wav"],
            Self::Mp3 => &["audio/mp3", "audio/x-mp3", "mp3"],
            Self::Text => &["text"],
            Self::Markdown => &["text/x-markdown", "markdown"],
            Self::Csv => &["csv"],
            Self::Json => &["json"],
            Self::JsonLines => &[
                "application/x-ndjson",
                "application/x-jsonlines",
                "application/jsonlines",
                "jsonl",
            ],
        };
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        is(self.as_str()) || names.iter().copied().any(is)
    }

    /// Whether a file of it may have a name that ends so.
    fn has_extension(self, extension: &str) -> bool {
        let known: &[&str] = match self {
            Self::Png => &["png", "apng"],
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Gif => &["gif"],
            Self::Webp => &["webp"],
            Self::Svg => &["svg"],
            Self::Pdf => &["pdf"],
            Self::Wav => &["wav", "wave"],
            Self::Mp3 => &["mp3", "mpga", "mpeg"],
            Self::Text => &["txt", "text"],
            Self::Markdown => &["md", "markdown"],
            Self::Csv => &["csv"],
            Self::Json => &["json"],
            Self::JsonLines => &["jsonl", "ndjson"],
        };
        known.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }
}

/// What the first bytes of a file promise. Only a walk through all of it tells whether it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sniffed {
    Known(FileType),
    /// Something that runs, or that holds other files.
    Refused(&'static str),
    Unknown,
}

/// What begins so is told by its name. All else that is not known is refused as well.
const REFUSED: [(&[u8], &str); 22] = [
    (b"MZ", "no programs"),
    (b"\x7fELF", "no programs"),
    (b"\xfe\xed\xfa\xce", "no programs"),
    (b"\xfe\xed\xfa\xcf", "no programs"),
    (b"\xce\xfa\xed\xfe", "no programs"),
    (b"\xcf\xfa\xed\xfe", "no programs"),
    (b"\xca\xfe\xba\xbe", "no programs"),
    (b"\0asm", "no programs"),
    (b"dex\n", "no programs"),
    (b"#!", "no scripts"),
    (b"<?php", "no scripts"),
    (b"PK\x03\x04", "no archives"),
    (b"PK\x05\x06", "no archives"),
    (b"\x1f\x8b", "no archives"),
    (b"BZh", "no archives"),
    (b"\xfd7zXZ\0", "no archives"),
    (b"7z\xbc\xaf\x27\x1c", "no archives"),
    (b"Rar!", "no archives"),
    (b"\x28\xb5\x2f\xfd", "no archives"),
    (b"MSCF", "no archives"),
    (b"\xd0\xcf\x11\xe0", "no compound documents"),
    (b"{\\rtf", "no RTF documents"),
];

pub(super) fn sniff(bytes: &[u8]) -> Sniffed {
    let at = |place: usize, sign: &[u8]| bytes.get(place..).is_some_and(|b| b.starts_with(sign));
    if let Some((_, name)) = REFUSED.iter().find(|(sign, _)| at(0, sign)) {
        return Sniffed::Refused(name);
    }
    match bytes {
        _ if at(0, b"\x89PNG\r\n\x1a\n") => Sniffed::Known(FileType::Png),
        _ if at(0, b"\xff\xd8\xff") => Sniffed::Known(FileType::Jpeg),
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Sniffed::Known(FileType::Gif),
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Sniffed::Known(FileType::Webp),
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Sniffed::Known(FileType::Wav),
        _ if at(0, b"ID3") => Sniffed::Known(FileType::Mp3),
        _ if at(0, b"%PDF-") => Sniffed::Known(FileType::Pdf),
        _ if at(0, b"<svg") || at(0, b"<?xml") || at(0, b"<!--") => Sniffed::Known(FileType::Svg),
        [b'<', ..] => Sniffed::Refused("no HTML and XML"),
        // Eleven bits of synchronisation, layer III.
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Sniffed::Known(FileType::Mp3),
        _ => Sniffed::Unknown,
    }
}
