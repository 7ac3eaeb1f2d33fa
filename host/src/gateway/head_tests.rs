use super::*;

fn peer() -> Peer {
    Peer {
        address: "192.0.2.7:4711".parse().unwrap(),
        local_address: "192.0.2.1:80".parse().unwrap(),
        tls: None,
    }
}

fn read(request: request::Builder) -> Result<Fields, Malformed> {
    let (head, ()) = request.body(()).unwrap().into_parts();
    request_fields(&head, &peer(), "id")
}

#[test]
fn what_an_edge_proxy_sets_cannot_be_set_by_the_client() {
    let request = Request::post("/a/../b?c")
        .header("host", "api.example.com")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "for=10.0.0.1;host=admin.internal")
        .header("x-forwarded-host", "admin.internal")
        .header("x-real-ip", "10.0.0.1")
        .header("x-envoy-internal", "true")
        .header("x-forwarded-client-cert", "Hash=00;Subject=\"CN=admin\"")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("te", "gzip")
        .header("x-thing", "a")
        .header("x-thing", "b");
    let fields = read(request).unwrap();
    assert_eq!(fields.first(":path"), Some(&b"/b?c"[..]));
    assert_eq!(fields.first(":authority"), Some(&b"api.example.com"[..]));
    assert_eq!(fields.first(":scheme"), Some(&b"http"[..]));
    assert_eq!(fields.first("x-forwarded-for"), Some(&b"10.0.0.1,192.0.2.7"[..]));
    assert_eq!(fields.all(b"x-forwarded-proto").collect::<Vec<_>>(), [b"http"]);
    assert_eq!(fields.all(b"x-thing").count(), 2);
    let gone = ["host", "connection", "x-hop", "te", "x-envoy-internal"];
    let told = ["x-forwarded-client-cert", "forwarded", "x-forwarded-host", "x-real-ip"];
    for gone in gone.into_iter().chain(told) {
        assert_eq!(fields.first(gone), None, "{gone}");
    }
}

#[test]
fn two_authorities_are_refused() {
    let two = Request::get("/").header("host", "a").header("host", "b");
    assert_eq!(read(two), Err(Malformed("more than one Host field")));
    assert!(read(Request::get("/")).is_err());
    assert!(read(Request::get("/").header("host", "a b")).is_err());
    assert!(read(Request::get("/").header("host", "user@a")).is_err());
    let differ = Request::get("http://a/").version(http::Version::HTTP_2).header("host", "b");
    assert!(read(differ).is_err());
}

#[test]
fn a_function_without_filters_is_told_what_is_its_own() {
    let get = |request: request::Builder| {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        end_to_end(&mut head).map(|()| head.headers)
    };
    let request = Request::get("/")
        .header("host", "a")
        .header("connection", "x-hop, host, te")
        .header("x-hop", "1")
        .header("keep-alive", "1")
        .header("te", "trailers")
        .header("x-thing", "b");
    let headers = get(request).unwrap();
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["host", "te", "x-thing"]);
    assert!(get(Request::get("/")).is_err());
    assert!(get(Request::get("/").header("host", "a").header("host", "a")).is_err());
    assert!(get(Request::connect("a:1").header("host", "a:1")).is_err());
    let coded = Request::post("/").header("host", "a").header("transfer-encoding", "gzip");
    assert!(get(coded).is_err());
}

#[test]
fn two_lengths_are_refused() {
    let post = || Request::post("/").header("host", "a");
    assert!(read(post().header("transfer-encoding", "Chunked")).is_ok());
    assert!(read(post().header("content-length", "1")).is_ok());
    for coding in ["gzip, chunked", "chunked, chunked", "gzip", "identity", "", "chunked "] {
        assert!(read(post().header("transfer-encoding", coding)).is_err(), "{coding}");
    }
    let chunked = || post().header("transfer-encoding", "chunked");
    assert!(read(chunked().header("transfer-encoding", "chunked")).is_err());
    assert!(read(chunked().header("content-length", "1")).is_err());
    let length = post().header("content-length", "1").header("content-length", "1");
    assert!(read(length).is_err());
}

#[test]
fn what_filters_make_must_be_http() {
    let mut fields: Fields = [
        (":method", "POST"),
        (":path", "/"),
        (":authority", "a"),
        (":scheme", "http"),
        ("content-length", "999"),
    ]
    .into_iter()
    .collect();
    let request = upstream_request(&fields).unwrap();
    assert!(!request.headers().contains_key(CONTENT_LENGTH));
    fields.add("x", "a\r\nhost: evil");
    assert!(upstream_request(&fields).is_err());
}
