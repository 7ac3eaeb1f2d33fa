//! The model under suspicion, somebody else's HTTP endpoint.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::Failure;
use crate::cli::input_file;

/// How the suspect is asked, and where in its answer the score is.
#[derive(Debug, clap::Args)]
pub(super) struct SuspectArgs {
    /// Where it takes a POST with one text
    #[arg(long, value_name = "URL")]
    endpoint: String,

    /// The member of the request's JSON object that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_member: String,

    /// A certificate authority to trust in place of the public ones, PEM
    #[arg(long, value_name = "FILE")]
    trusted_ca: Option<PathBuf>,

    /// Where in the answer the probability of a scam is (JSON pointer, RFC 6901)
    #[arg(long, value_name = "POINTER", default_value = "/probability", value_parser = pointer)]
    probability: String,

    /// Where the label is, for a model that gives no probability
    #[arg(long, value_name = "POINTER", default_value = "/label", value_parser = pointer)]
    label: String,

    /// The label of a scam
    #[arg(long, value_name = "LABEL", default_value = "scam")]
    scam_label: String,
}

impl SuspectArgs {
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

fn pointer(text: &str) -> Result<String, String> {
    match text.is_empty() || text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("expected a JSON pointer such as /probability (RFC 6901)".to_owned()),
    }
}

fn tls(trusted_ca: Option<&Path>) -> Result<TlsConfig, Failure> {
    let Some(path) = trusted_ca else { return Ok(TlsConfig::default()) };
    let shown = path.display();
    let pem = input_file(path)?;
    let certificates: Result<Vec<_>, _> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect();
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
    let certificates = certificates
        .ok_or_else(|| Failure::input(format_args!("{shown}: expected certificates in PEM")))?;
    let roots = RootCerts::new_with_certs(&certificates);
    Ok(TlsConfig::builder().root_certs(roots).build())
}

/// The header field for the suspect, NAME: VALUE. From the environment, where other users of the machine do not see it.
const HEADER_VARIABLE: &str = "PORTCULLIS_SUSPECT_HEADER";
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 1 << 20;
/// How often one text is tried, and the longest wait that a 429 or 503 may ask for.
const TRIES: u32 = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Suspect<'a> {
    arguments: &'a SuspectArgs,
    agent: ureq::Agent,
    header: Option<(String, String)>,
}

impl<'a> Suspect<'a> {
    pub(super) fn new(arguments: &'a SuspectArgs) -> Result<Self, Failure> {
        let header = match std::env::var(HEADER_VARIABLE) {
            Ok(field) => {
                let (name, value) = field.split_once(':').ok_or_else(|| {
                    Failure::input(format_args!("{HEADER_VARIABLE}: expected NAME: VALUE"))
                })?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            }
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => {
                return Err(Failure::input(format_args!("{HEADER_VARIABLE}: {error}")));
            }
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // Credentials go where the user said and nowhere else.
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls(arguments.trusted_ca.as_deref())?)
            .build()
            .into();
        Ok(Self { arguments, agent, header })
    }

    /// The suspect's score of a text: larger for a scam.
    pub(super) fn score(&self, text: &str) -> Result<f64, Failure> {
        let endpoint = &self.arguments.endpoint;
        for _ in 0..TRIES {
            let mut request = self.agent.post(endpoint).header("content-type", "application/json");
            if let Some((name, value)) = &self.header {
                request = request.header(name, value);
            }
            let question = json!({ self.arguments.text_member.as_str(): text }).to_string();
            let mut response = request
                .send(question)
                .map_err(|error| Failure::input(format_args!("{endpoint}: {error}")))?;
            let status = response.status();
            if matches!(status.as_u16(), 429 | 503) {
                let after = response.headers().get("retry-after");
                let seconds = after.and_then(|value| value.to_str().ok()?.parse().ok());
                std::thread::sleep(Duration::from_secs(seconds.unwrap_or(1)).min(LONGEST_WAIT));
                continue;
            }
            let body = response
                .body_mut()
                .with_config()
                .limit(ANSWER_BYTES)
                .read_to_vec()
                .map_err(|error| Failure::input(format_args!("{endpoint}: {error}")))?;
            if !status.is_success() {
                return Err(Failure::input(format_args!("{endpoint}: it answers {status}")));
            }
            return self.read(&body);
        }
        Err(Failure::input(format_args!("{endpoint}: it keeps asking to come back later")))
    }

    fn read(&self, body: &[u8]) -> Result<f64, Failure> {
        let SuspectArgs { endpoint, probability, label, scam_label, .. } = self.arguments;
        let answer: Value = serde_json::from_slice(body)
            .map_err(|error| Failure::input(format_args!("{endpoint}: not JSON: {error}")))?;
        if let Some(score) = answer.pointer(probability).and_then(Value::as_f64) {
            return Ok(score);
        }
        match answer.pointer(label) {
            Some(Value::String(text)) => Ok(if text == scam_label { 1.0 } else { 0.0 }),
            Some(Value::Bool(scam)) => Ok(if *scam { 1.0 } else { 0.0 }),
            _ => Err(Failure::input(format_args!(
                "{endpoint}: expected a number at {probability} of its answer, or a label at {label}"
            ))),
        }
    }
}
