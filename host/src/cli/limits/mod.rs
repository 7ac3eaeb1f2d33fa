//! `portcullis limits`: a trace, replayed through a policy's limits.

mod line;
mod plot;
mod report;
mod simulation;

use std::fs;
use std::path::PathBuf;

use portcullis_policy::{Document, Stage, Stages};

use super::{Failure, print};
use crate::bundle::Bundle;
use crate::secrets::EnvironmentSecrets;

use line::Lines;
use report::Report;
use simulation::Simulation;

/// Try a trace of requests against a policy's limits
///
/// Replays it through the limits and the penalty box in the trace's own time, and prints who would be refused, when and why, and a summary for each
/// limit. Nothing else of the policy is looked at: who calls is what the trace says.
///
/// Each line of the trace is a JSON object, in order of time:
///
///   time          RFC 3339, or seconds since any moment         required
///   route         a route's name: its limits hold, whatever the path
///   path          in place of `route`: the path                 one of the two is required
///   method                                                      GET
///   host                                                        localhost
///   principal     the subject                                   anonymous, without `api_key`
///   issuer        whose subject it is
///   api_key       the id of the API key
///   tenant, plan
///   claims        an object: the token's claims
///   address       the client's address                          unknown
///   headers       an object: names and values
///   cost          what it takes of limits whose cost is not 1   1
///   seconds       how long it is under way                      0
///   status        what the upstream answers                     200
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// The trace, one JSON object per line; - is standard input
    #[arg(long, value_name = "FILE")]
    simulate: PathBuf,

    /// Draw what is admitted and refused over time
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Print the summary only
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// Prints who would be refused, and the summary.
    ///
    /// # Errors
    ///
    /// The policy or a line of the trace is bad, or the drawing cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        if self.svg.as_ref().is_some_and(|path| path.as_os_str() == "-") {
            return Err(Failure::input("--svg -: expected a file: the summary is printed"));
        }
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        let stages = Stages::of(&[Stage::Limits]);
        let secrets = EnvironmentSecrets::default();
        let (document, are_shared) = counted_here(bundle.document());
        let policy = bundle.compile_as(&document, &secrets, stages).map_err(Failure::input)?;
        let mut simulation = Simulation::new(policy);
        let mut report = Report::default();
        let mut lines = Lines::open(&self.simulate)?;
        while let Some(line) = lines.next()? {
            let verdict = simulation.request(&line).map_err(|message| lines.error(&message))?;
            if !self.quiet
                && let Some(text) = verdict.describe(&line)
            {
                print(&format!("{}:{}: {text}\n", lines.name(), line.number))?;
            }
            report.add(&line, &verdict);
        }
        print(&report.summary())?;
        if are_shared {
            print("Limits that are shared were counted as if this gate were the only one.\n")?;
        }
        match &self.svg {
            Some(path) => fs::write(path, plot::svg(report.outcomes()))
                .map_err(|error| Failure::runtime(format_args!("{}: {error}", path.display()))),
            None => Ok(()),
        }
    }
}

/// The document with all limits counted by this gate, and whether some of them are shared: no service is asked in a simulation.
fn counted_here(document: &Document) -> (Document, bool) {
    let mut document = document.clone();
    document.rate_limit_service = None;
    let mut are_shared = false;
    let routes = document.routes.iter_mut().filter_map(|route| route.limits.as_mut());
    for limit in routes.chain([&mut document.limits]).flatten() {
        are_shared |= std::mem::take(&mut limit.shared);
    }
    (document, are_shared)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_service_counts_what_is_replayed() {
        let limit = json!({"name": "l", "key": "principal", "requests": 1, "per_seconds": 1, "shared": true});
        let document = json!({"version": 1, "limits": [limit], "routes": [{"name": "r", "match": {"prefix": "/"}, "limits": [limit]}],
            "rate_limit_service": {"uri": "https://rls.example", "domain": "d"}});
        let document: Document = serde_json::from_value(document).unwrap();
        let (here, are_shared) = counted_here(&document);
        assert!(are_shared && here.rate_limit_service.is_none());
        let routes = here.routes.iter().filter_map(|route| route.limits.as_ref());
        assert!(routes.chain([&here.limits]).flatten().all(|limit| !limit.shared));
        assert!(!counted_here(&here).1);
    }
}
