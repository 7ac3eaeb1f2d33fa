//! An OpenAPI document (3.1) as a policy: what it does not describe is refused.
//!
//! It is compiled once, whatever the number of routes it is for: operations, parameters, bodies and responses with their schemas.
//! What it describes and a gate cannot check is an error when it is loaded, and not a gap when a request comes.

mod body;
mod faults;
mod fields;
mod node;
mod parameter;
mod parameters;
mod paths;
mod schemas;
mod servers;
mod slim;
mod types;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::access::{Header, Target, is_override};
use crate::input::schema::{Violation, refused};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

pub(crate) use body::Content;
pub(crate) use fields::Sent as SentField;
pub(crate) use slim::slim;

use body::Body;
use faults::Faults;
use node::Node;
use parameters::{Parameters, Sent};
use paths::Paths;
use schemas::{Schemas, SchemasBuilder};
use servers::{bases_of, check_version};

/// How many operations a document may have.
const MAXIMUM_OPERATIONS: usize = 2000;

/// How long the list of what is allowed may be, for messages.
const MAXIMUM_TOLD: usize = 16;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// By which field of a form some take another method.
const METHOD_FIELD: &str = "_method";

/// A compiled document.
#[derive(Debug)]
pub(crate) struct OpenApi {
    paths: Paths,
    items: Vec<Item>,
    operations: Vec<Operation>,
    schemas: Schemas,
    /// Names of query parameters that carry credentials.
    credentials: Vec<String>,
}

/// What there is at one path: an operation by method.
#[derive(Debug, Default)]
struct Item(Vec<(String, usize)>);

#[derive(Debug)]
pub(crate) struct Operation {
    parameters: Parameters,
    body: Option<Body>,
    /// By status: `200`, `2xx` or `default`.
    responses: Vec<(String, Body)>,
}

/// What is made of a document as it is read.
#[derive(Debug, Default)]
struct Made {
    operations: Vec<Operation>,
    schemas: SchemasBuilder,
    /// What is wrong is gathered, to be told at once.
    faults: Faults,
}

impl OpenApi {
    /// `field` is what names the document in the policy.
    pub(super) fn compile(document: &Value, field: &str) -> Result<Self, CompileError> {
        let root = Node::root(document, field)?;
        check_version(&root)?;
        let (mut paths, mut items, mut made) = (Paths::default(), Vec::new(), Made::default());
        let bases = made.faults.take(bases_of(&root)).flatten();
        let bases = bases.unwrap_or_else(|| vec![String::new()]);
        for (path, node) in root.members("paths")? {
            if !path.starts_with("x-") {
                let item = Item::compile(path, node, &bases, (items.len(), &mut paths), &mut made);
                items.push(made.faults.take(item).unwrap_or_default());
            }
        }
        let Made { operations, schemas, mut faults } = made;
        if operations.is_empty() && faults.count() == 0 {
            return Err(root.error("expected at least one operation under `paths`"));
        }
        paths.sort();
        let credentials = faults.take(credentials(&root)).unwrap_or_default();
        schemas.check(&root, &mut faults)?;
        faults.finish()?;
        let schemas = schemas.build(&root)?;
        Ok(Self { paths, items, operations, schemas, credentials })
    }

    /// Which operation a request asks for, once its parameters are known to be right.
    pub(super) fn check_head(
        &self,
        target: &Target,
        headers: &[Header<'_>],
    ) -> Result<usize, Refusal> {
        let found = self.paths.find(&target.path).map_err(|_| {
            Refusal::new(Reason::PathInvalid, "Send a plain, normalised path.")
                .finding(":path", "no escaped character that the path has unescaped")
        })?;
        let unknown = || Refusal::new(Reason::PathUnknown, "Check the path.");
        let found = found.ok_or_else(unknown)?;
        let item = self.items.get(found.item).ok_or_else(unknown)?;
        let index = item.operation(&target.method)?;
        let operation = self.operation(index).ok_or_else(unknown)?;
        if let Some((name, _)) = headers.iter().find(|(name, _)| is_override(name)) {
            let detail = "Ask for what you want with the method and the path themselves.";
            let refusal = Refusal::new(Reason::HeaderConflict, detail);
            return Err(refusal.finding(*name, "no such field"));
        }
        let sent = Sent { path: &found.values, query: target.query.as_deref(), headers };
        let is_credential = |name: &str| self.credentials.iter().any(|known| known == name);
        operation.parameters.check(&self.schemas, &sent, is_credential)?;
        Ok(index)
    }

    pub(super) fn operation(&self, index: usize) -> Option<&Operation> {
        self.operations.get(index)
    }

    /// Where a body is not what is described, and what was expected there.
    pub(super) fn violations(&self, content: &Content, value: Value) -> Vec<Violation> {
        let schema = content.schema;
        schema.map(|schema| self.schemas.violations(schema, value)).unwrap_or_default()
    }

    pub(super) fn check_value(&self, content: &Content, value: Value) -> Result<(), Refusal> {
        refused(self.violations(content, value))
    }

    /// The fields of a form, in order.
    pub(super) fn check_fields(
        &self,
        content: &Content,
        sent: &[(&str, SentField<'_>)],
    ) -> Result<(), Refusal> {
        let has_method = sent.iter().any(|(name, _)| *name == METHOD_FIELD);
        if has_method && !content.has_field(METHOD_FIELD) {
            let (at, expected) = (format!("/{METHOD_FIELD}"), "no such field".to_owned());
            return refused(vec![Violation { at, expected }]);
        }
        if !content.has_schema() {
            return Ok(());
        }
        match content.object(sent) {
            Ok(value) => self.check_value(content, value),
            Err(violations) => refused(violations),
        }
    }
}

/// The names of query parameters that carry credentials.
fn credentials(root: &Node<'_>) -> Result<Vec<String>, CompileError> {
    let mut credentials = Vec::new();
    let components = root.get("components")?;
    let schemes = components.map(|it| it.members("securitySchemes")).transpose()?;
    for (_, scheme) in schemes.unwrap_or_default() {
        let scheme = scheme.resolved()?;
        if scheme.text("in")? == Some("query") {
            credentials.extend(scheme.text("name")?.map(str::to_owned));
        }
    }
    Ok(credentials)
}

fn no_body() -> Refusal {
    Refusal::new(Reason::SchemaViolated, "Send no body.").finding("", "no body")
}

impl Operation {
    fn compile(
        node: &Node<'_>,
        shared: &Parameters,
        schemas: &mut SchemasBuilder,
        faults: &mut Faults,
    ) -> Result<Self, CompileError> {
        if node.object()?.contains_key("servers") {
            let message = "expected the servers of the path or of the document: an operation's own \
                           cannot be told apart by the path";
            faults.add(node.error_at("servers", message));
        }
        let body = faults.take(node.get("requestBody")).flatten();
        let body = body.and_then(|body| faults.take(Body::request(&body, schemas)));
        let mut responses = Vec::new();
        for (status, response) in node.members("responses")? {
            if !status.starts_with("x-") {
                let response = response.resolved().and_then(|it| Body::response(&it, schemas));
                let response = faults.take(response);
                responses.extend(response.map(|response| (status.to_ascii_lowercase(), response)));
            }
        }
        let parameters = Parameters::compile(node, shared, schemas, faults)?;
        Ok(Self { parameters, body, responses })
    }

    /// What is described of a request's media type, which is in lower case and without parameters.
    pub(super) fn content(&self, media_type: &str) -> Result<&Content, Refusal> {
        let Some(body) = &self.body else { return Err(no_body()) };
        body.content(media_type).ok_or_else(|| {
            let mut names = body.media_types();
            names.truncate(MAXIMUM_TOLD);
            let names = names.join(", ");
            let detail = format!("Send one of these content types, in UTF-8: {names}.");
            Refusal::new(Reason::ContentTypeUnsupported, detail).header("accept", names)
        })
    }

    pub(super) fn takes_body(&self) -> bool {
        self.body.is_some()
    }

    /// To be asked where there is one.
    pub(super) fn check_takes_body(&self) -> Result<(), Refusal> {
        if self.takes_body() { Ok(()) } else { Err(no_body()) }
    }

    pub(super) fn needs_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.is_required)
    }

    /// What is described of a response; none where nothing is.
    pub(super) fn response(&self, status: u16, media_type: &str) -> Option<&Content> {
        let (exact, range) = (status.to_string(), format!("{}xx", status / 100));
        let mut names = [exact.as_str(), range.as_str(), "default"].into_iter();
        let find = |name: &str| self.responses.iter().find(|(status, _)| status == name);
        names.find_map(find).and_then(|(_, body)| body.content(media_type))
    }
}

impl Item {
    /// `paths` gets the ways to it, by its number.
    fn compile(
        path: &str,
        place: Node<'_>,
        bases: &[String],
        (number, paths): (usize, &mut Paths),
        made: &mut Made,
    ) -> Result<Self, CompileError> {
        if !path.starts_with('/') {
            return Err(place.error("expected a path that begins with a slash"));
        }
        let known = made.faults.count();
        let node = place.clone().resolved()?;
        let own = bases_of(&node)?;
        for base in own.as_deref().unwrap_or(bases) {
            made.faults.take(paths.add(base, path, number, &place));
        }
        node.object()?;
        let Made { operations, schemas, faults } = made;
        let shared = Parameters::compile(&node, &Parameters::default(), schemas, faults)?;
        let mut item = Self::default();
        for method in METHODS {
            let Some(node) = faults.take(node.get(method)).flatten() else { continue };
            let operation = Operation::compile(&node, &shared, schemas, faults);
            let Some(operation) = faults.take(operation) else { continue };
            // Unless it is not known for being wrong.
            let undescribed =
                parameter_names(path).find(|name| !operation.parameters.has_path(name));
            if let Some(name) = undescribed.filter(|_| faults.count() == known) {
                let message = format!("expected the path's parameter {name} to be described");
                faults.add(node.error(&message));
            }
            if operations.len() >= MAXIMUM_OPERATIONS {
                return Err(
                    node.error(&format!("expected at most {MAXIMUM_OPERATIONS} operations"))
                );
            }
            item.0.push((method.to_ascii_uppercase(), operations.len()));
            operations.push(operation);
        }
        Ok(item)
    }

    /// A head is that of what GET would answer (RFC 9110 §9.3.2).
    fn operation(&self, method: &str) -> Result<usize, Refusal> {
        let find = |wanted: &str| self.0.iter().find(|(known, _)| known == wanted);
        let or_get = || if method == "HEAD" { find("GET") } else { None };
        find(method).or_else(or_get).map(|(_, index)| *index).ok_or_else(|| {
            let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
            if names.contains(&"GET") && !names.contains(&"HEAD") {
                names.push("HEAD");
            }
            let names = names.join(", ");
            Refusal::new(Reason::MethodUnknown, format!("Use one of these methods: {names}."))
                .header("allow", names)
        })
    }
}

fn parameter_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}
