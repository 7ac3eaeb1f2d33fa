//! Keywords that JSON Schema 2020-12 does not know, or in another form, put as it has them: what their authors meant would not
//! hold else.
//!
//! `nullable` and exclusive bounds that are true or false are OpenAPI 3.0's, and documents of 3.1 have them all the same;
//! `$recursiveRef` is of JSON Schema 2019-09.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::node::{Node, holds_names, is_data};

/// Where the schemas are that have names.
const SCHEMAS: &str = "/components/schemas/";

/// What may refuse a null, beside `type`, `enum`, `const` and `anyOf`.
const OTHERS: [&str; 8] = ["$ref", "$dynamicRef", "allOf", "oneOf", "not", "if", "then", "else"];

/// The document without them.
pub(super) fn translated(root: &Node<'_>, faults: &mut Faults) -> Value {
    within(root, false, None, faults)
}

/// `around` is the schema around it that recursion leads to.
fn within(node: &Node<'_>, has_names: bool, around: Option<&str>, faults: &mut Faults) -> Value {
    match node.value {
        Value::Object(members) => {
            let own = own_reference(node).filter(|_| !has_names);
            let is_resource = !has_names && members.contains_key("$id");
            // What begins anew is no part of the schema around it.
            let around = own.as_deref().or(around.filter(|_| !is_resource));
            let mut all = Map::new();
            for (name, value) in members {
                let child = node.child(name, value);
                let value = match !has_names && is_data(name) {
                    true => value.clone(),
                    false => within(&child, !has_names && holds_names(name), around, faults),
                };
                all.insert(name.clone(), value);
            }
            if !has_names {
                recursion(node, &mut all, around, faults);
                bound(node, &mut all, ("exclusiveMinimum", "minimum"), faults);
                bound(node, &mut all, ("exclusiveMaximum", "maximum"), faults);
                once(&mut all);
                discriminated(&mut all);
                nullable(node, &mut all, faults);
            }
            Value::Object(all)
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| {
                    within(&node.child(&index.to_string(), item), false, around, faults)
                })
                .collect()
        }
        value => value.clone(),
    }
}

/// A reference to a schema that has a name, where recursion is to lead to it.
fn own_reference(node: &Node<'_>) -> Option<String> {
    let name = node.pointer().strip_prefix(SCHEMAS)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_anchor = node.value.get("$recursiveAnchor") == Some(&Value::Bool(true));
    (is_anchor && name.bytes().all(is_plain)).then(|| format!("#{}", node.pointer()))
}

fn recursion(
    node: &Node<'_>,
    all: &mut Map<String, Value>,
    around: Option<&str>,
    faults: &mut Faults,
) {
    match all.remove("$recursiveAnchor") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) if own_reference(node).is_some() => {}
        Some(_) => {
            let message = "expected true, in a schema of `components` whose name is letters, digits \
                           and `._-`; JSON Schema 2020-12 has $dynamicAnchor in its place";
            faults.add(node.error_at("$recursiveAnchor", message));
        }
    }
    match (all.remove("$recursiveRef"), around) {
        (None, _) => {}
        (Some(Value::String(reference)), Some(around))
            if reference == "#" && !all.contains_key("$ref") =>
        {
            all.insert("$ref".to_owned(), around.into());
        }
        _ => {
            let message = "expected #, without a $ref beside it, within a schema of `components` that \
                           has `$recursiveAnchor: true`; JSON Schema 2020-12 has $dynamicRef in its place";
            faults.add(node.error_at("$recursiveRef", message));
        }
    }
}

fn bound(
    node: &Node<'_>,
    all: &mut Map<String, Value>,
    (exclusive, bound): (&str, &str),
    faults: &mut Faults,
) {
    match all.get(exclusive) {
        Some(Value::Bool(true)) => match all.remove(bound) {
            Some(limit) => {
                all.insert(exclusive.to_owned(), limit);
            }
            None => {
                let message = format!("expected a number, or `{bound}` beside it");
                faults.add(node.error_at(exclusive, &message));
            }
        },
        Some(Value::Bool(false)) => {
            all.remove(exclusive);
        }
        _ => {}
    }
}

/// A name that is required twice is required.
fn once(all: &mut Map<String, Value>) {
    if let Some(Value::Array(names)) = all.get_mut("required") {
        let mut known = BTreeSet::new();
        names.retain(|name| name.as_str().is_none_or(|name| known.insert(name.to_owned())));
    }
}

/// Which one is meant is for a member to say; that another fits as well is no news then.
fn discriminated(all: &mut Map<String, Value>) {
    if !all.get("discriminator").is_some_and(Value::is_object) {
        return;
    }
    let Some(branches) = all.remove("oneOf") else { return };
    match all.contains_key("anyOf") {
        false => all.insert("anyOf".to_owned(), branches),
        // Both are to hold.
        true => all.insert("oneOf".to_owned(), json!([{"anyOf": branches}])),
    };
}

fn nullable(node: &Node<'_>, all: &mut Map<String, Value>, faults: &mut Faults) {
    let is_nullable = match all.remove("nullable") {
        None | Some(Value::Bool(false)) => is_said_beside(node.value.get("allOf")),
        Some(Value::Bool(true)) => true,
        Some(_) => {
            faults.add(node.error_at("nullable", "expected true or false"));
            false
        }
    };
    if is_nullable {
        take_null(all);
    }
}

/// `allOf: [{$ref: …}, {nullable: true}]`: nothing could be beside a `$ref` in OpenAPI 3.0.
fn is_said_beside(all_of: Option<&Value>) -> bool {
    let is_alone = |branch: &Value| {
        branch.get("nullable") == Some(&Value::Bool(true))
            && branch.as_object().is_some_and(|members| {
                let mut names = members.keys();
                names.all(|name| {
                    ["nullable", "title", "description", "deprecated"].contains(&name.as_str())
                        || is_data(name) && !["enum", "const"].contains(&name.as_str())
                })
            })
    };
    all_of.and_then(Value::as_array).is_some_and(|branches| branches.iter().any(is_alone))
}

/// Changes a schema so that it takes null too, and else what it took.
fn take_null(all: &mut Map<String, Value>) {
    let no_value = || json!({"type": "null"});
    match all.get_mut("type") {
        Some(Value::Array(names)) if !names.iter().any(|name| name == "null") => {
            names.push("null".into());
        }
        Some(kind @ Value::String(_)) if kind != "null" => *kind = json!([kind.clone(), "null"]),
        _ => {}
    }
    if let Some(Value::Array(values)) = all.get_mut("enum")
        && !values.iter().any(Value::is_null)
    {
        values.push(Value::Null);
    }
    let mut others: Vec<&str> = OTHERS.into_iter().filter(|name| all.contains_key(*name)).collect();
    others.extend(all.contains_key("const").then_some("const"));
    match all.get_mut("anyOf") {
        Some(Value::Array(branches)) if others.is_empty() => branches.push(no_value()),
        Some(_) if !others.is_empty() => others.push("anyOf"),
        _ => {}
    }
    if !others.is_empty() {
        let inner = others.into_iter().filter_map(|name| all.remove_entry(name));
        let inner: Map<String, Value> = inner.collect();
        all.insert("anyOf".to_owned(), json!([no_value(), inner]));
    }
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
