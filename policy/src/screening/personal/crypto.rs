//! Addresses of cryptocurrencies, and keys to them.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use super::bytes::{at, before, cut, long_words};
use super::words::Topic;
use super::{Kind, Scan};

/// The words that are looked at: an extended key has 111 characters.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 14..=120;

pub(super) fn find(scan: &mut Scan<'_>) {
    let text = scan.text;
    for Range { start, end } in long_words(text, *WORD_BYTES.start()) {
        if !WORD_BYTES.contains(&(end - start)) || before(text, start) == b'_' {
            continue;
        }
        let word = cut(text, start, end);
        let found = match word.len() {
            42 if word.starts_with(b"0x") && is_ethereum(word) => {
                Some((Kind::CryptoAddress, "ethereum", 0.9))
            }
            66 if word.starts_with(b"0x") => None,
            25..=36 => base58check(word).map(|_| (Kind::CryptoAddress, "base58check", 0.99)),
            // Keys in the wallet import format, extended private keys.
            51 | 52 if base58check(word).is_some_and(|version| matches!(version, 0x80 | 0xEF)) => {
                Some((Kind::PrivateKey, "wallet_import_format", 0.99))
            }
            111 if word.starts_with(b"xprv") && base58check(word).is_some() => {
                Some((Kind::PrivateKey, "extended_private_key", 0.99))
            }
            43 | 44 if is_solana(scan, start, end) => Some((Kind::CryptoAddress, "solana", 0.7)),
            _ => None,
        };
        let found = found.or_else(|| bech32_address(word));
        if let Some((kind, rule, score)) = found {
            scan.report(kind, rule, start..end, score);
        }
    }
}

/// The version of what is encoded with a checksum (Bitcoin and those that came after it).
fn base58check(word: &[u8]) -> Option<u8> {
    let has_both = word.iter().any(u8::is_ascii_digit) && word.iter().any(u8::is_ascii_alphabetic);
    if !has_both || word.iter().any(|byte| b"0OIl".contains(byte)) {
        return None;
    }
    let bytes = bs58::decode(word).into_vec().ok()?;
    let (payload, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let digest = Sha256::digest(Sha256::digest(payload));
    (payload.len() >= 21 && digest.get(..4) == Some(checksum)).then(|| payload.first().copied())?
}

fn is_ethereum(word: &[u8]) -> bool {
    let address = word.get(2..).unwrap_or_default();
    if !address.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| address.iter().any(is);
    if !(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)) {
        return !address.iter().all(|byte| address.first() == Some(byte));
    }
    // ERC-55: the digest of the address in small letters says which are capitals.
    let digest = Keccak256::digest(address.to_ascii_lowercase());
    address.iter().enumerate().all(|(place, byte)| {
        let byte_of_digest = at(&digest, place / 2);
        let nibble = if place % 2 == 0 { byte_of_digest >> 4 } else { byte_of_digest & 15 };
        !byte.is_ascii_alphabetic() || byte.is_ascii_uppercase() == (nibble >= 8)
    })
}

fn bech32_address(word: &[u8]) -> Option<(Kind, &'static str, f32)> {
    const PREFIXES: [&[u8]; 9] =
        [b"bc1", b"tb1", b"bcrt1", b"ltc1", b"addr1", b"stake1", b"cosmos1", b"age1", b"AGE-"];
    let is_known = PREFIXES.iter().any(|prefix| {
        word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    if !is_known {
        return None;
    }
    let text = std::str::from_utf8(word).ok()?;
    let is_segwit = bech32::segwit::decode(text).is_ok();
    let is_other = || {
        use bech32::{Bech32, Bech32m, primitives::decode::CheckedHrpstring};
        CheckedHrpstring::new::<Bech32>(text).is_ok()
            || CheckedHrpstring::new::<Bech32m>(text).is_ok()
    };
    (is_segwit || is_other()).then_some((Kind::CryptoAddress, "bech32", 0.99))
}

/// 32 bytes without a checksum: only beside a word that says so.
fn is_solana(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    scan.sightings.is_near(Topic::Wallet, &(start..end), 40, 16)
        && bs58::decode(cut(scan.text, start, end)).into_vec().is_ok_and(|bytes| bytes.len() == 32)
}
