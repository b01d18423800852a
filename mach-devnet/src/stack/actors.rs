//! Operators of the devnet.

use alloy_primitives::{B256, keccak256};
use mach_bls::{LocalSigner, SecretKeyError, bn254::SecretKey};
use mach_core::{Operator, Stake};

use crate::{DEV_ACCOUNTS, DevAccount};

/// The account that deploys the contracts and holds every role.
pub(super) const OWNER: DevAccount = DEV_ACCOUNTS[0];
/// The account that the aggregator pays with.
pub(super) const AGGREGATOR: DevAccount = DEV_ACCOUNTS[8];
/// Most operators: one development account each, less owner, aggregator and traffic.
pub(super) const MAX_OPERATORS: usize = DEV_ACCOUNTS.len() - 3;

/// An operator of the devnet, with a key that everybody knows.
#[derive(Clone, Copy, Debug)]
pub struct StackOperator {
    /// Account on L1.
    pub account: DevAccount,
    /// Registered keys.
    pub operator: Operator,
    /// Stake in the only quorum.
    pub stake: Stake,
    seed: B256,
}

impl StackOperator {
    /// The operator with this index, from 0. Later ones have a little more stake, so that no two
    /// sums of stakes are alike.
    pub(super) fn new(index: usize) -> Option<Self> {
        let account = *DEV_ACCOUNTS
            .get(index + 1)
            .filter(|_| index < MAX_OPERATORS)?;
        let seed = keccak256(format!("mach devnet operator {index}"));
        let stake = Stake::new(100 + index as u128).ok()?;
        let key = secret_key(seed).ok()?;
        let key = key.public_key();
        let operator = Operator {
            address: account.address,
            key_g1: key.g1_bytes(),
            key_g2: key.g2_bytes(),
        };
        Some(Self {
            account,
            operator,
            stake,
            seed,
        })
    }

    /// A signer with the operator's BLS key.
    ///
    /// Errors: [`SecretKeyError`], never for an operator of a stack.
    pub fn signer(&self) -> Result<LocalSigner, SecretKeyError> {
        Ok(LocalSigner::new(self.secret_key()?))
    }

    /// The operator's BLS key.
    ///
    /// Errors: [`SecretKeyError`], never for an operator of a stack.
    pub fn secret_key(&self) -> Result<SecretKey, SecretKeyError> {
        secret_key(self.seed)
    }
}

/// A key below the curve's order: the seed with its upper four bits cleared.
fn secret_key(mut seed: B256) -> Result<SecretKey, SecretKeyError> {
    seed.0[0] &= 0x0f;
    SecretKey::from_bytes(&seed.0)
}
