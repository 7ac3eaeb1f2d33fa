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

use super::{Detection, Kind};
use decode::View;
use findings::Findings;
use lexicon::Lexicon;
use tokens::Tokens;

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
    address::look_start(tokens, findings);
    for (index, token) in tokens.iter() {
        sql.look(index, token, findings);
        script.look(tokens, index, token, findings);
        path.look(tokens, index, token, findings);
        template.look(tokens, index, token, findings);
        command::look(tokens, index, token, findings);
        code::look(tokens, index, token, findings);
        query::look(tokens, index, token, findings);
        match token.shape {
            b'<' => markup::look(tokens, index, token, findings),
            b':' => address::look_colon(tokens, index, token, findings),
            _ => {}
        }
    }
}

/// Whether there is any sign in the text that an attack needs. Most arguments are words and numbers.
fn may_hold_anything(bytes: &[u8]) -> bool {
    let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ');
    let begins = |magic: &[u8]| {
        bytes.get(..magic.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(magic))
    };
    !bytes.iter().all(is_harmless)
        || bytes.contains(&b' ')
        || bytes.windows(2).any(|pair| pair == b"--" || pair.eq_ignore_ascii_case(b"0x"))
        || [&b"li4vli4v"[..], b"ro0abq", b"kztaauc", b"cs7qaf", b"aced0005"].into_iter().any(begins)
}
