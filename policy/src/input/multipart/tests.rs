use proptest::prelude::*;

use super::*;

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A body of parts, each a header section and a content.
fn body(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (head, content) in parts {
        body.push_str(&format!("--{BOUNDARY}\r\n{head}\r\n\r\n{content}\r\n"));
    }
    format!("{body}--{BOUNDARY}--\r\n").into_bytes()
}

fn field(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

fn file(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"f\"; filename=\"{name}\"")
}

fn error(body: impl AsRef<[u8]>) -> Option<MultipartError> {
    parse(body.as_ref(), BOUNDARY, |_| false).err()
}

/// What is wrong with a part of this header section.
fn head_error(head: &str) -> Option<MultipartError> {
    error(body(&[(head, "x")]))
}

#[test]
fn reads_what_clients_send() {
    let body = body(&[
        (&field("model"), "whisper-1"),
        (&format!("{}\r\nContent-Type: text/plain; charset=utf-8", field("prompt")), "a\r\nb\n--c"),
        (&format!("{}\r\nContent-Type: image/png", file("größe 1.png")), "\r\n\r\n"),
        ("content-disposition: form-data; name=e; filename=a.png", ""),
        (
            &format!("Content-Length: 3\r\nContent-Transfer-Encoding: binary\r\n{}", field("l[]")),
            "abc",
        ),
        (&field("l[]"), ""),
    ]);
    let parts = parse(&body, BOUNDARY, |_| false).unwrap();
    let read: Vec<_> = parts
        .iter()
        .map(|part| (part.name, part.file_name, part.content_type, &body[part.content.clone()]))
        .collect();
    let expected = [
        ("model", None, None, &b"whisper-1"[..]),
        ("prompt", None, Some("text/plain; charset=utf-8"), b"a\r\nb\n--c"),
        ("f", Some("größe 1.png"), Some("image/png"), b"\r\n\r\n"),
        ("e", Some("a.png"), None, b""),
        ("l[]", None, None, b"abc"),
        ("l[]", None, None, b""),
    ];
    assert_eq!(read, expected);
    assert_eq!(error(body.strip_suffix(b"\r\n").unwrap()), None);
}

#[test]
fn boundaries_have_one_reading() {
    let longest = "b".repeat(70);
    for (value, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;Boundary=\"a'b+c_d.e-f\"", Some("a'b+c_d.e-f")),
        (&format!("multipart/form-data; boundary={longest}"), Some(longest.as_str())),
        (&format!("multipart/form-data; boundary=b{longest}"), None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"\"", None),
        ("multipart/form-data; boundary=--", None),
        ("multipart/form-data; boundary=a b", None),
        ("multipart/form-data; boundary=\"a b\"", None),
        ("multipart/form-data; boundary=\"a", None),
        ("multipart/form-data; boundary=a\"", None),
        ("multipart/form-data; boundary=\"a\\b\"", None),
        ("multipart/form-data; boundary=a,b", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=a; charset=utf-8", None),
        ("multipart/form-data; charset=utf-8; boundary=a", None),
        ("multipart/form-data; x=boundary=a", None),
        ("multipart/form-data; boundary*=utf-8''a", None),
        ("multipart/form-data; boundary*0=a", None),
        ("multipart/form-data; boundary =a", None),
        ("multipart/form-data; boundary=a;", None),
        ("multipart/mixed; boundary=a", None),
        ("multipart/form-data, multipart/form-data; boundary=a", None),
        ("multipart/form-data; boundary=é", None),
    ] {
        assert_eq!(boundary(value.as_bytes()).ok(), expected, "{value}");
    }
    assert_eq!(boundary(b"multipart/form-data; boundary=a\xff"), Err(MultipartError::Boundary));
}

#[test]
fn nothing_stands_before_between_or_behind() {
    use MultipartError::*;
    let good = String::from_utf8(body(&[(&field("a"), "1"), (&field("b"), "2")])).unwrap();
    let line = format!("--{BOUNDARY}");
    for (bad, expected) in [
        (format!("\r\n{good}"), Preamble),
        (format!("preamble\r\n{good}"), Preamble),
        (String::new(), Preamble),
        (format!("{good}\r\n"), End),
        (format!("{good}epilogue"), End),
        (good.trim_end().trim_end_matches('-').to_owned(), Delimiter),
        (good.replace(&format!("{line}--\r\n"), ""), End),
        // Only line feeds, only carriage returns, some of them.
        (good.replace("\r\n", "\n"), Delimiter),
        (good.replace("\r\n", "\r"), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\n{line}")), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\r{line}")), Delimiter),
        // In the middle of a line; with something behind it.
        (good.replace(&format!("1\r\n{line}"), &format!("1\r\nx{line}")), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\r\n-{line}")), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\r\n{line} \t")), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\r\n{line}x")), Delimiter),
        (good.replace(&format!("1\r\n{line}"), &format!("1\r\n{line}--")), End),
        // An empty content shares no line end with the empty line.
        (good.replace(&format!("\r\n\r\n1\r\n{line}"), &format!("\r\n\r\n{line}")), HeaderSection),
        (format!("{line}--\r\n"), Count),
        (format!("{line}--"), Count),
        (format!("{line}\r\n\r\nx\r\n{line}--"), HeaderSection),
        (format!("{line}\r\n\r\n\r\nx\r\n{line}--"), HeaderField),
    ] {
        assert_eq!(error(&bad), Some(expected), "{bad:?}");
    }
    let many: Vec<_> = (0..101).map(|n| (field(&format!("n{n}")), "")).collect();
    let many: Vec<_> = many.iter().map(|(head, content)| (head.as_str(), *content)).collect();
    assert_eq!(error(body(&many[..100])), None);
    assert_eq!(error(body(&many)), Some(Count));
}

#[test]
fn header_fields_have_one_reading() {
    use MultipartError::*;
    let good = field("a");
    for (head, expected) in [
        (String::new(), HeaderField),
        ("Content-Type: text/plain".to_owned(), Disposition),
        (format!("{good}\r\n{good}"), HeaderField),
        (format!("{good}\r\nContent-Type: a/b\r\nContent-Type: a/b"), HeaderField),
        (format!("{good}\r\nX-Other: a"), HeaderField),
        (format!("{good}\r\nContent-Type : a/b"), HeaderField),
        (format!(" {good}"), HeaderField),
        (format!("{good};\r\n filename=\"a.png\""), Disposition),
        (format!("{good}\r\n filename=\"a.png\""), HeaderField),
        (format!("{good}\r\n Content-Type: a/b"), HeaderField),
        (format!("{good}\nContent-Type: a/b"), HeaderField),
        (format!("{good}\rContent-Type: a/b"), HeaderField),
        (format!("{good}\0"), HeaderField),
        (format!("{good}\t"), HeaderField),
        (format!("{good} "), HeaderField),
        (good.replace(": ", ":  "), HeaderField),
        (format!("{good}\r\nContent-Type:"), HeaderField),
        (format!("{good}\r\nContent-Transfer-Encoding: base64"), TransferEncoding),
        (format!("{good}\r\nContent-Transfer-Encoding: quoted-printable"), TransferEncoding),
        (format!("{good}\r\nContent-Length: 2"), Length),
        (format!("{good}\r\nContent-Length: 01"), Length),
        (format!("{good}\r\nContent-Length: +1"), Length),
        (format!("{good}\r\nContent-Type: {}", "a".repeat(1024)), HeaderSection),
        ("Content-Disposition: form-data".to_owned(), Disposition),
        ("Content-Disposition: form-data; filename=\"a.png\"".to_owned(), Disposition),
        (good.replace("form-data", "attachment"), Disposition),
        (good.replace("form-data", "form-data "), Disposition),
        (format!("{good};"), Disposition),
        (format!("{good}; name=\"b\""), Disposition),
        (format!("{good}; NAME=\"b\""), Disposition),
        (format!("{good}; name =\"b\""), Disposition),
        (format!("{good}; filename=\"a\"; filename=\"b\""), Disposition),
        (format!("{good}; filename*=utf-8''a.png"), ExtendedName),
        (format!("{good}; filename*0=\"a\""), Disposition),
        (format!("{good}; name*=utf-8''b"), ExtendedName),
        (format!("{good}; filename=\"a\"b"), Disposition),
        (format!("{good}; filename=\"a"), Disposition),
        (format!("{good}; filename='a.png'"), Disposition),
        (format!("{good}; filename=a b"), Disposition),
        (format!("{good}; size=3"), Disposition),
    ] {
        assert_eq!(head_error(&head), Some(expected), "{head:?}");
    }
    let latin = body(&[(&field("a"), "x")]);
    let latin: Vec<u8> =
        latin.iter().map(|byte| if *byte == b'a' { 0xe4 } else { *byte }).collect();
    assert!(error(latin).is_some());
}

#[test]
fn names_are_read_in_one_way() {
    let longest = "n".repeat(128);
    for name in ["a", "A-b_c.d:e", "a[b]", "a[b][c]", "a[]", "a[b][]", "a[0]", &longest] {
        assert_eq!(head_error(&field(name)), None, "{name}");
    }
    let longer = "n".repeat(129);
    for name in [
        "",
        "a b",
        " a",
        "é",
        "a[",
        "a]",
        "a[b",
        "a[b]c",
        "[a]",
        "a[][b]",
        "a[[b]]",
        "a%5b",
        "a;b",
        "a\\b",
        "a=b",
        "_charset_",
        "_CHARSET_",
        "__proto__",
        "a[__proto__]",
        "a[constructor]",
        "a[b][prototype]",
        "a'b",
        "a&b",
        "a+b",
        "$a",
        &longer,
    ] {
        assert_eq!(head_error(&field(name)), Some(MultipartError::Name), "{name}");
    }
}

#[test]
fn no_name_stands_for_two_parts() {
    let both = |one: &str, two: &str| error(body(&[(&field(one), "1"), (&field(two), "2")]));
    for (one, two) in
        [("a", "b"), ("a[]", "a[]"), ("a[b]", "a[c]"), ("a[b][]", "a[b][]"), ("a", "ab")]
    {
        assert_eq!(both(one, two), None, "{one} and {two}");
    }
    for (one, two) in [
        ("a", "a"),
        ("a", "A"),
        ("a.b", "a_b"),
        ("a", "a[]"),
        ("a", "a[b]"),
        ("a[b]", "a[b]"),
        ("a[]", "a[0]"),
        ("a[b]", "a[b][c]"),
        ("a[b]", "a[b][]"),
    ] {
        assert_eq!(both(one, two), Some(MultipartError::Repeated), "{one} and {two}");
        assert_eq!(both(two, one), Some(MultipartError::Repeated), "{two} and {one}");
    }
}

#[test]
fn file_names_lead_nowhere() {
    let longest = format!("{}.png", "n".repeat(251));
    for name in [
        "a",
        "a.png",
        "blob",
        "a b (1).png",
        "report.v2.final.pdf",
        "größe.png",
        "写真.jpg",
        "a=b.png",
        "100%.txt",
        "console.png",
        "com10.png",
        "Screenshot 2026-01-01 at 1.23.45\u{202f}PM.png",
        "a,b.png",
        "a-b_c.png",
        "example.com.png",
        &longest,
    ] {
        assert_eq!(head_error(&file(name)), None, "{name}");
    }
    let longer = "n".repeat(256);
    for name in [
        "",
        ".",
        "..",
        "../a.png",
        "a/b.png",
        "a\\b.png",
        "/etc/passwd",
        "C:\\a.png",
        "a:b.png",
        "a.png::$DATA",
        ".htaccess",
        ".a.png",
        "a.png.",
        "a.png ",
        " a.png",
        "-rf",
        "~a",
        "a..png",
        "a\u{ff0f}b.png",
        "a\u{2215}b.png",
        "a\u{ff3c}b.png",
        "\u{ff0e}\u{ff0e}",
        "\u{2025}a",
        "a\u{202e}gnp.exe",
        "a\u{200b}.png",
        "a\u{e0041}.png",
        "con",
        "CON.png",
        "nul.tar.png",
        "aux .png",
        "com1.png",
        "LPT9",
        "com\u{b9}.png",
        "conin$",
        "a.php",
        "a.php.png",
        "a.PHP5.png",
        "a.phtml.jpg",
        "a.exe.png",
        "a.png.js",
        "a.html",
        "a%2fb.png",
        "a%00.png",
        "a%22.png",
        "a;b.png",
        "a*.png",
        "a?.png",
        "a|b",
        "a<b>.png",
        "a`b`.png",
        "a$(b).png",
        &longer,
    ] {
        let error = head_error(&file(name));
        assert!(matches!(error, Some(MultipartError::FileName(_))), "{name:?}: {error:?}");
    }
    // A byte that ends names in C ends the header section here.
    for name in ["a\0.png", "a\u{85}.png", "a\t.png"] {
        assert_eq!(head_error(&file(name)), Some(MultipartError::HeaderField), "{name:?}");
    }
}

#[test]
fn contents_are_replaced_with_their_lengths() {
    let head = format!("{}\r\nContent-Length: 5", field("b"));
    let old = body(&[(&field("a"), "1"), (&head, "12345"), (&field("c"), "3")]);
    let parts = parse(&old, BOUNDARY, |_| false).unwrap();
    let head = head.replace('5', "2");
    let new = body(&[(&field("a"), ""), (&head, "xy"), (&field("c"), "3")]);
    let replaced = replace(&old, &parts, &[Some(Vec::new()), Some(b"xy".to_vec()), None]);
    assert_eq!(String::from_utf8(replaced), String::from_utf8(new));
    assert_eq!(replace(&old, &parts, &[None, None, None]), old);
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = boundary(&bytes);
        let _ = parse(&bytes, "a", |_| false);
        let _ = parse(&[b"--a\r\n", bytes.as_slice(), b"\r\n--a--"].concat(), "a", |_| false);
    }

    /// Whatever a good body is changed into: the boundary stands between parts and nowhere else.
    #[test]
    fn what_is_read_has_no_boundary_in_it(
        place in any::<prop::sample::Index>(),
        removed in 0_usize..8,
        inserted in prop::sample::select(vec!["", "\r\n", "\n", "--", "--a", "\r\n--a\r\n", ": ", "\"", ";"]),
    ) {
        let whole = "--a\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nb\r\n--a\r\n\
                     Content-Disposition: form-data; name=\"y\"; filename=\"z\"\r\n\r\nb\r\n--a--\r\n";
        let at = place.index(whole.len());
        let end = (at + removed).min(whole.len());
        let body = [&whole[..at], inserted, &whole[end..]].concat();
        if let Ok(parts) = parse(body.as_bytes(), "a", |_| false) {
            prop_assert_eq!(body.matches("--a").count(), parts.len() + 1);
            prop_assert_eq!(body.matches("\r\n--a").count(), parts.len());
            for part in parts {
                prop_assert!(!body[part.content].contains("--a"));
            }
        }
    }

    #[test]
    fn contents_come_back(contents in prop::collection::vec("[a-z\\r\\n\\-:;\" ]{0,20}", 1..5)) {
        let heads: Vec<String> = (0..contents.len()).map(|n| field(&format!("n{n}"))).collect();
        let parts: Vec<_> = heads.iter().zip(&contents).map(|(h, c)| (h.as_str(), c.as_str())).collect();
        let body = body(&parts);
        let read = parse(&body, BOUNDARY, |_| false).unwrap();
        let read: Vec<&[u8]> = read.into_iter().map(|part| &body[part.content]).collect();
        let sent: Vec<&[u8]> = contents.iter().map(String::as_bytes).collect();
        prop_assert_eq!(read, sent);
    }
}

#[test]
fn lists_may_be_there_again_in_one_spelling() {
    let part = |name: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n")
    };
    let error = |names: &[&str]| {
        let parts: String = names.iter().map(|name| part(name)).collect();
        parse(format!("{parts}--{BOUNDARY}--").as_bytes(), BOUNDARY, |name| name == "a").err()
    };
    assert_eq!(error(&["a", "b", "a", "a"]), None);
    for names in [
        &["a", "A"][..],
        &["A", "a"],
        &["b", "b"],
        &["a", "a[]"],
        &["a[b]", "a"],
        &["a", "a", "a[b]"],
    ] {
        assert_eq!(error(names), Some(MultipartError::Repeated), "{names:?}");
    }
}
