//! What the last questions of a person looked like.
//!
//! Who wants to know what a text is asks about texts that differ, and most answers are clear. Who searches for a wording that
//! passes asks about one text in many spellings, on both sides of the threshold (Chen, Carlini and Wagner 2020); who copies the
//! model asks most where its answer is in doubt (Juuti et al. 2019). Neither can be told from a single question, so a
//! sketch of the last ones is kept, sealed like everything else: of each text 64 bits that similar texts have in common, and
//! its answer. Instances that answer at the same time may lose each other's, and with another key it begins anew: it is a suspicion, not
//! an account.

use super::vault::{Kind, Own, TenantVault, VaultError};
use crate::keys::Store;

/// A question and its answer, as far as the sketch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    fingerprint: u64,
    /// In parts of 255.
    probability: u8,
    is_scam: bool,
}

/// What the last questions look like, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Nearly the same text again and again, with answers of both kinds.
    BoundarySearch,
    /// Far more doubtful texts than messages have.
    UncertainQueries,
}

impl Pattern {
    /// As it is told to the gate.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BoundarySearch => "boundary-search",
            Self::UncertainQueries => "uncertain-queries",
        }
    }
}

/// How many questions are remembered.
const REMEMBERED: usize = 128;
/// The most bits in which the fingerprints of nearly the same text differ.
const NEARLY_THE_SAME: u32 = 12;
/// So many questions with a near neighbour of the other label are a search.
const SEARCHED: usize = 16;
/// A probability from here up to 1 less this is doubtful, and so many of those are too many.
const DOUBTFUL: u8 = 38;
const DOUBTED: usize = 64;

/// How much of a text a fingerprint is of, in characters.
const FINGERPRINTED: usize = 4096;
/// Bytes of one question in the entry.
const BYTES: usize = 10;
/// There is one entry of a person.
const ID: &str = "last";

impl Query {
    /// The sketch of a text and its answer.
    pub fn new(text: &str, probability: f32, is_scam: bool) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let probability = (probability.clamp(0.0, 1.0) * 255.0).round() as u8;
        Self { fingerprint: fingerprint(text), probability, is_scam }
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (fingerprint, answer) = bytes.split_at_mut(8);
        fingerprint.copy_from_slice(&self.fingerprint.to_be_bytes());
        answer.copy_from_slice(&[self.probability, self.is_scam.into()]);
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, probability, is_scam] = *bytes;
        let fingerprint = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self { fingerprint, probability, is_scam: is_scam == 1 }
    }

    /// The same text once more is no search: it has the same answer.
    fn is_nearly(self, other: Self) -> bool {
        (1..=NEARLY_THE_SAME).contains(&(self.fingerprint ^ other.fingerprint).count_ones())
    }
}

/// Remembers questions, and tells what they look like together with those before them.
pub(super) async fn watch(
    vault: &TenantVault<'_>,
    own: &Own,
    store: &impl Store,
    queries: &[Query],
) -> Result<Option<Pattern>, VaultError> {
    let (name, sealer) = vault.own_entry(own, Kind::Queries, ID);
    let before = match store.value(&name).await? {
        None => Default::default(),
        Some(sealed) => {
            sealer.open(&name, &sealed).map_err(|_| VaultError::NotOpened(name.clone()))?
        }
    };
    let (before, _) = before.as_chunks::<BYTES>();
    let mut all: Vec<Query> = before.iter().map(Query::from_bytes).collect();
    all.extend(queries);
    all.drain(..all.len().saturating_sub(REMEMBERED));
    let content: Vec<u8> = all.iter().flat_map(|query| query.to_bytes()).collect();
    store.set(&name, sealer.seal(&name, &content)?).await?;
    Ok(pattern(&all))
}

fn pattern(queries: &[Query]) -> Option<Pattern> {
    let searched = queries.iter().filter(|query| {
        queries.iter().any(|other| other.is_scam != query.is_scam && query.is_nearly(*other))
    });
    if searched.count() >= SEARCHED {
        return Some(Pattern::BoundarySearch);
    }
    let doubtful = DOUBTFUL..=255 - DOUBTFUL;
    let doubted = queries.iter().filter(|query| doubtful.contains(&query.probability)).count();
    (doubted >= DOUBTED).then_some(Pattern::UncertainQueries)
}

/// Bits that similar texts have in common (Charikar 2002), over three letters or digits in a row.
fn fingerprint(text: &str) -> u64 {
    let mut balance = [0_i32; 64];
    let (mut first, mut second) = ('\0', '\0');
    let plain = text.chars().take(FINGERPRINTED).filter(|character| character.is_alphanumeric());
    for third in plain.flat_map(char::to_lowercase) {
        let hash = [first, second, third].iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| {
            // FNV-1a, and a last mixing: its high bits are not worth much on so few characters.
            (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = hash ^ (hash >> 29);
        for (bit, balance) in balance.iter_mut().enumerate() {
            *balance += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
        (first, second) = (second, third);
    }
    balance.iter().enumerate().fold(0, |bits, (bit, balance)| bits | u64::from(*balance > 0) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAM: &str = "Dear customer, your parcel is held at the depot. Pay the fee of 1.99 at parcel-fee.example today";

    fn distance(one: &str, other: &str) -> u32 {
        (fingerprint(one) ^ fingerprint(other)).count_ones()
    }

    #[test]
    fn spellings_of_one_text_are_near_and_other_texts_far() {
        assert_eq!(distance(SCAM, &SCAM.to_uppercase()), 0);
        for changed in [
            SCAM.replace("parcel", "package"),
            SCAM.replace("today", "now"),
            SCAM.replace("fee", "f33"),
        ] {
            assert!(
                (1..=NEARLY_THE_SAME).contains(&distance(SCAM, &changed)),
                "{changed}: {}",
                distance(SCAM, &changed)
            );
        }
        for other in [
            "Are we still on for lunch tomorrow? I could be there at noon.",
            "Your table for four is booked for Friday evening; we hold it for a quarter of an hour.",
        ] {
            assert!(distance(SCAM, other) > NEARLY_THE_SAME, "{other}: {}", distance(SCAM, other));
        }
    }

    #[test]
    fn a_search_along_the_threshold_is_seen() {
        let words = SCAM.split(' ').count();
        let spellings = (0..words).map(|left_out| {
            let kept = SCAM.split(' ').enumerate().filter(|(place, _)| *place != left_out);
            let text: String = kept.map(|(_, word)| format!("{word} ")).collect();
            Query::new(&text, 0.5, left_out % 2 == 0)
        });
        assert_eq!(pattern(&spellings.collect::<Vec<_>>()), Some(Pattern::BoundarySearch));
    }

    #[test]
    fn messages_of_one_template_are_no_search() {
        let codes = (0..128).map(|code| {
            Query::new(
                &format!("Your code is {}. Do not tell anybody.", 100_000 + code * 7),
                0.01,
                false,
            )
        });
        assert_eq!(pattern(&codes.collect::<Vec<_>>()), None);
        let same = vec![Query::new(SCAM, 0.9, true); 128];
        assert_eq!(pattern(&same), None);
    }

    #[test]
    fn doubtful_questions_alone_are_conspicuous() {
        let asked = |probability| {
            let texts = (0..128_u32)
                .map(|text| format!("{} {}", text.wrapping_mul(0x9e37_79b9), text * 31));
            texts.map(|text| Query::new(&text, probability, false)).collect::<Vec<_>>()
        };
        assert_eq!(pattern(&asked(0.4)), Some(Pattern::UncertainQueries));
        assert_eq!(pattern(&asked(0.02)), None);
        assert_eq!(pattern(&[]), None);
    }

    #[test]
    fn a_sketch_survives_its_bytes() {
        for query in [Query::new(SCAM, 0.87, true), Query::new("", f32::NAN, false)] {
            assert_eq!(Query::from_bytes(&query.to_bytes()), query);
        }
    }
}
