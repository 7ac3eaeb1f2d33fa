//! Which strings of a body are prose.

use crate::input::Step;
use crate::policy::CompileError;

/// The most patterns, and the most steps of one.
const MAXIMUM_PATTERNS: usize = 64;
const MAXIMUM_STEPS: usize = 16;

/// Where nothing is said: the prose of chat completions, responses, messages, completions and embeddings as the large
/// providers have them, of this project's own detector, and a body that is text.
const USUAL: [&str; 18] = [
    "",
    "/text",
    "/texts/*",
    "/prompt",
    "/prompt/*",
    "/suffix",
    "/system",
    "/system/*/text",
    "/instructions",
    "/input",
    "/input/*",
    "/input/*/content",
    "/input/*/content/*/text",
    "/input/*/output",
    "/messages/*/content",
    "/messages/*/content/*/text",
    "/messages/*/content/*/content",
    "/messages/*/tool_calls/*/function/arguments",
];

/// Patterns of JSON pointers.
#[derive(Debug, Clone)]
pub(crate) struct Prose(Vec<Vec<Part>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Any,
    Named(String),
}

impl Prose {
    pub(crate) fn compile(patterns: Option<&[String]>, field: &str) -> Result<Self, CompileError> {
        let Some(patterns) = patterns else {
            return Ok(Self(USUAL.iter().filter_map(|pattern| parts(pattern)).collect()));
        };
        if patterns.len() > MAXIMUM_PATTERNS {
            let message = format!("expected at most {MAXIMUM_PATTERNS}");
            return Err(CompileError::new(field, message));
        }
        let compiled = patterns.iter().enumerate().map(|(index, pattern)| {
            parts(pattern).ok_or_else(|| {
                let message = "expected a JSON pointer (RFC 6901) such as /messages/*/content";
                CompileError::new(format!("{field}[{index}]"), message)
            })
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// Whether the string at the end of a path is prose.
    pub(crate) fn has(&self, path: &[Step<'_>]) -> bool {
        self.0.iter().any(|parts| {
            parts.len() == path.len() && parts.iter().zip(path).all(|(part, step)| part.is(step))
        })
    }
}

impl Part {
    fn is(&self, step: &Step<'_>) -> bool {
        match (self, step) {
            (Self::Any, _) => true,
            (Self::Named(name), Step::Member(member)) => name == member,
            (Self::Named(name), Step::Item(index)) => name.parse() == Ok(*index),
        }
    }
}

fn parts(pattern: &str) -> Option<Vec<Part>> {
    if pattern.is_empty() {
        return Some(Vec::new());
    }
    let part = |step: &str| match step {
        "*" => Some(Part::Any),
        step => crate::identity::unescape_pointer_step(step).map(Part::Named),
    };
    let parts: Vec<Part> =
        pattern.strip_prefix('/')?.split('/').map(part).collect::<Option<_>>()?;
    (parts.len() <= MAXIMUM_STEPS).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(patterns: &[&str], path: &[Step<'_>]) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Prose::compile(Some(&patterns), "prompts").unwrap().has(path)
    }

    #[test]
    fn stars_stand_for_one_step() {
        let content =
            [Step::Member("messages".into()), Step::Item(3), Step::Member("content".into())];
        assert!(has(&["/messages/*/content"], &content));
        assert!(has(&["/messages/3/content"], &content));
        assert!(has(&["/*/*/*"], &content));
        for pattern in
            ["/messages/content", "/messages/*", "/messages/*/content/*", "/messages/4/content", ""]
        {
            assert!(!has(&[pattern], &content), "{pattern}");
        }
        assert!(has(&[""], &[]));
        assert!(has(&["/a~1b"], &[Step::Member("a/b".into())]));
        assert!(Prose::compile(None, "prompts").unwrap().has(&content));
    }

    #[test]
    fn what_is_no_pointer_is_an_error() {
        for pattern in ["text", "/a~2", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"] {
            let error = Prose::compile(Some(&[pattern.to_owned()]), "prompts").unwrap_err();
            assert_eq!(error.field, "prompts[0]");
        }
    }
}
