//! A number in a JSON text, found without reading the rest into memory.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::identity::unescape_pointer_step;
use crate::policy::CompileError;

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    steps: Vec<String>,
}

/// What is where a pointer points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or null.
    Nothing,
    /// A number that counts.
    Number(u64),
    /// Something that is no whole number of at least 0, or two things, or a text that is not JSON.
    Unusable,
}

/// The deepest pointer.
const MAXIMUM_STEPS: usize = 8;

impl Pointer {
    pub(super) fn compile(text: &str, field: &str) -> Result<Self, CompileError> {
        let steps: Option<Vec<String>> = text
            .strip_prefix('/')
            .and_then(|rest| rest.split('/').map(unescape_pointer_step).collect());
        match steps {
            Some(steps) if steps.len() <= MAXIMUM_STEPS && !steps.iter().any(String::is_empty) => {
                Ok(Self { steps })
            }
            _ => {
                let message = "expected a JSON pointer (RFC 6901) such as /usage/total_tokens";
                Err(CompileError::new(field, message))
            }
        }
    }

    /// The name that it ends with: a text without it does not have the number.
    pub(super) fn last_step(&self) -> &str {
        self.steps.last().map_or("", String::as_str)
    }

    /// What is there in a JSON text.
    pub(super) fn find(&self, text: &[u8]) -> Found {
        let found = Cell::new(Found::Nothing);
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let walked = Walk { steps: &self.steps, found: &found }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end());
        if walked.is_ok() { found.get() } else { Found::Unusable }
    }
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    steps: &'a [String],
    found: &'a Cell<Found>,
}

impl Walk<'_> {
    /// A value that is not walked into.
    fn meet(self, value: Found) {
        if self.steps.is_empty() {
            self.found.set(value);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.meet(Found::Nothing);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.meet(Found::Unusable);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.meet(Found::Number(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.meet(u64::try_from(number).map_or(Found::Unusable, Found::Number));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        // 2⁵³: beyond it not every whole number is one.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let is_whole = number.fract() == 0.0 && (0.0..=EXACT).contains(&number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        self.meet(if is_whole { Found::Number(number as u64) } else { Found::Unusable });
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.meet(Found::Unusable);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let wanted = self.steps.split_first();
        self.meet(Found::Unusable);
        let index = wanted.and_then(|(step, _)| step.parse::<usize>().ok());
        let mut at = 0usize;
        loop {
            let is_there = match wanted {
                Some((_, rest)) if index == Some(at) => {
                    items.next_element_seed(Walk { steps: rest, ..self })?.is_some()
                }
                _ => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_there {
                return Ok(());
            }
            at = at.saturating_add(1);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let wanted = self.steps.split_first();
        self.meet(Found::Unusable);
        let mut was_there = false;
        while let Some(is_wanted) = members.next_key_seed(Name(wanted.map(|(step, _)| step)))? {
            match wanted {
                // Two readers could take two different ones.
                Some(_) if is_wanted && was_there => {
                    return Err(serde::de::Error::custom("a member name is there twice"));
                }
                Some((_, rest)) if is_wanted => {
                    was_there = true;
                    members.next_value_seed(Walk { steps: rest, ..self })?;
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a member's name is this one.
struct Name<'a>(Option<&'a String>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0.is_some_and(|wanted| wanted == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &str, text: &str) -> Found {
        Pointer::compile(pointer, "cost.pointer").unwrap().find(text.as_bytes())
    }

    #[test]
    fn numbers_are_found_where_they_are() {
        let text = r#"{"a": [1, {"b": 7}], "usage": {"total_tokens": 12, "x/y": 3.0}, "n": null}"#;
        for (pointer, expected) in [
            ("/usage/total_tokens", Found::Number(12)),
            ("/usage/x~1y", Found::Number(3)),
            ("/a/1/b", Found::Number(7)),
            ("/a/0", Found::Number(1)),
            ("/a/2", Found::Nothing),
            ("/n", Found::Nothing),
            ("/n/b", Found::Nothing),
            ("/none", Found::Nothing),
            ("/usage", Found::Unusable),
            ("/a", Found::Unusable),
        ] {
            assert_eq!(find(pointer, text), expected, "{pointer}");
        }
    }

    #[test]
    fn what_does_not_count_is_unusable() {
        for value in
            ["-1", "1.5", "1e300", "\"5\"", "true", "[]", "{}", "18446744073709551616", "-0.5"]
        {
            assert_eq!(find("/n", &format!("{{\"n\": {value}}}")), Found::Unusable, "{value}");
        }
        for text in [
            "",
            "{",
            r#"{"n": 1, "n": 9}"#,
            r#"{"n": 1, "\u006e": 9}"#,
            r#"{"n": 1} {}"#,
            "no",
            "\u{feff}{}",
        ] {
            assert_eq!(find("/n", text), Found::Unusable, "{text}");
        }
        let deep = format!("{{\"n\": 1, \"m\": {}{}}}", "[".repeat(1000), "]".repeat(1000));
        // What is not walked into is skipped without recursion.
        assert_eq!(find("/n", &deep), Found::Number(1));
    }

    #[test]
    fn what_is_no_pointer_is_an_error() {
        for text in ["", "usage", "/", "/a//b", "/a~2b", "/1/2/3/4/5/6/7/8/9"] {
            assert!(Pointer::compile(text, "x").is_err(), "{text}");
        }
    }
}
