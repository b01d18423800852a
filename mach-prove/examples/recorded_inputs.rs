//! Writes what guests are compared on: inputs that affirm recorded blocks of public chains, with the
//! journals of native code. What native code refuses is left out, and named.
//!
//! `cargo run --release -p mach-prove --example recorded_inputs -- blocks guests/inputs [NAME...]`

#![allow(clippy::print_stderr, reason = "a tool")]

use std::{env, fs, path::Path};

use alloy_primitives::{U256, address};
use mach_prove::{BlockInput, Context, ProofRequest, Task};
use mach_verify::{
    ChainSpec,
    source::{RecordedBlock, recorded_files},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("a folder of blocks and one for inputs are missing".into());
    };
    let only: Vec<String> = arguments.collect();
    fs::create_dir_all(&to)?;
    for file in recorded_files(from)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('.').next().unwrap_or_default();
        if !only.is_empty() && !only.iter().any(|it| it == name) {
            continue;
        }
        let RecordedBlock { block, witness, .. } = RecordedBlock::read(&file)?;
        let Some(spec) = ChainSpec::known(block.chain_id) else {
            eprintln!("{name}: the chain is not known");
            continue;
        };
        let transactions = block.transactions.len();
        let witness_bytes = witness.size();
        let input = BlockInput {
            context: Context {
                l1_chain_id: U256::from(1),
                service_manager: address!("0x00000000000000000000000000000000000000aa"),
                prover: address!("0x00000000000000000000000000000000000000bb"),
            },
            task: Task::Affirm,
            spec,
            block,
            witness,
        };
        let request = match ProofRequest::block(&input) {
            Ok(request) => request,
            Err(error) => {
                eprintln!("{name}: {error}: {:?}", std::error::Error::source(&error));
                continue;
            }
        };
        let to = Path::new(&to);
        fs::write(to.join(format!("block-{name}.bin")), request.input())?;
        let journal = serde_json::to_string_pretty(request.journal())? + "\n";
        fs::write(to.join(format!("block-{name}.json")), journal)?;
        eprintln!("{name}: {transactions} transactions, {witness_bytes} bytes of witness");
    }
    Ok(())
}
