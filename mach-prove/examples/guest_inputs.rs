//! Writes what the guests are measured and proved on: inputs from a devnet whose sequencer lies.
//!
//! `cargo run --release -p mach-prove --example guest_inputs -- guests/inputs`

use std::{env, fs, path::Path};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, uint};
use alloy_signer::SignerSync;
use mach_core::ports::L2Source;
use mach_devnet::{Chain, DEV_ACCOUNTS, Devnet, DevnetConfig, Lie, Optimism};
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
    // The block of the last is right only if every signer is found that there is, and no other.
    let code = recoveries()?;
    for (name, transactions, lie) in [
        ("deposit", vec![], Some(Lie::StateRoot)),
        ("transfer", transfers(1), Some(Lie::StateRoot)),
        ("transfers", transfers(4), Some(Lie::StateRoot)),
        ("affirmed", transfers(1), None),
        ("recovered", vec![(TxKind::Create, code)], None),
    ] {
        let (devnet, number) = block(&transactions, lie)?;
        let chain = devnet.sequencer().chain().clone();
        let block = L2Source::block(&chain, number).await?;
        let witness = chain.witness(&block).await?;
        if name == "recovered" {
            said_right(&chain, number).await?;
        }
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

    let (devnet, number) = block(&[], None)?;
    let header = L2Source::block(devnet.sequencer().chain(), number)
        .await?
        .header;
    let claimed = B256::repeat_byte(1);
    let spec = DevnetConfig::default().l2_spec();
    let request = ProofRequest::output(CONTEXT, spec, header, claimed, Vec::<Bytes>::new())?;
    write(folder, "output", &request)
}

fn transfers(count: usize) -> Vec<(TxKind, Bytes)> {
    let to = address!("0x00000000000000000000000000000000000000cc");
    vec![(to.into(), Bytes::new()); count]
}

/// A devnet whose newest block has these transactions and such a lie.
fn block(
    transactions: &[(TxKind, Bytes)],
    lie: Option<Lie>,
) -> Result<(Devnet, u64), Box<dyn std::error::Error>> {
    let devnet = Devnet::new()?;
    let sequencer = devnet.sequencer();
    sequencer.produce_quiet()?;
    for (nonce, (to, input)) in (0..).zip(transactions) {
        let transfer = TxEip1559 {
            chain_id: sequencer.chain().chain_id(),
            nonce,
            gas_limit: if input.is_empty() { 21_000 } else { 1_000_000 },
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: *to,
            value: U256::from(u8::from(input.is_empty())),
            input: input.clone(),
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

/// Order of secp256k1.
const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
/// Abscissa of its generator, whose ordinate is even.
const GENERATOR: U256 =
    uint!(0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798_U256);
/// Bytes of one call of the precompile: message, recovery, r and s.
const CALL: usize = 128;
/// Bytes of code of one call.
const STEP: usize = 35;

/// Code that has the precompile at address 1 recover signers, and logs for each what it said: of
/// signatures, of such as nobody can have made, and of those where the arithmetic has its corners.
fn recoveries() -> Result<Bytes, Box<dyn std::error::Error>> {
    let message = B256::repeat_byte(0x5a);
    let signature = DEV_ACCOUNTS[1].signer().sign_hash_sync(&message)?;
    let (z, r, s) = (U256::from_be_bytes(message.0), signature.r(), signature.s());
    let v = U256::from(27 + u8::from(signature.v()));
    let other = U256::from(55) - v;
    let [even, odd] = [27, 28].map(U256::from);
    let [zero, one] = [U256::ZERO, U256::ONE];
    let calls = [
        (z, v, r, s),
        // Another key, and the same by the other signature.
        (z, other, r, s),
        (z, other, r, ORDER - s),
        // Out of range.
        (z, v, zero, s),
        (z, v, r, zero),
        (z, v, ORDER, s),
        (z, v, r, ORDER),
        (z, v, ORDER + one, s),
        (z, v, U256::MAX, s),
        (z, v, r, U256::MAX),
        // No point has this abscissa, and one has the next.
        (z, v, U256::from(5), s),
        (z, v, U256::from(6), s),
        (z, v, ORDER - one, ORDER - one),
        // Messages that stand for zero, and one above the order.
        (zero, v, r, s),
        (ORDER, v, r, s),
        (U256::MAX, v, r, s),
        // The point is the generator, or its negative: the two to be added are equal or opposite, and
        // the sum is nothing, or not.
        (one, even, GENERATOR, one),
        (z, even, GENERATOR, z % ORDER),
        (one, odd, GENERATOR, one),
        (one, odd, GENERATOR, ORDER - one),
        (one, even, GENERATOR, ORDER - one),
        (zero, even, GENERATOR, one),
        // No recovery ids of the precompile.
        (z, zero, r, s),
        (z, one, r, s),
        (z, U256::from(26), r, s),
        (z, U256::from(29), r, s),
        (z, U256::from(30), r, s),
        (z, v + (one << 8), r, s),
        (z, v + (one << 255), r, s),
    ];
    // For each: its input to 0, and 0x80 cleared; the call with its answer there; success and length of the answer
    // behind it; a log of the three.
    let length = STEP * calls.len() + 1;
    let mut code = Vec::new();
    for index in 0..calls.len() {
        let [high, low] = u16::try_from(length + CALL * index)?.to_be_bytes();
        code.extend([0x60, 0x80, 0x61, high, low, 0x5f, 0x39]); // CODECOPY
        code.extend([0x5f, 0x60, 0x80, 0x52]); // MSTORE
        code.extend([
            0x60, 0x20, 0x60, 0x80, 0x60, 0x80, 0x5f, 0x5f, 0x60, 0x01, 0x5a, 0xf1,
        ]); // CALL
        code.extend([0x60, 0xa0, 0x52, 0x3d, 0x60, 0xc0, 0x52]); // MSTORE, RETURNDATASIZE, MSTORE
        code.extend([0x60, 0x60, 0x60, 0x80, 0xa0]); // LOG0
    }
    code.push(0x00); // STOP
    assert_eq!(code.len(), length);
    for (z, v, r, s) in calls {
        for word in [z, v, r, s] {
            code.extend(word.to_be_bytes::<32>());
        }
    }
    Ok(code.into())
}

/// The signer of a signature, twice, and nobody where Ethereum's yellow paper has nobody.
async fn said_right(
    chain: &Chain<Optimism>,
    number: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let height = format!("{number:#x}");
    let filter = serde_json::json!({ "fromBlock": height, "toBlock": height });
    let logs: Vec<serde_json::Value> = (chain.client().request("eth_getLogs", (filter,))).await?;
    let said = logs.iter().filter_map(|log| log["data"].as_str());
    let said: Vec<Bytes> = said.map(str::parse).collect::<Result<_, _>>()?;
    let answer = |signer: Option<Address>| {
        let length = U256::from(32 * u8::from(signer.is_some()));
        let words = [
            signer.unwrap_or_default().into_word(),
            U256::ONE.into(),
            length.into(),
        ];
        Bytes::from(words.concat())
    };
    let signer = answer(Some(DEV_ACCOUNTS[1].address));
    let nobody = answer(None);
    assert_eq!(said.len(), 29);
    for (index, said) in said.iter().enumerate() {
        let is_right = match index {
            0 | 2 => *said == signer,
            // Out of range, no point, the sum of opposites, no recovery id.
            3..=10 | 16 | 17 | 19 | 22.. => *said == nobody,
            // Whether there are such points is for the curve to say.
            11 | 12 => *said != signer,
            _ => *said != signer && *said != nobody,
        };
        assert!(is_right, "recovery {index}: {said}");
    }
    Ok(())
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
