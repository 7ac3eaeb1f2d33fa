//! JSON Schema.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::document::SchemaSource;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// How many errors are told at once.
const MAXIMUM_ERRORS: usize = 8;

/// How long an error message may be, in characters.
const MAXIMUM_MESSAGE_CHARS: usize = 200;

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Schema(Validator);

impl Schema {
    pub(super) fn compile(source: &SchemaSource, field: &str) -> Result<Self, CompileError> {
        let value = match source {
            SchemaSource::Inline(value) => value,
            SchemaSource::File(_) => {
                let message = "expected the schema itself: `portcullis` puts files in place";
                return Err(CompileError::new(format!("{field}.file"), message));
            }
        };
        // Linear-time patterns: the other engine backtracks, and who chooses the text chooses the time.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(value).map_err(|error| {
            let path = error.instance_path().as_str().replace('/', ".");
            CompileError::new(
                format!("{field}.inline{path}"),
                format!("not a usable schema: {error}"),
            )
        })?;
        Ok(Self(validator))
    }

    pub(super) fn check(&self, value: &Value) -> Result<(), Refusal> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let mut refusal =
            Refusal::new(Reason::SchemaViolated, "Send a body of the form this route takes.");
        for error in self.0.iter_errors(value).take(MAXIMUM_ERRORS) {
            let at = error.instance_path().to_string();
            // Masked: a body may hold secrets, and this goes into records.
            let message = error.masked().to_string();
            refusal = refusal
                .finding(at, message.chars().take(MAXIMUM_MESSAGE_CHARS).collect::<String>());
        }
        Err(refusal)
    }
}
