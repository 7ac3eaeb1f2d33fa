//! Redis, the real one: where the rate limit service of the tests has its counters.

use std::path::PathBuf;

use anyhow::Result;

use crate::apt::Unpacked;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// redis-server is little more than a link to what is in redis-tools.
const REDIS: Unpacked = Unpacked {
    step: "redis",
    packages: &["redis-server", "redis-tools"],
    program: "usr/bin/redis-server",
    version: "--version",
    size: "2 MB",
};

/// The program: the system's, or Debian's under target/redis, which is downloaded if it is not there yet.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = process::find("redis-server") {
        Step::up_to_date("redis", &program.display().to_string());
        return Ok(program);
    }
    REDIS.ensure(workspace, &workspace.redis_home())
}
