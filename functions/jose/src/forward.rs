//! From what was decrypted to what of the function's answer may leave.

use portcullis_function::jwe::ClearRequest;
use portcullis_function::keys::random;
use portcullis_function::{Reply, Request, UNAVAILABLE};
use portcullis_policy::Principal;
use zeroize::Zeroizing;

use crate::settings::Encryption;
use crate::upstream::{Answered, Outgoing, Upstream};

/// In a request: what the screening has found and let pass, as the gate would tell it.
const FINDINGS_FIELD: &str = "portcullis-findings";

/// What of the request's header section goes on: whose request it is in logs and traces, and nothing that could change
/// what it means.
const PASSED_FIELDS: [&str; 2] = ["x-request-id", "traceparent"];
const MAXIMUM_FIELD_BYTES: usize = 128;

/// A request and what was in it.
pub(crate) struct Clear<'a> {
    pub(crate) request: &'a Request<'a>,
    /// As the function behind this one knows it.
    pub(crate) path: &'a str,
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) content_type: &'a str,
    pub(crate) principal: Principal,
}

impl Encryption {
    /// Screens what was decrypted, sends it to the function in the principal's name, and screens the answer. The error is
    /// an answer as well. All is to be sealed.
    pub(crate) async fn forward(
        &self,
        clear: Clear<'_>,
        upstream: &impl Upstream,
    ) -> Result<Answered, Reply> {
        let Clear { request, path, content, content_type, principal } = clear;
        let principal_field = principal.to_field();
        let mut screened = self.screen.check(ClearRequest {
            method: request.method,
            path,
            query: request.query,
            host: only(request, "host"),
            content_type,
            content: &content,
            principal,
            now: request.now,
        })?;
        let body = screened.rewritten.take().unwrap_or(content);
        let nonce = random::<16>().map_err(|error| {
            portcullis_function::log!("jose: {error}");
            UNAVAILABLE.reply()
        })?;
        let mut headers = self.signer.sign(
            &principal_field,
            request.method,
            path,
            request.query,
            &body,
            request.now,
            &nonce,
        );
        headers.push(("content-type", content_type.to_owned()));
        headers.push(("content-length", body.len().to_string()));
        headers.push(("accept-encoding", "identity".to_owned()));
        headers.extend(screened.findings.take().map(|findings| (FINDINGS_FIELD, findings)));
        headers.extend(PASSED_FIELDS.into_iter().filter_map(|name| {
            let value = only(request, name)?;
            let fits = (1..=MAXIMUM_FIELD_BYTES).contains(&value.len())
                && value.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| (name, value.to_owned()))
        }));
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let outgoing = Outgoing {
            method: request.method.to_owned(),
            uri: format!("{}{path}{query}", self.upstream),
            headers,
            body,
            timeout: self.timeout,
        };
        let incoming = upstream.send(outgoing).await.map_err(|error| {
            portcullis_function::log!("jose: {error}");
            error.problem().reply()
        })?;
        let Answered { reply, signals } = incoming.take().map_err(|problem| problem.reply())?;
        Ok(Answered { reply: screened.answer(reply), signals })
    }
}

/// The value of a field that is there once.
fn only<'a>(request: &Request<'a>, field: &str) -> Option<&'a str> {
    let mut values = request.headers.iter().filter(|(name, _)| *name == field);
    let (Some((_, value)), None) = (values.next(), values.next()) else { return None };
    std::str::from_utf8(value).ok()
}
