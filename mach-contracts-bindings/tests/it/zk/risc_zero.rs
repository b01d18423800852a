//! The adapter over RISC Zero's genuine verifier, router and receipt.

use alloy_primitives::{FixedBytes, hex};
use alloy_rpc_types_eth::TransactionRequest;
use mach_contracts_bindings::{
    Revert,
    zk::{Verifier, abi::IProofVerifier, deploy_verifier},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};

use super::{genuine::RiscZero, *};
use crate::clients::L1;

/// Of RISC Zero 3.0.
const SELECTOR: [u8; 4] = hex!("73c457ba");

sol! {
    interface Router {
        function addVerifier(bytes4 selector, address verifier) external;
    }
}

struct Genuine {
    provider: RootProvider,
    owner: Submitter,
    adapter: Address,
    parts: RiscZero,
}

impl Genuine {
    /// `None` if cargo can fetch nothing.
    async fn deploy(l1: &L1) -> Option<Self> {
        let parts = match RiscZero::load() {
            Ok(parts) => parts,
            Err(error) => {
                println!("skipped: {error}");
                return None;
            }
        };
        let owner = crate::clients::submitter(l1, 0).await;
        let (verifier, receipt) = owner.deploy(parts.verifier.clone()).await.unwrap();
        println!("RISC Zero's verifier: {} gas", receipt.gas_used);
        // Behind the router, where somebody has put the mock verifier too.
        let admin = [parts.router.as_ref(), owner.sender().into_word().as_slice()].concat();
        let (router, _) = owner.deploy(admin.into()).await.unwrap();
        let mock_selector = FixedBytes::<4>::repeat_byte(0xff);
        let mock = [parts.mock.as_ref(), &mock_selector[..], &[0; 28]].concat();
        let (mock, _) = owner.deploy(mock.into()).await.unwrap();
        for (selector, verifier) in [(SELECTOR.into(), verifier), (mock_selector, mock)] {
            let add = Router::addVerifierCall { selector, verifier };
            owner.call(router, &add).await.unwrap();
        }
        let adapter = Verifier::RiscZero(router, SELECTOR.into());
        let adapter = deploy_verifier(&owner, adapter).await.unwrap();
        Some(Self {
            provider: l1.provider(),
            owner,
            adapter,
            parts,
        })
    }

    async fn verify(&self, program: B256, digest: B256, proof: &[u8]) -> Result<(), Revert> {
        let call = IProofVerifier::verifyCall {
            program,
            journalDigest: digest,
            proof: Bytes::copy_from_slice(proof),
        };
        let request = TransactionRequest::default()
            .to(self.adapter)
            .input(call.abi_encode().into());
        match self.provider.call(request).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let data = error.as_error_resp().unwrap().as_revert_data();
                Err(Revert::decode(&data.unwrap_or_default()))
            }
        }
    }

    async fn run(&self) {
        let RiscZero { seal, image_id, .. } = &self.parts;
        let (seal, image_id) = (seal.to_vec(), *image_id);
        let digest = B256::new(Sha256::digest(&self.parts.journal).into());
        let call = IProofVerifier::verifyCall {
            program: image_id,
            journalDigest: digest,
            proof: seal.clone().into(),
        };
        let receipt = self.owner.call(self.adapter, &call).await.unwrap();
        println!("a genuine receipt: {} gas", receipt.gas_used);

        let refused = |told: Result<(), Revert>, names: &[&str]| {
            let told = told.unwrap_err();
            let text = told.to_string();
            assert!(names.iter().any(|name| text.starts_with(name)), "{text}");
            assert!(told.explanation().is_some(), "{text}");
        };
        let other = B256::repeat_byte(1);
        refused(
            self.verify(other, digest, &seal).await,
            &["VerificationFailed"],
        );
        refused(
            self.verify(image_id, other, &seal).await,
            &["VerificationFailed"],
        );
        // Each of the three points, and what is too short, too long, or made up.
        for at in (4..seal.len()).step_by(32) {
            let mut seal = seal.clone();
            seal[at + 31] ^= 1;
            refused(
                self.verify(image_id, digest, &seal).await,
                &["VerificationFailed"],
            );
        }
        for length in [0, 3, 4, 5, 100, seal.len() - 1] {
            let names = ["EmptyProof", "UnknownSelector", "ProofRejected"];
            refused(self.verify(image_id, digest, &seal[..length]).await, &names);
        }
        // What the mock verifier behind the same router would take.
        let fake = [&[0xff; 4][..], digest.as_slice()].concat();
        refused(
            self.verify(image_id, digest, &fake).await,
            &["DevelopmentProof"],
        );

        let mut random = StdRng::seed_from_u64(3);
        for _ in 0..1000 {
            let mut parts = [image_id.to_vec(), digest.to_vec(), seal.clone()];
            let bit = random.random_range(0..8 * (64 + seal.len()));
            let (part, at) = match bit / 8 {
                byte @ 0..32 => (0, byte),
                byte @ 32..64 => (1, byte - 32),
                byte => (2, byte - 64),
            };
            parts[part][at] ^= 1 << (bit % 8);
            let [program, digest, seal] = parts;
            let told = self
                .verify(B256::from_slice(&program), B256::from_slice(&digest), &seal)
                .await;
            refused(told, &["VerificationFailed", "UnknownSelector"]);
        }
    }
}

#[tokio::test]
async fn online_a_genuine_receipt_is_taken_and_an_altered_one_is_not() {
    let Some(genuine) = Genuine::deploy(&L1::devnet()).await else {
        return;
    };
    genuine.run().await;
}

#[tokio::test]
async fn online_a_genuine_receipt_on_a_node() {
    let Some(l1) = L1::node() else {
        println!("skipped: MACH_L1_RPC is not set");
        return;
    };
    let Some(genuine) = Genuine::deploy(&l1).await else {
        return;
    };
    genuine.run().await;
}
