//! Responses that a filter or the host makes in place of the upstream.

use super::headers::HeaderMap;

/// A response in place of the upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalReply {
    pub(super) status: u16,
    /// Added to what the host makes itself.
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// For gRPC requests; else found from the HTTP status.
    pub(super) grpc_status: Option<u32>,
    /// Why, for the log.
    pub(super) details: String,
}

impl LocalReply {
    /// A reply by the host itself.
    pub(super) fn by_host(status: u16, body: &str, details: &str) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            grpc_status: None,
            details: details.to_owned(),
        }
    }

    /// A reply sent by a filter. A status that is no final HTTP status becomes 500.
    pub(super) fn by_filter(
        status: u32,
        headers: HeaderMap,
        body: Vec<u8>,
        grpc_status: u32,
        details: &[u8],
    ) -> Self {
        let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status));
        let details = String::from_utf8_lossy(details);
        Self {
            status: status.unwrap_or(500),
            headers,
            body,
            grpc_status: (grpc_status <= 16).then_some(grpc_status),
            details: details.split_whitespace().collect::<Vec<_>>().join("_"),
        }
    }

    /// The response as it enters the response filters: headers, and the body if there is one.
    /// A gRPC request is answered with headers alone.
    pub(super) fn into_response(self, request: Option<&HeaderMap>) -> (HeaderMap, Vec<u8>) {
        let content_type = request.and_then(|map| map.first("content-type")).unwrap_or_default();
        if content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+") {
            return (self.grpc(), Vec::new());
        }
        let mut headers: HeaderMap = [(":status", self.status.to_string())].into_iter().collect();
        for (name, value) in self.headers.iter() {
            headers.add(name, value);
        }
        headers.remove("content-length");
        if self.body.is_empty() {
            headers.remove("content-type");
            return (headers, self.body);
        }
        headers.add("content-length", self.body.len().to_string());
        if headers.first("content-type").is_none() {
            headers.add("content-type", "text/plain");
        }
        if request.and_then(|map| map.first(":method")) == Some(b"HEAD") {
            return (headers, Vec::new());
        }
        (headers, self.body)
    }

    fn grpc(self) -> HeaderMap {
        let status = self.grpc_status.unwrap_or(match self.status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        });
        let mut headers: HeaderMap = [
            (":status", "200".to_owned()),
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", status.to_string()),
        ]
        .into_iter()
        .collect();
        for (name, value) in self.headers.iter() {
            if !name.eq_ignore_ascii_case(b"content-type") {
                headers.add(name, value);
            }
        }
        if !self.body.is_empty() {
            let mut message = String::new();
            for byte in &self.body {
                match byte {
                    b' '..=b'~' if *byte != b'%' => message.push(char::from(*byte)),
                    other => message.push_str(&format!("%{other:02X}")),
                }
            }
            headers.add("grpc-message", message);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_states_the_length_itself() {
        let headers = [("content-length", "999"), ("content-type", "application/problem+json")];
        let reply =
            LocalReply::by_filter(403, headers.into_iter().collect(), b"{}".to_vec(), !0, b"a b");
        assert_eq!(reply.details, "a_b");
        let (headers, body) = reply.into_response(None);
        assert_eq!(headers.first("content-length"), Some(b"2".as_slice()));
        assert_eq!(headers.first("content-type"), Some(b"application/problem+json".as_slice()));
        assert_eq!(body, b"{}");
    }

    #[test]
    fn a_head_request_gets_no_body_and_a_grpc_one_a_grpc_status() {
        let reply = || LocalReply::by_host(503, "x%", "d");
        let head = [(":method", "HEAD")].into_iter().collect();
        let (headers, body) = reply().into_response(Some(&head));
        assert_eq!((headers.first("content-length"), body.len()), (Some(b"2".as_slice()), 0));
        let grpc = [("content-type", "application/grpc")].into_iter().collect();
        let (headers, body) = reply().into_response(Some(&grpc));
        assert_eq!(headers.first("grpc-status"), Some(b"14".as_slice()));
        assert_eq!(headers.first("grpc-message"), Some(b"x%25".as_slice()));
        assert!(body.is_empty());
    }

    #[test]
    fn a_status_that_is_none_becomes_500() {
        for status in [0, 99, 101, 600, u32::MAX] {
            let reply = LocalReply::by_filter(status, HeaderMap::new(), Vec::new(), !0, b"");
            assert_eq!(reply.status, 500);
        }
    }
}
