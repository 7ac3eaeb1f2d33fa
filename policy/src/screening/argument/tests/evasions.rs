use super::super::super::Kind;
use super::denials;

/// What is found in the plain text is found in all of these as well.
fn all_are(kind: Kind, plain: &str, hidden: &[&str]) {
    for text in std::iter::once(&plain).chain(hidden) {
        let found = denials(text);
        assert!(found.iter().any(|detection| detection.kind == kind), "{text:?}: {found:?}");
    }
}

#[test]
fn sql() {
    all_are(
        Kind::SqlInjection,
        "' union select pin from cards",
        &[
            "' UnIoN SeLeCt pin from cards",
            "%27%20union%20select%20pin%20from%20cards",
            "%2527%2520union%2520select%2520pin%2520from%2520cards",
            "'+union+select+pin+from+cards",
            "'/**/union/**/select/**/pin/**/from/**/cards",
            "'/*!50000union*/ /*!select*/ pin from cards",
            "'\u{b}union\u{c}select\u{a0}pin\tfrom\ncards",
            "＇ ｕｎｉｏｎ ｓｅｌｅｃｔ pin from cards",
            "ʼ union select pin from cards",
            "&#39; union select pin from cards",
            "\\u0027 union select pin from cards",
            "\\x27 union select pin from cards",
            "' un\u{200b}ion sel\u{ad}ect pin from cards",
            "' union-- \nselect pin from cards",
            "' union#x\nselect pin from cards",
            "' unıon ſelect pin from cards",
            "'%00union%00select%00pin",
            "'union(select(pin)from(cards))",
            "' union all select distinct pin from cards",
            "%u0027 union select pin",
        ],
    );
}

#[test]
fn traversal() {
    all_are(
        Kind::FileInclusion,
        "../../../srv/k",
        &[
            "%2e%2e%2f%2e%2e%2fsrv/k",
            "%252e%252e%252f%252e%252e%252fsrv",
            "%c0%ae%c0%ae/%c0%ae%c0%ae/srv",
            "..%c0%af..%c0%afsrv",
            "..%255c..%255csrv",
            "..%u2215..%u2215srv",
            "．．／．．／srv",
            "..0x2f..0x2fsrv",
            "%%32%65%%32%65/%%32%65%%32%65/srv",
            "..\\/..\\/srv",
            "..;/..;/srv",
            "..%00/..%00/srv",
            "&period;&period;&sol;&period;&period;&sol;srv",
            "img/../../../srv",
            "Li4vLi4vLi4vc3J2",
        ],
    );
}

#[test]
fn scripts() {
    all_are(
        Kind::Xss,
        "<script>x()</script>",
        &[
            "%3Cscript%3Ex()%3C/script%3E",
            "%253Cscript%253Ex()",
            "&lt;script&gt;x()",
            "&#60;script&#62;x()",
            "&#x3C;script>x()",
            "&#0000060script>x()",
            "\\u003cscript>x()",
            "\\x3cscript>x()",
            "＜script＞x()",
            "<ſcript>x()",
            "+ADw-script+AD4-x()",
            "<\tscript>x()",
            "<<script>x()",
            "<ScRiPt/x>x()",
            "%u003cscript>x()",
        ],
    );
    all_are(
        Kind::Xss,
        "<a href='javascript:x()'>",
        &[
            "<a href='java\nscript:x()'>",
            "<a href='&#106;avascript:x()'>",
            "<a href='javascript&colon;x()'>",
            "<a href='java&Tab;script:x()'>",
            "<a href='\u{1}javascript:x()'>",
            "<a href='JaVaScRiPt:x()'>",
        ],
    );
}

#[test]
fn letters_that_are_not_seen_or_look_like_others() {
    let hidden = |at: &str| format!("9 un{at}ion all sel{at}ect login, secret from members");
    let seen = hidden("");
    let tags: String =
        seen.chars().filter_map(|c| char::from_u32(0xE0000 + u32::from(c))).collect();
    all_are(
        Kind::SqlInjection,
        &seen,
        &[
            &hidden("\u{202e}"),
            &hidden("\u{2066}"),
            &hidden("\u{e0101}"),
            &hidden("\u{fe01}"),
            &hidden("\u{34f}"),
            &hidden("\u{e0001}"),
            &tags,
            &seen.replace('t', "\u{442}").replace('l', "\u{4cf}"),
        ],
    );
}

#[test]
fn commands_and_expressions() {
    all_are(
        Kind::CommandInjection,
        ";cat /srv/k",
        &[
            "%3Bcat%20/srv/k",
            ";c\u{200b}at /srv/k",
            ";'cat' /srv/k",
            ";\\cat /srv/k",
            "; /bin/cat /srv/k",
            "；cat /srv/k",
            ";cat${IFS}/srv/k",
            ";cat</srv/k",
            "||cat /srv/k",
            "%0acat /srv/k",
        ],
    );
    all_are(
        Kind::TemplateInjection,
        "${jndi:ldap://x}",
        &[
            "%24%7bjndi:ldap://x%7d",
            "$\\u007bjndi:ldap://x}",
            "${JNDI:LDAP://x}",
            "${${::-j}ndi:ldap://x}",
            "${${env:X:-j}ndi:ldap://x}",
            "&dollar;&lcub;jndi:ldap://x}",
            "＄｛jndi:ldap://x｝",
        ],
    );
}
