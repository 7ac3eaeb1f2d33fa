//! A store that stands in for another one.

use super::{Answer, LimitStore, Settlement, StoreError, Take};

/// Asks the shared store, and where it does not answer the one of this machine, if there is one: then each machine admits what the
/// limit says. Without one nobody is let through.
#[derive(Debug)]
pub(crate) struct Fallback<S, L> {
    pub(crate) shared: S,
    pub(crate) local: Option<L>,
}

impl<S: LimitStore, L: LimitStore> LimitStore for Fallback<S, L> {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        let error = match self.shared.take(takes).await {
            Err(error @ StoreError::Unavailable(_)) => error,
            answer => return answer,
        };
        let Some(local) = &self.local else { return Err(error) };
        let mut answers = local.take(takes).await?;
        let taken = answers.iter_mut().filter_map(|answer| answer.taken.as_mut());
        taken.for_each(|taken| taken.is_fallback = true);
        Ok(answers)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let (fallen, shared): (Vec<_>, Vec<_>) =
            settlements.iter().cloned().partition(|settlement| match settlement {
                Settlement::GiveBack(taken, _)
                | Settlement::Charge(taken, _)
                | Settlement::Release(taken) => taken.is_fallback,
                Settlement::Strike(..) => false,
            });
        if let Some(local) = &self.local
            && !fallen.is_empty()
        {
            local.settle(&fallen).await?;
        }
        if shared.is_empty() {
            return Ok(());
        }
        let error = match self.shared.settle(&shared).await {
            Err(error @ StoreError::Unavailable(_)) => error,
            answer => return answer,
        };
        // Strikes count where something is looked up meanwhile. What was taken from the shared store is of no meaning to another.
        let strikes: Vec<_> = shared
            .into_iter()
            .filter(|settlement| matches!(settlement, Settlement::Strike(..)))
            .collect();
        match &self.local {
            Some(local) if !strikes.is_empty() => local.settle(&strikes).await,
            _ => Err(error),
        }
    }
}
