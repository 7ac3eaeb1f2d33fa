use std::path::PathBuf;
use std::process::Command;

use saphyr::LoadableYamlNode as _;
use serde_json::Value;

use super::*;

const POLICY: &str = r#"{
  "version": 1,
  "authorisation": { "require": "anonymous" },
  "routes": [{ "name": "all", "match": { "prefix": "/" } }]
}"#;

fn bootstrap() -> Bootstrap {
    Bootstrap {
        policy: POLICY.to_owned(),
        secrets: vec!["A_SECRET".to_owned()],
        sizes: Sizes { body_bytes: 65_536, header_bytes: 32_768, header_count: 64 },
        filter: "/etc/portcullis/gate.wasm".into(),
        listen: "0.0.0.0:8443".parse().unwrap(),
        tls: Some(Certificate {
            chain: "server.pem".into(),
            key: "server.key".into(),
            clients: None,
        }),
        trusted_hops: 1,
        upstream: "api.internal:3000".parse().unwrap(),
        upstreams_at: Vec::new(),
        clusters: Vec::new(),
        trusted_ca: "/etc/ssl/certs/ca-certificates.crt".into(),
        admin: None,
        access_log: Some("-".into()),
        replay_clock_header: None,
    }
}

/// The YAML as JSON, read by the library that reads policies.
fn parse(yaml: &str) -> Value {
    let mut documents = saphyr::Yaml::load_from_str(yaml).unwrap();
    to_json(&documents.pop().unwrap())
}

fn to_json(yaml: &saphyr::Yaml<'_>) -> Value {
    if let Some(mapping) = yaml.as_mapping() {
        let members = mapping.iter();
        return members
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value)))
            .collect();
    }
    if let Some(sequence) = yaml.as_sequence() {
        return sequence.iter().map(to_json).collect();
    }
    let string = || yaml.as_str().map(Value::from);
    let number = || yaml.as_integer().map(Value::from);
    let float = || yaml.as_floating_point().map(Value::from);
    string().or_else(|| yaml.as_bool().map(Value::from)).or_else(number).or_else(float).unwrap()
}

fn manager(config: &Value) -> &Value {
    &config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

#[test]
fn an_edge_proxy_is_hardened() {
    let config = parse(&bootstrap().to_yaml());
    assert_eq!(config.get("admin"), None, "no administration unless it is asked for");
    let manager = manager(&config);
    for (field, value) in [
        ("use_remote_address", json!(true)),
        ("xff_num_trusted_hops", json!(1)),
        ("normalize_path", json!(true)),
        ("merge_slashes", json!(true)),
        ("path_with_escaped_slashes_action", json!("REJECT_REQUEST")),
        ("preserve_external_request_id", json!(false)),
        ("max_request_headers_kb", json!(48)),
        ("request_timeout", json!("30s")),
    ] {
        assert_eq!(manager[field], value, "{field}");
    }
    let removed = |trusted_hops| {
        let config = parse(&Bootstrap { trusted_hops, ..bootstrap() }.to_yaml());
        self::manager(&config)["route_config"]["request_headers_to_remove"].clone()
    };
    assert_eq!(removed(0), json!(portcullis_policy::TOLD_BY_PROXIES));
    assert_eq!(removed(1), json!([]), "a proxy that is trusted has set them");
    let listener = &config["static_resources"]["listeners"][0];
    assert_eq!(listener["per_connection_buffer_limit_bytes"], json!(65_536 + 131_072));
    let tls =
        &listener["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"];
    assert_eq!(tls["tls_params"]["tls_minimum_protocol_version"], json!("TLSv1_2"));

    let wasm = &manager["http_filters"][0]["typed_config"]["config"];
    assert_eq!(wasm["failure_policy"], json!("FAIL_RELOAD"));
    assert_eq!(wasm["allow_on_headers_stop_iteration"], json!(true));
    let variables = &wasm["vm_config"]["environment_variables"];
    assert_eq!(*variables, json!({ "host_env_keys": ["A_SECRET"] }));
    let policy: Value =
        serde_json::from_str(wasm["configuration"]["value"].as_str().unwrap()).unwrap();
    assert_eq!(policy, serde_json::from_str::<Value>(POLICY).unwrap());
}

#[test]
fn the_same_input_gives_the_same_text() {
    assert_eq!(bootstrap().to_yaml(), bootstrap().to_yaml());
}

#[test]
fn a_policy_cannot_break_out_of_its_place() {
    let mut bootstrap = bootstrap();
    let hostile =
        json!({ "a": "\n#{admin}\n${filter}\nadmin: {}\n%REQ(authorization)%\u{2028}\u{85}" });
    bootstrap.policy = serde_json::to_string_pretty(&hostile).unwrap();
    bootstrap.filter = "gate.wasm\" } }\nadmin: { \"".into();
    let config = parse(&bootstrap.to_yaml());
    assert_eq!(config.get("admin"), None);
    let wasm = &manager(&config)["http_filters"][0]["typed_config"]["config"];
    let policy: Value =
        serde_json::from_str(wasm["configuration"]["value"].as_str().unwrap()).unwrap();
    assert_eq!(policy, hostile);
}

fn clusters(config: &Value) -> &[Value] {
    config["static_resources"]["clusters"].as_array().map_or(&[], Vec::as_slice)
}

fn cluster(name: &str, tls: bool, host: &str, port: u16) -> Cluster {
    Cluster { name: name.to_owned(), tls, host: host.to_owned(), port, http2: false }
}

#[test]
fn what_is_fetched_is_fetched_from_verified_servers_alone() {
    let mut bootstrap = bootstrap();
    bootstrap.clusters = vec![
        cluster("issuer", true, "issuer.example", 443),
        cluster("address", true, "192.0.2.1", 8443),
    ];
    let config = parse(&bootstrap.to_yaml());
    let [upstream, issuer, address] = clusters(&config) else { panic!("{config:#}") };
    assert_eq!(upstream["name"], json!("upstream"));
    assert_eq!(issuer["name"], json!("issuer"));
    let socket = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let expected = json!({ "address": "issuer.example", "port_value": 443 });
    assert_eq!(*issuer.pointer(socket).unwrap(), expected);

    let tls = &issuer["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], json!("issuer.example"));
    let common = &tls["common_tls_context"];
    assert_eq!(common["tls_params"]["tls_minimum_protocol_version"], json!("TLSv1_2"));
    let validation = json!({
        "trusted_ca": { "filename": "/etc/ssl/certs/ca-certificates.crt" },
        "match_typed_subject_alt_names":
            [{ "san_type": "DNS", "matcher": { "exact": "issuer.example" } }],
    });
    assert_eq!(common["validation_context"], validation);

    let tls = &address["transport_socket"]["typed_config"];
    assert_eq!(tls.get("sni"), None);
    let names = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
    assert_eq!(*names, json!([{ "san_type": "IP_ADDRESS", "matcher": { "exact": "192.0.2.1" } }]));

    let limit = &config["layered_runtime"]["layers"][0]["static_layer"];
    assert_eq!(*limit, json!({ "http.async_response_buffer_limit": 1_048_576 }));
}

#[test]
fn a_rate_limit_service_is_spoken_to_over_http2_alone() {
    for tls in [false, true] {
        let mut bootstrap = bootstrap();
        let cluster = Cluster { http2: true, ..cluster("limits", tls, "limits.example", 8081) };
        bootstrap.clusters = vec![cluster];
        let config = parse(&bootstrap.to_yaml());
        let [_, limits] = clusters(&config) else { panic!("{config:#}") };
        let options = &limits["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
        assert_eq!(options["explicit_http_config"], json!({ "http2_protocol_options": {} }));
        assert_eq!(options.get("auto_config"), None);
        assert_eq!(limits.get("transport_socket").is_some(), tls);
    }
}

#[test]
fn a_cluster_without_tls_has_none_and_a_name_cannot_become_structure() {
    let mut bootstrap = bootstrap();
    bootstrap.upstream = Upstream::Nothing;
    assert_eq!(clusters(&parse(&bootstrap.to_yaml())), [] as [Value; 0]);
    let name = "outbound|80||a\" }\n#{upstream}\n${filter}";
    bootstrap.clusters = vec![cluster(name, false, "127.0.0.1", 8080)];
    let config = parse(&bootstrap.to_yaml());
    let [only] = clusters(&config) else { panic!("{config:#}") };
    assert_eq!(only["name"], json!(name));
    assert_eq!(only.get("transport_socket"), None);
}

#[test]
fn clients_are_asked_for_a_certificate_where_there_is_an_authority_for_them() {
    let context = |bootstrap: &Bootstrap| {
        let config = parse(&bootstrap.to_yaml());
        assert_eq!(manager(&config)["forward_client_cert_details"], json!("SANITIZE"));
        let chain = &config["static_resources"]["listeners"][0]["filter_chains"][0];
        chain["transport_socket"]["typed_config"].clone()
    };
    let mut bootstrap = bootstrap();
    let tls = context(&bootstrap);
    assert_eq!(tls.get("require_client_certificate"), None);
    assert_eq!(tls["common_tls_context"].get("validation_context"), None);
    for required in [false, true] {
        let clients = ClientCertificates { authorities: "clients.pem".into(), required };
        bootstrap.tls.as_mut().unwrap().clients = Some(clients);
        let tls = context(&bootstrap);
        assert_eq!(tls["require_client_certificate"], json!(required));
        let validation = &tls["common_tls_context"]["validation_context"];
        assert_eq!(*validation, json!({ "trusted_ca": { "filename": "clients.pem" } }));
    }
}

#[test]
fn an_upstream_is_a_host_and_a_port() {
    let service = |host: &str, port| Ok(Upstream::Service { host: host.to_owned(), port });
    assert_eq!("a.b-c:80".parse(), service("a.b-c", 80));
    assert_eq!("[::1]:80".parse(), service("::1", 80));
    for bad in [
        "",
        "a",
        "a:",
        "a:0",
        "a:65536",
        ":80",
        "::1:80",
        "[::1:80",
        "http://a:80",
        "a b:80",
        "a\n:80",
    ] {
        assert!(bad.parse::<Upstream>().is_err(), "{bad}");
    }
}

fn elsewhere() -> Vec<UpstreamAt<Upstream>> {
    let services = ["/.well-known/jwks.json=[::1]:3001", "/encrypted/=jose.internal:3001"];
    services.map(|service| service.parse().unwrap()).into()
}

#[test]
fn paths_may_go_elsewhere_and_all_others_to_the_upstream() {
    let mut bootstrap = bootstrap();
    bootstrap.upstreams_at = elsewhere();
    let config = parse(&bootstrap.to_yaml());
    let routes = &manager(&config)["route_config"]["virtual_hosts"][0]["routes"];
    let routes: Vec<(&Value, &Value)> =
        routes.as_array().unwrap().iter().map(|r| (&r["match"], &r["route"]["cluster"])).collect();
    let expected = [
        (json!({ "path": "/.well-known/jwks.json" }), json!("upstream-1")),
        (json!({ "prefix": "/encrypted/" }), json!("upstream-2")),
        (json!({ "prefix": "/" }), json!("upstream")),
    ];
    assert_eq!(routes, expected.iter().map(|(m, c)| (m, c)).collect::<Vec<_>>());
    let names: Vec<&Value> = clusters(&config).iter().map(|cluster| &cluster["name"]).collect();
    assert_eq!(names, ["upstream-1", "upstream-2", "upstream"]);
    let socket = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let expected = json!({ "address": "jose.internal", "port_value": 3001 });
    assert_eq!(*clusters(&config)[1].pointer(socket).unwrap(), expected);
}

/// Where there is a real Envoy and a real filter, it must take what we make.
#[test]
fn envoy_takes_it() {
    let Some((envoy, filter)) = real() else { return };
    let directory = tempfile::tempdir().unwrap();
    for kind in ["tls", "plain", "replay"] {
        let mut bootstrap = bootstrap();
        bootstrap.filter.clone_from(&filter);
        match kind {
            "tls" => {
                crate::cli::dev_credentials::create(directory.path()).unwrap();
                let authority = directory.path().join("ca.pem");
                bootstrap.tls = Some(Certificate {
                    chain: directory.path().join("server.pem"),
                    key: directory.path().join("server.key"),
                    clients: Some(ClientCertificates {
                        authorities: authority.clone(),
                        required: true,
                    }),
                });
                bootstrap.trusted_ca = authority;
                bootstrap.clusters = vec![
                    cluster("issuer", true, "issuer.example", 443),
                    cluster("address", true, "::1", 8443),
                    cluster("outbound|80||keys.internal", false, "keys.internal", 80),
                ];
                bootstrap.admin = Some("127.0.0.1:0".parse().unwrap());
                bootstrap.upstreams_at = elsewhere();
            }
            "plain" => {
                bootstrap.tls = None;
                bootstrap.secrets.clear();
            }
            _ => {
                bootstrap.tls = None;
                bootstrap.upstream = Upstream::Nothing;
                bootstrap.access_log = None;
                bootstrap.replay_clock_header = Some("x-clock".to_owned());
            }
        }
        let path = directory.path().join(format!("{kind}.yaml"));
        std::fs::write(&path, bootstrap.to_yaml()).unwrap();
        let output = Command::new(&envoy)
            .args(["--mode", "validate", "--log-level", "warning", "--config-path"])
            .arg(&path)
            .env("A_SECRET", "x")
            .output()
            .unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_bad_policy_is_no_start_and_the_reason_is_told() {
    let Some((envoy, filter)) = real() else { return };
    let mut bootstrap = bootstrap();
    bootstrap.filter = filter;
    bootstrap.policy = POLICY.replace("prefix", "prefox");
    bootstrap.secrets.clear();
    bootstrap.tls = None;
    bootstrap.upstream = Upstream::Nothing;
    bootstrap.listen = "127.0.0.1:0".parse().unwrap();
    bootstrap.admin = Some("127.0.0.1:0".parse().unwrap());
    let error = Envoy::start(&envoy, &bootstrap, &[]).unwrap_err().to_string();
    assert!(error.contains("prefox"), "{error}");
    bootstrap.policy = POLICY.to_owned();
    let envoy = Envoy::start(&envoy, &bootstrap, &[]).unwrap();
    let mut connection = wire::Connection::open(envoy.address()).unwrap();
    let answer = connection.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", false, false).unwrap();
    assert_eq!(answer.status, 200);
}

/// PORTCULLIS_ENVOY and PORTCULLIS_ARTIFACTS, as `cargo xtask test` sets them.
fn real() -> Option<(PathBuf, PathBuf)> {
    let envoy = std::env::var_os("PORTCULLIS_ENVOY").map(PathBuf::from);
    let filter =
        std::env::var_os("PORTCULLIS_ARTIFACTS").map(|path| PathBuf::from(path).join("gate.wasm"));
    let both = envoy.zip(filter).filter(|(envoy, filter)| envoy.exists() && filter.exists());
    if both.is_none() {
        eprintln!("SKIPPED: PORTCULLIS_ENVOY or PORTCULLIS_ARTIFACTS/gate.wasm is not there");
    }
    both
}
