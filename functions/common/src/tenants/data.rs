//! All of it: export, erasure, and what is tidied up on the way.

use serde::Serialize;
use serde_json::json;

use super::feedback::Feedback;
use super::ledger::{Ledger, MAXIMUM_DAYS, MAXIMUM_DELETIONS};
use super::problems::{ISSUER_ALONE, NOT_CONFIRMED, ROLE_MISSING, UNAVAILABLE, unavailable};
use super::reach::{Parameters, Reach, may_have_all};
use super::results::{MAXIMUM_RESULTS, Retention, count, open, open_entry};
use super::settings::Administrator;
use super::usage::DayReport;
use super::vault::{self, Kind, Place, TenantKeys, TenantVault, VaultError};
use super::{calendar, entry, rekey, room};
use crate::keys::Store;
use crate::{Problem, Reply};

/// A line of an export.
#[derive(Serialize)]
struct Line<T> {
    kind: &'static str,
    #[serde(flatten)]
    content: T,
}

/// `GET /v1/export`: everything within reach, a JSON object on each line.
pub(super) async fn export(
    vault: &TenantVault<'_>,
    store: &impl Store,
    reach: &Reach,
    retention: Retention,
) -> Result<Reply, Problem> {
    let mut lines = Vec::new();
    if reach.is_whole() {
        let days = Ledger::read(vault, store).await.map_err(unavailable)?.days();
        for (day, counts) in days {
            write(&mut lines, "usage", DayReport::new(day, counts))?;
        }
    }
    let names = store.names().await.map_err(|error| unavailable(error.into()))?;
    for place in reach.places(vault, Kind::Result, &names) {
        if !retention.is_over(place.id) {
            let results = open_entry(vault, store, place).await.map_err(unavailable)?;
            results.iter().try_for_each(|result| write(&mut lines, "result", result))?;
        }
    }
    for place in reach.places(vault, Kind::Feedback, &names) {
        let feedback = open::<Feedback>(vault, store, place).await.map_err(unavailable)?;
        feedback.iter().try_for_each(|feedback| write(&mut lines, "feedback", feedback))?;
    }
    Ok(Reply::new(200, "application/x-ndjson", lines))
}

fn write(lines: &mut Vec<u8>, kind: &'static str, content: impl Serialize) -> Result<(), Problem> {
    serde_json::to_writer(&mut *lines, &Line { kind, content }).map_err(|_| UNAVAILABLE)?;
    lines.push(b'\n');
    Ok(())
}

/// `DELETE /v1/data`: what is kept of a subject; or, with its id as a confirmation, everything of a tenant.
///
/// It needs no key to open anything, and answers only when nothing is left. A request of the same subject that is answered at this
/// very time may still leave something after that.
pub(super) async fn erase(
    vault: &TenantVault<'_>,
    store: &impl Store,
    administrator: &Administrator,
    parameters: &Parameters,
) -> Result<Reply, Problem> {
    let (subject, confirmed) = (parameters.value("subject"), parameters.value("confirm"));
    // Else who means one issuer's subjects would erase all.
    if subject.is_none() && parameters.value("issuer").is_some() {
        return Err(ISSUER_ALONE);
    }
    let reach = match (subject, confirmed) {
        (Some(_), None) => Reach::of(vault, administrator, parameters)?,
        (None, Some(_)) if !may_have_all(vault, administrator) => return Err(ROLE_MISSING),
        (None, Some(confirmed)) if confirmed == vault.owner() => Reach::whole(vault),
        _ => return Err(NOT_CONFIRMED),
    };
    let erased = vault.erase(store, reach.beginnings()).await.map_err(unavailable)?;
    Reply::json(&json!({ "erased": erased }))
}

/// Deletes what has expired and what there is [no room](room) for, whosesoever it is, and what the caller's tenant has too much of; sums up the caller's usage, and
/// rewrites what is under a former key.
pub(super) async fn tidy(
    vault: &TenantVault<'_>,
    store: &impl Store,
    keys: &TenantKeys,
    retention: Retention,
) -> Result<(), VaultError> {
    let names = store.names().await?;
    if let Some(report) = rekey::report(&names, keys) {
        crate::log!("tenants: {report}");
    }
    for name in expired(vault, &names, retention).into_iter().take(MAXIMUM_DELETIONS) {
        store.delete(name).await?;
    }
    Ledger::read(vault, store).await?.tidy(vault, store, retention.now).await?;
    rekey::rewrite(vault, store, &names, retention).await
}

fn expired<'n>(vault: &TenantVault<'_>, names: &'n [String], retention: Retention) -> Vec<&'n str> {
    let today = calendar::day(retention.now);
    // The clock cannot be far ahead: the gate's assertions would not be good at such a time, and nobody would get here.
    let is_old = |name: &&str| {
        let day = entry::day(name);
        day.is_some_and(|day| today > day.saturating_add(u32::from(MAXIMUM_DAYS)))
    };
    // Sums after what they stand for, which would count again without them.
    let mut expired: Vec<&str> = names.iter().map(String::as_str).filter(is_old).collect();
    expired.sort_by_key(|name| name.contains("/u/p/"));

    let results = names.iter().filter_map(|name| vault::place(name));
    let results = results.filter(|place| place.kind == Kind::Result);
    let (over, kept): (Vec<_>, Vec<_>) = results.partition(|place| retention.is_over(place.id));
    let no_room = room::excess(&kept);
    let mut own: Vec<_> =
        kept.into_iter().filter(|place| vault.place(place.name).is_some()).collect();
    own.sort_by_key(|place| place.id);
    let mut all: usize = own.iter().map(|place| usize::from(count(place.id))).sum();
    let is_excess = |place: &Place<'_>| {
        let is_excess = all > MAXIMUM_RESULTS;
        all = all.saturating_sub(usize::from(count(place.id)));
        is_excess
    };
    let places = over.into_iter().chain(own.into_iter().take_while(is_excess));
    expired.extend(places.map(|place| place.name));
    expired.extend(no_room);
    expired
}
