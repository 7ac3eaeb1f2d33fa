//! SQL injection: by the shape of what follows a quotation mark, a number or the beginning, whatever stands around it.

use super::super::Kind;
use super::findings::Findings;
use super::lexicon::{
    CLAUSE, COMPARE, CONSTANT, FUNCTION, LOGIC, Marks, NEGATION, OBJECT, PLAIN_FUNCTION, SELECT,
    STATEMENT, SYSTEM_NAME, UNION,
};
use super::tokens::{AND, COMMENT, DASHES, END, NUMBER, OR, Token, Tokens, WORD};

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
            let quote = if tokens.before(end, 1).is_quote() { 1 } else { 2 };
            let operator = tokens.before(end, quote + 1);
            tokens.before(end, quote).is_quote() && is_operator(operator)
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

    fn word(&mut self, index: usize, token: Token) -> Option<(&'static str, f32)> {
        if token.marks == 0 {
            return None;
        }
        let mut found = None;
        let mut keep = |new: Option<(&'static str, f32)>| {
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

    fn quote(&mut self, index: usize, token: Token) -> Option<(&'static str, f32)> {
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
        None
    }

    /// `' or 1=1`, `1 and sleep(5)`, `' or 'a`.
    fn logic(&self, index: usize) -> Option<(&'static str, f32)> {
        let left = self.tokens.before(index, 1);
        let is_quote = left.is_quote();
        let is_breakout = is_quote && self.is_breakout(index - 1);
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
                () if is_strong && has_second && is_value && next == index + 2 => {
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
    fn is_same(&self, index: usize, next: usize) -> bool {
        let (first, second) = (self.tokens.at(index), self.tokens.at(next + 1));
        next == index + 1
            && first.is(WORD)
            && self.tokens.at(next).is(b'=')
            && second.is(WORD)
            && self.tokens.word(first).len() <= 2
            && self.tokens.word(second).len() <= 2
    }

    fn is_constant(&self, index: usize) -> bool {
        matches!(self.tokens.word(self.tokens.at(index)), b"true" | b"false" | b"null")
    }

    /// Whether what is called there is a function of SQL, behind brackets and signs.
    fn calls_sql(&self, mut index: usize) -> bool {
        while matches!(self.tokens.at(index).shape, b'(' | b'-' | b'+' | b'~' | b'!' | b'@') {
            index += 1;
        }
        let mut token = self.tokens.at(index);
        if token.has(NEGATION) {
            token = self.tokens.at(index + 1);
        }
        token.has(ANY_FUNCTION | SELECT)
    }

    /// One side of an operator, and where the next token is.
    fn operand(&self, mut index: usize) -> Option<(Operand, usize)> {
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

    fn string_end(&self, index: usize, open: Token) -> usize {
        (1..=12)
            .find(|offset| self.tokens.at(index + offset).is(open.shape))
            .map_or(index + 1, |offset| index + offset + 1)
    }

    fn call_end(&self, index: usize) -> usize {
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

    fn name_end(&self, index: usize) -> usize {
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
    fn comparison(&self, index: usize) -> Option<usize> {
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

    /// `union all select`.
    fn union(&self, index: usize) -> Option<(&'static str, f32)> {
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
    fn is_selection(&self, mut index: usize) -> bool {
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
    fn has_from(&self, index: usize) -> bool {
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
                    is_list |= !token.is(b',') || !self.tokens.at(index + offset + 1).has(LOGIC)
                }
                _ => {}
            }
        }
        false
    }

    fn select(&self, index: usize) -> Option<(&'static str, f32)> {
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

    /// `; drop table`.
    fn stacked(&self, index: usize) -> Option<(&'static str, f32)> {
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
    fn statement(&self, index: usize, is_stacked: bool) -> Option<(&'static str, f32)> {
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
                has_object && (is_stacked || !self.tokens.at(index + 3).is(WORD) || word == b"drop")
                    || has_object && self.tokens.at(index + 3).has(CLAUSE | STATEMENT)
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
                has_object || next.is(WORD) && self.tokens.is_word(index + 2, "on")
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
            b"prepare" => is_stacked && self.tokens.is_word(index + 2, "from"),
            _ => false,
        };
        holds.then_some((
            if is_stacked { "stacked" } else { "statement" },
            if is_stacked { 0.9 } else { 0.6 },
        ))
    }

    /// `order by 5`, `having 1=1`, `into outfile`, `waitfor delay '0:0:5'`.
    fn clause(&self, index: usize) -> Option<(&'static str, f32)> {
        let (next, third) = (self.tokens.at(index + 1), self.tokens.at(index + 2));
        let left = self.tokens.before(index, 1);
        let is_lead = index <= self.lead && self.tokens.is_first;
        let is_value = matches!(left.shape, b'\'' | b'"' | b')' | NUMBER | COMMENT | END);
        let score = match self.tokens.word(self.tokens.at(index)) {
            b"order" | b"group" if self.tokens.is_word(index + 1, "by") => {
                let after = self.tokens.at(index + 3);
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
            b"having" | b"where" => {
                let is_test = self.operand(index + 1).filter(|(first, next)| {
                    *first != Operand::Word && self.comparison(*next).is_some()
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
            b"case" if self.tokens.is_word(index + 1, "when") && is_value && third.is(b'(') => 0.6,
            b"case"
                if is_lead && (1..5).any(|offset| self.tokens.is_word(index + offset, "when")) =>
            {
                if (3..10).any(|offset| self.tokens.is_word(index + offset, "then")) {
                    0.6
                } else {
                    0.0
                }
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

    fn function(&self, index: usize, token: Token) -> Option<(&'static str, f32)> {
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
        let is_delay = matches!(word, b"sleep" | b"delay");
        let ends = self.tokens.at(self.call_end(index + 1));
        let is_whole = index <= self.lead
            && self.tokens.is_first
            && (is_comment(ends) || ends.is_end() && is_delay);
        let is_chain = matches!(word, b"char" | b"chr")
            && argument.is(NUMBER)
            && matches!(self.tokens.at(index + 3).shape, b',' | b')')
            && (self.tokens.at(index + 4).is(NUMBER) || matches!(ends.shape, b'+' | b'|' | OR));
        let is_hex = argument.is(NUMBER) && self.tokens.word(argument).starts_with(b"0x");
        let is_info = matches!(word, b"version" | b"database" | b"user") && argument.is(b')');
        let is_inside = left.is(b'(') && self.tokens.before(index, 2).is(WORD) && !left.spaced;
        let is_listed = is_info && is_inside
            || is_info
                && (left.is(b',')
                    || ends.is(b',')
                    || left.is(b'=')
                    || left.has(SELECT)
                    || left.is(b'@'));
        let is_compared = is_info
            && self.comparison(self.call_end(index + 1)).is_some()
            && self.tokens.is_first
            && index <= self.lead;
        if is_compared {
            return Some(("function", 0.6));
        }
        if is_nested && !left.is(b'.') || is_chain || is_hex || is_whole || is_listed {
            return Some(("function", 0.7));
        }
        is_info.then_some(("function", 0.4))
    }

    fn system_name(&self, index: usize) -> Option<(&'static str, f32)> {
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
    fn variable(&self, index: usize) -> Option<(&'static str, f32)> {
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
    fn nulls(&self, index: usize) -> Option<(&'static str, f32)> {
        let is_null = |at| self.tokens.at(at).is(b',') && self.tokens.is_word(at + 1, "null");
        (is_null(index)
            && is_null(index + 2)
            && (is_null(index + 4) || self.tokens.at(index + 4).is(b')')))
        .then_some(("nulls", 0.6))
    }

    /// `) --` at the end.
    fn closing(&self, index: usize) -> Option<(&'static str, f32)> {
        let next = self.tokens.at(index + 1);
        let is_last = self.tokens.at(index + 2).is_end() && self.tokens.is_last;
        let is_comment = matches!(next.shape, DASHES | COMMENT) || next.is(b'#') && !next.spaced;
        (is_comment && is_last).then_some(("bracket_comment", 0.6))
    }

    /// `'+sleep(5)`, `'||(select`, `' = '`, `1*1--`.
    fn operator(&self, index: usize) -> Option<(&'static str, f32)> {
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
                (1..5).take_while(|offset| is_operator(self.tokens.at(index + offset))).count();
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
    fn compare(&self, index: usize) -> Option<(&'static str, f32)> {
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

    /// `1 --`, `1/*`.
    fn after_comment(&self, index: usize) -> Option<(&'static str, f32)> {
        let token = self.tokens.at(index);
        let is_last = self.tokens.at(index + 1).is_end() && self.tokens.is_last;
        let left = self.tokens.before(index, 1);
        let is_whole = self.tokens.is_first && index <= self.lead && index <= 3;
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
