//! Secrets that are called so: `password: …`, `"api_key": "…"`, `the password is …`.

use super::bytes::{at, before, cut, entropy, run, run_back};
use super::url::is_template;
use super::{Kind, Scan};

/// How secret something by that name is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Strength {
    /// Chosen by people: short, and made of words.
    Password,
    /// Made by machines: long and random.
    Key,
}

use Strength::{Key, Password};

#[rustfmt::skip]
pub(super) const NAMES: &[(&str, Strength)] = &[
    ("password", Password), ("passwd", Password), ("passphrase", Password), ("passwort", Password),
    ("kennwort", Password), ("contraseña", Password), ("mot de passe", Password), ("пароль", Password),
    ("密码", Password), ("パスワード", Password), ("pwd", Password), ("pass", Password), ("senha", Password),
    ("passcode", Password), ("secret", Key), ("token", Key), ("api_key", Key), ("apikey", Key), ("api-key", Key),
    ("api key", Key), ("access_key", Key), ("access key", Key), ("accesskey", Key), ("access-key", Key),
    ("secret_key", Key), ("secret key", Key), ("secretkey", Key), ("account_key", Key), ("accountkey", Key),
    ("encryption_key", Key), ("signing_key", Key), ("private_key", Key), ("privatekey", Key), ("auth_key", Key),
    ("client_secret", Key), ("authorization", Key), ("x-api-key", Key), ("credential", Key), ("credentials", Key),
];

const MAXIMUM_VALUE_BYTES: usize = 512;

pub(super) fn find(scan: &mut Scan<'_>) {
    let names = std::mem::take(&mut scan.sightings.names);
    let mut covered = 0;
    for (row, range) in names {
        let Some((name, strength)) = NAMES.get(row) else { continue };
        let is_part = before(scan.text, range.start).is_ascii_lowercase() && *name == "pass";
        if range.start < covered || is_part {
            continue;
        }
        let Some((start, is_said)) = value_after(scan.text, range.end) else { continue };
        let Some((mut value, is_quoted)) = value(scan.text, start, is_said) else { continue };
        if is_in_query(scan.text, range.start) {
            value.end = run(scan.text, value.start, value.len(), |byte| byte != b'&');
        }
        let bytes = cut(scan.text, value.start, value.end);
        if is_secret(bytes, *strength, is_quoted, is_said)
            && !is_call(scan.text, value.end, is_quoted)
        {
            let rule = if *strength == Password { "named_password" } else { "named_key" };
            scan.report(Kind::Secret, rule, value.clone(), 0.7);
            covered = value.end;
        }
    }
}

/// Whether the name is that of a parameter in a URL, where an ampersand ends values.
fn is_in_query(text: &[u8], start: usize) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    b"?&".contains(&before(text, run_back(text, start, 32, is_name)))
}

/// Where the value begins, and whether the name was said in a sentence.
fn value_after(text: &[u8], end: usize) -> Option<(usize, bool)> {
    // What ends the name: `"`, `']`, `_1`, `Hash` is another name.
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let mut place = run(text, end, 4, |byte| b"\"'`]\\*".contains(&byte));
    place = run(text, place, 8, is_blank);
    for word in [&b"is "[..], b"is: ", b"ist ", b"es ", b"est ", b"was "] {
        if cut(text, place, place + word.len()).eq_ignore_ascii_case(word) {
            return Some((place + word.len(), true));
        }
    }
    for operator in [&b":="[..], b"=>", b"==", b"=", b":", "：".as_bytes()] {
        if cut(text, place, place + operator.len()) == operator {
            let place = place + operator.len();
            return Some((run(text, place, 8, |byte| is_blank(byte) || byte == b'\\'), false));
        }
    }
    None
}

fn value(text: &[u8], start: usize, is_said: bool) -> Option<(std::ops::Range<usize>, bool)> {
    let start = run(text, start, 2, |byte| matches!(byte, b'*' | b'(' | b' '));
    let quote = at(text, start);
    if b"\"'`".contains(&quote) {
        let from = start + 1;
        let end = run(text, from, MAXIMUM_VALUE_BYTES, |byte| {
            byte != quote && byte != b'\n' && byte != b'\\'
        });
        return Some((from..end, true));
    }
    let is_in =
        |byte: u8| byte.is_ascii_graphic() && !b"\"'`<>()[]{},;\\".contains(&byte) || byte >= 0x80;
    let mut end = run(text, start, MAXIMUM_VALUE_BYTES, is_in);
    // In a sentence the last sign is the sentence's.
    let ends: &[u8] = if is_said { b".!?:*" } else { b".*" };
    while end > start && ends.contains(&before(text, end)) {
        end -= 1;
    }
    Some((start..end, false))
}

fn is_secret(value: &[u8], strength: Strength, is_quoted: bool, is_said: bool) -> bool {
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    let (digit, letter) = (has(u8::is_ascii_digit), has(u8::is_ascii_alphabetic));
    let symbol = value.iter().any(|byte| b"!@#$%^&*+~?-".contains(byte));
    let blank = value.iter().any(u8::is_ascii_whitespace);
    if is_template(value) || blank {
        return false;
    }
    // Schemes, variables and types: `Bearer`, `os.environ`, `String`, `user.password`.
    match strength {
        Password => {
            let is_mixed = letter && digit || (symbol && letter && is_quoted);
            (6..=128).contains(&value.len())
                && is_mixed
                && (is_quoted || is_said || digit)
                && !value.contains(&b'/')
        }
        Key => {
            value.len() >= 16 && letter && digit && entropy(value) >= 3.0 && !value.contains(&b'/')
                || is_base64(value)
        }
    }
}

/// 40 characters and more of base64 may have slashes in them; a path has words.
fn is_base64(value: &[u8]) -> bool {
    let upper = value.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    value.len() >= 32
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
        && upper * 8 >= value.len()
        && digits * 16 >= value.len()
}

fn is_call(text: &[u8], end: usize, is_quoted: bool) -> bool {
    !is_quoted && matches!(at(text, end), b'(' | b'[')
}
