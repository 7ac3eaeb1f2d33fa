//! Multipart forms (multipart/form-data, RFC 7578 and RFC 2046), read strictly: what two parsers could read differently is refused.
//!
//! The crates there are (multer, multipart) are made to understand whatever clients send. A gate needs the opposite: PHP, Busboy,
//! Python and Go differ about preambles, bare line feeds, folded and repeated header fields, escapes in names and parts
//! that are called alike, and each difference is a way past whoever reads the other way. So this reader takes one form of
//! each and nothing else, and borrows everything from a body that is there already.

mod names;
#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::memmem::{Finder, find};

use names::{NameSet, check_name};
pub(super) use names::{check_file_name, extension, is_magic};

/// The most parts of a body.
const MAXIMUM_PARTS: usize = 100;

/// The longest header section of a part, in bytes.
const MAXIMUM_HEADER_BYTES: usize = 1024;

/// The longest boundary (RFC 2046 §5.1.1).
const MAXIMUM_BOUNDARY: usize = 70;

const LINE_END: &[u8] = b"\r\n";

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The name of the field.
    pub(super) name: &'a str,
    /// Of a file.
    pub(super) file_name: Option<&'a str>,
    /// What the part says that it is.
    pub(super) content_type: Option<&'a str>,
    /// Where its content is in the body.
    pub(super) content: Range<usize>,
    /// Where its length is said, if it is.
    length: Option<Range<usize>>,
}

/// What is wrong with a multipart form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    #[error(
        "one parameter `boundary` of 1 to 70 letters, digits and '+_.-, and no other parameter"
    )]
    Boundary,
    #[error("a body that begins with the boundary")]
    Preamble,
    #[error("lines that end with CR and LF, and the boundary nowhere but between parts")]
    Delimiter,
    #[error("a boundary with two hyphens at the end, and nothing behind it")]
    End,
    #[error("at least one part, and at most {MAXIMUM_PARTS}")]
    Count,
    #[error(
        "a header section of at most {MAXIMUM_HEADER_BYTES} bytes and an empty line in each part"
    )]
    HeaderSection,
    #[error(
        "no header fields in parts but Content-Disposition, Content-Type, Content-Length and \
         Content-Transfer-Encoding, each once and on one line, in UTF-8"
    )]
    HeaderField,
    #[error(
        "Content-Disposition: form-data; name=\"…\" in each part, with filename=\"…\" if it is a file"
    )]
    Disposition,
    #[error("filename=\"…\" in place of filename*=… (RFC 7578 §4.2)")]
    ExtendedName,
    #[error("Content-Transfer-Encoding of 7bit, 8bit or binary, if any")]
    TransferEncoding,
    #[error("the part's length in Content-Length, if it has one")]
    Length,
    #[error("names of letters, digits and _-.:, with brackets as in a[b][], of at most 128 bytes")]
    Name,
    #[error("each name once, but those that end with [], and none that is part of another")]
    Repeated,
    #[error("a file name of 1 to 255 bytes {0}")]
    FileName(&'static str),
}

/// The boundary that a Content-Type field names.
pub(super) fn boundary(content_type: &[u8]) -> Result<&str, MultipartError> {
    let value = std::str::from_utf8(content_type).ok();
    value.and_then(find_boundary).ok_or(MultipartError::Boundary)
}

fn find_boundary(value: &str) -> Option<&str> {
    let (name, parameter) = value.split_once(';')?;
    if !name.trim_end_matches(' ').eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (attribute, value) = parameter.trim_matches(' ').split_once('=')?;
    // In quotes or not: what is allowed in it reads the same.
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = quoted.unwrap_or(value);
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"'+_.-".contains(&byte);
    // A boundary of hyphens alone could be taken for the end of another one.
    let is_boundary = (1..=MAXIMUM_BOUNDARY).contains(&value.len())
        && value.bytes().all(is_byte)
        && value.bytes().any(|byte| byte.is_ascii_alphanumeric());
    (attribute.eq_ignore_ascii_case("boundary") && is_boundary).then_some(value)
}

/// The parts of a body, in order. `is_list` says which names may be there again, in the same spelling.
pub(super) fn parse<'a>(
    body: &'a [u8],
    boundary: &str,
    is_list: impl Fn(&str) -> bool,
) -> Result<Vec<Part<'a>>, MultipartError> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    if !body.starts_with(&delimiter) {
        return Err(MultipartError::Preamble);
    }
    let finder = Finder::new(&delimiter);
    let mut parts = Vec::new();
    let mut names = NameSet::default();
    // Behind the last delimiter.
    let mut at = delimiter.len();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if let Some(epilogue) = rest.strip_prefix(b"--") {
            return match epilogue {
                b"" | b"\r\n" if parts.is_empty() => Err(MultipartError::Count),
                b"" | b"\r\n" => Ok(parts),
                _ => Err(MultipartError::End),
            };
        }
        let rest = rest.strip_prefix(LINE_END).ok_or(MultipartError::Delimiter)?;
        let start = body.len().saturating_sub(rest.len());
        if parts.len() >= MAXIMUM_PARTS {
            return Err(MultipartError::Count);
        }
        // Wherever it is, not only at the beginning of a line: others look for it behind a bare line feed, or anywhere.
        let length = finder.find(rest).ok_or(MultipartError::End)?;
        let part = rest.get(..length).unwrap_or_default();
        let part = part.strip_suffix(LINE_END).ok_or(MultipartError::Delimiter)?;
        let part = Part::read(part, start)?;
        let is_another = |other: &Part<'_>| other.name == part.name;
        if !(is_list(part.name) && parts.iter().any(is_another)) {
            names.add(part.name)?;
        }
        parts.push(part);
        at = start.saturating_add(length).saturating_add(delimiter.len());
    }
}

/// The body with other contents in some of its parts: what is said of their lengths as well. `contents` has an item for each part.
pub(super) fn replace(body: &[u8], parts: &[Part<'_>], contents: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(body.len());
    let mut copied = 0;
    let mut put = |range: &Range<usize>, new: &[u8]| {
        replaced.extend_from_slice(body.get(copied..range.start).unwrap_or_default());
        replaced.extend_from_slice(new);
        copied = range.end;
    };
    for (part, content) in parts.iter().zip(contents) {
        let Some(content) = content else { continue };
        if let Some(length) = &part.length {
            put(length, content.len().to_string().as_bytes());
        }
        put(&part.content, content);
    }
    replaced.extend_from_slice(body.get(copied..).unwrap_or_default());
    replaced
}

impl<'a> Part<'a> {
    /// Reads a part that begins at `start` of the body.
    fn read(part: &'a [u8], start: usize) -> Result<Self, MultipartError> {
        let limit = part.len().min(MAXIMUM_HEADER_BYTES.saturating_add(4));
        let head = part.get(..limit).unwrap_or_default();
        let end = find(head, b"\r\n\r\n").ok_or(MultipartError::HeaderSection)?;
        let head = head.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(|_| MultipartError::HeaderField)?;
        let content = end.saturating_add(4)..part.len();
        let mut fields = Fields::default();
        let mut line_start = 0_usize;
        for line in head.split("\r\n") {
            fields.read(line, line_start)?;
            line_start = line_start.saturating_add(line.len()).saturating_add(LINE_END.len());
        }
        let (name, file_name) = fields.disposition.ok_or(MultipartError::Disposition)?;
        if let Some((length, _)) = fields.length
            && length != content.len().to_string()
        {
            return Err(MultipartError::Length);
        }
        let shift = |range: Range<usize>| {
            range.start.saturating_add(start)..range.end.saturating_add(start)
        };
        Ok(Self {
            name,
            file_name,
            content_type: fields.content_type,
            content: shift(content),
            length: fields.length.map(|(_, range)| shift(range)),
        })
    }
}

/// The header fields of a part.
#[derive(Default)]
struct Fields<'a> {
    disposition: Option<(&'a str, Option<&'a str>)>,
    content_type: Option<&'a str>,
    has_transfer_encoding: bool,
    /// And where it is in the header section.
    length: Option<(&'a str, Range<usize>)>,
}

impl<'a> Fields<'a> {
    /// Reads a line that begins at `start` of the header section.
    fn read(&mut self, line: &'a str, start: usize) -> Result<(), MultipartError> {
        use MultipartError::HeaderField;
        // A line that begins with a space goes on with the one before it for some, and does not for others: it has no name.
        let (name, value) = line.split_once(':').ok_or(HeaderField)?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        let is_text = !value.chars().any(char::is_control);
        if !is_text || value.is_empty() || value.starts_with(' ') || value.ends_with(' ') {
            return Err(HeaderField);
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-disposition") && self.disposition.is_none() {
            self.disposition = Some(disposition(value)?);
        } else if is("content-type") && self.content_type.is_none() {
            self.content_type = Some(value);
        } else if is("content-transfer-encoding") && !self.has_transfer_encoding {
            self.has_transfer_encoding = true;
            let known = ["7bit", "8bit", "binary"];
            if !known.iter().any(|known| value.eq_ignore_ascii_case(known)) {
                return Err(MultipartError::TransferEncoding);
            }
        } else if is("content-length") && self.length.is_none() {
            let end = start.saturating_add(line.len());
            self.length = Some((value, end.saturating_sub(value.len())..end));
        } else {
            return Err(HeaderField);
        }
        Ok(())
    }
}

/// The name and the file name that a Content-Disposition field gives.
fn disposition(value: &str) -> Result<(&str, Option<&str>), MultipartError> {
    use MultipartError::Disposition;
    let (kind, mut rest) = value.split_once(';').ok_or(Disposition)?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(Disposition);
    }
    let (mut name, mut file_name) = (None, None);
    loop {
        let parameter = rest.strip_prefix(' ').unwrap_or(rest);
        let (attribute, after) = parameter.split_once('=').ok_or(Disposition)?;
        let quoted = after.strip_prefix('"');
        let (value, after) = match quoted {
            Some(quoted) => quoted.split_once('"').ok_or(Disposition)?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if attribute.ends_with('*') {
            return Err(MultipartError::ExtendedName);
        }
        if quoted.is_none() && !value.bytes().all(is_token_byte) {
            return Err(Disposition);
        }
        match attribute {
            "name" if name.is_none() => name = Some(check_name(value)?),
            "filename" if file_name.is_none() => file_name = Some(check_file_name(value)?),
            _ => return Err(Disposition),
        }
        if after.is_empty() {
            return name.map(|name| (name, file_name)).ok_or(Disposition);
        }
        rest = after.strip_prefix(';').ok_or(Disposition)?;
    }
}
