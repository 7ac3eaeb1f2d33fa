//! URLs with credentials in them (RFC 3986 §3.2.1, RFC 6750 §2.3).

use super::bytes::{at, before, cut, run, run_back};
use super::{Kind, Scan};

/// The longest authority and the longest value of a parameter that are read.
const MAXIMUM_BYTES: usize = 1024;

/// Query parameters that carry credentials.
pub(super) const PARAMETERS: &[&str] = &[
    "access_token=",
    "accesstoken=",
    "auth_token=",
    "id_token=",
    "refresh_token=",
    "token=",
    "api_key=",
    "apikey=",
    "api-key=",
    "x-api-key=",
    "key=",
    "sig=",
    "signature=",
    "password=",
    "passwd=",
    "pwd=",
    "secret=",
    "client_secret=",
    "auth=",
    "x-amz-signature=",
    "x-amz-security-token=",
    "x-goog-signature=",
    "awsaccesskeyid=",
    "code=",
    "session=",
    "sessionid=",
    "sid=",
    "jwt=",
];

pub(super) fn find(scan: &mut Scan<'_>) {
    let text = scan.text;
    let mut read = 0;
    for colon in memchr::memchr_iter(b':', text) {
        if cut(text, colon, colon + 3) != b"://" {
            continue;
        }
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let scheme = run_back(text, colon, 16, is_scheme);
        let start = colon + 3;
        if scheme == colon || start < read {
            continue;
        }
        let end = run(text, start, MAXIMUM_BYTES, |byte| {
            !byte.is_ascii_whitespace() && !b"/?#\"'<>\\()[]{},;".contains(&byte)
        });
        // A password may have a slash in it that somebody has not encoded.
        let end = if at(text, end) == b'/' && !cut(text, start, end).contains(&b'@') {
            let more = run(text, end, 64, |byte| {
                !byte.is_ascii_whitespace() && !b"?#\"'<>".contains(&byte)
            });
            let is_password = cut(text, start, end).contains(&b':')
                && cut(text, end, more).contains(&b'@')
                && !cut(text, start, end).rsplit(|b| *b == b':').next().is_some_and(is_port);
            if is_password { more } else { end }
        } else {
            end
        };
        read = end;
        let Some(length) = cut(text, start, end).iter().rposition(|byte| *byte == b'@') else {
            continue;
        };
        let userinfo = cut(text, start, start + length);
        let Some(colon) = userinfo.iter().position(|byte| *byte == b':') else {
            // A user without a password is still told to whoever reads it; a long one is a token.
            if userinfo.len() >= 20 {
                scan.report(Kind::CredentialUrl, "userinfo", start..start + length, 0.97);
            }
            continue;
        };
        let (user, password) = (cut(userinfo, 0, colon), cut(userinfo, colon + 1, length));
        if !password.is_empty() && !is_placeholder(user, password) {
            scan.report(Kind::CredentialUrl, "userinfo", start..start + length, 0.97);
        }
    }
    for index in 0..scan.sightings.parameters.len() {
        let Some(name) = scan.sightings.parameters.get(index).cloned() else { break };
        if !matches!(before(text, name.start), b'?' | b'&' | b';' | b'#') {
            continue;
        }
        let end = run(text, name.end, MAXIMUM_BYTES, |byte| {
            !byte.is_ascii_whitespace() && !b"&#\"'<>\\)]}`".contains(&byte)
        });
        let value = cut(text, name.end, end);
        let is_mixed =
            value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
        if value.len() >= 8 && (is_mixed || value.len() >= 20) && !is_template(value) {
            scan.report(Kind::CredentialUrl, "query_parameter", name.end..end, 0.9);
        }
    }
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// What documentation writes where a reader's own name and password belong.
fn is_placeholder(user: &[u8], password: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"pass", b"password", b"pwd", b"passwd", b"secret", b"pw"];
    let is_word = WORDS.iter().any(|word| password.eq_ignore_ascii_case(word));
    let is_user =
        [&b"user"[..], b"username", b"login"].iter().any(|word| user.eq_ignore_ascii_case(word));
    (is_word && is_user) || is_template(password)
}

/// `<token>`, `${TOKEN}`, `{{token}}`, `%s`, `***`, `your_token`.
pub(super) fn is_template(value: &[u8]) -> bool {
    let is_bracketed = value.first().is_some_and(|byte| b"<{$%[(".contains(byte));
    let is_masked = value.iter().all(|byte| b"*.xX#-_".contains(byte) || byte >= &0x80);
    let starts =
        |word: &[u8]| value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    is_bracketed || is_masked || starts(b"your") || starts(b"my_") || starts(b"example")
}
