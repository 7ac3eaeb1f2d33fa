//! `portcullis explain`, and files in place of what is fetched.

use serde_json::{Value, json};

use super::{Desk, Ended};

const POLICY: &str = "\
version: 1
access:
  methods: [GET, POST]
identity:
  jwt:
    issuers:
      - issuer: https://issuer.portcullis.local
        audiences: [scam-detector]
        jwks: { file: issuer.jwks.json }
roles:
  caller: {}
  auditor: { inherits: [caller] }
  operator: { inherits: [auditor] }
authorisation:
  roles: [caller]
limits:
  - { name: per-caller, key: principal, requests: 60, per_seconds: 60 }
routes:
  - name: predict
    match: { path: /v1/predict, methods: [POST] }
    input: { max_body_bytes: 100 }
  - name: own
    match: { prefix: '/v1/tenants/{tenant}/' }
    authorisation:
      scopes: [detect.read]
";

fn request(method: &str, path: &str, token: &str) -> Value {
    json!({
        "method": method, "path": path, "time": "2026-01-31T12:00:00Z",
        "headers": [["host", "api.example"], ["content-type", "application/json"], ["authorization", format!("Bearer {token}")]],
        "body": if method == "POST" { "{}" } else { "" },
    })
}

impl Desk {
    fn explain(&self, options: &[&str], request: &Value) -> Ended {
        let mut arguments = vec!["explain", "--policy", "roles.yaml"];
        arguments.extend(options);
        arguments.push("-");
        self.run(&arguments, &format!("{request:#}"))
    }

    fn explained(&self, request: &Value) -> Value {
        let ended = self.explain(&["--format", "json"], request);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    }
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("roles.yaml", POLICY);
    desk
}

#[test]
fn an_allowed_request_is_told_by_which_lines() {
    let desk = desk();
    let token = desk.token(&["--claim", r#"roles=["operator"]"#]);
    let ended = desk.explain(&[], &request("POST", "/v1/predict?secret=hunter2", &token));
    assert_eq!(ended.code, 0, "{} {}", ended.stdout, ended.stderr);
    for expected in [
        "POST /v1/predict from 127.0.0.1\n",
        "the method POST\n           by roles.yaml:3 access.methods\n",
        "by default of access.networks\n",
        "a token of https://issuer.portcullis.local, verified with the key ",
        "by roles.yaml:7 identity.jwt.issuers[0]\n",
        "alice, tenant acme, roles [operator]",
        "the route `predict`, for POST /v1/predict\n           by roles.yaml:20 routes[0].match\n",
        "held: operator -> auditor -> caller\n           by roles.yaml:15 authorisation.roles\n",
        "59 left\n           by roles.yaml:17 limits[0]\n",
        "a body of 2 bytes",
        "\nallowed\n",
    ] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
    let signature = token.rsplit('.').next().unwrap();
    assert!(!ended.stdout.contains(signature) && !ended.stdout.contains("hunter2"));
}

#[test]
fn a_refused_request_is_told_what_would_have_to_change() {
    let desk = desk();
    let token = |changes: &[&str]| desk.token(changes);
    let good = token(&[]);
    for (request, reason, place, change) in [
        (
            request("POST", "/v1/predict", &token(&["--claim", r#"roles=["guest"]"#])),
            "role-missing",
            (15, "authorisation.roles"),
            "give the caller one of the roles [auditor, caller, operator]",
        ),
        (
            request("GET", "/v1/tenants/acme/x", &good),
            "scope-missing",
            (25, "routes[1].authorisation.scopes"),
            "get a token with the scopes [detect.read]",
        ),
        (
            request("GET", "/v1/tenants/globex/x", &good),
            "tenant-denied",
            (23, "routes[1].match"),
            "ask for the path of acme, or come as a caller of globex",
        ),
        (
            request("GET", "/v1/predict", &good),
            "route-unknown",
            (18, "routes"),
            "the path is that of `predict`, which is for other methods",
        ),
        (
            // What no route is for is judged by the document's own `access`.
            request("DELETE", "/v1/predict", &good),
            "method-not-allowed",
            (3, "access.methods"),
            "Use one of these methods: GET, POST.",
        ),
        (
            request("POST", "/v1/predict", &token(&["--claim", r#"aud="other""#])),
            "token-audience-mismatch",
            (8, "identity.jwt.issuers[0].audiences"),
            "Ask your issuer for a token for this service.",
        ),
        (
            request("POST", "/v1/predict", &token(&["--claim", r#"iss="https://evil.example""#])),
            "token-issuer-unknown",
            (6, "identity.jwt.issuers"),
            "Get a token from an issuer that is accepted here.",
        ),
    ] {
        let told = desk.explained(&request);
        assert_eq!(told["reason"], reason, "{told:#}");
        let decided = (
            told["decided_by"]["line"].as_u64().unwrap(),
            told["decided_by"]["field"].as_str().unwrap(),
        );
        assert_eq!(decided, place, "{told:#}");
        assert_eq!(told["change"][0], change, "{told:#}");
        // The same verdict as `replay` has.
        let mut line = request.clone();
        line["id"] = 1.into();
        let arguments = ["replay", "--policy", "roles.yaml", "-"];
        let replayed: Value =
            serde_json::from_str(&desk.run(&arguments, &line.to_string()).stdout).unwrap();
        for member in ["decision", "status", "stage", "reason", "findings"] {
            assert_eq!(told[member], replayed[member]);
        }
    }
    let mut large = request("POST", "/v1/predict", &good);
    large["body"] = " ".repeat(101).into();
    let ended = desk.explain(&[], &large);
    assert_eq!(ended.code, 1);
    let expected = "refused: 413 body-too-large, by roles.yaml:21 routes[0].input.max_body_bytes\nto change: Send at most 100 bytes.";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
}

#[test]
fn a_request_that_is_none_is_bad_input() {
    let desk = desk();
    for (text, expected) in [
        ("{\n  \"method\": \"GET\",\n  \"pth\": \"/\"\n}", "-:3:7: pth: unknown field `pth`"),
        (r#"{"method":"GET","path":"/"} {}"#, "-: expected one JSON object"),
        (
            r#"{"method":"GET","path":"/","client_certificate_sha256":"abc"}"#,
            "client_certificate_sha256: expected the 64",
        ),
        ("", "-: expected a JSON object"),
        (r#"["1","GET","/"]"#, "-: expected a JSON object"),
        (
            r#"{"method":"GET","path":"/","headers":"host: a"}"#,
            r#"headers: invalid type: string "host: a", expected header fields: [["name", "value"], …] or {"name": "value", …}"#,
        ),
        (
            r#"{"method":"GET","path":"/","headers":{"host":1}}"#,
            "headers.host: expected a string or",
        ),
    ] {
        let ended = desk.run(&["explain", "--policy", "roles.yaml", "-"], text);
        assert_eq!(ended.code, 2, "{text}");
        assert!(
            ended.stderr.contains(expected) && ended.stdout.is_empty(),
            "{text}: {}",
            ended.stderr
        );
    }
}

#[test]
fn files_stand_in_for_what_is_fetched() {
    let desk = desk();
    const URI: &str = "https://issuer.portcullis.local/jwks.json";
    desk.write(
        "roles.yaml",
        &POLICY.replace("file: issuer.jwks.json", &format!("remote: {{ uri: {URI} }}")),
    );
    let good = request("POST", "/v1/predict", &desk.token(&[]));
    let fetched = format!("{URI}=issuer.jwks.json");
    let ended = desk.explain(&["--fetched", &fetched], &good);
    assert_eq!(ended.code, 0, "{} {}", ended.stdout, ended.stderr);

    let ended = desk.explain(&[], &good);
    assert_eq!(ended.code, 1);
    let expected = format!("with --fetched {URI}=FILE");
    assert!(
        ended.stdout.contains("503 identity-unavailable") && ended.stdout.contains(&expected),
        "{}",
        ended.stdout
    );

    desk.write("garbage.json", "<html>");
    let garbage = format!("{URI}=garbage.json");
    let ended = desk.explain(&["--fetched", &garbage], &good);
    assert!(
        ended.code == 1 && ended.stdout.contains("note: the keys of https://issuer"),
        "{}",
        ended.stdout
    );
    assert_eq!(desk.explain(&["--fetched", URI], &good).code, 2);
    let elsewhere = "https://elsewhere.example/=issuer.jwks.json";
    let ended = desk.explain(&["--fetched", elsewhere], &good);
    assert!(ended.code == 2 && ended.stderr.contains(URI), "{}", ended.stderr);

    // Requests that come later than the keys are good for see them fetched anew.
    let line = |id: u64, time: &str| {
        let mut line = good.clone();
        line["id"] = id.into();
        line["time"] = time.into();
        format!("{line}\n")
    };
    let lines = line(1, "2026-01-31T12:00:00Z") + &line(2, "2026-02-01T12:00:00Z");
    let arguments = ["replay", "--policy", "roles.yaml", "--fetched", &fetched, "-"];
    let ended = desk.run(&arguments, &lines);
    assert_eq!(
        ended.stdout.matches(r#""decision":"allow""#).count(),
        2,
        "{} {}",
        ended.stdout,
        ended.stderr
    );
}
