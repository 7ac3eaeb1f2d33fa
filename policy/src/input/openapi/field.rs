//! One field of a form: what it may be, and what is sent of it as a value of the schema.

use serde_json::Value;

use super::node::Node;
use super::object::Properties;
use super::types::Types;
use crate::files::FileType;
use crate::input::schema::Violation;
use crate::input::{JsonLimits, Step, parse_json, pointer};
use crate::policy::CompileError;

/// How many subschemas are searched for what a field may be.
const MAXIMUM_SUBSCHEMAS: usize = 256;

/// How deep and how large JSON in a field may be.
const JSON_LIMITS: JsonLimits = JsonLimits { max_depth: 16, max_values: 1000 };

/// What is sent as a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sent<'a> {
    Text(&'a str),
    /// It is not looked into here.
    File {
        file_type: FileType,
        length: usize,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    single: One,
    /// Where it may be an array: its items, and what stands between them; nothing where each is a field of its own.
    items: Option<(One, Option<char>)>,
    /// Where it may be an object of texts, as `name[property]`: many clients send it so.
    members: Option<Properties>,
    /// Whether items may be called `name[]`, as many clients have it.
    takes_brackets: bool,
    takes: Takes,
    /// What types its files may be of, with wildcards; empty: any.
    media_types: Vec<String>,
}

/// What one text is.
#[derive(Debug, Clone, Copy)]
struct One {
    types: Types,
    is_json: bool,
}

/// Whether it is a text, a file or may be both.
#[derive(Debug, Clone, Copy, Default)]
struct Takes {
    text: bool,
    file: bool,
    /// Whether the schema asks for its length.
    is_measured: bool,
}

/// What is sent of one field: by how it is spelled.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    pub(super) named: Vec<Sent<'a>>,
    pub(super) items: Vec<Sent<'a>>,
    pub(super) members: Vec<(String, Sent<'a>)>,
}

impl Default for Field {
    /// What is not described: a text or a file, once.
    fn default() -> Self {
        let takes = Takes { text: true, file: true, is_measured: false };
        let single = One { types: Types::STRING, is_json: false };
        Self {
            single,
            items: None,
            members: None,
            takes_brackets: false,
            takes,
            media_types: Vec::new(),
        }
    }
}

impl Field {
    pub(super) fn compile(
        schema: &Node<'_>,
        encoding: Option<&Node<'_>>,
    ) -> Result<Self, CompileError> {
        let separator = encoding.map_or(Ok(None), separator)?;
        let media_types = encoding.map_or(Ok(None), |node| node.text("contentType"))?;
        let media_types = media_types.unwrap_or_default().split(',').map(media_type);
        let media_types: Vec<_> = media_types.filter(|name| !name.is_empty()).collect();
        let says_json = media_types.iter().any(|name| is_json(name));
        let types = Types::of(schema)?;
        // Where nothing is said of a type, it is a text and no list.
        let has_array = types.has("array") && types != Types::ANY;
        let items = has_array.then(|| Types::of_items(schema)).transpose()?;
        let mut takes = Takes::of(schema, &mut 0)?;
        if !media_types.is_empty() && !media_types.iter().any(|name| is_text(name)) {
            takes = Takes { text: false, file: true, ..takes };
        }
        let one = |types: Types| {
            // What is no text of its own is JSON in a form (OpenAPI 3.1 §4.8.15).
            let is_object = types.has("object") && !types.has("string");
            One { types, is_json: says_json || is_object }
        };
        let items = items.map(|types| (one(types), separator));
        let single = one(types.without("array"));
        // Where nothing is said of how it is written.
        let takes_brackets = encoding.is_none_or(|node| node.raw("style").is_none()) && !says_json;
        let is_object = takes_brackets && types != Types::ANY && types.has("object");
        let members = is_object.then(|| Properties::compile(schema).ok()).flatten();
        Ok(Self { single, items, members, takes_brackets, takes, media_types })
    }

    /// Where two schemas describe it, too much rather than too little: both are asked in the end.
    pub(super) fn or(self, other: &Self) -> Self {
        let items = match (self.items, other.items) {
            (Some((ours, separator)), Some((others, _))) => Some((ours.or(others), separator)),
            (ours, others) => ours.or(others),
        };
        Self {
            single: self.single.or(other.single),
            items,
            members: match (self.members, &other.members) {
                (Some(ours), Some(theirs)) => Some(ours.or(theirs)),
                (ours, theirs) => ours.or(theirs.clone()),
            },
            takes_brackets: self.takes_brackets && other.takes_brackets,
            takes: self.takes.or(other.takes),
            media_types: self.media_types,
        }
    }

    /// Whether it may be there several times.
    pub(super) fn repeats(&self) -> bool {
        matches!(self.items, Some((_, None)))
    }

    /// Whether it may be spelled `name[]`.
    pub(super) fn takes_items(&self) -> bool {
        self.takes_brackets && self.repeats()
    }

    /// Whether it may be spelled `name[property]`, with this one.
    pub(super) fn takes_member(&self, property: &str) -> bool {
        let members = self.members.as_ref().filter(|_| self.takes_brackets);
        !property.is_empty() && members.is_some_and(|members| members.has(property))
    }

    pub(super) fn value(&self, values: &Values<'_>) -> Result<Value, Violation> {
        let wrong = |expected: String| Violation { at: String::new(), expected };
        match (values.named.as_slice(), values.items.as_slice(), values.members.as_slice()) {
            (named, [], []) => self.read(named).map_err(wrong),
            ([], items, []) => self.array(items).map_err(wrong),
            ([], [], members) => self.object(members),
            // Each is read by some and not by others.
            _ => Err(wrong("it in one spelling".to_owned())),
        }
    }

    fn object(&self, sent: &[(String, Sent<'_>)]) -> Result<Value, Violation> {
        let wrong = |at: String, expected: &str| Violation { at, expected: expected.to_owned() };
        let text = |(name, value): &(String, Sent<'_>)| match value {
            Sent::Text(text) => Ok((name.clone(), (*text).to_owned())),
            Sent::File { .. } => {
                let at = pointer(&[Step::Member(name.as_str().into())]);
                Err(wrong(at, "text, and no file name"))
            }
        };
        let texts = sent.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let members = self.members.as_ref();
        let members = members.ok_or_else(|| wrong(String::new(), "no members in brackets"))?;
        members.object(&texts)
    }

    fn array(&self, sent: &[Sent<'_>]) -> Result<Value, String> {
        if let Some(expected) = sent.iter().find_map(|value| self.unfit(*value)) {
            return Err(expected);
        }
        let one = self.items.map_or(self.single, |(one, _)| one);
        let item = |value: &Sent<'_>| match value {
            Sent::Text(text) => one.read(text).map(|read| read.unwrap_or((*text).into())),
            file => Ok(self.placeholder(*file)),
        };
        sent.iter().map(item).collect()
    }

    fn read(&self, sent: &[Sent<'_>]) -> Result<Value, String> {
        if let Some(expected) = sent.iter().find_map(|value| self.unfit(*value)) {
            return Err(expected);
        }
        match (sent, &self.items) {
            ([Sent::Text(text)], items) => {
                if let Some(value) = self.single.read(text)? {
                    let is_item = items.is_some() && self.single.types == Types::NONE;
                    let is_whole = !is_item || value.is_array();
                    return Ok(if is_whole { value } else { vec![value].into() });
                }
                let Some((one, separator)) = items else { return Ok((*text).into()) };
                match separator {
                    Some(separator) => one.array(text.split(*separator)),
                    None => one.array([*text].into_iter()),
                }
            }
            ([file], None) => Ok(self.placeholder(*file)),
            (several, _) => self.array(several),
        }
    }

    /// What was expected in place of it.
    fn unfit(&self, sent: Sent<'_>) -> Option<String> {
        match sent {
            Sent::Text(_) => (!self.takes.text).then(|| "a file, with a file name".to_owned()),
            Sent::File { .. } if !self.takes.file => Some("text, and no file name".to_owned()),
            Sent::File { file_type, .. } => {
                let is_taken = |range: &String| is_of(file_type, range);
                let is_fit = self.media_types.is_empty() || self.media_types.iter().any(is_taken);
                (!is_fit).then(|| format!("a file of {}", self.media_types.join(" or ")))
            }
        }
    }

    /// What stands for a file: a string as long as it has bytes, where the schema asks for that.
    fn placeholder(&self, sent: Sent<'_>) -> Value {
        let length = match sent {
            Sent::File { length, .. } if self.takes.is_measured => length,
            _ => 0,
        };
        "x".repeat(length).into()
    }
}

impl One {
    /// Nothing where it is none of the types.
    fn read(self, text: &str) -> Result<Option<Value>, String> {
        if self.is_json {
            let value = parse_json(text.as_bytes(), JSON_LIMITS);
            return value.map(Some).map_err(|error| format!("JSON: {error}"));
        }
        if self.types == Types::ANY.without("array") {
            return Ok(Some(text.into()));
        }
        Ok(self.types.read(text).into_iter().next())
    }

    fn array<'t>(self, texts: impl Iterator<Item = &'t str>) -> Result<Value, String> {
        texts.map(|text| self.read(text).map(|value| value.unwrap_or(text.into()))).collect()
    }

    fn or(self, other: Self) -> Self {
        Self { types: self.types.or(other.types), is_json: self.is_json || other.is_json }
    }
}

impl Takes {
    fn of(schema: &Node<'_>, visited: &mut usize) -> Result<Self, CompileError> {
        *visited = visited.saturating_add(1);
        let is_measured = schema.raw("minLength").or(schema.raw("maxLength")).is_some();
        if *visited > MAXIMUM_SUBSCHEMAS {
            return Ok(Self { text: true, file: true, is_measured: true });
        }
        if let Some(items) = schema.get("items")? {
            return Self::of(&items, visited);
        }
        let mut all = Self { is_measured, ..Self::default() };
        for keyword in ["anyOf", "oneOf", "allOf"] {
            for branch in schema.items(keyword)? {
                if branch.value.get("type").and_then(Value::as_str) != Some("null") {
                    all = all.or(Self::of(&branch, visited)?);
                }
            }
        }
        if all.text || all.file {
            return Ok(all);
        }
        let text_of = |name: &str| schema.value.get(name).and_then(Value::as_str);
        let content = text_of("contentMediaType").map(media_type);
        let is_coded = text_of("contentEncoding").is_some();
        let is_file = text_of("format") == Some("binary")
            || content.is_some_and(|name| !is_text(&name)) && !is_coded;
        // Without a type it is bytes (OpenAPI 3.1 §4.8.14.4), or anything.
        let is_any = schema.raw("type").is_none() && Types::of(schema)? == Types::ANY;
        let is_either = is_any || is_coded;
        Ok(Self { text: !is_file || is_either, file: is_file || is_either, is_measured })
    }

    fn or(self, other: Self) -> Self {
        Self {
            text: self.text || other.text,
            file: self.file || other.file,
            is_measured: self.is_measured || other.is_measured,
        }
    }
}

/// What stands between the items of an array, by an encoding.
fn separator(encoding: &Node<'_>) -> Result<Option<char>, CompileError> {
    let style = encoding.text("style")?.unwrap_or("form");
    let separator = match style {
        "form" => ',',
        "spaceDelimited" => ' ',
        "pipeDelimited" => '|',
        _ => {
            let message = "expected form, spaceDelimited or pipeDelimited in a form";
            return Err(encoding.error_at("style", message));
        }
    };
    let explodes = encoding.flag("explode")?.unwrap_or(style == "form");
    Ok((!explodes).then_some(separator))
}

/// In lower case, without parameters.
fn media_type(name: &str) -> String {
    name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(name: &str) -> bool {
    name == "application/json" || name.ends_with("+json")
}

fn is_text(name: &str) -> bool {
    name.starts_with("text/") || name == "*/*" || is_json(name)
}

fn is_of(file_type: FileType, range: &str) -> bool {
    let group = range.strip_suffix('*');
    range == "*/*"
        || range == "application/octet-stream"
        || group.is_some_and(|group| file_type.as_str().starts_with(group))
        || file_type.is_declared_by(range)
}
