//! What characters the path, the query and the header fields have; attacks in them, and personal data in the latter two.

#[cfg(test)]
mod tests;

use percent_encoding::percent_decode_str;

use super::strings::note;
use crate::access::{Header, Target};
use crate::problem::{Reason, Refusal};
use crate::screening::{ArgumentScreen, Kind, Notes, Screening, Unfit};

/// Fields that are not free text: proxies and the policy read them by their grammars, and a program behind does so too. In a
/// credential nearly anything may stand, and a match would be by chance. But whoever writes what came into a log need not read it
/// first.
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

/// Whether the path, the query and the header fields have only the characters that texts may have. Nothing can be taken out of
/// them, so it is refused what would be.
pub(super) fn check_characters(
    screening: &Screening,
    target: Option<&Target>,
    headers: &[Header<'_>],
) -> Result<(), Refusal> {
    let refused = |at: &str, Unfit { reason, expected, .. }: Unfit| {
        Refusal::new(reason, format!("Expected {expected}.")).finding(at, expected)
    };
    let parts = target.map(|target| [target.path.as_str(), target.query.as_deref().unwrap_or("")]);
    // Without an escape there are only characters of a URI.
    for part in parts.iter().flatten().filter(|part| part.contains('%')) {
        let text = percent_decode_str(part).decode_utf8().or_else(|_| {
            let expected = "UTF-8".to_owned();
            let unfit = Unfit { reason: Reason::TextInvalid, expected, character: 0 };
            match screening.refuses_control() {
                true => Err(refused(":path", unfit)),
                false => Ok(percent_decode_str(part).decode_utf8_lossy()),
            }
        })?;
        screening.check_in_head(&text).map_err(|unfit| refused(":path", unfit))?;
    }
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        // As nearly all are.
        if value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            continue;
        }
        // What is not UTF-8 is read as far as it is.
        let value = String::from_utf8_lossy(value);
        screening.check_in_head(&value).map_err(|unfit| refused(name, unfit))?;
    }
    Ok(())
}

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
        if name.starts_with(':') {
            continue;
        }
        if STRUCTURED.contains(name) {
            structured(screening, name, value, notes)?;
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

/// What no grammar has need of: templates, scripts, code and substitutions. Few values have one of the signs that each of them begins
/// with, and only those are read.
fn structured(
    screening: &Screening,
    name: &str,
    value: &[u8],
    notes: &mut Notes,
) -> Result<(), Refusal> {
    if memchr::memchr3(b'{', b'<', b'$', value).is_none() {
        return Ok(());
    }
    let mut found = screening.attacks(&String::from_utf8_lossy(value));
    // Less than certain it is by chance: a placeholder, or one of the signs that an ETag may well have.
    found.retain(|found| {
        let is_sure = found.detection.score >= ArgumentScreen::DENY;
        let is_possible = matches!(
            found.detection.kind,
            Kind::TemplateInjection | Kind::Xss | Kind::CodeInjection | Kind::CommandInjection
        );
        is_sure && is_possible
    });
    note(&found, || name.to_owned(), notes)
}

fn field(screening: &Screening, name: &str, value: &str, notes: &mut Notes) -> Result<(), Refusal> {
    let mut found = screening.attacks(value);
    // A referrer may well be on one's own machine, and a browser names what it likes in parentheses.
    found.retain(|found| !matches!(found.detection.kind, Kind::Ssrf | Kind::RemoteFileInclusion));
    note(&found, || name.to_owned(), notes)
}
