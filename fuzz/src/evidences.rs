//! Bundles that strangers send.

use mach_verify::{ChainSpec, Evidence, derive::DerivationEvidence, op::L1Evidence};

/// A bundle of any kind: what is read is written so that it reads the same, and says what it says
/// or nothing. Its rules are written so that they read the same too.
pub fn evidence(data: &[u8]) {
    if let Ok(evidence) = Evidence::parse(data) {
        let json = evidence.to_json();
        let again = Evidence::parse(&json).expect("what was read is written");
        assert_eq!(again.to_json(), json);
        let rules = serde_json::to_string(evidence.spec()).expect("rules are numbers and names");
        let spec: ChainSpec = serde_json::from_str(&rules).expect("what was read is written");
        assert_eq!(spec.hash(), evidence.spec().hash());
        if let Ok(verdict) = evidence.replay() {
            let fault = verdict.fault().expect("evidence is of a fault");
            assert_eq!(fault.code(), evidence.fault().code());
        }
    }
    if let Ok(evidence) = L1Evidence::parse(data) {
        let json = evidence.to_json().expect("rules are numbers and names");
        assert_eq!(L1Evidence::parse(&json).ok().as_ref(), Some(&evidence));
        if let Ok(fault) = evidence.replay() {
            assert_eq!(&fault, evidence.fault());
        }
    }
    if let Ok(evidence) = DerivationEvidence::parse(data) {
        let json = evidence.to_json().expect("rules are numbers and names");
        assert_eq!(
            DerivationEvidence::parse(&json).ok().as_ref(),
            Some(&evidence)
        );
        if let Ok(fault) = evidence.replay() {
            assert_eq!(&fault, evidence.fault());
        }
    }
}
