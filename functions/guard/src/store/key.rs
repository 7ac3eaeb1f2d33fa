//! By what something is counted.

/// A key of one limit, as the stores have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    own: String,
    overflow: Option<String>,
    is_proved: bool,
}

/// How many shared keys each limit has, for keys that find no room.
const OVERFLOWS: u8 = 16;

impl Key {
    /// The key of a caller. The digest is under a secret that all machines have: nobody can make up keys of which one falls upon
    /// another. `is_proved` says that callers cannot make up keys at all: so a flood of those who can takes up half of the room.
    pub(crate) fn new(limit: &str, digest: [u8; 16], is_proved: bool) -> Self {
        let [first, ..] = digest;
        let part = first % OVERFLOWS;
        let region = if is_proved { "proved" } else { "open" };
        Self {
            own: format!("{limit}:{:032x}", u128::from_be_bytes(digest)),
            overflow: Some(format!("{limit}:{region}:{part}")),
            is_proved,
        }
    }

    /// The key of a source that can be shut out. One for which there is no room is not shut out with others: it would not be for what
    /// it did itself.
    pub(crate) fn of_source(digest: [u8; 16]) -> Self {
        Self { overflow: None, ..Self::new("penalty", digest, false) }
    }

    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// What is counted by where there is no room.
    pub(super) fn overflow(&self) -> Option<&str> {
        self.overflow.as_deref()
    }

    pub(super) fn place(&self, is_shared: bool) -> Option<&str> {
        if is_shared { self.overflow() } else { Some(&self.own) }
    }

    /// How many keys there may be for this one to have room, of so many in all.
    pub(super) fn room(&self, keys: u64) -> u64 {
        if self.is_proved { keys } else { keys / 2 }
    }
}
