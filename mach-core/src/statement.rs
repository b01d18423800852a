//! What an operator signs about a block: version 3 statements, EIP-712 typed data.

use alloy_primitives::{Address, B256, ChainId, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde::{Deserialize, Serialize};

use crate::{BlockRef, Fault, L2Block, Verdict};

/// Where a signature counts: one service manager on one L1 chain.
///
/// A signature made for one domain is worth nothing in any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// EIP-155 id of the chain that the service manager is deployed on.
    pub l1_chain_id: ChainId,
    /// Address of the service manager (of the proxy, if there is one).
    pub service_manager: Address,
}

impl Domain {
    const fn eip712(&self) -> Eip712Domain {
        eip712_domain! {
            name: "Mach",
            version: "3",
            chain_id: self.l1_chain_id,
            verifying_contract: self.service_manager,
        }
    }
}

/// A claim about one block of a rollup, made from a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Statement {
    /// The block, or what was published about it, is wrong.
    Alert(Alert),
    /// The block is valid.
    Attestation(Attestation),
}

impl Statement {
    /// What `verdict` on `block` lets an operator say.
    ///
    /// Errors: [`StatementError::Unproven`] for a verdict that rests on unproven claims.
    pub fn new(block: &L2Block, verdict: &Verdict) -> Result<Self, StatementError> {
        match verdict {
            Verdict::Invalid(fault) => Ok(Self::Alert(Alert::new(block, fault))),
            Verdict::Valid(summary) if summary.assurance.is_proven() => {
                Ok(Self::Attestation(Attestation {
                    rollup_chain_id: block.chain_id,
                    block: block.reference(),
                    state_root: summary.state_root,
                    output_root: summary.output_root.unwrap_or_default(),
                }))
            }
            Verdict::Valid(_) => Err(StatementError::Unproven(block.reference())),
        }
    }

    /// Digest that is signed: EIP-712, bound to `domain`.
    ///
    /// Source: `alertDigest` and `attestationDigest` of `MachServiceManager`.
    pub fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::Alert(alert) => alert.typed().eip712_signing_hash(&domain.eip712()),
            Self::Attestation(attestation) => {
                attestation.typed().eip712_signing_hash(&domain.eip712())
            }
        }
    }

    /// EIP-155 id of the rollup.
    pub const fn rollup_chain_id(&self) -> ChainId {
        match self {
            Self::Alert(alert) => alert.rollup_chain_id,
            Self::Attestation(attestation) => attestation.rollup_chain_id,
        }
    }

    /// The block that is spoken of.
    pub const fn block(&self) -> BlockRef {
        match self {
            Self::Alert(alert) => alert.block,
            Self::Attestation(attestation) => attestation.block,
        }
    }
}

impl From<Alert> for Statement {
    fn from(alert: Alert) -> Self {
        Self::Alert(alert)
    }
}

impl From<Attestation> for Statement {
    fn from(attestation: Attestation) -> Self {
        Self::Attestation(attestation)
    }
}

/// What kind of thing is wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum AlertKind {
    /// The block breaks a rule of execution.
    InvalidBlock = 1,
    /// An output root proposed on L1 is not that of its block.
    InvalidOutputProposal = 2,
    /// The published hash is not the hash of the block.
    WrongBlockHash = 3,
    /// The block cannot be derived from the batches on L1.
    NotDerivable = 4,
}

/// The claim that a block is wrong.
///
/// It holds only values that every honest operator computes identically, never diagnostics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What kind of thing is wrong.
    pub kind: AlertKind,
    /// EIP-155 id of the rollup.
    pub rollup_chain_id: ChainId,
    /// The block.
    pub block: BlockRef,
    /// Number of the broken rule: [`Fault::code`].
    pub rule: u16,
    /// What was published, as a 32-byte word: [`Fault::words`].
    pub claimed: B256,
    /// What the rule gives, as a 32-byte word.
    pub computed: B256,
}

/// Least [`Fault::code`] of what L1 says of a block.
const FIRST_OF_L1: u16 = 160;

impl Alert {
    /// The alert that follows from a fault of `block`.
    pub fn new(block: &L2Block, fault: &Fault) -> Self {
        let words = fault.words();
        Self {
            kind: match fault {
                Fault::OutputRoot(_) => AlertKind::InvalidOutputProposal,
                Fault::BlockHash(_) => AlertKind::WrongBlockHash,
                fault if fault.code() >= FIRST_OF_L1 => AlertKind::NotDerivable,
                _ => AlertKind::InvalidBlock,
            },
            rollup_chain_id: block.chain_id,
            block: block.reference(),
            rule: fault.code(),
            claimed: words.claimed,
            computed: words.computed,
        }
    }

    fn typed(&self) -> typed::Alert {
        typed::Alert {
            kind: self.kind as u8,
            rollupChainId: U256::from(self.rollup_chain_id),
            blockNumber: self.block.number,
            blockHash: self.block.hash,
            rule: self.rule,
            claimed: self.claimed,
            computed: self.computed,
        }
    }
}

/// The claim that a block is valid, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// EIP-155 id of the rollup.
    pub rollup_chain_id: ChainId,
    /// The block.
    pub block: BlockRef,
    /// Root of the state after the block.
    pub state_root: B256,
    /// Output root after the block; zero on a chain that has none.
    pub output_root: B256,
}

impl Attestation {
    fn typed(&self) -> typed::Attestation {
        typed::Attestation {
            rollupChainId: U256::from(self.rollup_chain_id),
            blockNumber: self.block.number,
            blockHash: self.block.hash,
            stateRoot: self.state_root,
            outputRoot: self.output_root,
        }
    }
}

/// Why a verdict is not made into a statement.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The verdict rests on claims that no header proves.
    #[error("the verdict on block {0} rests on unproven claims and is not signed")]
    Unproven(BlockRef),
}

/// The EIP-712 structs, as the contract declares them.
mod typed {
    #![allow(
        missing_docs,
        reason = "documented at the types that are made into these"
    )]

    alloy_sol_types::sol! {
        struct Alert {
            uint8 kind;
            uint256 rollupChainId;
            uint64 blockNumber;
            bytes32 blockHash;
            uint16 rule;
            bytes32 claimed;
            bytes32 computed;
        }

        struct Attestation {
            uint256 rollupChainId;
            uint64 blockNumber;
            bytes32 blockHash;
            bytes32 stateRoot;
            bytes32 outputRoot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Assurance;
    use crate::Mismatch;
    use alloy_primitives::{address, keccak256};
    use alloy_sol_types::SolValue;

    fn alert() -> Alert {
        Alert {
            kind: AlertKind::InvalidBlock,
            rollup_chain_id: 10,
            block: BlockRef {
                number: 7,
                hash: B256::repeat_byte(1),
            },
            rule: 4,
            claimed: B256::repeat_byte(2),
            computed: B256::repeat_byte(3),
        }
    }

    const DOMAIN: Domain = Domain {
        l1_chain_id: 1,
        service_manager: address!("71a77037870169d47aad6c2C9360861A4C0df2bF"),
    };

    /// EIP-712 written out by hand; the contract's own answer is compared in
    /// mach-contracts-bindings.
    #[test]
    fn the_digest_is_eip_712() {
        let domain = (
            keccak256(
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            keccak256("Mach"),
            keccak256("3"),
            U256::from(1),
            DOMAIN.service_manager,
        );
        let body = (
            keccak256(
                "Alert(uint8 kind,uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,\
                 uint16 rule,bytes32 claimed,bytes32 computed)",
            ),
            U256::from(1),
            U256::from(10),
            U256::from(7),
            B256::repeat_byte(1),
            U256::from(4),
            B256::repeat_byte(2),
            B256::repeat_byte(3),
        );
        let preimage = [
            &[0x19, 0x01],
            keccak256(domain.abi_encode_params()).as_slice(),
            keccak256(body.abi_encode_params()).as_slice(),
        ]
        .concat();
        assert_eq!(
            Statement::from(alert()).digest(&DOMAIN),
            keccak256(preimage)
        );
    }

    #[test]
    fn every_field_and_the_domain_change_the_digest() {
        let base = alert();
        let mut other = vec![base.clone(); 7];
        other[0].kind = AlertKind::NotDerivable;
        other[1].rollup_chain_id = 11;
        other[2].block.number = 8;
        other[3].block.hash = B256::ZERO;
        other[4].rule = 5;
        other[5].claimed = B256::ZERO;
        other[6].computed = B256::ZERO;
        let attestation = Attestation {
            rollup_chain_id: 10,
            block: base.block,
            state_root: base.claimed,
            output_root: base.computed,
        };
        let mut digests: Vec<_> = other
            .into_iter()
            .chain([base.clone()])
            .map(|alert| Statement::from(alert).digest(&DOMAIN))
            .collect();
        digests.push(Statement::from(attestation).digest(&DOMAIN));
        digests.push(Statement::from(base.clone()).digest(&Domain {
            l1_chain_id: 5,
            ..DOMAIN
        }));
        digests.push(Statement::from(base).digest(&Domain {
            service_manager: Address::ZERO,
            ..DOMAIN
        }));
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn only_what_execution_proved_is_signed() {
        let block = L2Block::new(10, Default::default(), Vec::new());
        for (assurance, is_signed) in [
            (Assurance::Derived, true),
            (Assurance::Executed, true),
            (Assurance::ExecutedOnClaim, false),
            (Assurance::CrossChecked, false),
        ] {
            let summary = crate::ExecutionSummary {
                block: block.reference(),
                gas_used: 0,
                transactions: 0,
                state_root: B256::ZERO,
                output_root: None,
                assurance,
            };
            let statement = Statement::new(&block, &Verdict::Valid(summary));
            assert_eq!(statement.is_ok(), is_signed, "{assurance:?}");
            if !is_signed {
                let error = StatementError::Unproven(block.reference());
                assert_eq!(statement, Err(error));
            }
        }
    }

    #[test]
    fn an_alert_carries_the_words_of_its_fault() {
        let block = L2Block::new(10, Default::default(), Vec::new());
        let fault = Fault::GasUsed(Mismatch {
            claimed: 1,
            computed: 2,
        });
        let alert = Alert::new(&block, &fault);
        assert_eq!(alert.kind, AlertKind::InvalidBlock);
        assert_eq!(alert.rule, 11);
        assert_eq!(alert.claimed, B256::from(U256::from(1)));
        assert_eq!(alert.computed, B256::from(U256::from(2)));
        let fault = Fault::SequencerDrift(Mismatch {
            claimed: 1,
            computed: 2,
        });
        assert_eq!(Alert::new(&block, &fault).kind, AlertKind::NotDerivable);
    }
}
