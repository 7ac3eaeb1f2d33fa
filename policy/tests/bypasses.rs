//! Ways around a strict route, or around what is known of who is calling: none of them leads anywhere.

mod common;

use common::gate::{Gate, Head};
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{Reason, Secret, Stage, Stages};
use serde_json::{Value, json};

const PEPPER: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU";

/// Strict routes, each before one for everybody, as catch-alls are.
fn document() -> Value {
    let strict = json!({"require": "authenticated"});
    json!({
        "version": 1,
        "access": {"networks": {"deny": ["203.0.113.0/24"]}},
        "identity": {"api_keys": {"pepper": {"env": "PEPPER"}}},
        "authorisation": {"require": "anonymous"},
        "routes": [
            {"name": "host", "match": {"prefix": "/", "hosts": ["admin.example"]}, "authorisation": strict},
            {"name": "path", "match": {"path": "/admin"}, "authorisation": strict},
            {"name": "prefix", "match": {"prefix": "/admin/"}, "authorisation": strict},
            {"name": "public", "match": {"prefix": "/public/"}},
            {"name": "start", "match": {"path": "/"}},
            {"name": "matrix", "match": {"prefix": "/matrix/"}},
            {"name": "files", "match": {"prefix": "/files/"}},
        ],
    })
}

fn with_catch_all() -> Value {
    let mut document = document();
    let routes = document["routes"].as_array_mut().unwrap();
    routes.push(json!({"name": "all", "match": {"prefix": "/"}}));
    document
}

fn gate(document: &Value) -> Gate {
    Gate::with_secrets(document, &[("PEPPER", PEPPER.to_owned())])
}

fn head(method: &str, path: &str, authority: &str) -> Head {
    Head(Vec::new()).with(":method", method).with(":path", path).with(":authority", authority)
}

/// What becomes of a request of somebody unknown: the path that the upstream sees, or the reason of the refusal.
fn outcome(gate: &mut Gate, head: &Head) -> Result<String, Reason> {
    gate.send(head).map(|upstream| upstream.path().to_owned())
}

#[test]
fn a_host_is_one_however_it_is_spelt() {
    let mut gate = gate(&with_catch_all());
    for authority in [
        "admin.example",
        "ADMIN.Example",
        "admin.example:443",
        "admin.example:",
        "admin.example.",
        "admin.example.:443",
    ] {
        let judged = outcome(&mut gate, &head("GET", "/x", authority));
        assert_eq!(judged, Err(Reason::CredentialMissing), "{authority}");
    }
    for authority in [
        "admin.example..",
        ".",
        ":443",
        "admin.example:80:80",
        "admin.example:x",
        "admin.example:+80",
        "admin.example:999999",
        "[admin.example]",
        "admin.example]",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "[]",
        "::1",
        "user@admin.example",
        "admin.example/",
        "admin.example,b",
    ] {
        let judged = outcome(&mut gate, &head("GET", "/x", authority));
        assert_eq!(judged, Err(Reason::HeaderInvalid), "{authority}");
    }
    for authority in
        ["other.example", "127.0.0.1:8080", "[::1]", "[2001:db8::1]:8443", "under_score"]
    {
        let judged = outcome(&mut gate, &head("GET", "/x", authority));
        assert_eq!(judged, Ok("/x".to_owned()), "{authority}");
    }
}

/// What Java's servers take for the parameters of a segment, and leave out of the path before they look for who it is for.
#[test]
fn parameters_of_a_segment_lead_to_no_other_route() {
    let mut gate = gate(&with_catch_all());
    for path in [
        "/public/..;/admin",
        "/public/%2e%2e;/admin",
        "/public/..;x=1/admin",
        "/public/.;/../admin",
        "/public/..;",
        "/admin;x=1",
        "/admin;/",
        "/;/admin",
        "/;x/admin/",
        "/admin;x=1/users",
        "/admin;/users;y",
    ] {
        let judged = outcome(&mut gate, &head("GET", path, "a.example"));
        assert_eq!(judged, Err(Reason::PathInvalid), "{path}");
    }
    for path in ["/matrix/a;x=1/b;y=2", "/files/a..;v=1", "/x;y"] {
        let judged = outcome(&mut gate, &head("GET", path, "a.example"));
        assert_eq!(judged, Ok(path.to_owned()), "{path}");
    }
}

/// Some programs match `/admin` also where a line feed follows, cut at it, or read what is no UTF-8 as they please.
#[test]
fn escapes_that_hide_something_are_refused() {
    let mut gate = gate(&with_catch_all());
    for escape in
        ["%00", "%09", "%0a", "%0D%0A", "%1f", "%7F", "%ff", "%c0%ae%c0%ae", "%c3", "%ed%a0%80"]
    {
        for path in [
            format!("/admin{escape}"),
            format!("/{escape}admin"),
            format!("/public/{escape}/admin"),
        ] {
            let judged = outcome(&mut gate, &head("GET", &path, "a.example"));
            assert_eq!(judged, Err(Reason::PathInvalid), "{path}");
        }
    }
    for path in ["/files/a%20b", "/files/%C3%A9", "/files/%e2%82%ac", "/files/100%25"] {
        let judged = outcome(&mut gate, &head("GET", path, "a.example"));
        assert_eq!(judged, Ok(path.to_owned()), "{path}");
    }
}

/// Frameworks that do what such a field says would do what was not judged.
#[test]
fn no_field_names_another_method_or_path() {
    let mut gate = gate(&with_catch_all());
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x_http_method_override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
    ] {
        let upstream = gate.send(&head("GET", "/x", "a.example").with(name, value)).unwrap();
        assert_eq!(upstream.all(name), [""; 0], "{name}");
        assert!(gate.record.contains(&format!("\"stripped\":[\"{name}\"]")), "{}", gate.record);
    }
}

/// Who hands fields on as CGI does (RFC 3875 §4.1.18) takes an underscore for a hyphen: a client could say with it what only a
/// proxy may, or say twice what may be said once.
#[test]
fn an_underscore_is_no_way_to_forge_a_field() {
    let mut gate = gate(&with_catch_all());
    for name in [
        "x_forwarded_for",
        "x_forwarded-proto",
        "content_length",
        "content_type",
        "transfer_encoding",
        "x_request_id",
        "x_api_key",
        "x_envoy_original_path",
        "Proxy_Authorization",
    ] {
        let upstream = gate.send(&head("GET", "/x", "a.example").with(name, "1")).unwrap();
        assert_eq!(upstream.all(name), [""; 0], "{name}");
    }
    for name in ["x_custom", "my_header", "x-forwarded-for"] {
        let upstream = gate.send(&head("GET", "/x", "a.example").with(name, "1")).unwrap();
        assert_eq!(upstream.all(name), ["1"], "{name}");
    }
}

#[test]
fn where_no_route_is_the_documents_own_access_holds() {
    let mut gate = gate(&document());
    let unknown = head("GET", "/nowhere", "a.example");
    assert_eq!(outcome(&mut gate, &unknown), Err(Reason::CredentialMissing));
    // Nothing tells a method on a path that there is from one on a path that there is not.
    for path in ["/admin", "/nowhere"] {
        let judged = outcome(&mut gate, &head("PUT", path, "a.example"));
        assert_eq!(judged, Err(Reason::MethodNotAllowed), "{path}");
    }
    // Whoever is kept out may not try credentials either.
    gate.runtime.source = "203.0.113.7".parse().ok();
    for head in [unknown.clone(), unknown.with("x-api-key", "pcl_none_x")] {
        assert_eq!(outcome(&mut gate, &head), Err(Reason::NetworkDenied));
    }
}

/// What can never fit would leave its requests to the next route.
#[test]
fn networks_and_hosts_that_never_fit_are_errors() {
    let error = |pointer: &str, value: Value| {
        let mut document = with_catch_all();
        *document.pointer_mut(pointer).unwrap() = value;
        Gate::error(&document, &[("PEPPER", PEPPER.to_owned())])
    };
    for network in ["::ffff:203.0.113.0/120", "::ffff:0:0/96"] {
        let message = error("/access/networks/deny/0", network.into());
        assert!(message.contains("access.networks.deny[0]"), "{message}");
    }
    for host in
        ["admin.example:443", "admin.example.", "", "https://admin.example", "*.example", "::1"]
    {
        let message = error("/routes/0/match/hosts/0", host.into());
        assert!(message.contains("routes[0].match.hosts[0]"), "{host}: {message}");
    }
}

/// A cookie without a name whose value is a pair (RFC 6265bis has browsers send such) is that pair once its equals sign is lost, as it
/// would be where cookies that are hidden are taken out: a session of the client's own making beside the one that was verified.
#[test]
fn a_cookie_without_a_name_is_no_other_ones() {
    let key = ApiKey::new("abcd", &[7; 32]).unwrap();
    let digest = key.digest(&Secret::from_base64url(PEPPER).unwrap());
    let mut document = with_catch_all();
    document["identity"]["api_keys"]["sources"] = json!([{"cookie": "session"}]);
    document["identity"]["api_keys"]["keys"] =
        json!([{"id": "abcd", "digest": digest, "owner": "batch"}]);
    let mut gate = gate(&document);
    let send = |gate: &mut Gate, cookies: String| {
        let upstream = gate.send(&head("GET", "/x", "a.example").with("cookie", cookies));
        upstream.map(|upstream| upstream.all("cookie").join("|"))
    };
    let key = key.expose();
    assert_eq!(
        send(&mut gate, format!("session={key}; =other=1; a=b")),
        Ok("other=1; a=b".to_owned())
    );
    for evil in ["=session=evil", "==session=evil", "= session = evil"] {
        let sent = send(&mut gate, format!("session={key}; {evil}"));
        assert_eq!(sent, Err(Reason::CredentialConflict), "{evil}");
    }
}

/// It would be there, look as if it protected something, and never apply.
#[test]
fn a_route_is_for_methods_that_are_let_through() {
    let secrets = [("PEPPER", PEPPER.to_owned())];
    let mut document = document();
    document["routes"][1]["match"]["methods"] = json!(["GET", "DELETE"]);
    let error = Gate::error(&document, &secrets);
    let expected =
        "routes[1].match.methods[1]: expected a method that `access` lets through: GET, HEAD, POST";
    assert!(error.contains(expected), "{error}");
    // A filter that leaves access to another.
    Gate::of(&document, &secrets, Stages::of(&[Stage::Limits]));
    document["routes"][1]["access"] = json!({"methods": ["GET", "DELETE"]});
    gate(&document);
}
