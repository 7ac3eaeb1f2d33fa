//! `portcullis predict`: texts by the line, scored by the component that is shipped.

use std::io::Write as _;
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
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::texts::{TextLine, TextLines};
use super::variables::VariableArgs;
use super::{Failure, written};
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
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let (sender, mut batches) = mpsc::channel(at_once);
        // In a thread of its own: answers are given while more is waited for.
        let reader = std::thread::spawn(move || read_batches(&sender));
        let mut refused = 0_u64;
        let mut answers = stream::poll_fn(move |context| batches.poll_recv(context))
            .map(|batch| asker.answer(batch))
            .buffered(at_once);
        let mut output = std::io::BufWriter::new(std::io::stdout().lock());
        while let Some(lines) = runtime.block_on(answers.next()) {
            let mut result = Ok(());
            for line in lines? {
                refused += u64::from(line.get("error").is_some());
                result = result.and_then(|()| writeln!(output, "{line}"));
            }
            result = result.and_then(|()| output.flush());
            if result.is_err() {
                return written(result);
            }
        }
        let read = reader.join();
        let unreadable = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        match (unreadable, refused) {
            (0, 0) => Ok(()),
            _ => Err(Failure::input(format_args!(
                "{unreadable} lines could not be read, {refused} texts were refused"
            ))),
        }
    }
}

fn load(component: &PathBuf, variables: Variables) -> Result<Function, Failure> {
    let config = FunctionConfig { variables, ..FunctionConfig::default() };
    Function::load(component, config).map_err(Failure::input)
}

/// Reads standard input to its end, and gives out as many texts together as one request may have, or as there are where more would
/// have to be waited for. Says how many lines were no texts.
fn read_batches(batches: &mpsc::Sender<Vec<TextLine>>) -> Result<u64, Failure> {
    let mut lines = TextLines::new(std::io::stdin().lock());
    let (mut batch, mut bytes): (Vec<TextLine>, usize) = (Vec::new(), 0);
    let mut end = Ok(());
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(failure) => {
                end = Err(failure);
                break;
            }
        };
        let is_full = bytes + line.text.len() > BATCH_BYTES || batch.len() == BATCH_TEXTS;
        if is_full
            && !batch.is_empty()
            && batches.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            break;
        }
        bytes = if batch.is_empty() { 0 } else { bytes } + line.text.len();
        batch.push(line);
        if lines.must_wait() && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            break;
        }
    }
    // Where nobody takes them, the answers have ended.
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    end.map(|()| lines.unreadable())
}

struct Asker {
    function: Function,
    signer: Signer,
    explain: bool,
}

impl Asker {
    /// A line of output for each of the batch. A text that is refused takes nobody with it.
    async fn answer(&self, batch: Vec<TextLine>) -> Result<Vec<Value>, Failure> {
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
    async fn ask(&self, batch: &[TextLine]) -> Result<Result<Vec<Value>, Value>, Failure> {
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
