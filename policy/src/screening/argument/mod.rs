//! Attacks on programs in arguments: in values of queries and forms, in the strings of a JSON body. What is given
//! to a model as prose is another matter: there people talk about SQL.
//!
//! A text is read as it stands and as it reads decoded (`decode`), each in lower case; cut into words, numbers and
//! signs (`tokens`), of which some hundred words are known (`lexicon`); and then looked at token by token by rules
//! for each kind of attack, none of which looks further than a few tokens. So everything takes linear time.

mod address;
mod code;
mod command;
mod decode;
mod findings;
mod fold;
mod host;
mod lexicon;
mod lines;
mod markup;
mod path;
mod query;
mod script;
mod sql;
mod template;
mod tokens;

#[cfg(test)]
mod tests;

use super::{Detection, Kind};
use crate::byte_set;
use decode::View;
use findings::Findings;
pub(crate) use host::{Place as HostPlace, place as host_place};
use lexicon::Lexicon;
use tokens::{AND, COMMENT, DASHES, OR, Shape, Token, Tokens, WORD};

/// What is looked at in one go, and how much of it again with what follows. Bounds the memory for tokens.
const WINDOW: usize = 32 * 1024;
const OVERLAP: usize = 1024;

/// Finds attacks on programs in arguments.
#[derive(Debug)]
pub struct ArgumentScreen {
    lexicon: Lexicon,
}

impl ArgumentScreen {
    /// From this score on, a detection is a reason to refuse the text.
    pub const DENY: f32 = 0.5;

    /// Compiles the tables.
    #[must_use]
    pub fn new() -> Self {
        Self { lexicon: Lexicon::new() }
    }

    /// What was found, the best of each kind.
    #[must_use]
    pub fn screen(&self, text: &str) -> Vec<Detection> {
        let mut found = Vec::new();
        if !may_hold_anything(text.as_bytes()) {
            return found;
        }
        let plain = View::plain(text);
        self.look(&plain, text, false, &mut found);
        if let Some(decoded) = plain.decoded() {
            self.look(&decoded, text, true, &mut found);
        }
        found
    }

    fn look(&self, view: &View, text: &str, is_decoded: bool, found: &mut Vec<Detection>) {
        let mut start = 0_usize;
        loop {
            let end = start.saturating_add(WINDOW).min(view.bytes.len());
            let is_last = end == view.bytes.len();
            let part = view.bytes.get(start..end).unwrap_or_default();
            let tokens = Tokens::read(part, &self.lexicon, start == 0, is_last);
            let mut findings = Findings::default();
            inspect(&tokens, &mut findings);
            let is_given = |at: usize| {
                let origin = view.source(start.saturating_add(at));
                matches!(text.as_bytes().get(origin), Some(b'\n' | b'\r'))
            };
            lines::look(&tokens, is_given, &mut findings);
            if is_decoded {
                let origin =
                    |at: u32| view.source(start.saturating_add(usize::try_from(at).unwrap_or(0)));
                let encoded = |at: u32| text.as_bytes().get(origin(at)..).unwrap_or_default();
                let hidden = tokens
                    .iter()
                    .find(|(_, token)| token.is(b'<') && script::is_hidden(encoded(token.start)));
                if let Some((_, token)) = hidden {
                    findings.add(Kind::Xss, "hidden_bracket", 0.5, token, token);
                }
            }
            findings.report(text, |at| view.source(start.saturating_add(at)), found);
            if is_last {
                return;
            }
            start = end.saturating_sub(OVERLAP);
        }
    }
}

impl Default for ArgumentScreen {
    fn default() -> Self {
        Self::new()
    }
}

fn inspect(tokens: &Tokens<'_>, findings: &mut Findings) {
    let mut sql = sql::Sql::new(tokens);
    let mut script = script::Script::default();
    let mut path = path::Path::default();
    let mut template = template::Template::default();
    let mut address = address::Address::default();
    address::look_start(tokens, findings);
    command::look_start(tokens, findings);
    for (index, token) in tokens.iter() {
        let rules = match token.shape {
            WORD if tokens.at(index + 1).is(b'=') => rules_of_word(token) | SCRIPT,
            WORD => rules_of_word(token),
            sign => rules_of_sign(sign),
        };
        // Most are words that nobody knows.
        if rules == 0 && !template.is_open() {
            continue;
        }
        if rules & SQL != 0 {
            sql.look(index, token, findings);
        }
        if rules & SCRIPT != 0 {
            script.look(tokens, index, token, findings);
        }
        if rules & PATH != 0 {
            path.look(tokens, index, token, findings);
        }
        if rules & TEMPLATE != 0 || template.is_open() {
            template.look(tokens, index, token, findings);
        }
        if rules & COMMAND != 0 {
            command::look(tokens, index, token, findings);
        }
        if rules & CODE != 0 {
            code::look(tokens, index, token, findings);
        }
        if rules & QUERY != 0 {
            query::look(tokens, index, token, findings);
        }
        if rules & MARKUP != 0 {
            markup::look(tokens, index, token, findings);
        }
        if rules & ADDRESS != 0 {
            address.look_colon(tokens, index, token, findings);
        }
    }
}

/// Which rules look at a token, a bit each.
type Rules = u16;

const SQL: Rules = 1;
const SCRIPT: Rules = 1 << 1;
const PATH: Rules = 1 << 2;
const TEMPLATE: Rules = 1 << 3;
const COMMAND: Rules = 1 << 4;
const CODE: Rules = 1 << 5;
const QUERY: Rules = 1 << 6;
const MARKUP: Rules = 1 << 7;
const ADDRESS: Rules = 1 << 8;

fn rules_of_sign(shape: Shape) -> Rules {
    const RULES: [Rules; 256] = {
        let mut rules = [0; 256];
        let mut rest: &mut [Rules] = &mut rules;
        let mut shape: Shape = 0;
        while let [first, after @ ..] = rest {
            *first = of_sign(shape);
            shape = shape.wrapping_add(1);
            rest = after;
        }
        rules
    };
    RULES.get(usize::from(shape)).copied().unwrap_or(0)
}

const fn of_sign(shape: Shape) -> Rules {
    match shape {
        b'\'' | b'"' => SQL | SCRIPT | QUERY,
        b'`' => SQL | SCRIPT | COMMAND,
        b';' | b'&' => SQL | COMMAND,
        b'|' | OR | AND => SQL | COMMAND | QUERY,
        b'$' => COMMAND | TEMPLATE | CODE | QUERY,
        b'(' => COMMAND | CODE | QUERY,
        b')' => SQL | QUERY,
        b'*' => SQL | QUERY | TEMPLATE,
        b'%' | b'#' | b'@' | b'~' => SQL | TEMPLATE,
        b'+' | b'-' | b'=' | b',' | b'!' | b'^' | DASHES | COMMENT => SQL,
        b'/' => SQL | PATH | COMMAND | QUERY,
        b'\\' => PATH,
        b'<' => SQL | SCRIPT | COMMAND | TEMPLATE | CODE | MARKUP,
        b'>' => SQL | SCRIPT | COMMAND,
        b':' => SCRIPT | QUERY | ADDRESS,
        b'{' | b'[' => TEMPLATE | CODE,
        b'}' => TEMPLATE,
        _ => 0,
    }
}

fn rules_of_word(token: Token) -> Rules {
    if token.marks == 0 {
        return 0;
    }
    let known = [
        (lexicon::ANY_SQL, SQL),
        (lexicon::ANY_SCRIPT, SCRIPT),
        (lexicon::SECRET_FILE | lexicon::ENCODED, PATH),
        (lexicon::TEMPLATE, TEMPLATE),
        (lexicon::COMMAND, COMMAND),
        (lexicon::ANY_CODE, CODE),
        (lexicon::MONGO, QUERY),
    ];
    known.iter().filter(|(marks, _)| token.has(*marks)).fold(0, |rules, (_, more)| rules | more)
}

/// Whether there is any sign in the text that an attack needs. Most arguments are words and numbers.
fn may_hold_anything(bytes: &[u8]) -> bool {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ');
    let begins = |magic: &[u8]| {
        bytes.get(..magic.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(magic))
    };
    !byte_set::all(bytes, is_harmless)
        || memchr::memchr(b' ', bytes).is_some()
        || bytes.windows(2).any(|pair| pair == b"--" || pair.eq_ignore_ascii_case(b"0x"))
        || [&b"li4vli4v"[..], b"ro0ab", b"kztaau", b"cs7qaf", b"aced0005"].into_iter().any(begins)
}
