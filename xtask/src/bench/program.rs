//! What is started to be measured.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::envoy::Envoy;
use super::nginx::Nginx;
use crate::workspace::Workspace;

pub(super) enum Program {
    Envoy(Envoy),
    Nginx(Nginx),
}

impl From<Envoy> for Program {
    fn from(envoy: Envoy) -> Self {
        Self::Envoy(envoy)
    }
}

impl From<Nginx> for Program {
    fn from(nginx: Nginx) -> Self {
        Self::Nginx(nginx)
    }
}

impl Program {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Envoy(envoy) => &envoy.name,
            Self::Nginx(nginx) => &nginx.name,
        }
    }

    /// Whether they are of one kind, so that what one takes more than the other says something.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// What its files are called.
    pub(super) fn file_name(&self) -> String {
        self.name().chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// What starts it, listening on a port. Its files are in `folder`, beside those of the others.
    pub(super) fn command(
        &self,
        workspace: &Workspace,
        folder: &Path,
        log: &Path,
        port: u16,
    ) -> Result<Command> {
        match self {
            Self::Envoy(envoy) => {
                let config = folder.join(format!("{}.json", self.file_name()));
                envoy.command(workspace, &config, log, port)
            }
            Self::Nginx(nginx) => nginx.command(&folder.join(self.file_name()), log, port),
        }
    }
}
