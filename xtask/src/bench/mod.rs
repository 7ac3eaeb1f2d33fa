//! `cargo xtask bench`: what the gate costs beside Envoy's own filters.
//!
//! Every variant is an Envoy of its own with one worker, pinned to one core; the load comes from another. Rounds
//! go over all variants in changing order, and what counts is the difference to bare Envoy within the same
//! round: absolute figures drift with the machine, differences and ratios much less.

mod config;
mod load;
mod server;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::artifacts::{self, Part};
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

use config::Variant;
use load::Load;
use server::Server;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds over all variants
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=200))]
    rounds: u32,
    /// Requests to each variant in a round
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    requests: u32,
}

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    artifacts::build(workspace, &[Part::Filters, Part::Native, Part::Envoy])?;
    let credentials = credentials(workspace)?;
    let variants = config::variants(&credentials, &workspace.artifacts().join("gate.wasm"));
    let (envoy_core, load_core) = server::cores()?;

    let step = Step::begin(
        "bench",
        &format!(
            "{} Envoys, {} rounds of {} requests each; about {} s",
            variants.len(),
            options.rounds,
            options.requests,
            options.rounds * options.requests * variants.len() as u32 / 6000,
        ),
    );
    server::pin(envoy_core)?;
    let servers = variants
        .iter()
        .map(|variant| Server::start(workspace, variant))
        .collect::<Result<Vec<_>>>()?;
    server::pin(load_core)?;

    let mut costs = vec![Vec::new(); variants.len()];
    for round in 0..=options.rounds {
        for place in 0..variants.len() {
            // Another variant begins each round, and every other round goes backwards.
            let shifted = (place + round as usize) % variants.len();
            let index = if round % 2 == 0 { shifted } else { variants.len() - 1 - shifted };
            let cost = measure(&servers[index], &variants[index], options.requests)?;
            // The first round only warms up.
            if round > 0 {
                costs[index].push(cost);
            }
            if process::interrupted() {
                bail!("interrupted");
            }
        }
    }
    step.done("measured");
    report(&variants, &costs, options);
    Ok(())
}

/// CPU time of the Envoy for each request, in microseconds.
fn measure(server: &Server, variant: &Variant, requests: u32) -> Result<f64> {
    let load = Load::connect(server.address(), &variant.request, variant.expected_status)
        .with_context(|| format!("connecting to {}", variant.name))?;
    let before = server.cpu_time()?;
    load.run(requests).with_context(|| format!("sending requests to {}", variant.name))?;
    let used = server.cpu_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / f64::from(requests))
}

fn report(variants: &[Variant], costs: &[Vec<f64>], options: &Options) {
    println!(
        "CPU time of Envoy {} for each request, one worker on one core; Δ is the median of the differences \
         to the base within a round ({} rounds, {} requests)",
        crate::envoy::VERSION,
        options.rounds,
        options.requests
    );
    println!("{:<44} {:>9} {:>9} {:>9}", "variant", "µs", "Δ µs", "Δ ratio");
    let index_of = |name: &str| variants.iter().position(|variant| variant.name == name);
    let delta = |index: usize| {
        let base = index_of(variants[index].base)?;
        let differences = costs[index].iter().zip(&costs[base]).map(|(cost, base)| cost - base);
        Some(median(differences.collect()))
    };
    for (index, variant) in variants.iter().enumerate() {
        let ratio = variant.peer.and_then(index_of).and_then(delta).zip(delta(index));
        println!(
            "{:<44} {:>9.1} {:>9.1} {:>9}",
            variant.name,
            median(costs[index].clone()),
            delta(index).unwrap_or_default(),
            ratio.map_or_else(String::new, |(peer, own)| format!("{:.2}×", own / peer)),
        );
    }
    println!("Δ ratio: to the native filters that do the same (see docs/performance.md).");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// What the variants need: an issuer's keys, a token of it, and secrets for the gate.
pub(crate) struct Credentials {
    jwks: Value,
    token: String,
}

fn credentials(workspace: &Workspace) -> Result<Credentials> {
    let folder = workspace.dev();
    let portcullis = workspace.portcullis();
    let mut command = std::process::Command::new(&portcullis);
    process::run(command.arg("dev-credentials").arg("--dir").arg(&folder))?;
    let mut command = std::process::Command::new(&portcullis);
    command.args(["token", "mint", "--key"]).arg(folder.join("issuer.jwk.json"));
    command.args(["--issuer", crate::up::ISSUER, "--audience", crate::up::AUDIENCE]);
    command.args(["--subject", "bench", "--role", "caller", "--ttl", "86400"]);
    let token = process::text(&mut command)?.trim().to_owned();
    let jwks = std::fs::read_to_string(folder.join("issuer.jwks.json"))?;
    Ok(Credentials { jwks: serde_json::from_str(&jwks)?, token })
}

/// How long an Envoy may take to compile its filter and be ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
