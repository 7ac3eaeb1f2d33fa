//! Conditions and operators behind a quotation mark, a number or the beginning: `' or 1=1`, `'+sleep(5)`.

use super::super::lexicon::{CLAUSE, COMPARE, LOGIC, NEGATION};
use super::super::tokens::{COMMENT, DASHES, NUMBER, WORD};
use super::{Found, Operand, Sql, is_comment, is_operator};

impl Sql<'_, '_> {
    /// `' or 1=1`, `1 and sleep(5)`, `' or 'a`.
    pub(super) fn logic(&self, index: usize) -> Option<Found> {
        let left = self.tokens.before(index, 1);
        let is_quote = left.is_quote();
        // `') or`: the bracket belongs to what is left.
        let brackets = (1..4).take_while(|back| self.tokens.before(index, *back).is(b')')).count();
        let end_of_value = index.checked_sub(brackets + 1);
        let is_breakout = end_of_value.is_some_and(|end| self.is_breakout(end));
        let is_lead = index <= self.lead && self.tokens.is_first;
        let is_value = matches!(
            left.shape,
            NUMBER | b')' | b']' | b'*' | DASHES | COMMENT | b'#' | b'%' | b';'
        );
        let (first, next) = self.operand(index + 1)?;
        let is_word_operator = self.tokens.at(index).is(WORD);
        if is_lead && self.is_same(index + 1, next) {
            return Some(("tautology", 0.7));
        }
        // `"MOD" "KITCHEN"`: a word in quotation marks.
        let is_quoted_word = left.is(b'"')
            && is_word_operator
            && !self.tokens.at(index).spaced
            && self.tokens.at(index + 1).is_glued(b'"');
        if is_quoted_word {
            return None;
        }
        if let Some(after) = self.comparison(next) {
            let second = self.operand(after);
            let is_strong = first != Operand::Word;
            let has_second = second.is_some_and(|(second, _)| second != Operand::Word);
            let is_call = matches!(first, Operand::Call | Operand::Select);
            return match () {
                () if is_breakout && (is_strong || second.is_some()) => Some(("tautology", 0.95)),
                () if is_strong
                    && has_second
                    && (is_lead || is_quote || is_value && !left.is(NUMBER)) =>
                {
                    Some(("tautology", 0.9))
                }
                // After a number in prose: only `1=1`, not `3 + 6 = 9`.
                () if is_strong
                    && has_second
                    && is_value
                    && next == index + 2
                    && self.tokens.at(next).is(b'=') =>
                {
                    Some(("tautology", 0.6))
                }
                () if is_lead && (is_strong || has_second) => Some(("tautology", 0.8)),
                () if is_strong
                    && has_second
                    && left.is(WORD)
                    && !self.tokens.at(next).is(WORD) =>
                {
                    Some(("tautology", 0.7))
                }
                () if self.ends_in_comment && (is_quote || is_value || left.is(WORD)) => {
                    Some(("tautology", 0.8))
                }
                () if is_value && is_call && is_word_operator => Some(("tautology", 0.7)),
                () => None,
            };
        }
        let end = self.tokens.at(next);
        let is_over = end.is_end() && self.tokens.is_last;
        let is_known_call =
            first == Operand::Select || first == Operand::Call && self.calls_sql(index + 1);
        match () {
            () if is_breakout && matches!(first, Operand::Call | Operand::Select) => {
                Some(("logic_call", 0.9))
            }
            () if is_breakout && first == Operand::Quoted => {
                Some(("logic_quote", if self.tokens.len() <= 40 { 0.7 } else { 0.4 }))
            }
            () if is_lead && is_over && self.is_constant(index + 1) => Some(("logic_value", 0.5)),
            () if is_lead && first == Operand::Value && end.has(CLAUSE) => {
                Some(("logic_value", 0.6))
            }
            () if is_breakout
                && (self.ends_in_string || end.has(LOGIC))
                && first != Operand::Word =>
            {
                Some(("logic_value", 0.6))
            }
            () if is_breakout && self.ends_in_string && self.tokens.len() <= 16 => {
                Some(("logic_value", 0.6))
            }
            () if is_quote && first == Operand::Value && is_comment(end) => {
                Some(("logic_comment", 0.6))
            }
            () if (is_quote || is_value || is_lead) && is_known_call => Some(("logic_call", 0.85)),
            () if is_breakout
                && first == Operand::Value
                && (is_over || is_comment(end) || end.is_quote()) =>
            {
                Some(("logic_value", 0.7))
            }
            () if (is_breakout || is_lead) && is_comment(end) => Some(("logic_comment", 0.8)),
            () if is_breakout && self.ends_in_comment => Some(("logic_comment", 0.6)),
            () if is_known_call && left.is(WORD) && self.ends_in_comment => {
                Some(("logic_call", 0.7))
            }
            () => None,
        }
    }

    /// `x=x`.
    pub(super) fn is_same(&self, index: usize, next: usize) -> bool {
        let (first, second) = (self.tokens.at(index), self.tokens.at(next + 1));
        next == index + 1
            && first.is(WORD)
            && self.tokens.at(next).is(b'=')
            && second.is(WORD)
            && self.tokens.word(first).len() <= 2
            && self.tokens.word(second).len() <= 2
    }

    pub(super) fn is_constant(&self, index: usize) -> bool {
        matches!(self.tokens.word(self.tokens.at(index)), b"true" | b"false" | b"null")
    }

    /// `'+sleep(5)`, `'||(select`, `' = '`, `1*1--`.
    pub(super) fn operator(&self, index: usize) -> Option<Found> {
        let left = self.tokens.before(index, 1);
        let next = self.tokens.at(index + 1);
        let is_breakout = left.is_quote() && self.is_breakout(index.saturating_sub(1));
        if is_breakout {
            if let Some((operand, end)) = self.operand(index + 1) {
                let is_call =
                    matches!(operand, Operand::Call | Operand::Select) && self.calls_sql(index + 1);
                let is_compared = self.comparison(end).is_some() && operand != Operand::Word;
                let is_joined = self.ends_in_comment && operand != Operand::Word
                    || self.ends_in_string && left.is(b'\'') && operand != Operand::Quoted;
                let is_parameter = self.tokens.at(index).is(b'&') && next.is_glued(WORD);
                if (is_call || is_compared || is_joined) && !is_parameter {
                    return Some(("quote_operator", 0.7));
                }
            }
            let signs =
                (1..7).take_while(|offset| is_operator(self.tokens.at(index + offset))).count();
            let is_rejoined = self.tokens.at(index + 1 + signs).is(left.shape);
            if is_rejoined && left.is(b'\'') && self.tokens.len() <= 8 && self.tokens.is_first {
                return Some(("quote_operator", 0.6));
            }
        }
        let is_arithmetic =
            index < self.lead && next.is(NUMBER) && left.is(NUMBER) && self.tokens.is_first;
        let end = self.tokens.at(index + 2);
        (is_arithmetic
            && matches!(end.shape, DASHES | COMMENT)
            && self.tokens.at(index + 3).is_end())
        .then_some(("arithmetic_comment", 0.6))
    }

    /// `' like '`, `' not regexp '`.
    pub(super) fn compare(&self, index: usize) -> Option<Found> {
        let mut left = index;
        if self.tokens.before(index, 1).has(NEGATION | COMPARE) {
            left = index - 1;
        }
        let quote = self.tokens.before(left, 1);
        let is_breakout = quote.is_quote() && self.is_breakout(left.saturating_sub(1));
        let next = self.tokens.at(index + 1);
        let is_closed = next.is(quote.shape) && self.tokens.len() <= 8 && quote.is(b'\'');
        let is_ended =
            is_breakout && (self.ends_in_comment || self.ends_in_string && !next.is_quote());
        (is_breakout && self.tokens.is_first && (is_closed || is_ended))
            .then_some(("quote_operator", 0.6))
    }
}
