//! An OpenAPI document (3.1) as a policy: what it does not describe is refused.
//!
//! It is compiled once, whatever the number of routes it is for: operations, parameters, bodies and responses with their schemas.
//! What it describes and a gate cannot check is an error when it is loaded, and not a gap when a request comes.

mod body;
mod dialect;
mod faults;
mod field;
mod fields;
mod item;
mod node;
mod object;
mod parameter;
mod parameters;
mod paths;
mod schemas;
mod servers;
mod slim;
mod style;
mod types;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::access::{Header, Target, is_override};
use crate::input::schema::{Violation, refused};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

pub(crate) use body::Content;
pub(crate) use field::Sent as SentField;
pub(crate) use slim::slim;

use body::Body;
use faults::Faults;
use item::Items;
use node::Node;
use parameters::{Parameters, Sent, pairs};
use schemas::{Schemas, SchemasBuilder};
use servers::{bases_of, check_version};

/// How long the list of what is allowed may be, for messages.
const MAXIMUM_TOLD: usize = 16;

/// By which field of a form some take another method.
const METHOD_FIELD: &str = "_method";

/// A compiled document.
#[derive(Debug)]
pub(crate) struct OpenApi {
    items: Items,
    operations: Vec<Operation>,
    schemas: Schemas,
    /// Names of query parameters that carry credentials.
    credentials: Vec<String>,
}

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
        let (mut items, mut made) = (Items::default(), Made::default());
        let document = dialect::translated(&root, &mut made.faults);
        let root = root.of(&document);
        let bases = made.faults.take(bases_of(&root)).flatten();
        let bases = bases.unwrap_or_else(|| vec![String::new()]);
        for (path, node) in root.members("paths")? {
            if !path.starts_with("x-") {
                let added = items.add(path, node, &bases, &mut made);
                made.faults.take(added);
            }
        }
        let Made { operations, schemas, mut faults } = made;
        if operations.is_empty() && faults.count() == 0 {
            return Err(root.error("expected at least one operation under `paths`"));
        }
        items.sort();
        let credentials = faults.take(credentials(&root)).unwrap_or_default();
        schemas.check(&root, &mut faults)?;
        faults.finish()?;
        let schemas = schemas.build(document, field)?;
        Ok(Self { items, operations, schemas, credentials })
    }

    /// Which operation a request asks for, once its parameters are known to be right.
    pub(super) fn check_head(
        &self,
        target: &Target,
        headers: &[Header<'_>],
    ) -> Result<usize, Refusal> {
        let query = pairs(target.query.as_deref().unwrap_or_default())?;
        let (found, variant) = self.items.find(&target.path, &query)?;
        let index = variant.operation(&target.method)?;
        let unknown = || Refusal::new(Reason::PathUnknown, "Check the path.");
        let operation = self.operation(index).ok_or_else(unknown)?;
        if let Some((name, _)) = headers.iter().find(|(name, _)| is_override(name)) {
            let detail = "Ask for what you want with the method and the path themselves.";
            let refusal = Refusal::new(Reason::HeaderConflict, detail);
            return Err(refusal.finding(*name, "no such field"));
        }
        let sent = Sent { path: &found.values, query: &query, headers };
        let is_credential = |name: &str| self.credentials.iter().any(|known| known == name);
        let is_extra = |name: &str| variant.has(name) || is_credential(name);
        operation.parameters.check(&self.schemas, &sent, is_extra)?;
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
