//! What a schema expected, in sentences of our own: one for each keyword.
//!
//! They say what to send, and quote the schema and never what was sent, which may be a secret: of that, only the names of members are
//! told, as places.

use std::collections::BTreeMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::{MAXIMUM_SEARCHED, Violation};
use crate::input::{Step, pointer, short};

/// How many errors are told at once.
const MAXIMUM_ERRORS: usize = 8;

/// How long a sentence, a value of the schema in it, and a place may be, in characters.
const MAXIMUM_SENTENCE: usize = 200;
const MAXIMUM_QUOTED: usize = 80;
const MAXIMUM_POINTER: usize = 256;

/// How many alternatives are told, and how deep it is looked into those within others.
const MAXIMUM_ALTERNATIVES: usize = 4;
const MAXIMUM_DEPTH: usize = 4;

/// How many lists of names are kept.
const MAXIMUM_LISTS: usize = 2000;

/// Where a schema nests deeper, its lists are not kept.
const MAXIMUM_LEVELS: usize = 64;

/// What the errors themselves do not say: by the place of a keyword in the schema, which names there are.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn of(schema: &Value) -> Self {
        let mut names = Self::default();
        names.collect(schema, "", 0, &mut 0);
        names
    }

    /// What was expected where, at most so much as is worth reading.
    pub(super) fn tell<'e>(
        &self,
        errors: impl Iterator<Item = ValidationError<'e>>,
    ) -> Vec<Violation> {
        let errors: Vec<_> = errors.take(MAXIMUM_ERRORS).collect();
        let mut told = Vec::new();
        self.add(&errors, 0, &mut told);
        told
    }

    fn add(&self, errors: &[ValidationError<'_>], depth: usize, told: &mut Vec<Violation>) {
        for error in errors {
            let at = error.instance_path().as_str();
            // Of what is of another type altogether, all else that is wrong is no news.
            let is_other = |other: &ValidationError<'_>| is_other_type(other, at);
            if !is_other(error) && errors.iter().any(is_other) {
                continue;
            }
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected }
                | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                    let known = self.0.get(error.schema_path().as_str());
                    let expected = known.map_or("no member of this name", String::as_str);
                    for name in unexpected.iter().take(MAXIMUM_ERRORS) {
                        let step = pointer(&[Step::Member(name.into())]);
                        push(told, &format!("{at}{step}"), expected);
                    }
                }
                ValidationErrorKind::AnyOf { context }
                | ValidationErrorKind::OneOfNotValid { context } => {
                    match meant(context, at).filter(|_| depth < MAXIMUM_DEPTH) {
                        Some(branch) => self.add(branch, depth.saturating_add(1), told),
                        None => push(told, at, &alternatives(context, at)),
                    }
                }
                ValidationErrorKind::OneOfMultipleValid { .. } => {
                    let known = self.0.get(error.schema_path().as_str());
                    let one = "what is only one of the forms that are described";
                    push(told, at, known.map_or(one, String::as_str));
                }
                kind => push(told, at, &sentence(kind)),
            }
        }
    }

    fn collect(&mut self, schema: &Value, at: &str, depth: usize, searched: &mut usize) {
        *searched = searched.saturating_add(1);
        let is_enough = self.0.len() >= MAXIMUM_LISTS || *searched > MAXIMUM_SEARCHED;
        if is_enough || depth > MAXIMUM_LEVELS {
            return;
        }
        let deeper = depth.saturating_add(1);
        match schema {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, &format!("{at}/{index}"), deeper, searched);
                }
            }
            Value::Object(members) => {
                for keyword in ["additionalProperties", "unevaluatedProperties"] {
                    let known = members.get("properties").and_then(Value::as_object);
                    let known = known.filter(|_| members.get(keyword) == Some(&Value::Bool(false)));
                    if let Some(known) = known.filter(|known| !known.is_empty()) {
                        let names = list(known.keys().map(String::as_str), ", ");
                        let expected = format!("no member of this name, but one of {names}");
                        self.0.insert(format!("{at}/{keyword}"), expected);
                    }
                }
                if let Some(expected) = members.get("oneOf").and_then(one_of) {
                    self.0.insert(format!("{at}/oneOf"), expected);
                }
                for (name, value) in members {
                    if value.is_object() || value.is_array() {
                        let step = pointer(&[Step::Member(name.into())]);
                        self.collect(value, &format!("{at}{step}"), deeper, searched);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Of alternatives that want other members each: which.
fn one_of(branches: &Value) -> Option<String> {
    let required = |branch: &Value| {
        let names = branch.get("required")?.as_array()?;
        let names = list(names.iter().filter_map(Value::as_str), " and ");
        (!names.is_empty()).then_some(names)
    };
    let branches: Option<Vec<_>> = branches.as_array()?.iter().map(required).collect();
    Some(format!("one alone of these members: {}", branches?.join(", ")))
}

fn list<'n>(names: impl Iterator<Item = &'n str>, separator: &str) -> String {
    let mut all = String::new();
    for name in names {
        if all.len() > MAXIMUM_SENTENCE {
            break;
        }
        let separator = if all.is_empty() { "" } else { separator };
        all = format!("{all}{separator}`{}`", short(name, MAXIMUM_QUOTED));
    }
    all
}

fn push(told: &mut Vec<Violation>, at: &str, expected: &str) {
    let at = short(at, MAXIMUM_POINTER);
    let violation = Violation { at, expected: short(expected, MAXIMUM_SENTENCE) };
    if told.len() < MAXIMUM_ERRORS && !told.contains(&violation) {
        told.push(violation);
    }
}

fn is_other_type(error: &ValidationError<'_>, at: &str) -> bool {
    let is_type = matches!(error.kind(), ValidationErrorKind::Type { .. });
    is_type && error.instance_path().as_str() == at
}

/// The alternative that was meant, as far as can be seen: the only one of this type, or the only one whose constants are right.
fn meant<'c, 'e>(
    context: &'c [Vec<ValidationError<'e>>],
    at: &str,
) -> Option<&'c [ValidationError<'e>]> {
    let is_constant =
        |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Constant { .. });
    let of_type = context.iter().filter(|branch| !branch.iter().any(|it| is_other_type(it, at)));
    let of_type: Vec<&Vec<_>> = of_type.collect();
    let as_said = of_type.iter().filter(|branch| !branch.iter().any(is_constant));
    let as_said: Vec<&Vec<_>> = as_said.copied().collect();
    match (of_type.as_slice(), as_said.as_slice()) {
        ([only], _) | (_, [only]) => Some(only.as_slice()),
        _ => None,
    }
}

fn alternatives(context: &[Vec<ValidationError<'_>>], at: &str) -> String {
    let mut all: Vec<String> = Vec::new();
    for branch in context {
        let told = alternative(branch, at);
        if !all.contains(&told) {
            all.push(told);
        }
    }
    if all.len() > MAXIMUM_ALTERNATIVES {
        all.truncate(MAXIMUM_ALTERNATIVES);
        all.push("another of the forms that are described".to_owned());
    }
    all.join(", or ")
}

fn alternative(branch: &[ValidationError<'_>], at: &str) -> String {
    let missing = branch.iter().filter(|error| error.instance_path().as_str() == at);
    let missing = missing.filter_map(|error| match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str(),
        _ => None,
    });
    let missing = list(missing, " and ");
    let of_type = branch.iter().find(|error| is_other_type(error, at));
    let first = of_type.or(branch.first());
    match first {
        Some(_) if of_type.is_none() && !missing.is_empty() => {
            format!("an object with the member {missing}")
        }
        Some(error) => {
            let path = error.instance_path().as_str();
            let expected = sentence(error.kind());
            match path.strip_prefix(at).unwrap_or(path) {
                "" => expected,
                below => format!("{expected} at {}", short(below, MAXIMUM_QUOTED)),
            }
        }
        None => "what is described here".to_owned(),
    }
}

/// What a keyword expected, without the place.
fn sentence(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::AdditionalItems { limit } => format!("an array of at most {}", items(*limit as u64)),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "no other members than those that are described".to_owned()
        }
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            "one of the forms that are described".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => "only one of the forms that are described".to_owned(),
        Kind::Constant { expected_value } => quoted(expected_value),
        Kind::Contains => "an array with the items that are described".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("text in {}", short(content_encoding, MAXIMUM_QUOTED))
        }
        Kind::ContentMediaType { content_media_type } => {
            format!("text of the type {}", short(content_media_type, MAXIMUM_QUOTED))
        }
        Kind::Enum { options } => match options.as_array() {
            Some(options) if options.len() > 1 => {
                let mut all = String::new();
                for option in options {
                    let separator = if all.is_empty() { "" } else { ", " };
                    all = format!("{all}{separator}{}", quoted(option));
                    if all.len() > MAXIMUM_SENTENCE {
                        break;
                    }
                }
                format!("one of {all}")
            }
            _ => quoted(options.get(0).unwrap_or(options)),
        },
        Kind::ExclusiveMaximum { limit } => format!("a number below {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("a number above {limit}"),
        Kind::FalseSchema => "nothing".to_owned(),
        Kind::Format { format } => format!("text of the format {}", short(format, MAXIMUM_QUOTED)),
        Kind::FromUtf8 { .. } => "text that is UTF-8 once it is decoded".to_owned(),
        Kind::MaxItems { limit } => format!("an array of at most {}", items(*limit)),
        Kind::Maximum { limit } => format!("a number of at most {limit}"),
        Kind::MaxLength { limit } => format!("a string of at most {}", characters(*limit)),
        Kind::MaxProperties { limit } => format!("an object of at most {}", members(*limit)),
        Kind::MinItems { limit } => format!("an array of at least {}", items(*limit)),
        Kind::Minimum { limit } => format!("a number of at least {limit}"),
        Kind::MinLength { limit } => format!("a string of at least {}", characters(*limit)),
        Kind::MinProperties { limit } => format!("an object of at least {}", members(*limit)),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::Not { .. } => "something else than what is excluded here".to_owned(),
        Kind::Pattern { pattern } => {
            format!("a string that matches {}", short(pattern, MAXIMUM_QUOTED))
        }
        Kind::PropertyNames { error } => {
            format!("names of members that are each {}", sentence(error.kind()))
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("the member `{}`", short(name, MAXIMUM_QUOTED))
        }
        Kind::Type { kind: TypeKind::Single(name) } => of_type(*name).to_owned(),
        Kind::Type { kind: TypeKind::Multiple(names) } => {
            let names: Vec<&str> = names.iter().map(of_type).collect();
            names.join(" or ")
        }
        Kind::UnevaluatedItems { .. } => "no other items than those that are described".to_owned(),
        Kind::UniqueItems => "an array with each item once".to_owned(),
        Kind::BacktrackLimitExceeded { .. }
        | Kind::Custom { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Referencing(_) => "what is described here".to_owned(),
    }
}

fn quoted(value: &Value) -> String {
    short(&value.to_string(), MAXIMUM_QUOTED)
}

fn items(count: u64) -> String {
    format!("{count} item{}", if count == 1 { "" } else { "s" })
}

fn characters(count: u64) -> String {
    format!("{count} character{}", if count == 1 { "" } else { "s" })
}

fn members(count: u64) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

fn of_type(name: JsonType) -> &'static str {
    match name {
        JsonType::Null => "null",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    }
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
