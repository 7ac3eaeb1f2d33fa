//! The `portcullis` command: what its subcommands have in common.

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::gateway::LogWriter;

pub mod check;
pub mod client;
pub mod completions;
pub mod databases;
pub mod dev_credentials;
pub mod envoy;
pub mod explain;
pub mod fetched;
pub mod function;
pub mod jwe;
pub mod key;
pub mod limits;
pub mod predict;
pub mod preinitialise;
pub mod replay;
pub mod screen;
pub mod serve;
mod texts;
pub mod token;
pub mod variables;
pub mod watermark;

/// The gate in front of an AI API.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Function(function::Args),
    Predict(predict::Args),
    Preinitialise(preinitialise::Args),
    Watermark(watermark::Args),
    Check(check::Args),
    Schema(check::SchemaArgs),
    Replay(replay::Args),
    Explain(explain::Args),
    Limits(limits::Args),
    Screen(screen::Args),
    Token(token::Args),
    Key(key::Args),
    Client(client::Args),
    Jwe(jwe::Args),
    DevCredentials(dev_credentials::Args),
    Completions(completions::Args),
    Envoy(Box<envoy::Args>),
}

impl Cli {
    /// Runs the command and tells how it ended.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(args) => args.run(),
            Command::Function(args) => args.run(),
            Command::Predict(args) => args.run(),
            Command::Preinitialise(args) => args.run(),
            Command::Watermark(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Schema(args) => args.run(),
            Command::Replay(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Limits(args) => args.run(),
            Command::Screen(args) => args.run(),
            Command::Token(args) => args.run(),
            Command::Key(args) => args.run(),
            Command::Client(args) => args.run(),
            Command::Jwe(args) => args.run(),
            Command::DevCredentials(args) => args.run(),
            Command::Completions(args) => args.run(),
            Command::Envoy(args) => args.run(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if !failure.message.is_empty() {
                    eprintln!("portcullis: {}", failure.message);
                }
                ExitCode::from(failure.code)
            }
        }
    }
}

/// Why a command ended without doing what it was asked to.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The command's input is bad: exit code 2. The message names the file, the line and the
    /// field as far as there are any, and what was expected.
    #[must_use]
    pub fn input(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }

    /// The answer, which has been given, is no: exit code 1.
    #[must_use]
    pub fn negative() -> Self {
        Self { message: String::new(), code: 1 }
    }

    /// The input is fine and the command failed all the same: exit code 1.
    #[must_use]
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }
}

/// Writes `text` to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;

    let mut output = std::io::stdout().lock();
    written(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

/// What came of writing to standard output. A reader that has gone away is no failure.
pub(crate) fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::runtime(format_args!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<zeroize::Zeroizing<[u8; N]>, Failure> {
    use ring::rand::SecureRandom as _;

    let mut bytes = zeroize::Zeroizing::new([0; N]);
    ring::rand::SystemRandom::new()
        .fill(bytes.as_mut_slice())
        .map_err(|_| Failure::runtime("the operating system gives no random numbers"))?;
    Ok(bytes)
}

/// Opens a file that the user named; `-` is standard input.
pub(crate) fn open_input(path: &std::path::Path) -> Result<Box<dyn std::io::BufRead>, Failure> {
    use std::io::BufReader;

    if path == std::path::Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path);
    let file = file.map_err(|error| Failure::input(format_args!("{}: {error}", path.display())))?;
    Ok(Box::new(BufReader::with_capacity(64 * 1024, file)))
}

/// Reads a file that the user named, without the byte order mark that some editors put before UTF-8. It is bounded: no input of ours
/// is larger.
pub(crate) fn input_file(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    const LIMIT: u64 = 16 << 20;
    use std::io::Read as _;

    let shown = path.display();
    let unreadable = |error| Failure::input(format_args!("{shown}: {error}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LIMIT {
        return Err(Failure::input(format_args!("{shown}: larger than {LIMIT} bytes")));
    }
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if content.starts_with(MARK) {
        content.drain(..MARK.len());
    }
    Ok(content)
}

/// The logs of the commands that serve. What has been queued is written, for as long as somebody reads it, when this is
/// dropped.
pub(crate) struct Logs {
    pub(crate) output: LogWriter,
    pub(crate) error: LogWriter,
}

impl Logs {
    pub(crate) fn start() -> Result<Self, Failure> {
        let failed = |error| Failure::runtime(format_args!("cannot start: {error}"));
        Ok(Self {
            output: LogWriter::stdout().map_err(failed)?,
            error: LogWriter::stderr().map_err(failed)?,
        })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
        self.output.flush(PATIENCE);
        self.error.flush(PATIENCE);
    }
}

/// A runtime for the commands that serve.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format_args!("cannot start: {error}")))
}

/// Ready on the first SIGINT or SIGTERM. A second one ends the process at once.
pub(crate) async fn interrupted() {
    first_signal().await;
    tokio::spawn(async {
        first_signal().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn first_signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process, which is as good.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn first_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
