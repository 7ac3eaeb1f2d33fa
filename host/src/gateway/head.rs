//! Heads of messages between hyper's form and that of the filters.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, StatusCode, Uri, request, response};
use portcullis_policy::TOLD_BY_PROXIES;

use super::connection::Peer;
use super::path;
use crate::proxy_wasm::HeaderMap as Fields;

/// What belongs to a connection and not to a message (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// What a proxy tells of the connection, and a client could only make up; the second is its certificate (Envoy's
/// `forward_client_cert_details: SANITIZE`).
const OURS_TO_SAY: [&str; 2] = ["x-forwarded-proto", "x-forwarded-client-cert"];

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that is not one that HTTP allows, or that could be read in two ways.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The head of a request as the filters see it, with what Envoy as an edge proxy
/// (`use_remote_address`) sets and removes.
pub(super) fn request_fields(
    head: &request::Parts,
    peer: &Peer,
    request_id: &str,
) -> Result<Fields, Malformed> {
    if head.method == Method::CONNECT {
        return Err(Malformed("CONNECT is not offered"));
    }
    check_framing(&head.headers)?;
    let authority = authority(head)?;
    let path = match head.uri.path_and_query() {
        Some(path) if path == "*" && head.method == Method::OPTIONS => "*".to_owned(),
        Some(path) => {
            path::normalise(path.as_str()).map_err(|_| Malformed("the path is not usable"))?
        }
        None => "/".to_owned(),
    };
    let scheme = if peer.tls.is_some() { "https" } else { "http" };

    let mut fields = Fields::new();
    fields.add(":authority", authority);
    fields.add(":path", path);
    fields.add(":method", head.method.as_str());
    fields.add(":scheme", scheme);
    let nominated = nominated(&head.headers);
    for (name, value) in &head.headers {
        let own = *name == HOST
            || *name == REQUEST_ID
            || OURS_TO_SAY.contains(&name.as_str())
            || TOLD_BY_PROXIES.contains(&name.as_str())
            || name.as_str().starts_with("x-envoy-");
        if own || is_hop_by_hop(name, &nominated) {
            continue;
        }
        fields.add(name.as_str(), value.as_bytes());
    }
    if takes_trailers(&head.headers) {
        fields.add("te", "trailers");
    }
    let mut forwarded: Vec<u8> = Vec::new();
    for value in head.headers.get_all("x-forwarded-for") {
        forwarded.extend_from_slice(value.as_bytes());
        forwarded.extend_from_slice(b",");
    }
    forwarded.extend_from_slice(peer.address.ip().to_canonical().to_string().as_bytes());
    fields.remove("x-forwarded-for");
    fields.add("x-forwarded-for", forwarded);
    fields.add("x-forwarded-proto", scheme);
    fields.add(REQUEST_ID.as_str(), request_id);
    Ok(fields)
}

/// Makes of a head what goes to a function that no filter stands in front of: refused as in [`request_fields`], and without
/// what belongs to the connection.
pub(crate) fn end_to_end(head: &mut request::Parts) -> Result<(), Malformed> {
    if head.method == Method::CONNECT {
        return Err(Malformed("CONNECT is not offered"));
    }
    check_framing(&head.headers)?;
    authority(head)?;
    let takes_trailers = takes_trailers(&head.headers);
    for name in nominated(&head.headers).into_iter().filter(|name| name != HOST) {
        head.headers.remove(name);
    }
    for name in HOP_BY_HOP {
        head.headers.remove(name);
    }
    if takes_trailers {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// One length for the body, as the policy and Envoy want it: whoever stands in front may have read the other one (RFC 9112
/// section 6).
fn check_framing(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some() || coding.is_some_and(|coding| !is_chunked(coding)) {
        return Err(Malformed("a Transfer-Encoding other than chunked"));
    }
    match headers.get_all(CONTENT_LENGTH).iter().count() {
        0 => Ok(()),
        1 if coding.is_none() => Ok(()),
        1 => Err(Malformed("both Content-Length and Transfer-Encoding")),
        _ => Err(Malformed("more than one Content-Length field")),
    }
}

/// The one authority of a request: two that differ are an attack (RFC 9112 section 3.2).
fn authority(head: &request::Parts) -> Result<String, Malformed> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed("more than one Host field"));
    }
    let host = host
        .map(|host| host.to_str().map_err(|_| Malformed("the Host field is not text")))
        .transpose()?;
    let authority = match (head.uri.authority(), host) {
        (Some(authority), Some(host)) if head.version == http::Version::HTTP_2 => {
            if !authority.as_str().eq_ignore_ascii_case(host) {
                return Err(Malformed("the Host field contradicts :authority"));
            }
            authority.as_str()
        }
        // RFC 9112 section 3.2.2: the target in absolute form overrides the field.
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host,
        (None, None) => return Err(Malformed("no Host field")),
    };
    match authority.parse::<Authority>() {
        Ok(parsed) if !parsed.as_str().contains('@') => Ok(parsed.to_string()),
        _ => Err(Malformed("the authority is not usable")),
    }
}

/// The head that goes to the upstream, from what came out of the filters.
pub(super) fn upstream_request(fields: &Fields) -> Result<Request<()>, Malformed> {
    let pseudo = |name| {
        let value = fields.first(name).and_then(|value| std::str::from_utf8(value).ok());
        value.ok_or(Malformed("a pseudo-header is missing"))
    };
    let unusable = |_| Malformed("a pseudo-header is not usable");
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(pseudo(":authority")?.parse().map_err(unusable)?);
    let path: PathAndQuery = pseudo(":path")?.parse().map_err(unusable)?;
    uri.path_and_query = Some(path);
    let method = Method::from_bytes(pseudo(":method")?.as_bytes());

    let mut request = Request::new(());
    *request.method_mut() = method.map_err(|_| Malformed("the method is not usable"))?;
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Malformed("the target is not usable"))?;
    *request.headers_mut() = header_map(fields)?;
    // Framed anew: what the filters, or the client, said of it may be wrong by now.
    request.headers_mut().remove(CONTENT_LENGTH);
    Ok(request)
}

/// The head of an upstream's response as the filters see it.
pub(super) fn response_fields(head: &response::Parts) -> Fields {
    let mut fields = Fields::new();
    fields.add(":status", head.status.as_str());
    let nominated = nominated(&head.headers);
    for (name, value) in &head.headers {
        if !is_hop_by_hop(name, &nominated) {
            fields.add(name.as_str(), value.as_bytes());
        }
    }
    fields
}

/// The status and fields that go to the client.
pub(super) fn client_response(fields: &Fields) -> Result<(StatusCode, HeaderMap), Malformed> {
    let status = fields.first(":status").and_then(|status| StatusCode::from_bytes(status).ok());
    let status = status.ok_or(Malformed("the response has no usable status"))?;
    Ok((status, header_map(fields)?))
}

/// Fields that the filters have made, or let by: they must be HTTP again.
pub(crate) fn header_map(fields: &Fields) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let name =
            HeaderName::from_bytes(name).map_err(|_| Malformed("a field name is not usable"))?;
        let value =
            HeaderValue::from_bytes(value).map_err(|_| Malformed("a field value is not usable"))?;
        if !is_hop_by_hop(&name, &[]) || name == TE {
            map.append(name, value);
        }
    }
    Ok(map)
}

/// The fields of a map, for trailers.
pub(crate) fn fields(map: &HeaderMap) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in map {
        fields.add(name.as_str(), value.as_bytes());
    }
    fields
}

fn is_hop_by_hop(name: &HeaderName, nominated: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(&name.as_str()) || nominated.contains(name)
}

fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
