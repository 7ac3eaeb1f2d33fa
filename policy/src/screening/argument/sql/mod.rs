//! SQL injection: by the shape of what follows a quotation mark, a number or the beginning, whatever stands around it.

mod logic;
mod name;
mod operand;
mod selection;
mod statement;

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::{
    CLAUSE, COMPARE, FUNCTION, LOGIC, Marks, PLAIN_FUNCTION, SELECT, STATEMENT, SYSTEM_NAME, UNION,
};
use super::tokens::{AND, COMMENT, DASHES, NUMBER, OR, Token, Tokens, WORD};

const ANY_FUNCTION: Marks = FUNCTION | PLAIN_FUNCTION;

/// What stands on one side of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// A number, a variable, a constant.
    Value,
    Quoted,
    Call,
    Select,
    Word,
}

/// Looks at the tokens as SQL.
pub(super) struct Sql<'a, 'b> {
    tokens: &'a Tokens<'b>,
    /// How many tokens at the beginning are what a value or the end of one may be.
    lead: usize,
    /// Quotation marks seen so far, without apostrophes.
    singles: usize,
    doubles: usize,
    /// Whether the text ends in a comment.
    ends_in_comment: bool,
    /// Whether it ends in an operator and a string that is not closed: `or '1`.
    ends_in_string: bool,
}

impl<'a, 'b> Sql<'a, 'b> {
    pub(super) fn new(tokens: &'a Tokens<'b>) -> Self {
        let is_lead = |token: &Token| {
            token.is_quote()
                || matches!(
                    token.shape,
                    NUMBER
                        | b'('
                        | b')'
                        | b'-'
                        | b'+'
                        | b','
                        | b'*'
                        | b'%'
                        | b'@'
                        | b'.'
                        | b'/'
                        | b'#'
                        | DASHES
                        | COMMENT
                )
        };
        let lead = if tokens.is_first {
            tokens.iter().take_while(|(_, token)| is_lead(token)).count()
        } else {
            0
        };
        let ends_in_comment = tokens.is_last && {
            let mut last = tokens.len();
            // `-- -`, `--+`, `#"`.
            while matches!(
                tokens.before(last, 1).shape,
                b'-' | b'+' | b'\'' | b'"' | b';' | b')' | b'('
            ) && last > 1
                && tokens.len() - last < 3
            {
                last -= 1;
            }
            // `-- -a`.
            let is_remark = tokens.before(last, 1).is(WORD)
                && tokens.before(last, 2).is_glued(b'-') | tokens.before(last, 2).is(b'-')
                && tokens.before(last, 3).is(DASHES);
            is_comment(tokens.before(last, 1)) || is_remark
        };
        let ends_in_string = tokens.is_last && {
            let end = tokens.len();
            let quote = (1..4).find(|back| tokens.before(end, *back).is_quote()).unwrap_or(1);
            // `'-1`: a sign, not an operator.
            let is_value = quote < 3 || is_operator(tokens.before(end, 2));
            let operator = tokens.before(end, quote + 1);
            is_value && tokens.before(end, quote).is_quote() && is_operator(operator)
        };
        Self { tokens, lead, singles: 0, doubles: 0, ends_in_comment, ends_in_string }
    }

    /// Looks at what begins with the token at `index`. To be called for each in turn.
    pub(super) fn look(&mut self, index: usize, token: Token, findings: &mut Findings) {
        let score = match token.shape {
            b'\'' | b'"' | b'`' => self.quote(index, token),
            OR | AND => self.logic(index),
            b'|' | b'&' | b'^' | b'!' | b'~' => self.operator(index),
            b';' => self.stacked(index),
            b'@' => self.variable(index),
            b',' => self.nulls(index),
            b')' => self.closing(index),
            b'-' | b'+' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' => self.operator(index),
            DASHES | COMMENT | b'#' => self.after_comment(index),
            WORD => self.word(index, token),
            _ => return,
        };
        if let Some((rule, score)) = score {
            findings.add(Kind::SqlInjection, rule, score, token, self.tokens.at(index + 2));
        }
    }

    fn word(&mut self, index: usize, token: Token) -> Option<Found> {
        if token.marks == 0 {
            return None;
        }
        let mut found = None;
        let mut keep = |new: Option<Found>| {
            if let Some((_, score)) = new
                && found.is_none_or(|(_, known)| known < score)
            {
                found = new;
            }
        };
        if token.has(LOGIC) {
            keep(self.logic(index));
        }
        if token.has(UNION) {
            keep(self.union(index));
        }
        if token.has(COMPARE) {
            keep(self.compare(index));
        }
        if token.has(STATEMENT) && index <= self.lead && self.tokens.is_first {
            keep(self.statement(index, false));
        }
        if token.has(SELECT) {
            keep(self.select(index));
        }
        if token.has(CLAUSE | STATEMENT) {
            keep(self.clause(index));
        }
        if token.has(ANY_FUNCTION) {
            keep(self.function(index, token));
        }
        if token.has(SYSTEM_NAME) {
            keep(self.system_name(index));
        }
        found
    }

    /// Whether the quotation mark at `index` ends a string that was not begun in this text.
    fn is_breakout(&self, index: usize) -> bool {
        match self.tokens.at(index).shape {
            b'\'' => self.singles % 2 == 1,
            b'"' => self.doubles % 2 == 1,
            b'`' => true,
            _ => false,
        }
    }

    fn quote(&mut self, index: usize, token: Token) -> Option<Found> {
        let (before, after) = (self.tokens.before(index, 1), self.tokens.at(index + 1));
        let is_ending =
            matches!(self.tokens.word(after), b"s" | b"t" | b"re" | b"ll" | b"ve" | b"d" | b"m");
        let is_apostrophe = before.is(WORD)
            && !token.spaced
            && after.is_glued(WORD)
            && (is_ending || !after.has(LOGIC | UNION | SELECT | COMPARE | CLAUSE));
        if is_apostrophe {
            return None;
        }
        match token.shape {
            b'\'' => self.singles += 1,
            b'"' => self.doubles += 1,
            _ => {}
        }
        let is_start = before.is_end() && self.tokens.is_first;
        // `admin'--`, `') #`, `"/*`.
        let mut next = index + 1;
        while matches!(self.tokens.at(next).shape, b')' | b';') && next < index + 6 {
            next += 1;
        }
        let comment = self.tokens.at(next);
        if is_comment(comment) && (is_start || !token.spaced) && token.shape != b'`' {
            let follows = self.tokens.at(next + 1);
            let is_last = follows.is_end() && self.tokens.is_last;
            let is_marked =
                comment.shape != b'#' || next > index + 1 || !comment.spaced || index <= 1;
            if is_last && is_marked
                || self.ends_in_comment && self.is_breakout(index) && next > index + 1
            {
                return Some(("quote_comment", 0.8));
            }
        }
        // `' grant connect to name; --`.
        let is_statement = after.has(STATEMENT) && self.ends_in_comment && self.is_breakout(index);
        if is_statement && let Some((_, score)) = self.statement(index + 1, true) {
            return Some(("quote_statement", score));
        }
        None
    }

    /// `) --` at the end.
    fn closing(&self, index: usize) -> Option<Found> {
        let next = self.tokens.at(index + 1);
        let is_last = self.tokens.at(index + 2).is_end() && self.tokens.is_last;
        let is_comment = matches!(next.shape, DASHES | COMMENT) || next.is(b'#') && !next.spaced;
        (is_comment && is_last).then_some(("bracket_comment", 0.6))
    }

    /// `1 --`, `1/*`.
    fn after_comment(&self, index: usize) -> Option<Found> {
        let token = self.tokens.at(index);
        let is_last = self.tokens.at(index + 1).is_end() && self.tokens.is_last;
        let mut left = self.tokens.before(index, 1);
        if left.is(b';') {
            left = self.tokens.before(index, 2);
        }
        let is_whole = self.tokens.is_first && index <= self.lead + 1 && index <= 3;
        (is_last && is_whole && left.is(NUMBER) && matches!(token.shape, DASHES | COMMENT))
            .then_some(("number_comment", 0.5))
    }
}

fn is_operator(token: Token) -> bool {
    token.has(LOGIC | COMPARE)
        || matches!(
            token.shape,
            b'=' | b'<'
                | b'>'
                | b'~'
                | b'|'
                | b'&'
                | b'^'
                | b'-'
                | b'+'
                | b'*'
                | b'/'
                | b'%'
                | b'!'
                | OR
                | AND
        )
}

fn is_comment(token: Token) -> bool {
    matches!(token.shape, DASHES | COMMENT | b'#')
}
