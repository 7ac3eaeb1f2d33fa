//! The sides of operators.

use super::super::lexicon::{COMPARE, CONSTANT, NEGATION, SELECT};
use super::super::tokens::{END, NUMBER, Token, WORD};
use super::{ANY_FUNCTION, Operand, Sql};

impl Sql<'_, '_> {
    /// One side of an operator, and where the next token is.
    pub(super) fn operand(&self, mut index: usize) -> Option<(Operand, usize)> {
        let limit = index + 8;
        let is_sign = |token: Token| {
            matches!(token.shape, b'(' | b'-' | b'+' | b'~' | b'!' | b'@' | b'{' | b'$' | b'\\')
                || token.has(NEGATION)
        };
        let mut is_variable = false;
        // `and#remark<line feed>1=1`.
        if self.tokens.at(index).is(b'#') {
            index = self.tokens.next_line(index);
        }
        while is_sign(self.tokens.at(index)) && index < limit {
            is_variable |= self.tokens.at(index).is(b'@');
            index += 1;
        }
        let token = self.tokens.at(index);
        let (operand, mut next) = match token.shape {
            NUMBER => (Operand::Value, index + 1),
            b'\'' | b'"' | b'`' => (Operand::Quoted, self.string_end(index, token)),
            b'*' | b':' => (Operand::Value, index + 1),
            WORD if token.has(SELECT) => (Operand::Select, index + 1),
            WORD if self.tokens.at(index + 1).is(b'(') => (Operand::Call, self.call_end(index + 1)),
            WORD if is_variable || token.has(CONSTANT) => (Operand::Value, index + 1),
            // n'a', x'41'.
            WORD if token.end - token.start == 1 && self.tokens.at(index + 1).is_glued(b'\'') => {
                (Operand::Quoted, self.string_end(index + 1, self.tokens.at(index + 1)))
            }
            WORD => (Operand::Word, self.name_end(index)),
            _ => return None,
        };
        let limit = next + 4;
        while self.tokens.at(next).is(b')') && next < limit {
            next += 1;
        }
        // Arithmetic: `1*56`, `2-1`, `length(user)-3`.
        if matches!(self.tokens.at(next).shape, b'*' | b'-' | b'+' | b'/' | b'%')
            && matches!(self.tokens.at(next + 1).shape, NUMBER | b'@')
        {
            next += 2;
        }
        Some((operand, next))
    }

    pub(super) fn string_end(&self, index: usize, open: Token) -> usize {
        (1..=12)
            .find(|offset| self.tokens.at(index + offset).is(open.shape))
            .map_or(index + 1, |offset| index + offset + 1)
    }

    pub(super) fn call_end(&self, index: usize) -> usize {
        let mut depth = 0_usize;
        for offset in 0..16 {
            match self.tokens.at(index + offset).shape {
                b'(' => depth += 1,
                b')' if depth <= 1 => return index + offset + 1,
                b')' => depth -= 1,
                END => break,
                _ => {}
            }
        }
        index + 1
    }

    pub(super) fn name_end(&self, index: usize) -> usize {
        let mut next = index + 1;
        while self.tokens.at(next).is_glued(b'.')
            && self.tokens.at(next + 1).is(WORD)
            && next < index + 8
        {
            next += 2;
        }
        next
    }

    /// Where what is compared with begins, if there is a comparison at `index`.
    pub(super) fn comparison(&self, index: usize) -> Option<usize> {
        let token = self.tokens.at(index);
        match token.shape {
            b'=' | b'<' | b'>' | b'~' => {
                let more = self.tokens.at(index + 1);
                Some(index + if matches!(more.shape, b'=' | b'>' | b'<' | b'*') { 2 } else { 1 })
            }
            b'!' => Some(index + 1),
            WORD if token.has(NEGATION) && self.tokens.at(index + 1).has(COMPARE) => {
                Some(index + 2)
            }
            WORD if token.has(COMPARE) => Some(index + 1),
            _ => None,
        }
    }

    /// Whether what is called there is a function of SQL, behind brackets and signs.
    pub(super) fn calls_sql(&self, mut index: usize) -> bool {
        let limit = index + 16;
        while index < limit
            && matches!(self.tokens.at(index).shape, b'(' | b'-' | b'+' | b'~' | b'!' | b'@')
        {
            index += 1;
        }
        let mut token = self.tokens.at(index);
        if token.has(NEGATION) {
            token = self.tokens.at(index + 1);
        }
        token.has(ANY_FUNCTION | SELECT)
    }
}
