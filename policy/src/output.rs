//! The output stage: what may leave.

use crate::access::{Header, is_reserved};
use crate::document::{Document, InputSection, OpenApiSource, ResponseSchema};
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;

/// In a response of the upstream's: what it has noticed of the request, a list of tokens. For the audit record; it goes
/// no further, since nothing that Portcullis reserves comes back out.
const SIGNALS: &str = "portcullis-signals";
/// The most signals of one response, and the longest of them, in bytes.
const MAXIMUM_SIGNALS: usize = 8;
const MAXIMUM_SIGNAL_BYTES: usize = 48;

/// What the upstream has noticed. Whatever is no plain token is left out: it would stand in every record.
pub(crate) fn signals(headers: &[Header<'_>]) -> Vec<String> {
    let mut signals: Vec<String> = Vec::new();
    let lines = headers.iter().filter(|(name, _)| *name == SIGNALS);
    for token in lines.flat_map(|(_, value)| value.split(|byte| *byte == b',')) {
        let token = token.trim_ascii();
        let is_token = (1..=MAXIMUM_SIGNAL_BYTES).contains(&token.len())
            && token.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if let (true, Ok(token)) = (is_token, std::str::from_utf8(token))
            && signals.len() < MAXIMUM_SIGNALS
            && !signals.iter().any(|signal| signal == token)
        {
            signals.push(token.to_owned());
        }
    }
    signals
}

/// Fields that say how a message comes, which whoever sends it knows.
const FRAMING: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A compiled `output` section.
#[derive(Debug, Clone)]
pub(crate) struct OutputRules {
    /// The longest body of a response to a request for which there is no route.
    pub(crate) max_body_bytes: Option<u64>,
    remove: Vec<String>,
    set: Vec<(String, String)>,
}

/// The length to which a response's body may grow, as it comes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyCap {
    left: u64,
    is_over: bool,
}

impl BodyCap {
    /// The longest body that a section allows, where it says so. `field` is the section's place in the document.
    pub(crate) fn compile(bytes: Option<u64>, field: &str) -> Result<Option<u64>, CompileError> {
        match bytes {
            Some(0) => {
                let field = format!("{field}.max_body_bytes");
                Err(CompileError::new(field, "expected at least 1: without it there is no cap"))
            }
            bytes => Ok(bytes),
        }
    }

    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: bytes, is_over: false }
    }

    /// What of the next part still fits.
    pub(crate) fn take<'p>(&mut self, part: &'p [u8]) -> &'p [u8] {
        if self.is_over {
            return &[];
        }
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        if let Some(left) = self.left.checked_sub(length) {
            self.left = left;
            return part;
        }
        self.is_over = true;
        // It is less than the part has, which is in memory.
        part.get(..usize::try_from(self.left).unwrap_or_default()).unwrap_or_default()
    }

    /// Lets nothing more by.
    pub(crate) fn close(&mut self) {
        self.is_over = true;
    }

    /// Whether there was more than may be.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

impl OutputRules {
    pub(crate) fn compile(document: &Document) -> Result<Self, CompileError> {
        let section = &document.output;
        let describes =
            |input: &InputSection| !matches!(input.openapi, None | Some(OpenApiSource::None));
        let mut inputs = document.routes.iter().map(|route| &route.input).chain([&document.input]);
        if section.schema == Some(ResponseSchema::Openapi) && !inputs.any(describes) {
            let message = "expected a document under `input.openapi`: there is none that would say \
                           what responses are";
            return Err(CompileError::new("output.schema", message));
        }
        let is_name = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !name.is_empty() && name.bytes().all(plain)
        };
        let expected = "expected a field name of letters, digits and hyphens";
        for (index, name) in section.remove_headers.iter().enumerate() {
            if !is_name(name) {
                return Err(CompileError::new(format!("output.remove_headers[{index}]"), expected));
            }
        }
        for (name, value) in &section.set_headers {
            let field = format!("output.set_headers.{name}");
            if !is_name(name) {
                return Err(CompileError::new(field, expected));
            }
            if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                let message = "expected no field that says how long a response is, how it is \
                               encoded or what becomes of the connection";
                return Err(CompileError::new(field, message));
            }
            if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                return Err(CompileError::new(
                    field,
                    "expected visible ASCII characters and spaces",
                ));
            }
        }
        let lower = |name: &String| name.to_ascii_lowercase();
        Ok(Self {
            max_body_bytes: BodyCap::compile(section.max_body_bytes, "output")?,
            remove: section.remove_headers.iter().map(lower).collect(),
            set: section
                .set_headers
                .iter()
                .map(|(name, value)| (lower(name), value.clone()))
                .collect(),
        })
    }

    /// What to change in the header section of a response. The fields that Portcullis sets towards the upstream
    /// never come back out.
    pub(crate) fn edits(&self, headers: &[Header<'_>]) -> Vec<HeaderEdit> {
        let is_removed =
            |name: &str| self.remove.iter().any(|removed| removed == name) || is_reserved(name);
        let mut edits: Vec<HeaderEdit> = Vec::new();
        for (name, _) in headers {
            let removal = HeaderEdit::Remove((*name).to_owned());
            if is_removed(name) && !edits.contains(&removal) {
                edits.push(removal);
            }
        }
        edits.extend(
            self.set.iter().map(|(name, value)| HeaderEdit::Set(name.clone(), value.clone())),
        );
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(output: serde_json::Value, input: serde_json::Value) -> Option<String> {
        let document =
            serde_json::json!({"version": 1, "output": output, "input": input, "routes": []});
        let document = Document::from_json("p", &document.to_string()).unwrap();
        OutputRules::compile(&document).err().map(|error| error.field)
    }

    #[test]
    fn what_says_how_a_message_comes_is_not_set() {
        let set = |name: &str| {
            error(serde_json::json!({"set_headers": {name: "1"}}), serde_json::json!({}))
        };
        for name in ["content-length", "Transfer-Encoding", "connection", "upgrade"] {
            assert_eq!(set(name), Some(format!("output.set_headers.{name}")));
        }
        assert_eq!(set("x-content-type-options"), None);
    }

    #[test]
    fn responses_are_described_where_they_are_to_be_compared() {
        use serde_json::json;

        let schema = json!({"schema": "openapi"});
        assert_eq!(error(schema.clone(), json!({})), Some("output.schema".to_owned()));
        assert_eq!(
            error(schema.clone(), json!({"openapi": "none"})),
            Some("output.schema".to_owned())
        );
        assert_eq!(error(schema, json!({"openapi": {"file": "a.yaml"}})), None);
    }

    #[test]
    fn signals_are_tokens_and_few() {
        let headers: [Header<'_>; 5] = [
            ("portcullis-signals", b"look-alikes, buried-in-text"),
            ("portcullis-signals", b"look-alikes,,\"quoted\", Upper, a b, \xff"),
            ("x-signals", b"other"),
            ("portcullis-signals", &[b'a'; 49]),
            ("portcullis-signals", b"1,2,3,4,5,6,7,8,9"),
        ];
        let found = signals(&headers);
        assert_eq!(found.len(), MAXIMUM_SIGNALS);
        assert_eq!(found[..3], ["look-alikes", "buried-in-text", "1"]);
        assert!(signals(&[]).is_empty());
    }

    #[test]
    fn a_body_is_cut_where_it_grows_too_long() {
        let mut cap = BodyCap::new(5);
        assert_eq!(
            (cap.take(b"abc"), cap.take(b"de"), cap.is_over()),
            (&b"abc"[..], &b"de"[..], false)
        );
        assert_eq!((cap.take(b""), cap.is_over()), (&b""[..], false));
        assert_eq!((cap.take(b"f"), cap.is_over()), (&b""[..], true));
        let mut cap = BodyCap::new(5);
        assert_eq!(
            (cap.take(b"abcdef"), cap.take(b"g"), cap.is_over()),
            (&b"abcde"[..], &b""[..], true)
        );
    }
}
