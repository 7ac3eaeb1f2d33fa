//! A connection as it comes in: TLS, and which version of HTTP is spoken on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::client_certificate;
use super::framing::Framing;
use super::socket::Socket;
use crate::proxy_wasm::PeerCertificate;

/// What is known of the client before its first request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local_address: SocketAddr,
    /// What was agreed on, if the connection is encrypted.
    pub tls: Option<Tls>,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Such as `TLSv1.3`, as Envoy names it.
    pub version: &'static str,
    /// The server name the client asked for.
    pub server_name: Option<String>,
    /// The client's certificate, if it presented one: it has been verified then.
    pub client: Option<PeerCertificate>,
}

/// The version of HTTP on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A plain or encrypted stream, some of whose bytes may have been read already.
pub(super) struct Stream {
    socket: Transport,
    read_ahead: Vec<u8>,
    taken: usize,
    framing: Option<Framing>,
}

enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// Readies a connection: the TLS handshake, the look at what a plain client sends first, and the preface of HTTP/2. The
/// caller bounds the time it takes.
pub(super) async fn ready(
    socket: Socket,
    address: SocketAddr,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<(Stream, Protocol, Peer)> {
    let mut peer = Peer { address, local_address: socket.local_address()?, tls: None };
    let Some(config) = tls else {
        let mut socket = socket;
        let (read_ahead, protocol) = recognise(&mut socket).await?;
        let stream = Stream::new(Transport::Plain(socket), read_ahead);
        return Ok((stream, protocol, peer));
    };

    let mut stream = TlsAcceptor::from(config.clone()).accept(socket).await?;
    let (_, session) = stream.get_ref();
    let protocol = match session.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let client = session.peer_certificates().and_then(<[_]>::first);
    let client = client.map(|certificate| client_certificate::read(certificate)).transpose()?;
    peer.tls = Some(Tls { version, server_name: session.server_name().map(str::to_owned), client });
    // hyper waits for the preface as long as the client likes; the caller does not.
    let read_ahead = match protocol {
        Protocol::Http1 => Vec::new(),
        Protocol::Http2 => recognise(&mut stream).await?.0,
    };
    let socket = Transport::Tls(Box::new(stream));
    Ok((Stream::new(socket, read_ahead), protocol, peer))
}

/// HTTP/2 with prior knowledge begins with its preface (RFC 9113 section 3.4), which no HTTP/1
/// request begins with.
async fn recognise(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Protocol)> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    let mut read = Vec::with_capacity(PREFACE.len());
    while read.len() < PREFACE.len() {
        let mut buffer = [0; 24];
        let room = buffer.get_mut(..PREFACE.len() - read.len()).unwrap_or_default();
        let count = socket.read(room).await?;
        read.extend(room.iter().take(count));
        if count == 0 || !PREFACE.starts_with(&read) {
            return Ok((read, Protocol::Http1));
        }
    }
    Ok((read, Protocol::Http2))
}

impl Stream {
    fn new(socket: Transport, read_ahead: Vec<u8>) -> Self {
        Self { socket, read_ahead, taken: 0, framing: None }
    }

    /// Lets this see what is read from now on.
    pub(super) fn watched(self, framing: Framing) -> Self {
        Self { framing: Some(framing), ..self }
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = self.read_ahead.get(self.taken..).unwrap_or_default();
        if !ahead.is_empty() {
            let count = ahead.len().min(buffer.remaining());
            buffer.put_slice(ahead.get(..count).unwrap_or_default());
            self.taken += count;
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Tls(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = this.poll_next(cx, buffer);
        if let Some(framing) = &mut this.framing {
            framing.read(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().socket {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
