//! A JSON body that comes in pieces: strings are read as what they say, whatever escapes they are written with.

use super::means::Means;
use super::text::TextStream;

/// Members' names beyond this length say nothing about their values.
pub(super) const MAXIMUM_NAME_BYTES: usize = 64;

/// The longest number that can be personal.
const MAXIMUM_NUMBER_BYTES: usize = 40;

/// Copies JSON, but for what its strings and numbers have in them. From where it is not JSON any more it is a text: an
/// upstream may say JSON and send an error message.
#[derive(Debug, Default)]
pub(super) struct JsonStream {
    state: State,
    /// The last string, and the last that was a member's name.
    string: String,
    name: String,
    is_refused: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    Number(String),
    /// A literal, as far as it has come.
    Word(String),
    /// It is not JSON.
    Other(Box<TextStream>),
    String {
        text: Box<TextStream>,
        /// An escape whose end has not come.
        escape: String,
        /// The first half of a surrogate pair.
        high: Option<u32>,
    },
}

impl JsonStream {
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether something waits for what follows. Between values nothing does, so that a whole document is all there.
    pub(super) fn waits(&self) -> bool {
        !matches!(self.state, State::Between)
    }

    pub(super) fn push(&mut self, piece: &str, means: Means<'_>) -> String {
        let mut released = String::with_capacity(piece.len());
        // What a string says in this piece.
        let mut said = String::new();
        for character in piece.chars() {
            if self.is_refused {
                return released;
            }
            self.take(character, &mut said, &mut released, means);
        }
        match &mut self.state {
            State::String { text, .. } => {
                push_escaped(&mut released, &text.push(&said, means));
                self.is_refused |= text.is_refused();
                remember(&mut self.string, &said);
            }
            State::Other(text) => {
                released.push_str(&text.push(&said, means));
                self.is_refused |= text.is_refused();
            }
            State::Between | State::Number(_) | State::Word(_) => {}
        }
        released
    }

    pub(super) fn finish(&mut self, means: Means<'_>) -> String {
        let mut released = String::new();
        match std::mem::take(&mut self.state) {
            State::Between => {}
            State::Number(number) => self.end_number(&number, &mut released, means),
            State::Word(word) if is_literal(&word) => released.push_str(&word),
            State::Word(word) => {
                let mut text = TextStream::default();
                released.push_str(&text.push(&word, means));
                released.push_str(&text.finish(means));
                self.is_refused |= text.is_refused();
            }
            State::Other(mut text) => {
                released.push_str(&text.finish(means));
                self.is_refused |= text.is_refused();
            }
            State::String { mut text, .. } => {
                push_escaped(&mut released, &text.finish(means));
                self.is_refused |= text.is_refused();
            }
        }
        released
    }

    fn take(&mut self, character: char, said: &mut String, out: &mut String, means: Means<'_>) {
        match &mut self.state {
            State::String { text, escape, high } => {
                if !escape.is_empty() || character == '\\' {
                    escape.push(character);
                    let Some(unit) = unescape(escape) else { return };
                    escape.clear();
                    say(unit, high, said);
                    return;
                }
                if character != '"' {
                    say(character as u32, high, said);
                    return;
                }
                if high.take().is_some() {
                    said.push(char::REPLACEMENT_CHARACTER);
                }
                push_escaped(out, &text.push(said, means));
                push_escaped(out, &text.finish(means));
                if text.is_refused() {
                    // Not even the quotation mark: whether it has come in this piece or comes in the next one is the same.
                    self.is_refused = true;
                    return;
                }
                out.push('"');
                remember(&mut self.string, said);
                said.clear();
                self.state = State::Between;
            }
            State::Number(number) => {
                if character.is_ascii_digit() || matches!(character, '.' | 'e' | 'E' | '+' | '-') {
                    number.push(character);
                    if number.len() > MAXIMUM_NUMBER_BYTES {
                        out.push_str(&std::mem::take(number));
                    }
                    return;
                }
                let number = std::mem::take(number);
                self.state = State::Between;
                self.end_number(&number, out, means);
                if !self.is_refused {
                    self.take(character, said, out, means);
                }
            }
            State::Other(_) => said.push(character),
            State::Word(word) => match character {
                ' ' | '\t' | '\n' | '\r' | ',' | ']' | '}' if is_literal(word) => {
                    out.push_str(&std::mem::take(word));
                    self.state = State::Between;
                    self.take(character, said, out, means);
                }
                _ => {
                    word.push(character);
                    if !LITERALS.iter().any(|literal| literal.starts_with(word.as_str())) {
                        said.push_str(&std::mem::take(word));
                        self.state = State::Other(Box::default());
                    }
                }
            },
            State::Between => match character {
                '"' => {
                    out.push('"');
                    self.string.clear();
                    let context = format!("{}: ", self.name.replace(['_', '-'], " "));
                    let text = Box::new(TextStream::after(&context));
                    self.state = State::String { text, escape: String::new(), high: None };
                }
                '-' | '0'..='9' => self.state = State::Number(character.into()),
                ' ' | '\t' | '\n' | '\r' | ',' | ':' | '[' | ']' | '{' | '}' => {
                    if character == ':' {
                        self.name = std::mem::take(&mut self.string);
                    }
                    out.push(character);
                }
                _ => {
                    self.state = State::Word(String::new());
                    self.take(character, said, out, means);
                }
            },
        }
    }

    fn end_number(&mut self, number: &str, out: &mut String, means: Means<'_>) {
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let mut text = TextStream::after(&format!("{}: ", self.name.replace(['_', '-'], " ")));
        let mut redacted = String::new();
        if digits >= 7 {
            redacted = text.push(number, means);
            redacted.push_str(&text.finish(means));
            self.is_refused |= text.is_refused();
        }
        if redacted.is_empty() || redacted == number {
            out.push_str(number);
        } else {
            // What takes a number's place is not a number.
            out.push('"');
            push_escaped(out, &redacted);
            out.push('"');
        }
    }
}

const LITERALS: [&str; 3] = ["true", "false", "null"];

fn is_literal(word: &str) -> bool {
    LITERALS.contains(&word)
}

fn remember(string: &mut String, said: &str) {
    let room = MAXIMUM_NAME_BYTES.saturating_sub(string.len());
    string.push_str(said.get(..said.floor_char_boundary(room)).unwrap_or_default());
}

/// Adds a UTF-16 unit or a character.
fn say(unit: u32, high: &mut Option<u32>, said: &mut String) {
    let pair = high.take();
    match (pair, unit) {
        (Some(pair), 0xDC00..=0xDFFF) => {
            let code = 0x1_0000 + ((pair - 0xD800) << 10) + (unit - 0xDC00);
            said.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        (Some(_), _) => said.push(char::REPLACEMENT_CHARACTER),
        (None, _) => {}
    }
    match unit {
        0xD800..=0xDBFF => *high = Some(unit),
        _ => said.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

/// What an escape stands for, when it is complete.
fn unescape(escape: &str) -> Option<u32> {
    let mut characters = escape.chars().skip(1);
    let code = match characters.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let hex = escape.get(2..)?;
            let is_over = hex.len() >= 4 || !hex.chars().all(|c| c.is_ascii_hexdigit());
            let value = u32::from_str_radix(hex, 16).unwrap_or(char::REPLACEMENT_CHARACTER as u32);
            return is_over.then_some(value);
        }
        other => other,
    };
    Some(code as u32)
}

fn push_escaped(out: &mut String, text: &str) {
    if let Ok(quoted) = serde_json::to_string(text) {
        out.push_str(
            quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or_default(),
        );
    }
}
