//! The nginxes that are compared: one that does nothing, and one with ModSecurity and the Core Rule Set.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::modsecurity::ModSecurity;

/// An nginx in front of a server of its own that answers everything.
pub(super) struct Nginx {
    pub(super) name: String,
    modsecurity: ModSecurity,
    inspects: bool,
}

impl Nginx {
    /// The same without ModSecurity.
    pub(super) fn plain(modsecurity: &ModSecurity) -> Self {
        Self { name: "nginx".to_owned(), modsecurity: modsecurity.clone(), inspects: false }
    }

    pub(super) fn inspecting(modsecurity: &ModSecurity) -> Self {
        let name = "nginx + ModSecurity + CRS".to_owned();
        Self { name, modsecurity: modsecurity.clone(), inspects: true }
    }

    /// What starts it, listening on a port. All that it reads and writes is in the folder named.
    pub(super) fn command(&self, folder: &Path, log: &Path, port: u16) -> Result<Command> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
        };
        write("modsecurity.conf", &self.rules(folder))?;
        write("nginx.conf", &self.configuration(folder, log, port))?;
        let mut command = Command::new(&self.modsecurity.nginx);
        command.current_dir(folder).arg("-p").arg(folder).arg("-e").arg(log);
        command.arg("-c").arg(folder.join("nginx.conf"));
        Ok(command)
    }

    /// One process, which is the worker. It hands on to a server of its own: an answer by `return` would come before
    /// ModSecurity has looked at the body, and a server in front of something is what both are.
    fn configuration(&self, folder: &Path, log: &Path, port: u16) -> String {
        let (load, inspect) = match self.inspects {
            true => (
                format!("load_module {};", quoted(&self.modsecurity.module)),
                format!(
                    "modsecurity on;\n    modsecurity_rules_file {};",
                    quoted(&folder.join("modsecurity.conf"))
                ),
            ),
            false => Default::default(),
        };
        let log = quoted(log);
        format!(
            r#"{load}
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log {log} notice;
events {{ worker_connections 256; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  # A body stays in memory.
  client_body_buffer_size 64k;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream itself {{
    server 127.0.0.1:{port};
    keepalive 16;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} default_server;
    {inspect}
    location / {{
      proxy_pass http://itself;
      proxy_http_version 1.1;
      proxy_set_header host {UPSTREAM};
      proxy_set_header connection "";
    }}
  }}
  server {{
    listen 127.0.0.1:{port};
    server_name {UPSTREAM};
    location / {{ return 200 "ok"; }}
  }}
}}
"#
        )
    }

    /// Debian's recommended settings and the rules as they come, which is paranoia level 1; but what is found is refused.
    /// What is not about requests is off: in its favour.
    fn rules(&self, folder: &Path) -> String {
        let ModSecurity { settings, rules, .. } = &self.modsecurity;
        let folder = quoted(folder);
        let mut text = format!(
            "Include {}\n\
             SecRuleEngine On\n\
             SecResponseBodyAccess Off\n\
             SecAuditEngine Off\n\
             SecStatusEngine Off\n\
             SecTmpDir {folder}\n\
             SecDataDir {folder}\n",
            quoted(settings)
        );
        for file in rules {
            let _ = writeln!(text, "Include {}", quoted(file));
        }
        text
    }
}

/// What the second server is asked for.
const UPSTREAM: &str = "answers.invalid";

/// As both programs read a path that may have spaces.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modsecurity() -> ModSecurity {
        ModSecurity {
            nginx: "/unpacked/nginx".into(),
            module: "/unpacked/module.so".into(),
            settings: "/unpacked/modsecurity.conf".into(),
            rules: vec!["/unpacked/crs-setup.conf".into(), "/unpacked/rules/901.conf".into()],
            versions: String::new(),
        }
    }

    fn configuration(nginx: &Nginx) -> String {
        nginx.configuration(Path::new("/bench/nginx"), Path::new("/bench/nginx.log"), 8080)
    }

    #[test]
    fn the_two_differ_by_modsecurity_alone() {
        let plain = configuration(&Nginx::plain(&modsecurity()));
        let inspecting = configuration(&Nginx::inspecting(&modsecurity()));
        let only: Vec<&str> = inspecting
            .lines()
            .map(str::trim)
            .filter(|line| !plain.lines().any(|other| other.trim() == *line))
            .collect();
        let expected = [
            "load_module \"/unpacked/module.so\";",
            "modsecurity on;",
            "modsecurity_rules_file \"/bench/nginx/modsecurity.conf\";",
        ];
        assert_eq!(only, expected);
        assert!(!plain.contains("modsecurity"), "{plain}");
    }

    #[test]
    fn what_is_recommended_comes_before_what_is_measured_and_the_rules_last() {
        let rules = Nginx::inspecting(&modsecurity()).rules(Path::new("/bench/nginx"));
        let place = |line: &str| rules.lines().position(|other| other == line).unwrap();
        assert_eq!(place("Include \"/unpacked/modsecurity.conf\""), 0);
        let setup = place("Include \"/unpacked/crs-setup.conf\"");
        assert!(place("SecRuleEngine On") < setup && place("SecAuditEngine Off") < setup);
        assert!(setup < place("Include \"/unpacked/rules/901.conf\""));
        assert!(!rules.contains("SecRequestBodyAccess Off"));
    }
}
