//! The aggregator on the curve of Ethereum's own precompiles.

use std::sync::{Arc, Mutex};

use alloy_primitives::Address;
use async_trait::async_trait;
use mach_bls::{LocalSigner, OperatorKeys, bls12_381::SecretKey, verify_certificate};
use mach_core::{
    Bls12381, Certificate, Confirmation, Operator, OperatorSet, QuorumNumbers, Stake, Statement,
    ports::{
        ConfirmError, L1Standing, OperatorRegistry, Progress, RegistryError, SignatureAggregator,
        StatementConfirmer, StatementReader, StatementSigner,
    },
};
use mach_node::{Aggregator, store::MemoryStore};

use crate::ports::{DOMAIN, FixedHead, HEAD, config, digest, statement, until};

struct Registry(OperatorSet<Bls12381>);

#[async_trait]
impl OperatorRegistry<Bls12381> for Registry {
    async fn operator_set(
        &self,
        _: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet<Bls12381>, RegistryError> {
        assert_eq!(reference_block, self.0.reference_block());
        Ok(self.0.clone())
    }
}

#[derive(Clone, Default)]
struct Confirmer(Arc<Mutex<Vec<Certificate<Bls12381>>>>);

#[async_trait]
impl StatementReader for Confirmer {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        Ok(L1Standing::Absent)
    }
}

#[async_trait]
impl StatementConfirmer<Bls12381> for Confirmer {
    async fn confirm(
        &self,
        certificate: &Certificate<Bls12381>,
    ) -> Result<Confirmation, ConfirmError> {
        self.0.lock().unwrap().push(certificate.clone());
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: None,
            l1_block: 1,
            gas_used: None,
        })
    }
}

#[tokio::test]
async fn signatures_on_bls12_381_become_a_certificate() {
    let signers: Vec<_> = (0..4)
        .map(|_| LocalSigner::<Bls12381>::new(SecretKey::random()))
        .collect();
    let config = config();
    let reference_block = u32::try_from(HEAD - 1).unwrap();
    let mut set = OperatorSet::new(config.quorums.clone(), reference_block);
    for signer in &signers {
        let operator = Operator {
            address: Address::ZERO,
            key_g1: signer.public_key().g1_bytes(),
            key_g2: signer.public_key().g2_bytes(),
        };
        set.insert(0, operator, Stake::new(100).unwrap());
    }
    let keys = OperatorKeys::new(&set).unwrap();
    let confirmer = Confirmer::default();
    let store = MemoryStore::new();
    let registry = Registry(set);
    let aggregator = Aggregator::new(store, registry, FixedHead::new(), confirmer.clone(), config);

    aggregator.open(&statement(1)).await.unwrap();
    for signer in &signers[..3] {
        let signed = signer.sign(&statement(1), &DOMAIN).await.unwrap();
        aggregator.submit(signed).await.unwrap();
    }
    until(|| matches!(aggregator.progress(digest(1)), Some(Progress::Confirmed(_)))).await;
    let certificates = confirmer.0.lock().unwrap();
    assert_eq!(certificates.len(), 1);
    assert_eq!(certificates[0].non_signers.len(), 1);
    verify_certificate(&certificates[0], &keys).unwrap();
}
