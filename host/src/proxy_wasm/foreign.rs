//! The foreign functions that Envoy offers to filters.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::abi::Status;
use super::protobuf;

/// Calls the foreign function `name`. What other functions Envoy has (`sign`, `compress`,
/// `expr_create`, …) is not found here, which a filter must expect of any host but Envoy.
pub(super) fn call(name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Status> {
    match name {
        b"verify_signature" => verify_signature(arguments),
        // Routes are the embedder's; it takes them after the filters have run.
        b"clear_route_cache" => Ok(Vec::new()),
        _ => Err(Status::NotFound),
    }
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// `VerifySignatureArguments` in, `VerifySignatureResult` out. Like Envoy it takes SHA-1 with RSA:
/// it is the filter that must pin the algorithm. ECDSA signatures are ASN.1 DER.
fn verify_signature(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let [hash, der, signature, text, pem] = protobuf::fields(arguments)?;
    let from_pem;
    let der = match (der.is_empty(), pem.is_empty()) {
        (false, true) => der,
        (true, false) => {
            from_pem =
                SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| Status::BadArgument)?;
            from_pem.as_ref()
        }
        _ => return Err(Status::BadArgument),
    };
    match verifies(hash, der, signature, text)? {
        // Field 1, a varint: true.
        Some(true) => Ok(vec![1 << 3, 1]),
        Some(false) => Ok(refusal("the signature does not verify")),
        None => Ok(refusal("unknown hash function, or one that the key does not go with")),
    }
}

/// Whether a signature verifies under a SubjectPublicKeyInfo in DER; none where the hash function is unknown or
/// does not go with the key.
pub(crate) fn verifies(
    hash: &[u8],
    der: &[u8],
    signature: &[u8],
    text: &[u8],
) -> Result<Option<bool>, Status> {
    let key = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| Status::BadArgument)?;
    let bits = key.subject_public_key.as_bytes().ok_or(Status::BadArgument)?;
    let algorithm = algorithm(&key, hash)?;
    Ok(algorithm
        .map(|algorithm| UnparsedPublicKey::new(algorithm, bits).verify(text, signature).is_ok()))
}

/// How signatures of this key over this hash verify; none if there is no way.
fn algorithm(
    key: &SubjectPublicKeyInfoRef<'_>,
    hash: &[u8],
) -> Result<Option<&'static dyn VerificationAlgorithm>, Status> {
    let hash = hash.to_ascii_lowercase();
    let algorithm: &'static dyn VerificationAlgorithm = if key.algorithm.oid == RSA {
        match hash.as_slice() {
            b"sha1" => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            b"sha256" => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            b"sha384" => &RSA_PKCS1_2048_8192_SHA384,
            b"sha512" => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            _ => return Ok(None),
        }
    } else if key.algorithm.oid == ELLIPTIC {
        let curve = key.algorithm.parameters_oid().map_err(|_| Status::BadArgument)?;
        match (curve, hash.as_slice()) {
            (P256, b"sha256") => &ECDSA_P256_SHA256_ASN1,
            (P256, b"sha384") => &ECDSA_P256_SHA384_ASN1,
            (P384, b"sha256") => &ECDSA_P384_SHA256_ASN1,
            (P384, b"sha384") => &ECDSA_P384_SHA384_ASN1,
            _ => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    Ok(Some(algorithm))
}

/// A result without `result = true`, which protobuf leaves off the wire.
fn refusal(reason: &str) -> Vec<u8> {
    let mut message = Vec::new();
    protobuf::push(&mut message, 2, reason.as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    /// The SPKI envelope of a P-256 key, up to the point.
    const P256_PREFIX: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];

    fn signed(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
                .unwrap();
        let signature = key.sign(&random, text).unwrap().as_ref().to_vec();
        ([P256_PREFIX, key.public_key().as_ref()].concat(), signature)
    }

    fn arguments(hash: &str, key: &[u8], signature: &[u8], text: &[u8], pem: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        for (number, value) in (1..).zip([hash.as_bytes(), key, signature, text, pem]) {
            protobuf::push(&mut message, number, value);
        }
        message
    }

    #[test]
    fn an_es256_signature_verifies_with_der_and_with_pem() {
        use base64::Engine as _;
        let (key, signature) = signed(b"text");
        let yes = Ok(vec![8, 1]);
        let call = |arguments: &[u8]| call(b"verify_signature", arguments);
        assert_eq!(call(&arguments("sha256", &key, &signature, b"text", b"")), yes);
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(&key)
        );
        assert_eq!(call(&arguments("sha256", b"", &signature, b"text", pem.as_bytes())), yes);
        let both = arguments("sha256", &key, &signature, b"text", pem.as_bytes());
        assert_eq!(call(&both), Err(Status::BadArgument));
        assert_eq!(
            call(&arguments("sha256", b"", &signature, b"t", b"")),
            Err(Status::BadArgument)
        );
    }

    /// Each with its own hash; Envoy writes the names in any case.
    #[test]
    fn every_hash_verifies_with_the_keys_it_goes_with() {
        use ring::signature::{
            ECDSA_P384_SHA384_ASN1_SIGNING, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
            RSA_PSS_SHA256, RsaKeyPair,
        };
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use spki::der::{Encode as _, asn1::BitStringRef};
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, document.as_ref(), &random)
                .unwrap();
        let envelope = |oid, parameters, key: &[u8]| {
            let algorithm = spki::AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
            let subject_public_key = BitStringRef::from_bytes(key).unwrap();
            SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap()
        };
        let p384 = envelope(ELLIPTIC, (&P384).into(), key.public_key().as_ref());
        let signature = key.sign(&random, b"text").unwrap();
        assert_eq!(verifies(b"sha384", &p384, signature.as_ref(), b"text"), Ok(Some(true)));
        assert_eq!(verifies(b"SHA384", &p384, signature.as_ref(), b"text"), Ok(Some(true)));
        assert_eq!(verifies(b"sha256", &p384, signature.as_ref(), b"text"), Ok(Some(false)));
        assert_eq!(verifies(b"sha512", &p384, signature.as_ref(), b"text"), Ok(None));

        let pem = include_bytes!("../../../policy/tests/signatures/rsa.pem");
        let private = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        let key = RsaKeyPair::from_pkcs8(private.secret_pkcs8_der()).unwrap();
        let rsa = envelope(RSA, spki::der::asn1::AnyRef::NULL, key.public_key().as_ref());
        let mut signature = vec![0; 256];
        for (encoding, hash) in [
            (&RSA_PKCS1_SHA256, "sha256"),
            (&RSA_PKCS1_SHA384, "sha384"),
            (&RSA_PKCS1_SHA512, "sha512"),
        ] {
            key.sign(encoding, &random, b"text", &mut signature).unwrap();
            for other in ["sha1", "sha256", "sha384", "sha512"] {
                let verdict = verifies(other.as_bytes(), &rsa, &signature, b"text");
                assert_eq!(verdict, Ok(Some(hash == other)), "{hash} {other}");
            }
        }
        // PSS is not what hosts verify.
        key.sign(&RSA_PSS_SHA256, &random, b"text", &mut signature).unwrap();
        assert_eq!(verifies(b"sha256", &rsa, &signature, b"text"), Ok(Some(false)));
    }

    #[test]
    fn a_forged_signature_does_not_verify() {
        let (key, signature) = signed(b"text");
        let result = |arguments: &[u8]| call(b"verify_signature", arguments).unwrap();
        let no = |message: Vec<u8>| message.first() == Some(&(2 << 3 | 2));
        assert!(no(result(&arguments("sha256", &key, &signature, b"other", b""))));
        assert!(no(result(&arguments("sha512", &key, &signature, b"text", b""))));
        assert!(no(result(&arguments("md5", &key, &signature, b"text", b""))));
        assert!(no(result(&arguments("sha256", &signed(b"text").0, &signature, b"text", b""))));
        assert_eq!(call(b"verify_signature", b"\xff"), Err(Status::BadArgument));
        assert_eq!(call(b"sign", b""), Err(Status::NotFound));
    }
}
