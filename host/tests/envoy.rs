//! `portcullis envoy` and what stands in envoy/.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saphyr::LoadableYamlNode as _;

/// A public key for the example; nobody kept the private one.
const EXAMPLE_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"example","x":"5_Vy1R3ON9ppLLTDVqn0QZIRHfTlV8YNPeen9oP4ECg","y":"LKQIi0weZYffncEaTijN9k9c3ULzCM_ZhMb564aLXxY"}]}"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// policy/default.yaml with a key set where it looks for one.
fn default_policy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("target/portcullis/dev");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join("issuer.jwks.json"), EXAMPLE_KEYS).unwrap();
    let policy = folder.path().join("policy/default.yaml");
    std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
    std::fs::copy(repository().join("policy/default.yaml"), &policy).unwrap();
    (folder, policy)
}

fn envoy(policy: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["envoy", "--policy"]).arg(policy).args(arguments);
    if !arguments.contains(&"--upstream") {
        command.args(["--upstream", "scam-detector:80"]);
    }
    command.output().unwrap()
}

const TLS: [&str; 6] = [
    "--filter",
    "/etc/portcullis/gate.wasm",
    "--certificate",
    "/etc/portcullis/tls/tls.crt",
    "--key",
    "/etc/portcullis/tls/tls.key",
];

#[test]
fn the_example_is_fresh() {
    let (_folder, policy) = default_policy();
    let jose = ["/encrypted/=jose:80", "/.well-known/jwks.json=jose:80"];
    let jose = jose.iter().flat_map(|service| ["--upstream-at", service]);
    let arguments: Vec<&str> = TLS.into_iter().chain(jose).collect();
    let output = envoy(&policy, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = String::from_utf8(output.stdout).unwrap();
    let path = repository().join("envoy/bootstrap.yaml");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "envoy/bootstrap.yaml is stale: run the tests with PORTCULLIS_BLESS=1");
}

#[test]
fn what_is_to_be_deployed_is_yaml() {
    let mut files = 0;
    for folder in ["envoy", "envoy/kubernetes", "envoy/istio"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let documents = saphyr::Yaml::load_from_str(&text);
                assert!(
                    documents.is_ok_and(|documents| !documents.is_empty()),
                    "{}",
                    path.display()
                );
                files += 1;
            }
        }
    }
    assert!(files >= 6, "{files}");
}

#[test]
fn a_bad_policy_never_becomes_a_bootstrap() {
    let (_folder, policy) = default_policy();
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, text.replace("max_body_bytes", "max_body_byte")).unwrap();
    refused(&envoy(&policy, &TLS), "default.yaml:");
}

#[test]
fn a_bad_place_is_one_error() {
    let (_folder, policy) = default_policy();
    refused(&envoy(&policy, &[]), "--plaintext");
    refused(&envoy(&policy, &[&TLS[..], &["--admin", "0.0.0.0:9901"]].concat()), "loopback");
    refused(&envoy(&policy, &["--plaintext", "--upstream", "nowhere"]), "HOST:PORT");
    refused(&envoy(Path::new("/no/such/policy.yaml"), &TLS), "/no/such/policy.yaml");
}

fn refused(output: &Output, expected: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty(), "nothing half made");
    assert!(error.contains(expected), "{error}");
}
