//! HTTP/1.1 by hand: requests that no client library would send, byte for byte as they are to be.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }
}

/// No response came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the connection was closed before a whole response had come")]
    Closed,
    #[error("the response is not one that can be read: {0}")]
    Unreadable(&'static str),
}

/// A connection that is kept for as long as both sides keep to the framing.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What came after the last response.
    rest: Vec<u8>,
}

/// How long one read or write may take.
const PATIENCE: Duration = Duration::from_secs(10);

const MAXIMUM_HEAD_BYTES: usize = 64 * 1024;
const MAXIMUM_BODY_BYTES: usize = 1024 * 1024;
/// The most interim responses (RFC 9110 §15.2) before the final one.
const MAXIMUM_INTERIM: usize = 8;

/// A request this short is written in one go; a longer one may be answered while it is written.
const SHORT_BYTES: usize = 16 * 1024;

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, WireError> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, rest: Vec::new() })
    }

    /// Sends a request and reads the response to it. `ends_early` says that its framing
    /// promises more than there is; `to_head` that the response is to HEAD and has no body.
    pub(crate) fn exchange(
        &mut self,
        request: &[u8],
        ends_early: bool,
        to_head: bool,
    ) -> Result<Answer, WireError> {
        let writer = self.stream.try_clone()?;
        let write = move || {
            let written = (&writer).write_all(request);
            if ends_early {
                let _ = writer.shutdown(Shutdown::Write);
            }
            written
        };
        if request.len() <= SHORT_BYTES {
            // It may have been refused and answered before it was all written: the answer counts.
            return match (write(), self.answer(to_head)) {
                (_, Ok(answer)) => Ok(answer),
                (Err(error), Err(_)) => Err(error.into()),
                (Ok(()), Err(error)) => Err(error),
            };
        }
        std::thread::scope(|scope| {
            scope.spawn(write);
            let answer = self.answer(to_head);
            if answer.is_err() {
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            answer
        })
    }

    fn answer(&mut self, to_head: bool) -> Result<Answer, WireError> {
        for _ in 0..MAXIMUM_INTERIM {
            let mut answer = self.head()?;
            if (100..200).contains(&answer.status) {
                continue;
            }
            if to_head || matches!(answer.status, 204 | 304) {
                return Ok(answer);
            }
            let Some(length) = answer.header("content-length") else {
                return Err(WireError::Unreadable("no content-length"));
            };
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            let length: usize = length
                .filter(|length| *length <= MAXIMUM_BODY_BYTES)
                .ok_or(WireError::Unreadable("a content-length that is none, or too long"))?;
            while self.rest.len() < length {
                self.read()?;
            }
            answer.body = self.rest.drain(..length).collect();
            return Ok(answer);
        }
        Err(WireError::Unreadable("too many interim responses"))
    }

    fn head(&mut self) -> Result<Answer, WireError> {
        const END: &[u8] = b"\r\n\r\n";

        let end = loop {
            if let Some(end) = self.rest.windows(END.len()).position(|window| window == END) {
                break end;
            }
            if self.rest.len() > MAXIMUM_HEAD_BYTES {
                return Err(WireError::Unreadable("a header section that does not end"));
            }
            self.read()?;
        };
        let head: Vec<u8> = self.rest.drain(..end + END.len()).take(end).collect();
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let status = lines.next().and_then(|line| line.strip_prefix(b"HTTP/1.1 "));
        let status = status.and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
        let status = status.ok_or(WireError::Unreadable("no status line"))?;
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
            Some((name, value.get(1..)?.trim_ascii().to_vec()))
        });
        Ok(Answer { status, headers: headers.collect(), body: Vec::new() })
    }

    fn read(&mut self) -> Result<(), WireError> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(WireError::Closed),
            read => {
                self.rest.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What comes of a server that answers with these bytes and closes.
    fn answer_to(bytes: &'static [u8], to_head: bool) -> Result<Answer, WireError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(bytes).unwrap();
        });
        let answer = Connection::open(address)?.exchange(b"GET / HTTP/1.1\r\n\r\n", true, to_head);
        server.join().unwrap();
        answer
    }

    #[test]
    fn a_response_is_read_to_its_length() {
        let bytes =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 2\r\nA: b\r\n\r\nhi";
        let answer = answer_to(bytes, false).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (401, b"hi".as_slice()));
        assert_eq!(answer.header("a"), Some(b"b".as_slice()));
        let answer = answer_to(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n", true).unwrap();
        assert!(answer.body.is_empty());
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bytes in [
            b"".as_slice(),
            b"HTTP/1.1 200 OK\r\n",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhi",
        ] {
            assert!(answer_to(bytes, false).is_err(), "{bytes:?}");
        }
    }
}
