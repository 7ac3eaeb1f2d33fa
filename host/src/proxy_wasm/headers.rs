//! Header maps as filters see them, and their form on the way into a guest.

use super::abi::Status;

/// Largest serialised map taken from a guest, and most entries of one; proxy-wasm-cpp-host's.
const MAX_PAIRS_BYTES: usize = 1024 * 1024;
const MAX_PAIRS: usize = 1024;

/// Headers that Envoy keeps at most once: a second value is appended to the first with a comma.
/// Its built-in ones, and those that filters of the standard binary register.
const SINGLE: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    ":status",
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "grpc-message",
    "grpc-status",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "server",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Headers or trailers in order: names in lower case, values any bytes, duplicates kept except
/// where Envoy joins them. Pseudo-headers (`:method`, `:path`, `:authority`, `:scheme`, `:status`)
/// are entries like any other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderMap(Vec<(Vec<u8>, Vec<u8>)>);

impl HeaderMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The first value of `name` (in any case), as `get_http_request_header` shows it.
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All values of `name` (in any case), in order.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Adds a value as Envoy does: behind the others, or, for the headers that Envoy keeps once
    /// (`content-type`, `authorization`, …), joined to the present value with a comma.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref().to_ascii_lowercase(), value.as_ref());
        let single = SINGLE.iter().any(|single| single.as_bytes() == name);
        if single && let Some((_, present)) = self.0.iter_mut().find(|(key, _)| *key == name) {
            if !value.is_empty() {
                if !present.is_empty() {
                    present.push(b',');
                }
                present.extend_from_slice(value);
            }
            return;
        }
        self.0.push((name, value.to_vec()));
    }

    /// Gives `name` this value alone, where it stood first, or adds it.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref().to_ascii_lowercase();
        let value = value.as_ref();
        let mut is_there = false;
        self.0.retain_mut(|(key, present)| {
            if *key != name {
                return true;
            }
            if !is_there {
                *present = value.to_vec();
            }
            !std::mem::replace(&mut is_there, true)
        });
        if !is_there {
            self.0.push((name, value.to_vec()));
        }
    }

    /// Removes every entry of `name`.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// The bytes of all names and values.
    pub fn byte_size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The serialised form that the ABI hands to a guest: the number of pairs, the lengths, then
    /// each name and value with a zero byte behind it. An empty map is no bytes at all.
    pub(super) fn to_pairs(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        encode_pairs(self.0.len(), self.iter())
    }

    /// Reads the serialised form; like proxy-wasm-cpp-host, what is malformed reads as no pairs.
    pub(super) fn from_pairs(bytes: &[u8]) -> Self {
        let mut map = Self::new();
        for (name, value) in decode_pairs(bytes).unwrap_or_default() {
            map.add(name, value);
        }
        map
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (name, value) in entries {
            map.add(name, value);
        }
        map
    }
}

/// Serialises `count` pairs.
pub(super) fn encode_pairs<'a>(
    count: usize,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut head = u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    let mut data = Vec::new();
    for (name, value) in pairs {
        head.extend(length(name));
        head.extend(length(value));
        data.extend_from_slice(name);
        data.push(0);
        data.extend_from_slice(value);
        data.push(0);
    }
    head.append(&mut data);
    head
}

type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

fn decode_pairs(bytes: &[u8]) -> Result<Pairs<'_>, Status> {
    if bytes.len() > MAX_PAIRS_BYTES {
        return Err(Status::BadArgument);
    }
    let mut rest = bytes;
    let count = number(&mut rest)? as usize;
    if count > MAX_PAIRS {
        return Err(Status::BadArgument);
    }
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push((number(&mut rest)? as usize, number(&mut rest)? as usize));
    }
    let mut pairs = Vec::with_capacity(count);
    for (name, value) in lengths {
        pairs.push((terminated(&mut rest, name)?, terminated(&mut rest, value)?));
    }
    if rest.is_empty() { Ok(pairs) } else { Err(Status::BadArgument) }
}

fn number(rest: &mut &[u8]) -> Result<u32, Status> {
    let (bytes, tail) = rest.split_first_chunk::<4>().ok_or(Status::BadArgument)?;
    *rest = tail;
    Ok(u32::from_le_bytes(*bytes))
}

fn terminated<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Status> {
    let (bytes, tail) = rest.split_at_checked(length).ok_or(Status::BadArgument)?;
    let (0, tail) = tail.split_first().ok_or(Status::BadArgument)? else {
        return Err(Status::BadArgument);
    };
    *rest = tail;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_as_they_went() {
        let map: HeaderMap =
            [("A", b"1".as_slice()), ("x", b"\xff\0"), ("x", b"")].into_iter().collect();
        assert_eq!(HeaderMap::from_pairs(&map.to_pairs()), map);
        assert_eq!(map.first("a"), Some(b"1".as_slice()));
        assert_eq!(map.all(b"X").count(), 2);
    }

    #[test]
    fn malformed_pairs_read_as_none() {
        let good = [("name", "value")].into_iter().collect::<HeaderMap>().to_pairs();
        for end in 0..good.len() {
            assert!(HeaderMap::from_pairs(&good[..end]).is_empty(), "cut at {end}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(HeaderMap::from_pairs(&longer).is_empty());
        assert!(HeaderMap::from_pairs(&u32::MAX.to_le_bytes()).is_empty());
        let mut huge = 1_u32.to_le_bytes().to_vec();
        huge.extend([0xff; 8]);
        assert!(HeaderMap::from_pairs(&huge).is_empty());
    }

    #[test]
    fn duplicates_are_joined_where_envoy_joins_them() {
        let map: HeaderMap = [("Authorization", "a"), ("x-api-key", "a")]
            .into_iter()
            .chain([("authorization", "b"), ("X-Api-Key", "b")])
            .collect();
        assert_eq!(map.first("authorization"), Some(b"a,b".as_slice()));
        assert_eq!(map.all(b"x-api-key").count(), 2);
    }

    #[test]
    fn replace_leaves_one_entry() {
        let mut map: HeaderMap = [("x", "1"), ("y", "2"), ("x", "3")].into_iter().collect();
        map.replace("X", "9");
        // As Envoy does: a second cookie field would bring the token in it to the upstream.
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&b"x"[..], &b"9"[..]), (b"y", b"2")]);
        map.replace("z", "1");
        assert_eq!(map.len(), 3);
        map.remove("z");
        map.remove("x");
        assert_eq!(map.len(), 1);
    }
}
