//! The load: a few connections, each with one request under way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How many connections there are.
const CONNECTIONS: u32 = 8;

/// The longest head of a response.
const MAXIMUM_HEAD: usize = 64 * 1024;

/// The status of an answer to a request that was let through. A figure for refusals would say nothing.
const EXPECTED_STATUS: u16 = 200;

/// Requests that are alike but for the credential.
pub(super) struct Load {
    request: Request,
    credentials: Arc<[String]>,
    next: usize,
    order: Order,
}

/// How the credentials are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The first one for ever.
    First,
    /// One after the other, and again from the beginning.
    Around,
    /// Each once: nothing is sent that has been seen before.
    Once,
}

/// What carries the credential.
#[derive(Debug, Clone, Copy)]
pub(super) enum Carrier {
    Bearer,
    ApiKey,
}

impl Load {
    pub(super) fn get(carrier: Carrier, credentials: Arc<[String]>, order: Order) -> Self {
        Self { request: Request::new(carrier, None), credentials, next: 0, order }
    }

    pub(super) fn post(body: &str, carrier: Carrier, credentials: Arc<[String]>) -> Self {
        let request = Request::new(carrier, Some(body));
        Self { request, credentials, next: 0, order: Order::First }
    }

    pub(super) fn connect(&self, address: SocketAddr) -> Result<Vec<TcpStream>> {
        (0..CONNECTIONS).map(|_| connect(address)).collect()
    }

    /// How many requests [`Self::run`] sends when asked for `count`: whole turns over the connections.
    pub(super) fn rounded(count: u32) -> u32 {
        count.next_multiple_of(CONNECTIONS)
    }

    /// Sends at least `count` requests and answers how many they were.
    pub(super) fn run(&mut self, mut connections: Vec<TcpStream>, count: u32) -> Result<u32> {
        let (mut request, mut response) = (Vec::new(), Vec::new());
        let count = Self::rounded(count);
        for _ in 0..count / CONNECTIONS {
            for connection in &mut connections {
                let credential = self.credential()?;
                self.request.write(&self.credentials[credential], &mut request);
                connection.write_all(&request)?;
            }
            for connection in &mut connections {
                let status = read_response(connection, &mut response)?;
                if status != EXPECTED_STATUS {
                    let text = String::from_utf8_lossy(&response);
                    bail!("expected status {EXPECTED_STATUS}, found {text}");
                }
            }
        }
        Ok(count)
    }

    /// Sends one request and answers the status, whatever it is.
    pub(super) fn probe(&mut self, address: SocketAddr) -> Result<u16> {
        let mut connection = connect(address)?;
        let mut buffer = Vec::new();
        let credential = self.credential()?;
        self.request.write(&self.credentials[credential], &mut buffer);
        connection.write_all(&buffer)?;
        read_response(&mut connection, &mut buffer)
    }

    /// The place of the credential that is next.
    fn credential(&mut self) -> Result<usize> {
        let place = self.next;
        self.next += 1;
        match self.order {
            Order::First => Ok(0),
            Order::Around => Ok(place % self.credentials.len()),
            Order::Once if place < self.credentials.len() => Ok(place),
            Order::Once => bail!("all {place} credentials have been used"),
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connection = TcpStream::connect(address).context("connecting")?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(connection)
}

/// A request with 11 header fields, as a browser or a client library sends them, cut where the credential goes.
struct Request {
    before: String,
    after: String,
}

impl Request {
    fn new(carrier: Carrier, body: Option<&str>) -> Self {
        let (method, path) = match body {
            Some(_) => ("POST", "/v1/predict"),
            None => ("GET", "/v1/model"),
        };
        let field = match carrier {
            Carrier::Bearer => "authorization: Bearer ",
            Carrier::ApiKey => "x-api-key: ",
        };
        let body = body.unwrap_or_default();
        let before = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench/1.0\r\n\
             accept: application/json\r\naccept-language: en\r\naccept-encoding: identity\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nx-client-version: 1.2.3\r\n\
             x-trace: 0123456789abcdef\r\norigin: https://app.example\r\n{field}",
            body.len()
        );
        Self { before, after: format!("\r\n\r\n{body}") }
    }

    fn write(&self, credential: &str, to: &mut Vec<u8>) {
        to.clear();
        for part in [&self.before, credential, &self.after] {
            to.extend_from_slice(part.as_bytes());
        }
    }
}

/// Reads one response with a content-length and answers its status.
fn read_response(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
            if buffer.len() >= end + 4 + length {
                return status.context("a response without a status");
            }
        } else if buffer.len() > MAXIMUM_HEAD {
            bail!("a response head of more than {MAXIMUM_HEAD} bytes");
        }
        match connection.read(&mut chunk)? {
            0 => bail!("the server closed the connection: {}", String::from_utf8_lossy(buffer)),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(order: Order, count: usize) -> Vec<Option<usize>> {
        let credentials = ["a", "b", "c"].map(str::to_owned).into();
        let mut load = Load::get(Carrier::Bearer, credentials, order);
        (0..count).map(|_| load.credential().ok()).collect()
    }

    #[test]
    fn credentials_are_used_in_the_order_asked_for() {
        assert_eq!(places(Order::First, 2), [Some(0), Some(0)]);
        assert_eq!(places(Order::Around, 4), [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(places(Order::Once, 4), [Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn a_request_has_its_credential_and_body() {
        let mut written = Vec::new();
        Request::new(Carrier::ApiKey, Some("{}")).write("secret", &mut written);
        let text = String::from_utf8(written).unwrap();
        assert!(text.starts_with("POST /v1/predict HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("\r\ncontent-length: 2\r\n"), "{text}");
        assert!(text.ends_with("\r\nx-api-key: secret\r\n\r\n{}"), "{text}");
        let head = text.split_once("\r\n\r\n").unwrap().0;
        assert_eq!(head.lines().skip(1).count(), 11);
    }
}
