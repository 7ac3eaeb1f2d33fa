use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};

use super::super::InputRules;
use crate::Principal;
use crate::document::{FilesSection, InputSection, Reaction, ScreeningSection};
use crate::files::samples::{SECRET, loaded, plain};
use crate::files::{File, FileType};
use crate::problem::Reason;
use crate::stages::{Announced, Inspect as _, Inspected};

fn rules_of(files: FilesSection) -> InputRules {
    let types = ["application/json", "multipart/form-data", "application/x-www-form-urlencoded"];
    let section = InputSection {
        content_types: Some(types.map(str::to_owned).to_vec()),
        max_body_bytes: Some(1024 * 1024),
        screening: Some(ScreeningSection::default()),
        files: Some(files),
        ..Default::default()
    };
    InputRules::of(&section).unwrap()
}

fn announced(kind: &str) -> Announced {
    Announced { content_type: Some(kind.as_bytes().to_vec()), ..Default::default() }
}

fn inspected(files: FilesSection, kind: &str, body: &[u8]) -> Result<Inspected, (Reason, String)> {
    let inspected = rules_of(files).check_body(&announced(kind), body, &Principal::anonymous());
    inspected.map_err(|refusal| (refusal.reason, refusal.findings[0].at.clone()))
}

fn all_types() -> FilesSection {
    let types = vec![FileType::Png, FileType::Jpeg, FileType::Gif, FileType::Webp, FileType::Wav];
    FilesSection { types, ..Default::default() }
}

fn json_of(body: &Value) -> Result<Inspected, (Reason, String)> {
    inspected_of(all_types(), body)
}

fn inspected_of(files: FilesSection, body: &Value) -> Result<Inspected, (Reason, String)> {
    inspected(files, "application/json", body.to_string().as_bytes())
}

fn file(file_type: FileType, files: Vec<(FileType, Vec<u8>)>) -> Vec<u8> {
    files.into_iter().find(|(other, _)| *other == file_type).unwrap().1
}

fn plain_base64(file_type: FileType) -> String {
    STANDARD.encode(file(file_type, plain()))
}

fn loaded_base64(file_type: FileType) -> String {
    STANDARD.encode(file(file_type, loaded(6)))
}

/// Every place where the APIs of the large providers have files, with a PNG or a WAV in it, and its pointer.
fn places(png: &str, wav: &str) -> Vec<(Value, &'static str)> {
    let url = format!("data:image/png;base64,{png}");
    let content = |content: Value| json!({"messages": [{"role": "user", "content": [content]}]});
    let input = |content: Value| json!({"input": [{"role": "user", "content": [content]}]});
    vec![
        (
            content(json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}})),
            "/messages/0/content/0/image_url/url",
        ),
        (
            content(json!({"type": "input_audio", "input_audio": {"data": wav, "format": "wav"}})),
            "/messages/0/content/0/input_audio/data",
        ),
        (
            content(json!({"type": "file", "file": {"filename": "a.png", "file_data": url}})),
            "/messages/0/content/0/file/file_data",
        ),
        (
            content(
                json!({"type": "image", "source": {"data": png, "type": "base64", "media_type": "image/png"}}),
            ),
            "/messages/0/content/0/source/data",
        ),
        (input(json!({"type": "input_image", "image_url": url})), "/input/0/content/0/image_url"),
        (
            input(json!({"type": "input_file", "file_data": png, "filename": "a.png"})),
            "/input/0/content/0/file_data",
        ),
        (
            json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": png}}]}]}),
            "/contents/0/parts/0/inlineData/data",
        ),
        (
            json!({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": png}}]}]}),
            "/contents/0/parts/0/inline_data/data",
        ),
        (json!({"model": "llava", "images": [png]}), "/images/0"),
        (json!({"anywhere": ["else", url]}), "/anywhere/1"),
    ]
}

#[test]
fn files_are_found_wherever_the_providers_have_them() {
    let (png, wav) = (plain_base64(FileType::Png), plain_base64(FileType::Wav));
    for (body, at) in places(&png, &wav) {
        assert_eq!(json_of(&body), Ok(Inspected::default()), "{at}");
    }
    // What is not a file is refused there.
    let other = STANDARD.encode("MZ\u{90}\0 is how programs begin");
    for (body, at) in places(&other, &other) {
        assert_eq!(json_of(&body), Err((Reason::FileRefused, at.to_owned())));
    }
    // Nor is what says that it is something else.
    let jpeg = plain_base64(FileType::Jpeg);
    for (body, at) in places(&jpeg, &png) {
        let refused = json_of(&body);
        let is_said = at != "/images/0";
        assert_eq!(refused.is_err(), is_said, "{at}");
    }
}

#[test]
fn metadata_is_taken_out_and_nothing_else_changes() {
    let (png, wav) = (loaded_base64(FileType::Png), loaded_base64(FileType::Wav));
    for (body, at) in places(&png, &wav) {
        let inspected = json_of(&body).unwrap();
        let rewritten: Value = serde_json::from_slice(&inspected.rewritten.unwrap()).unwrap();
        let text = rewritten.pointer(at).unwrap().as_str().unwrap();
        let encoded = text.rsplit(',').next().unwrap();
        let bytes = STANDARD.decode(encoded).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET), "{at}");
        let mut expected = body;
        *expected.pointer_mut(at).unwrap() = text.into();
        assert_eq!(rewritten, expected);
        assert_eq!(json_of(&rewritten), Ok(Inspected::default()));
        let notes = serde_json::to_value(&inspected.notes).unwrap();
        let rule = if at.ends_with("input_audio/data") { "audio/wav" } else { "image/png" };
        assert_eq!(notes, json!([{"kind": "file_metadata", "rule": rule, "at": at}]));
    }
}

#[test]
fn base64_and_data_urls_have_one_form() {
    let png = plain_base64(FileType::Png);
    let expected = |png: &str| {
        let body = json!({"images": [png]}).to_string();
        let refused = rules_of(all_types())
            .check_body(&announced("application/json"), body.as_bytes(), &Principal::anonymous())
            .unwrap_err();
        refused.findings[0].expected.clone()
    };
    let url = |url: String| {
        json_of(&json!({"messages": [{"content": [{"image_url": {"url": url}}]}]})).map(drop)
    };
    assert_eq!(url(format!("data:image/png;base64,{png}")), Ok(()));
    for bad in [
        format!("Data:image/png;base64,{png}"),
        format!(" data:image/png;base64,{png}"),
        format!("da\nta:image/png;base64,{png}"),
        format!("data:IMAGE/PNG;base64,{png}"),
        format!("data:image/png;BASE64,{png}"),
        format!("data:image/png; base64,{png}"),
        format!("data:image/png;charset=utf-8;base64,{png}"),
        format!("data:;base64,{png}"),
        format!("data:image/png,{png}"),
        format!("data:image/png;base64, {png}"),
        format!("data:image/png;base64,{png}\n"),
        format!("data:image/png;base64,{}\n{}", &png[..76], &png[76..]),
        format!("data:image/png;base64,{png}===="),
        format!("data:image/png;base64,{png}AAAA"),
        format!("data:image/png;base64,{png}#fragment"),
        "data:image/svg+xml,%3Csvg%3E".to_owned(),
        "data:text/html;base64,PHNjcmlwdD4=".to_owned(),
        "data:,hello".to_owned(),
        "file:///etc/passwd".to_owned(),
        "file-abc123".to_owned(),
        String::new(),
    ] {
        assert!(url(bad.clone()).is_err(), "{bad:.60}");
    }
    // Without the padding that it needs, and with one more bit set than it has.
    for bytes in [b"\x89PNG".as_slice(), b"\x89PNG\r"] {
        let padded = STANDARD.encode(bytes);
        let unpadded = padded.trim_end_matches('=');
        assert!(unpadded < padded.as_str());
        assert!(expected(&padded).starts_with("a file of one of these types"));
        assert!(expected(unpadded).starts_with("base64"), "{}", expected(unpadded));
        let (start, last) = padded.trim_end_matches('=').split_at(unpadded.len() - 1);
        let last = char::from(last.as_bytes()[0] + 1);
        let more = format!("{start}{last}{}", &padded[unpadded.len()..]);
        assert!(expected(&more).starts_with("base64"), "{more}");
    }
}

#[test]
fn what_only_looks_like_a_data_url_is_prose() {
    for text in
        ["data: 1, 2, 3", "Data: and/or, else", "data:a,b", "Database; base64, and so on", "data"]
    {
        let body = json!({"messages": [{"role": "user", "content": text}]});
        assert_eq!(json_of(&body), Ok(Inspected::default()), "{text}");
    }
    let document = json!({"source": {"type": "text", "media_type": "text/plain", "data": "hello"}});
    assert_eq!(json_of(&document), Ok(Inspected::default()));
    let other = json!({"source": {"type": "text", "media_type": "image/png", "data": "hello"}});
    assert_eq!(json_of(&other), Err((Reason::FileRefused, "/source/data".to_owned())));
}

#[test]
fn files_within_texts_are_looked_at_alike() {
    let text = |png: &[u8]| {
        let url = format!("data:image/png;base64,{}", STANDARD.encode(png));
        format!("look at ![x]({url}) and <img src='{url}'> please: é")
    };
    let body = |text: &str| json!({"messages": [{"role": "user", "content": text}]});
    let at = "/messages/0/content";
    let (plain, loaded) = (file(FileType::Png, plain()), file(FileType::Png, loaded(6)));
    assert_eq!(json_of(&body(&text(&plain))), Ok(Inspected::default()));
    // What stands behind its end.
    let more = [&plain[..], b"PK\x03\x04 and so on"].concat();
    let refused = Err((Reason::FileRefused, at.to_owned()));
    assert_eq!(json_of(&body(&text(&more))), refused);
    assert_eq!(json_of(&json!({"argument": text(&more)})).map(drop).unwrap_err().1, "/argument");
    let inspected = json_of(&body(&text(&loaded))).unwrap();
    let rewritten: Value = serde_json::from_slice(&inspected.rewritten.unwrap()).unwrap();
    let stripped = rules_of(all_types())
        .files
        .unwrap()
        .check(File { bytes: &loaded, declared: &[], extension: None })
        .unwrap();
    assert_eq!(rewritten, body(&text(&stripped.stripped.unwrap())));
    assert_eq!(json_of(&rewritten), Ok(Inspected::default()));
    // Of the wrong type, in another form, cut into lines.
    let good = text(&plain);
    for bad in [
        good.replace("image/png", "image/gif"),
        good.replace("data:", "Data:"),
        good.replace(";base64", ";charset=utf-8;base64"),
        good.replacen("AAA", "AA\nA", 1),
        good.replacen("AAA", "AA-", 1),
    ] {
        assert_ne!(bad, good);
        assert_eq!(json_of(&body(&bad)), refused, "{bad}");
    }
    // Each counts.
    let section = FilesSection { max_count: 1, ..all_types() };
    let counted = inspected_of(section, &body(&good));
    assert_eq!(counted, refused);
}

#[test]
fn addresses_are_what_the_policy_says() {
    let with = |addresses, url: &str| {
        let section = FilesSection { addresses, ..Default::default() };
        let body =
            json!({"messages": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}]});
        let inspected = inspected(section, "application/json", body.to_string().as_bytes());
        inspected
            .map(|inspected| serde_json::to_value(inspected.notes).unwrap()[0]["kind"].clone())
            .map_err(|(reason, _)| reason)
    };
    let good = "https://images.example.com/a.png";
    assert_eq!(with(Reaction::Refuse, good), Err(Reason::FileAddressRefused));
    assert_eq!(with(Reaction::Flag, good), Ok(json!("file_address")));
    assert_eq!(with(Reaction::Allow, good), Ok(Value::Null));
    for bad in
        ["http://169.254.169.254/", "http://localhost/a.png", "https://10.0.0.1/", "ftp://a.com/b"]
    {
        assert_eq!(with(Reaction::Allow, bad), Err(Reason::FileAddressRefused), "{bad}");
    }
    let url = json!({"source": {"url": good, "type": "url"}});
    assert_eq!(json_of(&url), Err((Reason::FileAddressRefused, "/source/url".to_owned())));
}

#[test]
fn a_policy_names_more_places() {
    let section = FilesSection { places: vec!["/photos/*/raw".to_owned()], ..all_types() };
    let png = plain_base64(FileType::Png);
    let check = |text: &str| {
        let body = json!({"photos": [{"raw": text}], "raw": text});
        inspected(section.clone(), "application/json", body.to_string().as_bytes()).map(drop)
    };
    assert_eq!(check(&png), Ok(()));
    let at = "/photos/0/raw".to_owned();
    assert_eq!(check("no base64"), Err((Reason::FileRefused, at.clone())));
    assert_eq!(check("https://images.example.com/"), Err((Reason::FileAddressRefused, at)));
}

#[test]
fn files_are_counted() {
    let url = format!("data:image/png;base64,{}", plain_base64(FileType::Png));
    let check = |count: usize| {
        let section = FilesSection { max_count: 2, ..Default::default() };
        let body = json!({"x": vec![&url; count]}).to_string();
        inspected(section, "application/json", body.as_bytes()).map(drop)
    };
    assert_eq!(check(2), Ok(()));
    assert_eq!(check(3), Err((Reason::FileRefused, "/x/2".to_owned())));
}

#[test]
fn the_test_virus_is_found_in_any_text() {
    let virus =
        ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
    for text in
        [virus.clone(), format!("see: {virus}"), STANDARD_NO_PAD.encode(format!("a{virus}"))]
    {
        let refused = json_of(&json!({"messages": [{"content": text}]}));
        assert_eq!(refused, Err((Reason::MalwareSuspected, "/messages/0/content".to_owned())));
    }
    let named = json_of(&json!({"a": {virus: 1}}));
    assert_eq!(named, Err((Reason::MalwareSuspected, "/a".to_owned())));
}

#[test]
fn files_of_forms_are_looked_at_alike() {
    let form = |name: &str, kind: &str, content: &[u8]| {
        let kind =
            if kind.is_empty() { String::new() } else { format!("\r\nContent-Type: {kind}") };
        let head = format!(
            "--x\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"{name}\"{kind}\r\n\r\n"
        );
        [head.as_bytes(), content, b"\r\n--x--\r\n"].concat()
    };
    let check = |name: &str, kind: &str, content: &[u8]| {
        inspected(all_types(), "multipart/form-data; boundary=x", &form(name, kind, content))
    };
    let png = file(FileType::Png, plain());
    for (name, kind) in [
        ("a.png", "image/png"),
        ("a.png", ""),
        ("blob", "image/png"),
        ("a.PNG", "application/octet-stream"),
        ("photo (1).png", "image/png"),
        ("Screenshot 2026-01-01 at 1.23.45\u{202f}PM.png", "image/png"),
        ("John's cat & dog - final, v2 [copy].png", "image/png"),
        ("select all from the menu.png", "image/png"),
    ] {
        assert_eq!(check(name, kind, &png), Ok(Inspected::default()), "{name} {kind}");
    }
    for (name, kind) in [
        ("a.jpg", "image/png"),
        ("a.png", "image/jpeg"),
        ("a.png", "image/png; x=y"),
        ("a.png", "text/html"),
    ] {
        let refused = Err((Reason::FileRefused, "/image[]".to_owned()));
        assert_eq!(check(name, kind, &png), refused, "{name} {kind}");
    }
    let bytes = file(FileType::Png, loaded(1));
    let rewritten = check("a.png", "image/png", &bytes).unwrap().rewritten.unwrap();
    assert!(!rewritten.windows(SECRET.len()).any(|window| window == SECRET));
    let again = inspected(all_types(), "multipart/form-data; boundary=x", &rewritten);
    assert_eq!(again, Ok(Inspected::default()));
    // A value that is a data URL is one in a form as well.
    let value = b"a=data%3Atext%2Fhtml%3Bbase64%2CPHNjcmlwdD4%3D";
    let refused = inspected(all_types(), "application/x-www-form-urlencoded", value);
    assert_eq!(refused.map(drop), Err((Reason::FileRefused, "/a".to_owned())));
}
