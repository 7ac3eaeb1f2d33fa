//! Another key in the old one's place: what was written under it is written anew.
//!
//! Whose an entry is cannot be told from its name without the tenant's own id, so each tenant's entries are rewritten when somebody of it
//! comes by, and those of a tenant that comes no more stay where they are. Usage goes into a sum under the new key
//! ([`super::ledger`]), exactly. What the last questions looked like is forgotten.
//!
//! An entry is written under the new key before it is deleted under the old one, and what is there already is not written over: it
//! is newer. Who erases a tenant while it is rewritten looks again, as for anything that is written meanwhile.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::results::Retention;
use super::vault::{Kind, Place, TenantKeys, TenantVault, VaultError, key_id};
use crate::keys::Store;

/// How many entries are rewritten for one request.
pub(super) const MAXIMUM_REWRITTEN: usize = 256;

/// What all entries say of whose they are.
#[derive(Deserialize)]
struct Owned {
    subject: String,
    #[serde(default)]
    issuer: Option<String>,
}

/// Rewrites what a tenant has under former keys, or some of it. `names` are those of all entries.
///
/// What does not open is left where it is and told: it is in nobody's way.
pub(super) async fn rewrite(
    vault: &TenantVault<'_>,
    store: &impl Store,
    names: &[String],
    retention: Retention,
) -> Result<(), VaultError> {
    let former = names.iter().filter(|name| vault.is_former(name));
    let places = former.filter_map(|name| vault.place(name));
    let is_wanted = |place: &Place<'_>| place.kind != Kind::Result || !retention.is_over(place.id);
    for place in places.filter(is_wanted).take(MAXIMUM_REWRITTEN) {
        match one(vault, store, place).await {
            Err(VaultError::NotOpened(name)) => {
                crate::log!("tenants: {}", VaultError::NotOpened(name));
            }
            other => other?,
        }
    }
    Ok(())
}

async fn one(
    vault: &TenantVault<'_>,
    store: &impl Store,
    place: Place<'_>,
) -> Result<(), VaultError> {
    let not_opened = || VaultError::NotOpened(place.name.to_owned());
    if place.kind != Kind::Queries {
        // Somebody else may have been faster.
        let Some(content) = vault.read(store, place).await? else { return Ok(()) };
        let owned: Owned = serde_json::from_slice(&content).map_err(|_| not_opened())?;
        let whose = vault.person_of(place, &owned.subject, owned.issuer.as_deref());
        let person = whose.and_then(|person| vault.current().person(person));
        let person = person.ok_or_else(not_opened)?;
        let name = vault.current().name(&person, place.kind, place.id);
        if store.value(&name).await?.is_none() {
            let to = Place { name: &name, person: &person, ..place };
            vault.write(store, to, &content).await?;
        }
    }
    Ok(store.delete(place.name).await?)
}

/// What the operator has to know of entries that are not under the present key.
pub(super) fn report(names: &[String], keys: &TenantKeys) -> Option<String> {
    let (mut waiting, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    for id in names.iter().filter_map(|name| key_id(name)) {
        if id == keys.current.id() {
            continue;
        }
        let is_known = keys.former.iter().any(|key| key.id() == id);
        let count = if is_known { &mut waiting } else { &mut unreadable };
        let count: &mut usize = count.entry(id).or_default();
        *count = count.saturating_add(1);
    }
    let list = |counts: BTreeMap<&str, usize>, what: &str| {
        let counts = counts.into_iter().map(|(id, count)| format!("{count} under {id}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        (!counts.is_empty()).then(|| format!("{what}: {counts}"))
    };
    let parts = [
        list(waiting, "entries under former keys, which tenant_key has to go on naming"),
        list(unreadable, "entries under keys that tenant_key does not name, which nobody can read"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
