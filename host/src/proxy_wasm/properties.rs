//! What a filter can learn with `proxy_get_property`.

use std::net::SocketAddr;

use serde_json::Value as Json;

use super::abi::Status;
use super::headers::{HeaderMap, encode_pairs};
use super::stream_info::StreamInfo;

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
                info.filter_state_of(key.strip_prefix(b"wasm.")?).map(Value::Bytes)
            }
            other if rest.is_empty() => info.filter_state_of(other).map(Value::Bytes),
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
                None => Some(unsigned(info.progress().bytes_received)),
            },
            b"total_size" => {
                Some(unsigned(info.progress().bytes_received.saturating_add(header_bytes)))
            }
            b"duration" => info.progress().duration.map(unsigned),
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
        let progress = info.progress();
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
    fn filter_state_is_found_by_its_name() {
        let info = info();
        info.set_filter_state(b"verdict", b"yes").unwrap();
        assert_eq!(property(&info, None, &["verdict"]).unwrap(), b"yes");
        assert_eq!(property(&info, None, &["filter_state", "wasm.verdict"]).unwrap(), b"yes");
    }
}
