//! Why an operator cannot join or leave.

use alloy_primitives::{Address, B256, ChainId, utils::format_ether};
use mach_core::{OperatorId, Stake};

use crate::CallError;

/// Why there is no plan for joining or leaving. Nothing was sent.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The node is on another chain.
    #[error(
        "the node is on chain {actual}, the AVS on chain {expected}: use a node of chain {expected}"
    )]
    WrongChain {
        /// Chain of the AVS.
        expected: ChainId,
        /// Chain of the node.
        actual: ChainId,
    },
    /// There is no contract.
    #[error(
        "there is no contract at {address}, which should be the {role}: check address and chain"
    )]
    NoCode {
        /// What should be there.
        role: &'static str,
        /// The address.
        address: Address,
    },
    /// The contract is of no generation that is known.
    #[error(
        "the contract at {0} does not answer as a registry coordinator of EigenLayer: check the address; \
         the coordinator is what the service manager's registryCoordinator() names"
    )]
    NotACoordinator(Address),
    /// The coordinator belongs to another AVS.
    #[error(
        "the coordinator belongs to the service manager {actual}, not to {expected}: check both addresses"
    )]
    WrongServiceManager {
        /// What the caller expects.
        expected: Address,
        /// What the coordinator says.
        actual: Address,
    },
    /// The AllocationManager would not call the coordinator.
    #[error(
        "{avs} takes operators through its registrar {registrar}, not through {coordinator}: use the \
         coordinator that is the AVS's registrar"
    )]
    NotTheRegistrar {
        /// The AVS.
        avs: Address,
        /// Its registrar.
        registrar: Address,
        /// The coordinator asked.
        coordinator: Address,
    },
    /// Some of the quorums are M2 quorums, some operator sets.
    #[error(
        "quorums {m2:?} are of M2 and {sets:?} are operator sets: join or leave them separately"
    )]
    MixedQuorums {
        /// Quorums of M2.
        m2: Vec<u8>,
        /// Operator sets.
        sets: Vec<u8>,
    },
    /// The coordinator takes no more operators into M2 quorums.
    #[error("{0} takes no more operators into M2 quorums: join one of its operator sets")]
    M2Closed(Address),
    /// There is no such quorum.
    #[error("there is no quorum {quorum}: the coordinator has {count}, numbered from 0")]
    UnknownQuorum {
        /// The quorum.
        quorum: u8,
        /// How many there are.
        count: u8,
    },
    /// The quorum is not an operator set.
    #[error("quorum {quorum} is no operator set of {avs}: its owner has to create it first")]
    NotAnOperatorSet {
        /// The AVS.
        avs: Address,
        /// The quorum.
        quorum: u8,
    },
    /// The operator is in the quorum.
    #[error("the operator is in quorum {0} already: leave it out")]
    AlreadyRegistered(u8),
    /// The operator left the operator set not long ago.
    #[error(
        "the operator left operator set {quorum} and stays slashable for {blocks} blocks: wait until they are over"
    )]
    StillSlashable {
        /// The operator set.
        quorum: u8,
        /// L1 blocks from leaving on.
        blocks: u32,
    },
    /// The operator is not in the quorum.
    #[error("the operator is not in quorum {0}: there is nothing to leave")]
    NotRegistered(u8),
    /// EigenLayer does not know the operator.
    #[error("{0} is not an operator of EigenLayer: register it with the DelegationManager first")]
    NotAnOperator(Address),
    /// The operator has too little stake.
    #[error(
        "operator does not meet the minimum stake of quorum {quorum}: has {}, needs {}; \
         deposit or have delegated more, and allocate it where slashable stake counts",
        amount(weight, minimum),
        amount(minimum, minimum)
    )]
    BelowMinimumStake {
        /// The quorum.
        quorum: u8,
        /// Stake of the operator, as the quorum weighs it.
        weight: Stake,
        /// What the quorum asks for.
        minimum: Stake,
    },
    /// The quorum has no room.
    #[error(
        "quorum {quorum} is full with {max_operators} operators: ask the AVS's churn approver to replace one"
    )]
    QuorumFull {
        /// The quorum.
        quorum: u8,
        /// Most members.
        max_operators: u32,
    },
    /// The operator has to register a BLS key.
    #[error("the operator has no BLS key with the AVS yet: give its key and the signature of {0}")]
    NoKey(B256),
    /// The operator registered another BLS key before, which cannot be changed.
    #[error(
        "the operator is registered with the BLS key {registered}, not with {offered}: use the registered key"
    )]
    OtherKey {
        /// Key that the AVS knows.
        registered: OperatorId,
        /// Key that was given.
        offered: OperatorId,
    },
    /// Another operator has the BLS key.
    #[error("the BLS key {id} belongs to operator {owner}: use a key of your own")]
    KeyTaken {
        /// Id of the key.
        id: OperatorId,
        /// Who registered it.
        owner: Address,
    },
    /// The time of a signature is over.
    #[error("the {what} expired at {expiry} and L1 is at {now}: sign one with a later expiry")]
    Expired {
        /// What was signed.
        what: &'static str,
        /// Seconds since the Unix epoch.
        expiry: u64,
        /// Time of the newest L1 block, in the same unit.
        now: u64,
    },
    /// The salt was used before.
    #[error("the salt {salt} of the {what} is spent: sign one with another salt")]
    SaltSpent {
        /// What was signed.
        what: &'static str,
        /// The salt.
        salt: B256,
    },
    /// A contract has other ideas of what is signed than EigenLayer's releases.
    #[error(
        "the EIP-712 domain of the {role} at {address} is not EigenLayer's for this chain and address: \
         sign nothing for it, and check the address"
    )]
    ForeignDomain {
        /// What the contract should be.
        role: &'static str,
        /// The contract.
        address: Address,
    },
    /// The signature is by another key.
    #[error("the signature is of {signer}, not of {account}: sign with the key of {account}")]
    OtherSigner {
        /// Who has to sign.
        account: Address,
        /// Who signed.
        signer: Address,
    },
    /// The account is a contract and refuses the signature.
    #[error(
        "the contract {account} does not accept the signature of {digest} (EIP-1271): let its owners sign that digest"
    )]
    SignatureRefused {
        /// The account.
        account: Address,
        /// What has to be signed.
        digest: B256,
    },
    /// Not a signature of a key.
    #[error("a signature of a key is 65 bytes, this one has {0} or is not on the curve")]
    MalformedSignature(usize),
    /// The kicks do not fit the quorums.
    #[error(
        "churn names one operator for each quorum joined, in the same order: {quorums} quorums, {kicks} kicks"
    )]
    Kicks {
        /// Quorums to join.
        quorums: usize,
        /// Operators to be replaced.
        kicks: usize,
    },
    /// The coordinator replaces nobody.
    #[error("{0} knows no churn: wait until an operator leaves")]
    NoChurn(Address),
    /// The account's key could not be used.
    #[error("the consent could not be signed")]
    Sign(#[from] alloy_signer::Error),
    /// A contract was not heard.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl RegistrationError {
    /// Whether a later try may succeed without anything being changed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_transient())
    }
}

/// Weights are in the units of the strategies' shares, which have 18 decimals; a registry with weights of
/// its own may count in small whole numbers.
fn amount(stake: &Stake, minimum: &Stake) -> String {
    const SMALL: u128 = 1_000_000_000_000;
    if stake.weight().max(minimum.weight()) < SMALL {
        return stake.weight().to_string();
    }
    let text = format_ether(stake.weight());
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stakes_are_told_in_whole_tokens() {
        let error = |weight, minimum| {
            RegistrationError::BelowMinimumStake {
                quorum: 0,
                weight: Stake::new(weight).unwrap(),
                minimum: Stake::new(minimum).unwrap(),
            }
            .to_string()
        };
        let ether = 10_u128.pow(18);
        assert_eq!(
            error(25 * ether / 2, 32 * ether),
            "operator does not meet the minimum stake of quorum 0: has 12.5, needs 32; \
             deposit or have delegated more, and allocate it where slashable stake counts"
        );
        assert!(error(0, 32 * ether).contains("has 0, needs 32;"));
        assert!(error(3, 100).contains("has 3, needs 100;"));
    }
}
