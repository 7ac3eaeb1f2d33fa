//! The output stage: what may leave.

use crate::access::{Header, is_reserved};
use crate::document::OutputSection;
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;

/// A compiled `output` section.
#[derive(Debug, Clone)]
pub(crate) struct OutputRules {
    remove: Vec<String>,
    set: Vec<(String, String)>,
}

impl OutputRules {
    pub(crate) fn compile(section: &OutputSection) -> Result<Self, CompileError> {
        let is_name = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !name.is_empty() && name.bytes().all(plain)
        };
        let expected = "expected a field name of letters, digits and hyphens";
        for (index, name) in section.remove_headers.iter().enumerate() {
            if !is_name(name) {
                return Err(CompileError::new(format!("output.remove_headers[{index}]"), expected));
            }
        }
        for (name, value) in &section.set_headers {
            let field = format!("output.set_headers.{name}");
            if !is_name(name) {
                return Err(CompileError::new(field, expected));
            }
            if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                return Err(CompileError::new(
                    field,
                    "expected visible ASCII characters and spaces",
                ));
            }
        }
        let lower = |name: &String| name.to_ascii_lowercase();
        Ok(Self {
            remove: section.remove_headers.iter().map(lower).collect(),
            set: section
                .set_headers
                .iter()
                .map(|(name, value)| (lower(name), value.clone()))
                .collect(),
        })
    }

    /// What to change in the header section of a response. The fields that Portcullis sets towards the upstream
    /// never come back out.
    pub(crate) fn edits(&self, headers: &[Header<'_>]) -> Vec<HeaderEdit> {
        let is_removed =
            |name: &str| self.remove.iter().any(|removed| removed == name) || is_reserved(name);
        let mut edits: Vec<HeaderEdit> = Vec::new();
        for (name, _) in headers {
            let removal = HeaderEdit::Remove((*name).to_owned());
            if is_removed(name) && !edits.contains(&removal) {
                edits.push(removal);
            }
        }
        edits.extend(
            self.set.iter().map(|(name, value)| HeaderEdit::Set(name.clone(), value.clone())),
        );
        edits
    }
}
