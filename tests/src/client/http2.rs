//! HTTP/2, by hyper: what it refuses to send, no server sees.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, Outgoing, Trust, connect};

/// A connection that stays, for many requests.
#[derive(Debug, Clone)]
pub struct Connection {
    sender: http2::SendRequest<Empty<Bytes>>,
    address: SocketAddr,
}

impl Connection {
    /// Connects over TLS.
    ///
    /// # Errors
    ///
    /// There is no connection.
    pub async fn open(address: SocketAddr, trust: &Trust) -> Result<Self> {
        let outgoing = Outgoing { http2: true, ..Outgoing::default() };
        let stream = connect(address, Some(trust), &outgoing).await?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // Ends when the last sender is dropped.
        tokio::spawn(connection);
        Ok(Self { sender, address })
    }

    /// The status of the answer.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn status(&mut self, path: &str) -> Result<u16> {
        let uri = format!("https://localhost:{}{path}", self.address.port());
        let response = self.sender.send_request(Request::get(uri).body(Empty::new())?).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await.context("the body of the answer")?;
        Ok(status)
    }
}

pub(super) async fn exchange<S>(
    stream: S,
    address: SocketAddr,
    outgoing: &Outgoing,
) -> Result<Option<Answer>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // Ends when the sender is dropped.
    let connection = tokio::spawn(connection);

    let mut request = Request::builder().method(outgoing.method.as_str()).uri(format!(
        "https://localhost:{}{}",
        address.port(),
        outgoing.path
    ));
    if let Some(headers) = request.headers_mut() {
        *headers = header_map(&outgoing.fields)?;
    }
    let body = Full::new(Bytes::from(outgoing.body.clone().unwrap_or_default()));
    let trailers = header_map(&outgoing.trailers)?;
    let body = match outgoing.trailers.is_empty() {
        true => body.boxed_unsync(),
        false => body.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync(),
    };
    let answer = sender.send_request(request.body(body)?).await;
    let answer = match answer {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let headers = head.headers.iter().map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            let headers = headers.collect();
            let body = body.collect().await.context("the body of the answer")?.to_bytes().to_vec();
            Some(Answer { status: head.status.as_u16(), headers, body })
        }
        // The stream was reset, or the connection closed.
        Err(_) => None,
    };
    connection.abort();
    Ok(answer)
}

fn header_map(fields: &[(String, Vec<u8>)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            HeaderName::from_bytes(name.as_bytes())?,
            HeaderValue::from_bytes(value).with_context(|| format!("field {name}"))?,
        );
    }
    Ok(map)
}
