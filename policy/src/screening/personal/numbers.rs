//! Runs of digits, and what stands between them.

use std::ops::Range;

use super::bytes::{at, before, cut};

/// The longest run of digits that anything here can be.
const MAXIMUM_DIGITS: usize = 20;

/// What is longer stands between two numbers, and not within one.
const MAXIMUM_GAP: usize = 4;
/// So many bytes are looked at together.
const CHUNK: usize = 16;

/// A run of digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    start: u32,
    end: u32,
    /// Digits from here on that may be one number.
    reach: u32,
    /// Already known to be something.
    is_taken: bool,
}

impl Group {
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn len(self) -> usize {
        self.end().saturating_sub(self.start())
    }
}

/// All runs of digits of a text.
pub(super) struct Numbers {
    groups: Vec<Group>,
}

/// Groups of digits that stand near to each other.
pub(super) struct Cluster {
    pub(super) range: Range<usize>,
    pub(super) groups: usize,
    pub(super) digits: usize,
    /// Whether there is a letter beside any of them.
    pub(super) has_letters: bool,
}

/// Groups of digits that may be one number: the digits, and how they are grouped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number {
    digits: [u8; MAXIMUM_DIGITS],
    length: usize,
    sizes: [u8; MAXIMUM_DIGITS],
    count: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Number {
    /// The digits, as values from 0 to 9.
    pub(super) fn digits(&self) -> &[u8] {
        cut(&self.digits, 0, self.length)
    }

    /// How many digits each group has.
    pub(super) fn sizes(&self) -> &[u8] {
        cut(&self.sizes, 0, self.count)
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Adds a group, unless there would be too many digits.
    pub(super) fn add(&mut self, text: &[u8], group: Group) -> bool {
        let digits = cut(text, group.start(), group.end());
        let place = self.digits.get_mut(self.length..self.length + digits.len());
        let (Some(place), Some(size)) = (place, self.sizes.get_mut(self.count)) else {
            return false;
        };
        for (to, from) in place.iter_mut().zip(digits) {
            *to = from.wrapping_sub(b'0');
        }
        *size = digits.len() as u8;
        if self.count == 0 {
            self.start = group.start();
        }
        self.end = group.end();
        self.length += digits.len();
        self.count += 1;
        true
    }
}

impl Numbers {
    pub(super) fn read(text: &[u8]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let (chunks, rest) = text.as_chunks::<CHUNK>();
        let mut add = |start: usize, bytes: &[u8]| {
            for (place, byte) in bytes.iter().enumerate() {
                if !byte.is_ascii_digit() {
                    continue;
                }
                let place = (start + place) as u32;
                match groups.last_mut().filter(|group| group.end == place) {
                    Some(group) => group.end += 1,
                    None => groups.push(Group {
                        start: place,
                        end: place + 1,
                        reach: 0,
                        is_taken: false,
                    }),
                }
            }
        };
        for (index, chunk) in chunks.iter().enumerate() {
            // Without a branch for each byte: most have none.
            if chunk.iter().fold(false, |any, byte| any | byte.is_ascii_digit()) {
                add(index * CHUNK, chunk);
            }
        }
        add(text.len() - rest.len(), rest);
        let (mut next, mut reach) = (usize::MAX, 0);
        for group in groups.iter_mut().rev() {
            let is_near = next.saturating_sub(group.end()) <= MAXIMUM_GAP;
            reach = if is_near { group.len() as u32 + reach } else { group.len() as u32 };
            (group.reach, next) = (reach, group.start());
        }
        Self { groups }
    }

    /// The groups from this one on that stand so near to each other that they may be one number.
    pub(super) fn cluster(&self, text: &[u8], index: usize) -> Option<Cluster> {
        let first = self.groups.get(index)?;
        let range = first.start()..first.end();
        let mut cluster = Cluster { range, groups: 0, digits: 0, has_letters: false };
        for group in self.groups.get(index..)? {
            if group.start() > cluster.range.end + MAXIMUM_GAP {
                break;
            }
            let is_letter = |byte: u8| byte.is_ascii_alphabetic();
            cluster.has_letters |=
                is_letter(before(text, group.start())) || is_letter(at(text, group.end()));
            cluster.range.end = group.end();
            cluster.digits += group.len();
            cluster.groups += 1;
        }
        Some(cluster)
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len()
    }

    /// The next group from this one on from which so many digits may be one number.
    pub(super) fn next_long(&self, index: usize, digits: usize) -> Option<usize> {
        let mut rest = self.groups.get(index..)?.iter();
        rest.position(|group| group.reach as usize >= digits).map(|offset| index + offset)
    }

    /// Where a group begins.
    pub(super) fn start(&self, index: usize) -> Option<usize> {
        self.groups.get(index).map(|group| group.start())
    }

    /// A group that is not yet known to be something.
    pub(super) fn free(&self, index: usize) -> Option<Group> {
        self.groups.get(index).copied().filter(|group| !group.is_taken)
    }

    /// What stands between the group before this one and this one, where it is short.
    pub(super) fn gap<'t>(&self, text: &'t [u8], index: usize) -> Option<&'t [u8]> {
        let previous = self.groups.get(index.checked_sub(1)?)?;
        let gap = cut(text, previous.end(), self.groups.get(index)?.start());
        (gap.len() <= MAXIMUM_GAP).then_some(gap)
    }

    /// Marks the groups in a range of the text, which begins in or after the group with this index.
    pub(super) fn take(&mut self, from: usize, end: usize) {
        let groups = self.groups.iter_mut().skip(from);
        groups.take_while(|group| group.start() < end).for_each(|group| group.is_taken = true);
    }

    /// Marks the groups in any range of the text.
    pub(super) fn take_range(&mut self, range: &Range<usize>) {
        let from = self.groups.partition_point(|group| group.end() <= range.start);
        self.take(from, range.end);
    }
}

/// Whether a number stands on its own: not in a word, and not the fraction of another number.
pub(super) fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let is_joined = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let previous = before(text, start);
    let is_fraction =
        matches!(previous, b'.' | b',') && before(text, start.saturating_sub(1)).is_ascii_digit();
    let is_continued = matches!(at(text, end), b'.' | b',') && at(text, end + 1).is_ascii_digit();
    !is_joined(previous) && !is_joined(at(text, end)) && !is_fraction && !is_continued
}
