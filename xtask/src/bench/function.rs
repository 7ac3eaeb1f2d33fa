//! The scam detector: what a request costs in a fresh instance and in a warm one, beside the service that is usually written.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::load::{Carrier, Load};
use super::server::cpu_time;
use super::{Options, START_TIMEOUT};
use crate::artifacts::{self, Part, native_packages};
use crate::process;
use crate::python::Packages;
use crate::step::{QuietStep, Step};
use crate::toolchain::WasmTarget;
use crate::workspace::Workspace;

/// 160 characters, as long as a message on a phone may be.
const TEXT: &str = "Your parcel 4711 could not be delivered today because the address is incomplete. Please pay 1.99 \
                    EUR within 12 hours at http://parcel-fee.example/track or it goes";

/// What a fresh instance may cost more than one of a component that does nothing, and a text in a warm one.
const FRESH_US: f64 = 1500.0;
const WARM_US: f64 = 150.0;
/// What it may cost more to keep accounts of who asks about one text.
const ACCOUNTS_US: f64 = 100.0;
/// The largest component, in bytes.
const COMPONENT_BYTES: u64 = 8_000_000;

const PACKAGES: Packages = Packages {
    list: "xtask/src/bench/python/requirements.txt",
    folder: "bench-python",
    what: "installing the usual Python service under target/bench-python (a minute; the system stays as it is)",
};

/// Measures and prints.
pub(super) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    artifacts::build(workspace, &[Part::Native, Part::Functions, Part::Yardsticks])?;
    build_tools(workspace)?;
    let cost = own(workspace, options)?;
    let python = usual(workspace, options)?;

    let figure = |name: &str| cost["cpu_us_per_request"][name].as_f64().unwrap_or(f64::NAN);
    let fresh = cost["prepared_over_nothing_us"].as_f64().unwrap_or(f64::NAN);
    let warm = cost["warm_text_us"].as_f64().unwrap_or(f64::NAN);
    let accounts = cost["accounts_us"].as_f64().unwrap_or(f64::NAN);
    let accounts_64 = cost["accounts_64_us"].as_f64().unwrap_or(f64::NAN);
    let component = workspace.artifacts().join("scam_detector.wasm");
    let bytes = fs::metadata(&component).map_or(0, |file| file.len());
    let met = |is_met: bool| if is_met { "met" } else { "NOT met" };
    println!(
        "\nfunction: CPU time for each request, µs, a text of {} characters ({} rounds)\n\n\
         a component that does nothing, fresh instance   {:>8.0}\n\
         scam detector, not prepared, fresh instance     {:>8.0}\n\
         scam detector as shipped, fresh instance        {:>8.0}   {fresh:.0} more than nothing (at most {FRESH_US:.0}: {})\n\
         one more text in a warm instance                {warm:>8.1}   (at most {WARM_US:.0}: {})\n\
         accounts of who asks, with results, one text    {accounts:>8.0}   (at most {ACCOUNTS_US:.0}: {})\n\
         the same, 64 texts in one request               {accounts_64:>8.0}\n\
         onnxruntime alone, features given               {:>8.1}\n\
         FastAPI, python-jose, slowapi, onnxruntime      {:>8.0}\n\n\
         component: {bytes} bytes (at most {COMPONENT_BYTES}: {})",
        TEXT.chars().count(),
        options.rounds,
        figure("nothing"),
        figure("plain, one text"),
        figure("prepared, one text"),
        met(fresh <= FRESH_US),
        met(warm <= WARM_US),
        met(accounts <= ACCOUNTS_US),
        python.model,
        python.service,
        met(bytes <= COMPONENT_BYTES),
    );
    Ok(())
}

/// What asks the functions, and what writes a text's features.
fn build_tools(workspace: &Workspace) -> Result<()> {
    let step = QuietStep::new("tools", "compiling what asks the functions (some minutes)");
    let mut command = native_packages(workspace, "build");
    command.args(["--example", "function_cost", "--bin", "features"]);
    process::run_cargo(&mut command, &step)?;
    let tools = "target/debug/examples/function_cost, target/debug/features";
    step.done(tools, tools);
    Ok(())
}

/// The component in our host.
fn own(workspace: &Workspace, options: &Options) -> Result<Value> {
    let step =
        Step::begin("bench", "asking the functions (compiling each takes 20 s the first time)");
    let unprepared = workspace.wasm_target().join(WasmTarget::Wasip2.triple());
    let unprepared = unprepared.join(WasmTarget::Wasip2.profile()).join("scam_detector.wasm");
    let mut command = workspace.command(workspace.target().join("debug/examples/function_cost"));
    command.arg(workspace.artifacts().join("noop_function.wasm"));
    command.arg(unprepared).arg(workspace.artifacts().join("scam_detector.wasm"));
    command
        .arg(options.rounds.to_string())
        .arg((options.requests / 20).max(5).to_string())
        .arg(TEXT);
    let printed = process::text(&mut command)?;
    step.done("measured");
    serde_json::from_str(&printed).context("the figures of function_cost")
}

/// What the usual service costs.
struct Usual {
    /// onnxruntime by itself.
    model: f64,
    service: f64,
}

fn usual(workspace: &Workspace, options: &Options) -> Result<Usual> {
    PACKAGES.ensure(workspace)?;
    let features = features(workspace)?;
    let step = Step::begin("bench", "asking the usual Python service");
    let mut service = Service::start(workspace, &features)?;
    let body = json!({ "text": TEXT }).to_string();
    let mut load = Load::post(&body, Carrier::Bearer, [service.token.clone()].into());
    let mut cost = |requests| -> Result<f64> {
        let connections = load.connect(service.address)?;
        let before = cpu_time(service.child.id())?;
        let sent = load.run(connections, requests)?;
        let used = cpu_time(service.child.id())?.saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / f64::from(sent))
    };
    cost(200)?;
    let mut costs =
        (0..options.rounds).map(|_| cost(options.requests / 4)).collect::<Result<Vec<_>>>()?;
    costs.sort_by(f64::total_cmp);
    let median = costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN);
    let model = service.model;
    service.end();
    step.done("measured");
    Ok(Usual { model, service: median })
}

/// The features of the text, as the training tools write them.
fn features(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.bench();
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join("features.bin");
    let output = fs::File::create(&path).with_context(|| format!("writing {}", path.display()))?;
    let mut command = workspace.command(workspace.target().join("debug/features"));
    let mut child = command.stdin(Stdio::piped()).stdout(output).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "ham\t{TEXT}")?;
    }
    if !child.wait()?.success() {
        bail!("the feature extractor failed");
    }
    Ok(path)
}

/// The Python service. Dropped, it ends.
struct Service {
    child: Child,
    address: SocketAddr,
    token: String,
    model: f64,
}

impl Service {
    fn start(workspace: &Workspace, features: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = PACKAGES.python(workspace);
        command
            .arg("xtask/src/bench/python/service.py")
            .arg("model/scam-detector.onnx")
            .arg(features);
        command.arg(address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().context("starting the Python service")?;
        let mut service = Self { child, address, token: String::new(), model: f64::NAN };
        let output = service.child.stdout.take().context("the Python service has no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("onnxruntime", cost)) => service.model = cost.parse()?,
                Some(("token", token)) => {
                    token.clone_into(&mut service.token);
                    break;
                }
                _ => bail!("the Python service says: {line}"),
            }
        }
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > START_TIMEOUT || service.child.try_wait()?.is_some() {
                bail!("the Python service did not start");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(service)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}
