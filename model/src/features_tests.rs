use proptest::prelude::*;

use super::*;
use crate::hash::BUCKETS;

fn whole(text: &str) -> Features {
    extract(text).unwrap().all.remove(0).1
}

fn count(text: &str, kind: View) -> usize {
    extract(text).unwrap().all.iter().filter(|(view, _)| *view == kind).count()
}

#[test]
fn a_plain_short_text_has_one_view() {
    let views = extract("Are we still on for lunch tomorrow?").unwrap();
    assert_eq!(views.all.len(), 1);
    assert_eq!(views.all[0].0, View::Normalised);
}

#[test]
fn a_disguised_text_has_the_views_that_see_through_it() {
    for (text, view) in [
        ("ver\u{200b}ify your account", View::Written),
        ("vеrify your account", View::Written),
        ("v.e.r.i.f.y your account", View::Respelled),
    ] {
        assert_eq!(count(text, view), 1, "{text}");
        let all = extract(text).unwrap().all;
        let plain = whole("verify your account");
        assert!(all.iter().any(|(kind, features)| *kind != View::Written && *features == plain));
    }
}

#[test]
fn a_short_text_has_no_windows_and_a_long_one_is_covered() {
    assert_eq!(count("hello", View::Window), 0);
    let long = format!("{}claim your prize{}", "word ".repeat(300), " word".repeat(300));
    assert!(count(&long, View::Window) > 20);
    let prize = whole("claim your prize").ids;
    let views = extract(&long).unwrap().all;
    let best = views
        .iter()
        .filter(|(view, _)| *view == View::Window)
        .map(|(_, window)| prize.iter().filter(|id| window.ids.contains(id)).count())
        .max();
    // All but those of the beginning and the end.
    assert!(best.unwrap() * 10 > prize.len() * 7, "{best:?} of {}", prize.len());
}

#[test]
fn an_empty_text_has_features() {
    for text in ["", " ", "\u{200b}\u{200b}", "\u{0}"] {
        assert!(!whole(text).ids.is_empty());
    }
}

#[test]
fn too_long_is_refused_not_cut() {
    assert_eq!(extract(&"a".repeat(MAX_CHARACTERS + 1)), Err(TextTooLong));
    assert!(extract(&"a".repeat(MAX_CHARACTERS)).is_ok());
}

#[test]
fn findings_are_those_of_the_view() {
    let text = format!("v\u{200b}erify y.o.u.r account {}", "and more of it ".repeat(30));
    let views = extract(&text).unwrap();
    let spellings = Spellings::of(&text).unwrap();
    for (index, (view, features)) in views.all.iter().enumerate() {
        let (spelling, findings) = spellings.findings(index, *view);
        assert!(findings.iter().all(|(id, _)| features.ids.contains(id)), "{view:?}");
        assert!(findings.iter().all(|(_, place)| place.end <= spelling.text().len()));
        let mut found: Vec<u32> = findings.iter().map(|(id, _)| *id).collect();
        found.sort_unstable();
        found.dedup();
        // All but those that have no place, as the length.
        assert!(found.len() + 4 >= features.ids.len(), "{view:?}");
    }
}

proptest! {
    #[test]
    fn any_text_gives_bounded_distinct_ids(text in "\\PC{0,400}|[\\x00-\\u{10ffff}]{0,200}") {
        let Ok(views) = extract(&text) else { return Ok(()) };
        for (_, features) in &views.all {
            prop_assert_eq!(features.ids.len(), features.values.len());
            prop_assert!(features.ids.iter().all(|&id| (id as usize) < BUCKETS));
            prop_assert!(features.values.iter().all(|value| value.is_finite()));
            let mut sorted = features.ids.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), features.ids.len());
        }
    }

    #[test]
    fn invisible_characters_change_nothing(
        text in "[ -~]{0,200}",
        places in prop::collection::vec((0..200_usize, 0..6_usize), 0..40),
    ) {
        let mut disguised: Vec<char> = text.chars().collect();
        for (place, which) in places {
            let hidden = ['\u{200b}', '\u{ad}', '\u{2060}', '\u{301}', '\u{fe0f}', '\u{e0041}'];
            disguised.insert(place.min(disguised.len()), hidden[which]);
        }
        let disguised: String = disguised.into_iter().collect();
        prop_assert_eq!(whole(&disguised), whole(&text));
    }

    #[test]
    fn width_and_case_change_nothing(text in "[ -~]{0,200}") {
        let wide: String = text
            .chars()
            .map(|character| match character {
                '!'..='~' => char::from_u32(u32::from(character) + 0xfee0).unwrap(),
                other => other,
            })
            .collect();
        prop_assert_eq!(whole(&wide), whole(&text));
        prop_assert_eq!(whole(&text.to_ascii_uppercase()), whole(&text));
    }
}
