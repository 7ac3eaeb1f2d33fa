//! Expressions for template engines and expression languages. A placeholder alone, `{{name}}`, is none.

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{CODE_FUNCTION, CODE_NAME, COMMAND, LOOKUP, TEMPLATE, TEMPLATE_OBJECT};
use super::tokens::{NUMBER, OR, Token, Tokens, WORD};

/// Looks at the tokens as templates.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Where the expression begins that is open.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    first: Token,
    index: usize,
    /// Two braces, or a per cent sign: what documents have for placeholders as well.
    is_double: bool,
}

/// No expression is longer.
const MAX_TOKENS: usize = 80;

impl Template {
    /// Whether an expression is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Looks at what begins with the token at `index`. To be called for each in turn.
    pub(super) fn look(
        &mut self,
        tokens: &Tokens<'_>,
        index: usize,
        token: Token,
        findings: &mut Findings,
    ) {
        if let Some((rule, score)) = self.inspect(tokens, index, token) {
            let first = self.open.map_or(token, |open| open.first);
            findings.add(Kind::TemplateInjection, rule, score, first, tokens.at(index + 1));
        }
    }

    fn inspect(&mut self, tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
        let next = tokens.at(index + 1);
        match token.shape {
            b'{' if next.is_glued(b'{') || next.is_glued(b'%') => self.begin(index, token, true),
            b'$' | b'#' | b'*' | b'@' | b'~' | b'%' if next.is_glued(b'{') => {
                self.begin(index, token, false);
                return lookup(tokens, index);
            }
            b'<' if next.is_glued(b'%') => self.begin(index, token, true),
            b'[' if next.is_glued(b'#') && tokens.at(index + 2).is_glued(WORD) => {
                return directive(tokens, index + 2);
            }
            b'<' | b'#' if next.is_glued(b'#') || token.is(b'#') => {
                let name = if token.is(b'#') { index + 1 } else { index + 2 };
                return directive(tokens, name);
            }
            b'@' if next.is_glued(b'(') && tokens.at(index + 2).is(NUMBER) => {
                return arithmetic(tokens, index + 3);
            }
            b'{' if next.is_glued(b'$') || next.is_glued(WORD) => return smarty(tokens, index),
            b'}' if next.shape != b'}' => {
                self.open = None;
                return None;
            }
            _ => {}
        }
        if token.has(TEMPLATE) {
            return Some(dunder(tokens, index, token));
        }
        let open = self.open?;
        if index - open.index > MAX_TOKENS {
            self.open = None;
            return None;
        }
        expression(tokens, index, token, open)
    }

    fn begin(&mut self, index: usize, first: Token, is_double: bool) {
        if self.open.is_none_or(|open| index - open.index > 1) {
            self.open = Some(Open { first, index, is_double });
        }
    }
}

/// What stands in an expression and in no placeholder.
fn expression(tokens: &Tokens<'_>, index: usize, token: Token, open: Open) -> Option<Found> {
    let (left, next) = (tokens.before(index, 1), tokens.at(index + 1));
    let is_value = |token: Token| token.is(NUMBER) || token.is_quote() || token.is(b'(');
    match token.shape {
        b'*' | b'+' | b'-' | b'/' if is_value(next) && (left.is(NUMBER) || left.is_quote()) => {
            Some(("arithmetic", 0.9))
        }
        b'(' if left.is_glued(WORD) && !token.spaced => {
            let is_chain = tokens.before(index, 2).is(b'.')
                || left.has(CODE_FUNCTION | TEMPLATE_OBJECT | COMMAND);
            Some(("call", if is_chain || !open.is_double { 0.8 } else { 0.6 }))
        }
        b'[' if next.is_quote() || next.is(NUMBER) && !left.is_quote() => {
            Some(("index", if open.is_double { 0.6 } else { 0.5 }))
        }
        b'|' | OR if next.is(WORD) && tokens.at(index + 2).is(b'(') => Some(("filter", 0.7)),
        b'\'' | b'"'
            if index <= open.index + 3
                && (next.is_glued(b'.') || tokens.at(index + 1).is(token.shape)) =>
        {
            Some(("literal", 0.6))
        }
        b'.' if left.has(TEMPLATE_OBJECT) && next.is_glued(WORD) && index <= open.index + 4 => {
            let is_engine = matches!(
                tokens.word(left),
                b"self"
                    | b"_self"
                    | b"smarty"
                    | b"config"
                    | b"request"
                    | b"app"
                    | b"process"
                    | b"global"
                    | b"this"
                    | b"_context"
                    | b"class"
                    | b"applicationscope"
                    | b"facescontext"
            );
            Some(("object", if is_engine { 0.6 } else { 0.3 }))
        }
        b'@' if next.is_glued(WORD) && !open.is_double || next.is_glued(b'@') => {
            Some(("static", 0.6))
        }
        WORD if token.has(CODE_NAME) => Some(("code", 0.7)),
        WORD if index <= open.index + 2 && token.has(TEMPLATE_OBJECT) && next.is(b'}') => {
            let is_engine = matches!(
                tokens.word(token),
                b"config" | b"self" | b"settings" | b"dump" | b"_self" | b"_context" | b"env"
            );
            Some(("object", if is_engine && open.is_double { 0.5 } else { 0.2 }))
        }
        // `{% for c in [1,2] %}`, `<%= ... %>`.
        WORD if index <= open.index + 3 && statement(tokens.word(token)) && open.is_double => {
            Some(("statement", 0.5))
        }
        WORD if index == open.index + 2 && open.is_double => Some(("placeholder", 0.1)),
        _ => None,
    }
}

fn statement(word: &[u8]) -> bool {
    matches!(
        word,
        b"for"
            | b"import"
            | b"debug"
            | b"include"
            | b"extends"
            | b"macro"
            | b"raw"
            | b"php"
            | b"exec"
    )
}

fn arithmetic(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let is_sum = matches!(tokens.at(index).shape, b'*' | b'+' | b'-' | b'/')
        && tokens.at(index + 1).is(NUMBER);
    is_sum.then_some(("arithmetic", 0.7))
}

/// `${jndi:ldap://...}`, `${lower:j}`, `${::-j}`.
fn lookup(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let name = tokens.at(index + 2);
    let next = tokens.at(index + 3);
    if tokens.word(name) == b"jndi" && next.is(b':') {
        return Some(("jndi", 0.95));
    }
    let is_default = name.is(b':')
        && (tokens.at(index + 3).is(b'-')
            || tokens.at(index + 3).is(b':')
            || tokens.at(index + 3).is(NUMBER));
    let is_lookup = name.has(LOOKUP) && next.is_glued(b':');
    let is_nested = tokens.at(index + 2).is(b'$')
        && tokens.at(index + 3).is_glued(b'{')
        && !tokens.at(index).is(b'#');
    match () {
        () if is_default => Some(("lookup", 0.8)),
        () if is_lookup => Some(("lookup", 0.8)),
        () if is_nested => Some(("lookup", 0.5)),
        () => None,
    }
}

/// `<#assign`, `[#assign`, `#set(`.
fn directive(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let next = tokens.at(index + 1);
    let is_velocity =
        tokens.before(index, 1).is(b'#') && !matches!(tokens.before(index, 2).shape, b'<' | b'[');
    match tokens.word(tokens.at(index)) {
        b"assign" | b"include" | b"import" | b"list" | b"macro" if !is_velocity => {
            Some(("directive", 0.8))
        }
        b"set" | b"foreach" | b"evaluate" | b"include" | b"parse" | b"if" | b"define"
            if is_velocity
                && next.is(b'(')
                && matches!(tokens.at(index + 2).shape, b'$' | b'"' | b'\'') =>
        {
            Some(("directive", 0.7))
        }
        _ => None,
    }
}

/// `{$smarty.version}`, `{php}`, `{system('id')}`, `{7*7}`.
fn smarty(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let name = if tokens.at(index + 1).is(b'$') { index + 2 } else { index + 1 };
    let next = tokens.at(name + 1);
    let is_call = tokens.at(name).has(CODE_FUNCTION) && next.is_glued(b'(');
    let is_object = tokens.is_word(name, "smarty") && next.is_glued(b'.');
    (is_call || is_object).then_some(("smarty", 0.7))
}

/// `__class__` and what else leads from an object to its world.
fn dunder(tokens: &Tokens<'_>, index: usize, token: Token) -> Found {
    let left = tokens.before(index, 1);
    let next = tokens.at(index + 1);
    let is_chained = matches!(left.shape, b'.' | b'[' | b'|' | b'\'' | b'"')
        || matches!(next.shape, b'.' | b'(' | b'[');
    let word = tokens.word(token);
    let score = match () {
        () if !word.starts_with(b"__") && word != b"_templatereference__context" => 0.2,
        () if matches!(word, b"__init__" | b"__dict__" | b"__class__" | b"__getitem__")
            && !matches!(next.shape, b'.' | b'[') =>
        {
            0.4
        }
        () if is_chained => 0.7,
        () => 0.3,
    };
    ("introspection", score)
}
