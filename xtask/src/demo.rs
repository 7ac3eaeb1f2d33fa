//! The example requests of `cargo xtask up`, one for each outcome: printed for people to try, and sent
//! by `up --demo`.
//!
//! Both use `curl`, so that what is printed is exactly what was tried. A TLS client of our own would
//! bring a cryptography library into xtask, which should compile in seconds.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::issuer::Issuer;
use crate::process;
use crate::sealed::{self, Sealed};
use crate::workspace::Workspace;

/// The examples, ready to be shown or sent.
pub(crate) struct Demo {
    /// The folder of the checkout, in which the paths that are shown are good.
    root: PathBuf,
    gate: SocketAddr,
    certificate_authority: PathBuf,
    issuer: Issuer,
    sealed: Sealed,
}

/// The tokens of a principal who behaves and of one who asks too often, and one under another signature.
struct Tokens {
    newcomer: String,
    eager: String,
    forged: String,
}

impl Tokens {
    fn from(issuer: &Issuer) -> Result<Self> {
        let newcomer = issuer.token(&issuer.newcomer)?;
        let eager = issuer.token(&issuer.eager)?;
        Ok(Self { forged: forged(&newcomer), newcomer, eager })
    }

    /// As variables of a shell.
    fn variables() -> Self {
        let [newcomer, eager, forged] = ["$TOKEN", "$EAGER", "$FORGED"].map(str::to_owned);
        Self { newcomer, eager, forged }
    }
}

/// What [`forged`] does, as a program for a shell.
const FORGE: &str = r"sed -E 's/\.A([^.]*)$/.B\1/;t;s/\.[^.]([^.]*)$/.A\1/'";

impl Demo {
    pub(crate) fn prepare(workspace: &Workspace, gate: SocketAddr, issuer: Issuer) -> Self {
        let certificate_authority =
            PathBuf::from(workspace.display(&workspace.dev().join("ca.pem")));
        let (root, sealed) = (workspace.root().to_path_buf(), Sealed::new(workspace, gate));
        Self { root, gate, certificate_authority, issuer, sealed }
    }

    /// Sends every example and prints its answer. `healthy` is asked in between.
    ///
    /// # Errors
    ///
    /// When an answer is not the expected one, once all have been printed.
    pub(crate) fn run(&self, mut healthy: impl FnMut() -> Result<()>) -> Result<()> {
        if process::find("curl").is_none() {
            bail!("`up --demo` sends its requests with curl. Remedy: `apt-get install curl`");
        }
        let tokens = Tokens::from(&self.issuer)?;
        println!("✔ a token from the issuer, for a client's id and secret");
        println!("    200 {}", tokens.newcomer);
        let mut wrong = 0;
        let mut show = |name: &str, expected: &Expected, answer: &Answer| {
            let mark = if expected.judge(answer) {
                "✔".to_owned()
            } else {
                wrong += 1;
                format!("✘ expected {expected}:")
            };
            println!("{mark} {name}");
            println!("    {} {}", answer.status, answer.shown_body());
        };
        for example in &EXAMPLES {
            healthy()?;
            show(example.name, &example.expected, &self.send(example, &tokens)?);
        }
        healthy()?;
        show(sealed::NAME, &SEALED, &self.send_sealed(&tokens)?);
        let all = EXAMPLES.len() + 1;
        if wrong > 0 {
            bail!("{wrong} of {all} verdicts were not the expected ones");
        }
        println!("All {all} verdicts are as expected.");
        Ok(())
    }

    /// Runs the very lines that are shown.
    fn send_sealed(&self, tokens: &Tokens) -> Result<Answer> {
        let mut command = Command::new("sh");
        command.current_dir(&self.root).env("TOKEN", &tokens.newcomer);
        // A proxy from the environment must not come between us and loopback.
        command.env("NO_PROXY", "*");
        let lines = [vec![self.gate_function()], self.sealed.lines().into()].concat();
        let output = process::output(command.arg("-c").arg(lines.join("\n")))?;
        // The statuses go to standard error, so that the answers can be piped.
        let told = String::from_utf8_lossy(&output.stderr);
        let status = told.lines().filter_map(|line| line.trim().parse().ok()).next_back();
        let body = if output.status.success() { output.stdout } else { output.stderr.clone() };
        Ok(Answer {
            status: status.unwrap_or_default(),
            body: String::from_utf8_lossy(&body).trim().to_owned(),
        })
    }

    /// curl with what every request needs, as a function of a shell.
    fn gate_function(&self) -> String {
        let authority = self.certificate_authority.display();
        format!(
            "gate() {{ curl -sS {HTTP_VERSION} --cacert {authority} -w '%{{stderr}}\\n%{{http_code}}\\n' \"$@\"; }}"
        )
    }

    fn send(&self, example: &Example, tokens: &Tokens) -> Result<Answer> {
        let mut command = Command::new("curl");
        command.current_dir(&self.root);
        // A proxy from the environment must not come between us and loopback.
        command.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            HTTP_VERSION,
        ]);
        // Behind the body, on a line of its own.
        command.args(["--write-out", "\n%{http_code}\n"]);
        command.arg("--cacert").arg(&self.certificate_authority);
        command.args(self.arguments(example, tokens));
        Answer::parse(&process::text(&mut command)?)
    }

    /// curl's arguments, but for those about printing and trust.
    fn arguments(&self, example: &Example, tokens: &Tokens) -> Vec<String> {
        let mut arguments = Vec::new();
        for header in Self::headers(example, tokens) {
            arguments.extend(["--header".to_owned(), header]);
        }
        if let Some(body) = example.body {
            arguments.extend(["--data".to_owned(), body.to_owned()]);
        }
        arguments.push(format!("https://{}{}", self.gate, example.target));
        arguments
    }

    fn headers(example: &Example, tokens: &Tokens) -> Vec<String> {
        let token = match example.credential {
            Credential::None => None,
            Credential::Newcomer => Some(tokens.newcomer.clone()),
            Credential::Eager => Some(tokens.eager.clone()),
            Credential::Forged => Some(tokens.forged.clone()),
        };
        let mut headers: Vec<String> =
            token.iter().map(|token| format!("Authorization: Bearer {token}")).collect();
        headers.extend(example.header.map(str::to_owned));
        if example.body.is_some() {
            headers.push("Content-Type: application/json".to_owned());
        }
        headers
    }
}

impl fmt::Display for Demo {
    /// The examples as lines for a shell.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = Tokens::variables();
        let variables = ["$TOKEN", "$EAGER", "$FORGED"].map(|name| (name.to_owned(), name));
        writeln!(formatter, "  TOKEN=$({})", self.issuer.line(&self.issuer.newcomer))?;
        writeln!(formatter, "  EAGER=$({})", self.issuer.line(&self.issuer.eager))?;
        writeln!(formatter, "  FORGED=$(echo \"$TOKEN\" | {FORGE})")?;
        writeln!(formatter, "  {}", self.gate_function())?;
        for example in &EXAMPLES {
            writeln!(formatter)?;
            writeln!(formatter, "  # {}: {}", example.name, example.expected)?;
            write!(formatter, "  gate")?;
            for argument in self.arguments(example, &tokens) {
                write!(formatter, " {}", quoted(&argument, &variables))?;
            }
            writeln!(formatter)?;
        }
        writeln!(formatter)?;
        writeln!(formatter, "  # {}: {SEALED}", sealed::NAME)?;
        self.sealed.lines().iter().try_for_each(|line| writeln!(formatter, "  {line}"))
    }
}

/// The gate refuses before the body has come, and over HTTP/2 the stream is then reset while curl is still
/// sending: seen now and then, curl ends with an error (exit code 92) in place of the answer.
pub(crate) const HTTP_VERSION: &str = "--http1.1";

/// A request and what becomes of it.
struct Example {
    name: &'static str,
    credential: Credential,
    header: Option<&'static str>,
    body: Option<&'static str>,
    /// Path and query; curl sends `[1-200]` as 200 requests.
    target: &'static str,
    expected: Expected,
}

enum Credential {
    None,
    Newcomer,
    Eager,
    /// The newcomer's token under another signature.
    Forged,
}

struct Expected {
    status: &'static [u16],
    /// What the body must contain.
    body: &'static str,
}

const PREDICT: &str = "/v1/predict";

const EXAMPLES: [Example; 7] = [
    Example {
        name: "a scam is recognised",
        credential: Credential::Newcomer,
        header: None,
        body: Some(
            r#"{"text": "URGENT! You have won a 1000 pound prize. Call 09061701461 now to claim, code KL341. Valid 12 hours only."}"#,
        ),
        target: PREDICT,
        expected: Expected { status: &[200], body: r#""label":"scam""# },
    },
    Example {
        name: "a harmless message is let be",
        credential: Credential::Newcomer,
        header: None,
        body: Some(r#"{"text": "Are we still meeting for lunch tomorrow at noon?"}"#),
        target: PREDICT,
        expected: Expected { status: &[200], body: r#""label":"ham""# },
    },
    Example {
        name: "no token",
        credential: Credential::None,
        header: None,
        body: Some(r#"{"text": "Let me in."}"#),
        target: PREDICT,
        expected: Expected { status: &[401], body: PROBLEM },
    },
    Example {
        name: "a forged token",
        credential: Credential::Forged,
        header: None,
        body: Some(r#"{"text": "Let me in."}"#),
        target: PREDICT,
        expected: Expected { status: &[401], body: PROBLEM },
    },
    Example {
        name: "no token, but an identity of one's own making",
        credential: Credential::None,
        header: Some("Portcullis-Principal: sub=\"root\""),
        body: Some(r#"{"text": "Let me in."}"#),
        target: PREDICT,
        expected: Expected { status: &[401], body: PROBLEM },
    },
    Example {
        name: "a hostile body: two parsers would read two different texts",
        credential: Credential::Newcomer,
        header: None,
        body: Some(r#"{"text": "Hello", "text": "You have won!"}"#),
        target: PREDICT,
        expected: Expected { status: &[400, 422], body: PROBLEM },
    },
    Example {
        name: "too many requests: 200 in a row",
        credential: Credential::Eager,
        header: None,
        body: None,
        target: "/v1/model?[1-200]",
        expected: Expected { status: &[429], body: PROBLEM },
    },
];

/// A refusal says what it is (RFC 9457).
const PROBLEM: &str = "urn:portcullis:problem:";

/// Of the encrypted example, once its answer is decrypted.
const SEALED: Expected = Expected { status: &[200], body: r#""label":"scam""# };

impl Expected {
    fn judge(&self, answer: &Answer) -> bool {
        let compact: String = answer.body.chars().filter(|c| !c.is_whitespace()).collect();
        self.status.contains(&answer.status) && compact.contains(self.body)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status: Vec<String> = self.status.iter().map(u16::to_string).collect();
        let more = if self.body == PROBLEM { "…" } else { "" };
        write!(formatter, "{} {}{more}", status.join(" or "), self.body)
    }
}

/// The last response that curl received.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    /// Takes apart what curl printed: a body, a line break, the status, for each response.
    fn parse(printed: &str) -> Result<Self> {
        let (rest, status) = printed.trim_end().rsplit_once('\n').unwrap_or(("", printed));
        let Ok(status) = status.trim().parse() else {
            bail!("curl printed no status: {printed:?}");
        };
        let is_status = |line: &&str| line.len() == 3 && line.bytes().all(|b| b.is_ascii_digit());
        let body: Vec<&str> = rest.lines().rev().take_while(|line| !is_status(line)).collect();
        let body = body.into_iter().rev().collect::<Vec<_>>().join("\n");
        Ok(Self { status, body })
    }

    fn shown_body(&self) -> String {
        let line: String = self.body.chars().filter(|c| !c.is_control()).take(300).collect();
        line
    }
}

/// The token with its signature's first character exchanged. The last one may hold padding bits, which
/// another check would catch.
fn forged(token: &str) -> String {
    let Some((signed, signature)) = token.rsplit_once('.') else { return String::new() };
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let rest = signature.get(1..).unwrap_or_default();
    format!("{signed}.{first}{rest}")
}

/// An argument as a POSIX shell reads it back, with known values shown as the variables that hold them.
fn quoted(argument: &str, variables: &[(String, &str)]) -> String {
    for (value, variable) in variables {
        if !value.is_empty() && argument.contains(value.as_str()) {
            return format!("\"{}\"", argument.replace(value.as_str(), variable));
        }
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_response_counts() {
        let answer = Answer::parse("{\"a\":1}\n200\n{\"type\":\"x\"}\n429\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (429, "{\"type\":\"x\"}"));
        let answer = Answer::parse("\n401").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (401, ""));
        assert!(Answer::parse("").is_err());
        assert!(Answer::parse("hello").is_err());
    }

    #[test]
    fn only_the_expected_answer_passes() {
        let scam = &EXAMPLES[0].expected;
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        assert!(scam.judge(&answer(200, r#"{ "label": "scam", "score": 0.9 }"#)));
        assert!(!scam.judge(&answer(200, r#"{"label":"ham"}"#)));
        assert!(!scam.judge(&answer(503, r#"{"label":"scam"}"#)));
        let refused = &EXAMPLES[2].expected;
        assert!(!refused.judge(&answer(401, "no problem document")));
        assert!(!refused.judge(&answer(200, "urn:portcullis:problem:x")));
    }

    #[test]
    fn a_forged_token_differs_in_its_signature_alone() {
        assert_eq!(forged("head.claims.Abc"), "head.claims.Bbc");
        assert_eq!(forged("head.claims.xbc"), "head.claims.Abc");
        // The shell's way comes to the same.
        for token in ["head.claims.Abc", "head.claims.xbc", "AA.AA.AA"] {
            let line = format!("echo {token} | {FORGE}");
            let echoed = process::text(Command::new("sh").args(["-c", &line])).unwrap();
            assert_eq!(echoed, forged(token));
        }
    }

    #[test]
    fn arguments_survive_the_shell() {
        let odd = r#"{"text": "it's $HOME `x` "}"#;
        let line = format!("printf %s {}", quoted(odd, &[]));
        let echoed = process::text(Command::new("sh").args(["-c", &line])).unwrap();
        assert_eq!(echoed, odd);
        let token = [("secret".to_owned(), "$TOKEN")];
        assert_eq!(
            quoted("Authorization: Bearer secret", &token),
            "\"Authorization: Bearer $TOKEN\""
        );
    }
}
