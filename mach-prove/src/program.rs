//! Which program proves what, and for whom.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// Most bytes of input that a guest reads.
pub const MAX_INPUT_BYTES: usize = 256 * 1024 * 1024;

/// One of the two guest programs. Each backend has an id for it, 32 bytes that name its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Program {
    /// Judges a block by executing it: `guest::run_block`.
    Block,
    /// Judges an output root by a header: `guest::run_output`.
    Output,
}

impl Program {
    /// All programs.
    pub const ALL: [Self; 2] = [Self::Block, Self::Output];

    /// Name on the command line and of the guest's file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Output => "output",
        }
    }
}

impl core::fmt::Display for Program {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::str::FromStr for Program {
    type Err = UnknownProgram;

    fn from_str(name: &str) -> Result<Self, UnknownProgram> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or(UnknownProgram)
    }
}

/// A name that no program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a guest program: there are `block` and `output`")]
pub struct UnknownProgram;

/// Where a proof counts, and for whom.
///
/// The guest copies it into the journal and looks at none of it: the contract compares each word
/// with what it knows itself, so that a proof made for one contract, chain or sender is worth nothing
/// to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// EIP-155 id of L1.
    pub l1_chain_id: U256,
    /// The contract that is to accept the proof.
    pub service_manager: Address,
    /// The only account that may hand it in.
    pub prover: Address,
}
