//! Infineon's RSA keys (CVE-2017-15361): whoever has the public key has the private one.

/// The primes up to 167. The library made its keys' factors as `k·M + (65537^a mod M)`, with M the product of the
/// primes up to some bound that was never lower.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

const GENERATOR: u32 = 65537;

/// Whether a modulus, in big-endian bytes, is one of these keys: such a modulus is a power of 65537 modulo each of the
/// primes. One in a hundred million of other keys looks like this too.
pub(super) fn is_fingerprinted(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let residue = residue(modulus, *prime);
        let generator = GENERATOR % prime;
        let mut power = 1;
        for _ in 1..*prime {
            if power == residue {
                return true;
            }
            power = power * generator % prime;
        }
        false
    })
}

/// Whether a small prime divides the modulus: no key that was meant to be one.
pub(super) fn has_small_factor(modulus: &[u8]) -> bool {
    PRIMES.iter().any(|prime| residue(modulus, *prime) == 0)
}

/// Never more than 167 · 256 on the way.
fn residue(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// The product of two primes of 1024 bits that were made in the way of the library.
    const WEAK: &str = "1Oqa4mfgnt57T3lZ2ckGpM5FbSS_S1S4J89ZvuYcq5R_UA_C6ySYlOKtT-qg3kIZ1xk-kRSASZFpx2yMrz4Ye\
        ZF3KHSzJ_4MFt4apowl_PP-OMIApvAK2G28YC3GX0WkBThHPI9ivwBN5RspYDb2ZTqGlmT5pb4Q4_Hkgih_87z97MgEdhzP4gkASNSBtV5q\
        kMLxE0T4OSLn7rb1IgP7NZjKyYfmBWz8sC6lHMQfjdm0aErV9H2JNbfJhVSALuHpZGWK9BlmgYMQdeDZ0KjAOtGRJkJzf41sW_DqLVHOo67\
        zDFyTmT-xVy3WSnX9sMaJY9SHJH5AhRZnD1oGZmA-BQ";

    /// The key of RFC 7515 appendix A.2.
    const SOUND: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1P\
        t0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9\
        e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj\
        8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

    #[test]
    fn tells_the_weak_from_the_sound() {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        assert!(is_fingerprinted(&decode(WEAK)));
        assert!(!is_fingerprinted(&decode(SOUND)));
        assert!(!has_small_factor(&decode(SOUND)) && !has_small_factor(&decode(WEAK)));
        let mut other = decode(WEAK);
        other[255] ^= 2;
        assert!(!is_fingerprinted(&other));
        assert!(has_small_factor(&[1, 67]), "323 is 17 times 19");
    }
}
