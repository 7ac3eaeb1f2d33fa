//! The access stage: networks, methods, header hygiene.
//!
//! It comes first because everything after it reads header fields, and must be able to trust that there is
//! one reading of them.

mod headers;
mod host;
mod path;
mod request_id;

use std::net::IpAddr;

use ipnet::IpNet;

pub use headers::{Header, TOLD_BY_PROXIES, is_reserved};
pub(crate) use headers::{HeaderRules, has_meaning, is_override, is_token, single};
pub(crate) use host::normal_host;
pub(crate) use path::{Target, split_at_first};
pub(crate) use request_id::RequestId;

use crate::document::AccessSection;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal, Stage};
use crate::trace::Trace;

/// The methods let through where the document names none.
const DEFAULT_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// A compiled `access` section.
#[derive(Debug, Clone)]
pub(crate) struct AccessRules {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    methods: Vec<String>,
}

impl AccessRules {
    pub(crate) fn compile(section: &AccessSection, field: &str) -> Result<Self, CompileError> {
        let methods = match &section.methods {
            None => DEFAULT_METHODS.map(str::to_owned).to_vec(),
            Some(methods) => methods.clone(),
        };
        for (index, method) in methods.iter().enumerate() {
            check_method(method, &format!("{field}.methods[{index}]"))?;
        }
        let networks = section.networks.clone().unwrap_or_default();
        check_networks(&networks.allow, &format!("{field}.networks.allow"))?;
        check_networks(&networks.deny, &format!("{field}.networks.deny"))?;
        Ok(Self { allow: networks.allow, deny: networks.deny, methods })
    }

    /// Whether requests with this method may pass.
    pub(crate) fn lets_through(&self, method: &str) -> bool {
        self.methods.iter().any(|allowed| allowed == method)
    }

    /// The methods that may pass, as the Allow field lists them (RFC 9110 §10.2.1).
    pub(crate) fn methods(&self) -> String {
        self.methods.join(", ")
    }

    /// Fails closed: where there are rules about addresses, an unknown address is refused.
    pub(crate) fn check(
        &self,
        source: impl FnOnce() -> Option<IpAddr>,
        method: &str,
    ) -> Result<(), Refusal> {
        let restricted = !(self.allow.is_empty() && self.deny.is_empty());
        if restricted && !source().is_some_and(|address| self.admits(address)) {
            return Err(Refusal::new(
                Reason::NetworkDenied,
                "Requests from your network address are not accepted.",
            ));
        }
        if !self.lets_through(method) {
            let allowed = self.methods();
            let detail = format!("Use one of these methods: {allowed}.");
            return Err(Refusal::new(Reason::MethodNotAllowed, detail).header("allow", allowed));
        }
        Ok(())
    }

    /// Writes down what was let through.
    pub(crate) fn note(&self, source: Option<IpAddr>, method: &str, trace: &mut Trace) {
        let source = source.map_or("none".to_owned(), |source| source.to_string());
        trace.passed(Stage::Access, "access.networks", format!("the address {source}"));
        trace.passed(Stage::Access, "access.methods", format!("the method {method}"));
    }

    fn admits(&self, address: IpAddr) -> bool {
        // ::ffff:10.0.0.1 is 10.0.0.1 to every list, or a deny list could be walked around.
        let address = address.to_canonical();
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

/// Addresses are compared as what they are, so a list of mapped ones would be of nobody.
pub(crate) fn check_networks(networks: &[IpNet], field: &str) -> Result<(), CompileError> {
    let is_mapped = |network: &IpNet| match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped().is_some(),
        IpNet::V4(_) => false,
    };
    match networks.iter().position(is_mapped) {
        None => Ok(()),
        Some(index) => {
            let message = "expected an IPv4 network, written as one: 192.0.2.0/24";
            Err(CompileError::new(format!("{field}[{index}]"), message))
        }
    }
}

/// Methods are case-sensitive tokens (RFC 9110 §9.1), and none of the standard ones is in lower case.
pub(crate) fn check_method(method: &str, field: &str) -> Result<(), CompileError> {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if known.contains(&method) {
        return Ok(());
    }
    let message = format!("unknown method `{method}`, expected one of {}", known.join(", "));
    Err(CompileError::new(field, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Networks;

    fn rules(allow: &[&str], deny: &[&str]) -> AccessRules {
        let parse = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        let networks = Networks { allow: parse(allow), deny: parse(deny) };
        let section = AccessSection { networks: Some(networks), ..Default::default() };
        AccessRules::compile(&section, "access").unwrap()
    }

    fn admits(rules: &AccessRules, address: &str) -> bool {
        rules.check(|| address.parse().ok(), "GET").is_ok()
    }

    #[test]
    fn deny_beats_allow_and_mapped_addresses_do_not_slip_through() {
        let rules = rules(&["10.0.0.0/8", "2001:db8::/32"], &["10.1.0.0/16"]);
        assert!(admits(&rules, "10.2.3.4"));
        assert!(admits(&rules, "2001:db8::1"));
        assert!(!admits(&rules, "10.1.3.4"));
        assert!(!admits(&rules, "::ffff:10.1.3.4"));
        assert!(admits(&rules, "::ffff:10.2.3.4"));
        assert!(!admits(&rules, "192.0.2.1"));
    }

    #[test]
    fn an_unknown_address_is_refused_where_addresses_matter() {
        assert!(rules(&[], &["10.0.0.0/8"]).check(|| None, "GET").is_err());
        assert!(rules(&["0.0.0.0/0"], &[]).check(|| None, "GET").is_err());
        assert!(rules(&[], &[]).check(|| None, "GET").is_ok());
    }

    #[test]
    fn methods_are_case_sensitive_and_told() {
        let refusal = rules(&[], &[]).check(|| None, "get").unwrap_err();
        assert_eq!(refusal.reason, Reason::MethodNotAllowed);
        assert_eq!(refusal.headers, [("allow", "GET, HEAD, POST".to_owned())]);
        for method in ["TRACE", "CONNECT", "PUT", ""] {
            assert!(rules(&[], &[]).check(|| None, method).is_err(), "{method}");
        }
    }
}
