//! A recorded request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::Timestamp;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::native::clock;
use crate::proxy_wasm::HeaderMap;

/// A request to try.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Line")]
pub struct Request {
    /// A string or number by which the verdict is found again; null where there is none.
    pub id: Value,
    /// The method, as it came.
    pub method: String,
    /// The target: path and query.
    pub path: String,
    /// Header fields in order, names as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; an empty one is none.
    pub body: Vec<u8>,
    /// The client's address; 127.0.0.1 where the record has none.
    pub source: IpAddr,
    /// When it came; where the record does not say, when it was read.
    pub time: Timestamp,
    /// The SHA-256 digest of the certificate that the client has shown and that the proxy has verified.
    pub client_certificate: Option<[u8; 32]>,
}

impl Request {
    /// The header section as a proxy gives it to filters: pseudo-header fields first, the authority from the first
    /// `host` field, names in lower case, and the length of a body that does not say it itself.
    pub fn header_map(&self) -> HeaderMap {
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        let mut map = HeaderMap::new();
        map.add(":method", &self.method);
        map.add(":path", &self.path);
        let host = self.headers.iter().position(|(name, _)| is(name, "host"));
        if let Some((_, value)) = host.and_then(|index| self.headers.get(index)) {
            map.add(":authority", value);
        }
        map.add(":scheme", "https");
        for (index, (name, value)) in self.headers.iter().enumerate() {
            if Some(index) != host {
                map.add(name, value);
            }
        }
        let is_framed = self
            .headers
            .iter()
            .any(|(name, _)| is(name, "content-length") || is(name, "transfer-encoding"));
        if !self.body.is_empty() && !is_framed {
            map.add("content-length", self.body.len().to_string());
        }
        map
    }
}

/// A request as it stands in a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<Id>,
    method: String,
    path: String,
    #[serde(default)]
    headers: Fields,
    body: Option<String>,
    body_base64: Option<Base64>,
    source: Option<IpAddr>,
    time: Option<Time>,
    client_certificate_sha256: Option<CertificateDigest>,
}

impl TryFrom<Line> for Request {
    type Error = &'static str;

    fn try_from(line: Line) -> Result<Self, Self::Error> {
        let body = match (line.body, line.body_base64) {
            (Some(_), Some(_)) => return Err("expected either `body` or `body_base64`, not both"),
            (Some(text), None) => text.into_bytes(),
            (None, Some(Base64(bytes))) => bytes,
            (None, None) => Vec::new(),
        };
        Ok(Self {
            id: line.id.map_or(Value::Null, |id| id.0),
            method: line.method,
            path: line.path,
            headers: line.headers.0,
            body,
            source: line.source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            time: line.time.map_or_else(clock, |time| time.0),
            client_certificate: line.client_certificate_sha256.map(|digest| digest.0),
        })
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Id(Value);

impl TryFrom<Value> for Id {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(_) | Value::Number(_) => Ok(Self(value)),
            _ => Err("expected a string or a number"),
        }
    }
}

/// Header fields in order: pairs, or the members of an object.
#[derive(Default)]
struct Fields(Vec<(String, Vec<u8>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("header fields: [[\"name\", \"value\"], …] or {\"name\": \"value\", …}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = items.next_element::<(String, Bytes)>()? {
            fields.push((name, value.into()));
        }
        Ok(Fields(fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = members.next_entry::<String, Bytes>()? {
            fields.push((name, value.into()));
        }
        Ok(Fields(fields))
    }
}

/// Text, or bytes that are none.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or {\"base64\": \"…\"}")]
enum Bytes {
    Text(String),
    Encoded(Encoded),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: Base64,
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        match bytes {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Encoded(Encoded { base64: Base64(bytes) }) => bytes,
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Base64(Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self).map_err(|_| "expected base64 with padding (RFC 4648 §4)")
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct CertificateDigest([u8; 32]);

impl TryFrom<String> for CertificateDigest {
    type Error = &'static str;

    /// As `openssl x509 -fingerprint -sha256` has it, with or without colons.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected the 64 hexadecimal digits of a SHA-256 digest";
        let digits: Vec<u8> = text
            .chars()
            .filter(|character| *character != ':')
            .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(EXPECTED)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(digest) if rest.is_empty() => Ok(Self(digest)),
            _ => Err(EXPECTED),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Time(Timestamp);

impl TryFrom<String> for Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let nanoseconds = OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            .and_then(|time| u64::try_from(time.unix_timestamp_nanos()).ok());
        let expected = "expected a time from 1970 to 2554, such as 2026-01-31T12:00:00Z (RFC 3339)";
        nanoseconds.map(|nanoseconds| Self(Timestamp(nanoseconds))).ok_or(expected)
    }
}
