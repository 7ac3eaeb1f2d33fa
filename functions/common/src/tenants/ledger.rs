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

use super::calendar;
use super::entry::{Id, SUMS, Single, Sum, VERSION};
use super::usage::{self, Counts, Days};
use super::vault::{TenantVault, VaultError};
use crate::keys::{Sealer, Store};

/// After what time nobody can be at work any more on what was read before.
pub(super) const SETTLES_SECONDS: u64 = 120;

/// How many days are kept of who comes again: the newest ones on which there was anything. Of who has not come for as many
/// days, nothing is kept.
pub(super) const MAXIMUM_DAYS: u16 = 400;

/// The fewest entries that are worth summing up.
const LEAST_SUMMED: usize = 32;

/// The most, so that a sum stays below what a store takes as one value.
const MOST_SUMMED: usize = 100_000;

/// How many entries are deleted for one request.
pub(super) const MAXIMUM_DELETIONS: usize = 8192;

/// How often an attempt to read is begun anew because another instance deletes what was listed.
const ROUNDS: usize = 3;

/// All that counts.
pub(super) struct Ledger {
    single: Vec<Single>,
    sums: Vec<Sum>,
    /// What the sums that count stand for.
    summed: BTreeSet<Id>,
    /// Whether some of it is under a former key.
    is_former: bool,
}

/// Writes down what a request was: one write, no read.
pub(super) async fn record(
    vault: &TenantVault<'_>,
    store: &impl Store,
    counts: Counts,
    now: u64,
) -> Result<(), VaultError> {
    let name = Single::seal(vault.current(), calendar::day(now), counts)?;
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
        Err(VaultError::Unsteady(Sum::beginning(vault.current())))
    }

    /// `None` where a sum was deleted since these names were listed.
    async fn read_names(
        vault: &TenantVault<'_>,
        store: &impl Store,
        names: Vec<String>,
    ) -> Result<Option<Self>, VaultError> {
        let (mut single, mut sums): (Vec<Single>, Vec<Sum>) = (Vec::new(), Vec::new());
        for space in vault.spaces() {
            let (singles_begin, sums_begin) = (Single::beginning(space), Sum::beginning(space));
            let sealer = space.usage_sealer(SUMS)?;
            let mut of_days: BTreeMap<String, Sealer> = BTreeMap::new();
            for name in &names {
                let not_opened = || VaultError::NotOpened(name.clone());
                if let Some(own) = name.strip_prefix(&singles_begin) {
                    let (day, _) = own.split_once('/').unwrap_or_default();
                    if !of_days.contains_key(day) {
                        of_days.insert(day.to_owned(), space.usage_sealer(day)?);
                    }
                    let entry = of_days.get(day).and_then(|sealer| Single::open(sealer, name));
                    single.push(entry.ok_or_else(not_opened)?);
                } else if name.starts_with(&sums_begin) {
                    let Some(sealed) = store.value(name).await? else { return Ok(None) };
                    sums.push(Sum::open(&sealer, name, &sealed).ok_or_else(not_opened)?);
                }
            }
        }
        let mut names =
            single.iter().map(|single| &single.name).chain(sums.iter().map(|s| &s.name));
        let is_former = names.any(|name| vault.is_former(name));
        // The older one counts. All see the same order.
        sums.sort_by(|a, b| (a.made, &a.name).cmp(&(b.made, &b.name)));
        let mut summed = BTreeSet::new();
        for sum in &mut sums {
            sum.holds = !sum.stands_for.iter().any(|id| summed.contains(id));
            if sum.holds {
                summed.extend(&sum.stands_for);
            }
        }
        Ok(Some(Self { single, sums, summed, is_former }))
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
        let is_much = self.single.len() >= LEAST_SUMMED || self.sums.len() >= 2;
        // What is under a former key goes into a sum under the present one, and then goes.
        if !is_much && !self.is_former {
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
        let (name, sealed) = Sum::seal(vault.current(), now, &stands_for, &newest(days))?;
        Ok(store.set(&name, sealed).await?)
    }
}

/// The newest days.
fn newest(mut days: Days) -> Days {
    while days.len() > usize::from(MAXIMUM_DAYS) {
        days.pop_first();
    }
    days
}
