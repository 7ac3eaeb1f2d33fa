//! Multipart forms: their fields are screened like those of other forms, and their files are looked at as files.

use super::json::{Step, Text};
use super::multipart::{self, MultipartError, Part};
use super::openapi::{Content, OpenApi, SentField};
use super::{Strings, pointer};
use crate::files::{Checked, File, FileType, TextFile};
use crate::problem::{Reason, Refusal};

const OCTETS: &str = "application/octet-stream";

/// Whether a Content-Type field names a boundary that there is one way to read.
pub(super) fn check_head(content_type: Option<&[u8]>) -> Result<(), Refusal> {
    boundary(content_type).map(drop)
}

/// What goes on in a body's place, if it is not to go on as it is.
pub(super) fn check(
    body: &[u8],
    content_type: Option<&[u8]>,
    described: Option<(&OpenApi, &Content)>,
    strings: &mut Strings<'_>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let boundary = boundary(content_type)?;
    let is_list = |name: &str| described.is_some_and(|(_, content)| content.is_list(name));
    let parts = multipart::parse(body, boundary, is_list).map_err(malformed)?;
    let mut contents: Vec<Option<Vec<u8>>> = Vec::with_capacity(parts.len());
    let mut files: Vec<Option<FileType>> = Vec::with_capacity(parts.len());
    for part in &parts {
        let (content, file) = check_part(part, body, strings)?;
        contents.push(content);
        files.push(file);
    }
    if let Some((openapi, content)) = described {
        // What goes on is what must be as it is described.
        let fields = parts.iter().zip(&contents).zip(files);
        let fields = fields.map(|((part, replaced), file_type)| {
            let content = body.get(part.content.clone()).unwrap_or_default();
            let content = replaced.as_deref().unwrap_or(content);
            let sent = match file_type {
                Some(file_type) => Some(SentField::File { file_type, length: content.len() }),
                None => std::str::from_utf8(content).ok().map(SentField::Text),
            };
            sent.map(|sent| (part.name, sent)).ok_or_else(|| not_utf8(part.name))
        });
        openapi.check_fields(content, &fields.collect::<Result<Vec<_>, _>>()?)?;
    }
    if contents.iter().all(Option::is_none) {
        return Ok(None);
    }
    let replaced = multipart::replace(body, &parts, &contents);
    // What was taken out may have stood in the middle of a boundary.
    let again = multipart::parse(&replaced, boundary, is_list).map_err(malformed)?;
    let heads = |parts: &[Part<'_>]| -> Vec<(String, bool)> {
        parts.iter().map(|part| (part.name.to_owned(), part.file_name.is_some())).collect()
    };
    if heads(&again) != heads(&parts) {
        return Err(malformed(MultipartError::Delimiter));
    }
    Ok(Some(replaced))
}

/// What goes on in the place of a part's content, and what file it is, where it is one.
fn check_part(
    part: &Part<'_>,
    body: &[u8],
    strings: &mut Strings<'_>,
) -> Result<(Option<Vec<u8>>, Option<FileType>), Refusal> {
    let path = [Step::Member(part.name.into())];
    let content = body.get(part.content.clone()).unwrap_or_default();
    strings.check(Text { path: &[], container: 0, is_name: true, text: part.name })?;
    if let Some(name) = part.file_name {
        strings.check(Text { path: &path, container: 0, is_name: true, text: name })?;
        let at = pointer(&path);
        let Some(attachments) = &mut strings.attachments else {
            return Err(refused(Reason::FileRefused, &at, "no file: this route takes none"));
        };
        let is_plain = part.content_type.is_none_or(is_file_type);
        if !is_plain {
            return Err(refused(Reason::FileRefused, &at, "a Content-Type without parameters"));
        }
        // What clients write who do not know what it is.
        let declared = part.content_type.filter(|name| !name.eq_ignore_ascii_case(OCTETS));
        let declared: Vec<String> = declared.map(str::to_owned).into_iter().collect();
        let file =
            File { bytes: content, declared: &declared, extension: multipart::extension(name) };
        let Checked { file_type, stripped } = attachments.check(file, &at, &mut strings.notes)?;
        let Some(form) = file_type.text_form() else { return Ok((stripped, Some(file_type))) };
        let text = std::str::from_utf8(content).map_err(|_| not_utf8(part.name))?;
        let replaced = strings.check_file(TextFile { form, text }, &at)?;
        return Ok((replaced.map(String::into_bytes), Some(file_type)));
    }
    // Busboy takes what says that it is something else for a file, without a name.
    if !part.content_type.is_none_or(is_text) {
        let expected = "text/plain in UTF-8, or a file name";
        return Err(refused(Reason::MultipartMalformed, &pointer(&path), expected));
    }
    let text = std::str::from_utf8(content).map_err(|_| not_utf8(part.name))?;
    let answer = strings.check(Text { path: &path, container: 0, is_name: false, text })?;
    Ok((answer.map(String::into_bytes), None))
}

fn not_utf8(name: &str) -> Refusal {
    refused(Reason::TextInvalid, &pointer(&[Step::Member(name.into())]), "UTF-8")
}

fn boundary(content_type: Option<&[u8]>) -> Result<&str, Refusal> {
    multipart::boundary(content_type.unwrap_or_default()).map_err(|error| {
        let refusal = Refusal::new(Reason::MultipartMalformed, format!("Expected {error}."));
        refusal.finding("content-type", error.to_string())
    })
}

fn malformed(error: MultipartError) -> Refusal {
    refused(Reason::MultipartMalformed, "", &error.to_string())
}

fn refused(reason: Reason, at: &str, expected: &str) -> Refusal {
    Refusal::new(reason, format!("Expected {expected}.")).finding(at, expected)
}

fn is_text(content_type: &str) -> bool {
    let (name, parameter) = content_type.split_once(';').unwrap_or((content_type, ""));
    let parameter = parameter.trim_start_matches(' ');
    let known = ["", "charset=utf-8", "charset=us-ascii", "charset=\"utf-8\""];
    name.eq_ignore_ascii_case("text/plain")
        && known.iter().any(|known| parameter.eq_ignore_ascii_case(known))
}

/// Parameters could say that the bytes of a file mean something else.
fn is_file_type(content_type: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    content_type.bytes().all(is_byte)
}

#[cfg(test)]
mod tests {
    use super::super::InputRules;
    use super::*;
    use crate::Principal;
    use crate::document::{InputSection, ScreeningSection};
    use crate::stages::{Announced, Inspect as _};

    const TYPE: &str = "multipart/form-data; boundary=b0undary";

    fn rules() -> InputRules {
        let section = InputSection {
            content_types: Some(vec!["multipart/form-data".to_owned()]),
            screening: Some(ScreeningSection::default()),
            ..Default::default()
        };
        InputRules::of(&section).unwrap()
    }

    fn rewritten(parts: &[&str]) -> Result<Option<String>, (Reason, String)> {
        let parts: String = parts.iter().map(|part| format!("--b0undary\r\n{part}\r\n")).collect();
        let body = format!("{parts}--b0undary--\r\n");
        let announced =
            Announced { content_type: Some(TYPE.as_bytes().to_vec()), ..Default::default() };
        let inspected = rules().check_body(&announced, body.as_bytes(), &Principal::anonymous());
        inspected
            .map(|inspected| inspected.rewritten.map(|body| String::from_utf8(body).unwrap()))
            .map_err(|refusal| (refusal.reason, refusal.findings[0].at.clone()))
    }

    fn field(name: &str, content: &str) -> String {
        format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}")
    }

    #[test]
    fn fields_are_screened_as_those_of_forms() {
        assert_eq!(rewritten(&[&field("a", "hello"), &field("b", "")]), Ok(None));
        let attack = "1' OR '1'='1";
        let refused = rewritten(&[&field("a", "hello"), &field("id", attack)]);
        assert_eq!(refused, Err((Reason::AttackSuspected, "/id".to_owned())));
        // Prose, as in transcriptions.
        assert_eq!(rewritten(&[&field("prompt", attack)]), Ok(None));
        let refused = rewritten(&[&field("a", "x\0")]);
        assert_eq!(refused, Err((Reason::ControlCharacter, "/a".to_owned())));
    }

    #[test]
    fn only_what_is_taken_out_changes() {
        let length = "Content-Length: 9\r\n".to_owned() + &field("a", "ab\u{200b}c\r\nd");
        let rewritten = rewritten(&[&length, &field("b", "x\ny")]).unwrap().unwrap();
        let expected = format!(
            "--b0undary\r\nContent-Length: 6\r\n{}\r\n--b0undary\r\n{}\r\n--b0undary--\r\n",
            field("a", "abc\r\nd"),
            field("b", "x\ny")
        );
        assert_eq!(rewritten, expected);
    }

    #[test]
    fn a_boundary_that_would_come_about_is_refused() {
        for hidden in [
            "x\r\n--b0un\u{200b}dary\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\ny",
            "x\r\n--b0un\u{200b}dary--",
            "\u{200b}--b0undary",
            "x--b0un\u{feff}dary",
        ] {
            let refused = rewritten(&[&field("prompt", hidden), &field("b", "y")]);
            assert_eq!(refused, Err((Reason::MultipartMalformed, String::new())), "{hidden:?}");
        }
    }

    #[test]
    fn what_is_a_file_for_some_is_no_field() {
        for kind in ["application/octet-stream", "text/html", "text/plain; charset=utf-7", "x"] {
            let part = format!("Content-Type: {kind}\r\n{}", field("a", "x"));
            let refused = rewritten(&[&part]);
            assert_eq!(refused, Err((Reason::MultipartMalformed, "/a".to_owned())), "{kind}");
        }
        let text = format!("Content-Type: text/plain; charset=UTF-8\r\n{}", field("a", "x"));
        assert_eq!(rewritten(&[&text]), Ok(None));
    }

    #[test]
    fn files_are_for_routes_that_take_them() {
        let file = "Content-Disposition: form-data; name=\"a\"; filename=\"a.png\"\r\n\r\nx";
        assert_eq!(rewritten(&[file]), Err((Reason::FileRefused, "/a".to_owned())));
    }

    #[test]
    fn a_boundary_is_wanted_before_the_body() {
        let head = |value: &str| {
            let headers = [("content-type", value.as_bytes())];
            rules().check_head(&headers, None, true).map(drop).map_err(|refusal| refusal.reason)
        };
        assert_eq!(head(TYPE), Ok(()));
        for value in ["multipart/form-data", "multipart/form-data; boundary=a; boundary=b"] {
            assert_eq!(head(value), Err(Reason::MultipartMalformed), "{value}");
        }
        assert_eq!(head("multipart/mixed; boundary=a"), Err(Reason::ContentTypeUnsupported));
    }
}
