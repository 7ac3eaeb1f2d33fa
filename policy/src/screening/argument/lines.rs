//! Lines put into headers: encoded line breaks, and header fields behind them.

use super::super::Kind;
use super::command;
use super::findings::Findings;
use super::lexicon::HEADER;
use super::tokens::{NUMBER, Token, Tokens, WORD};

/// Looks at every line break. Those that stand in the text as it was given, which `is_given` says, are nothing
/// unusual.
pub(super) fn look(tokens: &Tokens<'_>, is_given: impl Fn(usize) -> bool, findings: &mut Findings) {
    // Most texts have one line.
    if memchr::memchr2(b'\n', b'\r', tokens.bytes).is_none() {
        return;
    }
    let mut before = Token::default();
    let end = Token {
        start: u32::try_from(tokens.bytes.len()).unwrap_or(u32::MAX),
        spaced: true,
        ..Token::default()
    };
    for (index, token) in tokens.iter().chain([(tokens.len(), end)]) {
        let gap = if token.spaced { gap(tokens, before, token) } else { &[] };
        before = token;
        let feeds = gap.iter().filter(|byte| **byte == b'\n').count();
        let returns = gap.iter().filter(|byte| **byte == b'\r').count();
        if feeds + returns == 0 {
            continue;
        }
        let start = usize::try_from(token.start).unwrap_or(usize::MAX).saturating_sub(gap.len());
        let mut breaks = gap.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r'));
        let is_encoded = breaks.any(|(offset, _)| !is_given(start.saturating_add(offset)));
        if is_encoded {
            command::look_line(tokens, index, findings);
        }
        let is_field = field(tokens, index);
        let score = match (is_encoded, is_field) {
            (true, true) => 0.9,
            (false, true) if returns > 0 => 0.6,
            (false, true) => 0.3,
            (true, false) if feeds > 0 && returns > 0 => 0.5,
            (true, false) => 0.2,
            (false, false) => continue,
        };
        let place = Token { end: token.end.max(token.start), ..token };
        findings.add(
            Kind::CrlfInjection,
            if is_field { "header" } else { "line_break" },
            score,
            place,
            place,
        );
    }
}

fn gap<'a>(tokens: &Tokens<'a>, before: Token, token: Token) -> &'a [u8] {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    tokens.bytes.get(place(before.end)..place(token.start)).unwrap_or_default()
}

/// `Set-Cookie:`, `HTTP/1.1 200`, `<html`, `RCPT TO:`.
fn field(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    let is_mail = matches!(tokens.word(token), b"rcpt" | b"mail" | b"bcc" | b"cc")
        && (tokens.at(index + 1).is(b':')
            || tokens.at(index + 2).is(b':')
                && matches!(tokens.word(tokens.at(index + 1)), b"to" | b"from"));
    if is_mail {
        return true;
    }
    if !token.has(HEADER) {
        return false;
    }
    if tokens.word(token) == b"http" {
        return tokens.at(index + 1).is_glued(b'/') && tokens.at(index + 2).is_glued(NUMBER);
    }
    let mut next = index + 1;
    let mut has_dash = false;
    while tokens.at(next).is_glued(b'-') && tokens.at(next + 1).is_glued(WORD) && next < index + 8 {
        has_dash = true;
        next += 2;
    }
    let is_name = has_dash
        || matches!(tokens.word(token), b"location" | b"refresh" | b"cookie" | b"host" | b"link");
    let is_old = tokens.word(tokens.at(index)).starts_with(b"content");
    tokens.at(next).is(b':') && (is_name || is_old)
}
