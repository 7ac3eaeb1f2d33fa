use proptest::prelude::*;

use super::denials;

/// What people and programs send, and what looks like an attack only at first sight.
const HARMLESS: &[&str] = &[
    // Names and prose.
    "O'Brien",
    "D'Angelo & Sons",
    "rock 'n' roll",
    "SELECT a book to read",
    "Select one from the list",
    "union of workers",
    "The European Union selected three members",
    "drop me a line",
    "a; b",
    "red; cat and dog; find more",
    "Tom & Jerry",
    "bread && butter",
    "this or that = fine",
    "she said \"yes\" and \"no\"",
    "\"Sweater dress\" and \"christmas\"",
    "order by phone",
    "group by age, please",
    "I'd like 2 or 3 of them",
    "5' 11\" tall",
    "4'x6' rug",
    "it's -- well -- complicated",
    "item #5",
    "#hashtag",
    "sleep well",
    "sleep(8 hours)",
    "sleep (20 minutes)",
    "who is there?",
    "Is 3 < 5 and 7 > 2?",
    "if x = 2 and y = 5, what is x + y?",
    "the tables, users and roles",
    "JavaScript: The Good Parts",
    "online=yes",
    "once = 1",
    "C++ or C#",
    "50% off, 20% more",
    "AT&T",
    "R&D;",
    "don't; can't",
    "wait... what?",
    "and/or",
    "true",
    "null",
    "'",
    "--",
    "drop table",
    "cat",
    "id",
    "select",
    // Programs.
    "C:\\Users\\x",
    "C:\\Users\\Anna\\Documents\\report.docx",
    "/api/v1/users/42",
    "images/photo.png",
    "./run",
    "https://example.com/a?b=c",
    "https://example.com/search?q=a&lang=en#top",
    "http://example.com:8080/x/y.html?z=1&w=2",
    "/login?next=https://example.com/home",
    "logo=https://example.com/a.jpg",
    "see https://example.com/a.txt, or is it b?",
    "mailto:a@example.com",
    "user@example.com",
    "2024-05-01T10:00:00Z",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "1,234.50",
    "-17.5e-3",
    "{{name}}",
    "Dear {{ customer.first_name }}, welcome",
    "${name}",
    "${user.home}",
    "$5.00 (five dollars)",
    "{\"a\": [1, 2, {\"b\": null}]}",
    "a < b",
    "x <- y",
    "<b>bold</b> and <i>italic</i>",
    "<a href=\"https://example.com/\">link</a>",
    "Content-Type: text/plain",
    "line one\nline two\r\nline three",
    "the `id` field and the `name` field",
    "f(x) = (a)(b)",
    "(1 + 2) * 3 - 4 / 5",
    "std::vector<int>",
    "Map<String, List<Integer>>",
    "a && b || c",
    "key=value; other=value",
    "text/html; charset=utf-8",
    "a|b|c",
    "| Date | Type | Time |",
    "Name | Age | Team",
    "Date: 1 May; Time: 10:00; Host: Anna",
    "10.0.0.1",
    "Version 1.2.3-beta+build",
    "dGVzdCBzdHJpbmc=",
    "SGVsbG8gd29ybGQ",
    "%d items, %s left",
    "100%25",
    "caf%C3%A9",
    "Привет, мир; как дела?",
    "日本語のテキスト（例）",
    "¿Qué? «sí»",
    "l'été d'un poète",
    "👍🏽 ok",
    "Size: 8\"x11\"",
    "1'000'000",
    "see [1] and [2]",
    "user.name@host, other@host",
    "Bob (bob@example.com)",
    "foo(bar)",
    "print(\"hello\")",
    "int main(void) { return 0; }",
];

#[test]
fn harmless_texts_are_let_through() {
    let refused: Vec<_> = HARMLESS
        .iter()
        .map(|text| (text, denials(text)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn escaped_markup_is_not_hidden_markup() {
    for text in ["&lt;", "1 &lt; 2", "&#60;", "&amp;", "&#x3c;b&#x3e;"] {
        assert!(denials(text).is_empty(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn words_and_numbers_are_let_through(text in "([A-Z]?[b-z]{2,9}|[0-9]{1,4})([ ,.]{1,2}[a-z]{7,12}){0,8}[.?!]?") {
        prop_assert!(denials(&text).is_empty(), "{:?}", denials(&text));
    }
}
