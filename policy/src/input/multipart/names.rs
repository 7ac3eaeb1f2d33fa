//! The names of a form's parts, and of files: what is read in one way everywhere.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use super::MultipartError;

/// The longest name of a part, in bytes.
const MAXIMUM_NAME: usize = 128;

/// The longest name of a file: what file systems take.
const MAXIMUM_FILE_NAME: usize = 255;

/// A name by its parts: `a[b][]` is `a`, `b` and the empty one.
fn segments(name: &str) -> Option<Vec<&str>> {
    let Some((base, brackets)) = name.split_once('[') else { return Some(vec![name]) };
    let brackets = brackets.strip_suffix(']')?;
    Some(std::iter::once(base).chain(brackets.split("][")).collect())
}

/// Whether a name would change how all other parts are read (RFC 7578 §4.6), or every object of a JavaScript program.
pub(in crate::input) fn is_magic(name: &str) -> bool {
    let magic = ["_charset_", "__proto__", "constructor", "prototype"];
    magic.iter().any(|magic| name.eq_ignore_ascii_case(magic))
}

/// A name, if there is one way to read it.
pub(super) fn check_name(name: &str) -> Result<&str, MultipartError> {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let segments = segments(name).filter(|_| name.len() <= MAXIMUM_NAME);
    let segments = segments.ok_or(MultipartError::Name)?;
    let last = segments.len().saturating_sub(1);
    let is_good = |(index, segment): (usize, &&str)| {
        // `a[]` is an item of a list. Empty ones elsewhere are counted differently.
        (!segment.is_empty() || index > 0 && index == last)
            && segment.bytes().all(is_byte)
            && !is_magic(segment)
    };
    match segments.iter().enumerate().all(is_good) {
        true => Ok(name),
        false => Err(MultipartError::Name),
    }
}

/// The names of a form's parts, each of which may be there once.
#[derive(Debug, Default)]
pub(super) struct NameSet {
    values: BTreeSet<String>,
    lists: BTreeSet<String>,
    objects: BTreeSet<String>,
}

impl NameSet {
    /// As far as any parser goes: PHP takes dots for underscores, ASP.NET capital letters for small ones, and many take
    /// `a[b]` for a member of `a`.
    pub(super) fn add(&mut self, name: &str) -> Result<(), MultipartError> {
        let name = name.to_ascii_lowercase().replace('.', "_");
        let is_item = name.ends_with("[]");
        for (at, _) in name.match_indices('[') {
            let outer = name.get(..at).unwrap_or_default().to_owned();
            let is_list = is_item && at.saturating_add(2) == name.len();
            let (ours, others) = match is_list {
                true => (&mut self.lists, &self.objects),
                false => (&mut self.objects, &self.lists),
            };
            if others.contains(&outer) || self.values.contains(&outer) {
                return Err(MultipartError::Repeated);
            }
            ours.insert(outer);
        }
        let is_outer = self.lists.contains(&name) || self.objects.contains(&name);
        // Of an item only the list matters.
        let is_known = !is_item && !self.values.insert(name);
        match is_outer || is_known {
            true => Err(MultipartError::Repeated),
            false => Ok(()),
        }
    }
}

/// A file's name, if it is one on every system and leads nowhere.
pub(crate) fn check_file_name(name: &str) -> Result<&str, MultipartError> {
    if name.is_empty() || name.len() > MAXIMUM_FILE_NAME {
        return Err(MultipartError::FileName("in UTF-8"));
    }
    check_plain(name)?;
    // Also as file systems and programs fold it: a full-width solidus is a solidus then.
    let folded: String = name.nfkc().collect();
    if folded != name {
        check_plain(&folded)?;
    }
    Ok(name)
}

fn check_plain(name: &str) -> Result<(), MultipartError> {
    let refused = |expected| Err(MultipartError::FileName(expected));
    if name.chars().any(is_separator) {
        return refused("without separators of paths, quotes, wildcards and backslashes");
    }
    if name.chars().any(|character| character.is_control() || is_unseen(character)) {
        return refused("without characters that nobody sees");
    }
    if has_escape(name) {
        return refused("without percent-encodings");
    }
    // Hidden files, options of commands, home directories; Windows drops dots and spaces at the end.
    if name.starts_with(['.', ' ', '-', '~']) || name.ends_with(['.', ' ']) || name.contains("..") {
        return refused("that begins with a letter and ends with one, without .. in it");
    }
    let mut parts = name.split('.');
    let stem = parts.next().unwrap_or_default();
    if is_device(stem) {
        return refused("that is not one of a device");
    }
    // `a.php.jpg`: some servers go by the first extension they know. The last one is looked at with what is in the file.
    let last = extension(name).unwrap_or_default();
    if parts.chain([last]).any(is_active) {
        return refused("without an extension of programs");
    }
    Ok(())
}

/// What a file's name says that it is.
pub(crate) fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, extension)| extension)
}

fn is_separator(character: char) -> bool {
    // Among them those that only look so, and that Windows maps to one.
    matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | ';' | '`' | '$')
        || matches!(character, '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29F5}' | '\u{29F8}')
        || matches!(character, '\u{29F9}' | '\u{2024}' | '\u{2025}' | '\u{2026}')
        || matches!(character, '\u{A5}' | '\u{20A9}')
}

/// Marks of direction make `exe.jpg` of `gpj.exe`, and nobody sees the others.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFD}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Browsers write quotes and line ends so (WHATWG HTML §4.10.21.8), and some parsers resolve it.
fn has_escape(name: &str) -> bool {
    name.as_bytes().windows(3).any(|bytes| {
        matches!(bytes, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// Windows opens the device, whatever extension follows.
fn is_device(stem: &str) -> bool {
    let stem = stem.trim_end_matches(' ').to_ascii_lowercase();
    let numbered = ["com", "lpt"].iter().find_map(|device| stem.strip_prefix(device));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$")
        || matches!(numbered, Some("0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9"))
        || matches!(numbered, Some("\u{B9}" | "\u{B2}" | "\u{B3}"))
}

/// What a server or a desktop runs, or a browser does.
fn is_active(extension: &str) -> bool {
    const ACTIVE: [&str; 56] = [
        "asa", "asax", "ashx", "asmx", "asp", "aspx", "bash", "bat", "cer", "cfm", "cgi", "chm",
        "class", "cmd", "cpl", "dll", "exe", "hta", "htaccess", "htm", "html", "jar", "js", "jse",
        "jsp", "jspf", "jspx", "lnk", "mht", "mjs", "msi", "php", "phar", "phps", "pht", "phtml",
        "pl", "ps1", "py", "rb", "reg", "scf", "scr", "sh", "shtml", "so", "stm", "swf", "vb",
        "vbe", "vbs", "war", "wasm", "wsf", "xhtml", "xsl",
    ];
    let extension = extension.trim_matches(' ').to_ascii_lowercase();
    // php5, phtml7 and the like.
    let base = extension.trim_end_matches(|character: char| character.is_ascii_digit());
    ACTIVE.contains(&extension.as_str()) || ACTIVE.contains(&base)
}
