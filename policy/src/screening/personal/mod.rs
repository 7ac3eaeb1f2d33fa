//! Personal data and secrets in a text, and where they are.
//!
//! The text is folded first (digits of all scripts, characters of no width), then read once for runs of digits and once for
//! the words and prefixes that announce something. Each kind has a detector that looks at bounded surroundings of such a
//! place, so that no text takes more than linear time, and ordinary prose hardly any.

mod address;
mod assignment;
mod bytes;
mod card;
mod checksum;
mod crypto;
mod email;
mod fold;
mod heads;
mod iban;
mod identity;
mod identity_forms;
mod identity_letters;
mod numbers;
mod phone;
mod private_key;
mod stack_trace;
mod token;
mod url;
mod words;

use std::ops::Range;

use super::{Detection, Kind};
use crate::policy::CompileError;

pub(super) use fold::Folded;
use numbers::Numbers;
use words::{Sightings, Words};

/// The longest text that is searched, in bytes: places are kept in 32 bits. Far more than any body may have.
const MAXIMUM_TEXT_BYTES: usize = u32::MAX as usize;

/// A text of which less than this stands before and after a number has nothing but the number in it.
const MAXIMUM_BLANK_BYTES: usize = 8;

/// What finds personal data and secrets. Compiled once, for the kinds that are wanted.
#[derive(Debug, Clone)]
pub struct PersonalData {
    kinds: Vec<Kind>,
    words: Words,
}

impl PersonalData {
    /// Every kind that can be found here.
    pub const KINDS: [Kind; 13] = [
        Kind::EmailAddress,
        Kind::PhoneNumber,
        Kind::PaymentCard,
        Kind::Iban,
        Kind::UsSsn,
        Kind::NationalId,
        Kind::IpAddress,
        Kind::MacAddress,
        Kind::CryptoAddress,
        Kind::CredentialUrl,
        Kind::Secret,
        Kind::PrivateKey,
        Kind::StackTrace,
    ];

    /// What finds these kinds. `field` is where they were written, for the error that a kind which is
    /// not among [`Self::KINDS`] is.
    pub fn compile(kinds: &[Kind], field: &str) -> Result<Self, CompileError> {
        if let Some(index) = kinds.iter().position(|kind| !Self::KINDS.contains(kind)) {
            let message = "expected a kind of personal data or of secrets";
            return Err(CompileError::new(format!("{field}[{index}]"), message));
        }
        let words = Words::shared().map_err(|error| CompileError::new(field, error.to_string()))?;
        Ok(Self { kinds: kinds.to_vec(), words })
    }

    /// What is in the text: in order, not overlapping. Of two findings at one place the more certain one counts,
    /// then the longer one, and what either covers is covered.
    pub fn find(&self, text: &str) -> Vec<Detection> {
        if text.len() > MAXIMUM_TEXT_BYTES {
            return Vec::new();
        }
        let folded = Folded::new(text);
        let numbers = Numbers::read(folded.bytes());
        let sightings = self.words.look(folded.bytes(), &numbers);
        let mut scan = Scan {
            text: folded.bytes(),
            numbers,
            sightings,
            kinds: &self.kinds,
            found: Vec::new(),
        };
        scan.run();
        let mut detections: Vec<Detection> = Vec::new();
        for finding in settle(scan.found) {
            let range = folded.original(finding.range);
            // Two findings in one character (of which folding made several) are one.
            if let Some(last) = detections.last_mut().filter(|last| last.range.end > range.start) {
                last.range.end = last.range.end.max(range.end);
                continue;
            }
            let Finding { kind, rule, score, .. } = finding;
            detections.push(Detection { kind, rule, range, score });
        }
        detections
    }
}

/// Something found in the folded text.
#[derive(Debug, Clone)]
struct Finding {
    kind: Kind,
    rule: &'static str,
    range: Range<usize>,
    score: f32,
}

/// A folded text while it is searched.
struct Scan<'a> {
    text: &'a [u8],
    numbers: Numbers,
    sightings: Sightings,
    kinds: &'a [Kind],
    found: Vec<Finding>,
}

impl Scan<'_> {
    fn run(&mut self) {
        // Detectors of digits come in the order of their certainty: digits that are one thing are not another.
        type Detector = fn(&mut Scan<'_>);
        let detectors: [(Kind, Detector); 15] = [
            (Kind::PrivateKey, private_key::find),
            (Kind::IpAddress, address::find_ip),
            (Kind::MacAddress, address::find_mac),
            (Kind::PaymentCard, card::find),
            (Kind::Iban, iban::find),
            (Kind::UsSsn, identity::find_ssn),
            (Kind::NationalId, identity_letters::find),
            (Kind::NationalId, identity::find),
            (Kind::PhoneNumber, phone::find),
            (Kind::EmailAddress, email::find),
            (Kind::CryptoAddress, crypto::find),
            (Kind::CredentialUrl, url::find),
            (Kind::Secret, token::find),
            (Kind::Secret, assignment::find),
            (Kind::StackTrace, stack_trace::find),
        ];
        for (kind, detector) in detectors {
            if self.wants(kind) {
                detector(self);
            }
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    fn report(&mut self, kind: Kind, rule: &'static str, mut range: Range<usize>, score: f32) {
        // The `n` of `\n` in a text within a text is no part of what follows it.
        let is_escape = b"nrtbf".contains(&bytes::at(self.text, range.start));
        if is_escape && bytes::before(self.text, range.start) == b'\\' {
            range.start += 1;
        }
        if range.start < range.end && self.wants(kind) {
            self.found.push(Finding { kind, rule, range, score });
        }
    }

    /// Whether there is nothing in the text but this: a field's value, whose name nobody has told us.
    fn is_all(&self, range: &Range<usize>) -> bool {
        let is_blank = |bytes: &[u8]| {
            bytes.len() < MAXIMUM_BLANK_BYTES && bytes.iter().all(|b| !b.is_ascii_alphanumeric())
        };
        is_blank(bytes::cut(self.text, 0, range.start))
            && is_blank(bytes::cut(self.text, range.end, self.text.len()))
    }
}

/// Resolves overlaps.
fn settle(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
    // What is in a line of a trace counts for itself: it may be what is refused.
    let (lines, found): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|finding| finding.kind == Kind::StackTrace);
    let mut settled = resolve(found);
    if !lines.is_empty() {
        settled.extend(stack_trace::between(resolve(lines), &settled));
        settled.sort_by_key(|finding| finding.range.start);
    }
    settled
}

fn resolve(found: Vec<Finding>) -> Vec<Finding> {
    let mut settled: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        let Some(last) = settled.last_mut().filter(|last| last.range.end > finding.range.start)
        else {
            settled.push(finding);
            continue;
        };
        // What follows a password in a URL is a host, even where it looks like somebody's address.
        if last.kind == Kind::CredentialUrl && finding.kind == Kind::EmailAddress {
            continue;
        }
        let range = last.range.start..last.range.end.max(finding.range.end);
        let is_better = (finding.score, finding.range.len()) > (last.score, last.range.len());
        // What encloses another thing is what it says it is: a URL with an address in it is a URL.
        if is_better && finding.range.len() * 2 >= last.range.len() {
            *last = finding;
        }
        last.range = range;
    }
    settled
}

#[cfg(test)]
mod tests;
