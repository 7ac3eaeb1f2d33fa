//! Reading header maps without a copy of each field.
//!
//! The SDK makes two allocations for each field, which was most of what a request with a remembered token cost. Here a
//! map stays in the one buffer in which the host hands it over.

use portcullis_policy::Header;
use proxy_wasm::types::MapType;

/// A header map as hosts serialise it: the number of fields, the lengths of their names and values, then names and values, each
/// followed by a zero byte; numbers are of 32 bits, little-endian.
pub struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// `None` where the host has no such map.
    pub fn read(map: MapType) -> Option<Self> {
        host::header_map_pairs(map).map(Self)
    }

    /// The fields, in order; `None` where the bytes are not a header map, or a name is not text. So whoever reads it fails closed.
    pub fn fields(&self) -> Option<Vec<Header<'_>>> {
        // Some hosts hand over an empty map as no bytes.
        if self.0.is_empty() {
            return Some(Vec::new());
        }
        let (count, rest) = self.0.split_first_chunk::<4>()?;
        let count = size(*count);
        let (lengths, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
        let mut fields = Vec::with_capacity(count);
        for length in lengths.as_chunks::<4>().0.as_chunks::<2>().0 {
            let [name, value] = length.map(size);
            let name = std::str::from_utf8(take(&mut rest, name)?).ok()?;
            fields.push((name, take(&mut rest, value)?));
        }
        Some(fields)
    }
}

fn size(bytes: [u8; 4]) -> usize {
    u32::from_le_bytes(bytes) as usize
}

/// What has this length, and the zero byte after it.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after.strip_prefix(b"\0")?;
    Some(taken)
}

#[allow(
    unsafe_code,
    reason = "the SDK has no function that hands over the bytes of a map as they are"
)]
mod host {
    use std::ptr::null_mut;

    use proxy_wasm::types::MapType;

    unsafe extern "C" {
        /// Proxy-Wasm ABI 0.2.1. Allocates with the module's `proxy_on_memory_allocate`, or leaves the pointer as it is.
        fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    }

    pub(super) fn header_map_pairs(map: MapType) -> Option<Vec<u8>> {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: both pointers are to variables of the types that the ABI says, which live as long as the call.
        let status =
            unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
        if status != 0 {
            return None;
        }
        if data.is_null() {
            return Some(Vec::new());
        }
        // SAFETY: the host got the buffer from `proxy_on_memory_allocate`, which the SDK exports and which makes it with
        // `Vec::with_capacity(size)` and forgets it; the host has filled all of it and has no further use for it.
        Some(unsafe { Vec::from_raw_parts(data, size, size) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialised(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |number: usize| (number as u32).to_le_bytes();
        let mut bytes = number(fields.len()).to_vec();
        for (name, value) in fields {
            bytes.extend([number(name.len()), number(value.len())].concat());
        }
        for (name, value) in fields {
            bytes.extend([name, b"\0".as_slice(), value, b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn fields_are_read_as_hosts_write_them() {
        let fields: [(&[u8], &[u8]); 3] = [(b":path", b"/\0x"), (b"", b""), (b"x-a", &[0xff; 300])];
        let map = HeaderMap(serialised(&fields));
        let expected = fields.map(|(name, value)| (std::str::from_utf8(name).unwrap(), value));
        assert_eq!(map.fields().unwrap(), expected);
        assert_eq!(HeaderMap(Vec::new()).fields(), Some(Vec::new()));
        assert_eq!(HeaderMap(serialised(&[])).fields(), Some(Vec::new()));
    }

    /// Whatever is cut or changed: no panic, and nothing that is not in the buffer.
    #[test]
    fn what_is_no_map_is_none() {
        let bytes = serialised(&[(b":path", b"/"), (b"x-a", b"b")]);
        for length in 1..bytes.len() {
            assert_eq!(HeaderMap(bytes[..length].to_vec()).fields(), None, "{length}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                if let Some(fields) = HeaderMap(changed).fields() {
                    let held = fields.iter().map(|(name, value)| name.len() + value.len());
                    assert!(held.sum::<usize>() <= bytes.len());
                }
            }
        }
        assert_eq!(HeaderMap(u32::MAX.to_le_bytes().to_vec()).fields(), None);
        assert_eq!(HeaderMap(serialised(&[(b"x-\xff", b"")])).fields(), None);
    }
}
