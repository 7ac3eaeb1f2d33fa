//! What is kept of those who ask: usage, and their results where the operator wants that.

use portcullis_function::keys::Store;
use portcullis_function::tenants::{self, Booked, Booking, Counts, Pattern, Query, Tenants};
use portcullis_function::{Problem, UNAVAILABLE};
use portcullis_model::Label;
use portcullis_policy::Principal;

use crate::predict::{Assessed, Decimals, signal};

/// Whether accounts are kept.
pub(crate) enum Accounts {
    /// The operator has set no `tenant_key`: nothing is kept, and nothing is to be had.
    Off,
    On(Box<tenants::Settings>),
    /// What the operator has set is no use. Nobody is served whose usage would be lost.
    Unfit,
}

impl Accounts {
    /// What answers the routes of tenants.
    pub(crate) fn tenants<'a, S: Store>(&'a self, store: &'a S) -> Result<Tenants<'a, S>, Problem> {
        match self {
            Self::On(settings) => Ok(Tenants { settings, store }),
            Self::Off | Self::Unfit => Err(UNAVAILABLE),
        }
    }

    /// Books an answer before it is given: who is not counted is not served. Gives the results their ids, and tells what
    /// the caller's questions look like. Of probabilities no more is kept than callers get.
    pub(crate) async fn answered(
        &self,
        principal: &Principal,
        assessed: &mut [Assessed],
        decimals: Decimals,
        store: &impl Store,
        now: u64,
    ) -> Result<Option<Pattern>, Problem> {
        if matches!(self, Self::Off) {
            return Ok(None);
        }
        let tenants = self.tenants(store)?;
        let mut counts = Counts { requests: 1, ..Counts::default() };
        let mut queries = Vec::with_capacity(assessed.len());
        let mut kept = Vec::with_capacity(assessed.len());
        for Assessed { text, assessment, .. } in assessed.iter() {
            counts.texts = counts.texts.saturating_add(1);
            counts.characters = counts
                .characters
                .saturating_add(u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
            let (label, is_scam) = match assessment.label {
                Label::Scam => ("scam", 1),
                Label::Ham => ("ham", 0),
            };
            counts.scams = counts.scams.saturating_add(is_scam);
            let adversarial = assessment.adversarial.map(signal);
            counts.adversarial = counts.adversarial.saturating_add(adversarial.is_some().into());
            queries.push(Query::new(text, assessment.probability, is_scam == 1));
            kept.push(tenants::Assessed {
                text,
                label,
                probability: decimals.of(assessment.probability),
                adversarial,
            });
        }
        let booking = Booking { counts, assessed: &kept, queries: &queries };
        let Booked { ids, pattern } = tenants.book(principal, booking, now).await?;
        for (assessed, id) in assessed.iter_mut().zip(ids.into_iter().flatten()) {
            assessed.id = Some(id);
        }
        Ok(pattern)
    }

    /// Books a request that is refused.
    pub(crate) async fn refused(&self, principal: &Principal, store: &impl Store, now: u64) {
        let Ok(tenants) = self.tenants(store) else { return };
        let counts = Counts { requests: 1, errors: 1, ..Counts::default() };
        // It is refused in any case.
        if tenants.record(principal, counts, now).await.is_err() {
            portcullis_function::log!("scam-detector: a refused request is missing from the usage");
        }
    }
}
