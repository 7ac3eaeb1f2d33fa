//! What a key gives, and when and where it is good.

use ipnet::IpNet;
use portcullis_policy::document::{ApiKeyEntry, ApiKeyFile};
use time::OffsetDateTime;

use super::time::{When, written};
use crate::cli::Failure;

/// Everything about a key but the key.
#[derive(Debug, clap::Args)]
pub(super) struct Attributes {
    /// Who holds the key: the subject of requests made with it
    #[arg(long)]
    owner: String,

    /// The tenant it belongs to
    #[arg(long)]
    tenant: Option<String>,

    /// A role it gives; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// A scope it gives; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// The plan it is on, by which limits can differ
    #[arg(long)]
    plan: Option<String>,

    /// When it begins to be good: a date and time (RFC 3339), or a span from now such as 2h
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    not_before: Option<When>,

    /// When it ceases to be good: a date and time (RFC 3339), or a span from now such as 90d; by default never
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    expires: Option<When>,

    /// A network from which it is good, such as 192.0.2.0/24; may be repeated; by default all
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<IpNet>,

    /// The name of a route on which it is good; may be repeated; by default all that its roles allow
    #[arg(long = "route", value_name = "NAME")]
    routes: Vec<String>,
}

impl Attributes {
    /// The entry of a key with these.
    pub(super) fn entry(
        &self,
        id: &str,
        digest: String,
        now: OffsetDateTime,
    ) -> Result<ApiKeyEntry, Failure> {
        let at = |when: Option<When>| when.map(|when| written(when.from(now)));
        let entry = ApiKeyEntry {
            tenant: self.tenant.clone(),
            roles: self.roles.clone(),
            scopes: self.scopes.clone(),
            plan: self.plan.clone(),
            not_before: at(self.not_before),
            expires: expiry(self.expires, now)?,
            networks: self.networks.clone(),
            routes: self.routes.clone(),
            ..ApiKeyEntry::new(id, digest, &self.owner)
        };
        check(&entry)?;
        Ok(entry)
    }
}

/// When a new key ceases to be good: that is still to come.
pub(super) fn expiry(
    expires: Option<When>,
    now: OffsetDateTime,
) -> Result<Option<String>, Failure> {
    match expires.map(|when| when.from(now)) {
        Some(time) if time <= now => {
            Err(Failure::input("--expires: expected a time that is still to come"))
        }
        time => Ok(time.map(written)),
    }
}

/// Whether the gate would take an entry.
pub(super) fn check(entry: &ApiKeyEntry) -> Result<(), Failure> {
    let file = ApiKeyFile { keys: vec![entry.clone()] };
    file.check().map_err(|error| {
        let field = error.field.trim_start_matches("keys[0].");
        Failure::input(format_args!("the key's {field}: {}", error.message))
    })
}
