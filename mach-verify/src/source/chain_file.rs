//! A whole chain in a file: blocks as RLP, one after another, beside a genesis file.

use std::path::Path;

use alloy_genesis::Genesis;
use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    BlockError, BlockRef, L2Block,
    ports::{BoxError, L2Head, L2Source, SourceError},
};

use super::{RecordError, recorded::read_file};
use crate::{ChainSpec, ChainVerifier, SpecError};

/// Name of the file with the blocks in a directory.
const CHAIN_FILE: &str = "chain.rlp";
/// Name of the file with the genesis in a directory.
const GENESIS_FILE: &str = "genesis.json";

/// Blocks of a chain file, and the genesis that they follow.
///
/// The format of geth's `export` and of Ethereum's RPC and hive tests. The genesis is where the chain
/// comes from, its state and its rules, also where its id is that of a built-in chain: test
/// chains have id 1.
#[derive(Clone, Debug)]
pub struct ChainFile {
    spec: ChainSpec,
    genesis: Genesis,
    blocks: Vec<L2Block>,
}

/// Why a chain file cannot be followed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// A file cannot be read.
    #[error("chain file cannot be read")]
    File(#[source] RecordError),
    /// The genesis file is not a genesis file.
    #[error("genesis file is malformed")]
    Genesis(#[source] serde_json::Error),
    /// The genesis file gives no rules.
    #[error("genesis file gives no rules")]
    Spec(#[source] SpecError),
    /// The genesis has no state.
    #[error("genesis state cannot be built")]
    State(#[source] BoxError),
    /// Bytes where a block should be are none.
    #[error("chain file holds no block at byte {offset}")]
    Block {
        /// Where the block should start.
        offset: usize,
        /// Which part, and why.
        #[source]
        source: BlockError,
    },
    /// A block does not follow the one before it in the file.
    #[error("block {number} at byte {offset} does not follow the block before it")]
    Order {
        /// Where the block starts.
        offset: usize,
        /// Its height.
        number: BlockNumber,
    },
}

impl ChainFile {
    /// Whether the directory holds the two files.
    pub fn is_in(directory: impl AsRef<Path>) -> bool {
        let directory = directory.as_ref();
        directory.join(CHAIN_FILE).is_file() && directory.join(GENESIS_FILE).is_file()
    }

    /// Reads `chain.rlp` and `genesis.json` in a directory; either may end in `.gz` when opened
    /// with [`Self::open`].
    ///
    /// Errors: [`ChainFileError`].
    pub fn open_directory(directory: impl AsRef<Path>) -> Result<Self, ChainFileError> {
        let directory = directory.as_ref();
        Self::open(directory.join(CHAIN_FILE), directory.join(GENESIS_FILE))
    }

    /// Reads a chain file and the genesis file that it follows.
    ///
    /// Errors: [`ChainFileError`].
    pub fn open(
        chain: impl AsRef<Path>,
        genesis: impl AsRef<Path>,
    ) -> Result<Self, ChainFileError> {
        let genesis = read_file(genesis.as_ref()).map_err(ChainFileError::File)?;
        let chain = read_file(chain.as_ref()).map_err(ChainFileError::File)?;
        let genesis = serde_json::from_slice(&genesis).map_err(ChainFileError::Genesis)?;
        Self::parse(&chain, genesis)
    }

    /// Decodes the content of a chain file.
    ///
    /// Errors: [`ChainFileError`].
    pub fn parse(chain: &[u8], genesis: Genesis) -> Result<Self, ChainFileError> {
        let spec = ChainSpec::from_genesis(&genesis).map_err(ChainFileError::Spec)?;
        let mut blocks: Vec<L2Block> = Vec::new();
        let mut rest = chain;
        while !rest.is_empty() {
            let offset = chain.len() - rest.len();
            let block = L2Block::decode_rlp_prefix(spec.chain_id(), &mut rest)
                .map_err(|source| ChainFileError::Block { offset, source })?;
            // geth exports the genesis block too.
            if block.number() == 0 && blocks.is_empty() {
                continue;
            }
            let follows = match blocks.last() {
                Some(last) => last.number().checked_add(1) == Some(block.number()),
                None => true,
            };
            if !follows {
                let number = block.number();
                return Err(ChainFileError::Order { offset, number });
            }
            blocks.push(block);
        }
        Ok(Self {
            spec,
            genesis,
            blocks,
        })
    }

    /// Rules of the chain, from its genesis file.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// Blocks in ascending order, without genesis.
    pub fn blocks(&self) -> &[L2Block] {
        &self.blocks
    }

    /// A verifier that stands at the genesis of the chain.
    ///
    /// Errors: [`ChainFileError::State`].
    pub fn verifier(&self) -> Result<ChainVerifier, ChainFileError> {
        ChainVerifier::new(self.spec.clone(), &self.genesis)
            .map_err(|error| ChainFileError::State(Box::new(error)))
    }
}

#[async_trait]
impl L2Source for ChainFile {
    fn chain_id(&self) -> ChainId {
        self.spec.chain_id()
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        let last = self.blocks.last().map(L2Block::reference);
        last.ok_or(SourceError::NotYet(1))
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let first = self.blocks.first().map_or(0, L2Block::number);
        let index = number
            .checked_sub(first)
            .and_then(|it| usize::try_from(it).ok());
        match index.and_then(|index| self.blocks.get(index)) {
            Some(block) => Ok(block.clone()),
            None if number < first => Err(SourceError::NotHeld(number)),
            None => Err(SourceError::NotYet(number)),
        }
    }
}
