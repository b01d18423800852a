//! What a proof says.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Context;

/// Layout that is written, and the only one that is read.
pub const JOURNAL_VERSION: u16 = 1;

/// Length of an encoded journal: 13 words.
pub const JOURNAL_BYTES: usize = 13 * 32;

/// The words that a guest commits to.
///
/// With a fault: *under the configuration, on the parent, the header with its own transactions is
/// not what execution gives; the first broken rule is `fault`*. Without one (0): *no rule is broken*.
/// With 128: *the output root of the header is `computed`, and not `claimed`*.
///
/// It is encoded as Solidity's `abi.encode` of a struct of static members, in this order:
/// `uint16 version, uint256 l1ChainId, address serviceManager, address prover,
/// uint256 rollupChainId, bytes32 configHash, bytes32 parentHash, bytes32 blockHash,
/// uint64 blockNumber, uint16 fault, bytes32 claimed, bytes32 computed, bytes32 outputRoot`.
/// The version is [`JOURNAL_VERSION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Journal {
    /// EIP-155 id of L1.
    pub l1_chain_id: U256,
    /// The contract that is to accept the proof.
    pub service_manager: Address,
    /// The only account that may hand it in.
    pub prover: Address,
    /// EIP-155 id of the rollup.
    pub rollup_chain_id: U256,
    /// `ChainSpec::hash` of the rules.
    pub config_hash: B256,
    /// Hash of the header that the block was executed on.
    pub parent_hash: B256,
    /// Hash of the header that is judged.
    pub block_hash: B256,
    /// Height that the header says.
    pub block_number: u64,
    /// `Fault::code`, or 0 if no rule is broken.
    pub fault: u16,
    /// `Fault::words`; the block hash if no rule is broken.
    pub claimed: B256,
    /// `Fault::words`; the block hash if no rule is broken.
    pub computed: B256,
    /// Output root that is right for the header, or zero, which says nothing.
    pub output_root: B256,
}

impl Journal {
    /// The words that say where the proof counts.
    pub const fn context(&self) -> Context {
        Context {
            l1_chain_id: self.l1_chain_id,
            service_manager: self.service_manager,
            prover: self.prover,
        }
    }

    /// The encoding of Solidity.
    pub fn encode(&self) -> [u8; JOURNAL_BYTES] {
        let number = |value: u64| U256::from(value).to_be_bytes();
        let words: [[u8; 32]; 13] = [
            number(JOURNAL_VERSION.into()),
            self.l1_chain_id.to_be_bytes(),
            self.service_manager.into_word().0,
            self.prover.into_word().0,
            self.rollup_chain_id.to_be_bytes(),
            self.config_hash.0,
            self.parent_hash.0,
            self.block_hash.0,
            number(self.block_number),
            number(self.fault.into()),
            self.claimed.0,
            self.computed.0,
            self.output_root.0,
        ];
        let mut bytes = [0; JOURNAL_BYTES];
        for (to, from) in bytes.chunks_exact_mut(32).zip(words) {
            to.copy_from_slice(&from);
        }
        bytes
    }

    /// The inverse of [`Self::encode`], as strict as Solidity's `abi.decode`.
    ///
    /// Errors: [`JournalError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalError> {
        if bytes.len() != JOURNAL_BYTES {
            return Err(JournalError::Length(bytes.len()));
        }
        let mut words = bytes.chunks_exact(32).map(B256::from_slice);
        let mut word = || words.next().unwrap_or_default();
        let version = number("version", word())?;
        if version != JOURNAL_VERSION {
            return Err(JournalError::Version(version));
        }
        Ok(Self {
            l1_chain_id: word().into(),
            service_manager: address("serviceManager", word())?,
            prover: address("prover", word())?,
            rollup_chain_id: word().into(),
            config_hash: word(),
            parent_hash: word(),
            block_hash: word(),
            block_number: number("blockNumber", word())?,
            fault: number("fault", word())?,
            claimed: word(),
            computed: word(),
            output_root: word(),
        })
    }

    /// SHA-256 of the encoding: what every backend's proof is bound to.
    pub fn digest(&self) -> B256 {
        B256::new(Sha256::digest(self.encode()).into())
    }
}

/// A word that holds a number of fewer bits, as Solidity demands: zeros before it.
fn number<T: TryFrom<U256>>(field: &'static str, word: B256) -> Result<T, JournalError> {
    T::try_from(U256::from_be_bytes(word.0)).map_err(|_| JournalError::Word(field))
}

fn address(field: &'static str, word: B256) -> Result<Address, JournalError> {
    let address = Address::from_word(word);
    if address.into_word() == word {
        Ok(address)
    } else {
        Err(JournalError::Word(field))
    }
}

/// Why bytes are no journal.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another length than [`JOURNAL_BYTES`].
    #[error("a journal has {JOURNAL_BYTES} bytes, not {0}")]
    Length(usize),
    /// Another version than [`JOURNAL_VERSION`].
    #[error("journal version {0} is not known")]
    Version(u16),
    /// A word is larger than its type.
    #[error("journal field {0} is larger than its type")]
    Word(&'static str),
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, hex};
    use alloy_sol_types::{SolValue, sol};
    use proptest::prelude::*;

    use super::*;

    mod solidity {
        super::sol! {
            struct Journal {
                uint16 version;
                uint256 l1ChainId;
                address serviceManager;
                address prover;
                uint256 rollupChainId;
                bytes32 configHash;
                bytes32 parentHash;
                bytes32 blockHash;
                uint64 blockNumber;
                uint16 fault;
                bytes32 claimed;
                bytes32 computed;
                bytes32 outputRoot;
            }
        }
    }

    fn in_solidity(journal: &Journal) -> solidity::Journal {
        solidity::Journal {
            version: JOURNAL_VERSION,
            l1ChainId: journal.l1_chain_id,
            serviceManager: journal.service_manager,
            prover: journal.prover,
            rollupChainId: journal.rollup_chain_id,
            configHash: journal.config_hash,
            parentHash: journal.parent_hash,
            blockHash: journal.block_hash,
            blockNumber: journal.block_number,
            fault: journal.fault,
            claimed: journal.claimed,
            computed: journal.computed,
            outputRoot: journal.output_root,
        }
    }

    fn example() -> Journal {
        Journal {
            l1_chain_id: U256::from(900),
            service_manager: address!("0x00000000000000000000000000000000000000aa"),
            prover: address!("0x00000000000000000000000000000000000000bb"),
            rollup_chain_id: U256::from(901),
            config_hash: B256::repeat_byte(1),
            parent_hash: B256::repeat_byte(2),
            block_hash: B256::repeat_byte(3),
            block_number: 8,
            fault: 4,
            claimed: B256::repeat_byte(4),
            computed: B256::repeat_byte(5),
            output_root: B256::ZERO,
        }
    }

    prop_compose! {
        fn journals()(
            numbers: [[u8; 32]; 2],
            addresses: [[u8; 20]; 2],
            words: [[u8; 32]; 6],
            block_number: u64,
            fault: u16,
        ) -> Journal {
            let [config_hash, parent_hash, block_hash, claimed, computed, output_root] =
                words.map(B256::new);
            Journal {
                l1_chain_id: U256::from_be_bytes(numbers[0]),
                service_manager: addresses[0].into(),
                prover: addresses[1].into(),
                rollup_chain_id: U256::from_be_bytes(numbers[1]),
                config_hash,
                parent_hash,
                block_hash,
                block_number,
                fault,
                claimed,
                computed,
                output_root,
            }
        }
    }

    proptest! {
        /// alloy's encoder of Solidity's types is the other implementation.
        #[test]
        fn the_encoding_is_that_of_solidity(journal in journals()) {
            let encoded = journal.encode();
            prop_assert_eq!(&encoded[..], &in_solidity(&journal).abi_encode()[..]);
            prop_assert_eq!(Journal::decode(&encoded).unwrap(), journal);
        }

        #[test]
        fn any_bytes_are_a_journal_or_an_error(bytes in proptest::collection::vec(any::<u8>(), JOURNAL_BYTES)) {
            if let Ok(journal) = Journal::decode(&bytes) {
                prop_assert_eq!(&journal.encode()[..], &bytes[..]);
            }
        }
    }

    /// Made with Python's hashlib over the 13 words, written down by hand.
    #[test]
    fn the_digest_is_that_of_another_implementation() {
        assert_eq!(
            example().digest(),
            B256::new(hex!(
                "f6753840f34c76258636cd3e7994a398e2d3f99dc8b1570ec2b723d85b667bd2"
            ))
        );
    }

    #[test]
    fn a_journal_altered_in_any_bit_has_another_digest_or_is_none() {
        let encoded = example().encode();
        for bit in 0..JOURNAL_BYTES * 8 {
            let mut altered = encoded;
            altered[bit / 8] ^= 1 << (bit % 8);
            match Journal::decode(&altered) {
                Ok(journal) => assert_ne!(journal.digest(), example().digest(), "bit {bit}"),
                Err(JournalError::Version(_) | JournalError::Word(_)) => {}
                Err(error) => panic!("bit {bit}: {error}"),
            }
        }
    }

    #[test]
    fn words_that_solidity_refuses_are_refused() {
        let encoded = example().encode();
        for (word, error) in [
            (0, JournalError::Word("version")),
            (2, JournalError::Word("serviceManager")),
            (3, JournalError::Word("prover")),
            (8, JournalError::Word("blockNumber")),
            (9, JournalError::Word("fault")),
        ] {
            let mut altered = encoded;
            altered[word * 32] = 1;
            assert_eq!(Journal::decode(&altered), Err(error));
        }
        let mut later = encoded;
        later[31] = 2;
        assert_eq!(Journal::decode(&later), Err(JournalError::Version(2)));
        assert_eq!(
            Journal::decode(&encoded[1..]),
            Err(JournalError::Length(415))
        );
    }
}
