//! Statements and clauses by their first words.

use super::super::lexicon::{CLAUSE, LOGIC, OBJECT, STATEMENT, SYSTEM_NAME};
use super::super::tokens::{COMMENT, DASHES, END, NUMBER, WORD};
use super::{ANY_FUNCTION, Found, Operand, Sql, is_comment};

impl Sql<'_, '_> {
    /// `; drop table`.
    pub(super) fn stacked(&self, index: usize) -> Option<Found> {
        let mut next = index + 1;
        while matches!(self.tokens.at(next).shape, COMMENT | DASHES | b';' | b'(')
            && next < index + 4
        {
            next += 1;
        }
        let verb = self.tokens.at(next);
        if !verb.has(STATEMENT) {
            return None;
        }
        let is_breakout =
            self.tokens.before(index, 1).is_quote() && self.is_breakout(index.saturating_sub(1));
        let is_plain = matches!(
            self.tokens.word(verb),
            b"select" | b"insert" | b"update" | b"delete" | b"drop" | b"alter" | b"exec"
        );
        self.statement(next, true).or((is_breakout && is_plain).then_some(("stacked", 0.6)))
    }

    /// A whole statement, by its first words.
    pub(super) fn statement(&self, index: usize, is_stacked: bool) -> Option<Found> {
        let word = self.tokens.word(self.tokens.at(index));
        let next = self.tokens.at(index + 1);
        let has_object = next.has(OBJECT) && self.tokens.at(index + 2).is(WORD)
            || next.has(OBJECT)
                && (self.tokens.at(index + 2).is_quote() || self.tokens.at(index + 2).is(b'['));
        let is_over = next.is_end() && self.tokens.is_last || is_comment(next) || next.is(b';');
        let holds = match word {
            b"select" => {
                self.is_selection(index + 1) || is_stacked && !next.is(WORD) && !next.is_end()
            }
            b"insert" | b"replace" => {
                self.tokens.is_word(index + 1, "into") && self.tokens.at(index + 2).is(WORD)
            }
            b"update" => (1..8).any(|offset| {
                self.tokens.is_word(index + offset, "set")
                    && self.tokens.at(self.name_end(index + offset + 1)).is(b'=')
            }),
            b"delete" => {
                let from =
                    if self.tokens.is_word(index + 1, "from") { index + 1 } else { index + 2 };
                self.tokens.is_word(from, "from") && self.tokens.at(from + 1).is(WORD) && {
                    let after = self.tokens.at(self.name_end(from + 1));
                    after.is_end() || is_comment(after) || after.has(CLAUSE) || after.is(b';')
                }
            }
            b"drop" | b"create" | b"alter" | b"truncate" => {
                let after = self.tokens.at(index + 3);
                let is_over = !after.is(WORD) || after.has(CLAUSE | STATEMENT);
                has_object && (is_stacked || is_over || word == b"drop")
                    || self.tokens.is_word(index + 3, "identified")
                    || self.tokens.is_word(index + 3, "add")
            }
            b"exec" | b"execute" => {
                next.is(b'(') && is_stacked
                    || next.is(b'@')
                    || next.has(SYSTEM_NAME)
                    || self.tokens.is_word(index + 1, "immediate")
                    || next.is(WORD) && self.tokens.at(index + 2).is_glued(b'.')
                    || self.tokens.word(next).starts_with(b"xp_")
                    || self.tokens.word(next).starts_with(b"sp_")
            }
            b"declare" | b"set" => next.is(b'@'),
            b"waitfor" => {
                self.tokens.at(index + 2).is_quote() || self.tokens.at(index + 2).is(NUMBER)
            }
            b"shutdown" | b"reconfigure" => {
                is_stacked && (is_over || self.tokens.is_word(index + 1, "with"))
            }
            b"if" | b"while" | b"do" | b"print" => {
                word == b"if"
                    && is_stacked
                    && self
                        .operand(index + 1)
                        .is_some_and(|(_, end)| self.comparison(end).is_some())
                    || next.is(b'(')
                        && (is_stacked || self.comparison(index + 3).is_some())
                        && word != b"do"
                    || word == b"do" && is_stacked && next.is(b'(')
                    || word == b"print" && next.is(b'@')
                    || word == b"if" && is_stacked && self.tokens.is_word(index + 1, "not")
            }
            b"grant" | b"revoke" => {
                has_object
                    || next.is(WORD)
                        && matches!(self.tokens.word(self.tokens.at(index + 2)), b"on" | b"to")
            }
            b"begin" => {
                self.tokens.at(index + 1).has(STATEMENT) && self.tokens.at(index + 2).is(b'@')
            }
            b"call" | b"handler" => {
                is_stacked && next.is(WORD) && self.tokens.at(index + 2).is(b'(')
            }
            b"load" => (2..5).any(|offset| self.tokens.is_word(index + offset, "infile")),
            b"copy" | b"bulk" | b"backup" | b"restore" => {
                has_object || is_stacked && self.tokens.is_word(index + 2, "from")
            }
            b"rename" => is_stacked && has_object,
            b"merge" => is_stacked && self.tokens.is_word(index + 1, "into"),
            b"explain" | b"describe" => is_stacked && next.has(STATEMENT),
            b"prepare" => is_stacked && self.tokens.is_word(index + 2, "from"),
            _ => false,
        };
        holds.then_some((
            if is_stacked { "stacked" } else { "statement" },
            if is_stacked { 0.9 } else { 0.6 },
        ))
    }

    /// `order by 5`, `having 1=1`, `into outfile`, `waitfor delay '0:0:5'`.
    pub(super) fn clause(&self, index: usize) -> Option<Found> {
        let (next, third) = (self.tokens.at(index + 1), self.tokens.at(index + 2));
        let left = self.tokens.before(index, 1);
        let is_lead = index <= self.lead && self.tokens.is_first;
        let is_value = matches!(left.shape, b'\'' | b'"' | b')' | NUMBER | COMMENT | END);
        let score = match self.tokens.word(self.tokens.at(index)) {
            b"order" | b"group" if self.tokens.is_word(index + 1, "by") => {
                let is_sorted =
                    matches!(self.tokens.word(self.tokens.at(index + 3)), b"asc" | b"desc");
                let after = self.tokens.at(index + if is_sorted { 4 } else { 3 });
                let ends = after.is_end() && self.tokens.is_last
                    || is_comment(after)
                    || after.is(b',')
                    || after.is(b')');
                let is_number = third.is(NUMBER) && ends && (is_lead || left.is_quote());
                let is_call = third.is(b'(') && is_value
                    || third.has(ANY_FUNCTION | SYSTEM_NAME) && after.is(b'(') && is_value;
                let is_cut =
                    self.ends_in_comment && is_value && self.is_breakout(index.saturating_sub(1));
                if is_number || is_call || is_cut { 0.7 } else { 0.0 }
            }
            b"group" if third.has(CLAUSE) => 0.0,
            // `having 1=1`, wherever.
            b"having"
                if next.is(NUMBER)
                    && self.comparison(index + 2).is_some()
                    && self.tokens.at(index + 3).is(NUMBER) =>
            {
                0.7
            }
            b"having" | b"where" => {
                let is_number = is_lead && next.is(NUMBER) && third.is_end() && index > 0;
                let is_test = self.operand(index + 1).filter(|(first, next)| {
                    (*first != Operand::Word || self.ends_in_comment)
                        && self.comparison(*next).is_some()
                        || is_number
                });
                let is_open = next.is(b'(') && self.tokens.at(index + 3).has(LOGIC);
                if is_test.is_some() && (is_value || self.ends_in_comment || is_lead) || is_open {
                    0.7
                } else {
                    0.0
                }
            }
            b"into"
                if self.tokens.is_word(index + 1, "outfile")
                    || self.tokens.is_word(index + 1, "dumpfile") =>
            {
                let is_call = third.is(WORD) && self.tokens.at(index + 3).is(b'(');
                if third.is_quote() || matches!(third.shape, NUMBER | b'@' | b'(') || is_call {
                    0.9
                } else {
                    0.3
                }
            }
            b"procedure" if self.tokens.is_word(index + 1, "analyse") => 0.9,
            b"waitfor" if next.is(WORD) && (third.is_quote() || third.is(NUMBER)) => 0.9,
            b"limit"
                if third.is(b',')
                    && self.tokens.at(index + 3).is(NUMBER)
                    && (is_lead || is_value) =>
            {
                0.6
            }
            b"limit" | b"offset" if next.is(NUMBER) && is_value && self.ends_in_comment => 0.6,
            b"exec" | b"execute" if next.has(SYSTEM_NAME) => 0.8,
            b"exec" | b"execute" if next.is(b'(') && third.is(b'@') => 0.7,
            b"case" if self.tokens.is_word(index + 1, "when") && is_value && third.is(b'(') => 0.6,
            b"case"
                if is_lead
                    && (1..5).any(|offset| self.tokens.is_word(index + offset, "when"))
                    && (3..10).any(|offset| self.tokens.is_word(index + offset, "then")) =>
            {
                0.6
            }
            b"from"
                if is_lead
                    && index > 0
                    && next.is(WORD)
                    && self.tokens.is_word(index + 2, "where") =>
            {
                0.6
            }
            b"declare" if next.is(b'@') && third.is(WORD) => 0.6,
            b"insert" if self.tokens.is_word(index + 1, "into") && third.is(WORD) => {
                let after = self.tokens.at(self.name_end(index + 2));
                if after.is(b'(') || self.tokens.is_word(self.name_end(index + 2), "values") {
                    0.7
                } else {
                    0.0
                }
            }
            b"from" if next.has(SYSTEM_NAME) && self.tokens.at(index + 2).is_glued(b'.') => 0.7,
            b"drop" if next.has(OBJECT) && is_comment(self.tokens.at(index + 3)) => 0.7,
            _ => 0.0,
        };
        (score > 0.0).then_some(("clause", score))
    }
}
