//! HTTP/1.1, written and read by hand: a library would not send what is wrong.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Answer, Outgoing};

/// Bytes in a chunk.
const CHUNK: usize = 7;

/// The longest answer that is read.
const MAXIMUM_ANSWER: usize = 4 << 20;

pub(super) async fn exchange<S>(
    stream: S,
    address: SocketAddr,
    outgoing: &Outgoing,
) -> Result<Option<Answer>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = match &outgoing.raw {
        Some(raw) => raw.clone(),
        None => outgoing.to_http1(address),
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    if let Some(count) = outgoing.disconnect_after {
        writer.write_all(bytes.get(..count).unwrap_or(&bytes)).await?;
        writer.flush().await?;
        return Ok(None);
    }
    let write = async {
        // The answer may come, and the connection be closed, before everything is written.
        if writer.write_all(&bytes).await.is_ok() {
            let _ = writer.flush().await;
        }
        std::future::pending::<()>().await;
    };
    let is_head = outgoing.raw.is_none() && outgoing.method == "HEAD";
    tokio::select! {
        answer = read(&mut reader, is_head) => answer,
        () = write => Ok(None),
    }
}

impl Outgoing {
    fn to_http1(&self, address: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            field("host", format!("localhost:{}", address.port()).as_bytes());
        }
        for (name, value) in &self.fields {
            field(name, value);
        }
        let chunked = self.chunked || !self.trailers.is_empty();
        match &self.body {
            Some(_) if chunked => field("transfer-encoding", b"chunked"),
            Some(body) => field("content-length", body.len().to_string().as_bytes()),
            None => {}
        }
        bytes.extend_from_slice(b"\r\n");
        let Some(body) = &self.body else { return bytes };
        if !chunked {
            bytes.extend_from_slice(body);
            return bytes;
        }
        for chunk in body.chunks(CHUNK) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n");
        for (name, value) in &self.trailers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// Reads one answer; None where the connection ends before there is one, or what comes is not HTTP.
async fn read(reader: &mut (impl AsyncRead + Unpin), is_head: bool) -> Result<Option<Answer>> {
    let mut received = Vec::new();
    let mut ended = false;
    loop {
        if let Some(answer) = parse(&received, is_head, ended)? {
            return Ok(Some(answer));
        }
        let is_http = b"HTTP/1.1 ".iter().zip(&received).all(|(expected, byte)| expected == byte);
        if ended || !is_http {
            return Ok(None);
        }
        if received.len() > MAXIMUM_ANSWER {
            bail!("the answer is longer than {MAXIMUM_ANSWER} bytes");
        }
        // A connection that breaks off has ended as well.
        ended = !matches!(reader.read_buf(&mut received).await, Ok(count) if count > 0);
    }
}

/// The answer, once it is complete.
fn parse(received: &[u8], is_head: bool, ended: bool) -> Result<Option<Answer>> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&received[..end]);
    let rest = &received[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let status = status.parse().with_context(|| format!("status {status:?}"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if is_head || matches!(status, 204 | 304) {
        return Ok(Some(answer));
    }
    let body = if answer.header("transfer-encoding").is_some() {
        dechunked(rest)?
    } else if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().with_context(|| format!("length {length:?}"))?;
        rest.get(..length).map(<[u8]>::to_vec)
    } else {
        ended.then(|| rest.to_vec())
    };
    Ok(body.map(|body| {
        answer.body = body;
        answer
    }))
}

/// The body out of its chunks, once the last one is there.
fn dechunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&rest[..end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk {line:?}"))?;
        if size == 0 {
            return Ok(Some(body));
        }
        let begin = end + 2;
        let Some(chunk) = rest.get(begin..begin + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(after) = rest.get(begin + size + 2..) else { return Ok(None) };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole() {
        let complete = |text: &str| parse(text.as_bytes(), false, false).unwrap().map(|a| a.body);
        assert_eq!(complete("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(complete("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"), None);
        assert_eq!(complete("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Some(b"ab".into()));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n";
        assert_eq!(complete(chunked), None);
        assert_eq!(complete(&format!("{chunked}0\r\n\r\n")), Some(b"abc".into()));
    }
}
