//! JSON Schema.

mod told;

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ReferencingError, ValidationError, ValidationOptions, Validator};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use crate::document::SchemaSource;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

use told::Names;

/// Up to how deep and how large a value is that is told of in full where a schema refers to itself: each of its alternatives is
/// looked at again for each of those around it.
const MAXIMUM_TOLD_DEPTH: usize = 8;
const MAXIMUM_TOLD_VALUES: usize = 200;

/// How much is looked at to see whether a schema refers to itself.
const MAXIMUM_SEARCHED: usize = 1_000_000;

/// The schema of the policy document.
#[derive(Debug)]
pub(super) struct Schema(Compiled);

impl Schema {
    pub(super) fn compile(source: &SchemaSource, field: &str) -> Result<Self, CompileError> {
        let value = match source {
            SchemaSource::Inline(value) => value,
            SchemaSource::File(_) => {
                let message = "expected the schema itself: `portcullis` puts files in place";
                return Err(CompileError::new(format!("{field}.file"), message));
            }
        };
        let compiled = Compiled::build(jsonschema::options(), value).map_err(|error| {
            let Violation { at, expected } = unusable(error);
            let path = at.replace('/', ".");
            CompileError::new(format!("{field}.inline{path}"), expected)
        })?;
        Ok(Self(compiled))
    }

    pub(super) fn check(&self, value: &Value) -> Result<(), Refusal> {
        refused(self.violations(value))
    }

    pub(super) fn violations(&self, value: &Value) -> Vec<Violation> {
        self.0.violations(value)
    }
}

/// Where a schema is none that can be used, and why.
pub(super) fn unusable(error: ValidationError<'_>) -> Violation {
    let at = error.instance_path().to_string();
    let message = match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => {
            "not a usable schema: expected a regular expression that runs in linear time: without \
             look-ahead, look-behind and back-references, and not too large"
                .to_owned()
        }
        ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, .. }) => format!(
            "not a usable schema: expected references within it, which begin with #, found one to {uri}: \
             put what it leads to into the schema"
        ),
        ValidationErrorKind::Referencing(error) => format!("not a usable schema: {error}"),
        _ => match Names::default().tell(std::iter::once(error)).into_iter().next() {
            Some(Violation { at, expected }) => {
                let expected = format!("not a usable schema: expected {expected}");
                return Violation { at, expected };
            }
            None => "not a usable schema".to_owned(),
        },
    };
    Violation { at, expected: message }
}

/// The refusal of a body; none where nothing is wrong with it.
pub(super) fn refused(violations: Vec<Violation>) -> Result<(), Refusal> {
    if violations.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(Reason::SchemaViolated, "Send a body of the form this route takes.");
    let add = |refusal: Refusal, Violation { at, expected }| refusal.finding(at, expected);
    Err(violations.into_iter().fold(refusal, add))
}

/// Where a value is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// A JSON pointer.
    pub(crate) at: String,
    pub(crate) expected: String,
}

/// Any compiled schema.
#[derive(Debug)]
pub(super) struct Compiled {
    validator: Validator,
    is_recursive: bool,
    names: Names,
}

impl Compiled {
    pub(super) fn build(
        options: ValidationOptions<'_>,
        schema: &Value,
    ) -> Result<Self, ValidationError<'static>> {
        // Linear-time patterns: the other engine backtracks, and who chooses the text chooses the time.
        let validator = options.with_pattern_options(PatternOptions::regex()).build(schema)?;
        Ok(Self { validator, is_recursive: is_recursive(schema), names: Names::of(schema) })
    }

    /// Empty where the value is what it should be.
    pub(super) fn violations(&self, value: &Value) -> Vec<Violation> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut values = 0;
        if self.is_recursive && !is_small(value, 0, &mut values) {
            let expected = "what is described here; it is too large to say where it is not";
            return vec![Violation { at: String::new(), expected: expected.to_owned() }];
        }
        self.names.tell(self.validator.iter_errors(value))
    }
}

fn is_small(value: &Value, depth: usize, values: &mut usize) -> bool {
    *values = values.saturating_add(1);
    if depth > MAXIMUM_TOLD_DEPTH || *values > MAXIMUM_TOLD_VALUES {
        return false;
    }
    let deeper = depth.saturating_add(1);
    match value {
        Value::Array(items) => items.iter().all(|item| is_small(item, deeper, values)),
        Value::Object(members) => members.values().all(|member| is_small(member, deeper, values)),
        _ => true,
    }
}

/// Whether a schema may refer to itself, be it by way of others.
fn is_recursive(schema: &Value) -> bool {
    let mut searched = 0;
    let mut references: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut found: Vec<&str> = vec!["#"];
    while let Some(reference) = found.pop() {
        if references.contains_key(reference) {
            continue;
        }
        let pointer = percent_decode_str(reference.trim_start_matches('#')).decode_utf8_lossy();
        let mut within = BTreeSet::new();
        let is_known = schema
            .pointer(&pointer)
            .is_some_and(|target| collect(target, &mut within, &mut searched));
        if !is_known {
            // By a name, elsewhere, or too much of it.
            return true;
        }
        found.extend(&within);
        references.insert(reference, within);
    }
    // What only refers to what has been taken away goes too; what is left then are circles.
    loop {
        let before = references.len();
        let known: BTreeSet<&str> = references.keys().copied().collect();
        references.retain(|_, within| within.iter().any(|reference| known.contains(reference)));
        if references.len() == before {
            return before > 0;
        }
    }
}

/// The references in a schema; false where there is one that depends on the way there, or where this takes too long.
fn collect<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>, searched: &mut usize) -> bool {
    *searched = searched.saturating_add(1);
    if *searched > MAXIMUM_SEARCHED {
        return false;
    }
    match value {
        Value::Array(items) => items.iter().all(|item| collect(item, found, searched)),
        Value::Object(members) => {
            members.iter().all(|(name, value)| match (name.as_str(), value) {
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => false,
                ("$ref", Value::String(reference)) => {
                    found.insert(reference);
                    true
                }
                _ => collect(value, found, searched),
            })
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    #[test]
    fn circles_are_seen() {
        for (schema, expected) in [
            (json!({}), false),
            (json!(true), false),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {}}}), false),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}), true),
            (json!({"items": {"$ref": "#"}}), true),
            (json!({"items": {"$dynamicRef": "#x"}}), true),
            (json!({"$ref": "#named"}), true),
            (
                json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
                true,
            ),
        ] {
            assert_eq!(is_recursive(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn alternatives_within_alternatives_take_no_exponential_time() {
        let of = |name: &str| {
            json!({"type": "object", "required": ["of", name],
                   "properties": {"of": {"type": "array", "items": {"$ref": "#"}}}})
        };
        let schema = json!({"oneOf": [of("a"), of("b"), of("c"), of("d"), {"type": "integer"}]});
        let schema = Schema::compile(&SchemaSource::Inline(schema), "f").unwrap();
        for depth in [2, 15] {
            let body = (0..depth).fold(json!("no integer"), |inner, _| json!({"of": [inner]}));
            let begun = Instant::now();
            assert!(!schema.violations(&body).is_empty());
            assert!(begun.elapsed() < Duration::from_secs(2), "{depth}: {:?}", begun.elapsed());
        }
    }
}
