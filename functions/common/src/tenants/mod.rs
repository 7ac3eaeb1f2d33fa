//! What a function keeps of its tenants: usage, feedback and, where that is wanted, results. Each tenant has a space and keys of
//! its own in the key-value store.
//!
//! [`Tenants`] is all of it: [`Tenants::book`] and [`Tenants::record`] for the function's own routes, [`Tenants::answer`] for
//! those of this module. Which space a request leads to follows from the [`Principal`] that the gate vouches for, and from nothing
//! else: a parameter can make the part of it smaller that is asked for, and nothing larger.
//!
//! - Who belongs to no tenant has a space of their own, by kind of credential, issuer and subject, and answers for all of it.
//! - Who is nobody in particular (an anonymous caller) has none: nothing is kept, and nothing is to be had.
//! - In a tenant's space everybody sees, exports and erases what is kept of them; who has the [administrator's](Settings) role or
//!   scope, what is kept of all, and the usage.
//!
//! The operator's `tenant_key` opens everything. It may be several keys: the first one is written with, what is under the others is
//! read, and rewritten as its tenants come by ([`rekey`]). What is under a key that is no longer among them nobody can reach,
//! and none of it turns up anywhere else: how much of that there is stands in the log, until it is deleted (`tenant/KEY.*`). Backups of
//! the store keep what was erased since.

mod calendar;
mod data;
mod entry;
mod feedback;
mod ledger;
mod problems;
mod queries;
mod reach;
mod rekey;
mod results;
mod room;
mod settings;
#[cfg(test)]
mod tests;
mod usage;
mod vault;

use portcullis_policy::Principal;

pub use queries::{Pattern, Query};
pub use results::Assessed;
pub use settings::{SettingError, Settings};
pub use usage::Counts;

use ledger::Ledger;
use problems::{BODY_UNEXPECTED, MONTH_INVALID, NOBODY, ROLE_MISSING, unavailable};
use reach::{Parameters, Reach, may_have_all};
use results::Retention;
use usage::MonthReport;
use vault::TenantVault;

use crate::keys::{Store, random};
use crate::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Reply, Request};

/// The description of these routes: the paths and schemas to be part of the function's own.
pub const OPENAPI: &str = include_str!("openapi.yaml");

/// How often a request tidies up: once in so many.
const TIDIES_ONCE_IN: u16 = 512;

/// The storage of tenants, as it is set up.
pub struct Tenants<'a, S> {
    /// What is kept, under which key.
    pub settings: &'a Settings,
    /// Where.
    pub store: &'a S,
}

/// What is written down of a request that was answered.
#[derive(Clone, Copy)]
pub struct Booking<'b> {
    /// What it was.
    pub counts: Counts,
    /// What was said of its texts, to be retained where the operator wants that.
    pub assessed: &'b [Assessed<'b>],
    /// The same texts, for what the caller's questions look like.
    pub queries: &'b [Query],
}

/// What comes of that.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// Under which the results are to be had, in their order, where they are retained.
    pub ids: Option<Vec<String>>,
    /// What the questions look like together with those before them.
    pub pattern: Option<Pattern>,
}

/// What can be asked for.
#[derive(Clone, Copy)]
enum Route<'r> {
    Usage,
    Feedback,
    Results,
    Result(&'r str),
    Export,
    Data,
}

/// The methods of one of these routes as in an `Allow` field; `None` for other paths.
pub fn allow(path: &str) -> Option<&'static str> {
    Route::of(path).map(Route::allow)
}

impl<'r> Route<'r> {
    fn of(path: &'r str) -> Option<Self> {
        match path {
            "/v1/usage" => Some(Self::Usage),
            "/v1/feedback" => Some(Self::Feedback),
            "/v1/results" => Some(Self::Results),
            "/v1/export" => Some(Self::Export),
            "/v1/data" => Some(Self::Data),
            _ => path.strip_prefix("/v1/results/").map(Self::Result),
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Usage | Self::Results | Self::Result(_) | Self::Export => "GET, HEAD",
            Self::Feedback => "GET, HEAD, POST",
            Self::Data => "DELETE",
        }
    }

    fn parameters(self, method: &str) -> &'static [&'static str] {
        match self {
            Self::Usage => &["month"],
            Self::Feedback if method == "POST" => &[],
            Self::Feedback | Self::Results => &["subject", "issuer", "after", "limit"],
            Self::Result(_) => &[],
            Self::Export => &["subject", "issuer"],
            Self::Data => &["subject", "issuer", "confirm"],
        }
    }
}

impl<S: Store> Tenants<'_, S> {
    /// Answers a request on one of these routes. `principal` is whom the gate's assertion names.
    pub async fn answer(&self, principal: &Principal, request: &Request<'_>) -> Reply {
        let reply = self.route(principal, request).await;
        let mut reply = reply.unwrap_or_else(|problem| problem.reply());
        if request.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    /// Writes down what a request was, and what it was answered. Two writes, and one more where results are retained;
    /// one request in some hundreds also tidies up.
    ///
    /// Of nobody in particular nothing is kept. An error means that the request is not counted. Where only its results cannot be
    /// kept, or compared with those before, there are none to be had: a store that is full stops nobody.
    pub async fn book(
        &self,
        principal: &Principal,
        booking: Booking<'_>,
        now: u64,
    ) -> Result<Booked, Problem> {
        let Some(vault) = TenantVault::to_write(principal, &self.settings.keys) else {
            return Ok(Booked::default());
        };
        let own = vault.own().map_err(unavailable)?;
        self.write_down(&vault, booking.counts, now).await?;
        let mut booked = Booked::default();
        if self.settings.retention_days > 0 {
            match results::retain(&vault, &own, self.store, booking.assessed, now).await {
                Ok(ids) => booked.ids = Some(ids),
                Err(error) => crate::log!("tenants: results are not retained: {error}"),
            }
        }
        match queries::watch(&vault, &own, self.store, booking.queries).await {
            Ok(pattern) => booked.pattern = pattern,
            Err(error) => crate::log!("tenants: questions are not watched: {error}"),
        }
        Ok(booked)
    }

    /// Writes down a request that was answered nothing worth keeping. One write.
    pub async fn record(
        &self,
        principal: &Principal,
        counts: Counts,
        now: u64,
    ) -> Result<(), Problem> {
        match TenantVault::to_write(principal, &self.settings.keys) {
            Some(vault) => self.write_down(&vault, counts, now).await,
            None => Ok(()),
        }
    }

    async fn write_down(
        &self,
        vault: &TenantVault<'_>,
        counts: Counts,
        now: u64,
    ) -> Result<(), Problem> {
        ledger::record(vault, self.store, counts, now).await.map_err(unavailable)?;
        let lot = random::<2>().map(|bytes| u16::from_be_bytes(*bytes));
        if lot.is_ok_and(|lot| lot.is_multiple_of(TIDIES_ONCE_IN))
            && let Some(vault) = TenantVault::of(vault.principal(), &self.settings.keys)
        {
            self.tidy(&vault, now).await;
        }
        Ok(())
    }

    async fn route(&self, principal: &Principal, request: &Request<'_>) -> Result<Reply, Problem> {
        let Request { method, now, .. } = *request;
        let route = Route::of(request.path).ok_or(NOT_FOUND)?;
        if !route.allow().split(", ").any(|allowed| allowed == method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()));
        }
        let vault = TenantVault::of(principal, &self.settings.keys).ok_or(NOBODY)?;
        let parameters = Parameters::read(request.query, route.parameters(method))?;
        if method != "POST" && !request.body()?.is_empty() {
            return Err(BODY_UNEXPECTED);
        }
        let Settings { administrator, retention_days: days, .. } = self.settings;
        let retention = Retention { days: *days, now };
        let reach = || Reach::of(&vault, administrator, &parameters);
        match route {
            Route::Usage => self.usage(&vault, &parameters, now).await,
            Route::Feedback if method == "POST" => {
                let keeps_text =
                    !vault.is_personal() && self.settings.text_tenants.contains(vault.owner());
                feedback::give(&vault, self.store, request, &reach()?, retention, keeps_text).await
            }
            Route::Feedback => feedback::list(&vault, self.store, &reach()?, &parameters).await,
            Route::Results => {
                results::list(&vault, self.store, &reach()?, &parameters, retention).await
            }
            Route::Result(id) => results::one(&vault, self.store, &reach()?, id, retention).await,
            Route::Export => {
                let reach = reach()?;
                self.tidy(&vault, now).await;
                data::export(&vault, self.store, &reach, retention).await
            }
            Route::Data => data::erase(&vault, self.store, administrator, &parameters).await,
        }
    }

    /// `GET /v1/usage`.
    async fn usage(
        &self,
        vault: &TenantVault<'_>,
        parameters: &Parameters,
        now: u64,
    ) -> Result<Reply, Problem> {
        if !may_have_all(vault, &self.settings.administrator) {
            return Err(ROLE_MISSING);
        }
        let this_month = calendar::month(calendar::day(now));
        let month = parameters.value("month").unwrap_or(&this_month);
        let days = calendar::days(month).ok_or(MONTH_INVALID)?;
        self.tidy(vault, now).await;
        let ledger = Ledger::read(vault, self.store).await.map_err(unavailable)?;
        Reply::json(&MonthReport::new(month, &ledger.days(), days))
    }

    /// What is not tidied up now will be another time.
    async fn tidy(&self, vault: &TenantVault<'_>, now: u64) {
        let retention = Retention { days: self.settings.retention_days, now };
        if let Err(error) = data::tidy(vault, self.store, &self.settings.keys, retention).await {
            crate::log!("tenants: not tidied up: {error}");
        }
    }
}
