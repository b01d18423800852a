//! The vectors of Ethereum's consensus layer: keys in G1, signatures in G2.

use mach_bls::PointError;
use mach_bls::bls12_381::min_pk::{
    DecodeError, PublicKey, SecretKey, Signature, hash_to_g2, verify_batch,
};
use serde::Deserialize;

use super::{File, bytes};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<I, O> {
    input: I,
    output: O,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSign {
    privkey: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    pubkey: String,
    message: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedByMany {
    pubkeys: Vec<String>,
    message: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManySigned {
    pubkeys: Vec<String>,
    messages: Vec<String>,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    pubkeys: Vec<String>,
    messages: Vec<String>,
    signatures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    msg: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coordinates {
    x: String,
    y: String,
}

fn key(text: &str) -> Result<PublicKey, DecodeError> {
    PublicKey::from_bytes(&bytes(text))
}

fn signature(text: &str) -> Result<Signature, DecodeError> {
    Signature::from_bytes(&bytes(text))
}

/// All of them, or none if one is not valid.
fn keys(texts: &[String]) -> Option<Vec<PublicKey>> {
    texts.iter().map(|text| key(text).ok()).collect()
}

pub(super) fn sign(file: &File) {
    let case: Case<ToSign, Option<String>> = file.json();
    let secret: [u8; 32] = bytes(&case.input.privkey).try_into().unwrap();
    let signed = SecretKey::from_bytes(&secret)
        .ok()
        .map(|key| key.sign(&bytes(&case.input.message)).to_bytes().to_vec());
    assert_eq!(
        signed,
        case.output.map(|text| bytes(&text)),
        "{}",
        file.name
    );
}

pub(super) fn verify(file: &File) {
    let Case { input, output }: Case<Signed, bool> = file.json();
    let valid = match (key(&input.pubkey), signature(&input.signature)) {
        (Ok(key), Ok(signature)) => signature.verify(&bytes(&input.message), &key),
        _ => false,
    };
    assert_eq!(valid, output, "{}", file.name);
}

pub(super) fn aggregate(file: &File) {
    let case: Case<Vec<String>, Option<String>> = file.json();
    let signatures: Vec<_> = case.input.iter().map(|it| signature(it).unwrap()).collect();
    let sum = Signature::aggregate(&signatures).map(|sum| sum.to_bytes().to_vec());
    assert_eq!(sum, case.output.map(|text| bytes(&text)), "{}", file.name);
}

pub(super) fn aggregate_verify(file: &File) {
    let Case { input, output }: Case<ManySigned, bool> = file.json();
    let messages: Vec<_> = input.messages.iter().map(|text| bytes(text)).collect();
    let valid = match (keys(&input.pubkeys), signature(&input.signature)) {
        (Some(keys), Ok(signature)) => {
            let messages = messages.iter().map(Vec::as_slice);
            let pairs: Vec<_> = keys.into_iter().zip(messages).collect();
            signature.aggregate_verify(&pairs)
        }
        _ => false,
    };
    assert_eq!(valid, output, "{}", file.name);
}

pub(super) fn fast_aggregate_verify(file: &File) {
    let Case { input, output }: Case<SignedByMany, bool> = file.json();
    let valid = match (keys(&input.pubkeys), signature(&input.signature)) {
        (Some(keys), Ok(signature)) => {
            signature.fast_aggregate_verify(&bytes(&input.message), &keys)
        }
        _ => false,
    };
    assert_eq!(valid, output, "{}", file.name);
}

pub(super) fn batch_verify(file: &File) {
    let Case { input, output }: Case<Batch, bool> = file.json();
    let messages: Vec<_> = input.messages.iter().map(|text| bytes(text)).collect();
    let signatures: Vec<_> = input
        .signatures
        .iter()
        .map(|text| signature(text).unwrap())
        .collect();
    let items: Vec<_> = keys(&input.pubkeys)
        .unwrap()
        .into_iter()
        .zip(messages.iter().map(Vec::as_slice))
        .zip(signatures)
        .map(|((key, message), signature)| (key, message, signature))
        .collect();
    assert_eq!(verify_batch(&items), output, "{}", file.name);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBytes {
    pubkey: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureBytes {
    signature: String,
}

/// The identity is a valid encoding, and no key.
pub(super) fn key_bytes(file: &File) {
    let Case { input, output }: Case<KeyBytes, bool> = file.json();
    match key(&input.pubkey) {
        Ok(key) => {
            assert!(output, "{}", file.name);
            assert_eq!(key.to_bytes().as_slice(), bytes(&input.pubkey));
        }
        Err(DecodeError::Point(PointError::Identity)) => assert!(output, "{}", file.name),
        Err(error) => assert!(!output, "{}: {error}", file.name),
    }
}

pub(super) fn signature_bytes(file: &File) {
    let Case { input, output }: Case<SignatureBytes, bool> = file.json();
    match signature(&input.signature) {
        Ok(signature) => {
            assert!(output, "{}", file.name);
            assert_eq!(signature.to_bytes().as_slice(), bytes(&input.signature));
        }
        Err(error) => assert!(!output, "{}: {error}", file.name),
    }
}

/// The tag is that of RFC 9380's own vectors.
pub(super) fn hash(file: &File) {
    let Case { input, output }: Case<Message, Coordinates> = file.json();
    let tag = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";
    let point = hash_to_g2(input.msg.as_bytes(), tag);
    let expected = [imaginary_first(&output.x), imaginary_first(&output.y)].concat();
    assert_eq!(
        point.to_uncompressed_bytes().as_slice(),
        expected,
        "{}",
        file.name
    );
}

/// `c0,c1`, in the order of the uncompressed form.
pub(super) fn imaginary_first(coordinate: &str) -> Vec<u8> {
    let (real, imaginary) = coordinate.split_once(',').unwrap();
    [bytes(imaginary), bytes(real)].concat()
}
