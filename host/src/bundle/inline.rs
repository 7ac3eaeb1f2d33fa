//! The files that a document names, put into their places.

use std::path::Path;

use portcullis_policy::DocumentError;
use portcullis_policy::document::{
    ApiKeyFile, DenyList, JwksSource, LocatedDocument, OpenApiSource, ResponseSchema, SchemaSource,
    read_json, read_value,
};
use portcullis_policy::identity::KeySet;
use serde_json::Value;

use super::{MAXIMUM_BYTES, read_text};

/// The longest file that a document names.
const MAXIMUM_FILE_BYTES: usize = 1024 * 1024;

/// The longest OpenAPI document: most of large ones is prose, which does not go into the document.
const MAXIMUM_OPENAPI_BYTES: usize = MAXIMUM_BYTES;

/// A file that is in its place: where it was named, without `.file`, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Inlined {
    pub(super) field: String,
    pub(super) path: String,
}

/// Puts all of them there. Those whose errors are told as places in them are answered.
pub(super) fn inline_files(
    located: &mut LocatedDocument,
    folder: &Path,
) -> Result<Vec<Inlined>, DocumentError> {
    inline_key_sets(located, folder)?;
    inline_api_keys(located, folder)?;
    inline_deny_list(located, folder)?;
    let mut files = Vec::new();
    inline_schemas(located, folder, &mut files)?;
    inline_response_schema(located, folder, &mut files)?;
    inline_openapi(located, folder, &mut files)?;
    Ok(files)
}

impl Inlined {
    fn new(field: &str, path: &Path) -> Self {
        Self { field: field.to_owned(), path: path.display().to_string() }
    }

    /// Which field of the file a field of the document is; routes have what the document's own section says where they say nothing.
    pub(super) fn within<'f>(&self, field: &'f str) -> Option<&'f str> {
        let own = field.strip_prefix(&self.field);
        let shared = || {
            let (route, rest) = field.split_once("].")?;
            route.strip_prefix("routes[").and_then(|_| rest.strip_prefix(&self.field))
        };
        let rest = own.or_else(shared)?.strip_prefix(".inline")?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
    }
}

fn inline_key_sets(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let issuers = located.document.identity.jwt.iter().flat_map(|section| &section.issuers);
    let mut found = Vec::new();
    for (index, issuer) in issuers.enumerate() {
        let JwksSource::File(file) = &issuer.jwks else { continue };
        let field = format!("identity.jwt.issuers[{index}].jwks.file");
        let path = folder.join(file);
        let error =
            |message: String| located.error(&field, format!("{}: {message}", path.display()));
        let text = read_text(&path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
        // Strictly, so that the error names the file and the field of the key in it.
        let keys = KeySet::parse(&text).map_err(|why| error(why.to_string()))?;
        if keys.is_symmetric() {
            return Err(error(
                "expected public keys, found secret ones: name an environment variable that \
                 holds them, with `env` in place of `file`"
                    .to_owned(),
            ));
        }
        let value: Value = serde_json::from_str(&text).map_err(|why| error(why.to_string()))?;
        found.push((index, value));
    }
    if let Some(section) = &mut located.document.identity.jwt {
        for (index, value) in found {
            if let Some(issuer) = section.issuers.get_mut(index) {
                issuer.jwks = JwksSource::Inline(value);
            }
        }
    }
    Ok(())
}

fn inline_deny_list(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let section = located.document.identity.revocation.as_ref();
    let Some(file) = section.and_then(|section| section.file.as_ref()) else { return Ok(()) };
    let path = folder.join(file);
    let error = |message: String| {
        located.error("identity.revocation.file", format!("{}: {message}", path.display()))
    };
    let text = read_text(&path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
    let list = DenyList::read(text.as_bytes()).map_err(error)?;
    if let Some(section) = &mut located.document.identity.revocation {
        section.inline.jti.extend(list.jti);
        section.inline.sub.extend(list.sub);
        section.inline.kid.extend(list.kid);
        section.file = None;
    }
    Ok(())
}

fn inline_schemas(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let mut read = |source: &Option<SchemaSource>, field: String| {
        let Some(SchemaSource::File(file)) = source else { return Ok(None) };
        let (path, field) = (folder.join(file), format!("{field}.schema"));
        let schema = read_schema(&*located, &path, &format!("{field}.file"))?;
        files.push(Inlined::new(&field, &path));
        Ok(Some(SchemaSource::Inline(schema)))
    };
    let base = read(&located.document.input.schema, "input".to_owned())?;
    let routes = located.document.routes.iter().enumerate();
    let routes = routes
        .map(|(index, route)| read(&route.input.schema, format!("routes[{index}].input")))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs = located.document.routes.iter_mut().map(|route| &mut route.input);
    for (input, schema) in inputs.zip(routes).chain([(&mut located.document.input, base)]) {
        if schema.is_some() {
            input.schema = schema;
        }
    }
    Ok(())
}

fn inline_response_schema(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let Some(ResponseSchema::File(file)) = &located.document.output.schema else { return Ok(()) };
    let path = folder.join(file);
    let schema = read_schema(&*located, &path, "output.schema.file")?;
    files.push(Inlined::new("output.schema", &path));
    located.document.output.schema = Some(ResponseSchema::Inline(schema));
    Ok(())
}

fn read_schema(
    located: &LocatedDocument,
    path: &Path,
    field: &str,
) -> Result<Value, DocumentError> {
    let shown = path.display().to_string();
    let error = |message: String| located.error(field, format!("{shown}: {message}"));
    let text = read_text(path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
    let schema = read_json(&shown, &text)
        .map_err(|why| located.error(field, format!("expected a JSON Schema, in JSON: {why}")))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err(error("expected a JSON Schema: an object or a boolean".to_owned()));
    }
    Ok(schema)
}

fn inline_openapi(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let mut read = |source: &Option<OpenApiSource>, field: String| {
        let Some(OpenApiSource::File(file)) = source else { return Ok(None) };
        let path = folder.join(file);
        files.push(Inlined::new(&format!("{field}.openapi"), &path));
        let field = format!("{field}.openapi.file");
        let shown = path.display().to_string();
        let text = read_text(&path, MAXIMUM_OPENAPI_BYTES)
            .map_err(|why| located.error(&field, format!("{shown}: {why}")))?;
        let document =
            read_value(&shown, &text).map_err(|why| located.error(&field, why.to_string()))?;
        Ok(Some(OpenApiSource::inline(document)))
    };
    let base = read(&located.document.input.openapi, "input".to_owned())?;
    let routes = located.document.routes.iter().enumerate();
    let routes = routes
        .map(|(index, route)| read(&route.input.openapi, format!("routes[{index}].input")))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs = located.document.routes.iter_mut().map(|route| &mut route.input);
    for (input, openapi) in inputs.zip(routes).chain([(&mut located.document.input, base)]) {
        if openapi.is_some() {
            input.openapi = openapi;
        }
    }
    Ok(())
}

fn inline_api_keys(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let section = located.document.identity.api_keys.as_ref();
    let Some(file) = section.and_then(|section| section.file.as_ref()) else { return Ok(()) };
    let path = folder.join(file);
    let shown = path.display().to_string();
    let text = read_text(&path, ApiKeyFile::MAXIMUM_BYTES).map_err(|why| format!("{shown}: {why}"));
    let taken = text.and_then(|text| {
        located.document.take_api_keys(&shown, &text).map_err(|why| why.to_string())
    });
    taken.map_err(|message| located.error("identity.api_keys.file", message))
}
