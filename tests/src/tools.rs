//! Where the things under test are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// What is started, and what is run in it.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// The `portcullis` command.
    pub(crate) portcullis: PathBuf,
    /// Envoy.
    pub(crate) envoy: PathBuf,
    /// Redis.
    pub(crate) redis: PathBuf,
    /// The rate limit service.
    pub(crate) rate_limit_service: PathBuf,
    /// The directory of the .wasm files.
    artifacts: PathBuf,
}

impl Tools {
    /// Finds everything: where `PORTCULLIS_COMMAND`, `PORTCULLIS_ENVOY`, `PORTCULLIS_REDIS`, `PORTCULLIS_RATE_LIMIT_SERVICE` and
    /// `PORTCULLIS_ARTIFACTS` say, or where `cargo xtask` puts it. Redis and the service are looked for when they are
    /// started: few tests need them.
    pub(crate) fn find() -> Result<Self> {
        let target = repository().join("target");
        let place = |variable: &str, default: &str| {
            env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map_or_else(|| target.join(default), PathBuf::from)
        };
        let command = format!("debug/portcullis{}", env::consts::EXE_SUFFIX);
        let service = format!("debug/rate-limit-service{}", env::consts::EXE_SUFFIX);
        let tools = Self {
            portcullis: place("PORTCULLIS_COMMAND", &command),
            envoy: place("PORTCULLIS_ENVOY", "envoy/bin/envoy"),
            redis: place("PORTCULLIS_REDIS", "redis/redis-server"),
            rate_limit_service: place("PORTCULLIS_RATE_LIMIT_SERVICE", &service),
            artifacts: place("PORTCULLIS_ARTIFACTS", "portcullis"),
        };
        let modules = ["gate", "jwt_auth", "rate_limit", "sanitize", "scam_detector", "jose"];
        let modules = modules.map(|name| tools.artifact(name));
        for path in [&tools.portcullis, &tools.envoy].into_iter().chain(&modules) {
            if !path.is_file() {
                bail!("{} is not there: run `cargo xtask test`, which builds it", path.display());
            }
        }
        Ok(tools)
    }

    /// The .wasm file of a filter or function.
    pub(crate) fn artifact(&self, name: &str) -> PathBuf {
        self.artifacts.join(format!("{name}.wasm"))
    }
}

/// The root of the checkout.
pub(crate) fn repository() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
