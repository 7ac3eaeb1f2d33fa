//! Events with JSON in them, in which models send their answers piece by piece, however they are framed.

use std::collections::VecDeque;

use serde_json::Value;

use super::event::{hold, is_label, is_last, is_quantity};
use super::json::MAXIMUM_NAME_BYTES;
use super::leaves::{Leaves, Piece};
use super::means::Means;
use super::stream::StreamSettings;
use super::text::{Hold, TextStream};
use super::texts::Texts;
use super::word::ends_word;

/// So many events may wait for what follows, and so many bytes of them. Then they go out as if nothing followed.
const MAXIMUM_WAITING: usize = 256;
const MAXIMUM_WAITING_BYTES: usize = 256 * 1024;

/// The deepest JSON that is walked: serde_json's own limit is this.
const MAXIMUM_DEPTH: usize = 128;

/// So many bytes of an event's pointers are kept while it is walked through. Strings behind that are redacted each by itself: names may be
/// long and what they name many.
const MAXIMUM_PLACES_BYTES: usize = 256 * 1024;

/// A string of so many bytes without a space is data, and no piece of a text.
const DATA_BYTES: usize = 1024;

/// Numbers that tell texts at the same place from each other, beside `index`, which may also count the events.
const INDEXES: [&str; 4] =
    ["/choices/0/index", "/choices/0/delta/tool_calls/0/index", "/output_index", "/content_index"];

/// How events are told from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events.
    ServerSent,
    /// Lines.
    Lines,
}

/// Events on their way: whole ones go in, and come out in the same order.
#[derive(Debug)]
pub(super) struct Events {
    framing: Framing,
    pointers: Vec<String>,
    texts: Texts,
    leaves: Leaves,
    /// The events that wait, the number of the first of them, and their size.
    waiting: VecDeque<Waiting>,
    first: u64,
    size: usize,
    /// So many events have come since one had a piece of a text.
    quiet: usize,
    is_refused: bool,
}

#[derive(Debug)]
struct Waiting {
    /// What stands before its data, and with it makes it an event.
    before: String,
    data: Data,
    size: usize,
    /// So many of its strings wait.
    strings: usize,
}

/// What an event says.
#[derive(Debug)]
pub(super) enum Data {
    Nothing,
    /// Text that is all there and may go on.
    Text(String),
    Json(Value),
    /// JSON's string, which is sent without being one.
    Bare(Value),
}

/// What an event's JSON turned out to have.
struct Walked {
    /// So many strings may wait.
    strings: usize,
    /// No text goes on in it, and none of those that wait is there, saying nothing.
    is_quiet: bool,
}

/// While an event is walked through.
struct Walk<'a> {
    event: u64,
    pointer: String,
    index: &'a str,
    number: &'a str,
    hold: Hold,
    /// So many strings may wait.
    strings: usize,
    /// Where nothing is said.
    silent: Vec<String>,
    /// So many more bytes of pointers may be kept.
    room: usize,
}

impl Walk<'_> {
    /// Whether there is room for one more pointer.
    fn has_room(&mut self) -> bool {
        let left = self.room.checked_sub(self.pointer.len());
        self.room = left.unwrap_or_default();
        left.is_some()
    }

    fn note_silence(&mut self) {
        if self.has_room() {
            self.silent.push(self.pointer.clone());
        }
    }
}

impl Events {
    pub(super) fn new(framing: Framing, settings: &StreamSettings) -> Self {
        Self {
            framing,
            pointers: settings.pointers.clone(),
            texts: Texts::default(),
            leaves: Leaves::default(),
            waiting: VecDeque::new(),
            first: 0,
            size: 0,
            quiet: 0,
            is_refused: false,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused || self.leaves.is_refused() || self.texts.is_refused()
    }

    /// Whether something waits for what follows.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || self.texts.waits()
    }

    /// The next event, whose data is of `size` bytes; what stands before it, as it came; its name.
    pub(super) fn take(
        &mut self,
        before: String,
        name: Option<String>,
        data: Data,
        size: usize,
        means: Means<'_>,
        out: &mut String,
    ) {
        self.leaves.next_event();
        let (data, walked) = match data {
            Data::Json(mut value) => {
                let walked = self.rewrite(&mut value, name, size, means);
                (Data::Json(value), walked)
            }
            Data::Bare(mut value) => {
                let walked = self.rewrite(&mut value, None, size, means);
                (Data::Bare(value), walked)
            }
            data => (data, Walked { strings: 0, is_quiet: true }),
        };
        self.queue(Waiting { before, data, size, strings: walked.strings });
        let is_full = self.waiting.len() > MAXIMUM_WAITING || self.size > MAXIMUM_WAITING_BYTES;
        if is_full {
            self.leaves.let_go(means);
        }
        self.quiet = if walked.is_quiet { self.quiet.saturating_add(1) } else { 0 };
        self.leaves.give_up(self.quiet, means);
        self.send(means, out);
    }

    /// Something has come that says nothing.
    pub(super) fn be_quiet(&mut self, means: Means<'_>, out: &mut String) {
        self.quiet = self.quiet.saturating_add(1);
        self.leaves.give_up(self.quiet, means);
        self.send(means, out);
    }

    /// Data that is not JSON: all of it is one text.
    pub(super) fn piece_of_text(&mut self, data: &str, means: Means<'_>) -> Data {
        Data::Text(self.texts.push_bare(data, means))
    }

    /// Sends what texts still hold, and all that waits.
    pub(super) fn flush(&mut self, means: Means<'_>, out: &mut String) {
        self.end_texts(means);
        self.send(means, out);
    }

    /// Redacts a text on its own.
    pub(super) fn whole(&mut self, text: &str, means: Means<'_>) -> String {
        self.once(TextStream::default(), text, means)
    }

    /// Leaves in an event's JSON what is released of its texts, and redacts all else in it.
    fn rewrite(
        &mut self,
        event: &mut Value,
        name: Option<String>,
        size: usize,
        means: Means<'_>,
    ) -> Walked {
        let told = |pointer: &&str| event.pointer(pointer).map(Value::to_string);
        let indexes: Vec<String> =
            INDEXES.iter().map(|pointer| told(pointer).unwrap_or_default()).collect();
        let index = indexes.join(",");
        let number = event.get("index").map(Value::to_string).unwrap_or_default();
        self.leaves.count(&number);
        let is_last = is_last(event);
        let mut pieces = Vec::new();
        for pointer in &self.pointers {
            let Some(Value::String(place)) = event.pointer_mut(pointer) else { continue };
            pieces.push((pointer.clone(), std::mem::take(place)));
        }
        let has_pieces = !pieces.is_empty();
        let place = format!("{index},{number}");
        let mut released = Vec::new();
        if is_last {
            for (pointer, piece) in std::mem::take(&mut pieces) {
                let text = self.texts.push(&pointer, &place, &piece, None, means);
                let text = text.unwrap_or_else(|| self.whole(&piece, means));
                released.push((pointer, text));
            }
            // Other texts end too, in events of their own.
            self.end_texts(means);
        }
        let mut walk = Walk {
            event: self.first.saturating_add(self.waiting.len() as u64),
            pointer: String::new(),
            index: &index,
            number: &number,
            hold: hold(event, is_last || size > MAXIMUM_WAITING_BYTES, has_pieces),
            strings: 0,
            silent: Vec::new(),
            room: MAXIMUM_PLACES_BYTES,
        };
        self.redact(event, "", 0, &mut walk, means);
        let Walk { strings, silent, .. } = walk;
        // Where another text goes on, one that says nothing may well be over: its place is there in every event of the form.
        let is_silent = strings == 0 && pieces.iter().all(|(_, piece)| piece.is_empty());
        let mut is_quiet = strings == 0 && !has_pieces;
        for pointer in silent.iter().filter(|_| is_silent) {
            is_quiet &= !self.leaves.stay(pointer, &index, &number, means);
        }
        for (pointer, piece) in pieces {
            let sent = (&*event, &name);
            let text = self.texts.push(&pointer, &place, &piece, Some(sent), means);
            let text = text.unwrap_or_else(|| self.whole(&piece, means));
            released.push((pointer, text));
        }
        for (pointer, text) in released {
            if let Some(place) = event.pointer_mut(&pointer) {
                *place = Value::String(text);
            }
        }
        Walked { strings, is_quiet }
    }

    /// What texts still hold goes into events of its own.
    fn end_texts(&mut self, means: Means<'_>) {
        let (rests, is_refused) = self.texts.end(means);
        self.is_refused |= is_refused;
        for (before, data, size) in rests {
            self.queue(Waiting { before, data, size, strings: 0 });
        }
        self.leaves.let_go(means);
    }

    fn queue(&mut self, event: Waiting) {
        self.size = self.size.saturating_add(event.size);
        self.waiting.push_back(event);
    }

    /// Sends the events that wait for nothing, up to the first that does.
    fn send(&mut self, means: Means<'_>, out: &mut String) {
        if self.is_refused() {
            // Nothing follows.
            self.leaves.let_go(means);
        }
        for whole in self.leaves.whole() {
            let place = whole.event.checked_sub(self.first).and_then(|it| usize::try_from(it).ok());
            let Some(event) = place.and_then(|place| self.waiting.get_mut(place)) else { continue };
            event.strings = event.strings.saturating_sub(1);
            if let Data::Json(value) | Data::Bare(value) = &mut event.data
                && let Some(place) = value.pointer_mut(&whole.pointer)
            {
                *place = Value::String(whole.text);
            }
        }
        while self.waiting.front().is_some_and(|event| event.strings == 0) {
            let Some(Waiting { before, data, size, .. }) = self.waiting.pop_front() else { return };
            self.first = self.first.saturating_add(1);
            self.size = self.size.saturating_sub(size);
            out.push_str(&before);
            let data = match data {
                Data::Nothing => None,
                Data::Text(text) | Data::Bare(Value::String(text)) => Some(text),
                Data::Json(value) | Data::Bare(value) => Some(value.to_string()),
            };
            match self.framing {
                Framing::ServerSent => {
                    for line in data.iter().flat_map(|data| data.split('\n')) {
                        out.push_str("data: ");
                        out.push_str(line);
                        out.push('\n');
                    }
                }
                Framing::Lines => out.push_str(&data.unwrap_or_default()),
            }
            out.push('\n');
        }
    }

    /// Redacts every string of a value, with its name before it. Those that may be pieces of a text are taken out of it.
    fn redact(
        &mut self,
        value: &mut Value,
        name: &str,
        depth: usize,
        walk: &mut Walk<'_>,
        means: Means<'_>,
    ) {
        if depth > MAXIMUM_DEPTH {
            *value = Value::Null;
            return;
        }
        let length = walk.pointer.len();
        match value {
            Value::String(text) => *text = self.redact_string(name, text, walk, means),
            Value::Number(number) => {
                let number = number.to_string();
                if number.len() >= 7 {
                    let redacted = self.named(name, &number, means);
                    if redacted != number {
                        *value = Value::String(redacted);
                    }
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter_mut().enumerate() {
                    walk.pointer.push_str(&format!("/{index}"));
                    self.redact(value, name, depth + 1, walk, means);
                    walk.pointer.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    walk.pointer.push('/');
                    walk.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    let short = name.floor_char_boundary(MAXIMUM_NAME_BYTES);
                    let name = name.get(..short).unwrap_or_default();
                    self.redact(value, name, depth + 1, walk, means);
                    walk.pointer.truncate(length);
                }
            }
            Value::Null => walk.note_silence(),
            Value::Bool(_) => {}
        }
    }

    fn redact_string(
        &mut self,
        name: &str,
        text: &str,
        walk: &mut Walk<'_>,
        means: Means<'_>,
    ) -> String {
        if text.is_empty() {
            walk.note_silence();
            return String::new();
        }
        let is_data = text.len() >= DATA_BYTES && !text.contains(ends_word);
        if is_data || is_label(name) || is_quantity(text) || self.is_refused() || !walk.has_room() {
            return self.named(name, text, means);
        }
        let context = before(name);
        let piece = Piece {
            event: walk.event,
            pointer: &walk.pointer,
            index: walk.index,
            number: walk.number,
            name: &context,
            text,
            known: means.find_after(&context, text),
        };
        if !self.leaves.take(piece, walk.hold, means) {
            return self.named(name, text, means);
        }
        walk.strings += 1;
        String::new()
    }

    fn named(&mut self, name: &str, text: &str, means: Means<'_>) -> String {
        self.once(TextStream::after(&before(name)), text, means)
    }

    fn once(&mut self, mut stream: TextStream, text: &str, means: Means<'_>) -> String {
        let mut redacted = stream.push(text, means);
        redacted.push_str(&stream.finish(means));
        self.is_refused |= stream.is_refused();
        redacted
    }
}

fn before(name: &str) -> String {
    format!("{}: ", name.replace(['_', '-'], " "))
}
