//! Functions, tables and variables of database systems.

use super::super::lexicon::{FUNCTION, SELECT, SYSTEM_NAME, UNION};
use super::super::tokens::{NUMBER, OR, Token, WORD};
use super::{ANY_FUNCTION, Found, Sql, is_comment, is_operator};

impl Sql<'_, '_> {
    pub(super) fn function(&self, index: usize, token: Token) -> Option<Found> {
        let next = self.tokens.at(index + 1);
        if !next.is(b'(') {
            return None;
        }
        let left = self.tokens.before(index, 1);
        let argument = self.tokens.at(index + 2);
        if token.has(FUNCTION) {
            let is_odd = left.is_quote()
                || left.is(b'(')
                || argument.is(b'(')
                || argument.is(NUMBER)
                || argument.is_quote();
            return Some(("function", if is_odd || token.has(SYSTEM_NAME) { 0.8 } else { 0.6 }));
        }
        // Calls in calls, and calls that end a string.
        let is_nested = argument.has(ANY_FUNCTION | SELECT) && self.tokens.at(index + 3).is(b'(')
            || argument.has(SELECT) && argument.is(WORD)
            || argument.has(SYSTEM_NAME)
            || argument.is(b'@') && self.tokens.at(index + 3).is(b'@');
        let word = self.tokens.word(token);
        // `sleep(8 hours)` is nothing that a database knows.
        let unit = self.tokens.at(index + 3);
        let has_unit = argument.is(NUMBER)
            && unit.is(WORD)
            && unit.spaced
            && self.tokens.at(index + 4).is(b')');
        let is_delay = matches!(word, b"sleep" | b"delay") && !has_unit;
        let ends = self.tokens.at(self.call_end(index + 1));
        let is_whole = index <= self.lead
            && self.tokens.is_first
            && (is_comment(ends) || is_delay && is_operator(ends) || ends.is_end() && is_delay);
        let is_inner_delay =
            is_delay && argument.is(NUMBER) && matches!(left.shape, b',' | b'(' | b'=');
        let is_chain = matches!(word, b"char" | b"chr")
            && argument.is(NUMBER)
            && matches!(self.tokens.at(index + 3).shape, b',' | b')')
            && (self.tokens.at(index + 4).is(NUMBER) || matches!(ends.shape, b'+' | b'|' | OR));
        let is_hex = argument.is(NUMBER) && self.tokens.word(argument).starts_with(b"0x");
        let is_info = matches!(word, b"version" | b"database" | b"user") && argument.is(b')');
        let is_inside = left.is(b'(') && self.tokens.before(index, 2).is(WORD) && !left.spaced;
        let is_listed = is_info
            && (is_inside
                || matches!(left.shape, b',' | b'=' | b'@')
                || ends.is(b',')
                || left.has(SELECT));
        let is_compared = is_info
            && self.comparison(self.call_end(index + 1)).is_some()
            && self.tokens.is_first
            && index <= self.lead;
        if is_compared {
            return Some(("function", 0.6));
        }
        if is_nested && !left.is(b'.')
            || is_chain
            || is_hex
            || is_whole
            || is_listed
            || is_inner_delay
        {
            return Some(("function", 0.7));
        }
        is_info.then_some(("function", 0.4))
    }

    pub(super) fn system_name(&self, index: usize) -> Option<Found> {
        let token = self.tokens.at(index);
        let word = self.tokens.word(token);
        let next = self.tokens.at(index + 1);
        let is_procedure = word.starts_with(b"xp_") || word.starts_with(b"sp_");
        let is_schema = matches!(
            word,
            b"information_schema"
                | b"sysobjects"
                | b"syscolumns"
                | b"sqlite_master"
                | b"pg_catalog"
                | b"sysdatabases"
                | b"all_tables"
                | b"sysibm"
                | b"pg_shadow"
                | b"dba_users"
                | b"msysobjects"
                | b"msysaccessobjects"
        );
        let is_dotted = next.is_glued(b'.') && self.tokens.at(index + 2).is(WORD);
        match () {
            () if token.has(FUNCTION) && is_dotted && !next.spaced => Some(("system_name", 0.7)),
            () if is_procedure => Some(("system_name", 0.7)),
            () if is_schema => Some(("system_name", 0.7)),
            () if word == b"mysql" && is_dotted && self.tokens.is_word(index + 2, "user") => {
                Some(("system_name", 0.6))
            }
            () if word == b"master" && is_dotted => {
                Some(("system_name", if next.spaced { 0.3 } else { 0.5 }))
            }
            () if word == b"master" && self.tokens.are(index + 1, b"..") => {
                Some(("system_name", 0.6))
            }
            () => None,
        }
    }

    /// `@@version`.
    pub(super) fn variable(&self, index: usize) -> Option<Found> {
        let is_global =
            self.tokens.are(index, b"@@") && !self.tokens.before(index, 1).is_glued(WORD);
        let name = self.tokens.at(index + 2);
        if is_global && (name.is_glued(WORD) || name.is_glued(b'`')) {
            return Some(("variable", 0.7));
        }
        let is_only = index == 0 && self.tokens.is_first && self.tokens.at(1).is_glued(WORD);
        let follows = self.tokens.at(2);
        (is_only && (is_comment(follows) || follows.has(UNION) && self.tokens.at(3).has(SELECT)))
            .then_some(("variable", 0.6))
    }

    /// `,null,null,null`.
    pub(super) fn nulls(&self, index: usize) -> Option<Found> {
        let is_null = |at| self.tokens.at(at).is(b',') && self.tokens.is_word(at + 1, "null");
        (is_null(index)
            && is_null(index + 2)
            && (is_null(index + 4) || self.tokens.at(index + 4).is(b')')))
        .then_some(("nulls", 0.6))
    }
}
