//! `union select` and `select`, and whether columns follow or prose.

use super::super::lexicon::{
    CLAUSE, COMPARE, CONSTANT, LOGIC, NEGATION, SELECT, STATEMENT, SYSTEM_NAME, UNION,
};
use super::super::tokens::{COMMENT, DASHES, END, NUMBER, WORD};
use super::{ANY_FUNCTION, Found, Sql};

impl Sql<'_, '_> {
    /// `union all select`.
    pub(super) fn union(&self, index: usize) -> Option<Found> {
        let left = self.tokens.before(index, 1);
        let mut next = index + 1;
        let mut has_all = false;
        while next < index + 16 {
            let token = self.tokens.at(next);
            let is_filler = token.has(NEGATION | UNION)
                || matches!(
                    token.shape,
                    b'(' | b'-'
                        | b'+'
                        | b'~'
                        | b'!'
                        | b'@'
                        | b'#'
                        | DASHES
                        | COMMENT
                        | b'{'
                        | b'*'
                        | b'/'
                )
                || token.is(NUMBER)
                || token.is_quote();
            if !is_filler {
                break;
            }
            has_all |= token.has(NEGATION) || token.is(b'(');
            // A remark up to the end of the line.
            next = if token.is(b'#') { self.tokens.next_line(next) } else { next + 1 };
        }
        let token = self.tokens.at(next);
        if token.has(SELECT) || self.tokens.is_word(next, "values") {
            let is_value = left.is_quote()
                || matches!(left.shape, NUMBER | b')' | COMMENT | DASHES | b'#' | b';' | b'*');
            if has_all || is_value || self.is_selection(next + 1) || index <= self.lead {
                return Some(("union_select", 0.95));
            }
        }
        // Cut off: `-1 union`, `1/*...*/union`.
        let is_arithmetic = index <= self.lead
            && index > 1
            && self.tokens.iter().take(3).any(|(_, token)| token.is(NUMBER));
        let is_list = self.tokens.at(index + 1).is(NUMBER)
            && (1..4).all(|step| self.tokens.at(index + 2 * step).is(b','));
        if is_list {
            return Some(("union_list", 0.7));
        }
        let is_end = token.is_end() && self.tokens.is_last;
        let is_forged =
            is_arithmetic || left.is_quote() && self.is_breakout(index.saturating_sub(1));
        (is_end && self.tokens.is_first && is_forged).then_some(("union_cut", 0.6))
    }

    /// Whether what follows SELECT is a list of columns rather than prose.
    pub(super) fn is_selection(&self, mut index: usize) -> bool {
        let start = index;
        if self.tokens.is_word(index, "top") && self.tokens.at(index + 1).is(NUMBER) {
            index += 2;
        }
        while index < start + 6 {
            let token = self.tokens.at(index);
            let is_filler = token.has(NEGATION)
                || self.tokens.is_word(index, "top")
                || token.is(b'(')
                || token.is(b'-');
            if !is_filler {
                break;
            }
            index += 1;
        }
        let (token, after) = (self.tokens.at(index), self.tokens.at(index + 1));
        match token.shape {
            b'*' | b'@' | b'+' | b'~' | b'!' => true,
            b'.' | b'$' => !token.spaced || token.is(b'$'),
            NUMBER => !after.is(WORD) || after.has(CLAUSE | UNION | COMPARE | LOGIC),
            b'\'' | b'"' | b'`' | b'[' => index > start || self.has_from(index),
            WORD if after.is(b'(') => {
                token.has(ANY_FUNCTION | CONSTANT | SYSTEM_NAME) || self.has_from(index)
            }
            WORD if token.has(SYSTEM_NAME) => true,
            WORD if self.tokens.is_word(index, "null") || self.tokens.is_word(index, "case") => {
                true
            }
            WORD => self.has_from(index),
            _ => false,
        }
    }

    /// `name, name from name`: and then no prose.
    pub(super) fn has_from(&self, index: usize) -> bool {
        let mut is_list = false;
        for offset in 0..20 {
            let token = self.tokens.at(index + offset);
            if self.tokens.is_word(index + offset, "from") {
                let table = self.tokens.at(index + offset + 1);
                let end = self.name_end(index + offset + 1);
                let after = self.tokens.at(end);
                return is_list
                    || matches!(table.shape, b'(' | b'`' | b'[' | b'"')
                    || table.has(SYSTEM_NAME)
                    || table.is(WORD)
                        && offset < 5
                        && (after.is_end() && self.tokens.is_last
                            || matches!(
                                after.shape,
                                b';' | b')' | DASHES | COMMENT | b'#' | b'\''
                            )
                            || after.has(CLAUSE | UNION) && !self.tokens.at(end + 1).is_end()
                            || end > index + offset + 2);
            }
            match token.shape {
                END => return false,
                WORD if offset > 0 && token.has(STATEMENT) => return false,
                b',' | b'(' | b'*' | b'.' => {
                    is_list |= !token.is(b',') || !self.tokens.at(index + offset + 1).has(LOGIC);
                }
                _ => {}
            }
        }
        false
    }

    pub(super) fn select(&self, index: usize) -> Option<Found> {
        let left = self.tokens.before(index, 1);
        let is_opened =
            matches!(left.shape, b'(' | b';' | b'=' | b',' | COMMENT | DASHES) || left.is_quote();
        let is_start = index <= self.lead && self.tokens.is_first;
        let is_misspelt = self.ends_in_comment && index == self.lead + 1 && self.lead > 0;
        if !(is_opened || is_start || is_misspelt) {
            return None;
        }
        self.is_selection(index + 1).then_some(("select", if is_opened { 0.8 } else { 0.7 }))
    }
}
