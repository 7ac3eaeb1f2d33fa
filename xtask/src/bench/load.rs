//! The load: a few connections, each with one request under way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How many connections there are.
const CONNECTIONS: u32 = 8;

/// The longest head of a response.
const MAXIMUM_HEAD: usize = 64 * 1024;

pub(super) struct Load<'a> {
    connections: Vec<TcpStream>,
    request: &'a [u8],
    expected_status: u16,
}

impl<'a> Load<'a> {
    pub(super) fn connect(
        address: SocketAddr,
        request: &'a [u8],
        expected_status: u16,
    ) -> Result<Self> {
        let connect = |_| {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(Duration::from_secs(10)))?;
            Ok::<_, std::io::Error>(connection)
        };
        let connections = (0..CONNECTIONS).map(connect).collect::<Result<_, _>>()?;
        Ok(Self { connections, request, expected_status })
    }

    /// Sends the request `count` times. Every answer must be the expected one: a figure for refusals would say
    /// nothing.
    pub(super) fn run(mut self, count: u32) -> Result<()> {
        let mut buffer = Vec::new();
        for _ in 0..count.div_ceil(CONNECTIONS) {
            for connection in &mut self.connections {
                connection.write_all(self.request)?;
            }
            for connection in &mut self.connections {
                let status = read_response(connection, &mut buffer)?;
                if status != self.expected_status {
                    let text = String::from_utf8_lossy(&buffer);
                    bail!("expected status {}, found {text}", self.expected_status);
                }
            }
        }
        Ok(())
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
            0 => bail!("Envoy closed the connection: {}", String::from_utf8_lossy(buffer)),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}
