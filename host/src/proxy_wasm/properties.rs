//! What a filter can learn with `proxy_get_property`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::abi::Status;
use super::headers::{HeaderMap, encode_pairs};

/// Most entries, and most bytes, of filter state that the filters of a stream may keep.
const MAX_STATE_ENTRIES: usize = 1024;
const MAX_STATE_BYTES: usize = 1024 * 1024;

/// What the embedder knows of a stream, shared by all filters that it passes.
#[derive(Debug)]
pub struct StreamInfo {
    /// Client address; `source.address` shows it as `ip:port`.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    pub protocol: &'static str,
    /// Number of the client's connection.
    pub connection_id: u64,
    /// The TLS session, if there is one.
    pub tls: Option<TlsInfo>,
    /// When the request arrived, in nanoseconds since the Unix epoch.
    pub start_time: u64,
    /// Name of the route, if it has one.
    pub route_name: String,
    /// The route's `filter_metadata`: an object by namespace.
    pub route_metadata: serde_json::Map<String, Json>,
    shared: Mutex<Shared>,
}

/// What is known of a TLS session. Empty strings stand for what is not there.
#[derive(Debug, Clone, Default)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The server name the client asked for.
    pub requested_server_name: String,
    /// The client's certificate, if it presented one that was accepted.
    pub peer: Option<PeerCertificate>,
}

/// A client certificate.
#[derive(Debug, Clone, Default)]
pub struct PeerCertificate {
    /// The subject in RFC 2253 form.
    pub subject: String,
    /// First DNS name of the subject alternative names.
    pub dns_san: String,
    /// First URI of the subject alternative names.
    pub uri_san: String,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub sha256_digest: String,
}

/// What becomes known, or is set by filters, while the stream lasts.
#[derive(Debug, Default)]
struct Shared {
    filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    filter_state_bytes: usize,
    progress: Progress,
}

/// How far a stream has come.
#[derive(Debug, Default, Clone)]
pub(super) struct Progress {
    pub(super) response_code: Option<u16>,
    pub(super) response_code_details: Option<String>,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    /// Set at the end of the stream, in nanoseconds.
    pub(super) duration: Option<u64>,
}

impl StreamInfo {
    /// A plain HTTP/1.1 stream from `source` to `destination` that arrived at `start_time`, in
    /// nanoseconds since the Unix epoch. The public fields take the rest.
    pub fn new(source: SocketAddr, destination: SocketAddr, start_time: u64) -> Self {
        Self {
            source,
            destination,
            protocol: "HTTP/1.1",
            connection_id: 1,
            tls: None,
            start_time,
            route_name: String::new(),
            route_metadata: serde_json::Map::new(),
            shared: Mutex::default(),
        }
    }

    /// The value that a filter has stored under `path` with `proxy_set_property`.
    pub fn filter_state(&self, path: &str) -> Option<Vec<u8>> {
        self.shared().filter_state.get(path.as_bytes()).cloned()
    }

    /// Why the response was what it was, as Envoy's access log names it.
    pub fn response_code_details(&self) -> Option<String> {
        self.shared().progress.response_code_details.clone()
    }

    pub(super) fn set_filter_state(&self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let mut shared = self.shared();
        let before = shared.filter_state.get(path).map(|old| path.len().saturating_add(old.len()));
        let bytes = shared
            .filter_state_bytes
            .saturating_sub(before.unwrap_or_default())
            .saturating_add(path.len())
            .saturating_add(value.len());
        if bytes > MAX_STATE_BYTES
            || (before.is_none() && shared.filter_state.len() >= MAX_STATE_ENTRIES)
        {
            return Err(Status::InternalFailure);
        }
        shared.filter_state.insert(path.to_vec(), value.to_vec());
        shared.filter_state_bytes = bytes;
        Ok(())
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.shared().progress);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a property path is looked up in: the stream, if there is one, and the header maps that the
/// filter can see at this moment.
pub(super) struct Lookup<'a> {
    pub(super) info: Option<&'a StreamInfo>,
    pub(super) request_headers: Option<&'a HeaderMap>,
    pub(super) response_headers: Option<&'a HeaderMap>,
    pub(super) response_trailers: Option<&'a HeaderMap>,
    pub(super) plugin_name: &'a str,
    pub(super) plugin_root_id: &'a str,
    pub(super) plugin_vm_id: &'a str,
}

/// A property's value before it is serialised.
enum Value {
    Bytes(Vec<u8>),
    Number(i64),
    Boolean(bool),
    Json(Json),
    Map(Vec<(Vec<u8>, Vec<u8>)>),
}

impl Lookup<'_> {
    /// The serialised value at `path`, whose parts are set apart by zero bytes.
    pub(super) fn property(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
        self.find(&parts).ok_or(Status::NotFound)?.serialise()
    }

    fn find(&self, parts: &[&[u8]]) -> Option<Value> {
        let (first, rest) = parts.split_first()?;
        match *first {
            b"plugin_name" => leaf(rest, self.plugin_name),
            b"plugin_root_id" => leaf(rest, self.plugin_root_id),
            b"plugin_vm_id" => leaf(rest, self.plugin_vm_id),
            name => self.stream(self.info?, name, rest),
        }
    }

    fn stream(&self, info: &StreamInfo, name: &[u8], rest: &[&[u8]]) -> Option<Value> {
        match name {
            b"request" => self.request(info, rest),
            b"response" => self.response(info, rest),
            b"connection" => connection(info, rest),
            b"source" => address(info.source, rest),
            b"destination" => address(info.destination, rest),
            b"connection_id" if rest.is_empty() => Some(unsigned(info.connection_id)),
            b"xds" => route(info, rest),
            b"filter_state" => {
                // In filter state Envoy keeps what filters set under names that begin `wasm.`.
                let [key] = rest else { return None };
                let value = info.shared().filter_state.get(key.strip_prefix(b"wasm.")?).cloned();
                value.map(Value::Bytes)
            }
            other if rest.is_empty() => {
                info.shared().filter_state.get(other).cloned().map(Value::Bytes)
            }
            _ => None,
        }
    }

    fn request(&self, info: &StreamInfo, rest: &[&[u8]]) -> Option<Value> {
        let header = |name: &str| {
            let value = self.request_headers?.first(name)?;
            Some(Value::Bytes(value.to_vec()))
        };
        let (field, rest) = rest.split_first()?;
        if *field == b"headers" {
            return headers(self.request_headers, rest);
        }
        if !rest.is_empty() {
            return None;
        }
        let header_bytes = self.request_headers.map_or(0, HeaderMap::byte_size) as u64;
        let path = || self.request_headers?.first(":path");
        match *field {
            b"path" => header(":path"),
            b"url_path" => {
                let path = path()?;
                Some(Value::Bytes(path.split(|byte| *byte == b'?').next()?.to_vec()))
            }
            b"query" => {
                let mut halves = path()?.splitn(2, |byte| *byte == b'?');
                let query = halves.nth(1).unwrap_or_default();
                Some(Value::Bytes(query.split(|byte| *byte == b'#').next()?.to_vec()))
            }
            b"host" => header(":authority"),
            b"scheme" => header(":scheme"),
            b"method" => header(":method"),
            b"referer" => header("referer"),
            b"id" => header("x-request-id"),
            b"useragent" => header("user-agent"),
            b"protocol" => Some(Value::Bytes(info.protocol.as_bytes().to_vec())),
            b"time" => Some(unsigned(info.start_time)),
            b"headers_bytes" => Some(unsigned(header_bytes)),
            b"size" => match self.request_headers.and_then(|map| map.first("content-length")) {
                Some(length) => {
                    std::str::from_utf8(length).ok()?.trim().parse().ok().map(Value::Number)
                }
                None => Some(unsigned(info.shared().progress.bytes_received)),
            },
            b"total_size" => {
                Some(unsigned(info.shared().progress.bytes_received.saturating_add(header_bytes)))
            }
            b"duration" => info.shared().progress.duration.map(unsigned),
            _ => None,
        }
    }

    fn response(&self, info: &StreamInfo, rest: &[&[u8]]) -> Option<Value> {
        let (field, rest) = rest.split_first()?;
        match *field {
            b"headers" => return headers(self.response_headers, rest),
            b"trailers" => return headers(self.response_trailers, rest),
            _ if !rest.is_empty() => return None,
            _ => {}
        }
        let progress = info.shared().progress.clone();
        match *field {
            b"code" => progress.response_code.map(|code| Value::Number(code.into())),
            b"code_details" => {
                progress.response_code_details.map(|text| Value::Bytes(text.into_bytes()))
            }
            b"flags" => Some(Value::Number(0)),
            b"size" | b"total_size" => Some(unsigned(progress.bytes_sent)),
            b"grpc_status" => {
                let from = |map: Option<&HeaderMap>| {
                    std::str::from_utf8(map?.first("grpc-status")?).ok()?.parse().ok()
                };
                from(self.response_trailers)
                    .or_else(|| from(self.response_headers))
                    .map(Value::Number)
            }
            _ => None,
        }
    }
}

impl Value {
    fn serialise(self) -> Result<Vec<u8>, Status> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(number) => Ok(number.to_le_bytes().to_vec()),
            Self::Boolean(boolean) => Ok(vec![boolean.into()]),
            Self::Json(json) => serialise_json(&json),
            Self::Map(entries) => Ok(encode_pairs(
                entries.len(),
                entries.iter().map(|(name, value)| (name.as_slice(), value.as_slice())),
            )),
        }
    }
}

/// Serialises metadata as Envoy does a `google.protobuf.Struct`.
fn serialise_json(json: &Json) -> Result<Vec<u8>, Status> {
    let entries: Vec<(Vec<u8>, Vec<u8>)> = match json {
        Json::Null => return Err(Status::SerializationFailure),
        Json::String(text) => return Ok(text.clone().into_bytes()),
        Json::Bool(boolean) => return Ok(vec![(*boolean).into()]),
        Json::Number(number) => {
            return Ok(number.as_f64().unwrap_or_default().to_le_bytes().to_vec());
        }
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| Ok((name.clone().into_bytes(), serialise_json(value)?)))
            .collect::<Result<_, Status>>()?,
        Json::Array(items) => items
            .iter()
            .map(|item| Ok((serialise_json(item)?, Vec::new())))
            .collect::<Result<_, Status>>()?,
    };
    Value::Map(entries).serialise()
}

fn leaf(rest: &[&[u8]], text: &str) -> Option<Value> {
    rest.is_empty().then(|| Value::Bytes(text.as_bytes().to_vec()))
}

fn unsigned(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn headers(map: Option<&HeaderMap>, rest: &[&[u8]]) -> Option<Value> {
    match rest {
        [] => Some(Value::Map(
            map.map(|map| map.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect())
                .unwrap_or_default(),
        )),
        // Unlike the header calls of the ABI this joins all values.
        [name] => {
            let values: Vec<&[u8]> = map?.all(name).collect();
            (!values.is_empty()).then(|| Value::Bytes(values.join(b",".as_slice())))
        }
        _ => None,
    }
}

fn address(address: SocketAddr, rest: &[&[u8]]) -> Option<Value> {
    match rest {
        [b"address"] => Some(Value::Bytes(address.to_string().into_bytes())),
        [b"port"] => Some(Value::Number(address.port().into())),
        _ => None,
    }
}

fn connection(info: &StreamInfo, rest: &[&[u8]]) -> Option<Value> {
    let [field] = rest else { return None };
    let text = |text: &str| (!text.is_empty()).then(|| Value::Bytes(text.as_bytes().to_vec()));
    let peer = info.tls.as_ref().and_then(|tls| tls.peer.as_ref());
    match *field {
        b"id" => Some(unsigned(info.connection_id)),
        b"mtls" => Some(Value::Boolean(peer.is_some())),
        b"requested_server_name" => {
            let name = info.tls.as_ref().map_or("", |tls| &tls.requested_server_name);
            Some(Value::Bytes(name.as_bytes().to_vec()))
        }
        b"tls_version" => text(&info.tls.as_ref()?.version),
        // With TLS but no client certificate Envoy shows an empty subject.
        b"subject_peer_certificate" => {
            info.tls.as_ref()?;
            let subject = peer.map_or("", |peer| &peer.subject);
            Some(Value::Bytes(subject.as_bytes().to_vec()))
        }
        b"dns_san_peer_certificate" => text(&peer?.dns_san),
        b"uri_san_peer_certificate" => text(&peer?.uri_san),
        b"sha256_peer_certificate_digest" => text(&peer?.sha256_digest),
        _ => None,
    }
}

fn route(info: &StreamInfo, rest: &[&[u8]]) -> Option<Value> {
    match rest {
        [b"route_name"] => Some(Value::Bytes(info.route_name.clone().into_bytes())),
        [b"route_metadata", b"filter_metadata", path @ ..] => {
            let (namespace, path) = path.split_first()?;
            let mut value = info.route_metadata.get(std::str::from_utf8(namespace).ok()?)?;
            for part in path {
                let part = std::str::from_utf8(part).ok()?;
                value = match value {
                    Json::Object(fields) => fields.get(part)?,
                    Json::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                    _ => return None,
                };
            }
            Some(Value::Json(value.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> StreamInfo {
        let mut info = StreamInfo::new(
            "[2001:db8::1]:4711".parse().unwrap(),
            "192.0.2.1:443".parse().unwrap(),
            1_000,
        );
        info.route_metadata = serde_json::from_str(
            r#"{"portcullis": {"route": "predict", "cost": 2, "list": ["a"], "none": null}}"#,
        )
        .unwrap();
        info
    }

    fn property(info: &StreamInfo, headers: Option<&HeaderMap>, path: &[&str]) -> Option<Vec<u8>> {
        let lookup = Lookup {
            info: Some(info),
            request_headers: headers,
            response_headers: None,
            response_trailers: None,
            plugin_name: "gate",
            plugin_root_id: "root",
            plugin_vm_id: "vm",
        };
        lookup.property(path.join("\0").as_bytes()).ok()
    }

    #[test]
    fn addresses_are_ip_and_port() {
        let info = info();
        let get = |path: &[&str]| property(&info, None, path);
        assert_eq!(get(&["source", "address"]).unwrap(), b"[2001:db8::1]:4711");
        assert_eq!(get(&["destination", "address"]).unwrap(), b"192.0.2.1:443");
        assert_eq!(get(&["source", "port"]).unwrap(), 4711_i64.to_le_bytes());
        assert_eq!(get(&["plugin_name"]).unwrap(), b"gate");
        assert_eq!(get(&["connection", "mtls"]).unwrap(), [0]);
        assert_eq!(get(&["connection", "sha256_peer_certificate_digest"]), None);
        assert_eq!(get(&["source"]), None);
        assert_eq!(get(&[""]), None);
    }

    #[test]
    fn route_metadata_is_found_by_namespace_and_key() {
        let info = info();
        let get = |path: &[&str]| {
            let path = [&["xds", "route_metadata", "filter_metadata"], path].concat();
            property(&info, None, &path)
        };
        assert_eq!(get(&["portcullis", "route"]).unwrap(), b"predict");
        assert_eq!(get(&["portcullis", "cost"]).unwrap(), 2_f64.to_le_bytes());
        assert_eq!(get(&["portcullis", "list", "0"]).unwrap(), b"a");
        assert_eq!(get(&["portcullis", "none"]), None);
        assert_eq!(get(&["other", "route"]), None);
    }

    #[test]
    fn request_fields_come_from_the_headers_in_sight() {
        let info = info();
        let map: HeaderMap = [(":path", "/a?b=c#d"), (":method", "POST"), ("x", "1"), ("x", "2")]
            .into_iter()
            .collect();
        let get = |path: &[&str]| property(&info, Some(&map), path);
        assert_eq!(get(&["request", "url_path"]).unwrap(), b"/a");
        assert_eq!(get(&["request", "query"]).unwrap(), b"b=c");
        assert_eq!(get(&["request", "headers", "x"]).unwrap(), b"1,2");
        assert_eq!(get(&["request", "headers", "y"]), None);
        assert_eq!(property(&info, None, &["request", "path"]), None);
    }

    #[test]
    fn filter_state_is_found_by_its_name_and_bounded() {
        let info = info();
        info.set_filter_state(b"verdict", b"yes").unwrap();
        assert_eq!(property(&info, None, &["verdict"]).unwrap(), b"yes");
        assert_eq!(property(&info, None, &["filter_state", "wasm.verdict"]).unwrap(), b"yes");
        let large = vec![0; MAX_STATE_BYTES];
        assert_eq!(info.set_filter_state(b"large", &large), Err(Status::InternalFailure));
    }
}
