//! Sets of bytes that text may consist of.

/// A set of bytes. A look-up for each byte, however many ranges it has: some of what is checked is as long as clients like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// ASCII letters and digits, and these.
    pub(crate) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut byte = 0_u8;
        loop {
            let mut rest = others;
            let mut is_in = byte.is_ascii_alphanumeric();
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

    /// Whether all bytes are in the set.
    pub(crate) fn holds_all(&self, bytes: &[u8]) -> bool {
        let is_in = |byte: &u8| self.0.get(usize::from(*byte)).is_some_and(|is_in| *is_in);
        // Without a branch for each byte: nearly always all are.
        let mut chunks = bytes.chunks(64);
        chunks.all(|chunk| chunk.iter().fold(true, |all, byte| all & is_in(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_made_of() {
        const SET: ByteSet = ByteSet::alphanumeric_and(b"-\xff");
        for byte in 0..=u8::MAX {
            let is_in = byte.is_ascii_alphanumeric() || [b'-', 0xff].contains(&byte);
            assert_eq!(SET.holds_all(&[b'a', byte]), is_in, "{byte}");
        }
        assert!(SET.holds_all(b""));
        for length in [63, 64, 65, 200] {
            let mut bytes = vec![b'a'; length];
            assert!(SET.holds_all(&bytes));
            for place in 0..length {
                bytes[place] = b'.';
                assert!(!SET.holds_all(&bytes), "{place} of {length}");
                bytes[place] = b'a';
            }
        }
    }
}
