//! SVG: a document of a browser's, of which only what draws is let through.
//!
//! What is not on the lists is refused: elements that run, fetch or repeat others (a few nested `use` are a million), handlers
//! of events, references to anything outside. XML without a document type has no entities, and is read by a crate.

use std::ops::Range;

use roxmltree::{Attribute, Document, Node, NodeType, ParsingOptions};

use super::{Canvas, Fault};

const SVG: &str = "http://www.w3.org/2000/svg";
const HTML: &str = "http://www.w3.org/1999/xhtml";
const XLINK: &str = "http://www.w3.org/1999/xlink";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The most elements, texts and comments.
const MAXIMUM_NODES: u32 = 20_000;

/// The most attributes of one element, and namespaces of all. Readers compare each with every other one.
const MAXIMUM_ATTRIBUTES: usize = 200;
const MAXIMUM_NAMESPACES: usize = 50;

/// Elements that draw.
const DRAWN: [&str; 19] = [
    "svg",
    "g",
    "defs",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "title",
    "desc",
    "linearGradient",
    "radialGradient",
    "stop",
    "clipPath",
    "mask",
];

/// What leads out of a style, or hides what does.
const STYLES: [&str; 9] = [
    "\\",
    "@",
    "image(",
    "image-set(",
    "src(",
    "element(",
    "cross-fade(",
    "expression(",
    "script:",
];

/// The picture without comments and what programs keep in it.
pub(super) fn walk(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| "SVG in UTF-8")?;
    check_markup(text)?;
    let options = ParsingOptions { nodes_limit: MAXIMUM_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|_| "well-formed XML without a document type, of at most 20000 nodes")?;
    let root = document.root_element();
    if !root.has_tag_name((SVG, "svg")) {
        return Err("SVG");
    }
    check_size(&root, max_pixels)?;
    let mut extras: Vec<Range<usize>> = Vec::new();
    for node in document.descendants() {
        match node.node_type() {
            NodeType::Root | NodeType::Text => {}
            NodeType::PI => return Err("SVG without processing instructions"),
            NodeType::Comment => {
                // HTML ends comments where XML does not.
                if node.text().is_some_and(|text| text.contains(['<', '>'])) {
                    return Err("comments without angle brackets");
                }
                extras.push(node.range());
            }
            NodeType::Element => check_element(&node, text, &mut extras)?,
        }
    }
    Ok(without(text, extras))
}

/// What is looked for in the text itself, since a reader of XML resolves it.
fn check_markup(text: &str) -> Result<(), Fault> {
    let lower = text.to_ascii_lowercase();
    // The declaration of XML is no instruction. What is in it may say another encoding.
    let head = lower.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>"));
    let rest = match head {
        Some((declaration, rest)) => {
            let encoding = declaration.split_once("encoding");
            let is_utf_8 = |(_, value): (&str, &str)| {
                let value = value.trim_start_matches([' ', '=', '"', '\'']);
                value.starts_with("utf-8\"") || value.starts_with("utf-8'")
            };
            if !encoding.is_none_or(is_utf_8) {
                return Err("SVG in UTF-8");
            }
            rest
        }
        None => lower.as_str(),
    };
    // In a value there is no angle bracket that opens, so between two of them there is one element at most.
    let has_many = |tag: &str| tag.matches('=').count() > MAXIMUM_ATTRIBUTES;
    if text.split('<').any(has_many) || text.matches("xmlns").count() > MAXIMUM_NAMESPACES {
        return Err("at most 200 attributes of an element, and 50 namespaces");
    }
    if rest.matches("<!").count() != rest.matches("<!--").count() || rest.contains("<?") {
        return Err("SVG without a document type, sections and processing instructions");
    }
    Ok(())
}

/// What a browser would make of it, if it says.
fn check_size(root: &Node<'_, '_>, max_pixels: u64) -> Result<(), Fault> {
    let size = |name| match root.attribute(name) {
        None => Ok(None),
        Some(value) if value.ends_with('%') => Ok(None),
        Some(value) => {
            let number = value.trim_end_matches("px").parse::<f64>().ok();
            let number = number.filter(|number| (0.0..1e9).contains(number));
            // In whole pixels, and at least one.
            number.map(|number| Some(number.ceil().max(1.0) as u32)).ok_or("a size in pixels")
        }
    };
    match (size("width")?, size("height")?) {
        (Some(width), Some(height)) => Canvas::new(width, height, max_pixels).map(drop),
        (Some(side), None) | (None, Some(side)) => Canvas::new(side, side, max_pixels).map(drop),
        (None, None) => Ok(()),
    }
}

fn check_element(
    node: &Node<'_, '_>,
    text: &str,
    extras: &mut Vec<Range<usize>>,
) -> Result<(), Fault> {
    let (name, namespace) = (node.tag_name().name(), node.tag_name().namespace());
    match namespace {
        Some(SVG) if DRAWN.contains(&name) => {}
        Some(SVG) if name == "metadata" => extras.push(node.range()),
        Some(SVG) | Some(HTML) | None => return Err("elements of SVG that draw, and no others"),
        // Of drawing programs. Where SVG stands in HTML only the prefix tells them from HTML's own.
        Some(_) => {
            let tag = text.get(node.range()).unwrap_or_default();
            let tag = tag.split([' ', '\t', '\r', '\n', '/', '>']).next().unwrap_or_default();
            if !tag.contains(':') {
                return Err("elements of SVG that draw, and no others");
            }
            extras.push(node.range());
        }
    }
    for attribute in node.attributes() {
        check_attribute(&attribute)?;
        if !matches!(attribute.namespace(), None | Some(XLINK | XML)) {
            extras.push(attribute.range());
        }
    }
    Ok(())
}

fn check_attribute(attribute: &Attribute<'_, '_>) -> Result<(), Fault> {
    let name = attribute.name().to_ascii_lowercase();
    let value = attribute.value().to_ascii_lowercase();
    if name.starts_with("on") {
        return Err("no handlers of events");
    }
    let is_reference = matches!(name.as_str(), "href" | "src" | "base" | "action" | "data");
    if is_reference && !value.starts_with('#') {
        return Err("references to the picture itself, and no others");
    }
    let mut references = value.split("url(").skip(1);
    let is_inside = |rest: &str| {
        let rest = rest.trim_start().trim_start_matches(['"', '\'']);
        rest.starts_with('#')
    };
    if !references.all(is_inside) || STYLES.iter().any(|sign| value.contains(sign)) {
        return Err("styles that need nothing but the picture itself");
    }
    Ok(())
}

/// A text without some of its parts, of which one may lie within another.
fn without(text: &str, mut extras: Vec<Range<usize>>) -> Vec<u8> {
    extras.sort_unstable_by_key(|range| range.start);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for range in extras {
        kept.push_str(text.get(at..range.start).unwrap_or_default());
        at = at.max(range.end);
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    kept.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inner: &str) -> String {
        format!(
            "<svg xmlns=\"{SVG}\" xmlns:xlink=\"{XLINK}\" xmlns:i=\"urn:i\" width=\"9\" height=\"9px\">{inner}</svg>"
        )
    }

    fn walked(text: &str) -> Result<String, Fault> {
        walk(text.as_bytes(), 1000).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_draws_is_let_through() {
        let drawn = of(
            "<defs><linearGradient id=\"a\"><stop offset=\"0\"/></linearGradient></defs>\
            <g fill=\"url(#a)\" style=\"stroke: url('#a')\"><path d=\"M0 0\"/><text xlink:href=\"#a\">a &lt; b</text></g>",
        );
        assert_eq!(walked(&drawn), Ok(drawn.clone()));
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{drawn}");
        assert_eq!(walked(&declared), Ok(declared.clone()));
    }

    #[test]
    fn what_programs_keep_is_taken_out() {
        let loaded = of("<!-- by alice --><metadata><i:x>alice</i:x></metadata>\
            <i:view><i:y/></i:view><g i:file=\"/home/alice\" id=\"a\"/>");
        let plain = walked(&loaded).unwrap();
        assert!(!plain.contains("alice") && plain.contains("<g"), "{plain}");
        assert_eq!(walked(&plain), Ok(plain.clone()));
    }

    #[test]
    fn what_runs_fetches_or_repeats_is_refused() {
        for inner in [
            "<script>alert(1)</script>",
            "<i:view><script>alert(1)</script></i:view>",
            "<metadata><script/></metadata>",
            "<script xmlns=\"urn:i\">alert(1)</script>",
            "<h:script xmlns:h=\"http://www.w3.org/1999/xhtml\"/>",
            "<foreignObject/>",
            "<image href=\"https://a.example/\"/>",
            "<use href=\"#a\"/>",
            "<style>*{}</style>",
            "<animate attributeName=\"href\" to=\"javascript:alert(1)\"/>",
            "<set/>",
            "<a href=\"#a\"/>",
            "<iframe/>",
            "<g onload=\"alert(1)\"/>",
            "<g ONclick=\"alert(1)\"/>",
            "<g i:onload=\"alert(1)\"/>",
            "<text xlink:href=\"javascript:alert(1)\"/>",
            "<text xlink:href=\"&#106;avascript:alert(1)\"/>",
            "<g fill=\"url(https://a.example/#a)\"/>",
            "<g fill=\"URL( '//a.example')\"/>",
            "<g style=\"fill: u\\72l(//a.example)\"/>",
            "<g style=\"@import 'x'\"/>",
            "<g xml:base=\"https://a.example/\"/>",
            "<!-- > <script> -->",
            "<![CDATA[a]]>",
            "<?xml-stylesheet href=\"a\"?>",
            "&a;",
            "<g>",
        ] {
            assert!(walked(&of(inner)).is_err(), "{inner}");
        }
        for text in [
            "<!DOCTYPE svg [<!ENTITY a \"b\">]><svg xmlns=\"http://www.w3.org/2000/svg\">&a;</svg>",
            "<svg/>",
            "<html xmlns=\"http://www.w3.org/1999/xhtml\"/>",
            "<?xml version=\"1.0\" encoding=\"UTF-7\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "<?xml-stylesheet href=\"a\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"/>trailing",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"99\" height=\"99\"/>",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1e300\"/>",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"NaN\"/>",
        ] {
            assert!(walked(text).is_err(), "{text}");
        }
        assert!(walk(b"<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"\xff\"/>", 1000).is_err());
        // What takes the square of its length.
        let many = |one: &dyn Fn(usize) -> String, count| (0..count).map(one).collect::<String>();
        let attributes = |count| of(&format!("<g{}/>", many(&|n| format!(" a{n}=\"\""), count)));
        assert!(walked(&attributes(200)).is_ok());
        assert!(walked(&attributes(201)).is_err());
        let namespaces = many(&|n| format!(" xmlns:a{n}=\"u\""), 50);
        assert!(walked(&of(&format!("<g{namespaces}/>"))).is_err());
    }
}
