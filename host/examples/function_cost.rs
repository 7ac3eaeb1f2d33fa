//! What a request to a function costs: `cargo xtask bench function` runs this.
//!
//! The functions are asked in turn within one run, each request in an instance of its own, and the CPU time of this
//! process is divided by the requests. Prints one line of JSON.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portcullis::component::{Function, FunctionConfig, Variables};
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde_json::json;
use zeroize::Zeroizing;

/// 32 bytes in base64url. Nothing is protected here.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
/// With accounts of tenants, and results that can be had again.
const ACCOUNTS: [(&str, &str); 2] =
    [("tenant_key", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"), ("retention_days", "1")];

struct Arguments {
    nothing: PathBuf,
    plain: PathBuf,
    prepared: PathBuf,
    rounds: usize,
    requests: usize,
    text: String,
}

fn arguments() -> Option<Arguments> {
    let mut given = std::env::args_os().skip(1);
    let mut path = || given.next().map(PathBuf::from);
    let (nothing, plain, prepared) = (path()?, path()?, path()?);
    let mut number = || given.next()?.to_str()?.parse().ok();
    let (rounds, requests) = (number()?, number()?);
    let text = given.next()?.into_string().ok()?;
    Some(Arguments { nothing, plain, prepared, rounds, requests, text })
}

fn main() {
    let Some(arguments) = arguments() else {
        eprintln!("expected: NOOP.wasm PLAIN.wasm PREPARED.wasm ROUNDS REQUESTS TEXT");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let cases = [
        Case::new("nothing", &arguments.nothing, None, &[]),
        Case::new("plain, one text", &arguments.plain, Some(1), &[]),
        Case::new("prepared, one text", &arguments.prepared, Some(1), &[]),
        Case::new("prepared, 64 texts", &arguments.prepared, Some(64), &[]),
        Case::new("accounts, one text", &arguments.prepared, Some(1), &ACCOUNTS),
        Case::new("accounts, 64 texts", &arguments.prepared, Some(64), &ACCOUNTS),
    ];
    let mut costs = vec![Vec::new(); cases.len()];
    for round in 0..=arguments.rounds {
        for place in 0..cases.len() {
            let index = (place + round) % cases.len();
            let cost = runtime.block_on(cases[index].cost(&arguments.text, arguments.requests));
            // The first round fills caches.
            if round > 0 {
                costs[index].push(cost.as_secs_f64() * 1e6);
            }
        }
        eprint!("\rround {round} of {} ", arguments.rounds);
    }
    eprintln!();
    let medians: Vec<f64> = costs.into_iter().map(median).collect();
    let names = cases.iter().map(|case| case.name.to_owned());
    let cases: serde_json::Map<_, _> =
        names.zip(medians.iter().map(|median| json!(median.round()))).collect();
    println!(
        "{}",
        json!({
            "cpu_us_per_request": cases,
            "prepared_over_nothing_us": (medians[2] - medians[0]).round(),
            "plain_over_nothing_us": (medians[1] - medians[0]).round(),
            // What one more text costs an instance that is warm.
            "warm_text_us": ((medians[3] - medians[2]) / 63.0 * 10.0).round() / 10.0,
            // Usage, results and a sketch of the questions, kept of who asks.
            "accounts_us": (medians[4] - medians[2]).round(),
            "accounts_64_us": (medians[5] - medians[3]).round(),
        })
    );
}

struct Case {
    name: &'static str,
    function: Function,
    /// How many texts a request asks about; None for the function that does nothing.
    texts: Option<usize>,
}

impl Case {
    fn new(
        name: &'static str,
        path: &PathBuf,
        texts: Option<usize>,
        more: &[(&str, &str)],
    ) -> Self {
        let mut variables = Variables::default();
        for (name, value) in [("assertion_key", KEY)].iter().chain(more) {
            variables.insert(name, Zeroizing::new((*value).to_owned())).unwrap();
        }
        let config = FunctionConfig { variables, ..FunctionConfig::default() };
        let function = Function::load(path, config)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, function, texts }
    }

    async fn cost(&self, text: &str, requests: usize) -> Duration {
        let before = cpu_time();
        for _ in 0..requests {
            let response = self.function.handle(self.request(text)).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(status.is_success(), "{}: {status} {body:?}", self.name);
        }
        (cpu_time() - before) / u32::try_from(requests).unwrap()
    }

    fn request(&self, text: &str) -> Request<Full<Bytes>> {
        let Some(texts) = self.texts else {
            return Request::get("/").header("host", "localhost").body(Full::default()).unwrap();
        };
        let body = match texts {
            1 => json!({ "text": text }),
            more => json!({ "texts": vec![text; more] }),
        };
        let body = body.to_string();
        let principal = Principal {
            subject: "bench".into(),
            via: CredentialKind::Jwt,
            ..Principal::anonymous()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signer = Signer::new("portcullis", Secret::from_base64url(KEY).unwrap(), 60);
        let path = "/v1/predict";
        let fields =
            signer.sign(&principal.to_field(), "POST", path, None, body.as_bytes(), now, &[0; 16]);
        let mut request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(body))).unwrap()
    }
}

/// Of this process, all its threads.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
