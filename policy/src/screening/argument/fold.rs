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

/// The letters of other alphabets that look like Latin ones, and what they look like, pair by pair.
const LETTERS: &str = "аaеeоoрpсcуyхxіiјjѕsһhԁdɡgαaοoνvıiſsKkΑaΕeΟoРpСcАaЕeОoХxΙiІi";
/// Signs, likewise.
const SIGNS: &str = "‘'’'‚'‛'′'ʼ'ʹ'ˈ'“\"”\"„\"″\"‹<›>＜<＞>‐-‑-‒-–-—-−-∕/⁄/∖\\․.。.∶:꞉:；;∗*";

/// What the character stands for. Best-fit mappings of old code pages and NFKC do the same.
pub(super) fn fold(character: char) -> Fold {
    let code = u32::from(character);
    match code {
        0..=0x7f => Fold::Ascii(u8::try_from(code).unwrap_or(b' ')),
        0xad | 0x180e | 0x200b..=0x200f | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff => Fold::Drop,
        0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => {
            Fold::Ascii(b' ')
        }
        // Full width.
        0xff01..=0xff5e => ascii(code - 0xff01 + 0x21),
        // A, a in circles; bold, italic and other mathematical letters; tags.
        0x24b6..=0x24cf => ascii(code - 0x24b6 + 0x61),
        0x24d0..=0x24e9 => ascii(code - 0x24d0 + 0x61),
        0x1d400..=0x1d6a3 => ascii((code - 0x1d400) % 26 + 0x61),
        0x1d7ce..=0x1d7ff => ascii((code - 0x1d7ce) % 10 + 0x30),
        0xe0020..=0xe007e => ascii(code - 0xe0000),
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

fn listed(character: char) -> Fold {
    for list in [LETTERS, SIGNS] {
        let mut characters = list.chars();
        while let (Some(from), Some(to)) = (characters.next(), characters.next()) {
            if from == character {
                return ascii(u32::from(to));
            }
        }
    }
    Fold::Keep
}
