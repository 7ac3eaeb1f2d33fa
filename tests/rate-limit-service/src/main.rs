//! Envoy's rate limit service (`envoy.service.ratelimit.v3`) as the tests run it: the limits are limitador's, their counters are
//! in a Redis, and without the Redis nothing is decided.

mod counters;
mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use limitador::limit::Limit;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use counters::Counters;
use service::Service;

/// A rate limit service whose counters are in a Redis
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Such as redis://127.0.0.1:6379
    #[arg(long)]
    redis: String,
    /// The limits, as JSON: a list of limitador's `namespace`, `max_value`, `seconds`, `conditions` and `variables`
    #[arg(long)]
    limits: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let limits = limits(&arguments.limits)?;
    let counters = Counters::connect(&arguments.redis)
        .await
        .with_context(|| format!("connecting to {}", arguments.redis))?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listening on {}", arguments.listen))?;
    println!("{}", listener.local_addr()?);
    Server::builder()
        .add_service(RateLimitServiceServer::new(Service::new(limits, counters)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

fn limits(path: &Path) -> Result<Vec<Arc<Limit>>> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let limits: Vec<Limit> =
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
    Ok(limits.into_iter().map(Arc::new).collect())
}
