//! Which strings of a body are prose.

mod usual;

use std::sync::{Arc, OnceLock};

use crate::input::Step;
use crate::policy::CompileError;
use usual::USUAL;

/// The most patterns of a policy, and the most steps of one.
const MAXIMUM_PATTERNS: usize = 64;
const MAXIMUM_STEPS: usize = 16;

/// Patterns of JSON pointers.
#[derive(Debug, Clone)]
pub(crate) struct Prose(Arc<[Pattern]>);

/// A pattern of JSON pointers. It is matched step by step from both ends, so that it takes no longer the deeper a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    head: Vec<Part>,
    /// What follows `**`, which stands for any number of steps, where there is one.
    tail: Option<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Any,
    Named(String),
}

impl Prose {
    pub(crate) fn compile(patterns: Option<&[String]>, field: &str) -> Result<Self, CompileError> {
        let Some(patterns) = patterns else { return Ok(Self::usual()) };
        if patterns.len() > MAXIMUM_PATTERNS {
            let message = format!("expected at most {MAXIMUM_PATTERNS}");
            return Err(CompileError::new(field, message));
        }
        let compiled = patterns.iter().enumerate().map(|(index, pattern)| {
            Pattern::read(pattern).ok_or_else(|| {
                let message = "expected a JSON pointer (RFC 6901) such as /messages/*/content, of at most 16 steps, \
                               with ** at most once";
                CompileError::new(format!("{field}[{index}]"), message)
            })
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// The patterns where nothing is said: the same for all policies and routes.
    fn usual() -> Self {
        static PROSE: OnceLock<Prose> = OnceLock::new();
        let read = || Self(USUAL.iter().filter_map(|pattern| Pattern::read(pattern)).collect());
        PROSE.get_or_init(read).clone()
    }

    /// Whether the string at the end of a path is prose.
    pub(crate) fn has(&self, path: &[Step<'_>]) -> bool {
        self.0.iter().any(|pattern| pattern.is(path))
    }
}

impl Pattern {
    fn read(pattern: &str) -> Option<Self> {
        let mut read = Self { head: Vec::new(), tail: None };
        if pattern.is_empty() {
            return Some(read);
        }
        for (count, step) in pattern.strip_prefix('/')?.split('/').enumerate() {
            if count >= MAXIMUM_STEPS {
                return None;
            }
            let part = match step {
                // With more than one, there would be many ways to match.
                "**" if read.tail.is_none() => {
                    read.tail = Some(Vec::new());
                    continue;
                }
                "**" => return None,
                "*" => Part::Any,
                step => Part::Named(crate::identity::unescape_pointer_step(step)?),
            };
            read.tail.as_mut().unwrap_or(&mut read.head).push(part);
        }
        Some(read)
    }

    fn is(&self, path: &[Step<'_>]) -> bool {
        let are = |parts: &[Part], steps: &[Step<'_>]| {
            parts.len() == steps.len() && parts.iter().zip(steps).all(|(part, step)| part.is(step))
        };
        let Some(tail) = &self.tail else { return are(&self.head, path) };
        let Some((head, rest)) = path.split_at_checked(self.head.len()) else { return false };
        let last = rest.len().checked_sub(tail.len()).and_then(|between| rest.get(between..));
        last.is_some_and(|last| are(tail, last)) && are(&self.head, head)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn has(patterns: &[&str], path: &[Step<'_>]) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Prose::compile(Some(&patterns), "prompts").unwrap().has(path)
    }

    /// The path of a pointer: numbers are items.
    fn path(pointer: &str) -> Vec<Step<'_>> {
        let step = |step| match str::parse(step) {
            Ok(index) => Step::Item(index),
            Err(_) => Step::Member(std::borrow::Cow::Borrowed(step)),
        };
        pointer.split('/').skip(1).map(step).collect()
    }

    #[test]
    fn stars_stand_for_one_step() {
        let content = path("/messages/3/content");
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
    fn two_stars_stand_for_any_number_of_steps() {
        for pointer in ["/a", "/a/b", "/a/0/b/c"] {
            assert!(has(&["/a/**"], &path(pointer)), "{pointer}");
            assert!(has(&["/**"], &path(pointer)), "{pointer}");
        }
        assert!(has(&["/**"], &[]));
        for pointer in ["/a/z", "/a/b/z", "/a/b/0/c/z", "/a/z/z"] {
            assert!(has(&["/a/**/z"], &path(pointer)), "{pointer}");
        }
        assert!(has(&["/**/*/z"], &path("/a/b/z")) && has(&["/*/**/z"], &path("/a/z")));
        for (pattern, pointer) in [
            ("/a/**", "/b"),
            ("/a/**", ""),
            ("/a/**/z", "/a"),
            ("/a/**/z", "/z"),
            ("/a/**/z", "/a/z/y"),
            ("/a/**/z", "/b/z"),
            // One step is not the beginning and the end at once.
            ("/a/**/a", "/a"),
            ("/*/**/z", "/z"),
            ("/**/*/z", "/z"),
        ] {
            assert!(!has(&[pattern], &path(pointer)), "{pattern} {pointer}");
        }
        // Deep paths take no longer.
        let deep = "/a".repeat(100_000);
        let deep = path(&deep);
        assert!(has(&["/a/**/a"], &deep) && !has(&["/a/**/z"], &deep));
    }

    #[test]
    fn the_usual_patterns_are_patterns() {
        assert_eq!(Prose::usual().0.len(), USUAL.len());
        let policy: Vec<String> = USUAL.iter().map(|pattern| (*pattern).to_owned()).collect();
        for patterns in policy.chunks(MAXIMUM_PATTERNS) {
            Prose::compile(Some(patterns), "prompts").unwrap();
        }
    }

    #[test]
    fn what_a_program_reads_is_none_of_the_usual_prose() {
        let usual = Prose::usual();
        for pointer in [
            "/query",
            "/content",
            "/url",
            "/template",
            "/messages/0/role",
            "/messages/0/name",
            "/messages/0/content/0/image_url/url",
            "/messages/0/content/0/source/url",
            "/messages/0/content/0/file/file_data",
            "/input/0/content/0/image_url",
            "/contents/0/parts/0/fileData/fileUri",
            "/tools/0/function/name",
            "/tools/0/function/parameters/properties/a/pattern",
            "/tools/0/function/parameters/$ref",
            "/params/arguments/query",
            "/stop/0",
            "/metadata/note",
        ] {
            assert!(!usual.has(&path(pointer)), "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_an_error() {
        for pattern in
            ["text", "/a~2", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "/a/**/b/**", "/**/**"]
        {
            let error = Prose::compile(Some(&[pattern.to_owned()]), "prompts").unwrap_err();
            assert_eq!(error.field, "prompts[0]");
        }
    }
}
