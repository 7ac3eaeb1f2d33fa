use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    normalise(text, 10_000).unwrap().canonical.text().to_owned()
}

#[test]
fn disguises_come_out_as_what_they_imitate() {
    for disguised in [
        "Verify your PayPal account",
        "Ｖｅｒｉｆｙ ｙｏｕｒ ＰａｙＰａｌ ａｃｃｏｕｎｔ",
        "V\u{200b}erify yo\u{ad}ur Pay\u{2060}Pal acc\u{feff}ount",
        "V\u{fe0f}erify yo\u{e0061}ur Pay\u{e0101}Pal acc\u{180e}ount",
        "V\u{301}e\u{308}r\u{336}ify your PayPal account",
        "V\u{20dd}érìfÿ ýöûr PáyPäl àççōūñť",
        "Vеrify yоur PаyPаl aссоunt",
        "𝐕𝐞𝐫𝐢𝐟𝐲 𝓎𝑜𝓊𝓇 𝙿𝚊𝚢𝙿𝚊𝚕 ⓐⓒⓒⓞⓤⓝⓣ",
        "Verify\u{3000}your\tPayPal\r\n account\u{0}",
        "🅥🅔🅡🅘🅕🅨 your 🅿🅰🆈🅿🅰🅻 account",
        "ᴠᴇʀɪꜰʏ ⒴⒪⒰⒭ PayPal account",
    ] {
        assert_eq!(canonical(disguised), "verify your paypal account", "{disguised}");
    }
}

#[test]
fn genuine_other_scripts_stay() {
    assert_eq!(canonical("Привет, как дела?"), "привет, как дела?");
    assert_eq!(canonical("Καλημέρα φίλε"), "καλημερα φιλε");
    assert_eq!(canonical("漢字とカナ"), "漢字とカナ");
    assert_eq!(canonical("안녕하세요"), "안녕하세요");
    assert_eq!(canonical("\u{1112}\u{1161}\u{11ab}"), "한");
}

#[test]
fn genuine_texts_are_written_as_they_are() {
    for text in [
        "Grüße aus Köln, ça va? Où êtes-vous?",
        "Tôi muốn đặt một chuyến bay đến Hà Nội",
        "e\u{301}te\u{301}",
        "Привет, как дела? Ёлка",
        "می\u{200c}خواهم",
        "क्ष\u{200d} नमस्ते",
        "See you ❤\u{fe0f} 👨\u{200d}👩\u{200d}👧",
        "안녕하세요",
        "\u{feff}Hello\u{a0}there… “so”, 5 €",
    ] {
        assert_eq!(normalise(text, 1_000).unwrap().written, None, "{text}");
    }
    for text in ["ver\u{200b}ify", "v\u{336}erify", "ｖｅｒｉｆｙ", "vеrify"] {
        let normalised = normalise(text, 1_000).unwrap();
        assert!(normalised.written.is_some(), "{text}");
        assert!(normalised.invisible + normalised.look_alikes > 0, "{text}");
    }
}

#[test]
fn a_decomposition_bomb_is_refused_at_the_limit() {
    // U+FDFA becomes 18 characters.
    assert_eq!(normalise(&"\u{fdfa}".repeat(100), 1_000), None);
    assert!(normalise(&"\u{fdfa}".repeat(50), 1_000).is_some());
}

#[test]
fn every_character_of_the_result_leads_back_to_the_text() {
    let text = "  Ｖ\u{200b}е\u{301}ʀify\u{3000}ﬁne 한 ";
    let given: Vec<char> = text.chars().collect();
    let normalised = normalise(text, 1_000).unwrap().canonical;
    assert_eq!(normalised.text(), "verify fine 한");
    let origins: String = normalised
        .text()
        .char_indices()
        .map(|(at, _)| given[normalised.origin(at).unwrap() as usize])
        .collect();
    assert_eq!(origins, "Ｖеʀify\u{3000}ﬁﬁne 한");
}

#[test]
fn a_space_with_a_mark_is_a_space() {
    let normalised = normalise("\u{fe78}𝒻 \u{fe78}\u{fe78}a", 100).unwrap();
    assert_eq!(normalised.canonical.text(), "f a");
    assert_eq!(normalised.written.unwrap().text(), "𝒻 a");
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "\\PC{0,80}|[\\x00-\\u{10ffff}]{0,80}") {
        let length = text.chars().count();
        let Some(normalised) = normalise(&text, 2_000) else { return Ok(()) };
        for spelling in normalised.written.iter().chain([&normalised.canonical]) {
            prop_assert_eq!(spelling.characters(), spelling.text().chars().count());
            for at in 0..spelling.text().len() {
                prop_assert!((spelling.origin(at).unwrap() as usize) < length);
            }
            prop_assert!(!spelling.text().starts_with(' ') && !spelling.text().contains("  "));
        }
    }
}
