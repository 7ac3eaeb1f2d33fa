//! How usage is counted where nothing can be changed atomically.
//!
//! Spin's store knows no compare-and-swap, and an instance may live for one request only. So nothing is ever incremented: each
//! request writes one entry of its own, under a random name, and reads nothing. What the request was stands, sealed, in the name:
//! listing the names is then enough to sum them up. That is exact whatever instances do at the same time.
//!
//! Now and then, entries are summed up into one ([`Ledger::tidy`]), in three steps that different instances may take:
//!
//! 1. A sum is written that names the entries that it stands for. They all stay; who reads counts each thing once, by the
//!    sum or by itself.
//! 2. When the sum has been there for [`SETTLES_SECONDS`], nobody can be at work any more on another sum of the same entries. If
//!    there is one, the older counts and the other is deleted; what it alone stood for still stands for itself.
//! 3. The entries that it stands for are deleted. What is not deleted for now is still named by the sum, and so never counted
//!    twice. Only when all are gone is there another sum, of this one and of what came since.
//!
//! What this asks for: an instance that sums up writes its sum within [`SETTLES_SECONDS`], less what clocks differ, of the request
//! that it does it for; and the store shows what was written to all instances within that time. Otherwise what two sums stand for
//! may be counted by one of them only. The entry of a request may come as late as it likes.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::calendar;
use super::usage::{self, Counts, Days};
use super::vault::{TenantVault, VaultError, hexadecimal};
use crate::keys::{Sealer, Store, random};

/// After what time nobody can be at work any more on what was read before.
pub(super) const SETTLES_SECONDS: u64 = 120;

/// How many days are kept: the newest ones on which there was anything. Not those of a span of time: a clock that is wrong for a
/// moment would be the end of all.
pub(super) const MAXIMUM_DAYS: usize = 400;

/// The fewest entries that are worth summing up.
const LEAST_SUMMED: usize = 32;

/// The most, so that a sum stays below what a store takes as one value.
const MOST_SUMMED: usize = 100_000;

/// How many entries are deleted for one request.
pub(super) const MAXIMUM_DELETIONS: usize = 8192;

/// How often an attempt to read is begun anew because another instance deletes what was listed.
const ROUNDS: usize = 3;

/// What the key of sums is derived for; those of requests are for the number of a day.
const SUMS: &str = "sums";

/// The form of what is sealed.
const VERSION: u8 = 1;

const ID_BYTES: usize = 8;

/// What stands for an entry in a sum: the beginning of its name's SHA-256. Names have 64 random bits and more.
type Id = [u8; ID_BYTES];

/// All that counts.
pub(super) struct Ledger {
    single: Vec<Single>,
    sums: Vec<Sum>,
    /// What the sums that count stand for.
    summed: BTreeSet<Id>,
}

/// What one request was.
struct Single {
    name: String,
    id: Id,
    day: calendar::Day,
    counts: Counts,
}

struct Sum {
    name: String,
    id: Id,
    made: u64,
    stands_for: Vec<Id>,
    days: Days,
    /// Whether it counts.
    holds: bool,
}

/// Writes down what a request was: one write, no read.
pub(super) async fn record(
    vault: &TenantVault<'_>,
    store: &impl Store,
    counts: Counts,
    now: u64,
) -> Result<(), VaultError> {
    let day = calendar::day(now);
    let place = format!("{}{day}/", singles(vault));
    let mut content = vec![VERSION];
    usage::write(&mut content, day, counts);
    // A key for each day: one for all of them could come to more messages than random nonces are safe for.
    let sealed = vault.usage_sealer(&day.to_string())?.seal(&place, &content)?;
    let name = format!("{place}{}", URL_SAFE_NO_PAD.encode(sealed));
    // Not empty: not every store takes that.
    Ok(store.set(&name, vec![VERSION]).await?)
}

impl Ledger {
    pub(super) async fn read(
        vault: &TenantVault<'_>,
        store: &impl Store,
    ) -> Result<Self, VaultError> {
        for _ in 0..ROUNDS {
            if let Some(ledger) = Self::read_names(vault, store, store.names().await?).await? {
                return Ok(ledger);
            }
        }
        Err(VaultError::Unsteady(sums(vault)))
    }

    /// `None` where a sum was deleted since these names were listed.
    async fn read_names(
        vault: &TenantVault<'_>,
        store: &impl Store,
        names: Vec<String>,
    ) -> Result<Option<Self>, VaultError> {
        let (singles_begin, sums_begin) = (singles(vault), sums(vault));
        let sealer = vault.usage_sealer(SUMS)?;
        let mut of_days: BTreeMap<String, Sealer> = BTreeMap::new();
        let (mut single, mut sums) = (Vec::new(), Vec::new());
        for name in names {
            if let Some(own) = name.strip_prefix(&singles_begin) {
                let (day, _) = own.split_once('/').unwrap_or_default();
                if !of_days.contains_key(day) {
                    of_days.insert(day.to_owned(), vault.usage_sealer(day)?);
                }
                let entry = of_days.get(day).and_then(|sealer| Single::open(sealer, &name));
                single.push(entry.ok_or(VaultError::NotOpened(name))?);
            } else if name.starts_with(&sums_begin) {
                let Some(sealed) = store.value(&name).await? else { return Ok(None) };
                let sum = Sum::open(&sealer, &name, &sealed);
                sums.push(sum.ok_or(VaultError::NotOpened(name))?);
            }
        }
        // The older one counts. All see the same order.
        sums.sort_by(|a: &Sum, b| (a.made, &a.name).cmp(&(b.made, &b.name)));
        let mut summed = BTreeSet::new();
        for sum in &mut sums {
            sum.holds = !sum.stands_for.iter().any(|id| summed.contains(id));
            if sum.holds {
                summed.extend(&sum.stands_for);
            }
        }
        Ok(Some(Self { single, sums, summed }))
    }

    /// The counts of each day.
    pub(super) fn days(&self) -> Days {
        let mut days = Days::new();
        for sum in self.sums.iter().filter(|sum| self.counts(sum)) {
            for (day, counts) in &sum.days {
                usage::add(&mut days, *day, *counts);
            }
        }
        for single in self.single.iter().filter(|single| !self.summed.contains(&single.id)) {
            usage::add(&mut days, single.day, single.counts);
        }
        newest(days)
    }

    /// Takes the next step of summing up, if there is one to take.
    pub(super) async fn tidy(
        &self,
        vault: &TenantVault<'_>,
        store: &impl Store,
        now: u64,
    ) -> Result<(), VaultError> {
        if !self.sums.iter().all(|sum| sum.is_settled(now)) {
            return Ok(());
        }
        let mut done_with = self.done_with().take(MAXIMUM_DELETIONS).peekable();
        if done_with.peek().is_none() {
            return self.sum_up(vault, store, now).await;
        }
        for name in done_with {
            store.delete(name).await?;
        }
        Ok(())
    }

    fn counts(&self, sum: &Sum) -> bool {
        sum.holds && !self.summed.contains(&sum.id)
    }

    /// What sums stand for that have settled, and sums that came too late.
    fn done_with(&self) -> impl Iterator<Item = &str> {
        // First the sums: one of the same entries must not outlive the one that counts.
        let sums = self.sums.iter().filter(|sum| !self.counts(sum)).map(|sum| sum.name.as_str());
        let single = self.single.iter().filter(|single| self.summed.contains(&single.id));
        sums.chain(single.map(|single| single.name.as_str()))
    }

    async fn sum_up(
        &self,
        vault: &TenantVault<'_>,
        store: &impl Store,
        now: u64,
    ) -> Result<(), VaultError> {
        if self.single.len() < LEAST_SUMMED && self.sums.len() < 2 {
            return Ok(());
        }
        let mut days = Days::new();
        let mut stands_for: Vec<Id> = Vec::new();
        for sum in &self.sums {
            stands_for.push(sum.id);
            for (day, counts) in &sum.days {
                usage::add(&mut days, *day, *counts);
            }
        }
        for single in self.single.iter().take(MOST_SUMMED) {
            stands_for.push(single.id);
            usage::add(&mut days, single.day, single.counts);
        }
        let sums = sums(vault);
        let random = hexadecimal(random::<ID_BYTES>()?.as_slice());
        let name = format!("{sums}{now:016x}-{random}");
        let content = Sum::content(&stands_for, &newest(days));
        let sealed = vault.usage_sealer(SUMS)?.seal(&name, &content)?;
        Ok(store.set(&name, sealed).await?)
    }
}

impl Single {
    fn open(sealer: &Sealer, name: &str) -> Option<Self> {
        let (place, sealed) = name.split_at_checked(name.rfind('/')?.checked_add(1)?)?;
        let content = sealer.open(place, &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()?;
        let mut rest = content.strip_prefix(&[VERSION])?;
        let (day, counts) = usage::read(&mut rest)?;
        rest.is_empty().then(|| Self { name: name.to_owned(), id: id(name), day, counts })
    }
}

impl Sum {
    fn content(stands_for: &[Id], days: &Days) -> Vec<u8> {
        let mut content = vec![VERSION];
        let number = u32::try_from(stands_for.len()).unwrap_or(u32::MAX);
        content.extend(number.to_be_bytes());
        content.extend(stands_for.as_flattened());
        for (day, counts) in days {
            usage::write(&mut content, *day, *counts);
        }
        content
    }

    fn open(sealer: &Sealer, name: &str, sealed: &[u8]) -> Option<Self> {
        let (_, own) = name.rsplit_once('/')?;
        let made = u64::from_str_radix(own.split_once('-')?.0, 16).ok()?;
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
    fn is_settled(&self, now: u64) -> bool {
        now.abs_diff(self.made) >= SETTLES_SECONDS
    }
}

/// The newest days.
fn newest(mut days: Days) -> Days {
    while days.len() > MAXIMUM_DAYS {
        days.pop_first();
    }
    days
}

fn id(name: &str) -> Id {
    let digest: [u8; 32] = Sha256::digest(name).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// What the names of all requests' entries begin with.
fn singles(vault: &TenantVault<'_>) -> String {
    format!("{}u/r/", vault.base())
}

/// What the names of all sums begin with.
fn sums(vault: &TenantVault<'_>) -> String {
    format!("{}u/p/", vault.base())
}
