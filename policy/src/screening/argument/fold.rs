//! Characters that programs, or people, take for ASCII.

/// What a character stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// Itself.
    Keep,
    /// Nothing: it is not seen.
    Drop,
    /// A byte of ASCII.
    Ascii(u8),
}

/// What the character stands for. Best-fit mappings of old code pages and NFKC do the same.
pub(super) fn fold(character: char) -> Fold {
    let code = u32::from(character);
    match code {
        0..=0x7f => Fold::Ascii(u8::try_from(code).unwrap_or(b' ')),
        0xad
        | 0x34f
        | 0x61c
        | 0x115f
        | 0x1160
        | 0x17b4
        | 0x17b5
        | 0x180b..=0x180f
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0x3164
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xffa0
        | 0xfff9..=0xfffb => Fold::Drop,
        0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => {
            Fold::Ascii(b' ')
        }
        // Full width.
        0xff01..=0xff5e => ascii(code - 0xff01 + 0x21),
        0x2460..=0x2468 => ascii(code - 0x2460 + 0x31),
        0x24ea => Fold::Ascii(b'0'),
        // A, a in circles; bold, italic and other mathematical letters; tags.
        0x24b6..=0x24cf => ascii(code - 0x24b6 + 0x61),
        0x24d0..=0x24e9 => ascii(code - 0x24d0 + 0x61),
        0x1d400..=0x1d6a3 => ascii((code - 0x1d400) % 26 + 0x61),
        0x1d7ce..=0x1d7ff => ascii((code - 0x1d7ce) % 10 + 0x30),
        0xe0020..=0xe007e => ascii(code - 0xe0000),
        // Other tags, and selectors of variants.
        0xe0000..=0xe0fff => Fold::Drop,
        // Private places that were decoded to a slash once.
        0xefc8 | 0xf025 => Fold::Ascii(b'/'),
        // Signs of markup with the eighth bit set.
        0xbc => Fold::Ascii(b'<'),
        0xbe => Fold::Ascii(b'>'),
        // Most of what is written in other alphabets is not looked up.
        0x100..=0x5ff | 0x2000..=0x22ff | 0x3002 | 0xa789 => listed(character),
        _ => Fold::Keep,
    }
}

fn ascii(code: u32) -> Fold {
    u8::try_from(code).map_or(Fold::Keep, Fold::Ascii)
}

/// Letters of other alphabets, and signs, that look like ASCII.
fn listed(character: char) -> Fold {
    match character {
        '\u{430}' | '\u{3b1}' | '\u{391}' | '\u{410}' => Fold::Ascii(b'a'),
        '\u{435}' | '\u{395}' | '\u{415}' => Fold::Ascii(b'e'),
        '\u{43e}' | '\u{3bf}' | '\u{39f}' | '\u{41e}' => Fold::Ascii(b'o'),
        '\u{440}' | '\u{420}' => Fold::Ascii(b'p'),
        '\u{441}' | '\u{421}' => Fold::Ascii(b'c'),
        '\u{432}' => Fold::Ascii(b'b'),
        '\u{43a}' | '\u{3ba}' => Fold::Ascii(b'k'),
        '\u{43c}' => Fold::Ascii(b'm'),
        '\u{442}' | '\u{3c4}' => Fold::Ascii(b't'),
        '\u{3c1}' => Fold::Ascii(b'p'),
        '\u{3c5}' => Fold::Ascii(b'u'),
        '\u{3c7}' => Fold::Ascii(b'x'),
        '\u{4cf}' => Fold::Ascii(b'l'),
        '\u{51b}' => Fold::Ascii(b'q'),
        '\u{51d}' => Fold::Ascii(b'w'),
        '\u{251}' => Fold::Ascii(b'a'),
        '\u{443}' => Fold::Ascii(b'y'),
        '\u{445}' | '\u{425}' => Fold::Ascii(b'x'),
        '\u{456}' | '\u{131}' | '\u{26a}' | '\u{399}' | '\u{3b9}' | '\u{406}' => Fold::Ascii(b'i'),
        '\u{458}' => Fold::Ascii(b'j'),
        '\u{212a}' => Fold::Ascii(b'k'),
        '\u{455}' | '\u{17f}' => Fold::Ascii(b's'),
        '\u{4bb}' => Fold::Ascii(b'h'),
        '\u{501}' => Fold::Ascii(b'd'),
        '\u{261}' => Fold::Ascii(b'g'),
        '\u{3bd}' => Fold::Ascii(b'v'),
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{2bc}' | '\u{2b9}'
        | '\u{2c8}' => Fold::Ascii(b'\''),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2033}' => Fold::Ascii(b'"'),
        '\u{2039}' | '\u{ff1c}' => Fold::Ascii(b'<'),
        '\u{203a}' | '\u{ff1e}' => Fold::Ascii(b'>'),
        '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' | '\u{2014}' | '\u{2212}' => {
            Fold::Ascii(b'-')
        }
        '\u{2215}' | '\u{2044}' => Fold::Ascii(b'/'),
        '\u{2216}' => Fold::Ascii(b'\\'),
        '\u{2024}' | '\u{3002}' => Fold::Ascii(b'.'),
        '\u{2236}' | '\u{a789}' => Fold::Ascii(b':'),
        '\u{ff1b}' => Fold::Ascii(b';'),
        '\u{2217}' => Fold::Ascii(b'*'),
        _ => Fold::Keep,
    }
}
