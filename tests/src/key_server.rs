//! A server of keys and other documents that the gate fetches, which can misbehave in every way that such servers do.
//!
//! It writes its answers byte by byte itself: a library for HTTP would not let it lie.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Where OpenID Connect discovery looks; it is answered unless a document stands there.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Where the discovery document says that the keys are.
pub const JWKS_PATH: &str = "/jwks.json";

/// How the server answers from now on. What is under way goes on as it began, but for what hangs, which is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// What was put there, or 404.
    #[default]
    Serve,
    /// Nothing, ever, on a connection that stays open.
    Hang,
    /// The right answer, a byte each tenth of a second.
    Trickle,
    /// A Content-Length beyond the end of the body.
    LengthTooLong,
    /// A Content-Length before the end of the body.
    LengthTooShort,
    /// Bytes that are not HTTP.
    Garbage,
    /// 200 with a page for humans, as captive portals and error pages are.
    Html,
    /// 404 whatever is asked for.
    NotFound,
    /// 500.
    Error,
    /// 302 to where a good set stands, on this very server.
    Redirect,
    /// 200 with a good set that is longer than 64 KiB.
    Large,
    /// 200 with a body that has no end.
    Endless,
    /// The connection is closed without a byte.
    Close,
}

/// A server on loopback; with TLS if it is given a certificate.
pub struct KeyServer {
    runtime: Handle,
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    tls: Option<TlsAcceptor>,
    behaviour: watch::Sender<Behaviour>,
    documents: Mutex<BTreeMap<String, Vec<u8>>>,
    /// By path, the query left off.
    requests: Mutex<BTreeMap<String, usize>>,
    issuer: Mutex<Option<String>>,
}

/// The files of a server's certificate, PEM.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The chain, the server's own first.
    pub certificate: &'a std::path::Path,
    /// Its private key.
    pub key: &'a std::path::Path,
}

impl KeyServer {
    /// Starts a server that has nothing yet. With an `identity` it speaks TLS.
    ///
    /// # Errors
    ///
    /// The certificate is unusable, or there is no port.
    pub fn start(runtime: &Handle, identity: Option<Identity<'_>>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            tls: identity.map(acceptor).transpose()?,
            behaviour: watch::Sender::new(Behaviour::Serve),
            documents: Mutex::default(),
            requests: Mutex::default(),
            issuer: Mutex::default(),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { runtime: runtime.clone(), address, shared, server: None };
        server.appear()?;
        Ok(server)
    }

    /// Where it is, such as `https://127.0.0.1:12345`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.origin(self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Puts a document at `path`, in place of the one there: a rotation, as clients see it.
    pub fn put(&self, path: &str, document: &Value) {
        let bytes = document.to_string().into_bytes();
        lock(&self.shared.documents).insert(path.to_owned(), bytes);
    }

    /// Takes away the document at `path`.
    pub fn remove(&self, path: &str) {
        lock(&self.shared.documents).remove(path);
    }

    /// What the discovery document says is the issuer; by default the server itself.
    pub fn set_issuer(&self, issuer: &str) {
        *lock(&self.shared.issuer) = Some(issuer.to_owned());
    }

    /// Behaves so from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// How many requests for `path` have come, answered or not.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.shared.requests).get(path).copied().unwrap_or_default()
    }

    /// Closes the port and all connections. Call it outside of the runtime.
    pub fn disappear(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Ended, by the abort.
            let _ = self.runtime.block_on(server);
        }
    }

    /// Opens the port again, the same one. Call it outside of the runtime.
    ///
    /// # Errors
    ///
    /// Somebody else has the port by now.
    pub fn appear(&mut self) -> io::Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let listener = self.runtime.block_on(TcpListener::bind(self.address));
        let listener = listener
            .map_err(|error| io::Error::other(format!("listening on {}: {error}", self.address)))?;
        self.address = listener.local_addr()?;
        self.server = Some(self.runtime.spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn acceptor(identity: Identity<'_>) -> io::Result<TlsAcceptor> {
    let unusable = |path: &std::path::Path, error: rustls::pki_types::pem::Error| {
        io::Error::other(format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(identity.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(identity.certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(identity.key)
        .map_err(|error| unusable(identity.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else { return };
    // Aborts its connections when it is dropped, which it is when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // How the gate ends a connection is its own affair.
            let _ = match shared.tls.clone() {
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => shared.serve(stream, address).await,
                    Err(error) => Err(error),
                },
                None => shared.serve(socket, address).await,
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    fn origin(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Answers requests one after the other until the client has gone.
    async fn serve(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        address: SocketAddr,
    ) -> std::io::Result<()> {
        let mut read = Vec::new();
        while let Some(path) = next_request(&mut stream, &mut read).await? {
            let path = path.split('?').next().unwrap_or_default().to_owned();
            *lock(&self.requests).entry(path.clone()).or_default() += 1;
            let behaviour = *self.behaviour.borrow();
            let goes_on = self.answer(&mut stream, address, &path, behaviour).await?;
            if !goes_on {
                return stream.shutdown().await;
            }
        }
        Ok(())
    }

    /// Answers one request; false if the connection is at its end.
    async fn answer(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        address: SocketAddr,
        path: &str,
        behaviour: Behaviour,
    ) -> std::io::Result<bool> {
        const JSON: &str = "application/json";
        let document = self.document(path, address);
        let good = document.clone().unwrap_or_default();
        let answer = match behaviour {
            Behaviour::Serve => match document {
                Some(document) => response("200 OK", JSON, document.len(), &document),
                None => response("404 Not Found", "text/plain", 9, b"not found"),
            },
            Behaviour::Hang => {
                let mut behaviour = self.behaviour.subscribe();
                // Until it is told to behave otherwise.
                let _ = behaviour.wait_for(|now| *now != Behaviour::Hang).await;
                return Ok(false);
            }
            Behaviour::Trickle => {
                for byte in response("200 OK", JSON, good.len(), &good) {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                return Ok(true);
            }
            Behaviour::LengthTooLong => {
                let answer = response("200 OK", JSON, good.len() + 1000, &good);
                stream.write_all(&answer).await?;
                return Ok(false);
            }
            Behaviour::LengthTooShort => {
                let answer = response("200 OK", JSON, good.len() / 2, &good);
                stream.write_all(&answer).await?;
                return Ok(false);
            }
            Behaviour::Garbage => {
                stream.write_all(b"\x16\x03\x01SSH-2.0-garbage\r\n\0\0\xff\xfe\r\n\r\n").await?;
                return Ok(false);
            }
            Behaviour::Html => {
                let page = b"<!doctype html><title>Welcome</title><p>Log in to use this network.";
                response("200 OK", "text/html", page.len(), page)
            }
            Behaviour::NotFound => response("404 Not Found", "text/plain", 9, b"not found"),
            Behaviour::Error => response("500 Internal Server Error", "text/plain", 5, b"error"),
            Behaviour::Redirect => {
                let location = format!("{}{JWKS_PATH}", self.origin(address));
                format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                    .into_bytes()
            }
            Behaviour::Large => {
                // White space is part of no JSON text: the set is as good as before.
                let body = [good.as_slice(), &vec![b' '; 70 << 10]].concat();
                response("200 OK", JSON, body.len(), &body)
            }
            Behaviour::Endless => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                            transfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
                // Until the client has had enough.
                loop {
                    stream.write_all(&chunk).await?;
                    tokio::task::yield_now().await;
                }
            }
            Behaviour::Close => return Ok(false),
        };
        stream.write_all(&answer).await?;
        stream.flush().await?;
        Ok(true)
    }

    fn document(&self, path: &str, address: SocketAddr) -> Option<Vec<u8>> {
        let document = lock(&self.documents).get(path).cloned();
        document.or_else(|| {
            let origin = self.origin(address);
            let issuer = lock(&self.issuer).clone().unwrap_or_else(|| origin.clone());
            let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{origin}{JWKS_PATH}") });
            (path == DISCOVERY_PATH).then(|| metadata.to_string().into_bytes())
        })
    }
}

/// A whole answer, with a length that need not be true.
fn response(status: &str, content_type: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The target of the next request, which has no body; none if the client has gone.
async fn next_request(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut Vec<u8>,
) -> std::io::Result<Option<String>> {
    const LIMIT: usize = 64 << 10;
    const END: &[u8] = b"\r\n\r\n";
    loop {
        if let Some(end) = read.windows(END.len()).position(|window| window == END) {
            let head: Vec<u8> = read.drain(..end + END.len()).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            return Ok(head.split(' ').nth(1).map(str::to_owned));
        }
        if read.len() > LIMIT || stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// What comes back for a GET, until the server closes or `patience` is over.
    fn get(address: SocketAddr, path: &str, patience: Duration) -> Option<String> {
        let mut socket = TcpStream::connect(address).ok()?;
        socket.set_read_timeout(Some(patience)).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: keys\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = socket.take(300_000).read_to_end(&mut answer);
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn it_behaves_as_it_is_told() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut server = KeyServer::start(runtime.handle(), None).unwrap();
        let address = server.address;
        let get = |path: &str| get(address, path, Duration::from_millis(300));
        server.put(JWKS_PATH, &json!({ "keys": ["a"] }));

        assert!(get(JWKS_PATH).unwrap().ends_with(r#"{"keys":["a"]}"#));
        server.put(JWKS_PATH, &json!({ "keys": ["b"] }));
        assert!(get(JWKS_PATH).unwrap().ends_with(r#"{"keys":["b"]}"#));
        assert!(get("/other?a=b").unwrap().starts_with("HTTP/1.1 404 "));
        let discovery = get(DISCOVERY_PATH).unwrap();
        assert!(discovery.contains(&format!("{}{JWKS_PATH}", server.origin())), "{discovery}");
        assert_eq!((server.requests(JWKS_PATH), server.requests("/other")), (2, 1));

        for (behaviour, begins) in [
            (Behaviour::Hang, ""),
            (Behaviour::Trickle, "HT"),
            (Behaviour::LengthTooLong, "HTTP/1.1 200 OK\r\n"),
            (Behaviour::LengthTooShort, "HTTP/1.1 200 OK\r\n"),
            (Behaviour::Garbage, "\u{16}\u{3}\u{1}SSH"),
            (Behaviour::Html, "HTTP/1.1 200 OK\r\ncontent-type: text/html"),
            (Behaviour::NotFound, "HTTP/1.1 404 "),
            (Behaviour::Error, "HTTP/1.1 500 "),
            (Behaviour::Redirect, "HTTP/1.1 302 "),
            (Behaviour::Large, "HTTP/1.1 200 OK\r\n"),
            (Behaviour::Endless, "HTTP/1.1 200 OK\r\n"),
            (Behaviour::Close, ""),
        ] {
            server.behave(behaviour);
            let answer = get(JWKS_PATH).unwrap();
            assert!(answer.starts_with(begins), "{behaviour:?}: {answer}");
            assert_eq!(answer.is_empty(), begins.is_empty(), "{behaviour:?}");
        }

        server.disappear();
        assert_eq!(get(JWKS_PATH), None);
        server.appear().unwrap();
        server.behave(Behaviour::Serve);
        assert!(get(JWKS_PATH).unwrap().ends_with(r#"{"keys":["b"]}"#));
    }
}
