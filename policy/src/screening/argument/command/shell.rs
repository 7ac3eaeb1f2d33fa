//! What shells make of signs: substitutions, functions, patterns.

use super::super::findings::Found;
use super::super::lexicon::{COMMAND, FOLDER, PLAIN_COMMAND};
use super::super::tokens::{Tokens, WORD};
use super::command;

/// `$(id)`, `${IFS}`, `$PATH`, `<(cat file)`.
pub(super) fn substitution(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let next = tokens.at(index + 1);
    let inner = if next.is_glued(b'{') || next.is_glued(b'(') { index + 2 } else { index + 1 };
    let word = tokens.word(tokens.at(inner));
    if word == b"ifs" && !tokens.at(inner).spaced {
        return Some(("shell_variable", 0.9));
    }
    let is_call = next.is_glued(b'(');
    if is_call && !matches!(tokens.at(inner).shape, b'\'' | b'"' | b'.' | b'#' | b'<' | b'[') {
        if let Some((_, score)) = command(tokens, inner, true) {
            return Some(("substitution", score.max(0.6)));
        }
        let is_nested = matches!(tokens.at(inner).shape, b'$' | b'`' | b'(' | b'<');
        return is_nested.then_some(("substitution", 0.6));
    }
    let is_variable = matches!(word, b"shell" | b"path" | b"home" | b"pwd" | b"bash" | b"hostname");
    if next.is_glued(b'{') && is_variable && !tokens.at(inner + 1).is(WORD) {
        let is_cut =
            matches!(tokens.at(inner + 1).shape, b':' | b'#' | b'%' | b'/' | b'@' | b'^' | b',');
        return Some(("shell_variable", if is_cut { 0.7 } else { 0.3 }));
    }
    // `$'\x69d'`, `$@`, `$$` and the like in words: `c$@at`.
    let left = tokens.before(index, 1);
    let is_empty = matches!(next.shape, b'@' | b'*' | b'$' | b'?')
        && !next.spaced
        && !tokens.at(index).spaced
        && left.is(WORD);
    let is_joined = tokens.at(index + 2).is_glued(WORD);
    (is_empty && is_joined).then_some(("shell_variable", 0.6))
}

/// `() { :;};`.
pub(super) fn function(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let is_head = tokens.at(index + 1).is(b')') && tokens.at(index + 2).is(b'{');
    let is_empty = tokens.at(index + 3).is(b':')
        || tokens.at(index + 3).is_end()
        || tokens.at(index + 3).is(b'_');
    (is_head && is_empty && !tokens.before(index, 1).is_glued(WORD)).then_some(("shellshock", 0.9))
}

pub(super) fn redirection(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    if !tokens.at(index + 1).is_glued(b'(') {
        return None;
    }
    let (_, score) = command(tokens, index + 2, true)?;
    Some(("substitution", score))
}

/// `/bin/sh`, `/dev/tcp/`, `/usr/bin/id`, `/etc/p?sswd`.
pub(super) fn program(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let folder = tokens.at(index + 1);
    if !tokens.at(index + 2).is_glued(b'/') {
        return globbed(tokens, index);
    }
    let name = tokens.at(index + 3);
    match tokens.word(folder) {
        b"bin" | b"sbin" if name.has(COMMAND | PLAIN_COMMAND) => {
            let next = tokens.at(index + 4);
            let is_end = next.is_end() || next.spaced || !matches!(next.shape, WORD | b'/' | b'.');
            is_end.then_some(("program", 0.7))
        }
        b"dev" if matches!(tokens.word(name), b"tcp" | b"udp") => Some(("program", 0.9)),
        _ => globbed(tokens, index),
    }
}

/// `/etc/p[a]sswd`, `/?in/c?t`.
pub(super) fn globbed(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let left = tokens.before(index, 1);
    if tokens.before(index, 1).is_glued(WORD) && !tokens.at(index).spaced && !left.is_end() {
        return None;
    }
    let mut globs = 0;
    let mut words = 0;
    let mut separators = 1;
    for offset in 1..16 {
        let token = tokens.at(index + offset);
        if token.spaced || token.is_end() {
            break;
        }
        match token.shape {
            b'?' | b'*' | b'[' => globs += 1,
            b'/' => separators += 1,
            WORD => words += 1,
            b']' | b'-' | b'!' | b'^' | b'{' | b'}' | b',' => {}
            _ => break,
        }
    }
    let is_system =
        tokens.at(index + 1).has(FOLDER) || matches!(tokens.at(index + 1).shape, b'?' | b'*');
    (is_system && globs > 0 && words > 0 && separators > 1 && globs + words > 2)
        .then_some(("glob", 0.6))
}
