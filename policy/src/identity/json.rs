//! The JSON of tokens (RFC 8259): one reading, bounded, and nothing copied.
//!
//! As strict as [`crate::input`] is with bodies, and with the same errors. But most of what a token says is looked at once and
//! thrown away: so texts stay where they are, in the decoded part of the token, unless there are escapes in them.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::input::{JsonError, JsonLimits, parse_json};

/// A value in a token.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Members<'a>),
}

/// An object in a token, its members in order. Tokens have few: to look through them is faster than to sort them.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// How many members the header, or the claims, of most tokens have at most.
const USUAL_MEMBERS: usize = 8;

/// From so many members on, names are kept in order to see at once whether one is there already.
const MANY_MEMBERS: usize = 32;

impl<'a> Json<'a> {
    /// Reads one JSON text and nothing after it. The depth in `limits` must be below serde_json's own, 128.
    pub(super) fn read(bytes: &'a [u8], limits: JsonLimits) -> Result<Self, JsonError> {
        // Once for all of it, and not for each text in it. What is wrong first, the reader of bodies says.
        let Ok(text) = std::str::from_utf8(bytes) else {
            let error = parse_json(bytes, limits).err();
            return Err(error.unwrap_or(JsonError::Syntax { expected: "UTF-8", at: 0 }));
        };
        let state = State {
            max_depth: limits.max_depth,
            values_left: Cell::new(limits.max_values),
            failure: RefCell::new(None),
        };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Seed { state: &state, depth: 0 }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        read.map_err(|error| state.failure.take().unwrap_or_else(|| JsonError::of(&error, bytes)))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.as_ref().to_owned()),
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => Value::Object(members.to_map()),
        }
    }
}

impl Members<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&Json<'_>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The member, where it is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A copy to keep.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        let members = self.0.iter();
        members.map(|(name, value)| (name.as_ref().to_owned(), value.to_value())).collect()
    }
}

/// Whether a claim is what a policy names, which is a text, a number or a boolean.
impl PartialEq<Value> for Json<'_> {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Bool(flag), Value::Bool(other)) => flag == other,
            (Self::Number(number), Value::Number(other)) => number == other,
            (Self::Text(text), Value::String(other)) => text == other,
            _ => false,
        }
    }
}

struct State {
    max_depth: u32,
    values_left: Cell<u32>,
    /// What we refused ourselves: serde errors carry only text.
    failure: RefCell<Option<JsonError>>,
}

impl State {
    #[cold]
    fn fail<E: Error>(&self, failure: JsonError) -> E {
        *self.failure.borrow_mut() = Some(failure);
        E::custom("")
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        match self.values_left.get().checked_sub(1) {
            Some(left) => {
                self.values_left.set(left);
                Ok(())
            }
            None => Err(self.fail(JsonError::TooManyValues)),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    state: &'s State,
    depth: u32,
}

impl Seed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= self.state.max_depth {
            return Err(self.state.fail(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        self.state.count()?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let seed = self.deeper()?;
        let usual = if self.depth == 0 { USUAL_MEMBERS } else { 0 };
        let mut object = Members(Vec::with_capacity(usual));
        let mut order = Order::default();
        while let Some(name) = members.next_key_seed(Name)? {
            self.state.count()?;
            if !order.is_new(&object, &name) {
                return Err(self.state.fail(JsonError::DuplicateMember));
            }
            let value = members.next_value_seed(seed)?;
            object.0.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

/// The places of an object's members in the order of their names, once there are many of them.
#[derive(Default)]
struct Order(Vec<u32>);

impl Order {
    /// Whether no member has this name yet. The next member is to be the one that was asked about.
    fn is_new(&mut self, object: &Members<'_>, name: &str) -> bool {
        let count = object.len();
        if count < MANY_MEMBERS {
            return object.get(name).is_none();
        }
        let at = |place: u32| object.0.get(place as usize).map_or("", |(name, _)| name.as_ref());
        let places = || 0..u32::try_from(count).unwrap_or(u32::MAX);
        if self.0.len() != count {
            self.0 = places().collect();
            self.0.sort_unstable_by_key(|place| at(*place));
        }
        match self.0.binary_search_by_key(&name, |place| at(*place)) {
            Ok(_) => false,
            Err(index) => {
                self.0.insert(index, places().end);
                true
            }
        }
    }
}

/// A member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
impl<'a> Members<'a> {
    /// The object that a text is.
    pub(super) fn of(text: &'a str) -> Self {
        match Json::read(text.as_bytes(), JsonLimits { max_depth: 8, max_values: 1000 }) {
            Ok(Json::Object(members)) => members,
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: JsonLimits = JsonLimits { max_depth: 4, max_values: 200 };

    fn read(text: &str) -> Result<Value, JsonError> {
        Json::read(text.as_bytes(), LIMITS).map(|read| read.to_value())
    }

    #[test]
    fn texts_stay_where_they_are() {
        let text = r#"{"a":"b","\u0063":"d\n"}"#;
        let members = Members::of(text);
        assert!(matches!(members.get("a"), Some(Json::Text(Cow::Borrowed("b")))));
        assert_eq!(members.text("c"), Some("d\n"));
        assert_eq!(members.text("d"), None);
    }

    #[test]
    fn of_two_members_of_one_name_none_is_taken_however_many_there_are() {
        for count in [1, 8, 31, 32, 33, 60] {
            let names: Vec<String> = (0..count).map(|n| format!("n{}", (n * 37) % 61)).collect();
            let object = |extra: &str| {
                let members = names.iter().map(|name| format!("\"{name}\":1"));
                format!("{{{}{extra}}}", members.collect::<Vec<_>>().join(","))
            };
            assert!(read(&object("")).is_ok());
            assert!(read(&object(",\"x\":1,\"y\":1")).is_ok());
            for name in &names {
                let twice = object(&format!(",\"x\":1,\"\\u006e{}\":1", &name[1..]));
                assert_eq!(read(&twice), Err(JsonError::DuplicateMember), "{twice}");
            }
        }
    }

    #[test]
    fn size_is_bounded() {
        assert_eq!(read("[[[[[1]]]]]"), Err(JsonError::TooDeep));
        assert!(read("[[[[1]]]]").is_ok());
        assert_eq!(read(&format!("[{}1]", "1,".repeat(199))), Err(JsonError::TooManyValues));
        assert_eq!(read(&"[".repeat(100_000)), Err(JsonError::TooDeep));
    }

    proptest! {
        /// What is read, and what is refused and why, is what the reader of bodies says.
        #[test]
        fn agrees_with_the_reader_of_bodies(
            text in r#"(\{"[ab]":)?[\[\]{}:,"a\\u01 e.-]{0,30}(\}|,"a":1\})?"#,
            max_depth in 0_u32..4,
            max_values in 0_u32..8,
        ) {
            let limits = JsonLimits { max_depth, max_values };
            let read = Json::read(text.as_bytes(), limits).map(|read| read.to_value());
            prop_assert_eq!(read, parse_json(text.as_bytes(), limits));
        }

        #[test]
        fn agrees_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let read = Json::read(&bytes, LIMITS).map(|read| read.to_value());
            prop_assert_eq!(read, parse_json(&bytes, LIMITS));
        }
    }
}
