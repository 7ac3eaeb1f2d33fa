//! Files within texts: data URLs amid other words, as in Markdown and HTML.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Attachments, MAXIMUM_PREFIX, data_url, pointer, refused, unfit};
use crate::files::{Checked, File};
use crate::input::json::Step;
use crate::problem::Refusal;
use crate::screening::Notes;

const SCHEME: &[u8] = b"data";

/// Fewer letters of base64 than any file has of the types that are let through: an example, in a text about data URLs.
const FEWEST_LETTERS: usize = 44;

impl Attachments<'_> {
    /// Looks at the files within a text, each of which counts as one; what goes on in the text's place, if it is not to go on
    /// as it is.
    pub(super) fn look_within(
        &mut self,
        text: &str,
        path: &[Step<'_>],
        notes: &mut Notes,
    ) -> Result<Option<String>, Refusal> {
        let mut rewritten: Option<String> = None;
        let mut copied = 0;
        for range in DataUrls::of(text) {
            let at = pointer(path);
            let url = text.get(range.clone()).unwrap_or_default();
            let (prefix, media_type, encoded) = data_url(url)
                .ok_or_else(|| refused(unfit("data:TYPE;base64, and base64 behind it"), &at))?;
            let declared: Vec<String> = media_type.map(str::to_owned).into_iter().collect();
            let bytes = self.decode(encoded, &at)?;
            let file = File { bytes: &bytes, declared: &declared, extension: None };
            let Checked { file_type, stripped } = self.check(file, &at, notes)?;
            if file_type.text_form().is_some() {
                return Err(refused(unfit("no file of text amid other words"), &at));
            }
            if let Some(bytes) = stripped {
                let rewritten = rewritten.get_or_insert_default();
                let before = text.get(copied..range.start).unwrap_or_default();
                [before, prefix].into_iter().for_each(|part| rewritten.push_str(part));
                STANDARD.encode_string(bytes, rewritten);
                copied = range.end;
            }
        }
        if let Some(rewritten) = &mut rewritten {
            rewritten.push_str(text.get(copied..).unwrap_or_default());
        }
        Ok(rewritten)
    }
}

/// Where data URLs in base64 stand in a text, in order. Each byte is looked at a few times at most.
struct DataUrls<'a> {
    text: &'a str,
    colons: memchr::Memchr<'a>,
    end: usize,
}

impl<'a> DataUrls<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, colons: memchr::memchr_iter(b':', text.as_bytes()), end: 0 }
    }

    /// The URL whose scheme ends at a colon.
    fn at(&self, colon: usize) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let start = colon.checked_sub(SCHEME.len()).filter(|start| *start >= self.end)?;
        let is_scheme = bytes.get(start..colon)?.eq_ignore_ascii_case(SCHEME);
        // `metadata:` is another scheme.
        let before = start.checked_sub(1).and_then(|before| bytes.get(before));
        if !is_scheme || before.is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let rest = bytes.get(colon.checked_add(1)?..)?;
        let is_head = |byte: &u8| byte.is_ascii_alphanumeric() || b"/.+-;=_\" \t".contains(byte);
        let length = rest.iter().take(MAXIMUM_PREFIX).take_while(|byte| is_head(byte)).count();
        let (head, content) = rest.split_at_checked(length)?;
        let coding = head.trim_ascii().last_chunk::<6>()?;
        let content =
            content.strip_prefix(b",").filter(|_| coding.eq_ignore_ascii_case(b"base64"))?;
        let end = bytes.len().checked_sub(content.len())?.checked_add(letters(content)?)?;
        Some(start..end)
    }
}

/// How much of what follows the comma belongs to the URL; none where it is too little. Browsers drop line ends, so what goes on
/// behind some belongs to it: it is refused for them.
fn letters(content: &[u8]) -> Option<usize> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_%".contains(byte);
    let first = content.iter().take_while(|byte| is_letter(byte)).count();
    let (mut count, mut end) = (first, first);
    for (place, byte) in content.iter().enumerate().skip(first) {
        match byte {
            b'\t' | b'\r' | b'\n' => {}
            byte if is_letter(byte) => {
                count = count.saturating_add(1);
                end = place.saturating_add(1);
            }
            _ => break,
        }
    }
    // A word or two on the next line are none of it.
    match first >= FEWEST_LETTERS && count.saturating_sub(first) < FEWEST_LETTERS {
        true => Some(first),
        false => (count >= FEWEST_LETTERS).then_some(end),
    }
}

impl Iterator for DataUrls<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let colon = self.colons.next()?;
            if let Some(range) = self.at(colon) {
                self.end = range.end;
                return Some(range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_found_in_texts() {
        let letters = "A".repeat(FEWEST_LETTERS);
        let png = format!("data:image/png;base64,{letters}");
        let found = |text: &str| -> Vec<String> {
            DataUrls::of(text).map(|range| text[range].to_owned()).collect()
        };
        assert_eq!(found(&format!("![é]({png}) and <img src=\"{png}\">")), [&*png, &*png]);
        assert_eq!(found(&format!("data:{png}")), [&*png]);
        for odd in [
            format!("DATA:image/png;BASE64,{letters}"),
            format!("data: image/png; base64 ,{letters}"),
            format!("data:;base64,{letters}"),
            format!("data:image/png;charset=\"utf-8\";base64,{letters}%3D"),
        ] {
            assert_eq!(found(&format!("({odd})")), [&*odd]);
        }
        // Line ends within, and behind the end.
        let cut = format!("data:image/png;base64,AA\n\t{letters}");
        assert_eq!(found(&format!("({cut})")), [&*cut]);
        let cut = format!("{png}\n{letters}\n{letters}");
        assert_eq!(found(&format!("({cut}\n)")), [&*cut]);
        assert_eq!(found(&format!("{png}\nWhat\nis this?")), [&*png]);
        for text in [
            "metadata:image/png;base64,".to_owned() + &letters,
            format!("data:image/png,{letters}"),
            format!("data:image/png;base64:{letters}"),
            "What does data:text/html;base64,PHNjcmlwdD4= do?".to_owned(),
            "data:image/png;base64,iVBORw0KGgo... is a PNG".to_owned(),
            "data: 1, 2; base64".to_owned(),
            "data:".to_owned(),
            ":".to_owned(),
        ] {
            assert!(found(&text).is_empty(), "{text}");
        }
    }
}
