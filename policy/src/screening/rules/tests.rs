use super::*;
use crate::document::{FilesSection, Handling, TextSection};

fn screening(section: ScreeningSection) -> Screening {
    let section = InputSection { screening: Some(section), ..InputSection::default() };
    Screening::compile(&section, None, "input").unwrap()
}

#[test]
fn places_are_those_of_the_text_as_it_was_given() {
    let screening = screening(ScreeningSection::default());
    let plain = "é <script>alert(1)</script>";
    let hidden = plain.replace("cri", "c\u{200B}ri\u{FEFF}");
    let ends = |text: &str| {
        let screened = screening.screen(Profile::Argument, text, &Owner::nobody()).unwrap();
        let found = screened.found.into_iter().find(|found| found.detection.kind == Kind::Xss);
        text.get(found.unwrap().detection.range).unwrap().to_owned()
    };
    assert_eq!(ends(&hidden).replace(['\u{200B}', '\u{FEFF}'], ""), ends(plain));
    assert_eq!(place_in("\u{200B}a\u{200B}b\u{200B}", "ab", &(0..1)), 3..4);
    assert_eq!(place_in("\u{200B}a\u{200B}b\u{200B}", "ab", &(1..2)), 7..8);
    assert_eq!(place_in("\u{200B}a\u{200B}b\u{200B}", "ab", &(0..2)), 3..8);
}

#[test]
fn a_policy_says_what_comes_of_it() {
    let attack = "1' OR '1'='1";
    for (reaction, decision) in [
        (None, Decision::Deny),
        (Some(Reaction::Refuse), Decision::Deny),
        (Some(Reaction::Flag), Decision::Flag),
        (Some(Reaction::Allow), Decision::Allow),
    ] {
        let section = ScreeningSection { attacks: reaction, ..ScreeningSection::default() };
        let nobody = Owner::nobody();
        let screened = screening(section).screen(Profile::Argument, attack, &nobody).unwrap();
        assert_eq!(screened.decision(), decision, "{reaction:?}");
    }
    let prose = screening(ScreeningSection::default());
    let prose = prose.screen(Profile::Prompt, attack, &Owner::nobody()).unwrap();
    assert!(prose.found.iter().all(|found| !found.detection.kind.is_attack()));
}

#[test]
fn what_is_taken_out_between_words_joins_no_attack() {
    let text = TextSection { control: Handling::Strip, ..TextSection::default() };
    let section = InputSection {
        screening: Some(ScreeningSection::default()),
        text: Some(text),
        ..InputSection::default()
    };
    let screening = Screening::compile(&section, None, "input").unwrap();
    let screen = |profile, text: &str| screening.screen(profile, text, &Owner::nobody()).unwrap();
    let attack = "1\0UNION\0SELECT\0password--";
    let screened = screen(Profile::Argument, attack);
    assert_eq!(screened.decision(), Decision::Deny, "{screened:?}");
    let range = screened.found[0].detection.range.clone();
    assert!(attack.get(range.clone()).is_some_and(|part| part.contains('U')), "{range:?}");
    // What is joined by it is found as before, and ordinary text goes on without it.
    assert_eq!(screen(Profile::Argument, "<scr\0ipt>alert(1)</script>").decision(), Decision::Deny);
    let screened = screen(Profile::Argument, "a\0b \u{200b}c");
    assert_eq!(screened, Screened { rewritten: Some("ab c".to_owned()), ..Default::default() });
}

#[test]
fn harmful_text_is_refused_where_files_are_looked_at() {
    let virus = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
    let text = format!("é {}", virus.concat());
    for (files, decision) in
        [(Some(FilesSection::default()), Decision::Deny), (None, Decision::Allow)]
    {
        let section = InputSection { files, ..InputSection::default() };
        let screening = Screening::compile(&section, None, "input").unwrap();
        for profile in [Profile::Prompt, Profile::Argument, Profile::Name] {
            let screened = screening.screen(profile, &text, &Owner::nobody()).unwrap();
            assert_eq!(screened.decision(), decision);
            let ranges = screened.found.into_iter().map(|found| found.detection.range);
            assert!(ranges.into_iter().all(|range| range == (3..text.len())));
        }
    }
}
