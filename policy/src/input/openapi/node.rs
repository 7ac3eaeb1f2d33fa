//! A place in an OpenAPI document: what is read of it, and errors that name its JSON pointer.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::policy::CompileError;

/// How many references may lead from one to the next.
const MAXIMUM_REFERENCES: usize = 16;

/// How many values a document may have, and how deep they may nest.
const MAXIMUM_VALUES: usize = 200_000;
const MAXIMUM_DEPTH: usize = 64;

/// A value, the document around it, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    root: &'a Value,
    field: &'a str,
    pub(super) value: &'a Value,
    pointer: String,
}

impl<'a> Node<'a> {
    /// A whole document, once it is known not to be too large, and that nothing in it is elsewhere. `field` is what names it in
    /// the policy.
    pub(super) fn root(document: &'a Value, field: &'a str) -> Result<Self, CompileError> {
        let root = Self { root: document, field, value: document, pointer: String::new() };
        let mut values = 0;
        root.check(&mut values, 0, false)?;
        Ok(root)
    }

    /// The root of another document that is named alike.
    pub(super) fn of<'b>(&self, document: &'b Value) -> Node<'b>
    where
        'a: 'b,
    {
        Node { root: document, field: self.field, value: document, pointer: String::new() }
    }

    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// A member, references resolved.
    pub(super) fn get(&self, name: &str) -> Result<Option<Self>, CompileError> {
        self.value.get(name).map(|value| self.child(name, value).resolved()).transpose()
    }

    /// A member as it stands there, be it a reference.
    pub(super) fn raw(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| self.child(name, value))
    }

    /// The members of an object that there may be, references not resolved.
    pub(super) fn members(&self, name: &str) -> Result<Vec<(&'a str, Self)>, CompileError> {
        let Some(node) = self.get(name)? else { return Ok(Vec::new()) };
        let members = node.object()?.iter();
        Ok(members.map(|(key, value)| (key.as_str(), node.child(key, value))).collect())
    }

    /// The items of an array that there may be, references resolved.
    pub(super) fn items(&self, name: &str) -> Result<Vec<Self>, CompileError> {
        let Some(node) = self.get(name)? else { return Ok(Vec::new()) };
        let items = node.value.as_array().ok_or_else(|| node.error("expected an array"))?;
        let items = items.iter().enumerate();
        items.map(|(index, item)| node.child(&index.to_string(), item).resolved()).collect()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, CompileError> {
        let Some(value) = self.value.get(name) else { return Ok(None) };
        let error = || self.child(name, value).error("expected a string");
        value.as_str().map(Some).ok_or_else(error)
    }

    /// False where it is not there.
    pub(super) fn is_set(&self, name: &str) -> Result<bool, CompileError> {
        self.flag(name).map(|flag| flag == Some(true))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, CompileError> {
        let Some(value) = self.value.get(name) else { return Ok(None) };
        let error = || self.child(name, value).error("expected true or false");
        value.as_bool().map(Some).ok_or_else(error)
    }

    /// The same, or what it refers to.
    pub(super) fn resolved(mut self) -> Result<Self, CompileError> {
        for _ in 0..MAXIMUM_REFERENCES {
            let Some(reference) = self.value.get("$ref").and_then(Value::as_str) else {
                return Ok(self);
            };
            // That it begins so has been checked for the whole document.
            let pointer = reference.trim_start_matches('#');
            let pointer = percent_decode_str(pointer).decode_utf8_lossy().into_owned();
            let Some(value) = self.root.pointer(&pointer) else {
                return Err(self.error(&format!("{reference} leads nowhere in this document")));
            };
            (self.value, self.pointer) = (value, pointer);
        }
        Err(self.error(&format!("expected at most {MAXIMUM_REFERENCES} references in a row")))
    }

    pub(super) fn error(&self, message: &str) -> CompileError {
        let at = if self.pointer.is_empty() { "the document" } else { self.pointer.as_str() };
        CompileError::new(self.field, format!("{at}: {message}"))
    }

    /// The place of something in it, for errors.
    pub(super) fn below(&self, pointer: &str) -> Self {
        Self { pointer: format!("{}{pointer}", self.pointer), ..self.clone() }
    }

    /// The error of a member.
    pub(super) fn error_at(&self, name: &str, message: &str) -> CompileError {
        self.child(name, self.value).error(message)
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, CompileError> {
        self.value.as_object().ok_or_else(|| self.error("expected an object"))
    }

    pub(super) fn child(&self, name: &str, value: &'a Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{name}", self.pointer);
        Self { root: self.root, field: self.field, value, pointer }
    }

    /// `has_names` where the members' names are the author's own, so that one called `example` is none.
    fn check(&self, values: &mut usize, depth: usize, has_names: bool) -> Result<(), CompileError> {
        *values = values.saturating_add(1);
        if *values > MAXIMUM_VALUES {
            return Err(self.error(&format!("expected at most {MAXIMUM_VALUES} values in all")));
        }
        if depth > MAXIMUM_DEPTH {
            return Err(self.error(&format!("expected at most {MAXIMUM_DEPTH} levels")));
        }
        match self.value {
            Value::Object(members) => {
                for (name, value) in members {
                    let child = self.child(name, value);
                    if !has_names && is_data(name) {
                        continue;
                    }
                    let outer = ["$ref", "$dynamicRef", "$recursiveRef"].contains(&name.as_str());
                    if let Some(reference) = value.as_str().filter(|_| outer && !has_names)
                        && !reference.starts_with('#')
                    {
                        let message = "expected a reference within this document, which begins with #: \
                                       bundle it first";
                        return Err(child.error(message));
                    }
                    let names = !has_names && holds_names(name);
                    child.check(values, depth.saturating_add(1), names)?;
                }
                Ok(())
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                let child = self.child(&index.to_string(), item);
                child.check(values, depth.saturating_add(1), false)
            }),
            _ => Ok(()),
        }
    }
}

/// Members that hold no part of the description, but data.
pub(super) fn is_data(name: &str) -> bool {
    ["example", "examples", "default", "enum", "const"].contains(&name) || name.starts_with("x-")
}

/// Members whose own members have names of the author's.
pub(super) fn holds_names(name: &str) -> bool {
    [
        "$defs",
        "callbacks",
        "content",
        "definitions",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "encoding",
        "headers",
        "links",
        "mapping",
        "parameters",
        "pathItems",
        "paths",
        "patternProperties",
        "properties",
        "requestBodies",
        "responses",
        "schemas",
        "scopes",
        "securitySchemes",
        "variables",
    ]
    .contains(&name)
}
