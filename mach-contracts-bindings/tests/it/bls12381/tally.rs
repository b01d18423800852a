//! Certificates that mach-bls makes, on the devnet's L1.

use std::sync::Arc;

use alloy_primitives::U256;
use mach_bls::{
    LocalSigner, OperatorKeys, SecretKey, Tally, bls12_381::DEFAULT_DST, verify_certificate,
};
use mach_contracts_bindings::{
    Admission, Bls12381Verifier, CallError, KeyProof, bls12381_key_digest,
};
use mach_core::{
    Bls12381, Certificate, Domain, G1Bytes, G2Bytes, Round, Threshold,
    ports::{OperatorRegistry, RegistryError, StatementSigner},
};
use mach_devnet::{DEV_ACCOUNTS, DevnetConfig};

use super::STAKES;
use crate::clients::{L1, alert, attestation, quorums, stake, submitter};

fn secret(account: usize) -> SecretKey<Bls12381> {
    SecretKey::from_bytes(&U256::from(9000 + account).to_be_bytes()).unwrap()
}

/// A verifier with the operators of accounts 1 to 4, whose stakes are [`STAKES`].
struct Network {
    l1: L1,
    verifier: Bls12381Verifier,
}

impl Network {
    async fn start() -> Self {
        let l1 = L1::Devnet(DevnetConfig::default().l1().unwrap());
        let owner = submitter(&l1, 0).await;
        let verifier = Bls12381Verifier::deploy(&owner, owner.sender(), DEFAULT_DST)
            .await
            .unwrap();
        let mut operators = Vec::new();
        for (account, stakes) in (1..).zip(STAKES) {
            let operator = submitter(&l1, account).await;
            let digest =
                bls12381_key_digest(operator.sender(), verifier.address(), operator.chain_id());
            let proof = secret(account).prove_possession_of(digest);
            let key = KeyProof {
                key_g1: proof.key_g1,
                key_g2: proof.key_g2,
                signature: proof.signature,
            };
            verifier.register_key(&operator, &key).await.unwrap();
            let stakes = (0..).zip(stakes.map(|weight| stake(weight.into())));
            operators.push(Admission {
                address: DEV_ACCOUNTS[account].address,
                stakes: stakes.collect(),
            });
        }
        verifier.set_stakes(&owner, &operators).await.unwrap();
        l1.mine().await;
        Self { l1, verifier }
    }

    async fn keys(&self, numbers: &[u8], block: u32) -> Arc<OperatorKeys<Bls12381>> {
        let set = self.verifier.operator_set(&quorums(numbers), block).await;
        Arc::new(OperatorKeys::new(&set.unwrap()).unwrap())
    }

    async fn reference_block(&self) -> u32 {
        use alloy_provider::Provider;
        let head = self.l1.provider().get_block_number().await.unwrap();
        head as u32 - 1
    }

    /// What the accounts in `signers` sign.
    async fn certificate(
        &self,
        numbers: &[u8],
        percent: &[u8],
        signers: &[usize],
    ) -> Certificate<Bls12381> {
        let block = self.reference_block().await;
        let keys = self.keys(numbers, block).await;
        let thresholds = percent
            .iter()
            .map(|percent| Threshold::percent(*percent).unwrap());
        let round = Round::new(quorums(numbers), thresholds.collect::<Vec<_>>(), block).unwrap();
        let domain = Domain {
            l1_chain_id: 900,
            service_manager: self.verifier.address(),
        };
        let statement = alert(1);
        let mut tally =
            Tally::<Bls12381>::new(statement.clone(), domain, round, Arc::clone(&keys)).unwrap();
        for account in signers {
            let signer = LocalSigner::new(secret(*account));
            tally
                .add(&signer.sign(&statement, &domain).await.unwrap())
                .unwrap();
        }
        let certificate = tally.certificate().certificate.unwrap();
        verify_certificate(&certificate, &keys).unwrap();
        certificate
    }

    /// Why the contract refuses.
    async fn refusal(&self, certificate: &Certificate<Bls12381>) -> String {
        match self.verifier.check(certificate).await {
            Err(CallError::Reverted { revert, .. }) => revert.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_tally_is_right() {
    let network = Network::start().await;
    let cases: [(&[u8], &[u8], &[usize]); 4] = [
        (&[0], &[100], &[1, 2, 3, 4]),
        (&[0], &[66], &[2, 3, 4]),
        (&[0, 1], &[66, 100], &[1, 3, 4]),
        // Account 3 is absent from both quorums.
        (&[0, 1], &[66, 50], &[1, 2, 4]),
    ];
    for (numbers, percent, signers) in cases {
        let certificate = network.certificate(numbers, percent, signers).await;
        let tallies = network.verifier.check(&certificate).await.unwrap();
        assert_eq!(tallies, certificate.quorums, "{numbers:?} {signers:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_tally_altered_anywhere_is_refused() {
    type Alteration = fn(&mut Certificate<Bls12381>);
    let network = Network::start().await;
    let good = network.certificate(&[0, 1], &[66, 50], &[1, 2, 4]).await;
    let cases: [(&str, Alteration, &str); 12] = [
        (
            "statement",
            |c| c.statement = attestation(1),
            "InvalidSignature",
        ),
        ("domain", |c| c.domain.l1_chain_id += 1, "InvalidSignature"),
        (
            "reference block",
            |c| c.round = round(&[0, 1], &[66, 50], 1),
            "QuorumWithoutStake",
        ),
        (
            "quorums",
            |c| c.round = round(&[0, 2], &[66, 50], c.round.reference_block()),
            "QuorumWithoutStake",
        ),
        (
            "thresholds",
            |c| c.round = round(&[0, 1], &[66, 58], c.round.reference_block()),
            "ThresholdNotMet",
        ),
        (
            "no non-signer",
            |c| c.non_signers.clear(),
            "InvalidSignature",
        ),
        (
            "a non-signer twice",
            |c| c.non_signers.push(c.non_signers[0].clone()),
            "NonSignersNotAscending",
        ),
        (
            "another non-signer",
            |c| c.non_signers[0].key_g1 = secret(7).public_key().g1_bytes(),
            "NotAMember",
        ),
        (
            "a quorum's key",
            |c| c.quorums[1].apk = c.quorums[0].apk,
            "OtherQuorumKey",
        ),
        (
            "the signers' key",
            |c| c.apk_g2 = secret(7).public_key().g2_bytes(),
            "InvalidSignature",
        ),
        (
            "the identity as signature",
            |c| c.sigma = G1Bytes([0; 128].into()),
            "InvalidSignature",
        ),
        (
            "the identity as key",
            |c| c.apk_g2 = G2Bytes([0; 256].into()),
            "InvalidSignature",
        ),
    ];
    for (name, alter, error) in cases {
        let mut bad = good.clone();
        alter(&mut bad);
        let refusal = network.refusal(&bad).await;
        assert!(refusal.starts_with(error), "{name}: {refusal}");
    }
    // Counted once, the sums are those of quorum 0 alone.
    let once = network.certificate(&[0], &[66], &[1, 2, 4]).await;
    let bad = Certificate {
        apk_g2: once.apk_g2,
        sigma: once.sigma,
        ..good
    };
    assert_eq!(network.refusal(&bad).await, "InvalidSignature");
}

fn round(numbers: &[u8], percent: &[u8], block: u32) -> Round {
    let thresholds = percent
        .iter()
        .map(|percent| Threshold::percent(*percent).unwrap());
    Round::new(quorums(numbers), thresholds.collect::<Vec<_>>(), block).unwrap()
}

#[tokio::test]
async fn the_operators_are_those_of_the_block() {
    let network = Network::start().await;
    let block = network.reference_block().await;
    let owner = submitter(&network.l1, 0).await;
    let leaver = Admission {
        address: DEV_ACCOUNTS[1].address,
        stakes: vec![(0, stake(0))],
    };
    network
        .verifier
        .set_stakes(&owner, &[leaver])
        .await
        .unwrap();
    network.l1.mine().await;
    let both = quorums(&[0, 1]);
    let before = network.verifier.operator_set(&both, block).await.unwrap();
    let now = network.reference_block().await;
    let after = network.verifier.operator_set(&both, now).await.unwrap();
    assert_eq!(
        (before.operators().count(), after.operators().count()),
        (4, 3)
    );
    assert_eq!(
        (before.total_stake(0), after.total_stake(0)),
        (stake(1000), stake(900))
    );
    assert_eq!(before.total_stake(1), stake(70));
    let id = secret(4).public_key().operator_id();
    assert_eq!(after.stake(1, &id), Some(stake(40)));
    let unknown = network.verifier.operator_set(&quorums(&[7]), now).await;
    assert!(matches!(
        unknown,
        Err(RegistryError::UnknownQuorum { quorum: 7, .. })
    ));
}
