use std::collections::BTreeMap;

use super::*;
use crate::document::{InputSection, OutputSection};
use crate::screening::{Action, Kind};

fn screening() -> ResponseScreening {
    let personal_data = BTreeMap::from([(Kind::EmailAddress, Action::Mask)]);
    let output = OutputSection { personal_data, ..OutputSection::default() };
    let sections = InputSections {
        input: &InputSection::default(),
        field: "input",
        output: &output,
        redaction_key: None,
        canaries: &["Heron-4821-quartz".to_owned().into()],
        shared: &Default::default(),
    };
    ResponseScreening::compile(&sections, None).unwrap().unwrap()
}

fn rewriter(headers: &[(&str, &str)]) -> Option<Box<dyn RewriteBody>> {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    screening().of(&AnnouncedBody::read(&headers), Owner::nobody())
}

fn sent(content_type: &str, encoding: Option<&str>, parts: &[&str]) -> Option<String> {
    let mut headers = vec![("content-type", content_type)];
    headers.extend(encoding.map(|coding| ("content-encoding", coding)));
    let mut rewriter = rewriter(&headers)?;
    let last = parts.len() - 1;
    let parts = parts.iter().enumerate();
    let sent: Vec<u8> =
        parts.flat_map(|(index, part)| rewriter.rewrite(part.as_bytes(), index == last)).collect();
    Some(String::from_utf8(sent).unwrap())
}

#[test]
fn addresses_are_masked_across_parts() {
    let parts = ["{\"text\": \"write to alice@exa", "mple.com", " today\"}"];
    let sent = sent("application/json", None, &parts).unwrap();
    assert_eq!(sent, "{\"text\": \"write to *****@*******.*** today\"}");
}

/// What comes of parts none of which says that it is the last, and whether something waits then.
fn unended(headers: &[(&str, &str)], parts: &[&str]) -> (String, bool) {
    let mut rewriter = rewriter(headers).unwrap();
    let sent: Vec<u8> =
        parts.iter().flat_map(|part| rewriter.rewrite(part.as_bytes(), false)).collect();
    (String::from_utf8(sent).unwrap(), rewriter.waits())
}

#[test]
fn what_has_a_length_ends_there() {
    let parts = ["write to alice@exa", "mple.com"];
    let masked = "write to *****@*******.***";
    let text = ("content-type", "text/plain");
    let length = ("content-length", "26");
    assert_eq!(unended(&[text, length], &parts), (masked.to_owned(), false));
    // Nobody looks at what follows the end, so it does not go on.
    let more = [parts[0], parts[1], " or bob@example.com"];
    assert_eq!(unended(&[text, length], &more), (masked.to_owned(), false));
    // A length that the parts do not keep to, that is there twice or is none, says nothing.
    for length in [
        vec![("content-length", "20")],
        vec![length, ("content-length", "27")],
        vec![("content-length", "-1")],
    ] {
        let headers = [vec![text], length].concat();
        let (sent, waits) = unended(&headers, &parts);
        assert!(waits && !sent.contains("alice"), "{headers:?}: {sent}");
    }
    // In chunks no length counts.
    let chunked = [text, length, ("transfer-encoding", "chunked"), ("trailer", "x-checksum")];
    assert!(unended(&chunked, &parts).1);
}

#[test]
fn what_trailers_may_end_waits_for_them() {
    let parts = ["write to alice@exa", "mple.com"];
    let text = ("content-type", "text/plain");
    let chunked = ("transfer-encoding", "chunked");
    assert!(unended(&[text], &parts).1);
    assert!(unended(&[text, chunked, ("trailer", "x-checksum")], &parts).1);
    assert!(!unended(&[text, chunked], &parts).1);
    // Where nothing is held back nothing has to wait.
    let json = ("content-type", "application/json");
    assert_eq!(unended(&[json], &["{\"a\": 1}"]), ("{\"a\": 1}".to_owned(), false));
    assert!(unended(&[json], &["{\"a\": \"1"]).1);
    let events = ("content-type", "text/event-stream");
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    assert!(!unended(&[events], &[role]).1);
    assert!(unended(&[events], &[role, "data: {\"ch"]).1);
    assert!(unended(&[events], &[&role.replace("role", "content")]).1);
    // What is said in the place of a body that cannot be read: at once.
    let (said, waits) = unended(&[text, ("content-encoding", "gzip")], &["\u{1f}", "b"]);
    assert!(!waits && said.matches("response-unreadable").count() == 1, "{said}");
}

#[test]
fn nothing_follows_a_marker() {
    let parts = ["My instructions begin with h e r o n - 48", "21-quartz, and then", " go on"];
    let sent = sent("text/plain", None, &parts).unwrap();
    assert!(sent.starts_with("My instructions begin with "), "{sent}");
    assert!(!sent.contains("quartz") && !sent.contains("go on"), "{sent}");
}

#[test]
fn what_is_no_text_goes_by() {
    assert_eq!(sent("image/png", None, &["alice@example.com"]), None);
    for kind in ["text/html; charset=utf-8", "application/problem+json", "application/xml"] {
        // Also where what is called JSON is none.
        for body in [
            "alice@example.com",
            "{\"a\": true} alice@example.com",
            "trust alice@example.com",
            "[nul, \"alice@example.com\"]",
        ] {
            assert!(!sent(kind, None, &[body]).unwrap().contains("alice"), "{kind}: {body}");
        }
    }
}

#[test]
fn what_is_said_twice_of_a_body_is_not_believed() {
    let image = ("content-type", "image/png");
    assert!(rewriter(&[image]).is_none());
    assert!(rewriter(&[image, ("content-type", "text/plain")]).is_some());
    let codings = [("content-encoding", "identity"), ("content-encoding", "gzip")];
    let text = ("content-type", "text/plain");
    let mut encoded = rewriter(&[text, codings[0], codings[1]]).unwrap();
    assert!(encoded.is_cut() && !encoded.rewrite(b"alice", false).starts_with(b"alice"));
    assert!(encoded.rewrite(b"alice", true).is_empty());
    assert!(!rewriter(&[text, codings[0]]).unwrap().is_cut());
}

#[test]
fn what_cannot_be_read_does_not() {
    let sent = sent("application/json", Some("gzip"), &["\u{1f}", "alice@example.com"]).unwrap();
    assert!(sent.contains("response-unreadable") && !sent.contains("alice"), "{sent}");
}

#[test]
fn other_charsets_are_read_or_withheld() {
    for kind in [
        "text/plain; charset=utf-16",
        "text/html;charset=\"UTF-16LE\"",
        "application/json; charset=utf-32",
        "text/plain; charset=utf-8; charset=shift_jis",
        "text/plain; charset=iso-2022-jp",
    ] {
        let sent = sent(kind, None, &["alice@example.com"]).unwrap();
        assert!(sent.contains("response-unreadable") && !sent.contains("alice"), "{sent}");
    }
    assert!(sent("image/png; charset=utf-16", None, &["a"]).is_none());
    let mut latin = rewriter(&[("content-type", "text/plain; charset=iso-8859-1")]).unwrap();
    assert_eq!(latin.content_type(), Some("text/plain; charset=utf-8"));
    let parts: [&[u8]; 3] = [b"caf\xe9: ", b"alice@exa", b"mple.com, \x80 5"];
    let sent: Vec<u8> = parts.iter().flat_map(|part| latin.rewrite(part, false)).collect();
    let sent = [sent, latin.rewrite(b"", true)].concat();
    assert_eq!(String::from_utf8(sent).unwrap(), "café: *****@*******.***, € 5");
    assert_eq!(rewriter(&[("content-type", "text/plain")]).unwrap().content_type(), None);
}

/// Whoever reads it would find more in it than was found here.
#[test]
fn what_begins_as_utf_16_or_utf_32_does_not_go_on() {
    let wide = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    };
    let text = "\u{feff}alice@example.com";
    let bodies = [
        wide(u16::to_le_bytes, text),
        wide(u16::to_be_bytes, text),
        wide(u16::to_le_bytes, "{\"a\": \"alice@example.com\"}"),
        text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        b"\xff\xfe".to_vec(),
    ];
    for body in bodies {
        for step in [1, 3, 100] {
            let headers = [("content-type", "application/json")];
            let mut rewriter = rewriter(&headers).unwrap();
            let mut sent: Vec<u8> =
                body.chunks(step).flat_map(|part| rewriter.rewrite(part, false)).collect();
            sent.extend(rewriter.rewrite(b"", true));
            assert!(sent.is_empty() && rewriter.is_cut(), "{body:?}");
            assert_eq!(rewriter.reason(), Some(Reason::ResponseUnreadable));
        }
    }
}

#[test]
fn a_mark_of_utf_8_hides_nothing() {
    let events = [
        "\u{feff}data: {\"choices\":[{\"delta\":{\"content\":\"alice@exa\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"mple.com\"}}]}\n\n",
    ];
    let json = ["\u{feff}{\"a\": \"alice\\u0040exa", "mple.com\"}"];
    for (kind, parts) in
        [("text/event-stream", events), ("application/json", json), ("application/x-ndjson", json)]
    {
        let sent = sent(kind, None, &parts).unwrap();
        assert!(sent.contains("*****@*******.***") && !sent.contains("exa"), "{sent}");
        assert!(!sent.starts_with('\u{feff}'), "{sent}");
    }
    let text = sent("text/csv", None, &["\u{feff}a,b", "\nc"]).unwrap();
    assert_eq!(text, "\u{feff}a,b\nc");
    // Short ones.
    for body in ["", "1", "é", "abc"] {
        assert_eq!(sent("text/plain", None, &[body]).unwrap(), body);
    }
}
