use alloy_consensus::{EthereumTxEnvelope, ReceiptEnvelope, Transaction, TxEip4844};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{
    Address, B256, BlockNumber, Bloom, BloomInput, Bytes, Log, U256, b256, fixed_bytes,
};
use mach_core::{BlockRef, L2Block};
use serde::{Deserialize, Serialize};

/// `OutputProposed(bytes32 indexed outputRoot, uint256 indexed l2OutputIndex,
/// uint256 indexed l2BlockNumber, uint256 l1Timestamp)`.
///
/// Source: `L2OutputOracle` of ethereum-optimism/optimism.
const OUTPUT_PROPOSED: B256 =
    b256!("a7aaf2512769da4e444e3de247be2564225c2e7a8f74cfe528e46e17d24868e2");
/// `OutputsDeleted(uint256 indexed prevNextOutputIndex, uint256 indexed newNextOutputIndex)`.
const OUTPUTS_DELETED: B256 =
    b256!("4ee37ac2c786ec85e87592d3c5c8a1dd66f8496dda3f125d9ea8ca5f657629b6");
/// `DisputeGameCreated(address indexed disputeProxy, uint32 indexed gameType,
/// bytes32 indexed rootClaim)`.
///
/// Source: `DisputeGameFactory` of ethereum-optimism/optimism.
const GAME_CREATED: B256 =
    b256!("5b565efe82411da98814f356d0e7bcb8f0219b8d970307c5afb4a6903a8b2e35");
/// `Resolved(uint8 indexed status)` of a game.
const RESOLVED: B256 = b256!("5e186f09b9c93491f14e277eea7faa5de6a2d4bda75a79af7a3684fbfb42da60");
/// Selector of `create(uint32 gameType, bytes32 rootClaim, bytes extraData)`.
const CREATE: [u8; 4] = fixed_bytes!("82ecf2f6").0;

/// Types of dispute games whose root claim is an output root: CANNON, PERMISSIONED_CANNON,
/// ASTERISC, ASTERISC_KONA, CANNON_KONA.
///
/// The super games claim roots over several chains, the test games claim nothing; what others
/// claim is for whoever plays them to say.
///
/// Source: `GameTypes` in ethereum-optimism/optimism, `src/dispute/lib/Types.sol`.
pub const GAME_TYPES_WITH_OUTPUT_ROOTS: &[u32] = &[0, 1, 2, 3, 8];

/// The contract on L1 that output roots are proposed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProposalContract {
    /// An `L2OutputOracle`.
    OutputOracle(Address),
    /// A `DisputeGameFactory`.
    DisputeGames(Address),
}

impl ProposalContract {
    /// Address of the contract.
    pub const fn address(&self) -> Address {
        match self {
            Self::OutputOracle(address) | Self::DisputeGames(address) => *address,
        }
    }
}

/// What somebody proposed on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// As an output or as a game.
    pub kind: ProposalKind,
    /// The claimed output root.
    pub output_root: B256,
    /// Height of the rollup block that it is claimed for.
    pub block: BlockNumber,
    /// L1 block with the transaction.
    pub l1: BlockRef,
}

/// How an output root was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProposalKind {
    /// As an output of the oracle.
    Output {
        /// Its index, from 0.
        index: U256,
    },
    /// As the root claim of a dispute game.
    Game {
        /// The game's contract.
        proxy: Address,
        /// The game's type.
        game_type: u32,
    },
}

impl core::fmt::Display for ProposalKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Output { index } => write!(f, "output {index}"),
            Self::Game { proxy, .. } => write!(f, "game {proxy}"),
        }
    }
}

/// What happened to proposals in an L1 block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProposalEvent {
    /// An output root was proposed.
    Proposed(Proposal),
    /// A game was created of which its own transaction does not say the rollup block: another
    /// contract called the factory.
    Opaque {
        /// The game's contract.
        proxy: Address,
    },
    /// A game was created of a type whose root claim is not read as an output root.
    OtherType {
        /// The game's contract.
        proxy: Address,
        /// The game's type.
        game_type: u32,
    },
    /// The oracle's outputs from this index on were deleted.
    Deleted {
        /// First deleted index.
        from: U256,
    },
    /// A game has ended.
    Resolved {
        /// The game's contract.
        proxy: Address,
        /// Whether the root claim stands.
        is_defended: bool,
    },
}

/// Reads what is proposed to one contract.
#[derive(Clone, Debug)]
pub struct ProposalEvents {
    contract: ProposalContract,
    game_types: Vec<u32>,
}

impl ProposalEvents {
    /// Of this contract, and of the games of [`GAME_TYPES_WITH_OUTPUT_ROOTS`].
    pub fn new(contract: ProposalContract) -> Self {
        Self {
            contract,
            game_types: GAME_TYPES_WITH_OUTPUT_ROOTS.to_vec(),
        }
    }

    /// The same for games of other types, whose root claim has to be an output root and whose
    /// extra data has to start with the number of its block.
    #[must_use]
    pub fn with_game_types(mut self, game_types: impl Into<Vec<u32>>) -> Self {
        self.game_types = game_types.into();
        self
    }

    /// Whether a block with this bloom can hold an event.
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        has(self.contract.address().as_slice())
            || (matches!(self.contract, ProposalContract::DisputeGames(_))
                && has(RESOLVED.as_slice()))
    }

    /// The events of an L1 block, in their order. Body and receipts have to be proven to the
    /// block's header.
    ///
    /// [`ProposalEvent::Resolved`] may come from any contract:
    /// it counts for games that the factory has made.
    pub fn of_block(&self, block: &L2Block, receipts: &[ReceiptEnvelope]) -> Vec<ProposalEvent> {
        let mut events = Vec::new();
        for (index, receipt) in receipts.iter().enumerate() {
            let transaction = block.transactions.get(index);
            let event = |log| self.of_log(block.reference(), transaction, log);
            events.extend(receipt.logs().iter().filter_map(event));
        }
        events
    }

    fn of_log(
        &self,
        l1: BlockRef,
        transaction: Option<&Bytes>,
        log: &Log,
    ) -> Option<ProposalEvent> {
        let topics = log.topics();
        let is_contract = log.address == self.contract.address();
        match (self.contract, topics) {
            (ProposalContract::OutputOracle(_), [OUTPUT_PROPOSED, root, index, number])
                if is_contract =>
            {
                Some(ProposalEvent::Proposed(Proposal {
                    kind: ProposalKind::Output {
                        index: U256::from_be_bytes(index.0),
                    },
                    output_root: *root,
                    block: to_number(*number)?,
                    l1,
                }))
            }
            (ProposalContract::OutputOracle(_), [OUTPUTS_DELETED, _, from]) if is_contract => {
                Some(ProposalEvent::Deleted {
                    from: U256::from_be_bytes(from.0),
                })
            }
            (ProposalContract::DisputeGames(factory), [GAME_CREATED, proxy, kind, root])
                if is_contract =>
            {
                let proxy = Address::from_word(*proxy);
                let game_type = u32::try_from(to_number(*kind)?).ok()?;
                if !self.game_types.contains(&game_type) {
                    return Some(ProposalEvent::OtherType { proxy, game_type });
                }
                let created = transaction.and_then(|it| Creation::of(factory, it));
                let number = created.filter(|it| (it.game_type, it.root) == (game_type, *root));
                let Some(Creation { number, .. }) = number else {
                    return Some(ProposalEvent::Opaque { proxy });
                };
                Some(ProposalEvent::Proposed(Proposal {
                    kind: ProposalKind::Game { proxy, game_type },
                    output_root: *root,
                    block: number,
                    l1,
                }))
            }
            (ProposalContract::DisputeGames(_), [RESOLVED, status]) => {
                Some(ProposalEvent::Resolved {
                    proxy: log.address,
                    // 1: the challenger wins, 2: the defender does.
                    is_defended: match to_number(*status)? {
                        1 => false,
                        2 => true,
                        _ => return None,
                    },
                })
            }
            _ => None,
        }
    }
}

/// Arguments of a call of `create`.
struct Creation {
    game_type: u32,
    root: B256,
    number: BlockNumber,
}

impl Creation {
    /// Of a transaction that calls the factory itself.
    fn of(factory: Address, transaction: &[u8]) -> Option<Self> {
        let transaction = EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(transaction).ok()?;
        if transaction.to() != Some(factory) {
            return None;
        }
        let arguments = transaction.input().strip_prefix(&CREATE)?;
        let word = |at: usize| {
            let bytes = arguments.get(at..at.checked_add(32)?)?;
            Some(B256::from_slice(bytes))
        };
        let offset = usize::try_from(to_number(word(64)?)?).ok()?;
        let length = to_number(word(offset)?)?;
        if length < 32 {
            return None;
        }
        Some(Self {
            game_type: u32::try_from(to_number(word(0)?)?).ok()?,
            root: word(32)?,
            // Extra data begins with the number of the rollup block.
            number: to_number(word(offset.checked_add(32)?)?)?,
        })
    }
}

/// A word as a number that fits.
fn to_number(word: B256) -> Option<u64> {
    u64::try_from(U256::from_be_bytes(word.0)).ok()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    /// The constants are what the signatures hash to; the first and the third are in Optimism's own
    /// Go bindings too.
    #[test]
    fn topics_and_selector_are_those_of_the_signatures() {
        for (signature, topic) in [
            (
                "OutputProposed(bytes32,uint256,uint256,uint256)",
                OUTPUT_PROPOSED,
            ),
            ("OutputsDeleted(uint256,uint256)", OUTPUTS_DELETED),
            ("DisputeGameCreated(address,uint32,bytes32)", GAME_CREATED),
            ("Resolved(uint8)", RESOLVED),
        ] {
            assert_eq!(keccak256(signature), topic, "{signature}");
        }
        assert_eq!(keccak256("create(uint32,bytes32,bytes)")[..4], CREATE);
    }
}
