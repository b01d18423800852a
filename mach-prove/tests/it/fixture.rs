//! Blocks that the devnet made, kept by mach-verify as files.

use std::path::{Path, PathBuf};

use alloy_primitives::{Bytes, U256, address};
use mach_devnet::{EthereumFork, Lie, OptimismFork};
use mach_prove::{BlockInput, Context, Task};
use mach_verify::{ChainSpec, source::RecordedBlock};

/// Blocks that are valid.
pub(crate) const HONEST: [&str; 3] = ["isthmus", "jovian", "osaka"];

/// The lies that execution finds.
pub(crate) const LIES: [Lie; 6] = [
    Lie::StateRoot,
    Lie::ReceiptsRoot,
    Lie::GasUsed,
    Lie::DroppedTransaction,
    Lie::AlteredTransaction,
    Lie::MintedBalance,
];

pub(crate) const CONTEXT: Context = Context {
    l1_chain_id: U256::from_limbs([900, 0, 0, 0]),
    service_manager: address!("0x00000000000000000000000000000000000000aa"),
    prover: address!("0x00000000000000000000000000000000000000bb"),
};

/// A recorded block with the rules of its chain.
pub(crate) fn recorded(name: &str) -> (ChainSpec, RecordedBlock) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mach-verify/testdata");
    let record = RecordedBlock::read(folder.join(format!("{name}.json.gz"))).unwrap();
    let chain_id = record.block.chain_id;
    let spec = match name {
        "osaka" => EthereumFork::Osaka.spec(chain_id),
        "isthmus" => OptimismFork::Isthmus.spec(chain_id),
        _ => OptimismFork::Jovian.spec(chain_id),
    };
    (spec, record)
}

pub(crate) fn input(name: &str, task: Task) -> BlockInput {
    let (spec, RecordedBlock { block, witness, .. }) = recorded(name);
    BlockInput {
        context: CONTEXT,
        task,
        spec,
        block,
        witness,
    }
}

pub(crate) fn encoded(name: &str, task: Task) -> Bytes {
    input(name, task).encode().unwrap()
}

/// Where the data that is not in the repository is, or `None` with a word about it.
pub(crate) fn data(part: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("MACH_DATA") else {
        eprintln!("skipped: MACH_DATA is not set");
        return None;
    };
    Some(Path::new(&root).join(part))
}
