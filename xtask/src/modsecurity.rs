//! nginx with ModSecurity and the OWASP Core Rule Set: what `bench` compares the gate with.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Unpacked, files_in};
use crate::error::Interrupted;
use crate::step::Step;
use crate::workspace::Workspace;

const NGINX: Unpacked = Unpacked {
    step: "modsecurity",
    // The module depends on ModSecurity itself, whose package has another name in each release of Debian.
    packages: &["nginx", "libnginx-mod-http-modsecurity", "modsecurity-crs"],
    program: "usr/sbin/nginx",
    // Its configuration is not read for that.
    version: "-v",
    size: "3 MB",
};

/// All that is needed, unpacked.
#[derive(Clone, Debug)]
pub(crate) struct ModSecurity {
    pub(crate) nginx: PathBuf,
    /// The module that nginx loads.
    pub(crate) module: PathBuf,
    /// What is read one after the other: the settings that Debian recommends, then the rules and their settings.
    pub(crate) settings: PathBuf,
    pub(crate) rules: Vec<PathBuf>,
    /// For people.
    pub(crate) versions: String,
}

impl ModSecurity {
    /// Downloads what is not there yet. Where that cannot be done the user is told, and there is none.
    ///
    /// # Errors
    ///
    /// It is there and is not what was expected; or the user wants to stop.
    pub(crate) fn ensure(workspace: &Workspace) -> Result<Option<Self>> {
        let home = workspace.modsecurity_home();
        match NGINX.ensure(workspace, &home) {
            Ok(nginx) => Self::open(nginx, home).map(Some),
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => {
                let why = format!(
                    "NOTHING IS COMPARED WITH IT: {error:#}. Remedy: Debian 12 or newer with a mirror in reach"
                );
                Step::skipped(NGINX.step, &why);
                Ok(None)
            }
        }
    }

    fn open(nginx: PathBuf, home: PathBuf) -> Result<Self> {
        let root = home.join(apt::ROOT);
        let list = home.join(apt::LIST);
        let packages =
            fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
        let mut rules = vec![root.join("etc/modsecurity/crs/crs-setup.conf")];
        let files = files_in(&root.join("usr/share/modsecurity-crs/rules"))?;
        rules.extend(
            files.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "conf")),
        );
        let modsecurity = Self {
            nginx,
            module: root.join("usr/lib/nginx/modules/ngx_http_modsecurity_module.so"),
            settings: root.join("etc/nginx/modsecurity.conf"),
            rules,
            versions: versions(&packages),
        };
        for file in [&modsecurity.module, &modsecurity.settings, &modsecurity.rules[0]] {
            if !file.is_file() {
                bail!(
                    "{} is missing. Remedy: remove {} and try again",
                    file.display(),
                    home.display()
                );
            }
        }
        Ok(modsecurity)
    }
}

/// Of the list of what was unpacked, what the figures depend on.
fn versions(packages: &str) -> String {
    let named = |package: &&str| {
        ["nginx=", "libmodsecurity3", "modsecurity-crs="]
            .iter()
            .any(|name| package.starts_with(name))
    };
    packages.lines().filter(named).map(|line| line.replace('=', " ")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_matter_are_named() {
        let packages = "libyajl2=2.1.0-3\nlibmodsecurity3=3.0.9-1+deb12u1\nnginx-common=1.22.1-9\n\
                        nginx=1.22.1-9\nmodsecurity-crs=3.3.4-1\n";
        let expected = "libmodsecurity3 3.0.9-1+deb12u1, nginx 1.22.1-9, modsecurity-crs 3.3.4-1";
        assert_eq!(versions(packages), expected);
    }
}
