//! Path traversal and files that nobody asks a service for.

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{ENCODED, EXTENSION, FOLDER, SECRET_FILE};
use super::tokens::{NUMBER, Token, Tokens, WORD};

/// Looks at the tokens as paths.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// How many steps upwards were seen in a row of segments.
    steps: u32,
    /// Where the last step ended.
    last: u32,
}

impl Path {
    /// Looks at what begins with the token at `index`. To be called for each in turn.
    pub(super) fn look(
        &mut self,
        tokens: &Tokens<'_>,
        index: usize,
        token: Token,
        findings: &mut Findings,
    ) {
        let found = match token.shape {
            b'/' | b'\\' => self.separator(tokens, index, token),
            WORD if token.has(SECRET_FILE) => file(tokens, index, token),
            // `../../` in Base64.
            WORD if token.has(ENCODED) && tokens.word(token).starts_with(b"li4v") => {
                Some(("traversal", 0.8))
            }
            _ => None,
        };
        if let Some((rule, score)) = found {
            let first = tokens.before(index, if index >= 2 { 2 } else { index });
            findings.add(Kind::FileInclusion, rule, score, first, token);
        }
    }

    /// A separator: what stands before it may be a step upwards, what follows it a folder of the system.
    fn separator(&mut self, tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
        let start = usize::try_from(token.start).unwrap_or(0);
        let before = tokens.bytes.get(..start).unwrap_or_default();
        // Dots, with what some systems skip between them; `?` is what is left of a dot that could not be read.
        let is_dot = |byte: &u8| {
            matches!(byte, b'.' | b'?' | 0x01..=0x08 | 0 | 0x7f | b'"' | b'<' | b';' | b' ' | b'\\')
        };
        let (mut dots, mut marks, mut length) = (0, 0, 0);
        for byte in before.iter().rev().take(12).take_while(|byte| is_dot(byte)) {
            length += 1;
            match byte {
                b'.' => dots += 1,
                b'?' => marks += 1,
                _ => {}
            }
        }
        let left = start.checked_sub(length + 1).and_then(|at| tokens.bytes.get(at)).copied();
        let is_step = (dots == 2 || dots >= 1 && marks >= 1 || marks >= 2)
            && left.is_none_or(|byte| {
                !byte.is_ascii_alphanumeric() || dots == 2 && marks == 0 && byte.is_ascii_digit()
            });
        let is_long = dots > 2;
        if is_step || is_long {
            let is_near = token.start.saturating_sub(self.last) < 40;
            self.steps = if self.steps > 0 && is_near { self.steps + 1 } else { 1 };
            self.last = token.end;
            return match (self.steps, is_long || marks > 0) {
                (1, false) if length <= 4 => Some(("step", 0.6)),
                (1, true) if dots >= 8 => Some(("step", 0.6)),
                (1, _) => Some(("step", 0.3)),
                _ => Some(("traversal", 0.95)),
            };
        }
        folder(tokens, index, token)
    }
}

fn is_separator(token: Token) -> bool {
    matches!(token.shape, b'/' | b'\\')
}

/// The beginning of an absolute path: `/etc/`, `c:\windows\`.
fn folder(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let left = tokens.before(index, 1);
    let is_drive = left.is(b':') && tokens.before(index, 2).is(WORD) && {
        let drive = tokens.before(index, 2);
        drive.end - drive.start == 1
    };
    let begins = left.is_end() && tokens.is_first
        || is_drive
        || token.spaced
        || matches!(
            left.shape,
            b'=' | b'\''
                | b'"'
                | b'('
                | b','
                | b'`'
                | b'@'
                | b'<'
                | b'>'
                | b'/'
                | b'\\'
                | b'|'
                | b'&'
                | b'{'
        );
    let mut next = index + 1;
    while is_separator(tokens.at(next)) && next < index + 4 {
        next += 1;
    }
    let name = tokens.at(next);
    if !begins || !name.is_glued(WORD) || !name.has(FOLDER) {
        return None;
    }
    let after = tokens.at(next + 1);
    let below = tokens.at(next + 2);
    let is_whole = index <= 3 && tokens.is_first;
    let is_below = is_separator(after)
        && !below.spaced
        && (below.is(WORD) || below.is(NUMBER) || below.is(b'.'));
    let score = match tokens.word(name) {
        b"etc" | b"proc" if is_below => 0.8,
        b"var" | b"usr" | b"opt" if is_below => match tokens.word(below) {
            b"log" | b"spool" | b"mail" | b"adm" | b"run" | b"lib" | b"www" | b"local"
                if is_whole =>
            {
                0.7
            }
            b"log" => 0.5,
            _ if is_whole && tokens.word(name) == b"var" => 0.5,
            _ => 0.3,
        },
        b"root" | b"sys" | b"dev" | b"boot" if is_below && is_whole => 0.5,
        b"windows" | b"winnt" | b"inetpub" if is_drive || is_whole => 0.6,
        b"apache" | b"apache2" | b"httpd" | b"nginx" | b"xampp" | b"log" | b"logs" | b"program"
        | b"mysql" | b"library" | b"volumes" | b"private" | b"php" | b"conf" | b"tomcat"
            if is_whole && is_below || is_drive =>
        {
            if ends_in_secret(tokens, next) {
                0.6
            } else {
                0.3
            }
        }
        _ => 0.0,
    };
    (score > 0.0).then_some(("system_folder", score))
}

/// Whether the path that goes on at `index` ends in a log or a configuration file.
fn ends_in_secret(tokens: &Tokens<'_>, index: usize) -> bool {
    (0..24).any(|offset| {
        let token = tokens.at(index + offset);
        token.has(EXTENSION)
            && tokens.before(index + offset, 1).is_glued(b'.')
            && !tokens.at(index + offset + 1).is_glued(WORD)
    })
}

/// `etc/passwd`, `boot.ini`, `.ssh/id_rsa`.
fn file(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let left = tokens.before(index, 1);
    let next = tokens.at(index + 1);
    let extension = tokens.word(tokens.at(index + 2));
    let folder = tokens.word(tokens.before(index, 2));
    let has_extension = next.is_glued(b'.') && tokens.at(index + 2).is_glued(WORD);
    let word = tokens.word(token);
    let is_below = is_separator(left) && !token.spaced;
    let score = match word {
        b"boot" | b"win" | b"system" | b"php" if has_extension && extension == b"ini" => 0.7,
        b"inf"
            if left.is_glued(b'-') && next.is_glued(b'/') && matches!(folder, b"web" | b"meta") =>
        {
            0.6
        }
        b"git" | b"svn" | b"hg" | b"ssh" | b"aws" | b"kube" | b"docker"
            if left.is(b'.') && next.is_glued(b'/') && begins_path(tokens, index) =>
        {
            0.6
        }
        b"env" if left.is(b'.') && !next.is_glued(WORD) && begins_path(tokens, index) => 0.6,
        b"wp" if next.is_glued(b'-') && extension == b"config" => 0.7,
        b"web" if has_extension && extension == b"config" => 0.6,
        b"global" if has_extension && extension == b"asa" => 0.7,
        b"my" if has_extension && matches!(extension, b"cnf" | b"ini") => 0.6,
        b"httpd" if has_extension && extension == b"conf" => 0.6,
        b"access_log" | b"error_log" if is_below => 0.6,
        b"htaccess" | b"htpasswd" | b"bash_history" | b"bashrc" if left.is(b'.') => 0.6,
        b"id_rsa" | b"id_dsa" | b"id_ed25519" | b"authorized_keys" | b"gshadow" => 0.6,
        b"environ" | b"cmdline" | b"mounts" | b"fd" | b"version"
            if is_below && matches!(folder, b"self") =>
        {
            0.7
        }
        _ if is_below && folder == b"etc" => 0.8,
        // `etc` and `passwd` with something undecodable between.
        b"passwd" | b"shadow" if is_below => 0.6,
        b"sam" | b"config" if is_below && matches!(folder, b"config" | b"system32" | b"repair") => {
            0.6
        }
        _ => 0.0,
    };
    (score > 0.0).then_some(("secret_file", score))
}

/// Whether a hidden file whose name is the token at `index` begins the text, or a segment of a path.
fn begins_path(tokens: &Tokens<'_>, index: usize) -> bool {
    let before = tokens.before(index, 2);
    !tokens.at(index).spaced && (before.is_end() && tokens.is_first || is_separator(before))
}
