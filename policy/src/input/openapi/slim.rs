//! A document without what no request is checked by: prose, examples and the like are most of large ones.

use serde_json::Value;

use super::node::{holds_names, is_data};

/// What of a document is used at all.
const USED: [&str; 5] = ["openapi", "jsonSchemaDialect", "servers", "paths", "components"];

/// What says something to readers alone, wherever names are not the author's own.
const PROSE: [&str; 8] = [
    "description",
    "example",
    "examples",
    "externalDocs",
    "operationId",
    "summary",
    "tags",
    "title",
];

/// Takes it out. What is left stands where it stood.
pub(crate) fn slim(document: &mut Value) {
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| USED.contains(&name.as_str()));
    }
    within(document, false);
}

fn within(value: &mut Value, has_names: bool) {
    match value {
        Value::Object(members) => {
            if !has_names {
                members
                    .retain(|name, _| !PROSE.contains(&name.as_str()) && !name.starts_with("x-"));
            }
            for (name, value) in members {
                if has_names || !is_data(name) {
                    within(value, !has_names && holds_names(name));
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, false)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prose_is_taken_out_and_names_stay() {
        let schema = json!({
            "type": "object", "title": "A", "description": "b", "x-note": 1, "examples": [1],
            "required": ["description"],
            "properties": {
                "description": {"type": "string", "description": "c"},
                "title": {"enum": [{"title": "stays"}], "default": {"example": 1}},
                "examples": {"items": {"summary": "d", "const": {"tags": 1}}},
                "x-note": {"$ref": "#/components/schemas/title"},
            },
        });
        let mut document = json!({
            "openapi": "3.1.0", "info": {"title": "Things"}, "tags": [], "x-all": 1,
            "paths": {"/a": {"summary": "e", "post": {
                "operationId": "f", "tags": ["g"],
                "parameters": [{"name": "x", "in": "query", "example": 1, "schema": true}],
                "requestBody": {"description": "h", "content": {"multipart/form-data": {
                    "schema": schema, "encoding": {"description": {"contentType": "text/plain"}},
                    "examples": {"i": {}},
                }}},
                "responses": {"200": {"description": "j", "headers": {"x-note": {"schema": {}}}}},
            }}},
            "components": {"schemas": {"title": {"title": "k"}}, "examples": {"l": {}}},
        });
        slim(&mut document);
        let schema = json!({
            "type": "object", "required": ["description"],
            "properties": {
                "description": {"type": "string"},
                "title": {"enum": [{"title": "stays"}], "default": {"example": 1}},
                "examples": {"items": {"const": {"tags": 1}}},
                "x-note": {"$ref": "#/components/schemas/title"},
            },
        });
        let expected = json!({
            "openapi": "3.1.0",
            "paths": {"/a": {"post": {
                "parameters": [{"name": "x", "in": "query", "schema": true}],
                "requestBody": {"content": {"multipart/form-data": {
                    "schema": schema, "encoding": {"description": {"contentType": "text/plain"}},
                }}},
                "responses": {"200": {"headers": {"x-note": {"schema": {}}}}},
            }}},
            "components": {"schemas": {"title": {}}},
        });
        assert_eq!(document, expected);
    }
}
