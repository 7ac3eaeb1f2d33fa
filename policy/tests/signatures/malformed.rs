//! Signatures that lax verifiers accept, in the manner of Wycheproof: numbers out of range, other encodings, padding that
//! is nearly right.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use portcullis_policy::Reason;
use portcullis_policy::identity::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::issuer::{Host, Issuer, decode, encode, verify, verify_on, with_signature};

/// The signed part and the signature of a good token.
fn good(issuer: &Issuer, parameters: &Value) -> (String, Vec<u8>) {
    let token = issuer.token(parameters);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed.to_owned(), decode(signature))
}

/// Refused, without a host that says yes to anything being asked.
fn assert_refused(issuer: &Issuer, signed: &str, signature: &[u8], why: &str) {
    let mut host = Host::gullible();
    let verdict = verify_on(&issuer.keys(), &with_signature(signed, signature), &mut host);
    assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{:?}: {why}", issuer.algorithm);
    assert!(host.asked.is_empty(), "{:?}: {why}: the host was asked", issuer.algorithm);
}

// === ECDSA ===

const ORDERS: [(Algorithm, &str); 3] = [
    (Algorithm::Es256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    (
        Algorithm::Es384,
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (
        Algorithm::Es512,
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The sum of two numbers in big-endian bytes of the same length, if it fits.
fn sum(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let mut sum: Vec<u8> = (one.iter().rev().zip(other.iter().rev()))
        .map(|(a, b)| {
            let digit = u16::from(*a) + u16::from(*b) + carry;
            carry = digit >> 8;
            digit as u8
        })
        .collect();
    sum.reverse();
    (carry == 0).then_some(sum)
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if number[0] & 0x80 == 0 { vec![] } else { vec![0] };
        [vec![2, (number.len() + sign.len()) as u8], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    match body.len() {
        length @ ..=127 => [vec![0x30, length as u8], body].concat(),
        length => [vec![0x30, 0x81, length as u8], body].concat(),
    }
}

#[test]
fn ecdsa_numbers_are_in_range_and_in_place() {
    for (algorithm, order) in ORDERS {
        let issuer = Issuer::new(algorithm);
        let order = unhex(order);
        let length = order.len();
        let (signed, signature) = good(&issuer, &json!({}));
        let (r, s) = signature.split_at(length);
        let zero = vec![0; length];
        let mut one = zero.clone();
        one[length - 1] = 1;
        let above = sum(&order, &one).unwrap();
        let ones = vec![0xff; length];
        let refused = |r: &[u8], s: &[u8], why: &str| {
            assert_refused(&issuer, &signed, &[r, s].concat(), why);
        };
        refused(&zero, &zero, "r and s are zero (CVE-2022-21449)");
        for (number, why) in
            [(&zero, "zero"), (&order, "n"), (&above, "n + 1"), (&ones, "all ones")]
        {
            refused(number, s, &format!("r is {why}"));
            refused(r, number, &format!("s is {why}"));
            refused(number, number, &format!("both are {why}"));
        }
        // The same numbers modulo the order; only P-521 has room for them.
        if let Some(r) = sum(r, &order) {
            refused(&r, s, "r + n");
        }
        if let Some(s) = sum(s, &order) {
            refused(r, &s, "s + n");
        }
        assert_refused(&issuer, &signed, &der(r, s), "DER");
        assert_refused(&issuer, &signed, &signature[..2 * length - 1], "a byte is missing");
        assert_refused(&issuer, &signed, &signature[1..], "the first byte is missing");
        assert_refused(&issuer, &signed, &[&signature, [0].as_slice()].concat(), "a byte too many");
        assert_refused(&issuer, &signed, &[[0].as_slice(), &signature].concat(), "a zero in front");
        let longer = [[0].as_slice(), r, &[0], s].concat();
        assert_refused(&issuer, &signed, &longer, "numbers of a byte more");
        // In range, but wrong.
        let swapped = with_signature(&signed, &[s, r].concat());
        assert_eq!(verify(&issuer.keys(), &swapped), Err(Reason::TokenSignatureInvalid));
        let ones = with_signature(&signed, &[one.as_slice(), &one].concat());
        assert_eq!(verify(&issuer.keys(), &ones), Err(Reason::TokenSignatureInvalid));
    }
}

// === Ed25519 ===

#[test]
fn ed25519_signatures_have_one_form() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let (signed, signature) = good(&issuer, &json!({}));
    let (r, s) = signature.split_at(32);
    let order = unhex("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
    let s_reversed: Vec<u8> = s.iter().rev().copied().collect();
    let mut larger = sum(&s_reversed, &order).unwrap();
    larger.reverse();
    assert_refused(&issuer, &signed, &[r, &larger].concat(), "S + L (RFC 8032 §8.4)");
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    for small in [identity, [0; 32], order_two] {
        assert_refused(&issuer, &signed, &[small, [0; 32]].concat(), "R of small order, S zero");
        assert_refused(&issuer, &signed, &[small.as_slice(), s].concat(), "R of small order");
    }
    assert_refused(&issuer, &signed, &[0xff; 64], "all ones");
    assert_refused(&issuer, &signed, &signature[..63], "a byte is missing");
    assert_refused(&issuer, &signed, &[&signature, [0].as_slice()].concat(), "a byte too many");
    assert_refused(&issuer, &signed, &[s, r].concat(), "S and R");
}

// === RSA ===

/// Of the key in rsa.pem, RFC 7520 section 3.4.
const PRIVATE_EXPONENT: &str = "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ";

/// Signs an encoded message as it stands, right or wrong.
fn sign_raw(issuer: &Issuer, encoded: &[u8]) -> Vec<u8> {
    let modulus = decode(issuer.jwk["n"].as_str().unwrap());
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).unwrap();
    let parameters = BoxedMontyParams::new_vartime(Odd::new(number(&modulus)).unwrap());
    let base = BoxedMontyForm::new(number(encoded), &parameters);
    base.pow(&number(&decode(PRIVATE_EXPONENT))).retrieve().to_be_bytes().to_vec()
}

fn verdict_of_encoded(issuer: &Issuer, signed: &str, encoded: &[u8]) -> Result<(), Reason> {
    verify(&issuer.keys(), &with_signature(signed, &sign_raw(issuer, encoded)))
}

#[test]
fn pkcs1_padding_is_compared_and_not_parsed() {
    let issuer = Issuer::new(Algorithm::Rs256);
    let (signed, _) = good(&issuer, &json!({}));
    let digest = Sha256::digest(&signed).to_vec();
    let info = |prefix: &str, rest: &[u8]| [unhex(prefix), rest.to_vec()].concat();
    let right = info("3031300d060960864801650304020105000420", &digest);
    let padded =
        |info: &[u8]| [[0, 1].as_slice(), &vec![0xff; 253 - info.len()], &[0], info].concat();
    // The rest means something only if the right one is accepted.
    assert_eq!(verdict_of_encoded(&issuer, &signed, &padded(&right)), Ok(()));
    let mut last_ff = padded(&right);
    last_ff[100] = 0xfe;
    let mut type_two = padded(&right);
    type_two[1] = 2;
    let mut type_zero = padded(&right);
    type_zero[1] = 0;
    let mut no_separator = padded(&right);
    no_separator[256 - right.len() - 1] = 0xff;
    let mut nonzero_start = padded(&right);
    nonzero_start[0] = 1;
    // Few bytes of padding, and room for whatever makes the rest a cube (CVE-2006-4339).
    let garbage =
        [[0, 1].as_slice(), &[0xff; 8], &[0], &right, &vec![7; 245 - right.len()]].concat();
    let parameters = info("3031300d060960864801650304020104000420", &digest);
    for (encoded, why) in [
        (padded(&info("302f300b06096086480165030402010420", &digest)), "no NULL"),
        (padded(&info("308131300d060960864801650304020105000420", &digest)), "a length in BER"),
        (padded(&info("3033300f0609608648016503040201050200000420", &digest)), "NULL with content"),
        (padded(&parameters), "parameters in place of NULL"),
        (padded(&info("3021300906052b0e03021a05000414", &digest[..20])), "SHA-1"),
        (
            padded(&info(
                "3041300d060960864801650304020205000430",
                &[&digest, &digest[..16]].concat(),
            )),
            "SHA-384",
        ),
        (padded(&digest), "a digest alone"),
        (padded(&[&right, [0].as_slice()].concat()), "a byte behind"),
        (garbage, "garbage behind"),
        (last_ff, "padding that is not all ones"),
        (type_two, "block type 2"),
        (type_zero, "block type 0"),
        (no_separator, "no separator"),
        (nonzero_start, "a one in front"),
        (vec![0; 256], "zero"),
    ] {
        let verdict = verdict_of_encoded(&issuer, &signed, &encoded);
        assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{why}");
    }
}

/// EMSA-PSS-ENCODE (RFC 8017 section 9.1.1) with everything that can be got wrong.
struct Pss {
    salt: Vec<u8>,
    prefix: [u8; 8],
    padding: u8,
    separator: u8,
    trailer: u8,
    top_bits: u8,
    mask: fn(&[u8], usize) -> Vec<u8>,
}

fn mgf1<D: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let block = |counter: u32| {
        D::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize().to_vec()
    };
    (0..).flat_map(block).take(length).collect()
}

impl Default for Pss {
    fn default() -> Self {
        let (prefix, padding, separator, trailer, top_bits) = ([0; 8], 0, 1, 0xbc, 0);
        Self {
            salt: vec![9; 32],
            prefix,
            padding,
            separator,
            trailer,
            top_bits,
            mask: mgf1::<Sha256>,
        }
    }
}

impl Pss {
    fn encode(&self, message: &[u8]) -> Vec<u8> {
        let digest = Sha256::digest(message);
        let hash = Sha256::new().chain_update(self.prefix).chain_update(digest);
        let hash = hash.chain_update(&self.salt).finalize();
        let mut block = vec![0; 223 - self.salt.len() - 1];
        block[100] = self.padding;
        block.push(self.separator);
        block.extend(&self.salt);
        let mask = (self.mask)(&hash, block.len());
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        block[0] = block[0] & 0x7f | self.top_bits;
        [block, hash.to_vec(), vec![self.trailer]].concat()
    }
}

#[test]
fn pss_padding_is_verified_in_full() {
    let issuer = Issuer::new(Algorithm::Ps256);
    let (signed, _) = good(&issuer, &json!({}));
    let verdict = |pss: &Pss| verdict_of_encoded(&issuer, &signed, &pss.encode(signed.as_bytes()));
    assert_eq!(verdict(&Pss::default()), Ok(()));
    for (pss, why) in [
        (Pss { salt: vec![], ..Pss::default() }, "no salt"),
        (Pss { salt: vec![9; 31], ..Pss::default() }, "a salt that is too short"),
        (Pss { salt: vec![9; 33], ..Pss::default() }, "a salt that is too long"),
        (Pss { prefix: [1; 8], ..Pss::default() }, "a prefix that is not zero"),
        (Pss { padding: 1, ..Pss::default() }, "padding that is not zero"),
        (Pss { separator: 2, ..Pss::default() }, "another separator"),
        (Pss { separator: 0, ..Pss::default() }, "no separator"),
        (Pss { trailer: 0xcc, ..Pss::default() }, "another trailer"),
        (Pss { mask: mgf1::<Sha512>, ..Pss::default() }, "a mask by another hash"),
        (Pss { mask: |_, length| vec![0; length], ..Pss::default() }, "no mask"),
    ] {
        assert_eq!(verdict(&pss), Err(Reason::TokenSignatureInvalid), "{why}");
    }
    // The highest bit is one more than the encoded message has. Above the modulus it is no message at all.
    let top = Pss { top_bits: 0x80, ..Pss::default() }.encode(signed.as_bytes());
    let modulus = decode(issuer.jwk["n"].as_str().unwrap());
    if top < modulus {
        let verdict = verdict_of_encoded(&issuer, &signed, &top);
        assert_eq!(verdict, Err(Reason::TokenSignatureInvalid));
    }
}

#[test]
fn rsa_signatures_are_numbers_below_the_modulus_in_as_many_bytes() {
    for issuer in Issuer::all().filter(|issuer| issuer.jwk["kty"] == "RSA") {
        let modulus = decode(issuer.jwk["n"].as_str().unwrap());
        let (signed, signature) = good(&issuer, &json!({}));
        let refused = |signature: &[u8], why| assert_refused(&issuer, &signed, signature, why);
        refused(&modulus, "n");
        refused(&[0xff; 256], "all ones");
        refused(&signature[..255], "a byte is missing");
        refused(&[&signature, [0].as_slice()].concat(), "a byte too many");
        refused(&[[0].as_slice(), &signature].concat(), "a zero in front");
        let mut one = vec![0; 256];
        one[255] = 1;
        let mut below = modulus.clone();
        below[255] -= 1;
        for fixed_point in [vec![0; 256], one, below] {
            let verdict = verify(&issuer.keys(), &with_signature(&signed, &fixed_point));
            assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{:?}", issuer.algorithm);
        }
    }
}

#[test]
fn the_same_rsa_signature_cannot_be_written_in_two_ways() {
    let issuer = Issuer::new(Algorithm::Rs256);
    let modulus = decode(issuer.jwk["n"].as_str().unwrap());
    let (mut zeros, mut sums) = (0, 0);
    for salt in 0.. {
        let (signed, signature) = good(&issuer, &json!({"x": salt}));
        if let Some(larger) = sum(&signature, &modulus) {
            assert_refused(&issuer, &signed, &larger, "s + n");
            sums += 1;
        }
        if signature[0] == 0 {
            assert_refused(&issuer, &signed, &signature[1..], "without its zero");
            assert_eq!(verify(&issuer.keys(), &with_signature(&signed, &signature)), Ok(()));
            zeros += 1;
        }
        if zeros > 0 && sums > 0 {
            break;
        }
        assert!(salt < 5000, "{zeros} {sums}");
    }
    assert!(encode(&modulus).len() == 342);
}
