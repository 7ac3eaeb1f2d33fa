//! Other ways to write digits and letters, made plain; and the way back to where they stood.

use std::ops::Range;

/// Where each script's ten digits begin (Unicode's Nd), beside ASCII's.
const ZEROS: [u32; 54] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x104A0,
    0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730,
    0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x1E140, 0x1FBF0,
];

/// A text in which digits are ASCII digits, and what cannot be seen is not there.
pub(in crate::screening) struct Folded<'a> {
    original: &'a str,
    /// `None` where folding changes nothing, which is nearly always.
    folded: Option<Vec<u8>>,
    /// From where on (in the folded text) bytes stand from where on in the original.
    steps: Vec<(u32, u32)>,
}

enum Fold {
    Same,
    Gone,
    Is(u8),
}

impl<'a> Folded<'a> {
    pub(in crate::screening) fn new(original: &'a str) -> Self {
        // Nothing is copied of a text in which nothing stands for anything else, as in most.
        let is_other = |(_, character): &(usize, char)| !matches!(fold(*character), Fold::Same);
        let first = if original.is_ascii() { None } else { original.char_indices().find(is_other) };
        let Some((first, _)) = first else {
            return Self { original, folded: None, steps: Vec::new() };
        };
        let (same, rest) = original.split_at_checked(first).unwrap_or_default();
        let mut folded = Vec::with_capacity(original.len());
        folded.extend_from_slice(same.as_bytes());
        let mut steps = Vec::new();
        let mut shift = 0_usize;
        for (place, character) in rest.char_indices() {
            let place = first + place;
            let fold = fold(character);
            if matches!(fold, Fold::Gone) {
                continue;
            }
            let now = place - folded.len();
            if now != shift {
                shift = now;
                steps.push((folded.len() as u32, place as u32));
            }
            match fold {
                Fold::Is(byte) => folded.push(byte),
                _ => folded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Self { original, folded: Some(folded), steps }
    }

    pub(in crate::screening) fn bytes(&self) -> &[u8] {
        self.folded.as_deref().unwrap_or(self.original.as_bytes())
    }

    /// Where a range of the folded text stands in the original, widened to whole characters.
    pub(in crate::screening) fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.original.floor_char_boundary(self.place(range.start));
        let last = self.place(range.end.saturating_sub(1));
        start..self.original.ceil_char_boundary(last + 1)
    }

    fn place(&self, folded: usize) -> usize {
        let step = self.steps.partition_point(|(from, _)| *from as usize <= folded);
        let step = step.checked_sub(1).and_then(|step| self.steps.get(step));
        step.map_or(folded, |(from, original)| folded - *from as usize + *original as usize)
    }
}

fn fold(character: char) -> Fold {
    let code = character as u32;
    let digit = |value: u32| Fold::Is(b'0' + value.min(9) as u8);
    match code {
        0..0x80 | 0x100..0x34F | 0x350..0x61C | 0x3400..0xA620 | 0xAC00..0xFE00 => Fold::Same,
        // Soft hyphen, joiners, marks of direction, variation selectors, tags: nothing that can be seen.
        0xAD
        | 0x34F
        | 0x61C
        | 0x115F
        | 0x1160
        | 0x17B4
        | 0x17B5
        | 0x180B..=0x180E
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x206F
        | 0x20E3
        | 0x3164
        | 0xFE00..=0xFE0F
        | 0xFEFF
        | 0xFFA0
        | 0xE0000..=0xE0FFF => Fold::Gone,
        0xA0 | 0x1680 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x205F | 0x3000 => {
            Fold::Is(b' ')
        }
        0x2010..=0x2015 | 0x2212 | 0x2043 | 0xFE58 | 0xFE63 => Fold::Is(b'-'),
        0xB7 | 0x2022 | 0x2024 | 0x2027 | 0x3002 | 0x30FB | 0xFE52 | 0xFF61 => Fold::Is(b'.'),
        0xFE6B => Fold::Is(b'@'),
        0x2044 | 0x2215 => Fold::Is(b'/'),
        0xB2 | 0xB3 => digit(code - 0xB0),
        0xB9 => digit(1),
        0x2070 | 0x2074..=0x2079 => digit(code - 0x2070),
        0x2080..=0x2089 => digit(code - 0x2080),
        0x2460..=0x2468 => digit(code - 0x2460 + 1),
        0x2776..=0x277E => digit(code - 0x2776 + 1),
        0x24EA | 0x24FF => digit(0),
        // Letters in circles, full-width forms, mathematical alphabets.
        0x24B6..=0x24CF => Fold::Is(b'A' + (code - 0x24B6) as u8),
        0x24D0..=0x24E9 => Fold::Is(b'a' + (code - 0x24D0) as u8),
        0xFF01..=0xFF5E => Fold::Is((code - 0xFF01) as u8 + b'!'),
        0x1D400..=0x1D6A3 => match ((code - 0x1D400) % 52) as u8 {
            letter @ 0..26 => Fold::Is(b'A' + letter),
            letter => Fold::Is(b'a' + (letter - 26)),
        },
        0x1D7CE..=0x1D7FF => digit((code - 0x1D7CE) % 10),
        _ => {
            let after = ZEROS.partition_point(|zero| *zero <= code);
            let zero = after.checked_sub(1).and_then(|last| ZEROS.get(last));
            zero.filter(|zero| code < **zero + 10).map_or(Fold::Same, |zero| digit(code - zero))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_script_are_digits() {
        let text = "٤١-４１\u{200b}१²𝟗①5️⃣ x";
        let folded = Folded::new(text);
        assert_eq!(folded.bytes(), b"41-4112915 x");
        assert_eq!(&text[folded.original(0..2)], "٤١");
        assert_eq!(&text[folded.original(3..5)], "４１");
        assert_eq!(&text[folded.original(3..6)], "４１\u{200b}१");
        assert_eq!(&text[folded.original(11..12)], "x");
    }

    #[test]
    fn ascii_and_other_letters_stay() {
        for text in ["", "plain 4111", "Grüße, 你好"] {
            let folded = Folded::new(text);
            assert_eq!(folded.bytes(), text.as_bytes());
            assert_eq!(folded.original(0..text.len()).end, text.len());
        }
    }
}
