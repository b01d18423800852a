//! Writes what the guests are measured and proved on: inputs from a devnet whose sequencer lies.
//!
//! `cargo run --release -p mach-prove --example guest_inputs -- guests/inputs`

use std::{env, fs, path::Path};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, U256, address};
use alloy_signer::SignerSync;
use mach_core::ports::L2Source;
use mach_devnet::{DEV_ACCOUNTS, Devnet, DevnetConfig, Lie};
use mach_prove::{BlockInput, Context, ProofRequest, Task};
use mach_verify::source::WitnessSource;

/// Where the proofs would count.
const CONTEXT: Context = Context {
    l1_chain_id: U256::from_limbs([900, 0, 0, 0]),
    service_manager: address!("0x00000000000000000000000000000000000000aa"),
    prover: address!("0x00000000000000000000000000000000000000bb"),
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args_os().nth(1).ok_or("a folder is missing")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;

    // One deposit is in every block of the rollup; each signed transaction is a transfer.
    for (name, transfers, lie) in [
        ("deposit", 0, Some(Lie::StateRoot)),
        ("transfer", 1, Some(Lie::StateRoot)),
        ("transfers", 4, Some(Lie::StateRoot)),
        ("affirmed", 1, None),
    ] {
        let (devnet, number) = block(transfers, lie)?;
        let chain = devnet.sequencer().chain().clone();
        let block = L2Source::block(&chain, number).await?;
        let witness = chain.witness(&block).await?;
        let input = BlockInput {
            context: CONTEXT,
            task: if lie.is_some() {
                Task::Accuse
            } else {
                Task::Affirm
            },
            spec: DevnetConfig::default().l2_spec(),
            block,
            witness,
        };
        write(
            folder,
            &format!("block-{name}"),
            &ProofRequest::block(&input)?,
        )?;
    }

    let (devnet, number) = block(0, None)?;
    let header = L2Source::block(devnet.sequencer().chain(), number)
        .await?
        .header;
    let claimed = B256::repeat_byte(1);
    let spec = DevnetConfig::default().l2_spec();
    let request = ProofRequest::output(CONTEXT, spec, header, claimed, Vec::<Bytes>::new())?;
    write(folder, "output", &request)
}

/// A devnet whose newest block has so many transfers and such a lie.
fn block(transfers: u64, lie: Option<Lie>) -> Result<(Devnet, u64), Box<dyn std::error::Error>> {
    let devnet = Devnet::new()?;
    let sequencer = devnet.sequencer();
    sequencer.produce_quiet()?;
    for nonce in 0..transfers {
        let transfer = TxEip1559 {
            chain_id: sequencer.chain().chain_id(),
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: address!("0x00000000000000000000000000000000000000cc").into(),
            value: U256::from(1),
            ..Default::default()
        };
        let signature = DEV_ACCOUNTS[0]
            .signer()
            .sign_hash_sync(&transfer.signature_hash())?;
        let signed = TxEnvelope::from(transfer.into_signed(signature)).encoded_2718();
        sequencer.chain().send_raw_transaction(&signed)?;
    }
    if let Some(lie) = lie {
        sequencer.lie_next(lie);
    }
    let number = sequencer.produce_quiet()?;
    Ok((devnet, number))
}

fn write(
    folder: &Path,
    name: &str,
    request: &ProofRequest,
) -> Result<(), Box<dyn std::error::Error>> {
    fs::write(folder.join(format!("{name}.bin")), request.input())?;
    let journal = serde_json::to_string_pretty(request.journal())? + "\n";
    Ok(fs::write(folder.join(format!("{name}.json")), journal)?)
}
