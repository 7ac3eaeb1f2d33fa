//! One text that comes in pieces.

use std::ops::Range;

use super::means::Means;
use super::token::MAXIMUM_TOKEN_BYTES;
use super::word;
use super::{Action, Detection, Kind};

/// Findings that are shorter than this are found as if the text had come in one piece; also what follows them and
/// decides what they are.
const WINDOW_BYTES: usize = 256;

/// The longest word of which the beginning waits for its end: tokens of ours and of vendors. It is also the most that
/// is ever held back.
const MAXIMUM_HELD_BYTES: usize = 4096;

/// How much of what was released is still looked at: words that say what a number is.
const CONTEXT_BYTES: usize = 256;

/// After so many letters and spaces nothing before them can still become anything.
const PLAIN_BYTES: usize = 64;

const _: () = assert!(MAXIMUM_TOKEN_BYTES < MAXIMUM_HELD_BYTES);

/// Where a text goes that is released.
pub(super) trait Sink {
    /// As it came.
    fn same(&mut self, text: &str);

    /// In the place of so many bytes of what came.
    fn instead(&mut self, came: usize, text: &str);
}

impl Sink for String {
    fn same(&mut self, text: &str) {
        self.push_str(text);
    }

    fn instead(&mut self, _: usize, text: &str) {
        self.push_str(text);
    }
}

/// How much of a text waits for what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// All of which it is not certain what it is.
    Uncertain,
    /// The word that it ends in, and what looks like the beginning of something.
    Word,
    /// What looks like the beginning of something: a number, an address, a marker.
    Suspicious,
    /// Nothing.
    Nothing,
}

/// A text that comes in pieces and is released, redacted, in pieces.
#[derive(Debug, Default)]
pub(super) struct TextStream {
    /// The end of what was released, as it was before.
    context: String,
    held: String,
    /// What was found in what is held by those who know more of it.
    known: Vec<Detection>,
    inside: Inside,
    /// Something was found for which the whole text would have been refused.
    is_refused: bool,
}

/// What the text is in the middle of, that is too long to be held.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Inside {
    #[default]
    Nothing,
    /// A private key: all is masked up to its END.
    Key,
    /// Something else: all is masked up to the end of the word.
    Word,
}

impl TextStream {
    /// A text before which, in another place, this was said: a member's name.
    pub(super) fn after(context: &str) -> Self {
        Self { context: context.to_owned(), ..Self::default() }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether something waits for what follows.
    pub(super) fn waits(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes a piece, releases what is certain.
    pub(super) fn push(&mut self, piece: &str, means: Means<'_>) -> String {
        let mut released = String::new();
        self.take(piece, Vec::new(), Hold::Uncertain, means, &mut released);
        released
    }

    /// The text is at its end.
    pub(super) fn finish(&mut self, means: Means<'_>) -> String {
        let mut released = String::new();
        self.let_go(Hold::Nothing, means, &mut released);
        released
    }

    /// Takes a piece with what is known to be in it, releases all but what is to be held.
    pub(super) fn take(
        &mut self,
        piece: &str,
        known: Vec<Detection>,
        hold: Hold,
        means: Means<'_>,
        out: &mut dyn Sink,
    ) {
        let held = self.held.len();
        self.known.extend(known.into_iter().map(|mut finding| {
            finding.range = finding.range.start + held..finding.range.end + held;
            finding
        }));
        // Long pieces are taken in parts: what is held stays bounded.
        let mut rest = piece;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.floor_char_boundary(MAXIMUM_HELD_BYTES));
            rest = after;
            self.held.push_str(part);
            let hold = if rest.is_empty() { hold } else { Hold::Uncertain };
            self.release(out, means, hold);
        }
    }

    /// Nothing follows for now: releases all but what is to be held all the same.
    pub(super) fn let_go(&mut self, hold: Hold, means: Means<'_>, out: &mut dyn Sink) {
        self.release(out, means, hold);
    }

    fn release(&mut self, released: &mut dyn Sink, means: Means<'_>, hold: Hold) {
        let is_end = hold == Hold::Nothing;
        if self.is_refused {
            // Nothing follows it.
            self.held.clear();
            self.known.clear();
            return;
        }
        self.leave_what_it_is_inside(released, is_end);
        if self.inside != Inside::Nothing || self.held.is_empty() {
            return;
        }
        let findings = means.find_after(&self.context, &self.held);
        let findings = means.unite(findings, &self.known);
        let certain = || self.certain(means.canary.is_some());
        let mut cut = match hold {
            Hold::Nothing => self.held.len(),
            Hold::Uncertain => certain(),
            Hold::Word | Hold::Suspicious => {
                let window = format!("{}{}", self.context, self.held);
                let begun = means.canary.map_or(window.len(), |canary| canary.begun(&window));
                let begun = begun.saturating_sub(self.context.len());
                let ends = word::begins(&self.held, &window, hold == Hold::Word).min(begun);
                let last = findings.last().filter(|last| last.range.end == self.held.len());
                let touching = last.map_or(self.held.len(), |last| last.range.start);
                ends.max(certain()).min(touching)
            }
        };
        // What is cut goes into the next piece, unless it is too long to be held.
        let straddling = findings.iter().find(|f| f.range.start < cut && f.range.end > cut);
        let mut forced = None;
        if let Some(finding) = straddling {
            cut = finding.range.start;
        }
        if !is_end && let Some(last) = findings.last().filter(|last| last.range.start >= cut) {
            let is_open = last.range.end + 8 >= self.held.len();
            let waiting = self.held.len() - last.range.start;
            if last.range.start == cut && is_open && waiting > MAXIMUM_HELD_BYTES / 2 {
                forced = Some((last.kind, last.range.clone()));
            }
        }
        let mut done: Vec<_> = findings.into_iter().filter(|f| f.range.end <= cut).collect();
        if let Some(refused) = means.redaction.refused(&done) {
            self.is_refused = true;
            cut = refused.range.end;
        }
        done.retain(|finding| finding.range.end <= cut);
        let text = self.held.get(..cut).unwrap_or_default();
        let mut place = 0;
        for (range, replacement) in means.redaction.edits(text, &done, means.owner) {
            released.same(text.get(place..range.start).unwrap_or_default());
            released.instead(range.len(), &replacement);
            place = range.end;
        }
        released.same(text.get(place..).unwrap_or_default());
        self.forget(cut);
        if let Some((kind, range)) = forced {
            self.begin_long(kind, range.len(), released, means);
        }
    }

    /// Moves the beginning of what is held into the context.
    fn forget(&mut self, length: usize) {
        let gone = self.leave(length);
        self.context.push_str(&gone);
        let surplus = self.context.len().saturating_sub(CONTEXT_BYTES);
        // Not in the middle of a word, which would look like another one.
        let surplus = self.context.ceil_char_boundary(surplus);
        let word = self.context.get(surplus..).and_then(|rest| rest.find(char::is_whitespace));
        if surplus > 0 {
            self.context = self.context.split_off(surplus + word.unwrap_or_default());
        }
    }

    /// Holds the beginning of what is held no longer.
    fn leave(&mut self, length: usize) -> String {
        let rest = self.held.split_off(self.held.floor_char_boundary(length));
        self.known.retain_mut(|finding| {
            let Range { start, end } = finding.range;
            finding.range = start.saturating_sub(length)..end.saturating_sub(length);
            end > length
        });
        std::mem::replace(&mut self.held, rest)
    }

    /// Up to where nothing that is still to come changes anything.
    fn certain(&self, has_canary: bool) -> usize {
        let bytes = self.held.as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphabetic() || b" .,!?'\n".contains(byte);
        let plain = bytes.iter().rev().take_while(|byte| is_plain(byte)).count();
        // A marker may be spelled in plain words.
        let is_plain = !has_canary && (plain >= PLAIN_BYTES || plain == bytes.len());
        let limit = if is_plain { bytes.len() } else { bytes.len().saturating_sub(WINDOW_BYTES) };
        let limit = self.held.floor_char_boundary(limit);
        // Words stay whole; where all are plain, the last two wait: a number may begin with letters.
        let text = self.held.get(..limit).unwrap_or_default();
        let ends = text.bytes().enumerate().rev().filter(|(_, byte)| byte.is_ascii_whitespace());
        let mut ends = ends.map(|(place, _)| place + 1);
        let end = if is_plain { ends.nth(2) } else { ends.next() };
        let floor = bytes.len().saturating_sub(MAXIMUM_HELD_BYTES);
        let end = end.unwrap_or_default();
        if end >= floor { end } else { self.held.floor_char_boundary(limit) }
    }

    /// Something is longer than what can be held: what is there of it is replaced, and the rest masked as it comes.
    fn begin_long(&mut self, kind: Kind, length: usize, released: &mut dyn Sink, means: Means<'_>) {
        let value = self.held.get(..length).unwrap_or(&self.held).to_owned();
        let Some(replacement) = means.redaction.replacement(kind, &value, means.owner) else {
            // It stays: its beginning is released, and so will be the rest.
            released.same(&value);
            self.forget(value.len());
            return;
        };
        self.is_refused |= means.redaction.action(kind) == Action::Refuse;
        released.instead(value.len(), &replacement);
        self.leave(value.len());
        self.context.clear();
        self.inside = if kind == Kind::PrivateKey { Inside::Key } else { Inside::Word };
        self.leave_what_it_is_inside(released, false);
    }

    fn leave_what_it_is_inside(&mut self, released: &mut dyn Sink, is_end: bool) {
        let end = match self.inside {
            Inside::Nothing => return,
            Inside::Word => self.held.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)),
            Inside::Key => end_of_key(&self.held),
        };
        let length = match end {
            Some(end) => {
                self.inside = Inside::Nothing;
                end
            }
            None if is_end || self.inside == Inside::Word => self.held.len(),
            // The END may itself come in pieces.
            None => self.held.floor_char_boundary(self.held.len().saturating_sub(64)),
        };
        let gone = self.leave(length.min(self.held.len()));
        let masked: String =
            gone.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect();
        released.instead(gone.len(), &masked);
    }
}

/// Behind `END … PRIVATE KEY…-----`.
fn end_of_key(text: &str) -> Option<usize> {
    let start = text.find("END ")?;
    let label = start + text.get(start..)?.find("PRIVATE KEY")?;
    let rest = text.get(label..)?;
    let end = rest.find("--")?;
    let dashes = rest.get(end..)?.bytes().take_while(|byte| *byte == b'-').count();
    Some(label + end + dashes)
}
