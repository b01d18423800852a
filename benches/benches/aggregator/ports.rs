//! L1 in memory, and what operators say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{BigInteger, PrimeField};
use async_trait::async_trait;
use mach_bls::bn254::SecretKey;
use mach_core::{
    Attestation, BlockRef, Certificate, Confirmation, Domain, G1Bytes, Operator, OperatorId,
    OperatorSet, QuorumNumbers, SignedStatement, Stake, Statement,
    ports::{
        BoxError, ConfirmError, L1Standing, OperatorRegistry, RegistryError, StatementConfirmer,
        StatementReader,
    },
};
use mach_node::L1Head;

pub(crate) const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x5e),
};
pub(crate) const HEAD: u64 = 1000;
/// What L1 takes for a block: who signs in that time is not late.
pub(crate) const BLOCK: Duration = Duration::from_secs(12);
/// First of the rollups.
pub(crate) const ROLLUP: u64 = 10;

/// Key of an operator: the secrets are 1, 2, …
fn key(index: u64) -> SecretKey {
    SecretKey::from_bytes(&U256::from(index + 1).to_be_bytes()).unwrap()
}

/// Operators with equal stakes; every statement is confirmed, at once or after a while. Clones are the same.
#[derive(Clone)]
pub(crate) struct L1 {
    operators: Arc<Vec<Operator>>,
    head: Arc<AtomicU64>,
    confirms_after: Duration,
}

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
        let operators: Vec<_> = (0..operators).into_par_iter().map(operator).collect();
        Self {
            operators: Arc::new(operators),
            head: Arc::new(AtomicU64::new(HEAD)),
            confirms_after: Duration::ZERO,
        }
    }

    /// The same, with transactions that take so long to be in a block.
    pub(crate) const fn confirming_after(mut self, time: Duration) -> Self {
        self.confirms_after = time;
        self
    }

    /// Makes one more block.
    pub(crate) fn mine(&self) {
        self.head.fetch_add(1, Ordering::Relaxed);
    }

    fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
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
        for operator in self.operators.iter() {
            set.insert(0, *operator, Stake::new(100).unwrap());
        }
        Ok(set)
    }
}

#[async_trait]
impl L1Head for L1 {
    async fn block_number(&self) -> Result<u64, BoxError> {
        Ok(self.head())
    }
}

#[async_trait]
impl StatementReader for L1 {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        Ok(L1Standing::Absent)
    }
}

#[async_trait]
impl StatementConfirmer for L1 {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        tokio::time::sleep(self.confirms_after).await;
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: None,
            l1_block: self.head(),
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
        Self::of(&L1::new(operators))
    }

    pub(crate) fn of(l1: &L1) -> Self {
        Self(l1.operators.iter().map(Operator::id).collect())
    }

    /// Signatures of all operators. Each is the one before and that of the secret 1: making them
    /// costs an addition, so that the load is not what is measured.
    pub(crate) fn sign(&self, statement: &Statement) -> Vec<SignedStatement> {
        let first = key(0).sign(statement.digest(&DOMAIN)).to_bytes().0;
        let coordinate = |bytes: &[u8]| Fq::from_be_bytes_mod_order(bytes);
        let first = G1Affine::new(coordinate(&first[..32]), coordinate(&first[32..]));
        let sums = self.0.iter().scan(G1Projective::default(), |sum, _| {
            *sum += first;
            Some(*sum)
        });
        let sums: Vec<_> = sums.collect();
        let signed = |(operator, point): (&OperatorId, &G1Affine)| {
            let bytes = [point.x, point.y].map(|it| it.into_bigint().to_bytes_be());
            SignedStatement {
                statement: statement.clone(),
                domain: DOMAIN,
                operator: *operator,
                signature: G1Bytes(bytes.concat().as_slice().try_into().unwrap()),
            }
        };
        let points = G1Projective::normalize_batch(&sums);
        self.0.iter().zip(&points).map(signed).collect()
    }
}
