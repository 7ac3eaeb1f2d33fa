//! Queries of other kinds: MongoDB, LDAP, XPath.

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{ATTRIBUTE, AXIS, CLAUSE, MONGO};
use super::tokens::{AND, COMMENT, NUMBER, OR, Token, Tokens, WORD};

/// Looks at what begins with the token at `index`.
pub(super) fn look(tokens: &Tokens<'_>, index: usize, token: Token, findings: &mut Findings) {
    let mut add = |kind, found: Option<Found>| {
        if let Some((rule, score)) = found {
            findings.add(kind, rule, score, token, tokens.at(index + 2));
        }
    };
    match token.shape {
        b'$' => add(Kind::NosqlInjection, operator(tokens, index)),
        b')' | b'(' | b'*' => {
            add(Kind::LdapInjection, filter(tokens, index));
            if token.is(b'(') {
                add(Kind::XpathInjection, function(tokens, index));
            }
        }
        b':' => add(Kind::XpathInjection, axis(tokens, index)),
        b'/' | b'|' => add(Kind::XpathInjection, path(tokens, index)),
        b'\'' | b'"' => add(Kind::NosqlInjection, script(tokens, index)),
        WORD => add(Kind::NosqlInjection, object(tokens, index)),
        _ => {}
    }
}

/// `{"$ne": ""}`, `[$ne]=1`, `$where: '1 == 1'`.
fn operator(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let name = tokens.at(index + 1);
    if !name.is_glued(WORD) || !name.has(MONGO) {
        return None;
    }
    let left = tokens.before(index, 1);
    let mut after = index + 2;
    let is_enclosed = tokens.at(after).is_quote() || tokens.at(after).is(b']');
    after += usize::from(is_enclosed);
    let next = tokens.at(after);
    let is_key = next.is(b':') || next.is(b'=') && is_enclosed;
    let is_opened =
        matches!(left.shape, b'{' | b'[' | b',' | b'.') || left.is_quote() || left.is_end();
    let value = tokens.at(after + 1);
    let is_code = tokens.word(name) == b"where"
        || tokens.word(name) == b"function"
        || tokens.word(name) == b"expr";
    match () {
        () if is_key && (is_opened || is_code) && !value.is_end() => Some(("operator", 0.8)),
        () if is_key && is_opened => Some(("operator", 0.6)),
        () if left.is(b'[') && is_enclosed => Some(("operator", 0.7)),
        () => None,
    }
}

/// `' && this.password.match(`, `'; return`, `' || 'a'=='a`, `' } ], $comment`.
fn script(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let mut next = index + 1;
    while matches!(
        tokens.at(next).shape,
        b'}' | b']' | b')' | b';' | b',' | OR | AND | b'+' | b'|' | b'&'
    ) && next < index + 8
    {
        next += 1;
    }
    if next == index + 1 {
        return None;
    }
    let (token, after) = (tokens.at(next), tokens.at(next + 1));
    match tokens.word(token) {
        b"this" if after.is_glued(b'.') => Some(("script", 0.8)),
        b"return" | b"while" | b"sleep" | b"function"
            if after.is(b'(') || after.is(WORD) || after.is(NUMBER) =>
        {
            let is_stacked = tokens.before(next, 1).is(b';');
            is_stacked.then_some(("script", 0.6))
        }
        b"db" if after.is_glued(b'.') => Some(("script", 0.7)),
        _ if token.is(b'$') && tokens.at(next + 1).has(MONGO) && tokens.at(next + 2).is(b':') => {
            Some(("operator", 0.7))
        }
        _ => None,
    }
}

/// `db.users.drop()`, `this.a == this.b ||`.
fn object(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    if !tokens.is_word(index, "db")
        || !tokens.at(index + 1).is_glued(b'.')
        || !tokens.at(index + 3).is_glued(b'.')
    {
        return None;
    }
    let method = tokens.word(tokens.at(index + 4));
    let is_method = matches!(
        method,
        b"insert"
            | b"find"
            | b"findone"
            | b"drop"
            | b"remove"
            | b"update"
            | b"mapreduce"
            | b"aggregate"
            | b"save"
            | b"count"
            | b"insertone"
            | b"deletemany"
            | b"deleteone"
            | b"updateone"
            | b"dropdatabase"
    );
    (is_method && tokens.at(index + 5).is(b'(')).then_some(("object", 0.7))
}

/// `*)(uid=*`, `)(|(`, `(&(`.
fn filter(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let token = tokens.at(index);
    let mut next = index;
    // From the bracket that closes.
    if token.is(b'*') {
        next += 1;
    }
    let mut closed = 0;
    while tokens.at(next).is(b')') && closed < 4 {
        closed += 1;
        next += 1;
    }
    let mut opened = 0;
    while tokens.at(next).is(b'(') && opened < 4 {
        opened += 1;
        next += 1;
    }
    if opened == 0 {
        return None;
    }
    let sign = tokens.at(next);
    let is_sign = matches!(sign.shape, b'|' | b'&' | b'!' | OR | AND);
    let is_bare_sign = is_sign && matches!(tokens.at(next + 1).shape, b'(' | b')' | 0);
    let name = if is_sign { tokens.at(next + 1) } else { sign };
    let name_at = if is_sign { next + 1 } else { next };
    let is_test = name.is(WORD)
        && (tokens.at(name_at + 1).is(b'=')
            || matches!(tokens.at(name_at + 1).shape, b'~' | b'>' | b'<' | b':'));
    let is_glued = !sign.spaced;
    match () {
        () if closed > 0 && is_sign && is_glued && (is_bare_sign || is_test) => {
            Some(("filter", 0.8))
        }
        () if is_bare_sign
            && is_glued
            && tokens.at(next + 1).is(b'(')
            && tokens.at(next + 2).is(WORD)
            && (is_filter(tokens, next + 2)) =>
        {
            Some(("filter", 0.7))
        }
        () if closed > 0 && is_test && is_glued && (token.is(b'*') || name.has(ATTRIBUTE)) => {
            Some(("filter", 0.7))
        }
        () if closed == 0
            && is_sign
            && is_test
            && is_glued
            && name.has(ATTRIBUTE)
            && tokens.at(name_at + 2).is(b'*') =>
        {
            Some(("filter", 0.6))
        }
        () if closed == 0
            && is_test
            && name.has(ATTRIBUTE)
            && tokens.at(name_at + 2).is_glued(b'*') =>
        {
            Some(("filter", 0.6))
        }
        () => None,
    }
}

fn is_filter(tokens: &Tokens<'_>, name: usize) -> bool {
    tokens.at(name + 1).is_glued(b'=') && !tokens.at(name + 1).spaced
}

/// `ancestor::node()`.
fn axis(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let (left, next) = (tokens.before(index, 1), tokens.at(index + 1));
    let target = tokens.at(index + 2);
    let is_axis = left.has(AXIS)
        && next.is_glued(b':')
        && (target.has(AXIS) || target.is(b'*') || tokens.before(index, 2).is(b'/'));
    let is_family = matches!(
        tokens.word(left),
        b"ancestor"
            | b"child"
            | b"descendant"
            | b"following"
            | b"preceding"
            | b"parent"
            | b"attribute"
            | b"self"
    );
    (is_axis && is_family && (target.is(b'*') || !target.spaced)).then_some(("axis", 0.6))
}

/// `count(/`, `name()=`, `string-length(//`.
fn function(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let function = tokens.before(index, 1);
    let (argument, next) = (tokens.at(index + 1), tokens.at(index + 2));
    if !function.is(WORD) || function.has(CLAUSE) {
        return None;
    }
    let word = tokens.word(function);
    let takes_path = matches!(
        word,
        b"count"
            | b"length"
            | b"string"
            | b"substring"
            | b"name"
            | b"concat"
            | b"with"
            | b"sum"
            | b"contains"
            | b"doc"
            | b"normalize"
            | b"space"
    );
    let is_path = argument.is(b'/')
        && matches!(next.shape, b'/' | b'*' | b'@' | WORD | b')' | COMMENT)
        && !argument.spaced;
    if takes_path && is_path {
        return Some(("function", 0.7));
    }
    let is_test = matches!(word, b"name" | b"text" | b"position" | b"last" | b"node")
        && argument.is(b')')
        && matches!(next.shape, b'=' | b']' | b'<' | b'>')
        && !function.spaced | (word == b"name");
    let left = tokens.before(index, 2);
    (is_test && (left.is(b'[') || left.is(b'/') || left.is(WORD) || left.is(b':')))
        .then_some(("function", 0.6))
}

/// `//user[name`, `'] | //*`.
fn path(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let left = tokens.before(index, 1);
    let mut next = index;
    next += usize::from(tokens.at(index).is(b'|'));
    // `//*` reads as the beginning of a comment.
    if tokens.are(next, &[b'/', COMMENT]) {
        let is_joined = next > index && (left.is_quote() || matches!(left.shape, b']' | b')'));
        let is_whole = left.is_end() && tokens.is_first && tokens.at(next + 2).is_end();
        return (is_joined || is_whole).then_some(("path", 0.6));
    }
    if !tokens.are(next, b"//") {
        return None;
    }
    let target = tokens.at(next + 2);
    let is_joined =
        next > index && (left.is_quote() || matches!(left.shape, b']' | b')')) && !target.spaced;
    let is_selected = matches!(tokens.at(next + 3).shape, b'[')
        && !left.is(b':')
        && tokens.at(next + 4).is(WORD) | tokens.at(next + 4).is(b'@');
    let is_any = target.is(b'*') && left.is_end() && tokens.is_first && tokens.len() <= next + 4;
    match () {
        () if is_joined => Some(("path", 0.8)),
        () if is_selected && target.is(WORD) => Some(("path", 0.4)),
        () if is_any => Some(("path", 0.5)),
        () => None,
    }
}
