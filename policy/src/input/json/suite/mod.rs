//! The public JSON parsing suite (README.md beside this file).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{JsonError, JsonLimits, check, parse};
use serde_json::Value;

const LIMITS: JsonLimits = JsonLimits { max_depth: 100, max_values: 10_000 };

/// RFC 8259 §4 lets an object have a name twice and says that readers then differ. That is the attack.
const READ_IN_TWO_WAYS: [&str; 2] =
    ["y_object_duplicated_key", "y_object_duplicated_key_and_value"];

/// Of what the suite leaves open, what is read: numbers, with less precision than they are written.
const READ: [&str; 5] = [
    "i_number_double_huge_neg_exp",
    "i_number_real_underflow",
    "i_number_too_big_neg_int",
    "i_number_too_big_pos_int",
    "i_number_very_big_negative_int",
];

#[test]
fn every_case_is_read_or_refused_as_the_suite_says() {
    let (mut read, mut refused, mut open) = (0, 0, Vec::new());
    for line in include_str!("cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap().to_owned();
        let result = parse(&text(&case), LIMITS);
        let checked = check(&text(&case), LIMITS).map_err(|misread| misread.error);
        assert_eq!(checked, result.clone().map(drop), "{name}");
        match name.split_once('_').unwrap().0 {
            "y" => {
                read += 1;
                match READ_IN_TWO_WAYS.contains(&name.as_str()) {
                    true => assert_eq!(result, Err(JsonError::DuplicateMember), "{name}"),
                    false => assert!(result.is_ok(), "{name}: {result:?}"),
                }
            }
            "n" => {
                refused += 1;
                assert!(result.is_err(), "{name}");
            }
            _ if result.is_ok() => open.push(name),
            _ => {}
        }
    }
    assert_eq!((read, refused), (95, 188));
    assert_eq!(open, READ);
}

fn text(case: &Value) -> Vec<u8> {
    if let Some(encoded) = case["base64"].as_str() {
        return STANDARD.decode(encoded).unwrap();
    }
    if let Some(part) = case["repeat"].as_str() {
        let times = usize::try_from(case["times"].as_u64().unwrap()).unwrap();
        return (part.repeat(times) + case["then"].as_str().unwrap_or_default()).into_bytes();
    }
    case["text"].as_str().unwrap().into()
}
