//! Bundles that strangers send.

use mach_verify::{
    Bundle, ChainSpec, Evidence, cross_check::ConsistencyEvidence, derive::DerivationEvidence,
    op::L1Evidence,
};

/// A bundle of any kind: what is read is written so that it reads the same, and says what it says
/// or nothing. Its rules are written so that they read the same too.
pub fn evidence(data: &[u8]) {
    if let Some((evidence, _)) = written_and_read::<Evidence>(data) {
        let rules = serde_json::to_string(evidence.spec()).expect("rules are numbers and names");
        let spec: ChainSpec = serde_json::from_str(&rules).expect("what was read is written");
        assert_eq!(spec.hash(), evidence.spec().hash());
        if let Ok(verdict) = evidence.replay() {
            let fault = verdict.fault().expect("evidence is of a fault");
            assert_eq!(fault.code(), evidence.fault().code());
        }
    }
    if let Some((evidence, again)) = written_and_read::<L1Evidence>(data) {
        assert_eq!(evidence, again);
        if let Ok(fault) = evidence.replay() {
            assert_eq!(&fault, evidence.fault());
        }
    }
    if let Some((evidence, again)) = written_and_read::<DerivationEvidence>(data) {
        assert_eq!(evidence, again);
        if let Ok(fault) = evidence.replay() {
            assert_eq!(&fault, evidence.fault());
        }
    }
    if let Some((evidence, again)) = written_and_read::<ConsistencyEvidence>(data) {
        assert_eq!(evidence, again);
        if let Ok(fault) = evidence.replay() {
            assert_eq!(&fault, evidence.fault());
        }
    }
}

/// The bundle in `data`, if there is one, and what it is after it was written once more.
fn written_and_read<B: Bundle>(data: &[u8]) -> Option<(B, B)> {
    let bundle = B::parse(data).ok()?;
    let json = (bundle.to_json().ok()).expect("rules are numbers and names");
    let again = (B::parse(&json).ok()).expect("what was read is written");
    assert_eq!(again.to_json().ok(), Some(json));
    Some((bundle, again))
}
