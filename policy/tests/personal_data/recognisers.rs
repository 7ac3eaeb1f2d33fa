//! Test cases of another project's recognisers: bare values, right and wrong ones.

use std::collections::BTreeMap;

use portcullis_policy::screening::Kind;

use crate::{corpora, every_kind, is_verbose, rows};

/// What its recognisers are called, and our kinds. The rest (plates, postcodes, registers of companies, documents
/// without any check digit) is not looked for.
const KINDS: [(&str, Kind); 46] = [
    ("email", Kind::EmailAddress),
    ("phone", Kind::PhoneNumber),
    ("ph_mobile_number", Kind::PhoneNumber),
    ("tr_phone_number", Kind::PhoneNumber),
    ("credit_card", Kind::PaymentCard),
    ("iban", Kind::Iban),
    ("us_ssn", Kind::UsSsn),
    ("ip", Kind::IpAddress),
    ("mac", Kind::MacAddress),
    ("crypto", Kind::CryptoAddress),
    ("us_itin", Kind::NationalId),
    ("us_npi", Kind::NationalId),
    ("au_abn", Kind::NationalId),
    ("au_acn", Kind::NationalId),
    ("au_medicare", Kind::NationalId),
    ("au_tfn", Kind::NationalId),
    ("ca_sin", Kind::NationalId),
    ("de_tax_id", Kind::NationalId),
    ("de_id_card", Kind::NationalId),
    ("de_social_security", Kind::NationalId),
    ("es_nie", Kind::NationalId),
    ("es_nif", Kind::NationalId),
    ("fi_personal_identity_code", Kind::NationalId),
    ("in_aadhaar", Kind::NationalId),
    ("in_gstin", Kind::NationalId),
    ("in_pan", Kind::NationalId),
    ("in_voter", Kind::NationalId),
    ("it_fiscal_code", Kind::NationalId),
    ("it_vat_code", Kind::NationalId),
    ("kr_brn", Kind::NationalId),
    ("kr_frn", Kind::NationalId),
    ("kr_rrn", Kind::NationalId),
    ("ng_nin", Kind::NationalId),
    ("ph_tin", Kind::NationalId),
    ("pl_pesel", Kind::NationalId),
    ("se_organisationsnummer", Kind::NationalId),
    ("se_personnummer", Kind::NationalId),
    ("sg_fin", Kind::NationalId),
    ("th_tnin", Kind::NationalId),
    ("tr_national_id", Kind::NationalId),
    ("uk_nhs", Kind::NationalId),
    ("uk_nino", Kind::NationalId),
    ("us_mbi", Kind::NationalId),
    ("us_passport", Kind::NationalId),
    ("in_passport", Kind::NationalId),
    ("za_id_number", Kind::NationalId),
];

#[derive(Default)]
struct Tally {
    with: usize,
    found: usize,
    without: usize,
    wrong: usize,
}

#[test]
fn share_of_cases() {
    let Some(corpora) = corpora() else { return };
    let data = every_kind();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for row in rows(&corpora.join("pii/presidio_recognizer_cases.jsonl")) {
        let file = row["file"].as_str().unwrap();
        let name = file.trim_start_matches("test_").trim_end_matches("_recognizer.py");
        let Some((_, kind)) = KINDS.iter().find(|(other, _)| *other == name) else { continue };
        let (Some(text), Some(expected)) = (row["text"].as_str(), row["expected_len"].as_u64())
        else {
            continue;
        };
        let found = data.find(text).iter().filter(|finding| finding.kind == *kind).count();
        let tally = tallies.entry(name.to_owned()).or_default();
        let is_wrong = if expected > 0 {
            tally.with += 1;
            tally.found += usize::from(found > 0);
            found == 0
        } else {
            tally.without += 1;
            tally.wrong += usize::from(found > 0);
            found > 0
        };
        if is_wrong && is_verbose() {
            println!("{name}: expected {expected}, found {:?} in {text:?}", data.find(text));
        }
    }
    println!("{:<26} {:>9} {:>7} {:>11}", "recogniser", "with", "found", "false/without");
    let (mut with, mut found) = (0, 0);
    for (name, tally) in &tallies {
        let Tally { with: w, found: f, without, wrong } = tally;
        println!("{name:<26} {w:>9} {f:>7} {wrong:>5}/{without}");
        with += w;
        found += f;
    }
    println!("all: {found} of {with}");
    assert!(with > 100);
    assert!(found * 100 >= with * 80, "{found} of {with}");
}
