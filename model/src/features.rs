//! From text to the numbers that the model reads.
//!
//! A text becomes a sparse vector over [`BUCKETS`] hashed buckets: words and pairs of words,
//! characters two to five in a row, and the shapes of links, addresses, amounts and numbers.
//! The training tools call this same code, so that what is learned is what is served.

use crate::normalise::normalise;
use crate::tokens::{Kind, Link, Token, is_ipv4, tokens};

/// Size of the feature space. Every id is below it.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 16;

/// Longest canonical text that is read, in characters. Longer ones are refused, never cut: what is
/// cut off is where the scam would stand.
pub const MAX_CHARACTERS: usize = 64 * 1024;

/// Length of a window, in bytes of canonical text, and the distance from one window to the next.
const WINDOW: usize = 240;
const STRIDE: usize = 120;

/// A sparse vector: `values[i]` stands in bucket `ids[i]`. Ids are distinct and below [`BUCKETS`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    pub ids: Vec<u32>,
    pub values: Vec<f32>,
}

/// The features of a whole text and of each of its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    pub whole: Features,
    /// Overlapping stretches of a text longer than one window, so that a scam does not drown in
    /// harmless words around it. Empty for a short text.
    pub windows: Vec<Features>,
}

/// The text has more than [`MAX_CHARACTERS`] characters in its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text has more than {MAX_CHARACTERS} characters")]
pub struct TextTooLong;

/// Computes the features of a text.
///
/// The same text gives the same features on every platform; time and memory are linear in its
/// length; no text makes it panic.
///
/// # Errors
///
/// [`TextTooLong`], see [`MAX_CHARACTERS`].
pub fn extract(text: &str) -> Result<Segments, TextTooLong> {
    let canonical = normalise(text, MAX_CHARACTERS).ok_or(TextTooLong)?;
    let tokens = tokens(&canonical);
    let mut extractor = Extractor::new();
    let whole = extractor.segment(&canonical, &tokens);
    let windows = windows(&canonical, &tokens)
        .map(|(stretch, tokens)| extractor.segment(stretch, tokens))
        .collect();
    Ok(Segments { whole, windows })
}

/// The stretches of a text that are looked at by themselves, none if it is short.
fn windows<'a>(
    canonical: &'a str,
    tokens: &'a [Token],
) -> impl Iterator<Item = (&'a str, &'a [Token])> {
    let count =
        if canonical.len() <= WINDOW { 0 } else { (canonical.len() - WINDOW).div_ceil(STRIDE) + 1 };
    let mut first = 0;
    (0..count).filter_map(move |index| {
        let from = canonical.ceil_char_boundary(index * STRIDE);
        let to = canonical.ceil_char_boundary(index * STRIDE + WINDOW);
        let stretch = canonical.get(from..to)?;
        // Tokens are in order, so each window starts its search where the last one found its own.
        first += tokens.get(first..)?.partition_point(|token| token.place.start < from);
        let rest = tokens.get(first..)?;
        let inside = rest.partition_point(|token| token.place.start < to);
        Some((stretch, rest.get(..inside)?))
    })
}

/// What a feature says something about. Each kind is scaled by itself, so that the thousand
/// character n-grams of a text do not outweigh its one link.
#[derive(Clone, Copy)]
enum Group {
    Words,
    Characters,
    Shapes,
}

impl Group {
    const ALL: [Self; 3] = [Self::Words, Self::Characters, Self::Shapes];

    /// Keeps equal strings of different groups in different buckets.
    fn salt(self) -> u8 {
        match self {
            Self::Words => b'w',
            Self::Characters => b'c',
            Self::Shapes => b's',
        }
    }

    /// The value of each of `count` features of this group. A text of few features is not
    /// allowed to shout: below the floor a feature's value no longer grows.
    fn value(self, count: usize) -> f32 {
        let (weight, floor) = match self {
            Self::Words => (1.0, 12),
            Self::Characters => (1.0, 80),
            Self::Shapes => (1.0, 8),
        };
        #[expect(clippy::cast_precision_loss, reason = "counts are below BUCKETS")]
        let count = count.max(floor) as f32;
        weight / count.sqrt()
    }
}

/// Collects distinct features; its buffers serve one segment after the other.
struct Extractor {
    seen: Vec<u64>,
    ids: [Vec<u32>; 3],
}

impl Extractor {
    fn new() -> Self {
        Self { seen: vec![0; BUCKETS / 64], ids: Default::default() }
    }

    fn segment(&mut self, stretch: &str, tokens: &[Token]) -> Features {
        self.words(tokens);
        self.characters(stretch);
        self.shapes(stretch, tokens);
        self.finish()
    }

    fn add(&mut self, group: Group, hash: Hash) {
        let id = hash.bucket();
        let Some(word) = self.seen.get_mut(id as usize / 64) else { return };
        let bit = 1_u64 << (id % 64);
        if *word & bit != 0 {
            return;
        }
        *word |= bit;
        let [words, characters, shapes] = &mut self.ids;
        match group {
            Group::Words => words.push(id),
            Group::Characters => characters.push(id),
            Group::Shapes => shapes.push(id),
        }
    }

    fn add_text(&mut self, group: Group, parts: &[&str]) {
        let hash = parts.iter().fold(Hash::new(group.salt()), |hash, part| {
            part.bytes().fold(hash.byte(0), Hash::byte)
        });
        self.add(group, hash);
    }

    fn finish(&mut self) -> Features {
        let mut features = Features::default();
        for (group, ids) in Group::ALL.into_iter().zip(&mut self.ids) {
            let value = group.value(ids.len());
            for id in ids.drain(..) {
                if let Some(word) = self.seen.get_mut(id as usize / 64) {
                    *word = 0;
                }
                features.ids.push(id);
                features.values.push(value);
            }
        }
        features
    }

    /// Words and pairs of words. Numbers, links and the like take part by their shape, so that
    /// "call 08001234567" and "call 08007654321" are one pair.
    fn words(&mut self, tokens: &[Token]) {
        let mut previous = String::from("^");
        let mut letters = String::new();
        for token in tokens {
            let word = word_view(&token.kind);
            self.add_text(Group::Words, &[&word]);
            self.add_text(Group::Words, &[&previous, &word]);
            previous = word;

            let Kind::Word(word) = &token.kind else {
                self.joined(&mut letters);
                continue;
            };
            if let Some(plain) = unleet(word) {
                self.add_text(Group::Words, &[&plain]);
                self.add_text(Group::Shapes, &["leet"]);
            }
            // "f r e e" and "f.r.e.e" are also read as "free".
            if word.chars().nth(1).is_none() {
                letters.push_str(word);
            } else {
                self.joined(&mut letters);
            }
        }
        self.joined(&mut letters);
    }

    fn joined(&mut self, letters: &mut String) {
        if letters.chars().count() >= 3 {
            self.add_text(Group::Words, &[letters]);
            self.add_text(Group::Shapes, &["joined"]);
        }
        letters.clear();
    }

    /// Two to five characters in a row, over the borders of words too.
    fn characters(&mut self, stretch: &str) {
        let characters: Vec<char> =
            std::iter::once(' ').chain(stretch.chars()).chain(std::iter::once(' ')).collect();
        for start in 0..characters.len() {
            let mut hash = Hash::new(Group::Characters.salt());
            for (index, &character) in characters.iter().skip(start).take(5).enumerate() {
                hash = hash.character(character);
                if index >= 1 {
                    self.add(Group::Characters, hash);
                }
            }
        }
    }

    fn shapes(&mut self, stretch: &str, tokens: &[Token]) {
        let length = stretch.len().max(1).ilog2().min(9);
        self.add_text(Group::Shapes, &["length", &length.to_string()]);
        let mut links = 0_usize;
        let mut exclamations = 0_usize;
        for token in tokens {
            match &token.kind {
                Kind::Link(link) => {
                    links += 1;
                    self.link(link);
                }
                Kind::Email { domain } => {
                    self.add_text(Group::Shapes, &["email"]);
                    self.add_text(Group::Shapes, &["email", domain]);
                }
                Kind::Number { digits, amount } => self.number(digits, *amount),
                Kind::Currency(currency) => self.add_text(Group::Shapes, &["currency", currency]),
                Kind::Mark('!') => exclamations += 1,
                Kind::Mark(mark) => {
                    self.add_text(Group::Shapes, &["mark", mark.encode_utf8(&mut [0; 4])]);
                }
                Kind::Word(_) => {}
            }
        }
        self.add_text(Group::Shapes, &["links", &links.min(3).to_string()]);
        if exclamations > 0 {
            self.add_text(Group::Shapes, &["exclamations", &exclamations.min(3).to_string()]);
        }
    }

    fn number(&mut self, digits: &str, amount: bool) {
        let length = digits.len().min(16).to_string();
        let kind = if amount { "amount" } else { "number" };
        self.add_text(Group::Shapes, &[kind, &length]);
        if !amount && digits.len() >= 4 {
            self.add_text(Group::Shapes, &[kind, &length, digits.get(..2).unwrap_or_default()]);
            self.add_text(Group::Shapes, &[kind, &length, digits.get(..3).unwrap_or_default()]);
        }
    }

    fn link(&mut self, link: &Link) {
        self.add_text(Group::Shapes, &["link"]);
        self.add_text(Group::Shapes, &["scheme", link.scheme.as_deref().unwrap_or("none")]);
        for (present, name) in [
            (link.has_path, "path"),
            (link.has_port, "port"),
            (link.has_userinfo, "userinfo"),
            (is_ipv4(&link.host), "address"),
            (link.host.contains("xn--"), "punycode"),
            (link.host.contains('-'), "hyphen"),
            (link.host.bytes().any(|byte| byte.is_ascii_digit()), "digit"),
            (is_shortener(&link.host), "shortener"),
        ] {
            if present {
                self.add_text(Group::Shapes, &["link", name]);
            }
        }
        let labels = link.host.split('.').count().min(5).to_string();
        self.add_text(Group::Shapes, &["labels", &labels]);
        if let Some((name, top)) = link.host.rsplit_once('.') {
            self.add_text(Group::Shapes, &["top", top]);
            let registered = name.rsplit('.').next().unwrap_or(name);
            self.add_text(Group::Shapes, &["domain", registered, top]);
        }
        for word in link.host.split(|character: char| !character.is_alphabetic()) {
            if word.len() >= 3 {
                self.add_text(Group::Shapes, &["host", word]);
            }
        }
    }
}

/// What stands for a token among the words.
fn word_view(kind: &Kind) -> String {
    match kind {
        Kind::Word(word) if word.bytes().any(|byte| byte.is_ascii_digit()) => word
            .chars()
            .map(|character| if character.is_ascii_digit() { '0' } else { character })
            .collect(),
        Kind::Word(word) => word.clone(),
        Kind::Number { amount: true, .. } => String::from("\u{1}amount"),
        Kind::Number { digits, .. } => format!("\u{1}{}", digits.len().min(16)),
        Kind::Currency(_) => String::from("\u{1}currency"),
        Kind::Link(_) => String::from("\u{1}link"),
        Kind::Email { .. } => String::from("\u{1}email"),
        Kind::Mark(mark) => mark.to_string(),
    }
}

/// "fr33" as "free": a word of letters with digits in their place.
fn unleet(word: &str) -> Option<String> {
    let letters = word.chars().filter(|character| character.is_alphabetic()).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if digits == 0 || letters < 2 || digits > letters {
        return None;
    }
    word.chars()
        .map(|character| match character {
            '0' => Some('o'),
            '1' => Some('i'),
            '3' => Some('e'),
            '4' => Some('a'),
            '5' => Some('s'),
            '7' => Some('t'),
            '8' => Some('b'),
            '0'..='9' => None,
            _ => Some(character),
        })
        .collect()
}

fn is_shortener(host: &str) -> bool {
    matches!(
        host,
        "bit.ly"
            | "tinyurl.com"
            | "goo.gl"
            | "t.co"
            | "is.gd"
            | "ow.ly"
            | "rb.gy"
            | "cutt.ly"
            | "shorturl.at"
            | "rebrand.ly"
            | "t.ly"
            | "s.id"
            | "v.gd"
            | "tiny.cc"
            | "bl.ink"
            | "u.to"
            | "lnkd.in"
            | "buff.ly"
            | "qr.ae"
            | "soo.gd"
            | "clck.ru"
            | "urlz.fr"
            | "short.gy"
            | "shorte.st"
            | "tiny.one"
            | "wa.me"
    )
}

/// FNV-1a, 32 bits, folded to a bucket.
#[derive(Clone, Copy)]
struct Hash(u32);

impl Hash {
    fn new(salt: u8) -> Self {
        Self(0x811c_9dc5).byte(salt)
    }

    fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    fn character(self, character: char) -> Self {
        character.encode_utf8(&mut [0; 4]).bytes().fold(self, Self::byte)
    }

    /// Always below [`BUCKETS`]: an id out of range would be a fault in the inference engine.
    fn bucket(self) -> u32 {
        // FNV's low bits are its weak ones: mix the high ones in (murmur3's finaliser).
        let mut hash = self.0;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        (hash ^ (hash >> 16)) >> (32 - BUCKET_BITS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> Vec<u32> {
        let mut ids = extract(text).unwrap().whole.ids;
        ids.sort_unstable();
        ids
    }

    fn contains(text: &str, parts: &[&str]) -> bool {
        let mut extractor = Extractor::new();
        extractor.add_text(Group::Words, parts);
        let wanted = extractor.finish().ids;
        wanted.iter().all(|id| set(text).contains(id))
    }

    #[test]
    fn disguised_words_are_read_too() {
        assert!(contains("claim your fr33 prize", &["free"]));
        assert!(contains("claim your f r e e prize", &["free"]));
        assert!(contains("claim your f.r.e.e prize", &["free"]));
        assert!(!contains("claim your prize", &["free"]));
    }

    #[test]
    fn a_short_text_has_no_windows_and_a_long_one_is_covered() {
        assert_eq!(extract("hello").unwrap().windows.len(), 0);
        let long = format!("{} claim your prize {}", "word ".repeat(300), "word ".repeat(300));
        let windows = extract(&long).unwrap().windows;
        assert!(windows.len() > 20, "{}", windows.len());
        let prize = {
            let mut extractor = Extractor::new();
            extractor.add_text(Group::Words, &["claim", "your"]);
            extractor.finish().ids
        };
        assert!(windows.iter().any(|window| prize.iter().all(|id| window.ids.contains(id))));
    }

    #[test]
    fn an_empty_text_has_features() {
        for text in ["", " ", "\u{200b}\u{200b}", "\u{0}"] {
            assert!(!extract(text).unwrap().whole.ids.is_empty());
        }
    }

    #[test]
    fn too_long_is_refused_not_cut() {
        assert_eq!(extract(&"a".repeat(MAX_CHARACTERS + 1)), Err(TextTooLong));
        assert!(extract(&"a".repeat(MAX_CHARACTERS)).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_distinct_ids(text in "\\PC{0,400}|[\\x00-\\u{10ffff}]{0,200}") {
            let Ok(segments) = extract(&text) else { return Ok(()) };
            for features in segments.windows.iter().chain([&segments.whole]) {
                prop_assert_eq!(features.ids.len(), features.values.len());
                prop_assert!(features.ids.iter().all(|&id| (id as usize) < BUCKETS));
                prop_assert!(features.values.iter().all(|value| value.is_finite()));
                let mut sorted = features.ids.clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), features.ids.len());
            }
        }

        #[test]
        fn invisible_characters_change_nothing(
            text in "[ -~]{0,200}",
            places in prop::collection::vec((0..200_usize, 0..5_usize), 0..40),
        ) {
            let mut disguised: Vec<char> = text.chars().collect();
            for (place, which) in places {
                let hidden = ['\u{200b}', '\u{ad}', '\u{2060}', '\u{301}', '\u{fe0f}'][which];
                disguised.insert(place.min(disguised.len()), hidden);
            }
            let disguised: String = disguised.into_iter().collect();
            prop_assert_eq!(extract(&disguised), extract(&text));
        }

        #[test]
        fn width_and_case_change_nothing(text in "[ -~]{0,200}") {
            let wide: String = text
                .chars()
                .map(|character| match character {
                    '!'..='~' => char::from_u32(u32::from(character) + 0xfee0).unwrap(),
                    other => other,
                })
                .collect();
            prop_assert_eq!(extract(&wide), extract(&text));
            prop_assert_eq!(extract(&text.to_ascii_uppercase()), extract(&text));
        }
    }
}
