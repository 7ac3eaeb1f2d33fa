//! `portcullis predict`: texts by the line, scored by the component that is shipped.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Failure;
use super::variables::VariableArgs;
use crate::component::{Function, FunctionConfig, Variables};

/// Ask a function like the scam detector about many texts
///
/// Reads lines of JSON from standard input, {"id": …, "text": "…"}, and prints one for each, in the same order: what
/// the function's POST /v1/predict says of the text, with the line's id. Where it refuses a text, the line is
/// {"id": …, "error": …}. The component runs here, behind no gate; this command signs its requests as the gate would.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The component, a .wasm file
    component: PathBuf,

    /// Also ask for the spans that weighed most
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    variables: VariableArgs,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    text: String,
}

/// The longest line, in bytes.
const MAXIMUM_LINE_BYTES: u64 = 16 << 20;
/// The most texts, and their bytes, that go into one request.
const BATCH_TEXTS: usize = 64;
const BATCH_BYTES: usize = 128 << 10;

/// The variable from which a function takes the key of the gate's assertions.
const KEY_VARIABLE: &str = "assertion_key";
const KEY_ID: &str = "portcullis";
const PATH: &str = "/v1/predict";

impl Args {
    /// Answers every line.
    ///
    /// # Errors
    ///
    /// The component cannot be loaded, or some line cannot be read or is refused.
    pub fn run(self) -> Result<(), Failure> {
        let key = super::random::<32>()?;
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.as_slice()));
        let secret = Secret::from_base64url(&encoded).map_err(Failure::runtime)?;
        let mut variables = self.variables.load()?;
        variables.insert(KEY_VARIABLE, encoded).map_err(Failure::runtime)?;

        let runtime = super::runtime()?;
        let _runtime = runtime.enter();
        let asker = Asker {
            function: load(&self.component, variables)?,
            signer: Signer::new(KEY_ID, secret, 60),
            explain: self.explain,
        };
        let mut batches = Batches::default();
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let mut refused = 0_u64;
        {
            let mut answers =
                stream::iter(&mut batches).map(|batch| asker.answer(batch)).buffered(at_once);
            let mut output = std::io::BufWriter::new(std::io::stdout().lock());
            while let Some(lines) = runtime.block_on(answers.next()) {
                for line in lines? {
                    refused += u64::from(line.get("error").is_some());
                    match writeln!(output, "{line}") {
                        Ok(()) => {}
                        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                            return Ok(());
                        }
                        Err(error) => {
                            return Err(Failure::runtime(format_args!("standard output: {error}")));
                        }
                    }
                }
            }
            output
                .flush()
                .map_err(|error| Failure::runtime(format_args!("standard output: {error}")))?;
        }
        match (batches.failure, batches.unreadable, refused) {
            (Some(failure), _, _) => Err(failure),
            (None, 0, 0) => Ok(()),
            (None, unreadable, refused) => Err(Failure::input(format_args!(
                "{unreadable} lines could not be read, {refused} texts were refused"
            ))),
        }
    }
}

fn load(component: &PathBuf, variables: Variables) -> Result<Function, Failure> {
    let config = FunctionConfig { variables, ..FunctionConfig::default() };
    Function::load(component, config).map_err(Failure::input)
}

/// Lines of standard input, as many together as one request may have.
#[derive(Default)]
struct Batches {
    /// A line that did not fit into the batch before.
    next: Option<Line>,
    number: u64,
    unreadable: u64,
    failure: Option<Failure>,
}

impl Batches {
    fn line(&mut self) -> Option<Line> {
        if let Some(line) = self.next.take() {
            return Some(line);
        }
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut input = std::io::stdin().lock().take(MAXIMUM_LINE_BYTES);
            match input.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => self.number += 1,
                Err(error) => {
                    self.failure = Some(Failure::runtime(format_args!("standard input: {error}")));
                    return None;
                }
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&bytes) {
                Ok(line) => return Some(line),
                Err(error) => {
                    self.unreadable += 1;
                    let number = self.number;
                    eprintln!("line {number}: expected {{\"id\": …, \"text\": \"…\"}}: {error}");
                }
            }
        }
    }
}

impl Iterator for &mut Batches {
    type Item = Vec<Line>;

    fn next(&mut self) -> Option<Vec<Line>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_TEXTS
            && let Some(line) = self.line()
        {
            bytes += line.text.len();
            if bytes > BATCH_BYTES && !batch.is_empty() {
                self.next = Some(line);
                break;
            }
            batch.push(line);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

struct Asker {
    function: Function,
    signer: Signer,
    explain: bool,
}

impl Asker {
    /// A line of output for each of the batch. A text that is refused takes nobody with it.
    async fn answer(&self, batch: Vec<Line>) -> Result<Vec<Value>, Failure> {
        if let Ok(results) = self.ask(&batch).await? {
            return Ok(batch
                .into_iter()
                .zip(results)
                .map(|(line, result)| named(line.id, result))
                .collect());
        }
        let mut lines = Vec::new();
        for line in batch {
            let result = match self.ask(std::slice::from_ref(&line)).await? {
                Ok(results) => results.into_iter().next().unwrap_or_default(),
                Err(problem) => json!({ "error": problem }),
            };
            lines.push(named(line.id, result));
        }
        Ok(lines)
    }

    /// The function's results, or its problem document.
    async fn ask(&self, batch: &[Line]) -> Result<Result<Vec<Value>, Value>, Failure> {
        let texts: Vec<&str> = batch.iter().map(|line| line.text.as_str()).collect();
        let body = json!({ "texts": texts, "explain": self.explain }).to_string();
        let principal = Principal {
            subject: "portcullis predict".into(),
            via: CredentialKind::Jwt,
            ..Principal::anonymous()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let nonce = super::random::<16>()?;
        let fields = self.signer.sign(
            &principal.to_field(),
            "POST",
            PATH,
            None,
            body.as_bytes(),
            now,
            &nonce,
        );
        let mut request = Request::post(PATH)
            .header("host", "localhost")
            .header("content-type", "application/json");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(Failure::runtime)?;
        let response = self.function.handle(request).await.map_err(Failure::runtime)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(Failure::runtime)?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).map_err(|_| {
            Failure::runtime(format_args!("the function answered {status} without JSON"))
        })?;
        if !status.is_success() {
            return Ok(Err(answer));
        }
        match answer.get("results").and_then(Value::as_array) {
            Some(results) if results.len() == batch.len() => Ok(Ok(results.clone())),
            _ => Err(Failure::runtime(
                "the function's answer has no `results`, one for each of the texts",
            )),
        }
    }
}

fn named(id: Value, mut result: Value) -> Value {
    if let Some(members) = result.as_object_mut() {
        members.insert("id".to_owned(), id);
    }
    result
}
