//! What a text consists of: words, numbers, amounts of money, links, e-mail addresses.

use std::ops::Range;

use crate::names::{CURRENCIES, TOP_LEVELS};

/// A piece of a canonical text (see [`crate::normalise`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Where it stands in the canonical text, in bytes.
    pub(crate) place: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, possibly with digits or apostrophes among them.
    Word(String),
    /// Digits, without the separators between them; `amount` where a currency stands beside it.
    Number { digits: String, amount: bool },
    /// `$`, `usd`, `rs` and the like.
    Currency(String),
    /// A link, in its parts.
    Link(Link),
    /// The domain of an e-mail address.
    Email { domain: String },
    /// `!`, `?`, `%` and the like: one that says something of the tone.
    Mark(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) scheme: Option<String>,
    pub(crate) host: String,
    pub(crate) has_path: bool,
    pub(crate) has_port: bool,
    /// Something stands before an `@` in the authority: `https://bank.com@evil.top`.
    pub(crate) has_userinfo: bool,
}

/// Cuts a canonical text into tokens. Linear in its length.
pub(crate) fn tokens(canonical: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    for chunk in canonical.split(' ') {
        push_chunk(chunk, start, &mut tokens);
        start += chunk.len() + 1;
    }
    mark_amounts(&mut tokens);
    tokens
}

fn push_chunk(chunk: &str, start: usize, tokens: &mut Vec<Token>) {
    let trimmed = unwrapped(chunk);
    let place = start..start + chunk.len();
    // A defanged link ("hxxp://evil[.]top") is a link to the reader who follows its instruction.
    let refanged;
    let candidate =
        if trimmed.contains("[.]") || trimmed.contains("(.)") || trimmed.starts_with("hxxp") {
            refanged = trimmed.replace("[.]", ".").replace("(.)", ".").replacen("hxxp", "http", 1);
            refanged.as_str()
        } else {
            trimmed
        };
    if let Some(domain) = email_domain(candidate) {
        tokens.push(Token { kind: Kind::Email { domain }, place });
        return;
    }
    if let Some(link) = link(candidate) {
        tokens.push(Token { kind: Kind::Link(link), place });
        return;
    }
    push_atoms(chunk, start, tokens);
}

/// A chunk without the brackets, quotes and full stops around it.
fn unwrapped(chunk: &str) -> &str {
    chunk.trim_matches(|character: char| {
        matches!(
            character,
            '(' | ')'
                | '<'
                | '>'
                | '['
                | ']'
                | '"'
                | '\''
                | ','
                | ';'
                | '!'
                | '.'
                | '“'
                | '”'
                | '*'
        )
    })
}

/// Whether a chunk is read as a link or an e-mail address.
pub(crate) fn is_link_or_address(chunk: &str) -> bool {
    let trimmed = unwrapped(chunk);
    email_domain(trimmed).is_some() || link(trimmed).is_some()
}

/// Letters, digits and marks of a chunk that is neither a link nor an address.
fn push_atoms(chunk: &str, start: usize, tokens: &mut Vec<Token>) {
    let mut run = String::new();
    let mut run_start = 0;
    let mut characters = chunk.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|&(_, next)| next);
        let inside_number = matches!(character, '.' | ',')
            && !run.is_empty()
            && run.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
            && next.is_some_and(|next| next.is_ascii_digit());
        let inside_word = matches!(character, '\'' | '’')
            && run.chars().last().is_some_and(char::is_alphabetic)
            && next.is_some_and(char::is_alphabetic);
        if character.is_alphanumeric() || inside_number {
            // "rs500" and "500usd" are a currency and a number.
            if let Some(cut) = currency_boundary(&run, character) {
                push_run(&cut, start + run_start..start + at, tokens);
                run.clear();
            }
            if run.is_empty() {
                run_start = at;
            }
            run.push(character);
            continue;
        }
        if inside_word {
            continue;
        }
        push_run(&run, start + run_start..start + at, tokens);
        run.clear();

        let place = start + at..start + at + character.len_utf8();
        if is_currency_symbol(character) {
            tokens.push(Token { kind: Kind::Currency(character.to_string()), place });
        } else if matches!(character, '!' | '?' | '%' | '*' | '#' | '&' | '+') {
            tokens.push(Token { kind: Kind::Mark(character), place });
        }
    }
    push_run(&run, start + run_start..start + chunk.len(), tokens);
}

/// The run so far, if it ends where `next` begins because one of both is a currency's code.
fn currency_boundary(run: &str, next: char) -> Option<String> {
    (next.is_ascii_digit() && is_currency_code(run)).then(|| run.to_owned())
}

fn push_run(run: &str, place: Range<usize>, tokens: &mut Vec<Token>) {
    if run.is_empty() {
        return;
    }
    let kind = if run.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')) {
        Kind::Number { digits: run.replace(['.', ','], ""), amount: false }
    } else if is_currency_code(run) {
        Kind::Currency(run.to_owned())
    } else {
        Kind::Word(run.to_owned())
    };
    tokens.push(Token { kind, place });
}

/// A number beside a currency is an amount.
fn mark_amounts(tokens: &mut [Token]) {
    let currencies: Vec<bool> =
        tokens.iter().map(|token| matches!(token.kind, Kind::Currency(_))).collect();
    for (index, token) in tokens.iter_mut().enumerate() {
        if let Kind::Number { amount, .. } = &mut token.kind {
            let before = index.checked_sub(1).and_then(|index| currencies.get(index));
            let after = currencies.get(index + 1);
            *amount = before == Some(&true) || after == Some(&true);
        }
    }
}

fn is_currency_symbol(character: char) -> bool {
    matches!(character, '$' | '£' | '¥' | '¢' | '\u{20a0}'..='\u{20cf}')
}

fn is_currency_code(word: &str) -> bool {
    CURRENCIES.binary_search(&word).is_ok()
}

/// The domain of an e-mail address.
fn email_domain(chunk: &str) -> Option<String> {
    let chunk = chunk.strip_prefix("mailto:").unwrap_or(chunk);
    let (local, domain) = chunk.split_once('@')?;
    let domain = domain.trim_end_matches(|character: char| !character.is_alphanumeric());
    if local.is_empty() || local.contains('/') || !is_domain(domain) {
        return None;
    }
    Some(domain.to_owned())
}

fn link(chunk: &str) -> Option<Link> {
    let (scheme, rest) = match chunk.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(char::is_alphanumeric) && !rest.is_empty() => {
            (Some(scheme.to_owned()), rest)
        }
        Some(_) => return None,
        None => (None, chunk),
    };
    let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end)?;
    let (userinfo, host_port) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    let (host, port) = match host_port.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host_port, None),
    };
    let host = host.trim_end_matches('.');
    let known = scheme.is_some() && !host.is_empty();
    if !known && !is_domain(host) && !(is_ipv4(host) && (port.is_some() || !path.is_empty())) {
        return None;
    }
    Some(Link {
        scheme,
        host: host.to_owned(),
        has_path: path.len() > 1,
        has_port: port.is_some_and(|port| !port.is_empty()),
        has_userinfo: userinfo.is_some(),
    })
}

pub(crate) fn is_ipv4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether a word with dots in it is a host name and not two sentences without a space.
fn is_domain(host: &str) -> bool {
    let Some((name, top)) = host.rsplit_once('.') else {
        return false;
    };
    let top_is_known = TOP_LEVELS.binary_search(&top).is_ok() || top.starts_with("xn--");
    top_is_known
        && !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|character| character.is_alphanumeric() || matches!(character, '-' | '_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    fn host(text: &str) -> Option<String> {
        tokens(text).into_iter().find_map(|token| match token.kind {
            Kind::Link(link) => Some(link.host),
            _ => None,
        })
    }

    #[test]
    fn links_are_found_however_they_are_written() {
        for (text, expected) in [
            ("pay at https://evil.top/a?b=1 now", "evil.top"),
            ("pay at (evil-bank.top).", "evil-bank.top"),
            ("bit.ly/abc", "bit.ly"),
            ("hxxp://evil[.]top/x", "evil.top"),
            ("http://1.2.3.4:80/", "1.2.3.4"),
            ("https://bank.com@evil.top/", "evil.top"),
        ] {
            assert_eq!(host(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(host("see you soon.tomorrow is fine, e.g. at 3.50"), None);
    }

    #[test]
    fn amounts_and_numbers() {
        assert_eq!(
            kinds("$1,000.50 or 500"),
            [
                Kind::Currency("$".into()),
                Kind::Number { digits: "100050".into(), amount: true },
                Kind::Word("or".into()),
                Kind::Number { digits: "500".into(), amount: false },
            ]
        );
        assert!(kinds("rs.500").contains(&Kind::Number { digits: "500".into(), amount: true }));
        assert!(kinds("rs500").contains(&Kind::Number { digits: "500".into(), amount: true }));
    }

    #[test]
    fn addresses_and_words() {
        assert_eq!(
            kinds("a.b@mail.example.com,"),
            [Kind::Email { domain: "mail.example.com".into() }]
        );
        assert_eq!(kinds("don't"), [Kind::Word("dont".into())]);
    }
}
