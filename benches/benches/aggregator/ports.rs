//! L1 in memory, and what operators say.

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use mach_bls::{Signature, bn254::SecretKey};
use mach_core::{
    Attestation, BlockRef, Certificate, Confirmation, Domain, G1Bytes, Operator, OperatorId,
    OperatorSet, QuorumNumbers, SignedStatement, Stake, Statement,
    ports::{BoxError, ConfirmError, OperatorRegistry, RegistryError, StatementConfirmer},
};
use mach_node::L1Head;

pub(crate) const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x5e),
};
pub(crate) const HEAD: u64 = 1000;
/// First of the rollups.
pub(crate) const ROLLUP: u64 = 10;

/// Key of an operator: the secrets are 1, 2, …
fn key(index: u64) -> SecretKey {
    SecretKey::from_bytes(&U256::from(index + 1).to_be_bytes()).unwrap()
}

/// Operators with equal stakes; every statement is confirmed at once.
#[derive(Clone)]
pub(crate) struct L1(Vec<Operator>);

impl L1 {
    pub(crate) fn new(operators: u64) -> Self {
        use rayon::prelude::*;
        let operator = |index| {
            let key = key(index);
            Operator {
                address: Address::ZERO,
                key_g1: key.public_key().g1_bytes(),
                key_g2: key.public_key().g2_bytes(),
            }
        };
        Self((0..operators).into_par_iter().map(operator).collect())
    }
}

#[async_trait]
impl OperatorRegistry for L1 {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        for operator in &self.0 {
            set.insert(0, *operator, Stake::new(100).unwrap());
        }
        Ok(set)
    }
}

#[async_trait]
impl L1Head for L1 {
    async fn block_number(&self) -> Result<u64, BoxError> {
        Ok(HEAD)
    }
}

#[async_trait]
impl StatementConfirmer for L1 {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: None,
            l1_block: HEAD,
            gas_used: None,
        })
    }
}

pub(crate) fn statement(rollup: u64, number: u64) -> Statement {
    Statement::from(Attestation {
        rollup_chain_id: ROLLUP + rollup,
        block: BlockRef {
            number,
            hash: B256::from(U256::from(number)),
        },
        state_root: B256::ZERO,
        output_root: B256::ZERO,
    })
}

/// Who signs, and how it looks.
pub(crate) struct Signers(Vec<OperatorId>);

impl Signers {
    pub(crate) fn new(operators: u64) -> Self {
        Self(L1::new(operators).0.iter().map(Operator::id).collect())
    }

    /// Signatures of all operators. Each is the one before and that of the secret 1: making them
    /// costs an addition, so that the load is not what is measured.
    pub(crate) fn sign(&self, statement: &Statement) -> Vec<SignedStatement> {
        let first = key(0).sign(statement.digest(&DOMAIN));
        let mut next = first;
        let mut signed = Vec::with_capacity(self.0.len());
        for operator in &self.0 {
            signed.push(SignedStatement {
                statement: statement.clone(),
                domain: DOMAIN,
                operator: *operator,
                signature: G1Bytes(next.to_bytes().0),
            });
            next = Signature::sum([next, first]).unwrap();
        }
        signed
    }
}
