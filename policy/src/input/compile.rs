//! An `input` section made ready to be held against.

use std::sync::Arc;

use super::media_type::{Kind as MediaKind, MediaType};
use super::openapi::OpenApi;
use super::response::ResponseRules;
use super::schema::Schema;
use super::{DEFAULT_BODY_BYTES, InputRules, JsonLimits};
use crate::document::{ContentEncoding, OpenApiSource};
use crate::files::FileRules;
use crate::policy::CompileError;
use crate::screening::{ResponseScreening, Screening};
use crate::stages::{InputSections, Inspect};

/// The longest body that can be allowed, in bytes.
const MAXIMUM_BODY_BYTES: u32 = 1024 * 1024;

/// The furthest a compressed body can be allowed to expand: gzip itself stops at about this.
const MAXIMUM_EXPANSION: u32 = 1000;

const DEFAULT_EXPANSION: u32 = 100;

/// The deepest nesting that can be allowed: below serde_json's own limit.
pub(super) const MAXIMUM_DEPTH: u32 = 100;

impl InputRules {
    pub(crate) fn compile(sections: &InputSections<'_>) -> Result<Self, CompileError> {
        let InputSections { input: section, field, redaction_key, .. } = *sections;
        let openapi = compile_openapi(sections)?;
        let default = || match openapi.is_some() && section.schema.is_none() {
            true => Vec::new(),
            false => vec!["application/json".to_owned()],
        };
        let names = section.content_types.clone().unwrap_or_else(default);
        let content_types = names.iter().enumerate().map(|(index, name)| {
            MediaType::parse(name.as_bytes()).ok_or_else(|| {
                let message = "expected application/json, a +json type, multipart/form-data, \
                               application/x-www-form-urlencoded, text/plain or, for an \
                               upstream that decrypts and screens it itself, application/jose: \
                               other types cannot be inspected";
                CompileError::new(format!("{field}.content_types[{index}]"), message)
            })
        });
        let content_types: Vec<_> = content_types.collect::<Result<_, _>>()?;
        let max_body_bytes = section.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES);
        if max_body_bytes > MAXIMUM_BODY_BYTES {
            let message = format!("expected at most {MAXIMUM_BODY_BYTES}");
            return Err(CompileError::new(format!("{field}.max_body_bytes"), message));
        }
        let json = section.json.unwrap_or_default();
        if !(1..=MAXIMUM_DEPTH).contains(&json.max_depth) {
            let message = format!("expected 1 to {MAXIMUM_DEPTH}");
            return Err(CompileError::new(format!("{field}.json.max_depth"), message));
        }
        let max_expansion = section.max_expansion.unwrap_or(DEFAULT_EXPANSION);
        if !(1..=MAXIMUM_EXPANSION).contains(&max_expansion) {
            let message = format!("expected 1 to {MAXIMUM_EXPANSION}");
            return Err(CompileError::new(format!("{field}.max_expansion"), message));
        }
        let decodes = section.content_encoding == Some(ContentEncoding::Decode);
        let schema = section.schema.as_ref();
        let schema =
            schema.map(|schema| Schema::compile(schema, &format!("{field}.schema"))).transpose()?;
        // What is encrypted is held against the schema by whoever decrypts it.
        let has_schema =
            |media: &MediaType| matches!(media.kind, MediaKind::Json | MediaKind::Jose);
        if schema.is_some() && !content_types.iter().all(has_schema) {
            let message = "a schema is for JSON: expected no other content_types beside it";
            return Err(CompileError::new(format!("{field}.schema"), message));
        }
        let screening = Screening::compile(section, redaction_key, field)?;
        let files = section.files.as_ref();
        let files =
            files.map(|files| FileRules::compile(files, &format!("{field}.files"))).transpose()?;
        Ok(Self {
            content_types,
            max_body_bytes: max_body_bytes as usize,
            json: JsonLimits { max_depth: json.max_depth, max_values: json.max_values },
            schema,
            shadow: ResponseRules::compile(sections, openapi.as_ref())?,
            openapi,
            max_expansion: decodes.then_some(max_expansion as usize),
            responses: ResponseScreening::compile(sections, screening.data())?,
            screening,
            files,
        })
    }

    /// The same behind a pointer, for [`crate::Stages`].
    pub(crate) fn boxed(sections: &InputSections<'_>) -> Result<Box<dyn Inspect>, CompileError> {
        Ok(Box::new(Self::compile(sections)?))
    }
}

#[cfg(test)]
impl InputRules {
    /// Of this section and no other.
    pub(super) fn of(section: &crate::document::InputSection) -> Result<Self, CompileError> {
        Self::compile(&InputSections {
            input: section,
            field: "input",
            output: &crate::document::OutputSection::default(),
            redaction_key: None,
            canaries: &[],
            shared: &Default::default(),
        })
    }
}

/// The document of a route, which others may have compiled.
fn compile_openapi(sections: &InputSections<'_>) -> Result<Option<Arc<OpenApi>>, CompileError> {
    let field = format!("{}.openapi", sections.field);
    match &sections.input.openapi {
        None | Some(OpenApiSource::None) => Ok(None),
        Some(OpenApiSource::File(_)) => {
            let message = "expected the document itself: `portcullis` puts files in place";
            Err(CompileError::new(format!("{field}.file"), message))
        }
        Some(OpenApiSource::Inline(document)) => {
            let field = format!("{field}.inline");
            sections.shared.get(&document.0, || OpenApi::compile(&document.0, &field)).map(Some)
        }
    }
}
