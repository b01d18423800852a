//! What the adapters hand on, and what they refuse themselves.

use alloy_primitives::{FixedBytes, hex};
use mach_contracts_bindings::zk::{
    Verifier,
    abi::{IOpenVmVerifierAdapter, IProofVerifier},
    deploy_verifier,
};

use super::*;

const PROGRAM: B256 = B256::repeat_byte(0x11);
const DIGEST: B256 = B256::repeat_byte(0x22);

sol! {
    // Source: risc0-ethereum-contracts 3.0.1, sp1-contracts 6, openvm-sdk 2.0.2.
    interface Verifiers {
        function verify(bytes seal, bytes32 imageId, bytes32 journalDigest) external view;
        function verifyProof(bytes32 programVKey, bytes publicValues, bytes proofBytes) external view;
    }
    interface OpenVm {
        function verify(bytes publicValues, bytes proofData, bytes32 appExeCommit, bytes32 appVmCommit) external view;
    }
}

/// A verifier that takes calldata with this hash, and else reverts as told.
async fn only(owner: &Submitter, calldata: &[u8], answer: &[u8]) -> Address {
    let mut code = hex!("365f5f37365f207f").to_vec();
    code.extend(keccak256(calldata));
    code.extend(hex!("1460"));
    let mut refuse = Vec::new();
    if !answer.is_empty() {
        refuse.push(0x63);
        refuse.extend(&answer[..4]);
        refuse.extend(hex!("60e01b5f5260045ffd"));
    } else {
        refuse.extend(hex!("5f5ffd"));
    }
    code.push((code.len() + 2 + refuse.len()) as u8);
    code.push(0x57);
    code.extend(refuse);
    code.extend(hex!("5b00"));
    let init = [
        &[0x60, code.len() as u8][..],
        &hex!("8060095f395ff3"),
        &code,
    ]
    .concat();
    owner.deploy(init.into()).await.unwrap().0
}

pub(super) struct Adapter {
    pub(super) world: World,
    pub(super) address: Address,
}

impl Adapter {
    async fn verify(&self, digest: B256, proof: &[u8]) -> Result<(), String> {
        self.verify_as(PROGRAM, digest, proof).await
    }

    /// The refusal in words if it is one.
    pub(super) async fn verify_as(
        &self,
        program: B256,
        digest: B256,
        proof: &[u8],
    ) -> Result<(), String> {
        let call = IProofVerifier::verifyCall {
            program,
            journalDigest: digest,
            proof: Bytes::copy_from_slice(proof),
        };
        let sent = self.world.stranger.call(self.address, &call).await;
        match sent {
            Ok(_) => Ok(()),
            refused => Err(refused.refusal()),
        }
    }
}

#[tokio::test]
async fn risc_zero_gets_seal_image_and_digest() {
    let world = World::new().await;
    let selector = hex!("73c457ba");
    let seal = [&selector[..], &[7; 256]].concat();
    let call = Verifiers::verifyCall {
        seal: seal.clone().into(),
        imageId: PROGRAM,
        journalDigest: DIGEST,
    };
    let failed = keccak256("VerificationFailed()");
    let verifier = only(&world.owner, &call.abi_encode(), &failed[..4]).await;
    let adapter = Verifier::RiscZero(verifier, selector.into());
    let address = deploy_verifier(&world.owner, adapter).await.unwrap();
    for development in [FixedBytes::<4>::ZERO, FixedBytes::repeat_byte(0xff)] {
        let told = deploy_verifier(&world.owner, Verifier::RiscZero(verifier, development)).await;
        assert!(told.refusal().starts_with("DevelopmentProof"));
    }
    let nobody = Verifier::RiscZero(Address::repeat_byte(5), selector.into());
    let told = deploy_verifier(&world.owner, nobody).await;
    assert!(told.refusal().starts_with("NotAContract"));

    let adapter = Adapter { world, address };
    adapter.verify(DIGEST, &seal).await.unwrap();
    let cases: [(&[u8], &str); 6] = [
        (&[], "EmptyProof"),
        (&hex!("ffffffff00"), "DevelopmentProof"),
        (&[0; 260], "DevelopmentProof"),
        (&hex!("73c457"), "UnknownSelector"),
        (&hex!("12345678"), "UnknownSelector"),
        (&seal[..100], "VerificationFailed"),
    ];
    for (proof, name) in cases {
        let told = adapter.verify(DIGEST, proof).await.unwrap_err();
        assert!(told.starts_with(name), "{told}");
    }
    let told = adapter.verify(PROGRAM, &seal).await.unwrap_err();
    assert!(told.starts_with("VerificationFailed"), "{told}");
}

#[tokio::test]
async fn sp1_gets_the_digest_as_public_values() {
    let world = World::new().await;
    let selector = hex!("a4594c59");
    let proof = [&selector[..], &[7; 256]].concat();
    let call = Verifiers::verifyProofCall {
        programVKey: PROGRAM,
        publicValues: DIGEST.into(),
        proofBytes: proof.clone().into(),
    };
    let verifier = only(&world.owner, &call.abi_encode(), &[]).await;
    let adapter = Verifier::Sp1(verifier, selector.into());
    let address = deploy_verifier(&world.owner, adapter).await.unwrap();
    let mock = deploy_verifier(&world.owner, Verifier::Sp1(verifier, FixedBytes::ZERO)).await;
    assert!(mock.refusal().starts_with("DevelopmentProof"));
    let adapter = Adapter { world, address };
    adapter.verify(DIGEST, &proof).await.unwrap();
    let cases: [(&[u8], &str); 3] = [
        // What SP1's mock prover gives and its mock verifier takes.
        (&[], "EmptyProof"),
        (&hex!("12345678"), "UnknownSelector"),
        (&proof[..100], "ProofRejected"),
    ];
    for (proof, name) in cases {
        let told = adapter.verify(DIGEST, proof).await.unwrap_err();
        assert!(told.starts_with(name), "{told}");
    }
}

#[tokio::test]
async fn openvm_gets_the_digest_and_both_commitments() {
    let world = World::new().await;
    let vm = B256::repeat_byte(0x33);
    let proof = [&[0; 4][..], &[7; 55 * 32 - 4]].concat();
    let call = OpenVm::verifyCall {
        publicValues: DIGEST.into(),
        proofData: proof.clone().into(),
        appExeCommit: PROGRAM,
        appVmCommit: vm,
    };
    // The interface of the release has this selector: its own source says so.
    assert_eq!(OpenVm::verifyCall::SELECTOR, hex!("24270d54"));
    let failed = keccak256("ProofVerificationFailed()");
    assert_eq!(failed[..4], hex!("d611c318"));
    let verifier = only(&world.owner, &call.abi_encode(), &failed[..4]).await;
    let address = deploy_verifier(&world.owner, Verifier::OpenVm(verifier, vm))
        .await
        .unwrap();
    let nothing = deploy_verifier(&world.owner, Verifier::OpenVm(verifier, B256::ZERO)).await;
    assert!(nothing.refusal().starts_with("ZeroCommitment"));
    let adapter = Adapter { world, address };
    let length = IOpenVmVerifierAdapter::PROOF_LENGTHCall {}.abi_encode();
    let request = alloy_rpc_types_eth::TransactionRequest::default()
        .to(address)
        .input(length.into());
    let length = adapter.world.l1().call(request).await.unwrap();
    assert_eq!(U256::from_be_slice(&length), U256::from(proof.len()));
    adapter.verify(DIGEST, &proof).await.unwrap();
    let told = adapter.verify(DIGEST, &[]).await.unwrap_err();
    assert!(told.starts_with("EmptyProof"), "{told}");
    // A STARK proof of the application has megabytes.
    for length in [1, proof.len() - 1, proof.len() + 1, 40_000] {
        let told = adapter.verify(DIGEST, &vec![7; length]).await.unwrap_err();
        assert!(told.starts_with("InvalidProofLength"), "{told}");
    }
    let mut other = proof.clone();
    other[99] ^= 1;
    let told = adapter.verify(DIGEST, &other).await.unwrap_err();
    assert!(told.starts_with("ProofVerificationFailed"), "{told}");
}

#[tokio::test]
async fn no_program_takes_the_empty_proof_of_the_native_backend() {
    let world = World::new().await;
    let verifier = world.config.programs[0].verifier;
    let adapters = [
        Verifier::RiscZero(verifier, FixedBytes::repeat_byte(1)),
        Verifier::Sp1(verifier, FixedBytes::repeat_byte(1)),
        Verifier::OpenVm(verifier, B256::repeat_byte(1)),
    ];
    for adapter in adapters {
        let verifier = deploy_verifier(&world.owner, adapter).await.unwrap();
        let program = ZkProgram {
            id: PROGRAM,
            verifier,
            kind: ProgramKind::Block,
        };
        let config = ZkConfig {
            programs: vec![program],
            ..world.config.clone()
        };
        let zk = ZkServiceManager::deploy(&world.owner, &config)
            .await
            .unwrap();
        let claim = world.claim(3, 4);
        let told = zk
            .record_proof(&world.prover, PROGRAM, &claim, &Bytes::new())
            .await;
        assert!(told.refusal().starts_with("EmptyProof"));
    }
}
