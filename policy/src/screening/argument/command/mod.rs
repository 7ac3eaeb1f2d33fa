//! Commands for a shell: where one can begin, with the name of a program, however it is spelled.

mod shell;

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{COMMAND, FOLDER, PLAIN_COMMAND, WEB_SCHEME};
use super::tokens::{AND, NUMBER, OR, Token, Tokens, WORD};

/// Looks at what begins with the token at `index`.
pub(super) fn look(tokens: &Tokens<'_>, index: usize, token: Token, findings: &mut Findings) {
    let found = match token.shape {
        b';' | b'|' | b'&' | OR | AND => separated(tokens, index, token),
        b'`' => quoted(tokens, index),
        b'$' => shell::substitution(tokens, index),
        b'(' => shell::function(tokens, index),
        b'<' | b'>' => shell::redirection(tokens, index),
        b'/' => shell::program(tokens, index),
        WORD if token.has(COMMAND) => named(tokens, index, token),
        _ => None,
    };
    if let Some((rule, score)) = found {
        findings.add(Kind::CommandInjection, rule, score, token, tokens.at(index + 1));
    }
}

/// Looks at the text as a command line.
pub(super) fn look_start(tokens: &Tokens<'_>, findings: &mut Findings) {
    if let Some((rule, score)) = alone(tokens, 0).filter(|_| tokens.is_first) {
        findings.add(Kind::CommandInjection, rule, score, tokens.at(0), tokens.at(1));
    }
}

/// A new line is a separator as well, where it does not belong: looked at only if it was encoded.
pub(super) fn look_line(tokens: &Tokens<'_>, index: usize, findings: &mut Findings) {
    if let Some((rule, score)) = command(tokens, index, true) {
        findings.add(Kind::CommandInjection, rule, score, tokens.at(index), tokens.at(index + 1));
    }
}

fn separated(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let left = tokens.before(index, 1);
    // `&name=value` and `&#8222;` are no commands.
    let next = tokens.at(index + 1);
    if token.is(b'&')
        && (next.is_glued(b'#')
            || next.is_glued(WORD) && matches!(tokens.at(index + 2).shape, b'=' | b';'))
    {
        return None;
    }
    let is_first = left.is_end() && tokens.is_first;
    let is_glued = !next.spaced || !token.spaced || left.is_quote() || left.is(b')');
    command(
        tokens,
        index + 1,
        is_first || is_glued && !token.is(b'&') || token.is(b'|') || token.is(AND) || token.is(OR),
    )
}

/// The program whose name begins at `index`, through quotation marks and paths.
fn command(tokens: &Tokens<'_>, start: usize, is_sure: bool) -> Option<Found> {
    let mut index = start;
    let mut has_path = false;
    let mut is_quoted = false;
    while index < start + 10 {
        let token = tokens.at(index);
        match token.shape {
            b'/' => has_path = true,
            b'\'' | b'"' | b'\\' | b'`' | b'+' | b'@' => is_quoted = true,
            b'(' | b'{' | b'$' | b'!' | b'|' | b'&' | b'.' | b'*' | b'?' | AND | OR => {}
            WORD if has_path && token.has(FOLDER) && tokens.at(index + 1).is_glued(b'/') => {}
            WORD if matches!(
                tokens.word(token),
                b"sudo" | b"nohup" | b"time" | b"exec" | b"command" | b"busybox" | b"env" | b"n"
            ) && tokens.at(index + 1).is(WORD) => {}
            _ => break,
        }
        index += 1;
    }
    let token = tokens.at(index);
    let next = tokens.at(index + 1);
    if !token.has(COMMAND | PLAIN_COMMAND) {
        // `;rmt --version`: any word with an option behind a separator that begins the text.
        let begins = start == 1 && tokens.is_first && token.is(WORD);
        let mut option = index + 1;
        option += usize::from(tokens.at(option).is_quote() && !tokens.at(option).spaced);
        let is_option = matches!(tokens.at(option).shape, b'-' | super::tokens::DASHES)
            && is_argument(tokens, option);
        return (begins && is_option).then_some(("command", 0.5));
    }
    let is_over = next.is_end() && tokens.is_last
        || matches!(next.shape, b';' | b'|' | b'&' | OR | AND | b'`' | b'>' | b'<' | b'$' | b'#')
        || matches!(next.shape, b'\'' | b'"' | b')' | b'}') && !next.spaced
        || next.is_glued(b'\\');
    let is_option = is_argument(tokens, index + 1) || is_sure && is_windows_verb(tokens, index);
    if token.has(COMMAND) {
        let is_call = next.is_glued(b'(') || next.is_glued(b'=') || next.is_glued(b':');
        let is_glued = next.is_glued(b'.') || next.is_glued(b'-') || next.is_glued(WORD);
        return match () {
            () if is_call || is_glued => None,
            () if is_over || is_option => Some(("command", 0.85)),
            () if has_path || is_quoted || is_sure => Some(("command", 0.6)),
            () => Some(("command", 0.4)),
        };
    }
    let writes = matches!(tokens.word(token), b"echo" | b"printf" | b"print" | b"type")
        && (1..8).any(|offset| tokens.at(index + offset).is(b'>'));
    match () {
        () if is_sure && writes => Some(("command", 0.6)),
        () if has_path && (is_over || is_option) => Some(("command", 0.8)),
        () if is_option && is_sure => Some(("command", 0.8)),
        // `| Date |`: a table.
        () if tokens.before(start, 1).is(b'|') && token.spaced && next.is(b'|') && next.spaced => {
            (tokens.len() <= 4).then_some(("command", 0.5))
        }
        () if is_over && is_sure && !next.is_glued(b'$') => Some(("command", 0.6)),
        () if is_option => Some(("command", 0.5)),
        () => None,
    }
}

/// Whether an option, a path or an address stands at `index`: what follows a program's name and not a word.
fn is_argument(tokens: &Tokens<'_>, index: usize) -> bool {
    let (token, next) = (tokens.at(index), tokens.at(index + 1));
    match token.shape {
        b'-' | super::tokens::DASHES => {
            token.spaced && !next.spaced && next.is(WORD) || token.spaced && next.is_glued(NUMBER)
        }
        b'/' | b'\\' | b'~' => token.spaced && !next.spaced,
        b'.' => token.spaced && matches!(next.shape, b'.' | b'/'),
        b'*' | b'<' | b'>' | b'$' => token.spaced && !next.is(NUMBER),
        NUMBER => {
            let word = tokens.word(tokens.before(index, 1));
            matches!(word, b"sleep" | b"ping" | b"kill")
                && (tokens.at(index + 1).is_end() || !tokens.at(index + 1).is(WORD))
        }
        b'\'' | b'"' => token.spaced,
        WORD => {
            let is_url = token.has(WEB_SCHEME) && next.is_glued(b':');
            let is_drive = token.end - token.start == 1 && next.is_glued(b':');
            let is_path =
                next.is_glued(b'/') || next.is_glued(b'.') && tokens.at(index + 2).is_glued(WORD);
            is_url || is_drive || is_path
        }
        _ => false,
    }
}

/// `` `id` ``.
fn quoted(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let left = tokens.before(index, 1);
    let close = (1..16).find(|offset| tokens.at(index + offset).is(b'`'))?;
    let (rule, score) = command(tokens, index + 1, true)?;
    // Documentation sets names in backquotes, with blanks around.
    let token = tokens.at(index);
    let after = tokens.at(index + close + 1);
    let is_whole = left.is_end() && tokens.is_first && after.is_end();
    let is_glued = !token.spaced && !left.is_end() || !after.spaced && after.is(WORD);
    let is_long = close > 2 && score > 0.7;
    match () {
        () if is_whole || is_glued => Some((rule, score)),
        () if is_long && tokens.at(index + 1).is(b'/') => Some((rule, 0.5)),
        () => Some((rule, 0.3)),
    }
}

/// A whole command line, without anything before it.
fn alone(tokens: &Tokens<'_>, start: usize) -> Option<Found> {
    let mut index = start;
    while matches!(tokens.at(index).shape, b'\'' | b'"' | b'@' | b')' | b'+' | b'.' | b'\\')
        && index < start + 4
    {
        index += 1;
    }
    let token = tokens.at(index);
    let next = tokens.at(index + 1);
    if !token.has(COMMAND | PLAIN_COMMAND) {
        return None;
    }
    let is_plain = !token.has(COMMAND);
    if is_argument(tokens, index + 1) && (!is_plain || is_typical(tokens, index)) {
        return Some(("command_line", 0.6));
    }
    let is_piped = matches!(next.shape, b'|' | OR | AND | b';' | b'>') || next.is(b'&');
    if token.has(COMMAND) && is_piped && next.shape != b';' {
        return Some(("command_line", 0.6));
    }
    is_windows_verb(tokens, index).then_some(("command_line", 0.6))
}

/// `net user`, `reg add`, `type %systemroot%`.
fn is_windows_verb(tokens: &Tokens<'_>, index: usize) -> bool {
    let next = tokens.at(index + 1);
    let verb = tokens.word(next);
    next.spaced
        && match tokens.word(tokens.at(index)) {
            b"net" => matches!(
                verb,
                b"user" | b"localgroup" | b"share" | b"use" | b"view" | b"group" | b"start"
            ),
            b"reg" => matches!(verb, b"add" | b"query" | b"delete" | b"save"),
            b"sc" => verb == b"query",
            b"which" => next.has(COMMAND),
            b"netsh" => next.is(WORD),
            b"type" | b"dir" | b"copy" | b"echo" => {
                next.is(b'%') && tokens.at(index + 2).is_glued(WORD)
            }
            _ => false,
        }
}

/// Whether what looks like an argument is one for a program whose name is a word as well.
fn is_typical(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index + 1);
    match token.shape {
        b'-' => tokens.at(index + 2).end - tokens.at(index + 2).start <= 4,
        b'/' => {
            tokens.at(index + 2).has(FOLDER)
                || tokens.at(index + 2).end - tokens.at(index + 2).start <= 3
        }
        b'.' => true,
        NUMBER => tokens.len() <= index + 2,
        WORD => token.end - token.start == 1 && tokens.at(index + 2).is_glued(b':'),
        b'<' | b'>' | b'$' => false,
        _ => false,
    }
}

/// The name of a program amid text: `... curl -o x http://...`.
fn named(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let word = tokens.word(token);
    let next = tokens.at(index + 1);
    let is_cmdlet = word == b"invoke"
        && next.is_glued(b'-')
        && matches!(
            tokens.word(tokens.at(index + 2)),
            b"webrequest" | b"expression" | b"restmethod" | b"command" | b"item" | b"shellcode"
        );
    let is_download = matches!(word, b"wget" | b"curl" | b"certutil" | b"bitsadmin")
        && next.has(WEB_SCHEME)
        && tokens.at(index + 2).is_glued(b':');
    let is_shell =
        matches!(word, b"sh" | b"bash" | b"zsh" | b"ksh" | b"cmd" | b"powershell" | b"pwsh")
            && (next.is(b'-')
                && tokens.at(index + 2).is_glued(WORD)
                && matches!(
                    tokens.word(tokens.at(index + 2)),
                    b"c" | b"i"
                        | b"enc"
                        | b"e"
                        | b"nop"
                        | b"w"
                        | b"command"
                        | b"encodedcommand"
                        | b"exec"
                )
                || word == b"cmd"
                    && next.is(b'/')
                    && next.spaced
                    && matches!(tokens.word(tokens.at(index + 2)), b"c" | b"k"));
    let is_windows = next.is_glued(b'.')
        && tokens.is_word(index + 2, "exe")
        && matches!(
            word,
            b"cmd" | b"powershell" | b"certutil" | b"wmic" | b"mshta" | b"cscript" | b"wscript"
        );
    let is_listener =
        matches!(word, b"nc" | b"ncat" | b"netcat" | b"socat") && is_argument(tokens, index + 1);
    match () {
        () if is_shell || is_listener => Some(("shell", 0.7)),
        () if is_cmdlet => Some(("cmdlet", 0.6)),
        () if is_windows => Some(("shell", 0.6)),
        () if is_download => Some(("download", 0.5)),
        () => None,
    }
}
