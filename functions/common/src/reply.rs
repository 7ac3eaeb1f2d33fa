//! What is answered.

use serde::Serialize;

use crate::{Problem, UNAVAILABLE};

/// A response without anything of Spin.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status (RFC 9110 §15).
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Reply {
    /// One that is not to be stored: an answer is about one caller's request.
    pub fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Self { status, headers, body }
    }

    /// A good answer in JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|_| UNAVAILABLE)?;
        Ok(Self::new(200, "application/json", body))
    }

    /// With a field in place of any of that name.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value));
        self
    }
}
