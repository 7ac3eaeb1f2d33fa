//! `portcullis replay`: recorded requests, tried against a policy.

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::path::PathBuf;

use portcullis_policy::Stages;

use super::fetched::FetchedArgs;
use super::{Failure, open_input, written};
use crate::bundle::Bundle;
use crate::compile_cache::CompileCache;
use crate::envoy::Sizes;
use crate::proxy_wasm::{Engine, Module, PluginConfig};
use crate::replay::{Backend, EnvoyBackend, PolicyBackend, RequestReader, WasmBackend};
use crate::secrets::{EnvironmentSecrets, SecretArgs};

/// Try recorded requests against a policy
///
/// Each line of the file is a JSON object with id, method, path and, as far as there are any, headers (an array of
/// [name, value], or an object where no name is there twice; a value is a string or {"base64": "…"}), body or body_base64, source (the client's address),
/// time (RFC 3339) and client_certificate_sha256 (in hexadecimal, for the backend policy). For each, a line of JSON tells the verdict. Limits are counted across lines. The backends
/// reach the same verdicts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// What decides
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,

    #[command(flatten)]
    secrets: SecretArgs,

    #[command(flatten)]
    fetched: FetchedArgs,

    /// The gate filter, for the backends wasm and envoy
    #[arg(long, value_name = "FILE", default_value = "target/portcullis/gate.wasm")]
    filter: PathBuf,

    /// The Envoy of the backend envoy
    #[arg(
        long = "envoy",
        value_name = "FILE",
        env = "PORTCULLIS_ENVOY",
        default_value = "target/envoy/bin/envoy"
    )]
    envoy_binary: PathBuf,

    /// The requests, one JSON object per line; - is standard input
    requests: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum BackendKind {
    /// The policy in this process
    #[default]
    Policy,
    /// The gate filter on this process's proxy-wasm host
    Wasm,
    /// The gate filter in a real Envoy, as clients reach it
    Envoy,
}

impl Args {
    /// Prints the verdicts.
    ///
    /// # Errors
    ///
    /// The policy, the filter or a line is bad: what was decided before the line has been printed then.
    pub fn run(self) -> Result<(), Failure> {
        let secrets = self.secrets.load()?;
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        let policy = bundle.compile(&secrets, Stages::ALL).map_err(Failure::input)?;
        let name = self.requests.display().to_string();
        let input = open_input(&self.requests)?;
        let mut backend: Box<dyn Backend> = match self.backend {
            BackendKind::Policy => {
                Box::new(PolicyBackend::new(policy, self.fetched.load(bundle.document())?))
            }
            _ if !self.fetched.is_empty() => {
                return Err(Failure::input("--fetched: expected it with --backend policy only"));
            }
            BackendKind::Wasm => Box::new(self.wasm(&bundle, &secrets)?),
            BackendKind::Envoy => Box::new(self.envoy(&bundle, &secrets)?),
        };
        let reader = RequestReader::new(name, input);
        let mut output = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
        let decided = replay(reader, backend.as_mut(), &mut output);
        // Also where a line was bad: what was decided before is not lost.
        written(output.flush()).and(decided)
    }

    fn envoy(
        &self,
        bundle: &Bundle,
        secrets: &EnvironmentSecrets,
    ) -> Result<EnvoyBackend, Failure> {
        // Envoy's own message would not name the option.
        File::open(&self.filter).map_err(|error| {
            Failure::input(format_args!("--filter {}: {error}", self.filter.display()))
        })?;
        let environment = secrets.environment(&bundle.secret_names());
        EnvoyBackend::start(&self.envoy_binary, &self.filter, bundle, &environment)
            .map_err(Failure::input)
    }

    fn wasm(&self, bundle: &Bundle, secrets: &EnvironmentSecrets) -> Result<WasmBackend, Failure> {
        let engine = Engine::new(&CompileCache::User).map_err(Failure::runtime)?;
        let module = Module::load(&engine, &self.filter).map_err(Failure::input)?;
        let mut config = PluginConfig::new("gate", bundle.json());
        config.buffer_limit = Sizes::of(bundle.document()).buffer_bytes() as usize;
        let environment = secrets.environment(&bundle.secret_names()).into_iter();
        config.environment = environment.map(|(name, value)| (name, value.to_string())).collect();
        WasmBackend::start(&module, config).map_err(Failure::input)
    }
}

fn replay(
    reader: RequestReader<Box<dyn BufRead>>,
    backend: &mut dyn Backend,
    output: &mut impl Write,
) -> Result<(), Failure> {
    for request in reader {
        let request = request.map_err(Failure::input)?;
        let verdict = backend.decide(&request).map_err(Failure::runtime)?;
        let result = writeln!(output, "{}", verdict.to_line(&request.id));
        if result.is_err() {
            return written(result);
        }
    }
    Ok(())
}
