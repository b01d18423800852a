//! The backend that proves nothing.

use std::sync::Arc;

use mach_core::{Fault, Verdict};
use mach_prove::{
    BackendName, Native, Program, Proof, ProofBackend, ProofRequest, ProveError, RequestError,
    Task, Worth, guest::Refusal,
};
use mach_verify::{Evidence, verify_block};

use crate::fixture::{CONTEXT, HONEST, LIES, input, recorded};

#[tokio::test]
async fn what_the_native_backend_gives_is_no_proof() {
    let backend: Arc<dyn ProofBackend> = Arc::new(Native);
    assert_eq!(backend.name().worth(), Worth::NotAProof);
    let request = ProofRequest::block(&input("lie-state-root", Task::Accuse)).unwrap();
    let proof = backend.prove(&request, &|_| {}).await.unwrap();
    assert!(proof.proof.is_empty());
    assert_eq!(proof.journal, *request.journal());
    let verified = backend.verify(&proof).await;
    assert!(matches!(
        verified,
        Err(ProveError::NotAProof(BackendName::Native))
    ));
    assert_eq!(Proof::parse(&proof.to_json()).unwrap(), proof);
}

#[test]
fn evidence_becomes_a_request_with_the_same_fault() {
    for lie in LIES {
        let (spec, record) = recorded(&format!("lie-{lie}"));
        let verdict = verify_block(&spec, &record.block, &record.witness).unwrap();
        let fault = verdict.fault().unwrap().clone();
        let evidence = Evidence::new(spec, record, fault.clone()).unwrap();
        let request = ProofRequest::from_evidence(CONTEXT, &evidence).unwrap();
        assert_eq!(request.program(), Program::Block);
        assert_eq!(request.journal().fault, fault.code());
        assert_eq!(request.journal().claimed, fault.words().claimed);
        let again = ProofRequest::from_evidence(CONTEXT, &evidence).unwrap();
        assert_eq!(again.digest(), request.digest());
        assert_eq!(again, request);
    }
}

#[test]
fn a_wrong_output_root_becomes_a_request_of_the_output_program() {
    let (spec, record) = recorded("isthmus");
    let verdict = verify_block(&spec, &record.block, &record.witness).unwrap();
    let Verdict::Valid(summary) = verdict else {
        panic!()
    };
    let claimed = alloy_primitives::B256::repeat_byte(1);
    let fault = mach_verify::verify_output_proposal(&summary, claimed).unwrap();
    assert!(matches!(fault, Fault::OutputRoot(_)));
    let evidence = Evidence::new(spec, record, fault).unwrap();
    let request = ProofRequest::from_evidence(CONTEXT, &evidence).unwrap();
    assert_eq!(request.program(), Program::Output);
    assert_eq!(request.journal().claimed, claimed);
    assert_eq!(Some(request.journal().computed), summary.output_root);
}

#[test]
fn there_is_no_request_that_the_guest_refuses() {
    for name in HONEST {
        let refused = ProofRequest::block(&input(name, Task::Accuse));
        assert!(matches!(
            refused,
            Err(RequestError::Refused(Refusal::RightBlock(_)))
        ));
    }
}
