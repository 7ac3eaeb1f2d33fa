//! `portcullis limits`: a trace, replayed through a policy's limits.

mod line;
mod plot;
mod report;
mod simulation;

use std::fs;
use std::path::PathBuf;

use portcullis_policy::{Stage, Stages};

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
///   route         a route's name
///   path          in place of `route`: the path                 one of the two is required
///   method                                                      the route's, or GET
///   host                                                        the route's, or localhost
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
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        let stages = Stages::of(&[Stage::Limits]);
        let secrets = EnvironmentSecrets::default();
        let policy = bundle.compile(&secrets, stages).map_err(Failure::input)?;
        let mut simulation = Simulation::new(policy, bundle.document());
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
        match &self.svg {
            Some(path) => fs::write(path, plot::svg(report.outcomes()))
                .map_err(|error| Failure::runtime(format_args!("{}: {error}", path.display()))),
            None => Ok(()),
        }
    }
}
