//! Sets of bytes that text may consist of.

/// A set of bytes. A look-up for each byte, however many ranges it has: some of what is checked is as long as clients like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// ASCII letters and digits, and these.
    pub(crate) const fn alphanumeric_and(others: &[u8]) -> Self {
        Self::with(others, true)
    }

    /// These alone.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self::with(bytes, false)
    }

    const fn with(others: &[u8], alphanumeric: bool) -> Self {
        let mut set = [false; 256];
        let mut byte = 0_u8;
        loop {
            let mut rest = others;
            let mut is_in = alphanumeric && byte.is_ascii_alphanumeric();
            while let [other, tail @ ..] = rest {
                is_in |= *other == byte;
                rest = tail;
            }
            if let Some(place) = set.split_at_mut(byte as usize).1.first_mut() {
                *place = is_in;
            }
            if byte == u8::MAX {
                return Self(set);
            }
            byte += 1;
        }
    }

    /// And every byte of a character beyond ASCII.
    pub(crate) const fn and_beyond_ascii(mut self) -> Self {
        let (_, mut beyond) = self.0.split_at_mut(0x80);
        while let [first, rest @ ..] = beyond {
            *first = true;
            beyond = rest;
        }
        self
    }

    /// Whether a byte is in the set.
    pub(crate) fn holds(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|is_in| *is_in)
    }

    /// Whether all bytes are in the set.
    pub(crate) fn holds_all(&self, bytes: &[u8]) -> bool {
        all(bytes, |byte| self.holds(byte))
    }
}

/// So many bytes are asked about at once.
const CHUNK: usize = 16;

/// Whether all bytes are so. Without a branch for each of them, since nearly always all are: what is asked by comparing is asked of
/// a whole chunk in a few instructions.
pub(crate) fn all(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    let are = |chunk: &[u8]| chunk.iter().fold(true, |all, byte| all & is_so(*byte));
    chunks.iter().all(|chunk| are(chunk)) && are(rest)
}

/// Where the first byte stands that is not so, where nearly none is.
pub(crate) fn first_other(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> Option<usize> {
    let (chunks, _) = bytes.as_chunks::<CHUNK>();
    let are = |chunk: &[u8; CHUNK]| chunk.iter().fold(true, |all, byte| all & is_so(*byte));
    let start = chunks.iter().take_while(|chunk| are(chunk)).count().saturating_mul(CHUNK);
    let other = bytes.get(start..)?.iter().position(|byte| !is_so(*byte))?;
    Some(start.saturating_add(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_is_beyond_ascii_where_it_is_to() {
        const SET: ByteSet = ByteSet::of(b"_").and_beyond_ascii();
        for byte in 0..=u8::MAX {
            assert_eq!(SET.holds(byte), byte == b'_' || byte >= 0x80, "{byte}");
        }
    }

    #[test]
    fn a_set_holds_what_it_was_made_of() {
        const SET: ByteSet = ByteSet::alphanumeric_and(b"-\xff");
        for byte in 0..=u8::MAX {
            let is_in = byte.is_ascii_alphanumeric() || [b'-', 0xff].contains(&byte);
            assert_eq!(SET.holds_all(&[b'a', byte]), is_in, "{byte}");
            assert_eq!(SET.holds(byte), is_in, "{byte}");
        }
        assert!(SET.holds_all(b""));
        for length in [1, 15, 16, 17, 33, 200] {
            let mut bytes = vec![b'a'; length];
            assert!(SET.holds_all(&bytes));
            assert_eq!(first_other(&bytes, |byte| SET.holds(byte)), None);
            for place in 0..length {
                bytes[place] = b'.';
                assert!(!SET.holds_all(&bytes), "{place} of {length}");
                assert_eq!(first_other(&bytes, |byte| SET.holds(byte)), Some(place));
                bytes[place] = b'a';
            }
        }
    }
}
