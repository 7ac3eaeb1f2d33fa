//! How the values of a parameter are written, by its `style`, `explode` and schema.

use super::node::Node;
use super::object::Properties;
use super::parameter::Place;
use super::types::Types;
use crate::policy::CompileError;

/// How values are written.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Json,
    Text {
        types: Types,
        /// Of the items, where it may be an array, and what stands between them; nothing where each is a parameter of its own.
        items: Option<(Types, Option<char>)>,
    },
    Object {
        properties: Properties,
        takes_null: bool,
    },
}

/// How a parameter may be spelled in a query, beside its name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spellings {
    /// `name[property]`, and `name[]` for an item.
    pub(super) brackets: bool,
    /// A property's own name.
    pub(super) own_names: bool,
}

impl Form {
    pub(super) fn compile(
        node: &Node<'_>,
        schema: Option<&Node<'_>>,
        place: Place,
    ) -> Result<Self, CompileError> {
        let (default_style, default_explode) = match place {
            Place::Path | Place::Header => ("simple", false),
            Place::Query | Place::Cookie => ("form", true),
        };
        let style = node.text("style")?.unwrap_or(default_style);
        let explode = node.flag("explode")?.unwrap_or(style == "form" && default_explode);
        let is_query = place == Place::Query;
        let is_deep = style == "deepObject" && is_query;
        let is_exploded = style == "form" && explode && is_query;
        let separator = match style {
            "simple" if default_style == "simple" => Some(','),
            "form" if is_exploded => None,
            "form" if default_style == "form" => Some(','),
            "spaceDelimited" if is_query => Some(' '),
            "pipeDelimited" if is_query => Some('|'),
            "deepObject" if is_deep => None,
            _ => {
                let message = "expected simple in a path or header field, form in a cookie, and \
                               form, spaceDelimited, pipeDelimited or deepObject in a query";
                return Err(node.error_at("style", message));
            }
        };
        let types = schema.map_or(Ok(Types::STRING), Types::of)?;
        let is_object =
            types.has("object") && types.without("object").without("null") == Types::NONE;
        // By the parameter and not by what its schema refers to: others may refer to that too.
        let error = |message: &str| node.error_at("schema", message);
        if let Some(schema) = schema.filter(|_| is_object && (is_deep || is_exploded)) {
            let properties = Properties::compile(schema)?;
            let is_open = !is_deep && node.text("style")?.is_some() && properties.has_others();
            if is_open {
                return Err(error(
                    "expected `additionalProperties: false` or style deepObject: by their \
                                  own names, members that are not described are any parameters",
                ));
            }
            return Ok(Self::Object { properties, takes_null: types.has("null") });
        }
        if is_deep {
            return Err(error("expected an object alone with style deepObject"));
        }
        if !types.has_text() && !types.has("array") {
            return Err(error(
                "expected a type that a text can be: boolean, integer, number, string, array; or, in a \
                 query with `explode: true` or style deepObject, object",
            ));
        }
        // Where nothing is said of a type, it is a text and no list.
        let has_array = types.has("array") && types != Types::ANY;
        let items = schema.filter(|_| has_array).map(Types::of_items).transpose()?;
        Ok(Self::Text { types, items: items.map(|types| (types, separator)) })
    }
}

impl Spellings {
    /// Where no style is written, brackets do as well: many clients put them there whatever is described, and what is in them is
    /// checked in the same way.
    pub(super) fn of(node: &Node<'_>, place: Place, form: &Form) -> Result<Self, CompileError> {
        let style = node.text("style")?;
        let is_silent = style.is_none() && place == Place::Query;
        Ok(match form {
            Form::Object { .. } => Self {
                brackets: is_silent || style == Some("deepObject"),
                own_names: style != Some("deepObject"),
            },
            Form::Text { items: Some((_, None)), .. } => {
                Self { brackets: is_silent, own_names: false }
            }
            _ => Self::default(),
        })
    }
}
