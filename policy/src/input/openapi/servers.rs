//! What stands at the beginning of a document: its version, and the paths of its servers.

use super::node::Node;
use crate::policy::CompileError;

/// How many base paths its servers may have.
const MAXIMUM_BASES: usize = 8;

pub(super) fn check_version(root: &Node<'_>) -> Result<(), CompileError> {
    let version = root.text("openapi")?.unwrap_or_default();
    if !version.starts_with("3.1.") {
        let message = "expected an OpenAPI document of version 3.1; one of 3.0 or 2.0 has other schemas \
                       and has to be converted";
        return Err(root.error_at("openapi", message));
    }
    let dialects = [
        "https://spec.openapis.org/oas/3.1/dialect",
        "https://json-schema.org/draft/2020-12/schema",
    ];
    match root.text("jsonSchemaDialect")? {
        Some(dialect) if !dialects.iter().any(|known| dialect.starts_with(known)) => {
            Err(root.error_at("jsonSchemaDialect", "expected JSON Schema 2020-12"))
        }
        _ => Ok(()),
    }
}

/// The paths of servers, without a slash at the end.
pub(super) fn bases_of(node: &Node<'_>) -> Result<Option<Vec<String>>, CompileError> {
    let servers = node.items("servers")?;
    let mut bases: Vec<String> = Vec::new();
    for server in &servers {
        let mut url = server.text("url")?.unwrap_or("/").to_owned();
        for (name, variable) in server.members("variables")? {
            let default = variable.text("default")?.unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), default);
        }
        // Whatever the host: routes say for which they are.
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|start| rest.get(start..)).unwrap_or(""),
            None => url.as_str(),
        };
        let path = path.trim_end_matches('/');
        if !(path.is_empty() || path.starts_with('/')) || path.contains(['?', '#', '{', '}']) {
            return Err(
                server.error("expected a URL with a path, such as /v1 or https://a.example/v1")
            );
        }
        if !bases.iter().any(|base| base == path) {
            bases.push(path.to_owned());
        }
    }
    if bases.len() > MAXIMUM_BASES {
        let message = format!("expected at most {MAXIMUM_BASES} paths of servers");
        return Err(node.error_at("servers", &message));
    }
    Ok((!bases.is_empty()).then_some(bases))
}
