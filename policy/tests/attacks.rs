//! The known attacks on JSON Web Tokens through whole exchanges: every class, from every place where a token may stand, with
//! every algorithm that it is about. The signatures alone are tried in `signatures/`.

mod common;
#[path = "common/issuer.rs"]
mod issuer;

use std::collections::BTreeSet;

use common::gate::{AUDIENCE, Gate, Head, Place};
use issuer::{Issuer, RSA_PEM, decode, encode, with_signature};
use portcullis_policy::Reason;
use portcullis_policy::identity::Algorithm;
use ring::hmac;
use serde_json::{Value, json};

const ISSUER: &str = "https://issuer.example";

/// One token that must not be accepted.
struct Attack {
    /// As the methods of [`Attacker`] number them.
    class: u8,
    name: String,
    token: Vec<u8>,
    reason: Reason,
}

/// What a place does not take for a credential at all (RFC 9110 §11.2) is refused before it is a token.
fn is_token68(token: &[u8]) -> bool {
    !token.is_empty()
        && token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte))
}

/// Makes the attacks on one issuer.
struct Attacker<'a> {
    issuer: &'a Issuer,
    claims: String,
    attacks: Vec<Attack>,
}

impl<'a> Attacker<'a> {
    fn new(issuer: &'a Issuer, gate: &Gate) -> Self {
        let claims = gate.claims(ISSUER, &json!({})).to_string();
        let mut attacker = Self { issuer, claims, attacks: Vec::new() };
        attacker.no_algorithm();
        attacker.public_key_as_secret();
        attacker.keys_brought_along();
        attacker.no_signature();
        attacker.degenerate_signatures();
        attacker.critical_extensions();
        attacker.unencoded_payload();
        attacker.key_ids();
        attacker.claims(gate.now());
        attacker.json();
        attacker.base64url();
        attacker.size_and_nesting();
        attacker.other_algorithms();
        attacker.json_serialisation();
        attacker
    }

    fn add(&mut self, class: u8, name: impl Into<String>, token: impl AsRef<[u8]>, reason: Reason) {
        let token = token.as_ref().to_vec();
        self.attacks.push(Attack { class, name: name.into(), token, reason });
    }

    fn good(&self) -> String {
        self.issuer.signed(self.issuer.header(&json!({})), &self.claims)
    }

    /// A token with these header parameters, signed.
    fn with_header(&self, changes: &Value) -> String {
        self.issuer.signed(self.issuer.header(changes), &self.claims)
    }

    fn with_claims(&self, changes: &Value) -> String {
        let mut claims: Value = serde_json::from_str(&self.claims).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.issuer.signed(self.issuer.header(&json!({})), claims.to_string())
    }

    fn is_symmetric(&self) -> bool {
        self.issuer.algorithm.is_symmetric()
    }

    /// Class 1: CVE-2015-9235, CVE-2022-23540.
    fn no_algorithm(&mut self) {
        for name in ["none", "None", "nOnE", "NONE", "none ", " none", "", "\0none"] {
            let signed = self.with_header(&json!({"alg": name}));
            let unsigned = &signed[..=signed.rfind('.').unwrap()];
            self.add(1, format!("alg {name:?}, unsigned"), unsigned, Reason::TokenMalformed);
            self.add(1, format!("alg {name:?}, signed"), &signed, Reason::TokenUnsupported);
        }
        for value in [json!(null), json!(["none"]), json!(0), json!(false), json!({"alg": "none"})]
        {
            let token = self.with_header(&json!({"alg": value}));
            self.add(1, format!("alg {value}"), token, Reason::TokenMalformed);
        }
        let token = self.issuer.signed(r#"{"kid":"k"}"#, &self.claims);
        self.add(1, "no alg", token, Reason::TokenMalformed);
    }

    /// Class 2: CVE-2016-10555, CVE-2022-29217, CVE-2023-48223, CVE-2024-33663.
    fn public_key_as_secret(&mut self) {
        if self.is_symmetric() {
            return;
        }
        let jwk = &self.issuer.jwk;
        let member = |name: &str| jwk.get(name).and_then(Value::as_str).map(decode);
        let mut secrets =
            vec![jwk.to_string().into_bytes(), self.issuer.keys().to_string().into_bytes()];
        secrets.extend([member("n"), member("x")].into_iter().flatten());
        if jwk["kty"] == "RSA" {
            let pem = jwt_simple::prelude::RS256KeyPair::from_pem(RSA_PEM).unwrap().public_key();
            let (der, pem) = (pem.to_der().unwrap(), pem.to_pem().unwrap());
            secrets.extend([der, pem.trim_end().into(), format!(" {pem}").into(), pem.into()]);
        }
        for (index, secret) in secrets.iter().enumerate() {
            for (name, algorithm) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                let header = self.issuer.header(&json!({"alg": name}));
                let token = self.by_hmac(algorithm, secret, &header);
                self.add(
                    2,
                    format!("{name} by form {index} of the key"),
                    token,
                    Reason::TokenUnsupported,
                );
                let token = self.by_hmac(algorithm, secret, &self.issuer.header(&json!({})));
                self.add(
                    2,
                    format!("{name} unnamed by form {index}"),
                    token,
                    Reason::TokenSignatureInvalid,
                );
            }
        }
    }

    fn by_hmac(&self, algorithm: hmac::Algorithm, secret: &[u8], header: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(&self.claims));
        let code = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
        with_signature(&signed, code.as_ref())
    }

    /// Class 3: CVE-2018-0114 and its kin.
    fn keys_brought_along(&mut self) {
        // There is one RSA key for the tests; a stranger needs one of their own.
        let of = match self.issuer.jwk["kty"].as_str() {
            Some("RSA") => Algorithm::Es256,
            _ => self.issuer.algorithm,
        };
        let stranger = Issuer::new(of);
        let own = |changes: &Value| stranger.signed(self.issuer.header(changes), &self.claims);
        let url = "https://evil.example/keys";
        let tokens = [
            (json!({"jwk": stranger.jwk}), Reason::TokenUnsupported),
            (json!({"jwk": stranger.jwk, "kid": "evil"}), Reason::TokenUnsupported),
            (json!({"jku": url}), Reason::TokenSignatureInvalid),
            (json!({"jku": url, "kid": "evil"}), Reason::TokenKeyUnknown),
            (json!({"x5u": url}), Reason::TokenSignatureInvalid),
            (json!({"x5u": url, "kid": "evil"}), Reason::TokenKeyUnknown),
            (json!({"x5c": ["MIIB"]}), Reason::TokenSignatureInvalid),
            (json!({"x5c": "MIIB"}), Reason::TokenMalformed),
            (json!({"x5t": "AA", "x5t#S256": "AA"}), Reason::TokenSignatureInvalid),
            (json!({}), Reason::TokenSignatureInvalid),
        ];
        let tokens = tokens.map(|(changes, reason)| (changes.to_string(), own(&changes), reason));
        for (name, token, reason) in tokens {
            self.add(3, name, token, reason);
        }
        // The right key, named by the token itself: it is not asked.
        let token = self.with_header(&json!({"jwk": self.issuer.jwk}));
        self.add(3, "its own jwk", token, Reason::TokenUnsupported);
    }

    /// Class 4: CVE-2020-28042, CVE-2019-20933.
    fn no_signature(&mut self) {
        let good = self.good();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        for (name, token) in [
            ("a.b.", format!("{signed}.")),
            ("a.b", signed.to_owned()),
            ("a..c", format!("{header}..{signature}")),
            (".b.c", format!(".{payload}.{signature}")),
            ("a.b.c.", format!("{good}.")),
            ("a.b.c.c", format!("{good}.{signature}")),
            ("..", "..".to_owned()),
            ("a", header.to_owned()),
        ] {
            self.add(4, name, token, Reason::TokenMalformed);
        }
        for (name, signature) in [
            ("zeros", vec![0; decode(signature).len()]),
            ("one zero", vec![0]),
            ("half", decode(signature)[..decode(signature).len() / 2].to_vec()),
            ("twice", decode(signature).repeat(2)),
            ("a zero before", [&[0], decode(signature).as_slice()].concat()),
            ("a zero after", [decode(signature).as_slice(), &[0]].concat()),
        ] {
            self.add(4, name, with_signature(signed, &signature), Reason::TokenSignatureInvalid);
        }
        let other = encode(self.claims.replace("alice", "admin"));
        let token = format!("{header}.{other}.{signature}");
        self.add(4, "another's claims", token, Reason::TokenSignatureInvalid);
        for secret in [b"".as_slice(), b"\0", b"secret", b"k"] {
            let token = self.by_hmac(
                hmac::HMAC_SHA256,
                secret,
                &self.issuer.header(&json!({"alg": "HS256"})),
            );
            let reason = match self.issuer.algorithm {
                Algorithm::Hs256 => Reason::TokenSignatureInvalid,
                _ => Reason::TokenUnsupported,
            };
            self.add(4, format!("blank secret {secret:?}"), token, reason);
        }
    }

    /// Class 5: CVE-2022-21449.
    fn degenerate_signatures(&mut self) {
        if self.issuer.jwk["kty"] != "EC" && self.issuer.jwk["kty"] != "OKP" {
            return;
        }
        let good = self.good();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let signature = decode(signature);
        let (r, s) = signature.split_at(signature.len() / 2);
        let (zero, full) = (vec![0; r.len()], vec![0xff; r.len()]);
        let one = [vec![0; r.len() - 1], vec![1]].concat();
        let mut der = vec![0x30, 4 + 2 * u8::try_from(r.len()).unwrap()];
        for half in [r, s] {
            der.extend([2, u8::try_from(half.len()).unwrap()]);
            der.extend(half);
        }
        for (name, signature) in [
            ("r = s = 0", [zero.as_slice(), &zero].concat()),
            ("r = 0", [zero.as_slice(), s].concat()),
            ("s = 0", [r, &zero].concat()),
            ("r = s = 1", [one.as_slice(), &one].concat()),
            ("r >= n", [full.as_slice(), s].concat()),
            ("s >= n", [r, &full].concat()),
            ("r = s >= n", [full.as_slice(), &full].concat()),
            ("swapped", [s, r].concat()),
            ("DER", der),
        ] {
            self.add(5, name, with_signature(signed, &signature), Reason::TokenSignatureInvalid);
        }
    }

    /// Class 6: CVE-2025-59420.
    fn critical_extensions(&mut self) {
        for header in [
            json!({"crit": []}),
            json!({"crit": null}),
            json!({"crit": "exp"}),
            json!({"crit": {"x": true}}),
            json!({"crit": ["exp"], "exp": 1}),
            json!({"crit": ["alg"]}),
            json!({"crit": ["x", "x"], "x": true}),
            json!({"crit": ["x"]}),
            json!({"crit": ["x"], "x": true}),
            json!({"crit": [1]}),
        ] {
            let token = self.with_header(&header);
            self.add(6, header.to_string(), token, Reason::TokenUnsupported);
        }
        let header = self.issuer.header(&json!({}));
        let twice = header.replacen('{', r#"{"crit":[],"crit":["x"],"#, 1);
        let token = self.issuer.signed(twice, &self.claims);
        self.add(6, "crit twice", token, Reason::TokenMalformed);
    }

    /// Class 7: RFC 7797.
    fn unencoded_payload(&mut self) {
        for header in [
            json!({"b64": false}),
            json!({"b64": true}),
            json!({"b64": "false"}),
            json!({"b64": false, "crit": ["b64"]}),
            json!({"b64": true, "crit": ["b64"]}),
        ] {
            let token = self.with_header(&header);
            self.add(7, header.to_string(), &token, Reason::TokenUnsupported);
            let mut parts = token.split('.');
            let (header, signature) = (parts.next().unwrap(), parts.nth(1).unwrap());
            let detached = format!("{header}..{signature}");
            self.add(7, "detached", detached, Reason::TokenUnsupported);
        }
        let header = encode(self.issuer.header(&json!({"b64": false, "crit": ["b64"]})));
        let token = self.issuer.signed_as_is(&format!("{header}.{}", self.claims));
        self.add(7, "unencoded", token, Reason::TokenUnsupported);
    }

    /// Class 8.
    fn key_ids(&mut self) {
        let long = "k".repeat(300);
        for kid in [
            "../../dev/null",
            "/proc/self/environ",
            "' UNION SELECT 'a' --",
            "k\0",
            "k ",
            " k",
            "K",
            "",
            "$(id)",
            "https://evil.example/k",
        ] {
            let token = self.with_header(&json!({"kid": kid}));
            self.add(8, format!("kid {kid:?}"), token, Reason::TokenKeyUnknown);
        }
        for kid in
            [json!(long), json!(0), json!(null), json!(["k"]), json!({"k": "k"}), json!(true)]
        {
            let token = self.with_header(&json!({"kid": kid}));
            self.add(8, format!("kid {kid:.20}"), token, Reason::TokenMalformed);
        }
        let twice = self.issuer.header(&json!({})).replacen('{', r#"{"kid":"x","#, 1);
        let token = self.issuer.signed(twice, &self.claims);
        self.add(8, "kid twice", token, Reason::TokenMalformed);
        // A blank secret, as a file that a path leads to would be.
        let header = self.issuer.header(&json!({"alg": "HS256", "kid": "../../dev/null"}));
        let token = self.by_hmac(hmac::HMAC_SHA256, b"", &header);
        self.add(8, "kid of an empty file", token, Reason::TokenKeyUnknown);
    }

    /// Class 9: CVE-2026-25537, CVE-2025-30144.
    fn claims(&mut self, now: u64) {
        let later = now + 300;
        for changes in [
            json!({"exp": later.to_string()}),
            json!({"exp": 1e18}),
            json!({"exp": -1}),
            json!({"exp": null}),
            json!({"exp": [later]}),
            json!({"exp": {}}),
            json!({"exp": true}),
            json!({"exp": later as f64 + 0.5}),
            json!({"exp": u64::MAX}),
            json!({"nbf": "0"}),
            json!({"nbf": null}),
            json!({"nbf": -1}),
            json!({"iat": "0"}),
            json!({"iat": []}),
            json!({"aud": {AUDIENCE: true}}),
            json!({"aud": [AUDIENCE, 1]}),
            json!({"aud": 1}),
            json!({"aud": null}),
            json!({"sub": 1}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": ["alice"]}),
            json!({"jti": 1}),
            json!({"roles": {"admin": true}}),
            json!({"cnf": "x"}),
        ] {
            let token = self.with_claims(&changes);
            self.add(9, changes.to_string(), token, Reason::TokenMalformed);
        }
        let infinite = self.claims.replacen('{', r#"{"x":1e400,"#, 1);
        let token = self.issuer.signed(self.issuer.header(&json!({})), infinite);
        self.add(9, "1e400", token, Reason::TokenMalformed);
        for (changes, reason) in [
            (json!({"exp": now - 31}), Reason::TokenExpired),
            (json!({"exp": 0}), Reason::TokenExpired),
            (json!({"nbf": now + 31}), Reason::TokenNotYetValid),
            (json!({"iat": now + 31}), Reason::TokenNotYetValid),
            (json!({"iss": "https://evil.example"}), Reason::TokenIssuerUnknown),
            (json!({"iss": [ISSUER]}), Reason::TokenIssuerUnknown),
            (json!({"iss": [ISSUER, "https://evil.example"]}), Reason::TokenIssuerUnknown),
            (json!({"iss": null}), Reason::TokenIssuerUnknown),
            (json!({"iss": format!("{ISSUER}/")}), Reason::TokenIssuerUnknown),
            (json!({"aud": "other"}), Reason::TokenAudienceMismatch),
            (json!({"aud": []}), Reason::TokenAudienceMismatch),
            (json!({"aud": [AUDIENCE.to_uppercase()]}), Reason::TokenAudienceMismatch),
            (json!({"cnf": {"jwk": {}}}), Reason::TokenUnsupported),
        ] {
            let token = self.with_claims(&changes);
            self.add(9, changes.to_string(), token, reason);
        }
    }

    /// Class 10.
    fn json(&mut self) {
        let (header, claims) = (self.issuer.header(&json!({})), self.claims.clone());
        let texts = |text: &str| {
            let text = text.as_bytes();
            let open = &text[..text.len() - 1];
            [
                [b"\xef\xbb\xbf", text].concat(),
                [text, b"x"].concat(),
                [text, text].concat(),
                [text, b"\0"].concat(),
                [b"[", text, b"]"].concat(),
                [open, br#","alg":"none","alg":"none"}"#].concat(),
                [open, br#","\u0061lg":"none","alg":"none"}"#].concat(),
                [open, br#","sub":"admin","s\u0075b":"admin"}"#].concat(),
                [open, br#","x":{"a":1,"a":2}}"#].concat(),
                [open, b",\"x\":\"\xff\"}"].concat(),
                [open, b",\"x\":\"\xed\xa0\x80\"}"].concat(),
                [open, br#","x":"\ud800"}"#].concat(),
                [open, b",\"x\":\"\x01\"}"].concat(),
                [open, br#","x":NaN}"#].concat(),
                [open, br#","x":01}"#].concat(),
                [open, b",}"].concat(),
                [open, br#","x":"#, "[".repeat(100).as_bytes(), "]".repeat(100).as_bytes(), b"}"]
                    .concat(),
                [open, br#","x":["#, "1,".repeat(1000).as_bytes(), b"1]}"].concat(),
                open.to_vec(),
                text.iter().flat_map(|byte| [*byte, 0]).collect(),
                b"null".to_vec(),
                Vec::new(),
            ]
        };
        for (index, text) in texts(&header).iter().enumerate() {
            let token = self.issuer.signed(text, &claims);
            self.add(10, format!("header {index}"), token, Reason::TokenMalformed);
        }
        for (index, text) in texts(&claims).iter().enumerate() {
            let token = self.issuer.signed(&header, text);
            self.add(10, format!("claims {index}"), token, Reason::TokenMalformed);
        }
    }

    /// Class 11. What is written otherwise is signed so, too: a stranger's proxy cannot make one token of another.
    fn base64url(&mut self) {
        let good = self.good();
        let parts: Vec<&str> = good.split('.').collect();
        for index in 0..3 {
            let with = |part: String| {
                let mut parts = parts.clone();
                parts[index] = &part;
                match index {
                    2 => parts.join("."),
                    _ => self.issuer.signed_as_is(&parts[..2].join(".")),
                }
            };
            let part = parts[index];
            let mut tokens = vec![
                ("padding", with(format!("{part}="))),
                ("padding", with(format!("{part}=="))),
                ("blank before", with(format!(" {part}"))),
                ("blank inside", with(format!("{} {}", &part[..4], &part[4..]))),
                ("tab", with(format!("{part}\t"))),
                ("one character more", with(format!("{part}A"))),
                ("alphabet of base64", with(format!("+/{part}"))),
                ("percent", with(format!("{part}%3D"))),
            ];
            // Bits at the end that say nothing.
            if !part.len().is_multiple_of(4) {
                let last =
                    ALPHABET.iter().position(|byte| part.ends_with(char::from(*byte))).unwrap();
                let other = char::from(ALPHABET[last | 1]);
                tokens.push(("spare bits", with(format!("{}{other}", &part[..part.len() - 1]))));
            }
            for (name, token) in tokens {
                // Where a character more makes a whole byte, it is another signature, of class 4.
                // Blanks around the whole of it are the place's own business; see class 15.
                let is_around = matches!((name, index), ("blank before", 0) | ("tab", 2));
                let is_longer =
                    name == "one character more" && index == 2 && !part.len().is_multiple_of(4);
                if is_around || is_longer {
                    continue;
                }
                self.add(11, format!("{name} in part {index}"), token, Reason::TokenMalformed);
            }
        }
    }

    /// Class 12: CVE-2025-27144, CVE-2025-30204, CVE-2026-29000, CVE-2024-28176.
    fn size_and_nesting(&mut self) {
        let long = self.with_claims(&json!({"x": "x".repeat(20_000)}));
        self.add(12, "too long", long, Reason::TokenMalformed);
        self.add(12, "dots", ".".repeat(16_000), Reason::TokenMalformed);
        let inner = self.good();
        for header in [json!({"cty": "JWT"}), json!({"cty": "jwt"})] {
            let token = self.issuer.signed(self.issuer.header(&header), &self.claims);
            self.add(12, header.to_string(), token, Reason::TokenUnsupported);
        }
        for payload in [inner.clone(), format!("{inner:?}")] {
            let token = self.issuer.signed(self.issuer.header(&json!({})), payload);
            self.add(12, "nested", token, Reason::TokenMalformed);
        }
        for (alg, further) in
            [("dir", json!({})), ("PBES2-HS256+A128KW", json!({"p2c": 2_147_483_647, "p2s": "AA"}))]
        {
            let mut header =
                json!({"alg": alg, "enc": "A256GCM", "zip": "DEF", "cty": "JWT", "kid": "k"});
            header.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
            let header = header.to_string();
            let parts = [header.as_bytes(), b"", b"iv", inner.as_bytes(), b"tag"];
            let token = parts.map(encode).join(".");
            self.add(12, format!("encrypted by {alg}"), token, Reason::TokenMalformed);
            let token = self.issuer.signed(header, &self.claims);
            self.add(
                12,
                format!("signed as if encrypted by {alg}"),
                token,
                Reason::TokenUnsupported,
            );
        }
    }

    /// Class 13, as far as a token can try it: keys are checked where they are read.
    fn other_algorithms(&mut self) {
        let own = self.issuer.algorithm;
        let names = Algorithm::ALL.into_iter().filter(|name| *name != own).map(Algorithm::as_str);
        let odd = ["rs256", "ES256K", "Ed448", "HS1", "RS1", "ES256 ", "RSA-OAEP", "A256KW"];
        for name in names.chain(odd) {
            let token = self.with_header(&json!({"alg": name}));
            self.add(13, format!("alg {name}"), token, Reason::TokenUnsupported);
            // RSA keys and secrets could do more than they are for.
            if let Some(other) = Algorithm::named(name)
                && self.issuer.jwk["kty"] == "RSA"
                && Issuer::new(other).jwk["kty"] == "RSA"
            {
                let other = Issuer::new(other);
                let token = other.signed(other.header(&json!({})), &self.claims);
                self.add(13, format!("signed with {name}"), token, Reason::TokenUnsupported);
            }
        }
        for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE", "jwt ", ""] {
            let token = self.with_header(&json!({"typ": typ}));
            self.add(13, format!("typ {typ:?}"), token, Reason::TokenUnsupported);
        }
    }

    /// Class 14.
    fn json_serialisation(&mut self) {
        let good = self.good();
        let parts: Vec<&str> = good.split('.').collect();
        let one = json!({"protected": parts[0], "signature": parts[2]});
        let flattened = json!({"payload": parts[1], "protected": parts[0], "signature": parts[2]});
        let general = json!({"payload": parts[1], "signatures": [one]});
        let together = format!("{good}~{flattened}");
        for token in [flattened.to_string(), general.to_string(), together] {
            self.add(14, "JSON", token, Reason::TokenMalformed);
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn document(sources: &Value) -> Value {
    json!({
        "version": 1,
        // Room for tokens that are too long, so that it is they which are refused.
        "access": { "headers": { "max_count": 100, "max_bytes": 131_072 } },
        "identity": { "jwt": {
            "sources": sources,
            "issuers": [{ "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "env": "KEYS" } }],
        }},
        "routes": [{ "name": "all", "match": { "prefix": "/" } }],
    })
}

fn gate(issuer: &Issuer) -> Gate {
    Gate::with_secrets(&document(&Place::sources()), &[("KEYS", issuer.keys().to_string())])
}

#[test]
fn every_attack_is_refused_from_every_place_with_every_algorithm() {
    let mut tried = 0;
    for issuer in Issuer::all() {
        let mut gate = gate(&issuer);
        let attacker = Attacker::new(&issuer, &gate);
        let good = attacker.good();
        let classes: BTreeSet<u8> = attacker.attacks.iter().map(|attack| attack.class).collect();
        let expected: BTreeSet<u8> = (1..=14)
            .filter(|class| match class {
                2 => !issuer.algorithm.is_symmetric(),
                5 => issuer.jwk["kty"] == "EC" || issuer.jwk["kty"] == "OKP",
                _ => true,
            })
            .collect();
        assert_eq!(classes, expected, "{:?}", issuer.algorithm);
        for place in Place::ALL {
            for Attack { class, name, token, reason } in &attacker.attacks {
                let what = format!("class {class}, {name}, {:?} as {place:?}", issuer.algorithm);
                let refused = gate.send(&Head::presenting(token, place)).map(|_| ()).unwrap_err();
                assert!((400..500).contains(&refused.status()), "{what}: {refused:?}");
                match is_token68(token) {
                    true => assert_eq!(refused, *reason, "{what}"),
                    false => assert!(NO_CREDENTIAL.contains(&refused), "{what}: {refused:?}"),
                }
                assert_tells_nothing(&gate, token, &what);
                tried += 1;
            }
            // Nothing that was tried changes what is said of a good one, fresh or remembered.
            for _ in 0..2 {
                let upstream = gate.send(&Head::presenting(&good, place)).unwrap();
                assert_eq!(upstream.subject, "alice");
                assert!(!upstream.shows(&good), "{place:?} is not hidden");
            }
        }
    }
    println!("{tried} attacks refused");
    assert!(tried > 10_000, "{tried}");
}

/// What is refused before it is looked at as a token.
const NO_CREDENTIAL: [Reason; 4] = [
    Reason::CredentialMalformed,
    Reason::HeaderConflict,
    Reason::HeaderInvalid,
    Reason::CredentialMissing,
];

/// Neither the client nor the record gets back what was sent.
fn assert_tells_nothing(gate: &Gate, token: &[u8], what: &str) {
    let Some(signature) = token.rsplit(|byte| *byte == b'.').next().filter(|part| part.len() > 20)
    else {
        return;
    };
    for text in [&gate.record, &gate.problem] {
        let shown = text.as_bytes().windows(signature.len()).any(|part| part == signature);
        assert!(!shown, "{what}: {text}");
    }
}

/// A token that is too long for the header section never comes to be one: with the bounds as they are by default.
#[test]
fn a_megabyte_is_refused_by_its_size() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut document = document(&Place::sources());
    document.as_object_mut().unwrap().remove("access");
    let mut gate = Gate::with_secrets(&document, &[("KEYS", issuer.keys().to_string())]);
    for token in ["a".repeat(1 << 20), ".".repeat(1 << 20)] {
        for place in Place::ALL {
            let refused = gate.send(&Head::presenting(&token, place)).map(|_| ()).unwrap_err();
            assert_eq!(refused, Reason::HeadersTooLarge, "{place:?}");
        }
    }
}

// === Class 15: the credential is fine, where it stands is not ===

#[test]
fn only_one_reading_of_the_authorization_field_is_accepted() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut gate = gate(&issuer);
    let token = Attacker::new(&issuer, &gate).good();
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "] {
        let head = Head::get("/").with("authorization", format!("{scheme}{token}"));
        assert!(gate.send(&head).is_ok(), "{scheme:?}");
    }
    for (value, reason) in [
        (format!("Bearer\t{token}"), Reason::CredentialMalformed),
        (format!("Bearer \t{token}"), Reason::CredentialMalformed),
        (format!("Bearer {token} "), Reason::CredentialMalformed),
        (format!("Bearer {token}\t"), Reason::CredentialMalformed),
        (format!(" Bearer {token}"), Reason::CredentialMalformed),
        (format!("\tBearer {token}"), Reason::CredentialMalformed),
        (format!("Bearer Bearer {token}"), Reason::CredentialMalformed),
        (format!("Bearer{token}"), Reason::CredentialMalformed),
        (format!("Bearer={token}"), Reason::CredentialMalformed),
        (format!("Bearer:{token}"), Reason::CredentialMalformed),
        (format!("Bearer: {token}"), Reason::CredentialMalformed),
        (format!("Bearer \"{token}\""), Reason::CredentialMalformed),
        (format!("Bearer token={token}"), Reason::TokenMalformed),
        (format!("Bearer\u{a0}{token}"), Reason::CredentialMalformed),
        (format!("Bearer \u{200b}{token}"), Reason::CredentialMalformed),
        (format!("DPoP {token}"), Reason::CredentialMalformed),
        (format!("Basic {token}"), Reason::CredentialMalformed),
        (format!("Token {token}"), Reason::CredentialMalformed),
        (format!("Bearer {token}, Bearer {token}"), Reason::HeaderConflict),
        (format!("Bearer {token},"), Reason::HeaderConflict),
        (format!("Bearer {token}\r\nx-admin: 1"), Reason::HeaderInvalid),
        (format!("Bearer {token}\0"), Reason::HeaderInvalid),
        (String::new(), Reason::CredentialMalformed),
        ("Bearer".to_owned(), Reason::CredentialMalformed),
        ("Bearer ".to_owned(), Reason::CredentialMalformed),
        (token.clone(), Reason::CredentialMalformed),
    ] {
        let refused = gate.send(&Head::get("/").with("authorization", &value)).map(|_| ());
        assert_eq!(refused, Err(reason), "{:?}", value.replace(&token, "TOKEN"));
    }
    let twice = Head::get("/").bearer(&token).bearer(&token);
    assert_eq!(gate.send(&twice).map(|_| ()), Err(Reason::HeaderConflict));
    for value in
        [format!("{token},{token}"), format!(" {token}"), format!("Bearer {token}"), String::new()]
    {
        assert!(gate.send(&Head::get("/").with("x-token", &value)).is_err(), "{value:?}");
    }
}

#[test]
fn two_credentials_are_one_too_many() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut gate = gate(&issuer);
    let token = Attacker::new(&issuer, &gate).good();
    for one in Place::ALL {
        for other in Place::ALL.into_iter().filter(|other| *other != one) {
            // The good one first and last; also beside one that is malformed.
            for second in [token.as_str(), "x"] {
                let mut head = Head::presenting(&token, one);
                for (name, value) in Head::presenting(second, other).0 {
                    if other == Place::Query && name == ":path" {
                        head.0.retain(|(name, _)| name != ":path");
                        head = head.with(":path", value);
                    } else if !name.starts_with(':') {
                        head = head.with(&name, value);
                    }
                }
                let refused = gate.send(&head).map(|_| ());
                assert_eq!(refused, Err(Reason::CredentialConflict), "{one:?} and {other:?}");
            }
        }
    }
}

#[test]
fn parameters_are_found_however_their_names_are_written() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut gate = gate(&issuer);
    let token = Attacker::new(&issuer, &gate).good();
    for path in [
        format!("/?access_token={token}"),
        format!("/?access%5Ftoken={token}"),
        format!("/?%61ccess%5ftoken={}", token.replace('.', "%2E")),
        format!("/?a=1&&access_token={token}&"),
    ] {
        let upstream = gate.send(&Head::get(&path)).unwrap();
        assert!(!upstream.shows(&token), "{}", upstream.path());
        assert!(!upstream.path().contains("ccess"), "{}", upstream.path());
    }
    for (path, reason) in [
        (format!("/?access_token={token}&access_token={token}"), Reason::CredentialConflict),
        (format!("/?access_token={token}&%61ccess_token=x"), Reason::CredentialConflict),
        (format!("/?access_token=&access_token={token}"), Reason::CredentialConflict),
        (format!("/?access_token={token}&access_token"), Reason::CredentialConflict),
        ("/?access_token".to_owned(), Reason::CredentialMalformed),
        ("/?access_token=".to_owned(), Reason::CredentialMalformed),
        (format!("/?access_token=Bearer%20{token}"), Reason::CredentialMalformed),
        (format!("/?access_token=+{token}"), Reason::CredentialMalformed),
        (format!("/?access_token={token}%00"), Reason::CredentialMalformed),
        (format!("/?Access_Token={token}"), Reason::CredentialMissing),
        (format!("/?access_token[]={token}"), Reason::CredentialMissing),
        (format!("/?a;access_token={token}"), Reason::CredentialMissing),
        (format!("/a;access_token={token}"), Reason::CredentialMissing),
        (format!("/;access_token={token}"), Reason::PathInvalid),
        (format!("/access_token={token}"), Reason::CredentialMissing),
    ] {
        let refused = gate.send(&Head::get(&path)).map(|_| ());
        assert_eq!(refused, Err(reason), "{:?}", path.replace(&token, "TOKEN"));
    }
}

#[test]
fn cookies_are_found_once() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut gate = gate(&issuer);
    let token = Attacker::new(&issuer, &gate).good();
    for value in [
        format!("session={token}"),
        format!("a=1;session={token};b=2"),
        format!("session=\"{token}\""),
        format!("  session = {token} ;"),
    ] {
        let upstream = gate.send(&Head::get("/").with("cookie", &value)).unwrap();
        assert!(!upstream.shows(&token) && !upstream.shows("session"), "{upstream:?}");
    }
    let split = Head::get("/").with("cookie", "a=1").with("cookie", format!("session={token}"));
    assert_eq!(gate.send(&split).unwrap().all("cookie"), ["a=1"]);
    for values in [
        vec![format!("session={token}; session={token}")],
        vec![format!("session=x; session={token}")],
        vec![format!("session={token}"), "session=x".to_owned()],
        vec![format!("session={token}"), "session=".to_owned()],
    ] {
        let fields = |head: Head, value: &String| head.with("cookie", value);
        let refused = gate.send(&values.iter().fold(Head::get("/"), fields)).map(|_| ());
        assert_eq!(refused, Err(Reason::CredentialConflict), "{values:?}");
    }
    for (value, reason) in [
        (format!("Session={token}"), Reason::CredentialMissing),
        (format!("a=session={token}"), Reason::CredentialMissing),
        (format!("session%3D={token}"), Reason::CredentialMissing),
        ("session=".to_owned(), Reason::CredentialMalformed),
        (format!("session=Bearer {token}"), Reason::CredentialMalformed),
        (format!("session={token},{token}"), Reason::CredentialMalformed),
    ] {
        let refused = gate.send(&Head::get("/").with("cookie", &value)).map(|_| ());
        assert_eq!(refused, Err(reason), "{:?}", value.replace(&token, "TOKEN"));
    }
}
