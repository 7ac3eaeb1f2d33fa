//! Strict JSON (RFC 8259): one reading, bounded.
//!
//! serde_json refuses trailing bytes, a byte order mark, invalid UTF-8, lone surrogates and numbers out of range. What it
//! lets pass and parsers disagree on, duplicate member names, is refused here, and so is what would cost
//! too much. One pass builds the value, where one is needed.

mod error;
mod strings;
#[cfg(test)]
mod suite;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

pub(crate) use error::{JsonError, Misread};
pub(crate) use strings::{Step, Text, rewrite};

use super::short;

/// How large JSON may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonLimits {
    /// How deep arrays and objects may nest. serde_json itself stops at 128.
    pub(crate) max_depth: u32,
    /// How many values there may be in all, member names included.
    pub(crate) max_values: u32,
}

/// How much of a member's name is told, in characters.
const MAXIMUM_NAME: usize = 64;

/// Reads one JSON text and nothing after it.
pub(crate) fn parse(bytes: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    parse_placed(bytes, limits).map_err(|misread| misread.error)
}

/// The same, and tells where what is wrong is.
pub(crate) fn parse_placed(bytes: &[u8], limits: JsonLimits) -> Result<Value, Misread> {
    read(bytes, limits, true)
}

/// The same without building the value, which would be most of what it costs.
pub(crate) fn check(bytes: &[u8], limits: JsonLimits) -> Result<(), Misread> {
    read(bytes, limits, false).map(drop)
}

fn read(bytes: &[u8], limits: JsonLimits, builds: bool) -> Result<Value, Misread> {
    let state = State {
        builds,
        max_depth: limits.max_depth,
        values_left: Cell::new(limits.max_values),
        failure: RefCell::new(None),
        path: RefCell::new(Vec::new()),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Seed { state: &state, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| {
        let failure = state.failure.take();
        let mut path = state.path.take();
        path.reverse();
        Misread { error: failure.unwrap_or_else(|| JsonError::of(&error, bytes)), path }
    })
}

struct State {
    /// Whether the value is wanted; null stands for all of it where not.
    builds: bool,
    max_depth: u32,
    values_left: Cell<u32>,
    /// What we refused ourselves: serde errors carry only text.
    failure: RefCell<Option<JsonError>>,
    /// The way to it, from the inside out: only written once something is wrong.
    path: RefCell<Vec<Step<'static>>>,
}

impl State {
    fn fail<E: serde::de::Error>(&self, failure: JsonError) -> E {
        let error = E::custom("");
        *self.failure.borrow_mut() = Some(failure);
        error
    }

    /// Passes an error on, which came about in an item or a member.
    fn within<E>(&self, error: E, step: impl FnOnce() -> Step<'static>) -> E {
        self.path.borrow_mut().push(step());
        error
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
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
struct Seed<'a> {
    state: &'a State,
    depth: u32,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.state.max_depth {
            return Err(self.state.fail(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(if self.state.builds { value.into() } else { Value::Null })
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut array = Vec::new();
        let mut index = 0_usize;
        let within = |error, index| self.state.within(error, || Step::Item(index));
        while let Some(item) = items.next_element_seed(seed).map_err(|e| within(e, index))? {
            index = index.saturating_add(1);
            if self.state.builds {
                array.push(item);
            }
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Map::new();
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            self.state.count()?;
            let known = name.clone();
            let step = || Step::Member(short(&known, MAXIMUM_NAME).into());
            if !names.insert(name) {
                return Err(self.state.within(self.state.fail(JsonError::DuplicateMember), step));
            }
            let value = members.next_value_seed(seed);
            let value = value.map_err(|error| self.state.within(error, step))?;
            if self.state.builds {
                object.insert(known.into_owned(), value);
            }
        }
        Ok(Value::Object(object))
    }
}

/// The names of an object.
#[derive(Default)]
struct Names<'de> {
    /// The first ones: most objects have no more, and to compare a few costs less than to keep them sorted.
    few: Vec<Cow<'de, str>>,
    many: BTreeSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    const FEW: usize = 12;

    /// Whether it is a new one.
    fn insert(&mut self, name: Cow<'de, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// A member's name, escapes resolved: borrowed where it has none.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: JsonLimits = JsonLimits { max_depth: 4, max_values: 20 };

    fn error(text: &[u8]) -> JsonError {
        parse(text, LIMITS).unwrap_err()
    }

    #[test]
    fn reads_json() {
        let text = br#"{"a": [1, -2, 2.5, true, null, "x\u0041\ud83d\ude00"], "b": {}}"#;
        let expected: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(parse(text, LIMITS), Ok(expected));
    }

    #[test]
    fn duplicate_members_are_refused_however_written() {
        let many = |last: &str| {
            let names: Vec<_> = (0..40).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{},\"{last}\":0}}", names.join(","))
        };
        let limits = JsonLimits { max_depth: 4, max_values: 100 };
        for name in ["0", "11", "12", "39", "\\u0031\\u0032"] {
            assert_eq!(parse(many(name).as_bytes(), limits), Err(JsonError::DuplicateMember));
        }
        assert!(parse(many("40").as_bytes(), limits).is_ok());
        assert_eq!(error(br#"{"a":1,"a":1}"#), JsonError::DuplicateMember);
        assert_eq!(error(br#"{"a":1,"\u0061":2}"#), JsonError::DuplicateMember);
        assert_eq!(error(br#"[{"b":{"a":1,"a":{}}}]"#), JsonError::DuplicateMember);
    }

    #[test]
    fn size_is_bounded() {
        assert_eq!(error(b"[[[[[1]]]]]"), JsonError::TooDeep);
        assert!(parse(b"[[[[1]]]]", LIMITS).is_ok());
        assert_eq!(error(&[b"[".as_slice(), &[b'['; 100_000]].concat()), JsonError::TooDeep);
        let deep = JsonLimits { max_depth: 1000, max_values: 1000 };
        assert_eq!(parse(&[b'['; 100_000], deep), Err(JsonError::TooDeep));
        assert_eq!(error(b"[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), JsonError::TooManyValues);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected, path) in [
            (&b"{\n \"a\": nul}"[..], "a JSON value at byte 11", "/a"),
            (b"{} x", "nothing behind the JSON text at byte 3", ""),
            (b"\xef\xbb\xbf{}", "no byte order mark at byte 0", ""),
            (b"[0, {\"b\": 1e400}]", "a number between -1.7e308 and 1.7e308 at byte 14", "/1/b"),
            (b"[\"\\ud800\"]", "surrogates in pairs, such as \\ud83d\\ude00 at byte 8", "/0"),
            (
                b"[\"\\ud800\\u0041\"]",
                "surrogates in pairs, such as \\ud83d\\ude00 at byte 13",
                "/0",
            ),
            (b"[1, 2", "the rest of the JSON text, which ends at byte 5", "/2"),
            (b"[\"a\", \"\xff\"]", "UTF-8 at byte 7", "/1"),
            (b"{\"a\" 1}", "a colon at byte 5", "/a"),
            (b"{\"a\": 1 \"b\"}", "a comma or the end of the object at byte 8", ""),
            (b"{\"a\": [1 2]}", "a comma or the end of the array at byte 9", "/a/1"),
            (b"{\"a\": \"\n\"}", "a control character as an escape, such as \\n at byte 7", "/a"),
            (b"{'a': 1}", "a member's name in quotation marks at byte 1", ""),
            (b"{\"a\": {\"b\": 1, \"\\u0062\": 2}}", "each member name once", "/a/b"),
            (b"[[[[[1]]]]]", "less nesting", "/0/0/0/0"),
        ] {
            let misread = parse_placed(text, LIMITS).unwrap_err();
            assert_eq!(check(text, LIMITS), Err(misread.clone()));
            let told = (misread.error.to_string(), crate::input::pointer(&misread.path));
            assert_eq!(told, (expected.to_owned(), path.to_owned()), "{text:?}");
        }
        let long = format!("{{\"{0}\": 1, \"{0}\": 2}}", "x".repeat(1000));
        let misread = check(long.as_bytes(), LIMITS).unwrap_err();
        assert!(crate::input::pointer(&misread.path).len() < 100);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            b"".as_slice(),
            b"{} x",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            br#""\ud800""#,
            b"1e400",
            b"NaN",
            b"[1,]",
            b"{'a':1}",
            b"// c\n1",
            b"01",
            b"\"\n\"",
            b"{\"a\"}",
        ] {
            assert!(matches!(error(text), JsonError::Syntax { .. }), "{text:?}");
        }
    }

    proptest! {
        /// Never accepts what serde_json's own reader would not, and then sees the same.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"a\\u01 e.-]{0,40}"#) {
            prop_assert_eq!(check(text.as_bytes(), LIMITS), parse_placed(text.as_bytes(), LIMITS).map(drop));
            if let Ok(value) = parse(text.as_bytes(), LIMITS) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
            }
        }
    }
}
