//! The paths of a document: which one a request asks for, and what stands in place of its parameters.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::node::Node;
use crate::access::Target;
use crate::policy::CompileError;

/// All paths, below each of the servers' base paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    templates: Vec<Template>,
    /// Those without parameters, as they are written, and decoded.
    literal: BTreeMap<String, usize>,
    decoded: BTreeMap<String, usize>,
    /// Those with parameters by the number of their segments, what is specific first.
    templated: BTreeMap<usize, Vec<usize>>,
}

#[derive(Debug)]
struct Template {
    path: String,
    segments: Vec<Segment>,
    /// What it is of the document's.
    item: usize,
}

#[derive(Debug)]
enum Segment {
    Literal { raw: String, decoded: String },
    Parameter { before: String, name: String, after: String },
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The number that [`Paths::add`] was given.
    pub(super) item: usize,
    /// The path's parameters, as they stand there.
    pub(super) values: Vec<(&'a str, &'a str)>,
}

/// How a path compares with literal segments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    AsWritten,
    Decoded,
}

/// The path has two readings: which one holds depends on when it is decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl Paths {
    /// Adds a path below `base`. `node` is where it stands in the document.
    pub(super) fn add(
        &mut self,
        base: &str,
        path: &str,
        item: usize,
        node: &Node<'_>,
    ) -> Result<(), CompileError> {
        let template = Template::parse(base, path, item, node)?;
        let index = self.templates.len();
        if template.segments.iter().any(|segment| matches!(segment, Segment::Parameter { .. })) {
            let alike = self.templated.entry(template.segments.len()).or_default();
            for other in alike.iter().filter_map(|other| self.templates.get(*other)) {
                if template.is_alike(other) {
                    return Err(node.error(&format!("expected it once; {} is alike", other.path)));
                }
            }
            alike.push(index);
        } else {
            let decoded = decoded(&template.path);
            let known = self.literal.insert(template.path.clone(), index);
            if known.or(self.decoded.insert(decoded, index)).is_some() {
                return Err(node.error("expected it once; another is alike"));
            }
        }
        self.templates.push(template);
        Ok(())
    }

    /// To be called when all have been added.
    pub(super) fn sort(&mut self) {
        let templates = &self.templates;
        for alike in self.templated.values_mut() {
            alike.sort_by(|one, other| match (templates.get(*one), templates.get(*other)) {
                (Some(one), Some(other)) => one.compare(other),
                _ => Ordering::Equal,
            });
        }
    }

    /// Which one a normalised path is; none where it is unknown.
    pub(super) fn find<'a>(&'a self, path: &'a str) -> Result<Option<Found<'a>>, Ambiguous> {
        let written = self.find_by(path, Spelling::AsWritten);
        // What is escaped is a literal segment to those who decode first, and the value of a parameter to others.
        let other = path.contains('%').then(|| self.find_by(path, Spelling::Decoded));
        match other.is_none_or(|other| other == written) {
            true => Ok(written),
            false => Err(Ambiguous),
        }
    }

    fn find_by<'a>(&'a self, path: &'a str, spelling: Spelling) -> Option<Found<'a>> {
        let literal = match spelling {
            Spelling::AsWritten => self.literal.get(path),
            Spelling::Decoded => self.decoded.get(&decoded(path)),
        };
        if let Some(template) = literal.and_then(|index| self.templates.get(*index)) {
            return Some(Found { item: template.item, values: Vec::new() });
        }
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let alike = self.templated.get(&segments.len())?;
        let mut templates = alike.iter().filter_map(|index| self.templates.get(*index));
        templates.find_map(|template| {
            let values = template.values(&segments, spelling)?;
            Some(Found { item: template.item, values })
        })
    }
}

impl Template {
    fn parse(base: &str, path: &str, item: usize, node: &Node<'_>) -> Result<Self, CompileError> {
        let path = format!("{base}{path}");
        let mut segments: Vec<Segment> = Vec::new();
        // Normalised as requests' paths are, without the braces, which stand in no path.
        let mut plain = String::new();
        for text in path.split('/').skip(1) {
            let segment = Segment::parse(text, node)?;
            if let Segment::Parameter { name, .. } = &segment
                && segments.iter().any(|other| other.name() == Some(name))
            {
                return Err(node.error(&format!("expected the parameter {name} once")));
            }
            plain.push('/');
            match &segment {
                Segment::Literal { raw, .. } => plain.push_str(raw),
                Segment::Parameter { before, after, .. } => {
                    plain.extend([before.as_str(), "parameter", after.as_str()]);
                }
            }
            segments.push(segment);
        }
        match Target::normal_path(&plain).filter(|_| !plain.contains('?')) {
            Some(normal) if normal == plain => Ok(Self { path, segments, item }),
            Some(normal) => {
                Err(node.error(&format!("expected a normalised path, such as {normal}")))
            }
            None => Err(node.error("expected a path such as /v1/things/{id}")),
        }
    }

    /// Whether every request for one could be for the other.
    fn is_alike(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal { decoded: one, .. }, Segment::Literal { decoded, .. }) => {
                    one == decoded
                }
                (
                    Segment::Parameter { before: one, after: end, .. },
                    Segment::Parameter { before, after, .. },
                ) => one == before && end == after,
                _ => false,
            })
    }

    /// What is specific comes first, from the left.
    fn compare(&self, other: &Self) -> Ordering {
        let pairs = self.segments.iter().zip(&other.segments);
        let orders = pairs.map(|(one, other)| other.weight().cmp(&one.weight()));
        orders.fold(Ordering::Equal, Ordering::then)
    }

    fn values<'a>(
        &'a self,
        segments: &[&'a str],
        spelling: Spelling,
    ) -> Option<Vec<(&'a str, &'a str)>> {
        let mut values = Vec::new();
        for (segment, text) in self.segments.iter().zip(segments) {
            match segment {
                Segment::Literal { raw, decoded: literal } => {
                    let is_it = match spelling {
                        Spelling::AsWritten => raw == text,
                        Spelling::Decoded => *literal == decoded(text),
                    };
                    if !is_it {
                        return None;
                    }
                }
                Segment::Parameter { before, name, after } => {
                    let value = text.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                    if value.is_empty() {
                        return None;
                    }
                    values.push((name.as_str(), value));
                }
            }
        }
        Some(values)
    }
}

impl Segment {
    fn parse(text: &str, node: &Node<'_>) -> Result<Self, CompileError> {
        let error = || node.error("expected at most one parameter in a segment, as in {id}");
        let Some((before, rest)) = text.split_once('{') else {
            let decoded = decoded(text);
            let raw = text.to_owned();
            return match text.contains('}') {
                true => Err(error()),
                false => Ok(Self::Literal { raw, decoded }),
            };
        };
        let (name, after) = rest.split_once('}').ok_or_else(error)?;
        if name.is_empty() || [before, name, after].concat().contains(['{', '}']) {
            return Err(error());
        }
        let [before, name, after] = [before, name, after].map(str::to_owned);
        Ok(Self::Parameter { before, name, after })
    }

    fn name(&self) -> Option<&String> {
        match self {
            Self::Literal { .. } => None,
            Self::Parameter { name, .. } => Some(name),
        }
    }

    /// The more, the fewer requests it is for.
    fn weight(&self) -> usize {
        match self {
            Self::Literal { .. } => usize::MAX,
            Self::Parameter { before, after, .. } => before.len().saturating_add(after.len()),
        }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn paths(base: &str, paths: &[&str]) -> Result<Paths, CompileError> {
        let document = json!({});
        let node = Node::root(&document, "f")?;
        let mut all = Paths::default();
        for (item, path) in paths.iter().enumerate() {
            all.add(base, path, item, &node)?;
        }
        all.sort();
        Ok(all)
    }

    const KNOWN: [&str; 9] = [
        "/users/{id}",
        "/users/me",
        "/users/{id}/files",
        "/{kind}/me/files",
        "/files/{name}.json",
        "/files/{name}",
        "/a:b",
        "/{letter}",
        "/v1/{model}:predict",
    ];

    #[test]
    fn what_is_specific_comes_first() {
        let paths = paths("", &KNOWN).unwrap();
        let found = |path: &str| {
            let found = paths.find(path).unwrap()?;
            let values = found.values.iter().map(|(name, value)| format!("{name}={value}"));
            Some((KNOWN[found.item], values.collect::<Vec<_>>().join("&")))
        };
        let found = |path| found(path).map(|(path, values)| format!("{path} {values}"));
        for (path, expected) in [
            ("/users/me", "/users/me "),
            ("/users/alice", "/users/{id} id=alice"),
            ("/users/a%20b", "/users/{id} id=a%20b"),
            ("/users/me/files", "/users/{id}/files id=me"),
            ("/groups/me/files", "/{kind}/me/files kind=groups"),
            ("/files/a.json", "/files/{name}.json name=a"),
            ("/files/.json", "/files/{name} name=.json"),
            ("/files/a.xml", "/files/{name} name=a.xml"),
            ("/v1/m:predict", "/v1/{model}:predict model=m"),
            ("/a", "/{letter} letter=a"),
        ] {
            assert_eq!(found(path).as_deref(), Some(expected), "{path}");
        }
        for path in
            ["/", "/users/", "/users/me/", "/Users/me", "/users/a/b", "/v1/m", "/users/a/b/c"]
        {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_read_in_two_ways_is_ambiguous() {
        let paths = paths("", &KNOWN).unwrap();
        assert_eq!(paths.find("/a%3Ab"), Err(Ambiguous));
        assert_eq!(paths.find("/v1/m%3apredict"), Ok(None));
        assert!(paths.find("/a:b").unwrap().is_some());
        assert!(paths.find("/a%3Bb").unwrap().is_some());
    }

    #[test]
    fn base_paths_are_part_of_it() {
        let paths = paths("/api/v2", &["/users/{id}", "/"]).unwrap();
        assert!(paths.find("/api/v2/users/a").unwrap().is_some());
        assert!(paths.find("/api/v2/").unwrap().is_some());
        for path in ["/users/a", "/api/v2", "/api/v2/users", "/api/v20/users/a", "/api/v2users/a"] {
            assert_eq!(paths.find(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn paths_that_no_request_could_have_are_errors() {
        for path in
            ["/a//b", "/../a", "/{a}{b}", "/{a", "/a}", "/{}", "/{a}/{a}", "/a?b", "/a%2fb", "/a b"]
        {
            assert!(paths("", &[path]).is_err(), "{path}");
        }
        assert!(paths("", &["/{a}/x", "/{b}/x"]).is_err());
        assert!(paths("", &["/a", "/a"]).is_err());
        assert!(paths("", &["/a%3Ab", "/a:b"]).is_err());
        assert!(paths("", &["/{a}/x", "/{b}/y", "/x/{c}"]).is_ok());
    }

    proptest! {
        #[test]
        fn any_path_has_an_answer(path in "/[a-z/%{}:;.0-9A-F]{0,30}") {
            let _ = paths("", &KNOWN).unwrap().find(&path);
        }
    }
}
