//! The strings of a JSON text, where they stand: looked at, and replaced, without touching a byte of anything else.
//!
//! A number that is read and written again may come out another number, and members in another order. So what is changed is
//! spliced into the text that came.

use std::borrow::Cow;
use std::ops::Range;

/// A step of a path into a JSON text, as in a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Into an object, by the member's name.
    Member(Cow<'a, str>),
    /// Into an array.
    Item(usize),
}

/// A string, and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// The way to the value; of a member's name, the way to the object that has it.
    pub(crate) path: &'a [Step<'a>],
    /// The number of the object or array that it stands in, counted as they begin; 0 where it stands alone.
    pub(crate) container: usize,
    /// Whether it is the name of a member. Names cannot be replaced: two could become the same one.
    pub(crate) is_name: bool,
    /// The string, escapes resolved.
    pub(crate) text: &'a str,
}

/// Shows every string of a text to `visit`, in order, and answers the text with those strings in place that `visit` answers; nothing
/// where there are none. The text must be one that [`super::check`] has let through; of any other, some
/// strings may not be seen.
pub(crate) fn rewrite<E>(
    text: &[u8],
    visit: &mut dyn FnMut(Text<'_>) -> Result<Option<String>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let mut walk = Walk::default();
    let mut rewritten = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let next = at.saturating_add(1);
        if *byte != b'"' {
            walk.meet(*byte);
            at = next;
            continue;
        }
        let range = string_at(text, at);
        at = range.end.max(next);
        let token = text.get(range.clone()).unwrap_or_default();
        let Some(string) = resolve(token) else { continue };
        let is_name = walk.awaits_name.last() == Some(&true);
        let depth = walk.path.len().saturating_sub(usize::from(is_name));
        let path = walk.path.get(..depth).unwrap_or_default();
        let container = walk.open.last().copied().unwrap_or(0);
        let answer = visit(Text { path, container, is_name, text: &string })?;
        if is_name {
            walk.name(string);
        } else if let Some(answer) = answer {
            rewritten.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            rewritten.extend(serde_json::to_vec(&answer).unwrap_or_default());
            copied = range.end;
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    rewritten.extend_from_slice(text.get(copied..).unwrap_or_default());
    Ok(Some(rewritten))
}

/// Where a walk is.
#[derive(Default)]
struct Walk<'a> {
    /// The number of each container that is open, and of the last that began.
    open: Vec<usize>,
    begun: usize,
    /// The step into each container that is open: of an object whose first name has not come, an empty name.
    path: Vec<Step<'a>>,
    /// Of each container: whether the next string is a name.
    awaits_name: Vec<bool>,
}

impl<'a> Walk<'a> {
    /// A byte outside of strings.
    fn meet(&mut self, byte: u8) {
        match byte {
            b'{' => {
                self.begin();
                self.path.push(Step::Member(Cow::Borrowed("")));
                self.awaits_name.push(true);
            }
            b'[' => {
                self.begin();
                self.path.push(Step::Item(0));
                self.awaits_name.push(false);
            }
            b'}' | b']' => {
                self.open.pop();
                self.path.pop();
                self.awaits_name.pop();
            }
            b',' => match (self.path.last_mut(), self.awaits_name.last_mut()) {
                (Some(Step::Item(index)), _) => *index = index.saturating_add(1),
                (Some(Step::Member(_)), Some(awaits_name)) => *awaits_name = true,
                _ => {}
            },
            _ => {}
        }
    }

    fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
        self.open.push(self.begun);
    }

    fn name(&mut self, name: Cow<'a, str>) {
        if let Some(step) = self.path.last_mut() {
            *step = Step::Member(name);
        }
        if let Some(awaits_name) = self.awaits_name.last_mut() {
            *awaits_name = false;
        }
    }
}

/// The string that begins at a quotation mark, with both of its quotation marks.
fn string_at(text: &[u8], start: usize) -> Range<usize> {
    let mut at = start.saturating_add(1);
    loop {
        let Some(next) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) else {
            return start..text.len();
        };
        at = at.saturating_add(next);
        if text.get(at) == Some(&b'"') {
            return start..at.saturating_add(1);
        }
        at = at.saturating_add(2);
    }
}

/// What a string says.
fn resolve(token: &[u8]) -> Option<Cow<'_, str>> {
    let inner = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match memchr::memchr(b'\\', inner).is_some() {
        false => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
        true => serde_json::from_slice(token).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pointer(path: &[Step<'_>]) -> String {
        let step = |step: &Step<'_>| match step {
            Step::Member(name) => format!("/{name}"),
            Step::Item(index) => format!("/{index}"),
        };
        path.iter().map(step).collect()
    }

    fn all(text: &str) -> Vec<(String, bool, String)> {
        let mut seen = Vec::new();
        let rewritten =
            rewrite::<Infallible>(text.as_bytes(), &mut |Text { path, is_name, text, .. }| {
                seen.push((pointer(path), is_name, text.to_owned()));
                Ok(None)
            });
        assert_eq!(rewritten, Ok(None));
        seen
    }

    #[test]
    fn every_string_is_seen_with_the_way_to_it() {
        let text = r#" {"a": "1", "b": [ "2", {"c\u0041": "x\"y", "d": {}}, [[], "3"], 4, "5"], "e":{"f":"6"} , "g":"" } "#;
        let expected = [
            ("", true, "a"),
            ("/a", false, "1"),
            ("", true, "b"),
            ("/b/0", false, "2"),
            ("/b/1", true, "cA"),
            ("/b/1/cA", false, "x\"y"),
            ("/b/1", true, "d"),
            ("/b/2/1", false, "3"),
            ("/b/4", false, "5"),
            ("", true, "e"),
            ("/e", true, "f"),
            ("/e/f", false, "6"),
            ("", true, "g"),
            ("/g", false, ""),
        ];
        let expected =
            expected.map(|(at, is_name, text)| (at.to_owned(), is_name, text.to_owned()));
        assert_eq!(all(text), expected);
        assert_eq!(all(r#""alone""#), [(String::new(), false, "alone".to_owned())]);
        assert_eq!(all("[1, null]"), []);
    }

    #[test]
    fn only_what_is_replaced_changes() {
        let text =
            br#"{ "a" : "old\n" , "n": 1.00000000000000000000001e2, "old": ["old", "\u006fld"]}"#;
        let rewritten = rewrite::<Infallible>(text, &mut |found| {
            Ok(found.text.starts_with("old").then(|| "n\"ew".to_owned()))
        });
        let expected =
            br#"{ "a" : "n\"ew" , "n": 1.00000000000000000000001e2, "old": ["n\"ew", "n\"ew"]}"#;
        assert_eq!(rewritten.unwrap().unwrap(), expected);
    }

    #[test]
    fn strings_of_one_object_are_known_to_be() {
        let mut seen = Vec::new();
        let text = br#"{"a": "1", "b": [{"c": "2"}, {"c": "3", "d": {"e": "4"}, "f": "5"}, "6"], "g": "7"}"#;
        let visit = &mut |found: Text<'_>| {
            seen.extend((!found.is_name).then(|| (found.text.to_owned(), found.container)));
            Ok(None)
        };
        assert_eq!(rewrite::<Infallible>(text, visit), Ok(None));
        let expected = [("1", 1), ("2", 3), ("3", 4), ("4", 5), ("5", 4), ("6", 2), ("7", 1)];
        assert_eq!(seen, expected.map(|(text, container)| (text.to_owned(), container)));
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(
            rewrite(b"[\"a\", \"b\"]", &mut |found| Err(found.text.to_owned())),
            Err("a".to_owned())
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn upper(value: &mut Value) {
        match value {
            Value::String(text) => *text = text.to_uppercase(),
            Value::Array(items) => items.iter_mut().for_each(upper),
            Value::Object(members) => members.values_mut().for_each(upper),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn values_are_replaced_and_names_are_not(value in value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let rewritten = rewrite::<Infallible>(&text, &mut |found| Ok(Some(found.text.to_uppercase()))).unwrap();
            let mut expected = value;
            upper(&mut expected);
            let rewritten: Value = serde_json::from_slice(&rewritten.unwrap_or(text)).unwrap();
            prop_assert_eq!(rewritten, expected);
        }

        #[test]
        fn never_panics(text in prop::collection::vec(prop::sample::select(b"{}[],:\"\\u0a ".to_vec()), 0..60)) {
            let _ = rewrite::<Infallible>(&text, &mut |_| Ok(Some("x".to_owned())));
        }
    }
}
