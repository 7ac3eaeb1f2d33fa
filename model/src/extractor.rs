//! The features of one stretch of text.

use std::ops::Range;

use crate::features::Features;
use crate::hash::{BUCKETS, Hash};
use crate::names::SHORTENERS;
use crate::tokens::{Kind, Link, Token, is_ipv4};

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
        let floor = match self {
            Self::Words => 12,
            Self::Characters => 80,
            Self::Shapes => 8,
        };
        #[expect(clippy::cast_precision_loss, reason = "counts are below BUCKETS")]
        let count = count.max(floor) as f32;
        1.0 / count.sqrt()
    }
}

/// Where a feature was found, in bytes of the text that is read.
pub(crate) type Finding = (u32, Range<usize>);

/// Collects distinct features; its buffers serve one segment after the other.
pub(crate) struct Extractor {
    seen: Vec<u64>,
    ids: [Vec<u32>; 3],
    /// Each place where a feature was found, if somebody asks.
    findings: Option<Vec<Finding>>,
}

impl Extractor {
    pub(crate) fn new() -> Self {
        Self { seen: vec![0; BUCKETS / 64], ids: Default::default(), findings: None }
    }

    /// One that also remembers where in the text each feature was found.
    pub(crate) fn tracing() -> Self {
        Self { findings: Some(Vec::new()), ..Self::new() }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings.unwrap_or_default()
    }

    /// The features of the bytes `place` of `text`, of which `tokens` are the tokens.
    pub(crate) fn segment(
        &mut self,
        text: &str,
        place: Range<usize>,
        tokens: &[Token],
    ) -> Features {
        let stretch = text.get(place.clone()).unwrap_or_default();
        self.words(tokens);
        self.characters(stretch, place.start);
        self.shapes(stretch, tokens);
        self.finish()
    }

    fn add(&mut self, group: Group, hash: Hash, place: Option<Range<usize>>) {
        let id = hash.bucket();
        if let (Some(findings), Some(place)) = (&mut self.findings, place) {
            findings.push((id, place));
        }
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

    fn shape(&mut self, parts: &[&str], place: Option<&Range<usize>>) {
        let hash = parts
            .iter()
            .fold(Hash::new(Group::Shapes.salt()), |hash, part| hash.word(0).text(part));
        self.add(Group::Shapes, hash, place.cloned());
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
        let start = tokens.first().map_or(0, |token| token.place.start);
        let mut previous = (Hash::new(Group::Words.salt()).word(1), start..start);
        for token in tokens {
            let word = word_hash(&token.kind);
            let place = token.place.clone();
            self.add(Group::Words, word, Some(place.clone()));
            self.add(Group::Words, previous.0.and(word), Some(previous.1.start..place.end));
            previous = (word, place);
        }
    }

    /// Two to five characters in a row, over the borders of words too.
    fn characters(&mut self, stretch: &str, offset: usize) {
        let first = Hash::new(Group::Characters.salt());
        let end = offset + stretch.len();
        // The n-grams that end at the last character, the shortest first, and where they begin.
        let mut open: [(Hash, usize); 4] = [(first, offset); 4];
        let mut length = 0;
        let bordered = std::iter::once((offset, ' '))
            .chain(stretch.char_indices().map(|(at, character)| (offset + at, character)))
            .chain(std::iter::once((end, ' ')));
        for (at, character) in bordered {
            let after = (at + character.len_utf8()).min(end);
            let [one, two, three, four] = open;
            let extended =
                [one, two, three, four].map(|(hash, from)| (hash.word(character.into()), from));
            for &(hash, from) in extended.iter().take(length) {
                self.add(Group::Characters, hash, Some(from..after));
            }
            let [one, two, three, _] = extended;
            open = [(first.word(character.into()), at), one, two, three];
            length = (length + 1).min(4);
        }
    }

    fn shapes(&mut self, stretch: &str, tokens: &[Token]) {
        let length = stretch.len().max(1).ilog2().min(9);
        self.shape(&["length", &length.to_string()], None);
        let mut links = 0_usize;
        let mut exclamations = 0_usize;
        for token in tokens {
            let place = Some(&token.place);
            match &token.kind {
                Kind::Link(link) => {
                    links += 1;
                    self.link(link, place);
                }
                Kind::Email { domain } => {
                    self.shape(&["email"], place);
                    self.shape(&["email", domain], place);
                }
                Kind::Number { digits, amount } => self.number(digits, *amount, place),
                Kind::Currency(currency) => self.shape(&["currency", currency], place),
                Kind::Mark('!') => exclamations += 1,
                Kind::Mark(mark) => self.shape(&["mark", mark.encode_utf8(&mut [0; 4])], place),
                Kind::Word(_) => {}
            }
        }
        self.shape(&["links", &links.min(3).to_string()], None);
        if exclamations > 0 {
            self.shape(&["exclamations", &exclamations.min(3).to_string()], None);
        }
    }

    fn number(&mut self, digits: &str, amount: bool, place: Option<&Range<usize>>) {
        let length = digits.len().min(16).to_string();
        let kind = if amount { "amount" } else { "number" };
        self.shape(&[kind, &length], place);
        if !amount && digits.len() >= 4 {
            self.shape(&[kind, &length, digits.get(..2).unwrap_or_default()], place);
            self.shape(&[kind, &length, digits.get(..3).unwrap_or_default()], place);
        }
    }

    fn link(&mut self, link: &Link, place: Option<&Range<usize>>) {
        self.shape(&["link"], place);
        self.shape(&["scheme", link.scheme.as_deref().unwrap_or("none")], place);
        for (present, name) in [
            (link.has_path, "path"),
            (link.has_port, "port"),
            (link.has_userinfo, "userinfo"),
            (is_ipv4(&link.host), "address"),
            (link.host.contains("xn--"), "punycode"),
            (link.host.contains('-'), "hyphen"),
            (link.host.bytes().any(|byte| byte.is_ascii_digit()), "digit"),
            (SHORTENERS.binary_search(&link.host.as_str()).is_ok(), "shortener"),
        ] {
            if present {
                self.shape(&["link", name], place);
            }
        }
        let labels = link.host.split('.').count().min(5).to_string();
        self.shape(&["labels", &labels], place);
        if let Some((name, top)) = link.host.rsplit_once('.') {
            self.shape(&["top", top], place);
            let registered = name.rsplit('.').next().unwrap_or(name);
            self.shape(&["domain", registered, top], place);
        }
        for word in link.host.split(|character: char| !character.is_alphabetic()) {
            if word.len() >= 3 {
                self.shape(&["host", word], place);
            }
        }
    }
}

/// Where the table has the weight of a word of lower-case ASCII letters.
#[cfg(feature = "training")]
#[must_use]
pub fn word_bucket(word: &str) -> u32 {
    word_hash(&Kind::Word(word.into())).bucket()
}

/// What stands for a token among the words.
fn word_hash(kind: &Kind) -> Hash {
    let hash = Hash::new(Group::Words.salt());
    match kind {
        Kind::Word(word) => word.bytes().fold(hash, |hash, byte| {
            hash.word(u32::from(if byte.is_ascii_digit() { b'0' } else { byte }))
        }),
        Kind::Number { amount: true, .. } => hash.word(2),
        Kind::Number { digits, .. } => {
            hash.word(3).word(u32::try_from(digits.len().min(16)).unwrap_or_default())
        }
        Kind::Currency(_) => hash.word(4),
        Kind::Link(_) => hash.word(5),
        Kind::Email { .. } => hash.word(6),
        Kind::Mark(mark) => hash.word(7).word((*mark).into()),
    }
}
