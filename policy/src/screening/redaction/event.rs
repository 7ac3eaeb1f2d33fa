//! What the common interfaces say in an event, and how they say it.

use serde_json::Value;

use super::text::Hold;

/// How much of an event's strings waits for what follows.
pub(super) fn hold(event: &Value, is_over: bool, has_pieces: bool) -> Hold {
    // A request or the answer to one (JSON-RPC 2.0) is a whole message, and somebody waits for it.
    let is_awaited = || {
        let id = event.get("id").filter(|id| !id.is_null());
        id.is_some() && event.get("jsonrpc").is_some()
    };
    match (is_over || is_awaited(), has_pieces) {
        (true, _) => Hold::Nothing,
        // Its text is elsewhere.
        (false, true) => Hold::Suspicious,
        (false, false) => Hold::Word,
    }
}

/// Whether a member of this name says what something is, and not what somebody says.
pub(super) fn is_label(name: &str) -> bool {
    const LABELS: [&str; 47] = [
        "agent",
        "at",
        "author",
        "channel",
        "created",
        "cursor",
        "date",
        "encoding",
        "etag",
        "event",
        "fingerprint",
        "format",
        "id",
        "ids",
        "index",
        "jsonrpc",
        "kind",
        "lang",
        "language",
        "level",
        "locale",
        "logger",
        "method",
        "mime",
        "model",
        "name",
        "node",
        "object",
        "obfuscation",
        "op",
        "phase",
        "provider",
        "reason",
        "region",
        "role",
        "sender",
        "seq",
        "sequence",
        "signature",
        "state",
        "status",
        "tier",
        "time",
        "timestamp",
        "type",
        "user",
        "version",
    ];
    // The last word of it, as in `call_id`, `createdAt` and `stop_reason`.
    let is_upper = |c: char| c.is_ascii_uppercase();
    let snake = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    let camel = snake.rfind(is_upper).and_then(|start| snake.get(start..)).unwrap_or_default();
    let is_one = |word: &str| LABELS.iter().any(|label| word.eq_ignore_ascii_case(label));
    is_one(snake) || is_one(camel)
}

/// Whether a string is a decimal number or begins with a date (RFC 3339): all of it, and no piece of one.
pub(super) fn is_quantity(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let decimal = text.strip_prefix(['-', '+']).unwrap_or(text).split_once('.');
    let is_decimal = decimal.is_some_and(|(whole, part)| is_digits(whole) && is_digits(part));
    let mut date = text.get(..10).unwrap_or_default().split('-');
    let mut has = |length| date.next().is_some_and(|it| it.len() == length && is_digits(it));
    is_decimal || has(4) && has(2) && has(2)
}

/// An event that is sent once more must not say again which tool is called: clients append names as they do arguments.
pub(super) fn forget_call(event: &mut Value, pointer: &str) {
    let Some(function) = pointer.strip_suffix("/arguments") else { return };
    if let Some(Value::Object(function)) = event.pointer_mut(function) {
        function.remove("name");
    }
    let call = function.strip_suffix("/function").and_then(|call| event.pointer_mut(call));
    if let Some(Value::Object(call)) = call {
        call.remove("id");
        call.remove("type");
    }
}

/// Whether a text ends with this event, as the common interfaces say it.
pub(super) fn is_last(event: &Value) -> bool {
    let finished = ["/choices/0/finish_reason", "/candidates/0/finishReason", "/delta/stop_reason"];
    let is_finished = finished
        .iter()
        .any(|pointer| event.pointer(pointer).is_some_and(|reason| !reason.is_null()));
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_end = ["_stop", ".done", ".completed"].iter().any(|end| kind.ends_with(end));
    is_finished || is_end || event.get("done") == Some(&Value::Bool(true))
}
