//! `portcullis token`: JSON Web Tokens and proofs for them, made, looked at and verified.

use std::io::Read as _;

use portcullis_policy::identity::{MAXIMUM_TOKEN_BYTES, Token};
use serde_json::json;

use super::Failure;
use crate::terminal::for_terminals;

mod mint;
mod private_key;
mod proof;
mod verify;

/// Make, look at and verify JSON Web Tokens, and make proofs for them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Mint(Box<mint::Args>),
    Proof(proof::Args),
    Inspect(InspectArgs),
    Verify(verify::Args),
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// An argument or a file is bad, or the token is not valid.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Mint(args) => args.run(),
            Command::Proof(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Verify(args) => args.run(),
        }
    }
}

/// Show what a token says, without verifying it
#[derive(Debug, clap::Args)]
struct InspectArgs {
    /// The token; by default, or if it is -, it is read from standard input, where other users cannot see it
    token: Option<String>,
}

impl InspectArgs {
    fn run(self) -> Result<(), Failure> {
        let text = token_text(self.token)?;
        let token = Token::parse(&text).map_err(|refusal| {
            let expected = refusal.findings.first().map(|finding| finding.expected.as_str());
            Failure::input(format_args!(
                "{}: expected {}",
                refusal.reason.as_str(),
                expected.unwrap_or("a JSON Web Token")
            ))
        })?;
        eprintln!("NOT VERIFIED: anybody could have written this. See `portcullis token verify`.");
        let shown = json!({ "verified": false, "header": token.header, "claims": token.claims });
        super::print(&for_terminals(format!("{shown:#}\n")))
    }
}

/// The token of an argument, or all of standard input without the line's end.
fn token_text(argument: Option<String>) -> Result<String, Failure> {
    if let Some(token) = argument.filter(|token| token != "-") {
        return Ok(token);
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MAXIMUM_TOKEN_BYTES as u64 + 3)
        .read_to_string(&mut text)
        .map_err(|error| Failure::input(format_args!("standard input: {error}")))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
