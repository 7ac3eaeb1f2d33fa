//! `portcullis serve`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Gate, Jose, Place, Running, Upstream, function_variable, listening};
use crate::process::Process;

pub(super) fn start(
    place: &Place,
    policy: &Path,
    upstream: Upstream,
    secrets: &BTreeMap<String, String>,
) -> Result<Gate> {
    let mut process = spawn(place, policy, upstream, secrets)?;
    let address = process.wait_for(|output| listening(output, "https://"))?;
    Ok(Gate { address, running: Running::Process(process) })
}

pub(super) fn spawn(
    place: &Place,
    policy: &Path,
    upstream: Upstream,
    secrets: &BTreeMap<String, String>,
) -> Result<Process> {
    let mut command = Command::new(&place.tools.portcullis);
    command.arg("serve").arg("--policy").arg(policy);
    command.arg("--filter").arg(place.tools.artifact("gate"));
    command.args(["--listen", "127.0.0.1:0", "--workers", "2"]);
    command.arg("--certificate").arg(place.certificate()).arg("--key").arg(place.key());
    command.arg("--trusted-ca").arg(place.authority());
    match upstream {
        Upstream::Service(address) => {
            command.arg("--upstream").arg(format!("http://{address}"));
        }
        Upstream::Jose(function, jose) => {
            command.arg("--upstream").arg(format!("http://{function}"));
            command.args(Jose::arguments(&format_args!("http://{jose}")));
        }
        Upstream::Function => {
            command.arg("--function").arg(place.tools.artifact("scam_detector"));
            function_variable(&mut command, secrets);
        }
    }
    for name in place.credentials.secrets().keys() {
        command.env_remove(name);
    }
    command.envs(secrets);
    Process::start("portcullis serve", &mut command)
}
