//! The `portcullis` command as its users have it.

#[path = "../common/components.rs"]
#[allow(dead_code, reason = "a detector in a process of its own is for other tests")]
mod components;
mod dpop;
mod explain;
mod jwe;
mod keys;
#[cfg(unix)]
mod serve;
mod texts;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder with credentials and the default policy, and the command.
struct Desk {
    folder: TempDir,
}

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.ok(&["dev-credentials", "--dir", "."]);
        let default = include_str!("../../../policy/default.yaml");
        let policy = default.replace("../target/portcullis/dev/", "");
        assert_ne!(default, policy);
        desk.write("policy.yaml", &policy);
        desk
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        for name in ["PORTCULLIS_API_KEY_PEPPER", "PORTCULLIS_ASSERTION_KEY"] {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // Commands that do not read their input end before it is written.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments, "");
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// A token that is good from 2026-01-31 11:46:40 to 2026-02-02 02:40, with changes.
    fn token(&self, changes: &[&str]) -> String {
        let mut arguments = vec!["token", "mint", "--subject", "alice"];
        if !changes.contains(&"--key") {
            arguments.extend(["--key", "issuer.jwk.json"]);
        }
        arguments.extend(["--issuer", "https://issuer.portcullis.local"]);
        arguments.extend(["--audience", "scam-detector", "--tenant", "acme", "--role", "caller"]);
        arguments.extend(["--claim", "iat=1769860000", "--claim", "exp=1770000000"]);
        arguments.extend(changes);
        self.ok(&arguments).trim().to_owned()
    }

    /// The recorded requests, with tokens of this desk's issuer.
    fn requests(&self) -> String {
        let good = self.token(&[]);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let (_, claims) = signed.split_once('.').unwrap();
        let header_none = "eyJhbGciOiJub25lIn0";
        include_str!("requests.jsonl")
            .replace("{{expired}}", &self.token(&["--claim", "exp=1769860001"]))
            .replace("{{audience}}", &self.token(&["--claim", r#"aud="other""#]))
            .replace("{{issuer}}", &self.token(&["--claim", r#"iss="https://evil.example""#]))
            .replace("{{forged}}", &format!("{signed}.{}", "A".repeat(86)))
            .replace("{{unsigned}}", &format!("{header_none}.{claims}.AAAA"))
            .replace("{{good}}", &good)
    }

    fn replay(&self, options: &[&str], requests: &str) -> Ended {
        let mut arguments = vec!["replay", "--policy", "policy.yaml", "--secrets", "secrets.env"];
        arguments.extend(options);
        arguments.push("-");
        self.run(&arguments, requests)
    }
}

#[test]
fn check_says_what_is_wrong_where() {
    let desk = Desk::new();
    let text = desk.ok(&["check", "policy.yaml"]);
    assert!(
        text.contains("policy.yaml: ok") && text.contains("taken to be usable: PORTCULLIS_"),
        "{text}"
    );
    let text = desk.ok(&["check", "policy.yaml", "--strict-secrets", "--secrets", "secrets.env"]);
    assert!(!text.contains("note"), "{text}");

    let ended = desk.run(&["check", "policy.yaml", "--strict-secrets"], "");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("identity.api_keys.pepper.env: the secret"), "{}", ended.stderr);

    let policy = std::fs::read_to_string(desk.path("policy.yaml")).unwrap();
    desk.write("bad.yaml", &policy.replace("max_depth: 16", "max_dept: 16"));
    let ended = desk.run(&["check", "bad.yaml", "--format", "json"], "");
    assert_eq!(ended.code, 2);
    let error: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(error["error"]["field"], "input.json.max_dept");
    assert!(error["error"]["line"].is_u64());
    assert!(ended.stderr.contains("expected `max_depth`"), "{}", ended.stderr);

    let ended = desk.run(&["check", "nowhere.yaml"], "");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("nowhere.yaml: No such file"), "{}", ended.stderr);
}

#[test]
fn tokens_are_minted_inspected_and_verified() {
    let desk = Desk::new();
    let fresh = |changes: &[&str]| {
        let mut arguments = vec!["--claim", "iat=1", "--claim", "exp=4102444800"];
        arguments.extend(changes);
        desk.token(&arguments)
    };
    let verify = |token: &str, options: &[&str]| {
        let mut arguments = vec!["token", "verify", "--jwks", "issuer.jwks.json"];
        arguments.extend(options);
        desk.run(&arguments, &format!("{token}\n"))
    };
    let several = fresh(&["--count", "3"]);
    let claims: BTreeSet<_> = several.lines().map(|token| token.split('.').nth(1)).collect();
    assert_eq!(claims.len(), 3, "{several}");
    for token in several.lines() {
        assert_eq!(verify(token, &[]).code, 0, "{token}");
    }

    let good = fresh(&[]);
    let ended = verify(&good, &["--issuer", "https://issuer.portcullis.local"]);
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert!(ended.stdout.contains(r#""subject":"alice""#));
    for (options, reason) in [
        (["--issuer", "https://other.example"], "token-issuer-unknown"),
        (["--audience", "other"], "token-audience-mismatch"),
    ] {
        let ended = verify(&good, &options);
        assert_eq!(ended.code, 1);
        assert!(ended.stdout.contains(reason), "{}", ended.stdout);
    }
    let ended = verify(&fresh(&["--claim", "exp=2"]), &[]);
    assert!(ended.code == 1 && ended.stdout.contains("token-expired"), "{}", ended.stdout);

    let ended = desk.run(&["token", "inspect"], &good);
    assert!(ended.stderr.contains("NOT VERIFIED") && ended.stdout.contains(r#""sub": "alice""#));
    assert_eq!(desk.run(&["token", "inspect"], "a.b").code, 2);
    let hostile = fresh(&["--claim", "note=\"\u{9b}2J\u{7f}\""]);
    for ended in [desk.run(&["token", "inspect"], &hostile), verify(&hostile, &[])] {
        let is_command = |character: char| character != '\n' && character.is_control();
        assert!(!ended.stdout.contains(is_command), "{:?}", ended.stdout);
    }
    assert!(desk.run(&["token", "inspect"], &hostile).stdout.contains(r"\u009b2J\u007f"));
    let ended = desk.run(
        &[
            "token",
            "mint",
            "--key",
            "secrets.env",
            "--issuer",
            "a",
            "--audience",
            "b",
            "--subject",
            "c",
        ],
        "",
    );
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("secrets.env:1:1: expected a private JSON Web Key"),
        "{}",
        ended.stderr
    );
}

/// Keys of the RFCs, signing and verifying with each algorithm.
#[test]
fn every_algorithm_is_minted_and_verified() {
    let desk = Desk::new();
    let keys: serde_json::Value = serde_json::from_str(include_str!("private_keys.json")).unwrap();
    let mut tokens = Vec::new();
    for (name, algorithms) in [
        ("rsa", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].as_slice()),
        ("p256", &["ES256"]),
        ("p384", &["ES384"]),
        ("p521", &["ES512"]),
        ("ed25519", &["EdDSA"]),
        ("oct", &["HS256", "HS384", "HS512"]),
    ] {
        for algorithm in algorithms {
            let mut jwk = keys[name].clone();
            jwk["alg"] = (*algorithm).into();
            jwk["kid"] = "k".into();
            desk.write("key.json", &jwk.to_string());
            let members = jwk.as_object_mut().unwrap();
            members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
            desk.write("keys.json", &serde_json::json!({"keys": [jwk]}).to_string());
            let token = desk.token(&["--key", "key.json"]);
            let shown = desk.ok(&["token", "inspect", &token]);
            assert!(shown.contains(&format!(r#""alg": "{algorithm}""#)), "{shown}");
            tokens.push(token.clone());
            let arguments = ["token", "verify", "--jwks", "keys.json", "--signature-only"];
            let ended = desk.run(&arguments, &tokens.join("\n"));
            let lines: Vec<bool> =
                ended.stdout.lines().map(|line| line == r#"{"valid":true}"#).collect();
            let (last, others) = lines.split_last().unwrap();
            assert!(*last && others.iter().all(|valid| !valid), "{algorithm}: {}", ended.stdout);
        }
    }
    // An RSA key alone is for RS256; a secret alone is for nothing.
    desk.write("key.json", &keys["rsa"].to_string());
    let shown = desk.ok(&["token", "inspect", &desk.token(&["--key", "key.json"])]);
    assert!(shown.contains(r#""alg": "RS256""#), "{shown}");
}

#[test]
fn private_keys_are_read_strictly() {
    let desk = Desk::new();
    let keys: serde_json::Value = serde_json::from_str(include_str!("private_keys.json")).unwrap();
    for (name, member, value, expected) in [
        ("p256", "alg", "ES384", "alg: expected ES256"),
        ("p521", "alg", "none", "alg: expected a signature algorithm"),
        ("p521", "d", "AQ", "d: expected a key of this curve"),
        ("p384", "x", "AQ", "d: expected a key of this curve"),
        ("ed25519", "alg", "ES256", "alg: expected EdDSA"),
        ("rsa", "alg", "HS256", "alg: expected RS256, RS384"),
        ("rsa", "p", "AQ", "n: expected an RSA key"),
        ("oct", "alg", "RS256", "alg: expected HS256, HS384"),
        ("p256", "crv", "secp256k1", "crv: expected P-256, P-384"),
    ] {
        let mut jwk = keys[name].clone();
        jwk[member] = value.into();
        desk.write("key.json", &jwk.to_string());
        let arguments = ["token", "mint", "--key", "key.json", "--issuer", "a", "--audience", "b"];
        let ended = desk.run(&[&arguments[..], &["--subject", "c"]].concat(), "");
        assert_eq!(ended.code, 2, "{name} {member}");
        assert!(ended.stderr.contains(expected), "{name} {member}: {}", ended.stderr);
    }
}

#[test]
fn signatures_are_verified_line_by_line() {
    let desk = Desk::new();
    let good = desk.token(&[]);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let input = format!("{good}\n\n{signed}.{}\r\n{}\n{good}", "A".repeat(86), "a".repeat(100_000));
    let ended =
        desk.run(&["token", "verify", "--jwks", "issuer.jwks.json", "--signature-only"], &input);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let no = |reason| format!(r#"{{"valid":false,"reason":"{reason}"}}"#);
    let yes = r#"{"valid":true}"#.to_owned();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let malformed = no("token-malformed");
    assert_eq!(lines, [&yes, &malformed, &no("token-signature-invalid"), &malformed, &yes]);
}

#[test]
fn tokens_are_verified_line_by_line() {
    let desk = Desk::new();
    let good = desk.token(&["--claim", "iat=1", "--claim", "exp=4102444800"]);
    let claims = desk.ok(&["token", "inspect", &good]);
    let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
    let (issuer, audience) = (&claims["claims"]["iss"], &claims["claims"]["aud"]);
    let (issuer, audience) = (issuer.as_str().unwrap(), audience.as_str().unwrap());
    let arguments = ["token", "verify", "--jwks", "issuer.jwks.json", "--lines"];
    let verify = |issuer: &str, audience: &str, input: &str| {
        let arguments = [&arguments[..], &["--issuer", issuer, "--audience", audience]].concat();
        let ended = desk.run(&arguments, input);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let verdict = |line: &str| {
            let verdict: serde_json::Value = serde_json::from_str(line).unwrap();
            match verdict["valid"].as_bool().unwrap() {
                true => "valid".to_owned(),
                false => verdict["reason"].as_str().unwrap().to_owned(),
            }
        };
        ended.stdout.lines().map(verdict).collect::<Vec<_>>()
    };
    // A blank before a token is not what its issuer made.
    let input = format!("{good}\n\n {good}\r\n{}\nx\n{good}", "a".repeat(100_000));
    assert_eq!(
        verify(issuer, audience, &input),
        [
            "valid",
            "credential-malformed",
            "credential-malformed",
            "token-malformed",
            "token-malformed",
            "valid"
        ]
    );
    assert_eq!(verify("other", audience, &good), ["token-issuer-unknown"]);
    assert_eq!(verify(issuer, "other", &good), ["token-audience-mismatch"]);
    // What every line is compared with must be said.
    assert_eq!(desk.run(&arguments, &good).code, 2);
}

#[test]
fn keys_go_into_the_policy_as_they_are_printed() {
    let desk = Desk::new();
    let arguments = ["key", "new", "--owner", "batch: \"x\"", "--role", "caller"];
    let ended = desk.run(&arguments, "");
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("pepper PORTCULLIS_API_KEY_PEPPER is not set")
            && ended.stdout.is_empty()
    );

    let printed = desk.ok(&[&arguments[..], &["--secrets", "secrets.env"]].concat());
    let (key, entry) = printed.split_once('\n').unwrap();
    let entry: String = entry.lines().map(|line| format!("      {line}\n")).collect();
    let policy = std::fs::read_to_string(desk.path("policy.yaml")).unwrap();
    desk.write("policy.yaml", &policy.replace("    keys: []\n", &format!("    keys:\n{entry}")));
    let request = |key: &str| {
        format!(
            r#"{{"id":1,"method":"POST","path":"/v1/predict","headers":[["host","a"],["content-type","application/json"],["x-api-key","{key}"]],"body":"{{\"text\":\"a\"}}"}}"#
        )
    };
    let ended = desk.replay(&[], &request(key));
    assert!(ended.stdout.contains(r#""decision":"allow""#), "{} {}", ended.stdout, ended.stderr);
    // Whatever the last character is, which is random.
    let other = if key.ends_with('A') { 'E' } else { 'A' };
    let ended = desk.replay(&[], &request(&format!("{}{other}", &key[..key.len() - 1])));
    assert!(ended.stdout.contains("api-key-invalid"), "{}", ended.stdout);
}

#[test]
fn a_bad_line_ends_a_replay_and_loses_nothing_before_it() {
    let desk = Desk::new();
    let good = r#"{"id":"a","method":"GET","path":"/healthz","headers":[["host","a"]]}"#;
    for (bad, expected) in [
        (r#"{"id":"b","method":"GET","path":"/","boddy":""}"#, "-:3: boddy: unknown field `boddy`"),
        (r#"{"id":"b","method":"GET"}"#, "-:3: missing field `path`"),
        (r#"{"id":[],"method":"GET","path":"/"}"#, "-:3: id: expected a string or a number"),
        (r#"{"id":1,"method":"GET","path":"/","time":"now"}"#, "-:3: time: expected a time"),
        (
            r#"{"id":1,"method":"GET","path":"/","headers":[["a",1]]}"#,
            "-:3: headers[0][1]: expected a string or",
        ),
        (
            r#"{"id":1,"method":"GET","path":"/","body":"","body_base64":""}"#,
            "-:3: expected either `body`",
        ),
        ("{", "-:3: EOF"),
        (r#"["b","GET","/"]"#, "-:3: expected a JSON object"),
        (r#"{"id":1,"method":"GET","path":"/"} {}"#, "-:3: expected one JSON object"),
    ] {
        let ended = desk.replay(&[], &format!("{good}\n\n{bad}\n{good}\n"));
        assert_eq!(ended.code, 2, "{bad}");
        assert!(ended.stderr.contains(expected), "{bad}: {}", ended.stderr);
        assert_eq!(ended.stdout.lines().count(), 1, "{bad}");
    }
}

#[test]
fn the_filter_decides_as_the_policy_does() {
    let desk = Desk::new();
    let requests = desk.requests();
    let native = desk.replay(&[], &requests);
    assert_eq!(native.code, 0, "{}", native.stderr);
    assert_eq!(native.stdout.lines().count(), requests.lines().count());
    for expected in [
        "token-expired",
        "token-signature-invalid",
        "header-invalid",
        "path-invalid",
        "rate-exceeded",
    ] {
        assert!(native.stdout.contains(expected), "{expected}");
    }
    let artifacts = std::env::var_os("PORTCULLIS_ARTIFACTS").map(PathBuf::from);
    let gate = artifacts.map(|folder| folder.join("gate.wasm")).filter(|gate| gate.exists());
    let Some(gate) = gate else {
        eprintln!(
            "SKIPPED the filter: PORTCULLIS_ARTIFACTS names no folder with gate.wasm (`cargo xtask build`)"
        );
        return;
    };
    let gate = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(gate);
    let options = ["--backend", "wasm", "--filter", gate.to_str().unwrap()];
    let filter = desk.replay(&options, &requests);
    assert_eq!(filter.code, 0, "{}", filter.stderr);
    for (native, filter) in native.stdout.lines().zip(filter.stdout.lines()) {
        assert_eq!(native, filter);
    }
    assert_eq!(native.stdout, filter.stdout);
}

#[test]
fn schema_and_completions_are_printed() {
    let desk = Desk::new();
    let schema: serde_json::Value = serde_json::from_str(&desk.ok(&["schema"])).unwrap();
    assert_eq!(schema["title"], "Portcullis policy document");
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.ok(&["completions", shell]).contains("portcullis"), "{shell}");
    }
}
