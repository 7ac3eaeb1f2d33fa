//! Strings at the same place of one event after another, which may be the pieces of one text: nobody has said that they are. So
//! each stays in its own event, whatever is taken out of it, and an event waits until nothing that follows changes its own.

use std::collections::{BTreeMap, VecDeque};

use super::Detection;
use super::means::Means;
use super::text::{Hold, Sink, TextStream};

/// So many places are remembered: those that were seen last.
const MAXIMUM_PLACES: usize = 64;

/// A value of so many bytes that comes twice running says what the events are of, and goes on nowhere.
const LABEL_BYTES: usize = 16;

/// The longest value that is compared with the next.
const MAXIMUM_LABEL_BYTES: usize = 128;

/// A text that has no piece in so many events is over. Others may come in between, as the choices of a completion do.
const SILENT_EVENTS: u64 = 8;

/// In the name of a text, before its number.
const BEFORE_NUMBER: char = '#';

/// The texts that the strings of events may be pieces of.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    texts: BTreeMap<String, Leaf>,
    clock: u64,
    numbers: Numbers,
    whole: Vec<Whole>,
}

/// What an `index` counts: where none comes twice it is the events, and else the texts.
#[derive(Debug, Default)]
struct Numbers {
    highest: u64,
    tell_texts: bool,
}

/// A string that waits for nothing any more.
#[derive(Debug)]
pub(super) struct Whole {
    /// The number of its event, and where it is there.
    pub(super) event: u64,
    pub(super) pointer: String,
    pub(super) text: String,
}

/// A string of an event.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) event: u64,
    pub(super) pointer: &'a str,
    /// What tells texts at the same place from each other, and what may do so.
    pub(super) index: &'a str,
    pub(super) number: &'a str,
    /// What its member is called, as it stands before a text.
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    /// What is in it behind that name.
    pub(super) known: Vec<Detection>,
}

#[derive(Debug)]
struct Leaf {
    stream: TextStream,
    pieces: Pieces,
    /// The last piece, if it may be a label, and its number.
    last: String,
    number: String,
    used: u64,
}

/// The pieces of which something is held.
#[derive(Debug, Default)]
struct Pieces {
    waiting: VecDeque<Waiting>,
    whole: Vec<Whole>,
}

#[derive(Debug)]
struct Waiting {
    whole: Whole,
    /// So many of its bytes are held.
    left: usize,
}

impl Leaves {
    /// Takes a piece, of which as much is held as `hold` says where there were others before, and only what looks like the
    /// beginning of something where it is the first. False where it is none: it is a label.
    pub(super) fn take(&mut self, piece: Piece<'_>, hold: Hold, means: Means<'_>) -> bool {
        let Piece { event, pointer, index, number, name, text, known } = piece;
        let key = self.key(pointer, index, number);
        let is_new = !self.texts.contains_key(&key);
        if is_new && self.texts.len() >= MAXIMUM_PLACES {
            self.forget_one(means);
        }
        let leaf = self.texts.entry(key).or_insert_with(|| Leaf {
            stream: TextStream::after(name),
            pieces: Pieces::default(),
            last: String::new(),
            number: String::new(),
            used: 0,
        });
        leaf.used = self.clock;
        if leaf.number != number {
            number.clone_into(&mut leaf.number);
        }
        let may_be_label = (LABEL_BYTES..=MAXIMUM_LABEL_BYTES).contains(&text.len());
        let is_label = may_be_label && leaf.last == text;
        if is_label {
            leaf.stream.let_go(Hold::Nothing, means, &mut leaf.pieces);
        } else {
            leaf.last.clear();
            if may_be_label {
                leaf.last.push_str(text);
            }
            let whole = Whole { event, pointer: pointer.to_owned(), text: String::new() };
            leaf.pieces.waiting.push_back(Waiting { whole, left: text.len() });
            let hold = if is_new && hold == Hold::Word { Hold::Suspicious } else { hold };
            leaf.stream.take(text, known, hold, means, &mut leaf.pieces);
            if hold == Hold::Nothing {
                leaf.stream.let_go(hold, means, &mut leaf.pieces);
            }
        }
        self.whole.append(&mut leaf.pieces.whole);
        !is_label
    }

    /// Nothing is said at a place this time. A text that waits there is not over, however often that comes; its words do not wait.
    /// Whether there is one.
    pub(super) fn stay(
        &mut self,
        pointer: &str,
        index: &str,
        number: &str,
        means: Means<'_>,
    ) -> bool {
        let key = self.key(pointer, index, number);
        let Some(leaf) = self.texts.get_mut(&key) else { return false };
        if leaf.pieces.waiting.is_empty() {
            return false;
        }
        leaf.used = self.clock;
        leaf.let_go(Hold::Suspicious, means);
        self.whole.append(&mut leaf.pieces.whole);
        true
    }

    /// What a text is known by.
    fn key(&self, pointer: &str, index: &str, number: &str) -> String {
        let told = if self.numbers.tell_texts { number } else { "" };
        format!("{pointer} {index}{BEFORE_NUMBER}{told}")
    }

    /// The number of the next event that has one.
    pub(super) fn count(&mut self, number: &str) {
        let Some(number) = number.parse::<u64>().ok().filter(|_| !self.numbers.tell_texts) else {
            return;
        };
        // They are counted from 1, so that 0 is more than none.
        let next = number.saturating_add(1);
        if next > self.numbers.highest {
            self.numbers.highest = next;
            return;
        }
        self.numbers.tell_texts = true;
        let texts = std::mem::take(&mut self.texts).into_iter();
        self.texts = texts.map(|(key, leaf)| (format!("{key}{}", leaf.number), leaf)).collect();
    }

    /// The next event comes.
    pub(super) fn next_event(&mut self) {
        self.clock = self.clock.saturating_add(1);
    }

    /// An event has come, or several in a row in which no text goes on. Words do not wait for a text that does not go on, and in the
    /// end nothing does: who waits for an event that says that all is told must get it.
    pub(super) fn give_up(&mut self, quiet: usize, means: Means<'_>) {
        for leaf in self.texts.values_mut().filter(|leaf| !leaf.pieces.waiting.is_empty()) {
            let hold = match (self.clock.saturating_sub(leaf.used), quiet) {
                (SILENT_EVENTS.., _) | (_, 2..) => Hold::Nothing,
                (2.., _) | (_, 1) => Hold::Suspicious,
                _ => continue,
            };
            leaf.let_go(hold, means);
            self.whole.append(&mut leaf.pieces.whole);
        }
    }

    /// Lets go of all that is held.
    pub(super) fn let_go(&mut self, means: Means<'_>) {
        for leaf in self.texts.values_mut() {
            leaf.let_go(Hold::Nothing, means);
            self.whole.append(&mut leaf.pieces.whole);
        }
    }

    /// The strings that have ceased to wait.
    pub(super) fn whole(&mut self) -> Vec<Whole> {
        std::mem::take(&mut self.whole)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.texts.values().any(|leaf| leaf.stream.is_refused())
    }

    fn forget_one(&mut self, means: Means<'_>) {
        let oldest = self.texts.iter().min_by_key(|(_, leaf)| leaf.used);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
        if let Some(mut leaf) = self.texts.remove(&key) {
            leaf.let_go(Hold::Nothing, means);
            self.whole.append(&mut leaf.pieces.whole);
        }
    }
}

impl Leaf {
    fn let_go(&mut self, hold: Hold, means: Means<'_>) {
        self.stream.let_go(hold, means, &mut self.pieces);
        if self.stream.is_refused() {
            // The rest of them is never released.
            self.pieces.whole.extend(self.pieces.waiting.drain(..).map(|waiting| waiting.whole));
        }
    }
}

impl Pieces {
    /// So many bytes are not held any more: `keep` gets each piece and the part of them that was its own.
    fn pass(&mut self, mut length: usize, mut keep: impl FnMut(&mut String, usize)) {
        while length > 0 {
            let Some(first) = self.waiting.front_mut() else { return };
            let part = length.min(first.left);
            keep(&mut first.whole.text, part);
            length -= part;
            first.left -= part;
            if first.left == 0 {
                self.whole.extend(self.waiting.pop_front().map(|waiting| waiting.whole));
            }
        }
    }
}

impl Sink for Pieces {
    fn same(&mut self, text: &str) {
        let mut rest = text;
        self.pass(text.len(), |piece, length| {
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            piece.push_str(part);
            rest = after;
        });
    }

    /// All of it stands where the first of what came stood.
    fn instead(&mut self, came: usize, text: &str) {
        let mut text = Some(text);
        self.pass(came, |piece, _| piece.push_str(text.take().unwrap_or_default()));
    }
}
