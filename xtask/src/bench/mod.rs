//! `cargo xtask bench`: what the filters cost beside Envoy's own.
//!
//! Every Envoy, and every nginx, has one worker, pinned to one core; the load comes from another. Rounds go over all
//! variants in changing order, and what counts is the difference to the bare server within the same round: absolute
//! figures drift with the machine, differences and ratios much less.

mod credentials;
mod envoy;
mod function;
mod gate;
mod identity;
mod limits;
mod load;
mod nginx;
mod plan;
mod program;
mod report;
mod server;
mod signature;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::artifacts::{self, Part};
use crate::error::Interrupted;
use crate::modsecurity::ModSecurity;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

use credentials::Issuer;
use load::Load;
use plan::{Plan, Probe};
use program::Program;
use report::Costs;
use server::Server;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to measure; by default all, one after the other
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Rounds over all variants
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=200))]
    rounds: u32,
    /// Requests to each variant in a round
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    requests: u32,
}

/// Variants that are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// jwt-auth beside jwt_authn, for each algorithm, tokens new and remembered; API keys beside api_key_auth
    Identity,
    /// rate-limit beside local_ratelimit with dynamic descriptors
    Limits,
    /// gate, all stages, beside Envoy's filters for the same policy and ModSecurity for the same bodies
    Gate,
    /// The scam detector in fresh and warm instances, beside the usual Python service
    Function,
}

impl Suite {
    fn measure(self, workspace: &Workspace, options: &Options) -> Result<()> {
        match self {
            Self::Identity => compare(workspace, options, |issuer| {
                identity::plan(workspace, issuer, options.each())
            }),
            Self::Limits => compare(workspace, options, |issuer| limits::plan(workspace, issuer)),
            Self::Gate => {
                let modsecurity = ModSecurity::ensure(workspace)?;
                compare(workspace, options, |issuer| {
                    gate::plan(workspace, issuer, modsecurity.as_ref())
                })
            }
            // Components are no servers: they are asked in another way.
            Self::Function => function::bench(workspace, options),
        }
    }
}

impl Options {
    /// How many requests each variant gets at most, in all rounds.
    fn each(&self) -> u32 {
        Load::rounded(WARM_UP) + self.rounds * Load::rounded(self.requests)
    }
}

/// Requests to each variant before anything counts: V8 compiles again, and better, what is called often, and its
/// compiler runs on our clock.
const WARM_UP: u32 = 5000;

/// How long an Envoy may take to compile its filter, or an nginx to read its rules, and be ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    let suites = if options.suites.is_empty() { Suite::value_variants() } else { &options.suites };
    suites.iter().try_for_each(|suite| suite.measure(workspace, options))
}

/// Builds what servers need, and runs what is planned with tokens of an issuer.
fn compare(
    workspace: &Workspace,
    options: &Options,
    plan: impl FnOnce(&Issuer) -> Result<Plan>,
) -> Result<()> {
    artifacts::build(workspace, &[Part::Filters, Part::Yardsticks, Part::Native, Part::Envoy])?;
    let step = Step::begin("credentials", "minting tokens to measure with");
    let issuer = Issuer::new(workspace)?;
    let plan = plan(&issuer)?;
    step.done(&issuer.minted());
    run(workspace, options, plan, server::cores()?)
}

fn run(
    workspace: &Workspace,
    options: &Options,
    mut plan: Plan,
    (server_core, load_core): (usize, usize),
) -> Result<()> {
    let requests = options.each() * plan.variants.len() as u32;
    let step = Step::begin(
        "bench",
        &format!(
            "{}: {} servers, {} variants, {} rounds of {} requests each; about {} s",
            plan.title,
            plan.programs.len(),
            plan.variants.len(),
            options.rounds,
            options.requests,
            requests / 5000 + plan.programs.len() as u32,
        ),
    );
    server::pin(server_core)?;
    let servers = plan
        .programs
        .iter()
        .map(|program| Server::start(workspace, program))
        .collect::<Result<Vec<_>>>()?;
    server::pin(load_core)?;
    probe(&mut plan.probes, &plan.programs, &servers)?;

    let mut costs = Costs::new(plan.variants.len());
    for round in 0..=options.rounds {
        for index in order(plan.variants.len(), round as usize) {
            let variant = &mut plan.variants[index];
            let server = &servers[variant.program];
            let mut measure = |requests: u32| {
                measure(server, &mut variant.load, (requests / variant.one_in).max(1))
                    .with_context(|| format!("sending requests to {}", variant.name))
            };
            match round {
                0 => drop(measure(WARM_UP)?),
                _ => costs.push(index, measure(options.requests)?),
            }
            if process::interrupted() {
                bail!(Interrupted);
            }
        }
    }
    let memory = servers.iter().map(Server::memory).collect::<Result<Vec<_>>>()?;
    step.done("measured");
    println!("{}", report::Report { plan: &plan, costs: &costs, memory: &memory, options });
    Ok(())
}

/// Sees that every server does what its figures are said to be for.
fn probe(probes: &mut [Probe], programs: &[Program], servers: &[Server]) -> Result<()> {
    for Probe { program, what, load, expected } in probes {
        let name = programs[*program].name();
        let found = load
            .probe(servers[*program].address())
            .with_context(|| format!("sending {what} to {name}"))?;
        if found != *expected {
            bail!(
                "{name} answered {found} to a body with {what}, expected {expected}: its figures would not be what they \
                 are said to be"
            );
        }
    }
    Ok(())
}

/// Another variant begins each round, and every other round goes backwards.
fn order(variants: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..variants).map(move |place| {
        let shifted = (place + round) % variants;
        if round.is_multiple_of(2) { shifted } else { variants - 1 - shifted }
    })
}

/// CPU time of the server for each request, in microseconds.
fn measure(server: &Server, load: &mut Load, requests: u32) -> Result<f64> {
    let connections = load.connect(server.address())?;
    let before = server.cpu_time()?;
    let sent = load.run(connections, requests)?;
    let used = server.cpu_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / f64::from(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_measures_all_in_another_order() {
        let orders: Vec<Vec<usize>> = (0..4).map(|round| order(3, round).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0]]);
    }
}
