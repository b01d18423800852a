//! What L1 accepts as proof that enough stake signed, and what it answers.

use alloy_primitives::{B256, Keccak256, TxHash};
use serde::{Deserialize, Serialize};

use crate::{Bn254, Curve, Domain, G1Bytes, G2Bytes, OperatorId, Round, Stake, Statement};

/// Aggregate signature of a statement with everything that `checkSignatures` needs besides the
/// registries' history indices, which the contract itself answers.
///
/// It holds as much of the operator set as it takes to check it: what is left to trust is that the
/// operators at the reference block are these, [`Self::operators_digest`].
///
/// `non_signers` is strictly ascending by id and `quorums` in the order of the round; the contract
/// rejects any other order.
///
/// Source: `BLSSignatureChecker.checkSignatures` in eigenlayer-middleware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct Certificate<C: Curve = Bn254> {
    /// What is signed.
    pub statement: Statement,
    /// Where the signature counts.
    pub domain: Domain,
    /// Terms of the round.
    pub round: Round,
    /// Members of at least one quorum who did not sign, strictly ascending by id.
    pub non_signers: Vec<NonSigner<C>>,
    /// One entry for each quorum of the round, in its order.
    pub quorums: Vec<QuorumTally<C>>,
    /// Sum of the signers' G2 keys, each counted once for every quorum that it is in.
    pub apk_g2: G2Bytes<C>,
    /// Sum of the signatures, each counted once for every quorum that its signer is in.
    pub sigma: G1Bytes<C>,
}

impl<C: Curve> Certificate<C> {
    /// The digest that is signed.
    pub fn digest(&self) -> B256 {
        self.statement.digest(&self.domain)
    }

    /// What the certificate says of the operators, as one hash: two certificates with the same one
    /// trust the same keys and stakes.
    ///
    /// Keccak-256 of: `mach operators`, the name of the curve, a zero byte, L1 chain id, service
    /// manager, reference block; for each quorum its number, key and total stake; then for each
    /// non-signer its key, the number of its stakes in one byte, and quorum and stake of each. Before
    /// quorums and non-signers stands how many there are. Numbers are big-endian, as long as their
    /// types: chain id and counts 8 bytes, the block 4, stakes 16.
    pub fn operators_digest(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(b"mach operators");
        hasher.update(C::NAME.as_bytes());
        hasher.update([0]);
        hasher.update(self.domain.l1_chain_id.to_be_bytes());
        hasher.update(self.domain.service_manager);
        hasher.update(self.round.reference_block().to_be_bytes());
        hasher.update((self.quorums.len() as u64).to_be_bytes());
        for quorum in &self.quorums {
            hasher.update([quorum.quorum]);
            hasher.update(quorum.apk.0);
            hasher.update(quorum.total.weight().to_be_bytes());
        }
        hasher.update((self.non_signers.len() as u64).to_be_bytes());
        for absent in &self.non_signers {
            hasher.update(absent.key_g1.0);
            // No more than there are numbers of quorums, in a certificate that can be valid.
            hasher.update([absent.stakes.len() as u8]);
            for of in &absent.stakes {
                hasher.update([of.quorum]);
                hasher.update(of.stake.weight().to_be_bytes());
            }
        }
        hasher.finalize()
    }
}

/// A member who did not sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct NonSigner<C: Curve = Bn254> {
    /// Hash of the key.
    pub id: OperatorId,
    /// Registered key in G1.
    pub key_g1: G1Bytes<C>,
    /// Its stake in each quorum of the round that it is in, ascending by quorum.
    pub stakes: Vec<QuorumStake>,
}

/// Stake of one operator in one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumStake {
    /// Number of the quorum.
    pub quorum: u8,
    /// Stake in it.
    pub stake: Stake,
}

/// Outcome of one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct QuorumTally<C: Curve = Bn254> {
    /// Number of the quorum.
    pub quorum: u8,
    /// Sum of the G1 keys of all its members, signers or not.
    pub apk: G1Bytes<C>,
    /// Stake of the members who signed.
    pub signed: Stake,
    /// Stake of all members.
    pub total: Stake,
}

/// A statement that stands on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Digest of the statement.
    pub digest: B256,
    /// The transaction that confirmed it; `None` if it stood there before.
    pub transaction: Option<TxHash>,
    /// L1 block of the transaction, or in which the statement was found.
    pub l1_block: u64,
    /// Gas of the transaction.
    pub gas_used: Option<u64>,
}
