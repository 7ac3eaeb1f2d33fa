//! What may be shown on a terminal.

/// Escapes what a terminal takes for a command and JSON does not mind: U+007F to U+009F. In JSON these occur in strings only,
/// where the escape says the same.
pub(crate) fn for_terminals(json: String) -> String {
    let is_command = |character: char| ('\u{7f}'..='\u{9f}').contains(&character);
    if !json.contains(is_command) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match is_command(character) {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => escaped.push(character),
        }
    }
    escaped
}

/// What others wrote, without what a terminal takes for a command or a reader does not see.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_gives_no_commands_and_keeps_its_punctuation() {
        let text = "a \u{1b}[2J\u{202e}é\n§ „x“ 'y' \u{200b}\\";
        assert_eq!(printable(text), r"a \u{1b}[2J\u{202e}é\n§ „x“ 'y' \u{200b}\");
    }

    #[test]
    fn no_terminal_is_told_anything_and_the_meaning_stays() {
        let value = serde_json::json!({ "a\u{9b}2J": "\u{7f}\u{80}\u{9f}\u{1b}[2J é \u{a0}" });
        for json in [value.to_string(), format!("{value:#}")] {
            let shown = for_terminals(json);
            assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
            assert!(shown.contains("a\\u009b2J") && shown.contains('é'), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
        assert_eq!(for_terminals("\"é\"".to_owned()), "\"é\"");
    }
}
