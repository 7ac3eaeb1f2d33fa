use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Compiled once: it takes longer than most texts.
fn every() -> &'static PersonalData {
    static EVERY: std::sync::OnceLock<PersonalData> = std::sync::OnceLock::new();
    EVERY.get_or_init(|| PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap())
}

fn found(text: &str) -> Vec<(Kind, String)> {
    every().find(text).into_iter().map(|d| (d.kind, text[d.range].to_owned())).collect()
}

/// All that is wrong at once: there are many examples.
fn assert_all(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each text has one finding of the kind, which is what stands between the brackets.
fn assert_finds(kind: Kind, texts: &[&str]) {
    let wrong = texts.iter().filter_map(|text| {
        let (before, rest) = text.split_once('⟦').unwrap();
        let (value, after) = rest.split_once('⟧').unwrap();
        let plain = format!("{before}{value}{after}");
        let found = found(&plain);
        (found != [(kind, value.to_owned())])
            .then(|| format!("{plain}: {:?}", every().find(&plain)))
    });
    assert_all(wrong.collect());
}

fn assert_finds_nothing(texts: &[&str]) {
    let found = texts.iter().map(|text| (text, every().find(text)));
    let wrong = found.filter(|(_, found)| !found.is_empty());
    assert_all(wrong.map(|(text, found)| format!("{text}: {found:?}")).collect());
}

#[test]
fn nothing_else_can_be_wanted() {
    let error = PersonalData::compile(&[Kind::Iban, Kind::Xss], "kinds").unwrap_err();
    assert!(error.to_string().contains("kinds[1]"), "{error}");
}

#[test]
fn only_what_is_wanted_is_found() {
    let data = PersonalData::compile(&[Kind::Iban], "kinds").unwrap();
    assert_eq!(data.find("ann@example.com pays from GB82WEST12345698765432").len(), 1);
}

#[test]
fn mail() {
    assert_finds(
        Kind::EmailAddress,
        &[
            "to ⟦ann.lee+news@mail.example.co.uk⟧.",
            "<⟦a@b.de⟧>",
            "⟦jörg@bücher.example⟧ schreibt",
            "请联系⟦zhang@example.cn⟧谢谢",
            "⟦用户@例子.广告⟧",
            "⟦a@xn--d1acufc.xn--p1ai⟧",
            "mailto:⟦o'brien@example.org⟧?subject=x",
            "say \\n⟦ann@example.com⟧\\n",
            "⟦ann\u{200b}@example.com⟧",
            "⟦\"ann lee\"@example.com⟧ wrote",
            "full width ⟦ann＠example．com⟧",
        ],
    );
    assert_finds_nothing(&[
        "@home",
        "a@b",
        "a@@b.com x@",
        "git@github.com:rust-lang/rust.git",
        "npm i left-pad@1.3.0",
        "logo@2x.png",
        "a @ b.com",
        "x[i]@y.T",
        "@dataclass.field",
    ]);
}

#[test]
fn cards() {
    assert_finds(
        Kind::PaymentCard,
        &[
            "pay with ⟦4111 1111 1111 1111⟧ now",
            "⟦4111-1111-1111-1111⟧",
            "⟦378282246310005⟧",
            "amex ⟦3782 822463 10005⟧",
            "⟦5555555555554444⟧,",
            "⟦6011.1111.1111.1117⟧",
            "⟦3530111333300000⟧",
            "card ⟦30569309025904⟧",
            "maestro card ⟦6304 0000 0000 0000⟧",
            "⟦４１１１ １１１１ １１１１ １１１１⟧",
            "⟦٤١١١١١١١١١١١١١١١⟧",
            "⟦4\u{200b}1\u{200d}11\u{feff}1111111111\u{ad}11⟧",
            "⟦4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1⟧",
            "⟦4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1⟧",
            "⟦41 11 11 11 11 11 11 11⟧",
            "⟦4111 - 1111 - 1111 - 1111⟧",
            "⟦4111 1111\n1111 1111⟧",
            "x⟦4111111111111111⟧x",
            "card_⟦4111111111111111⟧",
            "⟦\u{1d7d2}\u{1d7cf}11 1111 1111 1111⟧",
        ],
    );
    assert_finds_nothing(&[
        "4111 1111 1111 1112",
        "0.4111111111111111",
        "sha 4111111111111111f00dface4111111111111111",
        "9111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "1700000000000000",
        "4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1",
    ]);
}

#[test]
fn accounts() {
    assert_finds(
        Kind::Iban,
        &[
            "⟦GB82 WEST 1234 5698 7654 32⟧",
            "from ⟦gb82west12345698765432⟧ to",
            "⟦DE89 3704 0044 0532 0130 00⟧.",
            "⟦FR14-2004-1010-0505-0001-3M02-606⟧",
            "⟦ＧＢ８２ＷＥＳＴ１２３４５６９８７６５４３２⟧",
            "⟦GB82\u{200b}WEST12345698765432⟧",
            "⟦DE 89370400440532013000⟧",
        ],
    );
    assert_finds_nothing(&[
        "GB82WEST12345698765433",
        "DE00370400440532013000",
        "AB12 3456 7890 1234",
    ]);
}

#[test]
fn social_security_numbers() {
    assert_finds(
        Kind::UsSsn,
        &[
            "it is ⟦536-90-4399⟧.",
            "⟦536 90 4399⟧",
            "⟦536.90.4399⟧",
            "my SSN: ⟦536904399⟧",
            "⟦５３６-９０-４３９９⟧",
            "⟦5\u{200b}36-90-4399⟧",
            "⟦536–90–4399⟧",
        ],
    );
    assert_finds_nothing(&[
        "000-12-3456",
        "666-12-3456",
        "536-00-4399",
        "536-90-0000",
        "078-05-1120",
        "part 536904399",
        "536-90-43991",
        "1-536-90-4399",
    ]);
}

#[test]
fn national_numbers() {
    assert_finds(
        Kind::NationalId,
        &[
            "NHS number ⟦943 476 5919⟧",
            "NINO ⟦AB 12 34 56 C⟧",
            "⟦AB123456C⟧",
            "CPF ⟦529.982.247-25⟧",
            "⟦529.982.247-25⟧",
            "TFN ⟦123 456 782⟧",
            "ABN ⟦51 824 753 556⟧",
            "Medicare ⟦2123 45670 1⟧",
            "PESEL ⟦44051401359⟧",
            "DNI ⟦12345678Z⟧",
            "⟦12345678-Z⟧",
            "⟦X1234567L⟧",
            "⟦RSSMRA85T10A562S⟧",
            "⟦S1234567D⟧",
            "BSN ⟦111222333⟧",
            "⟦811218-9876⟧",
            "⟦131052-308T⟧",
            "⟦ABCPE1234F⟧",
            "⟦756.9217.0769.85⟧",
            "⟦112-233-445 95⟧",
            "⟦20-12345678-6⟧",
            "⟦12.345.678-5⟧",
            "⟦A123456(3)⟧",
            "⟦A123456789⟧",
            "⟦2 55 08 14 168 025 38⟧",
            "⟦85.07.30-033.28⟧",
            "⟦10000000146⟧",
            "⟦900101-1234568⟧",
            "taxpayer ⟦911-70-1234⟧",
            "Steuer-ID ⟦86095742719⟧",
            "⟦11010519491231002X⟧",
        ],
    );
    assert_finds_nothing(&[
        "AB123456E",
        "DF123456A",
        "529.982.247-26",
        "12345678A",
        "X1234567M",
        "RSSMRA85T10A562",
        "S1234567A",
        "in 811218-9877 pieces",
        "131052-308U",
        "12.345.678-6",
        "A123456(4)",
        "order 86095742719 pieces",
        "he will sin 123456782 times",
    ]);
}

#[test]
fn telephones() {
    assert_finds(
        Kind::PhoneNumber,
        &[
            "⟦+44 20 7946 0958⟧",
            "⟦+1-202-555-0143⟧",
            "⟦+49 (0)30 1234567⟧",
            "(⟦+41 (0)44 668 18 00⟧)",
            "⟦(415) 555-0132⟧",
            "⟦415-555-0132⟧ x",
            "⟦415.555.0132x4587⟧",
            "⟦415-555-0132 ext. 12⟧",
            "⟦0171 1234567⟧",
            "⟦01 84 17 61 18⟧",
            "⟦06.12.34.56.78⟧",
            "Tel: ⟦723 813 266⟧",
            "⟦001-518-640-0854⟧",
            "call ⟦4155550132⟧",
            "⟦0044 20 7946 0958⟧",
            "⟦+91 98765 43210⟧",
            "⟦+86 138 0013 8000⟧",
            "电话：⟦138 0013 8000⟧",
            "⟦＋４４ ２０ ７９４６ ０９５８⟧",
        ],
    );
    assert_finds_nothing(&[
        "2020-01-15",
        "31.12.1999",
        "from 1990-1995",
        "1 000 000 people",
        "he called 12 times in 2019",
        "+5 apples",
        "1+1 = 2",
        "100 200 3000",
        "$415 555",
        "v1.2.3.4",
        "ISBN 0-306-40615-2",
        "pages 120-135",
        "12:30-14:45",
        "call f(10, 200, 3000)",
        "phone costs 1,299.00 and 24 months",
        "0.12345678",
        "x = 3.14159265358979",
        "(1990) 123-456",
        "rows 1000000 to 2000000",
    ]);
}

#[test]
fn addresses_of_machines() {
    assert_finds(
        Kind::IpAddress,
        &[
            "from ⟦203.0.113.7⟧:8080",
            "⟦2001:db8::1⟧",
            "[⟦2001:db8:0:0:0:0:0:1⟧]",
            "⟦fe80::1%eth0⟧",
            "⟦::ffff:192.0.2.1⟧",
            "ping ⟦192.0.2.1⟧.",
        ],
    );
    assert_finds(
        Kind::MacAddress,
        &["⟦00:00:5e:00:53:af⟧", "⟦00-00-5E-00-53-AF⟧", "⟦0000.5e00.53af⟧"],
    );
    assert_finds_nothing(&[
        "version 1.2.3.4",
        "v1.2.3.4",
        "256.1.1.1",
        "1.2.3.4.5",
        "std::vec",
        "a::b",
        "x[::2]",
        "12:30:45",
        "00:00:5e:00:53",
        "1.2.3",
        "section 4.1.2.3",
    ]);
}

#[test]
fn cryptocurrencies() {
    assert_finds(
        Kind::CryptoAddress,
        &[
            "⟦1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa⟧",
            "⟦BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4⟧",
            "⟦0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed⟧",
            "⟦0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed⟧",
        ],
    );
    assert_finds_nothing(&[
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
    ]);
}

#[test]
fn urls() {
    assert_finds(
        Kind::CredentialUrl,
        &[
            "postgres://⟦app:h7Gk2-q⟧@db.example/x",
            "https://api.example/v1?user=1&access_token=⟦q8Zr5TfW2bNp⟧&x=1",
            "https://s.example/o?X-Amz-Signature=⟦4b1f0d2e9a8c7b6d5e4f⟧",
            "redis://⟦:s3cr3tpw⟧@cache.example:6379",
        ],
    );
    assert_finds_nothing(&[
        "https://example.com/a:b@c",
        "http://user:password@host/",
        "https://${USER}:${PASS}@host",
        "https://example.com/?key=value",
        "http://localhost:8080/x?y=@z",
        "https://example.com/?code=200",
    ]);
}

#[test]
fn tokens_of_vendors() {
    // Put together here, so that nobody's scanner takes this file for a leak.
    let body = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7";
    let tokens = [
        format!("AKIA{}", "IOSFODNN7EXAMPLE"),
        format!("ghp_{}", &body[..36]),
        format!("github_pat_{body}"),
        format!("glpat-{}", &body[..20]),
        format!("xoxb-{}", &body[..24]),
        format!("sk_live_{}", &body[..24]),
        format!("sk-proj-{body}"),
        format!("sk-ant-api03-{body}"),
        format!("AIza{}", &body[..35]),
        format!("npm_{}", &body[..36]),
        format!("pypi-{body}"),
        format!("SG.{}.{}", &body[..22], &body[..43]),
        format!("hf_{}", &body[..34]),
        format!("AC{}", "0123456789abcdef0123456789abcdef"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWFubg".to_owned(),
    ];
    for token in &tokens {
        assert_eq!(found(&format!("use {token} here")), [(Kind::Secret, token.clone())]);
        assert_eq!(found(&format!("KEY=\"{token}\"")), [(Kind::Secret, token.clone())]);
    }
    let pair = format!("{} wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", tokens[0]);
    assert_eq!(found(&pair).len(), 2);
    assert_finds(
        Kind::Secret,
        &[
            "password: ⟦hunter2⟧",
            "the password is ⟦tr0ub4dor⟧.",
            "{\"password\": \"⟦Tr0ub4dor&3⟧\"}",
            "api_key = '⟦q8Zr5TfW2bNpLx0D⟧'",
            "Authorization: Bearer ⟦q8Zr5TfW2bNpLx0DyR7c⟧",
            "Authorization: Basic ⟦YW5uOmg3R2syLXE=⟧",
            "DB_PASSWORD=⟦h7Gk2-q!⟧",
            "Passwort: ⟦geheim42⟧",
        ],
    );
    assert_finds_nothing(&[
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "password = input('Password: ')",
        "password: str",
        "password=<your password>",
        "token = get_token()",
        "secret: ${{ secrets.TOKEN }}",
        "the secret is out",
        "SK and AC are letters",
        "pass: 12",
        "tokens: 4096",
        "Basic income",
        "Bearer of news",
        "task-force",
        "password must have 8 characters",
    ]);
}

#[test]
fn keys() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Q\nuKUp\n-----END RSA PRIVATE KEY-----";
    let texts = [
        pem.to_owned(),
        pem.replace('\n', "\\n"),
        pem.replace("RSA ", "OPENSSH "),
        pem.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
        pem.split_once("\n-----END").unwrap().0.to_owned(),
    ];
    for key in &texts {
        let text = format!("key: {key}");
        let finding = found(&text);
        assert_eq!(finding.len(), 1, "{finding:?}");
        assert_eq!(finding[0].0, Kind::PrivateKey);
        assert_eq!(finding[0].1, *key);
    }
    assert_finds(
        Kind::PrivateKey,
        &[
            r#"{"kty":"OKP","crv":"Ed25519","x":"abc","d":"⟦nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A⟧"}"#,
        ],
    );
    assert_finds_nothing(&[
        "The file starts with -----BEGIN RSA PRIVATE KEY----- in its first line.",
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcN\n-----END PUBLIC KEY-----",
        r#"{"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#,
    ]);
}

#[test]
fn many_in_one_text() {
    let text =
        "Ann, ann@example.com, +44 20 7946 0958, 4111 1111 1111 1111, 536-90-4399, 203.0.113.7";
    let kinds: Vec<_> = found(text).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        [Kind::EmailAddress, Kind::PhoneNumber, Kind::PaymentCard, Kind::UsSsn, Kind::IpAddress]
    );
}

/// Eight times the text takes at most so many times as long. Linear would be eight, quadratic sixty-four; a busy
/// machine is somewhere between.
#[test]
#[ignore = "measures time: cargo xtask corpora runs it"]
fn hostile_texts_take_linear_time() {
    let data = every();
    let time = |text: &str| -> Duration {
        let start = Instant::now();
        std::hint::black_box(data.find(text));
        start.elapsed()
    };
    let patterns = [
        "1-",
        "1 ",
        "4",
        "a@",
        "@",
        ":",
        "a:",
        "://",
        "a://b:c@",
        "1.",
        "AA11",
        "GB82 ",
        "eyJ.",
        "eyJ",
        "sk-",
        "AKIA",
        ":AA",
        "123456789:AA",
        "fm2_",
        "fm2_a1B2",
        "dp.st.",
        "&sig=",
        "-us1",
        "8Q~",
        ".aaaaaa",
        "MTA.aaaaaa.",
        "password:",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "\"d\":\"",
        "\"kty\"",
        "1A",
        "0x",
        "(1",
        "+1 ",
        "ssn ",
        "4111 ",
        "\u{200b}1",
        "x.",
        "\"a@",
        "Basic YTph ",
        "é@",
        "-----BEGIN PRIVATE KEY-----AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ab:",
        "00:",
        "card 4111",
        "ora-00",
        "ora-00 ssn 078-05-1121\n",
        "at a.b.c(",
        "\n#0 0x1 a@b.cd",
        "File \"a\", line 1\n   ",
    ];
    for pattern in patterns {
        let text = pattern.repeat(128_000 / pattern.len());
        let part = &text[..text.floor_char_boundary(16_000)];
        // Other work only ever adds to a time: the shortest ones are the true ones.
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        for _ in 0..40 {
            short = short.min(time(part));
            long = long.min(time(&text));
            if long < short * 16 {
                break;
            }
        }
        assert!(long < short * 24, "{pattern:?}: {short:?}, then {long:?}");
    }
}

proptest! {
    /// Findings are in order, do not overlap, stand on characters, and nothing makes finding them fail.
    #[test]
    fn findings_are_places_in_the_text(text in any_text()) {
        let mut end = 0;
        for finding in every().find(&text) {
            prop_assert!(finding.range.start >= end && finding.range.start < finding.range.end);
            prop_assert!(text.get(finding.range.clone()).is_some());
            end = finding.range.end;
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        ".{0,8}",
        "[0-9 .()+-]{0,24}",
        "[a-zA-Z0-9:@/.=_-]{0,24}",
        Just("4111 1111 1111 1111".to_owned()),
        Just("ann@例子.com".to_owned()),
        Just("\u{200b}４１".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("https://a:b@".to_owned()),
        Just("123456(3)".to_owned()),
        Just("\"@a.bc".to_owned()),
        Just(".4111111111111111".to_owned()),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}
