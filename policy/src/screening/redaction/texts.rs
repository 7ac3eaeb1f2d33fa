//! Texts whose pieces are in events, at places where a text is known to be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::forget_call;
use super::events::Data;
use super::means::Means;
use super::text::TextStream;

/// So many texts may come at once, as the choices of a completion do.
const MAXIMUM_TEXTS: usize = 64;

/// The texts of a stream: pieces go in, and what is released of the text comes out, in whichever event is next.
#[derive(Debug, Default)]
pub(super) struct Texts {
    texts: BTreeMap<String, Text>,
}

/// What a text still held at its end: what stands before the data of the event that it is sent in, the data, and its size.
pub(super) type Rest = (String, Data, usize);

#[derive(Debug)]
struct Text {
    stream: TextStream,
    pointer: Option<String>,
    /// An event that had a piece of it, and its name: what a last piece is sent in.
    event: Value,
    name: Option<String>,
}

impl Texts {
    pub(super) fn is_refused(&self) -> bool {
        self.texts.values().any(|text| text.stream.is_refused())
    }

    pub(super) fn waits(&self) -> bool {
        self.texts.values().any(|text| text.stream.waits())
    }

    /// A piece of the text at this pointer that `place` tells from others, in this event; None where the text ends there. What is
    /// released, or None where there are too many texts.
    pub(super) fn push(
        &mut self,
        pointer: &str,
        place: &str,
        piece: &str,
        event: Option<(&Value, &Option<String>)>,
        means: Means<'_>,
    ) -> Option<String> {
        let key = format!("{pointer} {place}");
        if !self.texts.contains_key(&key) && self.texts.len() >= MAXIMUM_TEXTS {
            return None;
        }
        let text = self.texts.entry(key).or_insert_with(|| Text::at(Some(pointer)));
        let mut released = text.stream.push(piece, means);
        match event {
            Some((event, name)) => {
                text.event = event.clone();
                text.name.clone_from(name);
                forget_call(&mut text.event, pointer);
            }
            None => released.push_str(&text.stream.finish(means)),
        }
        Some(released)
    }

    /// Data that is not JSON: all of it is one text.
    pub(super) fn push_bare(&mut self, data: &str, means: Means<'_>) -> String {
        let text = self.texts.entry(String::new()).or_insert_with(|| Text::at(None));
        text.stream.push(data, means)
    }

    /// Ends all texts: what they still hold, and whether something in it is to be refused.
    pub(super) fn end(&mut self, means: Means<'_>) -> (Vec<Rest>, bool) {
        let mut is_refused = false;
        let mut rests = Vec::new();
        for (_, mut text) in std::mem::take(&mut self.texts) {
            let rest = text.stream.finish(means);
            is_refused |= text.stream.is_refused();
            if rest.is_empty() {
                continue;
            }
            let before = text.name.map(|name| format!("event: {name}\n")).unwrap_or_default();
            let size = rest.len();
            let place = text.pointer.as_ref().and_then(|pointer| text.event.pointer_mut(pointer));
            let data = match place {
                Some(place) => {
                    *place = Value::String(rest);
                    Data::Json(text.event)
                }
                None => Data::Text(rest),
            };
            rests.push((before, data, size));
        }
        (rests, is_refused)
    }
}

impl Text {
    fn at(pointer: Option<&str>) -> Self {
        Self {
            stream: TextStream::default(),
            pointer: pointer.map(str::to_owned),
            event: Value::Null,
            name: None,
        }
    }
}
