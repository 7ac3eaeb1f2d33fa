//! Child processes that do not outlive us.
//!
//! Every child leads a process group of its own. When xtask is interrupted (Ctrl-C, SIGTERM, SIGHUP)
//! or gives up on a child, the whole group ends: cargo's rustc, pip's helpers, Envoy's threads.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::Interrupted;
use crate::step::QuietStep;

/// Turns Ctrl-C, SIGTERM and SIGHUP into the flag that [`interrupted`] reads.
pub(crate) fn catch_interrupts() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .context("installing a signal handler")?;
    }
    Ok(())
}

/// Whether somebody asked us to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Runs a command whose output the user sees; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut group = Group::spawn(command.stdin(Stdio::null()))?;
    let status = group.wait(|| false)?;
    if !status.success() {
        bail!("{} failed ({status})", Shown(command));
    }
    Ok(())
}

/// Runs a cargo command whose progress the user sees, and stays silent where cargo has nothing to do.
/// The step is announced before cargo's first word about work.
pub(crate) fn run_cargo(command: &mut Command, step: &QuietStep<'_>) -> Result<()> {
    if io::stderr().is_terminal() {
        // Cargo sees a pipe and would draw nothing.
        command.env("CARGO_TERM_COLOR", "always").env("CARGO_TERM_PROGRESS_WHEN", "always");
        command.env("CARGO_TERM_PROGRESS_WIDTH", "80");
    }
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let stderr = group.child.stderr.take();
    let status = thread::scope(|scope| {
        scope.spawn(|| stderr.map(|pipe| forward(pipe, io::stderr(), || step.announce())));
        // In case of an error the group must be gone before the scope waits for its pipe.
        group.wait(|| false).inspect_err(|_| group.end())
    })?;
    if !status.success() {
        bail!("{} failed ({status})", Shown(command));
    }
    Ok(())
}

/// Runs a command and collects what it says, whatever its exit code.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    output_unless(command, || false)
}

/// Like [`output`], but gives up as soon as `give_up` says so; it is asked about 20 times a second.
pub(crate) fn output_unless(
    command: &mut Command,
    give_up: impl FnMut() -> bool,
) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let stdout = read_aside(group.child.stdout.take());
    let stderr = read_aside(group.child.stderr.take());
    let status = group.wait(give_up)?;
    let collected = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    Ok(Output { status, stdout: collected(stdout), stderr: collected(stderr) })
}

/// Runs a command that must succeed and answers its standard output as text.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", Shown(command), output.status, last_words(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The end of what a failed program said, short enough for an error message.
pub(crate) fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// Where on PATH a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// A child process and all that it starts. Ends with it when dropped.
pub(crate) struct Group {
    child: Child,
    program: String,
    ended: bool,
}

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let program = name(command.get_program());
        let child =
            command.process_group(0).spawn().with_context(|| format!("starting {program}"))?;
        Ok(Self { child, program, ended: false })
    }

    /// The exit status, once there is one.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status =
            self.child.try_wait().with_context(|| format!("waiting for {}", self.program))?;
        self.ended |= status.is_some();
        Ok(status)
    }

    fn wait(&mut self, mut give_up: impl FnMut() -> bool) -> Result<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if interrupted() {
                bail!(Interrupted);
            }
            if give_up() {
                bail!("{} did not answer in time", self.program);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: Signal) {
        // The leader is not yet reaped (`ended` is false), so its id cannot have been given away.
        if let Some(leader) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // An error means that nobody is left to be told.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

impl Group {
    fn end(&mut self) {
        if self.ended {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if matches!(self.ended(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        // Reaps it; after KILL there is nothing more to do about an error.
        let _ = self.child.wait();
        self.ended = true;
    }
}

/// Passes on what cargo says, once it says more than that it has finished.
fn forward(mut from: impl Read, mut to: impl io::Write, announce: impl Fn()) -> io::Result<()> {
    let mut held = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            // What is still held is the word that nothing had to be done.
            return Ok(());
        }
        held.extend_from_slice(&buffer[..length]);
        if says_more_than_finished(&held) {
            announce();
            to.write_all(&held)?;
            return io::copy(&mut from, &mut to).map(drop);
        }
    }
}

/// Whether cargo's output so far has a whole line that is not its last word or a drawing of progress.
fn says_more_than_finished(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    let Some((lines, _unfinished)) = text.rsplit_once('\n') else { return false };
    lines.split(['\n', '\r']).map(without_colours).any(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("Finished") && !line.starts_with("Building [")
    })
}

/// A line without the escape sequences that a terminal acts on.
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

fn read_aside<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read up to an error is still the best there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn name(program: &OsStr) -> String {
    PathBuf::from(program).file_name().map_or_else(
        || program.to_string_lossy().into_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A command as it could be typed, without its environment.
struct Shown<'a>(&'a Command);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}", name(self.0.get_program()))?;
        for argument in self.0.get_args() {
            write!(formatter, " {}", argument.to_string_lossy())?;
        }
        formatter.write_str("`")
    }
}

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How long a group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_group_takes_its_grandchildren_along() {
        // The grandchild holds the pipe's other end: the pipe ends when the grandchild does.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & echo started; wait"]).stdout(Stdio::piped());
        let mut group = Group::spawn(&mut command).unwrap();
        let mut pipe = group.child.stdout.take().unwrap();
        let mut said = [0; 8];
        pipe.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"started\n");
        let started = Instant::now();
        drop(group);
        assert_eq!(pipe.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_command_that_hangs_is_given_up() {
        let started = Instant::now();
        let error = output_unless(Command::new("sleep").arg("300"), || {
            started.elapsed() > Duration::from_millis(50)
        })
        .unwrap_err();
        assert!(error.to_string().contains("did not answer"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn cargo_is_heard_only_when_it_works() {
        let heard = |said: &str| {
            let announced = AtomicBool::new(false);
            let mut passed_on = Vec::new();
            forward(said.as_bytes(), &mut passed_on, || announced.store(true, Ordering::Relaxed))
                .unwrap();
            (announced.into_inner(), String::from_utf8(passed_on).unwrap())
        };
        assert_eq!(heard("    Finished `dev` profile in 0.1s\n"), (false, String::new()));
        assert_eq!(
            heard("\x1b[1m\x1b[92m    Finished\x1b[0m `dev` profile in 0.1s\n"),
            (false, String::new())
        );
        let work = "   Compiling gate v0.1.0\n    Finished `dev` profile in 9s\n";
        assert_eq!(heard(work), (true, work.to_owned()));
        assert!(heard("error: no such package\n").0);
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("sh -c exit 3"), "{error}");
    }
}
