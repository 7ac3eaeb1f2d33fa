//! Runs of digits, and what stands between them.

use super::bytes::{at, before, cut};

/// The longest run of digits that anything here can be.
const MAXIMUM_DIGITS: usize = 20;

/// A run of digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    start: u32,
    end: u32,
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

    pub(super) fn range(&self) -> std::ops::Range<usize> {
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
        let mut groups = Vec::new();
        let mut start = None;
        for (place, byte) in text.iter().enumerate() {
            if byte.is_ascii_digit() {
                start.get_or_insert(place);
            } else if let Some(start) = start.take() {
                groups.push(Group { start: start as u32, end: place as u32, is_taken: false });
            }
        }
        if let Some(start) = start {
            let (start, end) = (start as u32, text.len() as u32);
            groups.push(Group { start, end, is_taken: false });
        }
        Self { groups }
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len()
    }

    /// Where a group begins.
    pub(super) fn start(&self, index: usize) -> Option<usize> {
        self.groups.get(index).map(|group| group.start())
    }

    /// Where a group ends.
    pub(super) fn end(&self, index: usize) -> Option<usize> {
        self.groups.get(index).map(|group| group.end())
    }

    /// A group that is not yet known to be something.
    pub(super) fn free(&self, index: usize) -> Option<Group> {
        self.groups.get(index).copied().filter(|group| !group.is_taken)
    }

    /// What stands between the group before this one and this one, where it is short.
    pub(super) fn gap<'t>(&self, text: &'t [u8], index: usize) -> Option<&'t [u8]> {
        let previous = self.groups.get(index.checked_sub(1)?)?;
        let gap = cut(text, previous.end(), self.groups.get(index)?.start());
        (gap.len() <= 4).then_some(gap)
    }

    /// Marks the groups in a range of the text, which begins in or after the group with this index.
    pub(super) fn take(&mut self, from: usize, end: usize) {
        let groups = self.groups.iter_mut().skip(from);
        groups.take_while(|group| group.start() < end).for_each(|group| group.is_taken = true);
    }

    /// Marks the groups in any range of the text.
    pub(super) fn take_range(&mut self, range: &std::ops::Range<usize>) {
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
