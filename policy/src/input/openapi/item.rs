//! What there is at each path: operations by method, and by query where a path is written with one.
//!
//! `/things?beta=true` is not in the letter of OpenAPI, but used: what is there is asked for by requests whose query has these pairs,
//! and comes before what is at `/things` itself.

use std::collections::BTreeMap;

use super::faults::Faults;
use super::node::Node;
use super::parameters::{Parameters, invalid, pairs};
use super::paths::{Found, Paths};
use super::servers::bases_of;
use super::{Made, Operation};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// How many operations a document may have.
const MAXIMUM_OPERATIONS: usize = 2000;

/// How many pairs the query of a path may have.
const MAXIMUM_PAIRS: usize = 16;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// All paths of a document.
#[derive(Debug, Default)]
pub(super) struct Items {
    paths: Paths,
    items: Vec<Item>,
    /// By the path as it is written, without a query.
    numbers: BTreeMap<String, usize>,
}

/// What there is at one path.
#[derive(Debug)]
struct Item {
    bases: Vec<String>,
    /// Those with the most pairs first.
    variants: Vec<Variant>,
}

/// An operation by method, for requests whose query has these pairs.
#[derive(Debug)]
pub(super) struct Variant {
    pairs: Vec<(String, String)>,
    operations: Vec<(String, usize)>,
}

impl Items {
    /// `place` is where it stands in the document; `bases` are the document's.
    pub(super) fn add(
        &mut self,
        path: &str,
        place: Node<'_>,
        bases: &[String],
        made: &mut Made,
    ) -> Result<(), CompileError> {
        if !path.starts_with('/') {
            return Err(place.error("expected a path that begins with a slash"));
        }
        let known = made.faults.count();
        let node = place.clone().resolved()?;
        let own = bases_of(&node)?;
        let bases = own.as_deref().unwrap_or(bases);
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = match path == plain {
            true => Vec::new(),
            false => Variant::pairs(query, &place)?,
        };
        let number = match self.numbers.get(plain) {
            Some(number) => *number,
            None => {
                let number = self.items.len();
                for base in bases {
                    made.faults.take(self.paths.add(base, plain, number, &place));
                }
                self.items.push(Item { bases: bases.to_vec(), variants: Vec::new() });
                self.numbers.insert(plain.to_owned(), number);
                number
            }
        };
        let Some(item) = self.items.get_mut(number) else { return Ok(()) };
        if item.bases != bases {
            let message = format!("expected the same servers with each query of {plain}");
            return Err(place.error(&message));
        }
        if item.variants.iter().any(|other| other.competes(&pairs)) {
            let message = "expected a query that does not hold together with another of the same path, \
                           or has all of its pairs and more";
            return Err(place.error(message));
        }
        let mut variant = Variant { pairs, operations: Vec::new() };
        let compiled = variant.compile(plain, &node, known, made);
        // It stays known, so that no other takes its place.
        item.variants.push(variant);
        item.variants.sort_by_key(|variant| std::cmp::Reverse(variant.pairs.len()));
        compiled
    }

    /// To be called when all have been added.
    pub(super) fn sort(&mut self) {
        self.paths.sort();
    }

    /// Which one a normalised path and the pairs of a query ask for.
    pub(super) fn find<'a>(
        &'a self,
        path: &'a str,
        sent: &[(String, String)],
    ) -> Result<(Found<'a>, &'a Variant), Refusal> {
        let found = self.paths.find(path).map_err(|_| {
            Refusal::new(Reason::PathInvalid, "Send a plain, normalised path.")
                .finding(":path", "no escaped character that the path has unescaped")
        })?;
        let unknown = || Refusal::new(Reason::PathUnknown, "Check the path.");
        let found = found.ok_or_else(unknown)?;
        let item = self.items.get(found.item).ok_or_else(unknown)?;
        let variant = item.variant(sent)?.ok_or_else(unknown)?;
        Ok((found, variant))
    }
}

impl Item {
    fn variant(&self, sent: &[(String, String)]) -> Result<Option<&Variant>, Refusal> {
        for (name, _) in self.variants.iter().flat_map(|variant| &variant.pairs) {
            // Some take the first, and others the last.
            if sent.iter().filter(|(other, _)| other == name).count() > 1 {
                return Err(invalid(format!("query/{name}"), "it once"));
            }
        }
        let mut variants = self.variants.iter();
        Ok(variants.find(|variant| variant.pairs.iter().all(|pair| sent.contains(pair))))
    }
}

impl Variant {
    /// The pairs of a path's query.
    fn pairs(query: &str, place: &Node<'_>) -> Result<Vec<(String, String)>, CompileError> {
        let is_plain = query.split('&').all(|piece| {
            piece.split_once('=').is_some_and(|(name, _)| !name.is_empty())
                && !piece.contains(['{', '}', '?', '#'])
        });
        let pairs = pairs(query).ok().filter(|pairs| is_plain && pairs.len() <= MAXIMUM_PAIRS);
        let is_once = |pairs: &Vec<(String, String)>| {
            let names = pairs.iter().map(|(name, _)| name);
            names.collect::<std::collections::BTreeSet<_>>().len() == pairs.len()
        };
        pairs.filter(is_once).ok_or_else(|| {
            place.error(&format!(
                "expected a query such as ?beta=true: at most {MAXIMUM_PAIRS} pairs, each name once"
            ))
        })
    }

    /// Whether a request may have the pairs of both, and neither is the more specific one.
    fn competes(&self, pairs: &[(String, String)]) -> bool {
        let differs = |(name, value): &(String, String)| {
            pairs.iter().any(|(other, theirs)| other == name && theirs != value)
        };
        if self.pairs.iter().any(differs) {
            return false;
        }
        let has_all = self.pairs.iter().all(|pair| pairs.contains(pair));
        let is_within = pairs.iter().all(|pair| self.pairs.contains(pair));
        has_all == is_within
    }

    /// `known` is how many faults there were before this path.
    fn compile(
        &mut self,
        path: &str,
        node: &Node<'_>,
        known: usize,
        made: &mut Made,
    ) -> Result<(), CompileError> {
        node.object()?;
        let Made { operations, schemas, faults } = made;
        let shared = Parameters::compile(node, &Parameters::default(), schemas, faults)?;
        for method in METHODS {
            let Some(node) = faults.take(node.get(method)).flatten() else { continue };
            let operation = Operation::compile(&node, &shared, schemas, faults);
            let Some(operation) = faults.take(operation) else { continue };
            check_path_parameters(path, &node, &operation, known, faults);
            if operations.len() >= MAXIMUM_OPERATIONS {
                return Err(
                    node.error(&format!("expected at most {MAXIMUM_OPERATIONS} operations"))
                );
            }
            self.operations.push((method.to_ascii_uppercase(), operations.len()));
            operations.push(operation);
        }
        Ok(())
    }

    /// Whether a parameter of this name is one of the pairs.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// A head is that of what GET would answer (RFC 9110 §9.3.2).
    pub(super) fn operation(&self, method: &str) -> Result<usize, Refusal> {
        let find = |wanted: &str| self.operations.iter().find(|(known, _)| known == wanted);
        let or_get = || if method == "HEAD" { find("GET") } else { None };
        find(method).or_else(or_get).map(|(_, index)| *index).ok_or_else(|| {
            let names = self.operations.iter().map(|(name, _)| name.as_str());
            let mut names: Vec<&str> = names.collect();
            if names.contains(&"GET") && !names.contains(&"HEAD") {
                names.push("HEAD");
            }
            let names = names.join(", ");
            Refusal::new(Reason::MethodUnknown, format!("Use one of these methods: {names}."))
                .header("allow", names)
        })
    }
}

/// Unless one is not known for being wrong.
fn check_path_parameters(
    path: &str,
    node: &Node<'_>,
    operation: &Operation,
    known: usize,
    faults: &mut Faults,
) {
    let undescribed = parameter_names(path).find(|name| !operation.parameters.has_path(name));
    if let Some(name) = undescribed.filter(|_| faults.count() == known) {
        let message = format!("expected the path's parameter {name} to be described");
        faults.add(node.error(&message));
    }
}

fn parameter_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
