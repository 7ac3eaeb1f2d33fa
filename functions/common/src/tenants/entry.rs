//! The entries of which usage is made up: what single requests were, and sums of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::calendar::{self, Day};
use super::ledger::SETTLES_SECONDS;
use super::usage::{self, Counts, Days};
use super::vault::{PREFIX, Space, VaultError, hexadecimal};
use crate::keys::{Sealer, random};

/// What the key of sums is derived for; those of requests are for the number of a day.
pub(super) const SUMS: &str = "sums";

/// The form of what is sealed.
pub(super) const VERSION: u8 = 1;

const ID_BYTES: usize = 8;

/// What stands for an entry in a sum: the beginning of its name's SHA-256. Names have 64 random bits and more.
pub(super) type Id = [u8; ID_BYTES];

/// What one request was. All of it stands in the name, sealed.
pub(super) struct Single {
    pub(super) name: String,
    pub(super) id: Id,
    pub(super) day: Day,
    pub(super) counts: Counts,
}

/// What many requests were.
pub(super) struct Sum {
    pub(super) name: String,
    pub(super) id: Id,
    /// In seconds since 1970.
    pub(super) made: u64,
    pub(super) stands_for: Vec<Id>,
    pub(super) days: Days,
    /// Whether it counts.
    pub(super) holds: bool,
}

/// The day that an entry of any tenant's usage is of, by its name alone: for a sum, the one on which it was made, as none of its
/// days is later.
pub(super) fn day(name: &str) -> Option<Day> {
    let (_, path) = name.strip_prefix(PREFIX)?.split_once('/')?;
    match path.strip_prefix("u/r/") {
        Some(single) => single.split_once('/')?.0.parse().ok(),
        None => made(path.strip_prefix("u/p/")?).map(calendar::day),
    }
}

impl Single {
    /// What the names of all of them begin with.
    pub(super) fn beginning(space: &Space) -> String {
        format!("{}u/r/", space.base())
    }

    /// The name of a new one.
    pub(super) fn seal(space: &Space, day: Day, counts: Counts) -> Result<String, VaultError> {
        let place = format!("{}{day}/", Self::beginning(space));
        let mut content = vec![VERSION];
        usage::write(&mut content, day, counts);
        // A key for each day: one for all of them could come to more messages than random nonces are safe for.
        let sealed = space.usage_sealer(&day.to_string())?.seal(&place, &content)?;
        Ok(format!("{place}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    pub(super) fn open(sealer: &Sealer, name: &str) -> Option<Self> {
        let (place, sealed) = name.split_at_checked(name.rfind('/')?.checked_add(1)?)?;
        let content = sealer.open(place, &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()?;
        let mut rest = content.strip_prefix(&[VERSION])?;
        let (day, counts) = usage::read(&mut rest)?;
        rest.is_empty().then(|| Self { name: name.to_owned(), id: id(name), day, counts })
    }
}

impl Sum {
    /// What the names of all of them begin with.
    pub(super) fn beginning(space: &Space) -> String {
        format!("{}u/p/", space.base())
    }

    /// The name and the value of a new one.
    pub(super) fn seal(
        space: &Space,
        now: u64,
        stands_for: &[Id],
        days: &Days,
    ) -> Result<(String, Vec<u8>), VaultError> {
        let random = hexadecimal(random::<ID_BYTES>()?.as_slice());
        let name = format!("{}{now:016x}-{random}", Self::beginning(space));
        let mut content = vec![VERSION];
        let number = u32::try_from(stands_for.len()).unwrap_or(u32::MAX);
        content.extend(number.to_be_bytes());
        content.extend(stands_for.as_flattened());
        for (day, counts) in days {
            usage::write(&mut content, *day, *counts);
        }
        let sealed = space.usage_sealer(SUMS)?.seal(&name, &content)?;
        Ok((name, sealed))
    }

    pub(super) fn open(sealer: &Sealer, name: &str, sealed: &[u8]) -> Option<Self> {
        let made = made(name.rsplit_once('/')?.1)?;
        let content = sealer.open(name, sealed).ok()?;
        let (number, rest) = content.strip_prefix(&[VERSION])?.split_first_chunk::<4>()?;
        let bytes = usize::try_from(u32::from_be_bytes(*number)).ok()?.checked_mul(ID_BYTES)?;
        let (stands_for, mut rest) = rest.split_at_checked(bytes)?;
        let stands_for = stands_for.as_chunks::<ID_BYTES>().0.to_vec();
        let mut days = Days::new();
        while !rest.is_empty() {
            let (day, counts) = usage::read(&mut rest)?;
            days.insert(day, counts);
        }
        Some(Self { name: name.to_owned(), id: id(name), made, stands_for, days, holds: false })
    }

    /// Whether nobody can be at work any more on another sum of the same entries. One of the future was made when the clock was
    /// wrong: nobody waits for that.
    pub(super) fn is_settled(&self, now: u64) -> bool {
        now.abs_diff(self.made) >= SETTLES_SECONDS
    }
}

/// When a sum was made, by the last part of its name.
fn made(own: &str) -> Option<u64> {
    u64::from_str_radix(own.split_once('-')?.0, 16).ok()
}

fn id(name: &str) -> Id {
    let digest: [u8; 32] = Sha256::digest(name).into();
    digest.first_chunk().copied().unwrap_or_default()
}
