//! A YAML document with gaps, and what fills them.
//!
//! The documents are files beside this one that a reviewer reads as the YAML they become. Two kinds of gaps:
//! `${name}` is a value, `#{name}` alone on a line is a section, indented as that line is. Every value is written as
//! JSON, which YAML reads as it is, so that no value can become structure.

use std::collections::BTreeMap;

use serde_json::Value;

/// What fills the gaps of a document.
#[derive(Debug, Default)]
pub(super) struct Template {
    values: BTreeMap<&'static str, Value>,
    sections: BTreeMap<&'static str, String>,
}

impl Template {
    /// Sets the value of `${name}`.
    pub(super) fn value(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        self.values.insert(name, value.into());
        self
    }

    /// Sets the section `#{name}`; it may have gaps itself. An empty one leaves no line.
    pub(super) fn section(&mut self, name: &'static str, text: impl Into<String>) -> &mut Self {
        self.sections.insert(name, text.into());
        self
    }

    /// Sets the section `#{name}` to a text that is not YAML, to stand in a literal block scalar.
    pub(super) fn literal(&mut self, name: &'static str, text: &str) -> &mut Self {
        // A gap in it would be filled: there is none after this.
        self.section(name, text.replace("${", "$\u{0}{").replace("#{", "#\u{0}{"))
    }

    /// The document.
    ///
    /// # Panics
    ///
    /// A gap is left: a mistake in this crate, which its tests find.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        self.fill_into(&mut filled, text, "");
        filled.replace('\u{0}', "")
    }

    fn fill_into(&self, filled: &mut String, text: &str, indent: &str) {
        for line in text.lines() {
            let trimmed = line.trim_start();
            let section = trimmed.strip_prefix("#{").and_then(|rest| rest.strip_suffix('}'));
            if let Some(name) = section {
                let Some(section) = self.sections.get(name) else { panic!("no section {name}") };
                let inner = &line[..line.len() - trimmed.len()];
                self.fill_into(filled, section, &format!("{indent}{inner}"));
                continue;
            }
            if !line.is_empty() {
                filled.push_str(indent);
            }
            self.fill_line(filled, line);
            filled.push('\n');
        }
    }

    fn fill_line(&self, filled: &mut String, line: &str) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { panic!("no end: {line}") };
            let Some(value) = self.values.get(name) else { panic!("no value {name}") };
            filled.push_str(before);
            filled.push_str(&value.to_string());
            rest = after;
        }
        filled.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_structure() {
        let mut template = Template::default();
        template.value("path", "a\nadmin: { x: \"#{evil}\" } # ${port}").value("port", 1);
        template.section("inner", "path: ${path}\n\nport: ${port}").section("none", "");
        let filled = template.fill("outer:\n  #{inner}\n  #{none}\nlast: 1");
        let expected = "outer:\n  path: \"a\\nadmin: { x: \\\"#{evil}\\\" } # ${port}\"\n\n  port: 1\nlast: 1\n";
        assert_eq!(filled, expected);
    }

    #[test]
    fn a_literal_text_has_no_gaps() {
        let mut template = Template::default();
        template.literal("text", "{\n\"a\": \"${path}\"\n#{inner}\n}");
        assert_eq!(
            template.fill("|\n  #{text}"),
            "|\n  {\n  \"a\": \"${path}\"\n  #{inner}\n  }\n"
        );
    }
}
