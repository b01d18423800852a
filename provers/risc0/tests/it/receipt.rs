//! The receipt that `risc0-ethereum-contracts` 3.0.1 (Apache-2.0) ships: a Groth16 proof that a program
//! of theirs said a few words. RISC Zero's own Solidity verifier takes it.

use mach_prover_risc0::seal::{encode, verify};
use risc0_zkvm::{
    Digest, FakeReceipt, Groth16Receipt, Groth16ReceiptVerifierParameters, InnerReceipt,
    MaybePruned, Receipt, ReceiptClaim, sha::Digestible,
};

const SEAL: &str = "73c457ba2ccb718fd9092cc11546eeded62a44d3ed274076dd3ec154fae8739f3432050b2005be2c\
    5dbe6c08bfd04b30601a462540962bc26a2f38c5cfc0a4d76d8f1b8015e690a1b230081234867edeedb2f98bcdf33d04\
    71c2aa5e8db63b72333f871527eb5d1fcf0a7af50fb8f42e8699e2c4eda3cd93f4e2a930096ae78e38bea4020c5c3d96\
    3dc453b4b302170e47c0cf53382255143c8fcef474d8b6eaaa8daaaf092c2f650809a3afbd122ef128cb882c2de7a6cc\
    ddd2e544b645fa3fedf6bcc92e09be04876a07778231fd5b93305d35fd8af23f040a11682a8c64130370804f28f07a76\
    fa538755276e42c04b5f7eb97b04b68b65fa50e3181a0452069a3667";
const IMAGE_ID: &str = "11d264ed8dfdee222b820f0278e4d7f55d4b69a5472253a471c102265a91ea1a";
pub(crate) const JOURNAL: &[u8] = b"just a simple receipt";

pub(crate) fn image_id() -> Digest {
    Digest::try_from(&bytes(IMAGE_ID)[..]).unwrap()
}

/// Selector and seal.
pub(crate) fn proof() -> Vec<u8> {
    bytes(SEAL)
}

/// As a service gives it.
pub(crate) fn receipt(journal: &[u8]) -> Receipt {
    let claim = MaybePruned::Value(ReceiptClaim::ok(image_id(), JOURNAL.to_vec()));
    let parameters = Groth16ReceiptVerifierParameters::default().digest();
    let inner = Groth16Receipt::new(proof()[4..].to_vec(), claim, parameters);
    Receipt::new(InnerReceipt::Groth16(inner), journal.to_vec())
}

/// As only a development prover gives it.
pub(crate) fn fake() -> Receipt {
    let claim = ReceiptClaim::ok(image_id(), JOURNAL.to_vec());
    Receipt::new(
        InnerReceipt::Fake(FakeReceipt::new(claim)),
        JOURNAL.to_vec(),
    )
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

#[test]
fn a_genuine_receipt_is_taken_in_the_bytes_that_the_contract_takes() {
    verify(image_id(), JOURNAL, &proof()).unwrap();
    assert_eq!(encode(&receipt(JOURNAL).inner).unwrap(), proof());
    let error = encode(&fake().inner).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the receipt is neither a Groth16 nor a composite one"
    );
}

#[test]
fn whatever_is_altered_is_refused() {
    let good = proof();
    let refused = |id: Digest, journal: &[u8], proof: &[u8]| {
        verify(id, journal, proof).unwrap_err().to_string()
    };
    let verifies = "the proof does not verify";
    assert!(refused(Digest::ZERO, JOURNAL, &good).starts_with(verifies));
    assert!(refused(image_id(), b"just a simple receipy", &good).starts_with(verifies));
    let malformed = "the bytes are not the encoding of a proof";
    let longer = [&good[..], &[0]].concat();
    for bad in [
        &[][..],
        &good[..4],
        &good[..259],
        &longer,
        b"comp",
        b"compcomp",
    ] {
        assert_eq!(refused(image_id(), JOURNAL, bad), malformed);
    }
    // Every bit of it.
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(image_id(), JOURNAL, &bad).is_err(), "bit {bit}");
    }
}
