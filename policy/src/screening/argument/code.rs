//! Code for interpreters: PHP, JavaScript on servers, Python, Java.

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{CLASS_PATH, CODE_FUNCTION, CODE_NAME, COMMAND, ENCODED, PLAIN_COMMAND};
use super::tokens::{Token, Tokens, WORD};

/// Looks at what begins with the token at `index`.
pub(super) fn look(tokens: &Tokens<'_>, index: usize, token: Token, findings: &mut Findings) {
    let found = match token.shape {
        b'<' => tag(tokens, index),
        b'[' | b'{' => short_tag(tokens, index),
        b'(' => dynamic(tokens, index),
        b'$' => variable(tokens, index),
        WORD if token.has(CODE_FUNCTION) => call(tokens, index, token),
        WORD if token.has(CLASS_PATH) => class(tokens, index),
        WORD if token.has(CODE_NAME) => name(tokens, index, token),
        WORD if token.has(ENCODED) => {
            (!tokens.word(token).starts_with(b"li4v")).then_some(("serialised_object", 0.7))
        }
        _ => None,
    };
    if let Some((rule, score)) = found {
        findings.add(Kind::CodeInjection, rule, score, token, tokens.at(index + 2));
    }
}

/// `<?php`, `<?=`, `<? system(`.
fn tag(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    if !tokens.at(index + 1).is_glued(b'?') {
        return None;
    }
    let next = tokens.at(index + 2);
    match tokens.word(next) {
        b"php" => Some(("php_tag", 0.9)),
        b"xml" | b"import" if !next.spaced => None,
        _ if next.is_glued(b'=') => Some(("php_tag", 0.8)),
        _ if next.spaced && (next.is(WORD) || next.is(b'$')) => Some(("php_tag", 0.6)),
        _ if next.has(CODE_FUNCTION) || next.is(b'$') => Some(("php_tag", 0.6)),
        _ => None,
    }
}

/// `[php]`, `{php}`.
fn short_tag(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let mut name = index + 1;
    while matches!(tokens.at(name).shape, b'/' | b'\\') && name < index + 3 {
        name += 1;
    }
    let is_closed = matches!(tokens.at(name + 1).shape, b']' | b'}');
    (tokens.is_word(name, "php") && is_closed).then_some(("php_tag", 0.6))
}

/// `(system)('id')`, `[system][0](id)`.
fn dynamic(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let left = tokens.before(index, 1);
    let is_result = matches!(left.shape, b')' | b']' | b'}') || left.is_quote();
    if !is_result {
        return None;
    }
    let mut back = 2;
    while !tokens.before(index, back).is(WORD) && back < 8 {
        back += 1;
    }
    let function = tokens.before(index, back);
    let argument = tokens.at(index + 1);
    if argument.is_quote()
        && tokens.at(index + 2).has(COMMAND | PLAIN_COMMAND)
        && tokens.at(index + 3).is(argument.shape)
    {
        return Some(("dynamic_call", 0.6));
    }
    let is_function = function.has(CODE_FUNCTION | COMMAND);
    let is_argument = argument.is_quote()
        || argument.is(b'@')
        || argument.has(COMMAND | PLAIN_COMMAND)
        || argument.is(b'$');
    (is_function && is_argument).then_some(("dynamic_call", 0.6))
}

/// `$_GET[`, `${@print(`, `$GLOBALS`.
fn variable(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let mut next = index + 1;
    while matches!(tokens.at(next).shape, b'{' | b'@' | b'$') && next < index + 4 {
        next += 1;
    }
    let token = tokens.at(next);
    let is_global = matches!(
        tokens.word(token),
        b"_get"
            | b"_post"
            | b"_request"
            | b"_cookie"
            | b"_server"
            | b"_session"
            | b"_files"
            | b"_env"
            | b"globals"
            | b"http_raw_post_data"
    );
    let is_braced = next > index + 1 && token.has(CODE_FUNCTION) && tokens.at(next + 1).is(b'(');
    (is_global || is_braced).then_some(("php_variable", 0.7))
}

/// `system('id')`, `phpinfo()`.
fn call(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let next = tokens.at(index + 1);
    if !next.is(b'(') {
        return None;
    }
    let word = tokens.word(token);
    let left = tokens.before(index, 1);
    let argument = tokens.at(index + 2);
    let is_literal = argument.is_quote()
        || argument.is(b'$')
        || argument.is(b'@')
        || argument.has(COMMAND | PLAIN_COMMAND);
    let is_common = matches!(
        word,
        b"print"
            | b"include"
            | b"assert"
            | b"compile"
            | b"runtime"
            | b"spawn"
            | b"fork"
            | b"glob"
            | b"system"
            | b"exec"
            | b"eval"
            | b"require"
            | b"chr"
            | b"md5"
            | b"array_map"
            | b"getattr"
            | b"readlines"
            | b"dl"
            | b"subprocess"
    );
    let is_member = left.is(b'.');
    let is_breakout = matches!(
        left.shape,
        b';' | b'@'
            | b'\''
            | b'"'
            | b'+'
            | b'.'
            | b'{'
            | b'|'
            | b'&'
            | b'('
            | b'='
            | b'-'
            | super::tokens::AND
            | super::tokens::OR
    );
    let is_first = left.is_end() && tokens.is_first;
    match word {
        b"eval" | b"exec" | b"system" | b"assert" | b"spawn" | b"fork"
            if is_literal && (is_first || is_breakout) =>
        {
            Some(("code_call", 0.7))
        }
        b"eval" | b"exec" | b"system" if is_first || is_breakout => Some(("code_call", 0.5)),
        b"require"
            if is_literal
                && matches!(
                    tokens.word(tokens.at(index + 3)),
                    b"child_process"
                        | b"fs"
                        | b"os"
                        | b"vm"
                        | b"net"
                        | b"http"
                        | b"cluster"
                        | b"module"
                ) =>
        {
            Some(("code_call", 0.7))
        }
        b"print" | b"md5" if left.is(b'@') => Some(("code_call", 0.7)),
        _ if is_common || is_member => None,
        _ => Some(("code_call", 0.6)),
    }
}

/// `java.lang.Runtime`, `com.opensymphony.xwork2`.
fn class(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    if !tokens.at(index + 1).is_glued(b'.') {
        return None;
    }
    let package = tokens.word(tokens.at(index + 2));
    // A class name alone is no prose.
    let is_whole = tokens.is_last
        && tokens.len() <= 14
        && !tokens.before(tokens.len(), 1).spaced
        && (1..tokens.len()).all(|index| !tokens.at(index).spaced);
    let has_more = tokens.at(index + 3).is_glued(b'.')
        && (is_whole
            || tokens.at(index + 5).is(b'(')
            || tokens.at(index + 5).is_glued(b'.')
            || tokens.at(0).is(b'$'));
    match tokens.word(tokens.at(index)) {
        b"java" => matches!(
            package,
            b"lang" | b"io" | b"net" | b"util" | b"nio" | b"rmi" | b"beans" | b"sql" | b"security"
        )
        .then_some(("java_class", if has_more { 0.7 } else { 0.3 })),
        b"javax" => matches!(package, b"script" | b"naming" | b"management" | b"el" | b"servlet")
            .then_some(("java_class", if has_more { 0.7 } else { 0.3 })),
        b"com" => (matches!(
            package,
            b"sun" | b"opensymphony" | b"bea" | b"mchange" | b"rometools" | b"caucho" | b"alibaba"
        ) && (has_more || is_whole))
            .then_some(("java_class", 0.7)),
        b"org" => {
            let second = tokens.word(tokens.at(index + 4));
            let is_known = package == b"apache" && !matches!(second, b"www")
                || matches!(
                    package,
                    b"codehaus"
                        | b"springframework"
                        | b"hibernate"
                        | b"omg"
                        | b"python"
                        | b"mozilla"
                        | b"jboss"
                );
            (is_known && (has_more && tokens.at(index + 5).is_glued(b'.') || is_whole))
                .then_some(("java_class", 0.6))
        }
        b"sun" => matches!(package, b"reflect" | b"misc" | b"rmi").then_some(("java_class", 0.6)),
        b"groovy" | b"jdk" | b"javassist" | b"jython" => has_more.then_some(("java_class", 0.6)),
        _ => None,
    }
}

fn name(tokens: &Tokens<'_>, index: usize, token: Token) -> Option<Found> {
    let word = tokens.word(token);
    let (left, next) = (tokens.before(index, 1), tokens.at(index + 1));
    let is_member = left.is_glued(b'.')
        || left.is(b'.')
        || next.is_glued(b'.')
        || next.is_glued(b'(')
        || next.is_glued(b'[');
    match word {
        // `O:4:"Name":1:{`: a serialised object of PHP.
        b"o" => {
            let is_counted = next.is_glued(b':')
                && tokens.at(index + 3).is_glued(b':')
                && tokens.at(index + 4).is_glued(b'"');
            is_counted.then_some(("serialised_object", 0.7))
        }
        b"child_process" | b"processbuilder" | b"scriptenginemanager" => Some((
            "code_name",
            if is_member || left.is_quote() || left.is(b'(') { 0.7 } else { 0.4 },
        )),
        b"__proto__" => Some(("prototype_pollution", if left.is(WORD) { 0.4 } else { 0.7 })),
        b"prototype" => (tokens.before(index, 2).has(CODE_NAME)
            || matches!(left.shape, b'[') && tokens.before(index, 2).is(b']'))
        .then_some(("prototype_pollution", 0.7)),
        b"constructor" => {
            let is_chained = matches!(next.shape, b'(' | b'[' | b'.')
                && is_member
                && (tokens.word(tokens.at(index + 2)) == b"constructor"
                    || tokens.word(tokens.at(index + 2)) == b"prototype"
                    || tokens.at(index + 2).is_quote()
                    || tokens.word(tokens.at(index + 2)) == b"_load");
            is_chained.then_some(("code_name", 0.6))
        }
        b"getclass" | b"forname" | b"newinstance" | b"getruntime" | b"defineclass"
        | b"getenginebyname" | b"currentthread" => {
            (left.is(b'.') && next.is(b'(')).then_some(("java_reflection", 0.6))
        }
        _ if word.starts_with(b"_") || word == b"globals" => None,
        _ => Some(("java_class", if is_member { 0.6 } else { 0.5 })),
    }
}
