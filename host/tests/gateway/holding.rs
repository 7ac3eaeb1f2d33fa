//! Clients that hold connections and do nothing with them: each is got rid of.

use super::*;
use tokio::net::TcpSocket;

const SOON: Duration = Duration::from_secs(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// SETTINGS_INITIAL_WINDOW_SIZE 0: no response has room for its body.
const SHUT: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// HEADERS of stream 1: GET / of http://a.
const GET: &[u8] = &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a'];

/// Nothing is behind it: it answers 503.
fn nowhere() -> Upstream {
    Upstream::Http("http://127.0.0.1:9".parse().unwrap())
}

fn limits() -> ServerLimits {
    let short = Duration::from_millis(300);
    ServerLimits {
        head_timeout: short,
        write_timeout: short,
        idle_timeout: short,
        grace: short,
        ..ServerLimits::default()
    }
}

/// Reads frames, answers each PING, and tells the types of those that came with their streams, once the server has closed.
async fn frames(socket: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Vec<(u8, u32)> {
    let mut seen = Vec::new();
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).await.is_err() {
            return seen;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.unwrap();
        seen.push((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])));
        if head[3] == 6 && head[4] == 0 {
            head[4] = 1;
            // It may have closed meanwhile.
            let _ = socket.write_all(&[&head, &payload[..]].concat()).await;
        }
    }
}

#[tokio::test]
async fn http2_over_tls_without_a_whole_preface_is_not_waited_for() {
    let clients = Clients::new();
    let tls = Some(clients.server(false));
    let module = probe::module("");
    let running = Running::with(Host::default(), module, nowhere(), limits(), tls).await;
    let mut config = Arc::unwrap_or_clone(clients.config(None));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for part in [&b""[..], &PREFACE[..12]] {
        let socket = TcpStream::connect(running.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = connector.connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(part).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest));
        // With or without TLS's own end.
        let _ = read.await.expect("the connection is closed");
    }
    let socket = TcpStream::connect(running.address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
    stream.write_all(&[PREFACE, SETTINGS, GET].concat()).await.unwrap();
    let seen = tokio::time::timeout(SOON, frames(&mut stream)).await.unwrap();
    assert!(seen.contains(&(1, 1)), "a whole one is served: {seen:?}");
}

#[tokio::test]
async fn http2_without_requests_is_ended_whatever_else_comes() {
    let running = Running::start(nowhere(), limits()).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let seen = tokio::time::timeout(SOON, frames(&mut socket)).await;
    let seen = seen.expect("the connection is closed");
    assert!(seen.contains(&(7, 0)), "GOAWAY comes first: {seen:?}");
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_is_reset_and_then_its_connection_is_idle() {
    let running = Running::start(nowhere(), limits()).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(&[PREFACE, SHUT, GET].concat()).await.unwrap();
    let seen = tokio::time::timeout(SOON, frames(&mut socket)).await;
    let seen = seen.expect("the connection is closed");
    let place = |frame| seen.iter().position(|seen| *seen == frame);
    let (head, reset, away) = (place((1, 1)), place((3, 1)), place((7, 0)));
    assert!(head.is_some() && head < reset && reset < away, "{seen:?}");
}

#[tokio::test]
async fn who_sends_requests_and_reads_no_answer_is_ended() {
    let running = Running::start(nowhere(), limits()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let mut socket = socket.connect(running.address).await.unwrap();
    let requests = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
    let flood = async { while socket.write_all(requests.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(6 * SOON, flood).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_connection_grows_old_although_it_is_used() {
    let limits = ServerLimits { age: Duration::from_millis(500), ..ServerLimits::default() };
    let running = Running::start(nowhere(), limits).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let begun = Instant::now();
    let used = async {
        let mut buffer = [0; 4096];
        while socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok() {
            if socket.read(&mut buffer).await.unwrap_or(0) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, used).await.expect("the connection is closed");
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_that_runs_is_no_idle_connection() {
    let (upstream, release) = slow_upstream().await;
    let running = Running::start(upstream, limits()).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    release.send(()).unwrap();
    let mut response = Vec::new();
    tokio::time::timeout(SOON, socket.read_to_end(&mut response)).await.unwrap().unwrap();
    assert!(response.ends_with(b"last\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&response));
}

#[tokio::test]
async fn one_client_does_not_take_all_places() {
    let limits = ServerLimits { connections_per_client: 2, ..ServerLimits::default() };
    let running = Running::start(nowhere(), limits).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let _second = TcpStream::connect(running.address).await.unwrap();
    let mut third = TcpStream::connect(running.address).await.unwrap();
    let refused = tokio::time::timeout(SOON, third.read(&mut [0; 1])).await;
    assert!(matches!(refused.expect("it is refused at once"), Ok(0) | Err(_)));
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(running.get("/").await.starts_with("HTTP/1.1 503 "));
}
