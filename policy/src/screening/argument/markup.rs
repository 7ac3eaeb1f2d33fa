//! XML that reads files, and directives that servers carry out in what they send.

use super::super::Kind;
use super::findings::{Findings, Found};
use super::lexicon::DIRECTIVE;
use super::tokens::{DASHES, Token, Tokens, WORD};

/// Looks at the angle bracket at `index`.
pub(super) fn look(tokens: &Tokens<'_>, index: usize, token: Token, findings: &mut Findings) {
    let next = tokens.at(index + 1);
    if next.is(b'!') {
        let word = tokens.at(index + 2);
        if let Some((rule, score)) = declaration(tokens, index + 2) {
            findings.add(Kind::Xxe, rule, score, token, word);
        }
        if word.is(DASHES) {
            // `<!--#exec cmd=`, with blanks before the number sign in some servers.
            let name = tokens.at(index + 4);
            if tokens.at(index + 3).is(b'#') && name.is(WORD) {
                let score = if name.has(DIRECTIVE) { 0.9 } else { 0.4 };
                findings.add(Kind::ServerSideInclude, "directive", score, token, name);
            }
        }
        return;
    }
    let prefix = tokens.word(next);
    let is_prefixed = tokens.at(index + 2).is_glued(b':');
    let name = tokens.word(tokens.at(index + 3));
    if prefix == b"esi" && is_prefixed {
        findings.add(
            Kind::ServerSideInclude,
            "edge_side_include",
            0.8,
            token,
            tokens.at(index + 3),
        );
    }
    if matches!(prefix, b"xi" | b"xinclude") && is_prefixed && name == b"include" {
        findings.add(Kind::Xxe, "xinclude", 0.8, token, tokens.at(index + 3));
    }
    if matches!(prefix, b"xsl" | b"xslt") && is_prefixed {
        findings.add(Kind::Xxe, "stylesheet", 0.5, token, tokens.at(index + 3));
    }
}

/// `<!ENTITY`, `<!DOCTYPE name SYSTEM`, `<!DOCTYPE name [`, `<![CDATA[`.
fn declaration(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let token = tokens.at(index);
    match tokens.word(token) {
        b"entity" => Some(("entity", 0.9)),
        b"element" | b"attlist" | b"notation" => Some(("definition", 0.6)),
        b"doctype" => {
            let after = tokens.at(index + 2);
            let is_external = after.is(b'[')
                || tokens.is_word(index + 2, "system")
                || tokens.is_word(index + 2, "public") && !tokens.is_word(index + 1, "html");
            Some(("doctype", if is_external { 0.8 } else { 0.3 }))
        }
        _ if token.is(b'[') && tokens.is_word(index + 1, "cdata") => {
            // Markup taken apart so that it is not seen.
            let inside = tokens.at(index + 3);
            let is_markup = inside.is(b'<') || inside.is_quote();
            Some(("cdata", if is_markup { 0.5 } else { 0.2 }))
        }
        _ => None,
    }
}
