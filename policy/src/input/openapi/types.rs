//! Which types a schema takes, and what a text is as one of them: parameters and fields of forms are text, and schemas speak of
//! numbers.

use serde_json::{Number, Value};

use super::node::Node;
use crate::policy::CompileError;

/// Types of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

/// How many subschemas are looked at for the types of one.
const MAXIMUM_SUBSCHEMAS: usize = 256;

/// In the order of their bits.
const NAMES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ANY: Self = Self(0x7f);
    pub(super) const STRING: Self = Self(1 << 4);

    /// Those that a value may be of that the schema takes; too many rather than too few.
    pub(super) fn of(schema: &Node<'_>) -> Result<Self, CompileError> {
        Self::within(schema, &mut 0)
    }

    /// Those of the items of an array that the schema takes.
    pub(super) fn of_items(schema: &Node<'_>) -> Result<Self, CompileError> {
        if let Some(items) = schema.get("items")? {
            return Self::of(&items);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            for branch in schema.items(keyword)? {
                if let Some(items) = branch.get("items")? {
                    return Self::of(&items);
                }
            }
        }
        Ok(Self::STRING)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Whether a text can be one of them.
    pub(super) fn has_text(self) -> bool {
        ["boolean", "integer", "number", "string"].iter().any(|name| self.has(name))
    }

    pub(super) fn without(self, name: &str) -> Self {
        Self(self.0 & !Self::bit(name))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// For messages.
    pub(super) fn expected(self) -> String {
        let names: Vec<&str> = NAMES.into_iter().filter(|name| self.has(name)).collect();
        names.join(" or ")
    }

    /// What a text can be, what is more specific first.
    pub(super) fn read(self, text: &str) -> Vec<Value> {
        let mut values = Vec::with_capacity(2);
        if self.has("integer") || self.has("number") {
            values.extend(number(text));
        }
        if self.has("boolean") {
            values.extend(text.parse::<bool>().ok().map(Value::Bool));
        }
        if self.has("string") {
            values.push(text.into());
        }
        values
    }

    fn within(schema: &Node<'_>, visited: &mut usize) -> Result<Self, CompileError> {
        *visited = visited.saturating_add(1);
        if *visited > MAXIMUM_SUBSCHEMAS {
            return Ok(Self::ANY);
        }
        let mut types = Self::ANY;
        match schema.value.get("type") {
            Some(Value::String(name)) => types = Self::named(name),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                types = names.fold(Self::NONE, |all, name| all.or(Self::named(name)));
            }
            _ => {}
        }
        // Where only values are named, those say which.
        let named = schema.value.get("enum").and_then(Value::as_array);
        if let Some(values) = named {
            let all = values.iter().map(Self::of_value);
            types = types.and(all.fold(Self::NONE, Self::or));
        }
        if let Some(value) = schema.value.get("const") {
            types = types.and(Self::of_value(value));
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = schema.items(keyword)?;
            if !branches.is_empty() {
                let mut any = Self::NONE;
                for branch in branches {
                    any = any.or(Self::within(&branch, visited)?);
                }
                types = types.and(any);
            }
        }
        for branch in schema.items("allOf")? {
            types = types.and(Self::within(&branch, visited)?);
        }
        Ok(types)
    }

    fn of_value(value: &Value) -> Self {
        Self::named(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        })
    }

    fn named(name: &str) -> Self {
        // Integers are numbers.
        let others = if name == "number" { Self::bit("integer") } else { 0 };
        Self(Self::bit(name) | others)
    }

    fn bit(name: &str) -> u8 {
        let place = NAMES.iter().position(|known| *known == name);
        place.and_then(|place| 1_u8.checked_shl(place as u32)).unwrap_or_default()
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A number as JSON has it: `007`, `+7` and `0x7` are read differently by different programs.
fn number(text: &str) -> Option<Value> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    is_plain.then(|| serde_json::from_str::<Number>(text).ok().map(Value::Number)).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types(schema: Value) -> String {
        Types::of(&Node::root(&schema, "f").unwrap()).unwrap().expected()
    }

    #[test]
    fn the_types_of_a_schema_are_found() {
        assert_eq!(types(json!({"type": "integer"})), "integer");
        assert_eq!(types(json!({"type": ["string", "null"]})), "null or string");
        let optional = json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
        assert_eq!(types(optional), "null or integer");
        let all = json!({"allOf": [{"type": "number"}, {"type": "integer"}]});
        assert_eq!(types(all), "integer");
        let named =
            json!({"anyOf": [{"$ref": "#/a"}, {"type": "boolean"}], "a": {"type": "array"}});
        assert_eq!(types(named), "boolean or array");
        assert_eq!(types(json!({"enum": ["1", "x"]})), "string");
        assert_eq!(
            types(json!({"anyOf": [{"const": 1}, {"enum": [true]}]})),
            "boolean or integer or number"
        );
        let endless = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]});
        assert!(Types::of(&Node::root(&endless, "f").unwrap()).is_ok());
    }

    #[test]
    fn texts_become_what_they_say_and_nothing_else() {
        let integer = Types::named("integer");
        assert_eq!(integer.read("12"), [json!(12)]);
        assert_eq!(Types::named("number").read("-1.5e3"), [json!(-1500.0)]);
        for text in ["", "007", "+7", "0x7", " 7", "7 ", "7\n", "1_000", "NaN", "١", "1e999"] {
            assert_eq!(integer.read(text), [] as [Value; 0], "{text:?}");
        }
        assert_eq!(Types::named("boolean").read("true"), [json!(true)]);
        assert_eq!(Types::named("boolean").read("True"), [] as [Value; 0]);
        assert_eq!(Types::ANY.read("7"), [json!(7), json!("7")]);
    }
}
