//! Cross-site scripting: markup that runs scripts, and scripts that leave the string they are put into.

mod scheme;

pub(super) use scheme::is_hidden;

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{EVENT, SCRIPT_FUNCTION, SCRIPT_OBJECT, SCRIPT_SCHEME, TAG};
use super::tokens::{COMMENT, DASHES, Token, Tokens, WORD};

/// Looks at the tokens as HTML and JavaScript.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Whether a tag was opened and not yet closed.
    in_tag: bool,
    has_markup: bool,
    has_quote: bool,
}

impl Script {
    /// Looks at what begins with the token at `index`. To be called for each in turn.
    pub(super) fn look(
        &mut self,
        tokens: &Tokens<'_>,
        index: usize,
        token: Token,
        findings: &mut Findings,
    ) {
        let found = match token.shape {
            b'<' => self.markup(tokens, index),
            b'>' => {
                self.in_tag = false;
                None
            }
            b'\'' | b'"' | b'`' => {
                self.has_quote = true;
                breakout(tokens, index)
            }
            b':' => scheme::scheme(tokens, index),
            WORD => self.word(tokens, index, token),
            _ => None,
        };
        if let Some((rule, score)) = found {
            findings.add(Kind::Xss, rule, score, token, tokens.at(index + 2));
        }
    }

    fn markup(&mut self, tokens: &Tokens<'_>, index: usize) -> Option<Found> {
        let mut name = index + 1;
        while matches!(tokens.at(name).shape, b'/' | b'<' | b'\\') && name < index + 5 {
            name += 1;
        }
        let token = tokens.at(name);
        let after = tokens.at(name + 1);
        match token.shape {
            WORD => {
                let is_closing = name > index + 1;
                // `a < b` is no markup, `< script` has been.
                self.in_tag = !token.spaced || token.has(TAG);
                self.has_markup |= self.in_tag;
                let word = tokens.word(token);
                let is_dangerous =
                    token.has(TAG) || word.starts_with(b"svg") || word.starts_with(b"xsl");
                let is_namespaced = after.is_glued(b':') && tokens.at(name + 2).has(TAG);
                if is_dangerous && !is_closing || is_namespaced || is_closing && word == b"script" {
                    return Some(("tag", 0.9));
                }
                // What ends a context that the text is put into, and forms that ask for secrets.
                let ends = matches!(
                    word,
                    b"style"
                        | b"title"
                        | b"textarea"
                        | b"xmp"
                        | b"noscript"
                        | b"svg"
                        | b"math"
                        | b"head"
                        | b"body"
                        | b"html"
                        | b"template"
                );
                let asks = matches!(word, b"form" | b"input" | b"button" | b"isindex" | b"keygen")
                    && (after.is(WORD) || after.is(b'>'));
                (!token.spaced && if is_closing { ends } else { asks }).then_some(("markup", 0.5))
            }
            b'!' | b'?' | b'%' => self.declaration(tokens, name),
            _ => {
                self.in_tag |= matches!(token.shape, b'`' | b'"' | b'\'');
                None
            }
        }
    }

    fn declaration(&mut self, tokens: &Tokens<'_>, at: usize) -> Option<Found> {
        let word = tokens.at(at + 1);
        let is_close = !word.spaced;
        match tokens.word(word) {
            b"doctype" if is_close && tokens.is_word(at + 2, "html") => Some(("doctype", 0.3)),
            b"doctype" | b"entity" if is_close => Some(("doctype", 0.6)),
            b"import" if is_close => Some(("import", 0.8)),
            b"xml" if is_close => {
                let is_style = matches!(tokens.at(at + 2).shape, b'-' | b':');
                Some(("xml", if is_style { 0.7 } else { 0.3 }))
            }
            _ if word.is(DASHES) => {
                let inside = tokens.at(at + 2);
                let is_condition = inside.is(b'[') && tokens.is_word(at + 3, "if");
                (is_condition || inside.is(b'`')).then_some(("comment", 0.7))
            }
            _ => None,
        }
    }

    fn word(&mut self, tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
        let word = tokens.word(token);
        let next = tokens.at(index + 1);
        if next.is(b'=') {
            return self.attribute(tokens, index, word);
        }
        if token.has(SCRIPT_SCHEME) && self.in_tag {
            let is_value = tokens.before(index, 1).is_quote() && tokens.before(index, 2).is(b'=');
            let is_attribute = is_value
                && matches!(tokens.word(tokens.before(index, 3)), b"href" | b"src" | b"action");
            return is_attribute.then_some(("scheme", 0.6));
        }
        if token.marks & (SCRIPT_FUNCTION | SCRIPT_OBJECT) == 0 {
            return None;
        }
        let left = tokens.before(index, 1);
        if matches!(word, b"behavior" | b"binding" | b"call" | b"apply") {
            let is_style =
                next.is(b':') && tokens.is_word(index + 2, "url") && tokens.at(index + 3).is(b'(');
            let is_template = left.is(b'.') && next.is(b'`');
            return (is_style || is_template).then_some(("script_object", 0.6));
        }
        if token.has(SCRIPT_FUNCTION)
            && (next.is_glued(b'(') || next.is(b'`') || next.is(b'(') && self.has_markup)
        {
            return Some(call(tokens, index, left));
        }
        // `document.cookie`, `window['alert']`, `(alert)(1)`.
        let property = tokens.word(tokens.at(index + 2));
        let is_member = next.is_glued(b'.')
            && matches!(
                property,
                b"cookie"
                    | b"location"
                    | b"write"
                    | b"writeln"
                    | b"domain"
                    | b"body"
                    | b"documentelement"
                    | b"fromcharcode"
                    | b"href"
                    | b"hash"
                    | b"assign"
                    | b"createelement"
                    | b"getelementbyid"
                    | b"queryselector"
                    | b"innerhtml"
                    | b"open"
                    | b"alert"
                    | b"name"
                    | b"url"
                    | b"apply"
                    | b"constructor"
                    | b"raw"
            );
        if token.has(SCRIPT_OBJECT) && is_member {
            let is_plain = matches!(property, b"body" | b"name" | b"open" | b"url" | b"hash");
            let is_weak =
                matches!(word, b"this" | b"string" | b"history" | b"function" | b"parent");
            return Some((
                "script_object",
                if is_plain || is_weak && property != b"fromcharcode" { 0.4 } else { 0.6 },
            ));
        }
        let is_browser =
            matches!(word, b"document" | b"window" | b"navigator" | b"location" | b"globalthis");
        if is_browser
            && next.is_glued(b'.')
            && tokens.at(index + 2).is_glued(WORD)
            && tokens.at(index + 3).is_glued(b'(')
        {
            return Some(("script_object", 0.5));
        }
        // `[1].find(alert)`, `a=alert,a(1)`.
        let is_passed = matches!(word, b"alert" | b"prompt" | b"confirm" | b"eval")
            && matches!(left.shape, b'(' | b'=' | b',')
            && !token.spaced
            && matches!(next.shape, b')' | b',' | b';')
            && !next.spaced;
        if is_passed {
            return Some(("script_reference", 0.6));
        }
        let is_indexed = next.is_glued(b'[')
            && (tokens.at(index + 2).is_quote() || tokens.at(index + 2).is(b'/'));
        if token.has(SCRIPT_OBJECT) && is_indexed && word != b"this" {
            return Some(("script_object", 0.7));
        }
        let is_bracketed = token.has(SCRIPT_FUNCTION)
            && left.is(b'(')
            && next.is(b')')
            && tokens.at(index + 2).is_glued(b'(');
        is_bracketed.then_some(("script_call", 0.6))
    }

    /// `onerror=`, `style=`, `href=`.
    fn attribute(&mut self, tokens: &Tokens<'_>, index: usize, word: &[u8]) -> Option<Found> {
        let left = tokens.before(index, 1);
        let token = tokens.at(index);
        let is_separate = token.spaced
            || left.is_quote()
            || matches!(left.shape, b'/' | b'<' | b'>' | b';' | COMMENT)
            || left.is_end();
        if let Some(event) = word.strip_prefix(b"on") {
            let is_event = token.has(EVENT) && event.len() >= 3;
            let is_marked = self.in_tag || self.has_markup || self.has_quote;
            return match () {
                () if self.in_tag && event.len() >= 3 && (is_event || is_separate) => {
                    Some(("event", 0.9))
                }
                () if is_event && is_marked => Some(("event", 0.8)),
                () if is_event && is_separate => Some(("event", 0.6)),
                () if self.has_markup
                    && self.has_quote
                    && is_separate
                    && !matches!(event, b"ce" | b"ly" | b"to") =>
                {
                    (event.len() >= 3).then_some(("event", 0.6))
                }
                () => None,
            };
        }
        let value = tokens.at(index + 2);
        match word {
            b"style" if self.in_tag => Some(("style", 0.6)),
            b"style" if is_separate && self.has_quote && !value.is_end() => Some(("style", 0.5)),
            b"srcdoc" | b"formaction" | b"datasrc" | b"dynsrc" | b"lowsrc" | b"attributename"
            | b"fscommand" | b"seeksegmenttime" | b"folder"
                if self.in_tag =>
            {
                Some(("attribute", 0.6))
            }
            _ if self.in_tag
                && left.is(b':')
                && tokens.is_word(index.saturating_sub(2), "xlink") =>
            {
                Some(("attribute", 0.6))
            }
            _ if self.in_tag
                && left.is(b':')
                && tokens.is_word(index.saturating_sub(2), "xmlns") =>
            {
                Some(("namespace", 0.6))
            }
            b"xmlns" if self.in_tag => Some(("namespace", 0.6)),
            _ => None,
        }
    }
}

/// `alert(1)`, `eval(name)`.
fn call(tokens: &Tokens<'_>, index: usize, left: Token) -> Found {
    let word = tokens.word(tokens.at(index));
    let is_rare = matches!(
        word,
        b"alert"
            | b"prompt"
            | b"confirm"
            | b"eval"
            | b"fromcharcode"
            | b"settimeout"
            | b"setinterval"
            | b"atob"
            | b"execscript"
            | b"msgbox"
            | b"expression"
    );
    let is_joined = matches!(
        left.shape,
        b';' | b'-'
            | b'+'
            | b'*'
            | b'/'
            | b'='
            | b'('
            | b'{'
            | b'}'
            | b'['
            | b'.'
            | b':'
            | b'>'
            | b'`'
            | b'\''
            | b'"'
            | b'|'
            | b'&'
            | b'?'
            | b'!'
            | b','
            | b'^'
    );
    let is_first = left.is_end() && tokens.is_first;
    let score = match (is_rare, is_joined || is_first) {
        (true, true) => 0.7,
        (true, false) => 0.4,
        (false, true) => 0.4,
        (false, false) => 0.2,
    };
    ("script_call", score)
}

/// `"><`, `';alert`, `'-alert`.
fn breakout(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let mut next = index + 1;
    while matches!(
        tokens.at(next).shape,
        b')' | b'}' | b';' | b'>' | b'/' | DASHES | b']' | b'+' | b'-' | b'*'
    ) && next < index + 7
    {
        next += 1;
    }
    let token = tokens.at(next);
    let is_tag = token.is(b'<')
        && tokens.at(next.saturating_sub(1)).is(b'>')
        && tokens.at(next + 1).is_glued(WORD);
    if is_tag && next > index + 1 && tokens.at(next + 2).is_end() {
        return Some(("breakout", 0.5));
    }
    let is_call = token.has(SCRIPT_FUNCTION) && matches!(tokens.at(next + 1).shape, b'(' | b'`');
    (is_call && next > index + 1).then_some(("breakout", 0.7))
}
