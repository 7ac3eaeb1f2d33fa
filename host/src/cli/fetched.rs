//! Files in place of what a gate would fetch.

use std::path::PathBuf;

use portcullis_policy::document::{Document, Endpoint};
use portcullis_policy::{Answer, Environment, Fetch, Policy};

use super::Failure;

/// What stands in for documents that the policy has fetched: key sets, API keys, deny lists.
#[derive(Debug, Default, clap::Args)]
pub struct FetchedArgs {
    /// A file in place of what would be fetched from a URI, such as an issuer's key set; may be repeated. Nothing is fetched:
    /// without a file, it is as if the server did not answer
    #[arg(long = "fetched", value_name = "URI=FILE", value_parser = parse)]
    files: Vec<(Endpoint, PathBuf)>,
}

/// The URI ends at the last equals sign: queries have them, and names of files rarely.
fn parse(text: &str) -> Result<(Endpoint, PathBuf), String> {
    let (uri, file) = text.rsplit_once('=').ok_or("expected URI=FILE")?;
    if file.is_empty() {
        return Err("expected URI=FILE, found no file".to_owned());
    }
    Ok((Endpoint::parse(uri)?, file.into()))
}

/// Those files, read.
#[derive(Debug, Default)]
pub struct Fetched {
    files: Vec<(Endpoint, Vec<u8>)>,
}

/// What came of asking for what a policy needs, each thing once.
#[derive(Debug, Default)]
pub struct Answered {
    /// The URIs that were asked for and that no file stands in for.
    pub missing: Vec<String>,
    /// What was wrong with a file, or was left out of it.
    pub warnings: Vec<String>,
}

impl Answered {
    pub(crate) fn extend(&mut self, later: Self) {
        for (all, later) in
            [(&mut self.missing, later.missing), (&mut self.warnings, later.warnings)]
        {
            for text in later {
                if !all.contains(&text) {
                    all.push(text);
                }
            }
        }
    }
}

impl FetchedArgs {
    /// Reads the files. `document` is the policy that they are for.
    ///
    /// # Errors
    ///
    /// A file cannot be read, a URI is there twice, or the policy fetches nothing from its server.
    pub fn load(&self, document: &Document) -> Result<Fetched, Failure> {
        let known: Vec<Endpoint> =
            document.remotes().iter().filter_map(|remote| remote.endpoint().ok()).collect();
        let mut fetched = Fetched::default();
        for (endpoint, path) in &self.files {
            let uri = uri(endpoint);
            if !known.iter().any(|known| known.is_same_origin(endpoint)) {
                let known: Vec<String> = known.iter().map(self::uri).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                let message = format_args!("--fetched {uri}: the policy fetches {known}");
                return Err(Failure::input(message));
            }
            if fetched.find(endpoint).is_some() {
                return Err(Failure::input(format_args!(
                    "--fetched {uri}: expected each URI once"
                )));
            }
            fetched.files.push((endpoint.clone(), super::input_file(path)?));
        }
        Ok(fetched)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Fetched {
    /// Answers what the policy wants to fetch now, as its servers would.
    pub fn answer(&self, policy: &Policy, environment: &mut dyn Environment) -> Answered {
        let mut answered = Answered::default();
        if !policy.has_remotes() {
            return answered;
        }
        let upkeep = policy.upkeep(environment);
        answered.warnings = upkeep.warnings;
        for first in upkeep.fetches {
            let mut next = Some(first);
            while let Some(fetch) = next {
                let endpoint = endpoint(&fetch);
                let body = endpoint.as_ref().and_then(|endpoint| self.find(endpoint));
                if body.is_none() {
                    answered.missing.extend(endpoint.as_ref().map(uri));
                }
                let answer = body.map(|body| Answer { status: 200, body });
                let outcome = policy.fetched(&fetch, answer, environment);
                if answer.is_some() {
                    answered.warnings.extend(outcome.warnings);
                }
                next = outcome.next;
            }
        }
        answered
    }

    fn find(&self, endpoint: &Endpoint) -> Option<&[u8]> {
        let found = self.files.iter().find(|(known, _)| known == endpoint);
        found.map(|(_, body)| body.as_slice())
    }
}

fn endpoint(fetch: &Fetch) -> Option<Endpoint> {
    Endpoint::parse(&format!("{}://{}{}", fetch.scheme, fetch.authority, fetch.path)).ok()
}

fn uri(endpoint: &Endpoint) -> String {
    let scheme = if endpoint.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", endpoint.authority(), endpoint.path_and_query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_may_have_a_query() {
        let (endpoint, path) = parse("https://Issuer.example/jwks?set=1=./keys.json").unwrap();
        assert_eq!(uri(&endpoint), "https://issuer.example/jwks?set=1");
        assert_eq!(path, PathBuf::from("./keys.json"));
        for wrong in ["https://issuer.example/jwks", "keys.json=keys.json", "https://a/=", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
