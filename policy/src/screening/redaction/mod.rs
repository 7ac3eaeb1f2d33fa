//! What is done about personal data and secrets that were found.

mod canary;
mod charset;
mod event;
mod events;
mod json;
mod leaves;
mod lines;
mod means;
mod owner;
mod sse;
mod stream;
mod text;
mod texts;
mod token;
mod word;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Detection, Kind};
use crate::secret::Secret;

pub use canary::Canary;
pub use charset::Charset;
pub use owner::Owner;
pub use stream::{StreamKind, StreamRedactor, StreamSettings};

use token::{Tokens, label};

/// What is done with something of a kind.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Allow,
    /// It stays; that it was there is recorded.
    Flag,
    /// Each letter and digit becomes an asterisk. Of cards, the last four digits stay.
    Mask,
    /// A keyed digest takes its place: the same for the same value of the same tenant.
    Hash,
    /// A token takes its place, which becomes the value again in what is answered to the same principal.
    Tokenise,
    /// The whole text is refused. In the text itself it is masked.
    Refuse,
}

/// What is done with each kind of finding, and the keys that this takes.
#[derive(Clone)]
pub struct Redaction {
    actions: BTreeMap<Kind, Action>,
    /// Without a secret nothing is hashed, and there are no tokens: what everybody knows the key of is nobody's.
    keys: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    hash: Zeroizing<[u8; 32]>,
    tokens: Tokens,
}

impl Redaction {
    /// Kinds that are not named are let be. Keys are derived from the secret, for this purpose only.
    /// Without one, what would be hashed or tokenised is masked.
    pub fn compile(actions: &BTreeMap<Kind, Action>, secret: Option<&Secret>) -> Self {
        Self {
            actions: actions.clone(),
            keys: secret.map(|secret| Keys {
                hash: derive(secret, "portcullis redaction: hash"),
                tokens: Tokens::new(secret),
            }),
        }
    }

    /// What is done with this kind. Markers are there to be refused.
    pub fn action(&self, kind: Kind) -> Action {
        let other = if kind == Kind::Canary { Action::Refuse } else { Action::Allow };
        self.actions.get(&kind).copied().unwrap_or(other)
    }

    /// The first finding for which the text is to be refused.
    pub fn refused<'d>(&self, findings: &'d [Detection]) -> Option<&'d Detection> {
        findings.iter().find(|finding| self.action(finding.kind) == Action::Refuse)
    }

    /// The text with what was found in it masked, hashed or replaced by tokens. Tokens of the same owner stay as they
    /// are: they are in texts that come back.
    pub fn apply<'t>(&self, text: &'t str, findings: &[Detection], owner: &Owner) -> Cow<'t, str> {
        let tokens = self.tokens_in(text, owner);
        let kept = tokens.into_iter().map(|(range, _)| (range, None)).collect();
        self.edit(text, findings, owner, kept)
    }

    /// The text with the owner's tokens replaced by their values. Tokens of others stay: they tell nothing.
    pub fn restore<'t>(&self, text: &'t str, owner: &Owner) -> Cow<'t, str> {
        self.rewrite(text, &[], owner)
    }

    /// Both: what is found is redacted, except in tokens, which are restored.
    pub(crate) fn rewrite<'t>(
        &self,
        text: &'t str,
        findings: &[Detection],
        owner: &Owner,
    ) -> Cow<'t, str> {
        let tokens = self.tokens_in(text, owner);
        let values = tokens.into_iter().map(|(range, value)| (range, Some(value))).collect();
        self.edit(text, findings, owner, values)
    }

    /// What [`Self::rewrite`] would put in the place of what: in order, not overlapping.
    fn edits(
        &self,
        text: &str,
        findings: &[Detection],
        owner: &Owner,
    ) -> Vec<(Range<usize>, String)> {
        let tokens = self.tokens_in(text, owner);
        let values = tokens.into_iter().map(|(range, value)| (range, Some(value))).collect();
        self.edits_beside(text, findings, owner, values)
    }

    /// Replaces findings, and the given ranges by what is given for them. Ranges win over findings.
    fn edit<'t>(
        &self,
        text: &'t str,
        findings: &[Detection],
        owner: &Owner,
        ranges: Vec<(Range<usize>, Option<String>)>,
    ) -> Cow<'t, str> {
        let edits = self.edits_beside(text, findings, owner, ranges);
        if edits.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut edited = String::with_capacity(text.len());
        let mut place = 0;
        for (range, replacement) in edits {
            edited.push_str(text.get(place..range.start).unwrap_or_default());
            edited.push_str(&replacement);
            place = range.end;
        }
        edited.push_str(text.get(place..).unwrap_or_default());
        Cow::Owned(edited)
    }

    fn edits_beside(
        &self,
        text: &str,
        findings: &[Detection],
        owner: &Owner,
        ranges: Vec<(Range<usize>, Option<String>)>,
    ) -> Vec<(Range<usize>, String)> {
        let mut edits = ranges;
        let fixed = edits.len();
        for finding in findings {
            let range = &finding.range;
            let fixed = edits.get(..fixed).unwrap_or_default();
            let next = fixed.partition_point(|(fixed, _)| fixed.end <= range.start);
            if fixed.get(next).is_some_and(|(fixed, _)| fixed.start < range.end) {
                continue;
            }
            let value = text.get(range.clone()).unwrap_or_default();
            if let Some(replacement) = self.replacement(finding.kind, value, owner) {
                edits.push((range.clone(), Some(replacement)));
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut place = 0;
        let edits = edits.into_iter().filter_map(|(range, replacement)| {
            let replacement = replacement.filter(|_| range.start >= place)?;
            place = range.end;
            Some((range, replacement))
        });
        edits.collect()
    }

    /// What takes the place of a value; `None` where it stays.
    pub(crate) fn replacement(&self, kind: Kind, value: &str, owner: &Owner) -> Option<String> {
        match self.action(kind) {
            Action::Allow | Action::Flag => None,
            Action::Mask | Action::Refuse => Some(mask(kind, value)),
            Action::Hash => Some(match &self.keys {
                Some(keys) => keys.digest(kind, value, owner),
                None => mask(kind, value),
            }),
            // What is too long for a token, or nobody's in particular, cannot come back.
            Action::Tokenise => {
                let keys = self.keys.as_ref();
                let token = keys.and_then(|keys| keys.tokens.seal(kind, value, owner));
                Some(token.unwrap_or_else(|| mask(kind, value)))
            }
        }
    }

    /// The owner's tokens in a text, and what they stand for.
    fn tokens_in(&self, text: &str, owner: &Owner) -> Vec<(Range<usize>, String)> {
        self.keys.as_ref().map(|keys| keys.tokens.find(text, owner)).unwrap_or_default()
    }
}

impl Keys {
    fn digest(&self, kind: Kind, value: &str, owner: &Owner) -> String {
        use std::fmt::Write as _;
        let label = label(kind);
        // Another tenant must not be able to try values and compare.
        let mut message = owner.domain();
        message.extend_from_slice(label.as_bytes());
        message.push(0);
        message.extend(canonical(kind, value));
        let digest = mac(&*self.hash, &message);
        let mut text = format!("<{label}:");
        for byte in digest.iter().take(8) {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('>');
        text
    }
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redaction").field("actions", &self.actions).finish_non_exhaustive()
    }
}

/// The same number, however it is grouped; the same address, in either case.
fn canonical(kind: Kind, value: &str) -> Vec<u8> {
    let is_number = matches!(
        kind,
        Kind::PaymentCard | Kind::Iban | Kind::UsSsn | Kind::NationalId | Kind::PhoneNumber
    );
    match kind {
        _ if is_number => {
            let characters = value.chars().filter(|character| character.is_alphanumeric());
            characters.collect::<String>().to_lowercase().into_bytes()
        }
        Kind::EmailAddress | Kind::MacAddress => value.to_lowercase().into_bytes(),
        _ => value.as_bytes().to_vec(),
    }
}

/// The value with as many characters, of which nothing can be read.
fn mask(kind: Kind, value: &str) -> String {
    let is_secret = matches!(
        kind,
        Kind::Secret
            | Kind::PrivateKey
            | Kind::CredentialUrl
            | Kind::CryptoAddress
            | Kind::StackTrace
            | Kind::Canary
    );
    let hide = |character: char| match is_secret {
        true => !character.is_whitespace(),
        false => character.is_alphanumeric() || !character.is_ascii(),
    };
    let digits = value.chars().filter(|character| character.is_numeric()).count();
    let mut kept = if kind == Kind::PaymentCard { digits.saturating_sub(4) } else { usize::MAX };
    let characters = value.chars().map(|character| {
        let is_kept = character.is_numeric() && kept == 0;
        if character.is_numeric() {
            kept = kept.saturating_sub(1);
        }
        if hide(character) && !is_kept { '*' } else { character }
    });
    characters.collect()
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// A key of its own for each purpose: HMAC as the pseudo-random function of SP 800-108.
fn derive(secret: &Secret, purpose: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(secret.expose(), purpose.as_bytes()))
}

#[cfg(test)]
mod events_tests;
#[cfg(test)]
mod tests;
