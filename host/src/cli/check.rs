//! `portcullis check` and `portcullis schema`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis_policy::{Document, Secrets as _, Stages};
use serde_json::json;

use super::Failure;
use crate::bundle::{Bundle, BundleError};
use crate::secrets::SecretArgs;

/// Say whether a policy document is right
///
/// Reads it and the files it names, and compiles it. The exit code is 0 if it is right, else 2, with one error that
/// names the file, the line and the field, and what was expected there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy document, YAML or JSON
    file: PathBuf,

    #[command(flatten)]
    secrets: SecretArgs,

    /// Let secrets that are not set be errors; else they are assumed to be there
    #[arg(long)]
    strict_secrets: bool,

    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Lines to read
    #[default]
    Text,
    /// One JSON object, on standard output also where there is an error
    Json,
    /// The document in JSON, with the files that it names in it: what functions take that screen for themselves
    Document,
}

impl Args {
    /// Checks the document and prints a summary.
    ///
    /// # Errors
    ///
    /// The document is not right.
    pub fn run(self) -> Result<(), Failure> {
        let secrets = self.secrets.load()?;
        let checked = Bundle::read(&self.file).and_then(|bundle| {
            match self.strict_secrets {
                true => bundle.compile(&secrets, Stages::ALL).map(drop)?,
                false => bundle.check(&secrets)?,
            }
            bundle.clusters()?;
            Ok(bundle)
        });
        match checked {
            Ok(bundle) if self.format == Format::Document => {
                super::print(&format!("{}\n", bundle.json()))
            }
            Ok(bundle) => {
                let names = bundle.secret_names();
                let unset: Vec<String> =
                    names.into_iter().filter(|name| secrets.secret(name).is_none()).collect();
                super::print(&self.summary(&bundle, &unset))
            }
            Err(error) => {
                if self.format == Format::Json {
                    super::print(&format!("{}\n", error_object(&error)))?;
                }
                Err(Failure::input(error))
            }
        }
    }

    fn summary(&self, bundle: &Bundle, unset: &[String]) -> String {
        let document = bundle.document();
        let remotes = bundle.remotes();
        let routes: Vec<&str> = document.routes.iter().map(|route| route.name.as_str()).collect();
        let jwt = document.identity.jwt.iter().flat_map(|section| &section.issuers);
        let issuers: Vec<&str> = jwt.map(|issuer| issuer.issuer.as_str()).collect();
        let api_keys = document.identity.api_keys.as_ref().map_or(0, |section| section.keys.len());
        let of_routes = document.routes.iter().filter_map(|route| route.limits.as_ref()).flatten();
        let limits: BTreeSet<&str> =
            document.limits.iter().chain(of_routes).map(|limit| limit.name.as_str()).collect();
        let limits: Vec<&str> = limits.into_iter().collect();
        if self.format == Format::Json {
            let remotes = remotes.iter().map(|remote| {
                json!({ "uri": remote.uri, "cluster": remote.cluster_name(),
                    "refresh_seconds": remote.refresh_seconds, "max_stale_seconds": remote.max_stale_seconds })
            });
            let remotes: Vec<_> = remotes.collect();
            let service = document.rate_limit_service.as_ref().map(|service| {
                json!({ "uri": service.uri, "cluster": service.cluster_name(), "domain": service.domain })
            });
            let summary = json!({ "valid": true, "routes": routes, "issuers": issuers, "api_keys": api_keys,
                "limits": limits, "remotes": remotes, "rate_limit_service": service, "secrets_not_set": unset });
            return format!("{summary}\n");
        }
        let list = |names: &[&str]| match names {
            [] => "none".to_owned(),
            names => format!("{} ({})", names.len(), names.join(", ")),
        };
        let mut text = format!(
            "{}: ok\n  routes    {}\n  issuers   {}\n  API keys  {api_keys}\n  limits    {}\n",
            self.file.display(),
            list(&routes),
            list(&issuers),
            list(&limits),
        );
        for remote in &remotes {
            text.push_str(&format!(
                "  fetches   {} every {} s, good for {} s (cluster {})\n",
                remote.uri,
                remote.refresh_seconds,
                remote.max_stale_seconds,
                remote.cluster_name(),
            ));
        }
        if let Some(service) = &document.rate_limit_service {
            text.push_str(&format!(
                "  asks      {} to count in {} (cluster {})\n",
                service.uri,
                service.domain,
                service.cluster_name(),
            ));
        }
        if !unset.is_empty() {
            let names = unset.join(", ");
            text.push_str(&format!("  note      not set here, and taken to be usable: {names}\n"));
        }
        text
    }
}

fn error_object(error: &BundleError) -> serde_json::Value {
    let (field, place) = match error {
        BundleError::Document(error) => (Some(error.field()), error.place()),
        BundleError::Unreadable { .. } => (None, None),
    };
    json!({ "valid": false, "error": { "message": error.to_string(), "field": field,
        "line": place.map(|(line, _)| line), "column": place.map(|(_, column)| column) } })
}

/// Print the JSON Schema of policy documents, for editors
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {}

impl SchemaArgs {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub fn run(self) -> Result<(), Failure> {
        super::print(&format!("{:#}\n", Document::json_schema()))
    }
}
