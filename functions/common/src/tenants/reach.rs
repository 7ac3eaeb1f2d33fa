//! Whose data a request is about, and whether its caller may have them.

use portcullis_policy::CredentialKind;
use portcullis_policy::form::Form;

use super::problems::{
    ABSENT, ISSUER_ALONE, PAGE_INVALID, PARAMETER_UNKNOWN, QUERY_MALFORMED, UNAVAILABLE,
};
use super::settings::Administrator;
use super::vault::{Kind, Person, Place, TenantVault};
use crate::Problem;

/// The most entries of a page, and how many there are where nothing is said.
const MAXIMUM_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 50;

/// The parameters of a request, each known and there at most once.
pub(super) struct Parameters(Form);

/// A part of the caller's own space, and never more than that.
pub(super) struct Reach {
    /// What the names begin with.
    beginnings: Vec<String>,
    extent: Extent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What is kept of the caller.
    Own,
    /// Of a subject of their tenant's.
    Subject,
    Whole,
}

/// A part of a list.
pub(super) struct Page {
    after: Option<String>,
    limit: usize,
}

impl Parameters {
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let query = query.unwrap_or_default().as_bytes();
        // One more than are known: it is unknown then, not one too many.
        let most = known.len().saturating_add(1);
        let form = Form::parse(query, most).map_err(|_| QUERY_MALFORMED)?;
        let is_known = form.iter().all(|(name, _)| known.contains(&name));
        is_known.then_some(Self(form)).ok_or(PARAMETER_UNKNOWN)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.value(name)
    }
}

impl Reach {
    /// Everything that the caller may have, or what there is of the subject that the parameters name.
    pub(super) fn of(
        vault: &TenantVault<'_>,
        administrator: &Administrator,
        parameters: &Parameters,
    ) -> Result<Self, Problem> {
        let (subject, issuer) = (parameters.value("subject"), parameters.value("issuer"));
        let Some(subject) = subject else {
            return match (issuer, may_have_all(vault, administrator)) {
                (Some(_), _) => Err(ISSUER_ALONE),
                (None, true) => Ok(Self::whole(vault)),
                (None, false) => Self::own(vault),
            };
        };
        if !vault.is_personal() && may_have_all(vault, administrator) {
            return Self::subject(vault, subject, issuer);
        }
        let own = vault.principal();
        let is_own = subject == own.subject
            && issuer.is_none_or(|issuer| issuer == own.issuer.as_deref().unwrap_or_default());
        match (is_own, vault.is_personal()) {
            (false, _) => Err(ABSENT),
            (true, true) => Ok(Self::whole(vault)),
            (true, false) => Self::own(vault),
        }
    }

    /// What is kept of the caller, and of nobody else.
    pub(super) fn own(vault: &TenantVault<'_>) -> Result<Self, Problem> {
        let own = vault.own_person();
        let beginnings = vault.spaces().map(|space| {
            let person = space.person(own)?;
            Some(format!("{}p/{person}/", space.base()))
        });
        let beginnings = beginnings.collect::<Option<_>>().ok_or(UNAVAILABLE)?;
        Ok(Self { beginnings, extent: Extent::Own })
    }

    /// Everything in the caller's space.
    pub(super) fn whole(vault: &TenantVault<'_>) -> Self {
        let beginnings = vault.spaces().map(|space| space.base().to_owned()).collect();
        Self { beginnings, extent: Extent::Whole }
    }

    /// A subject of the tenant's, of one issuer (none, where that is empty) or of all.
    fn subject(
        vault: &TenantVault<'_>,
        subject: &str,
        issuer: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut beginnings = Vec::new();
        for space in vault.spaces() {
            let persons = match issuer {
                None => vec![space.subject(subject)],
                Some(issuer) => {
                    let issuer = Some(issuer).filter(|issuer| !issuer.is_empty());
                    let kinds = [CredentialKind::Jwt, CredentialKind::ApiKey];
                    kinds.map(|via| space.person(Person { via, subject, issuer })).to_vec()
                }
            };
            for person in persons {
                let person = person.ok_or(UNAVAILABLE)?;
                beginnings.push(format!("{}p/{person}/", space.base()));
            }
        }
        Ok(Self { beginnings, extent: Extent::Subject })
    }

    pub(super) fn beginnings(&self) -> &[String] {
        &self.beginnings
    }

    pub(super) fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// Whether nothing is within reach but what is kept of the caller.
    pub(super) fn is_own(&self) -> bool {
        self.extent == Extent::Own
    }

    /// Those of these names that are entries of this kind within reach, by their ids.
    pub(super) fn places<'n>(
        &self,
        vault: &TenantVault<'_>,
        kind: Kind,
        names: &'n [String],
    ) -> Vec<Place<'n>> {
        let names = names.iter().filter(|name| {
            self.beginnings.iter().any(|beginning| name.starts_with(beginning.as_str()))
        });
        let places = names.filter_map(|name| vault.place(name));
        let mut places: Vec<Place<'n>> = places.filter(|place| place.kind == kind).collect();
        places.sort_by_key(|place| (place.id, place.person));
        if kind == Kind::Result {
            // One that is just being rewritten under another key is there twice. No two have an id in common.
            places.dedup_by_key(|place| place.id);
        }
        places
    }
}

impl Page {
    pub(super) fn read(
        parameters: &Parameters,
        is_id: impl Fn(&str) -> bool,
    ) -> Result<Self, Problem> {
        let limit = parameters.value("limit").map_or(Some(DEFAULT_LIMIT), |text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|limit| is_number && (1..=MAXIMUM_LIMIT).contains(limit))
        });
        let limit = limit.ok_or(PAGE_INVALID)?;
        let after = parameters.value("after").map(str::to_owned);
        match after.as_deref().is_none_or(is_id) {
            true => Ok(Self { after, limit }),
            false => Err(PAGE_INVALID),
        }
    }

    /// The part of a list that is asked for, and after what there is more.
    pub(super) fn of<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        let is_after = |item: &T| self.after.as_deref().is_none_or(|after| id(item) > after);
        let mut items: Vec<T> = items.into_iter().filter(is_after).collect();
        let is_all = items.len() <= self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| !is_all).map(|item| id(item).to_owned());
        (items, next)
    }
}

/// Whether the caller answers for the whole space: for their tenant's, or because it is theirs alone.
pub(super) fn may_have_all(vault: &TenantVault<'_>, administrator: &Administrator) -> bool {
    vault.is_personal() || administrator.is(vault.principal())
}
