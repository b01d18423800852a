//! Blocks that the devnet made, kept as files: what is promised about real blocks is tested on
//! these too, with nothing but the repository.

use std::path::{Path, PathBuf};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, bytes};
use alloy_signer::SignerSync;
use mach_core::{Assurance, L2Block, Verdict};
use mach_devnet::{
    Chain, DEV_ACCOUNTS, DevAccount, Devnet, DevnetConfig, EthereumFork, Lie, Mining, OptimismFork,
    Role, UserDeposit,
};
use mach_verify::{
    ChainSpec, Witness,
    source::{RecordedBlock, recorded_files},
    verify_block,
};

/// Height of every recorded block: the traffic writes, deletes and withdraws in it.
const HEIGHT: u64 = 8;

/// Blocks that are valid.
pub(crate) const HONEST: [&str; 3] = ["isthmus", "jovian", "osaka"];

/// The lies that are told in a block. The output root's is told beside it.
const LIES: [Lie; 6] = [
    Lie::StateRoot,
    Lie::ReceiptsRoot,
    Lie::GasUsed,
    Lie::DroppedTransaction,
    Lie::AlteredTransaction,
    Lie::MintedBalance,
];

/// A recorded block with the rules of its chain.
pub(crate) fn recorded(name: &str) -> (ChainSpec, RecordedBlock) {
    let record = RecordedBlock::read(path(name)).unwrap();
    let chain_id = record.block.chain_id;
    let spec = match name {
        "osaka" => EthereumFork::Osaka.spec(chain_id),
        "isthmus" => OptimismFork::Isthmus.spec(chain_id),
        _ => OptimismFork::Jovian.spec(chain_id),
    };
    (spec, record)
}

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    folder.join(format!("{name}.json.gz"))
}

fn names() -> impl Iterator<Item = String> {
    let lies = LIES.into_iter().map(|lie| format!("lie-{lie}"));
    HONEST.into_iter().map(str::to_owned).chain(lies)
}

#[test]
fn an_honest_block_is_valid_and_each_lie_is_named() {
    for name in HONEST {
        let (spec, RecordedBlock { block, witness, .. }) = recorded(name);
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        let Verdict::Valid(summary) = verdict else {
            panic!("{name}: {verdict:?}");
        };
        assert_eq!(summary.block, block.reference());
        assert_eq!(summary.assurance, Assurance::Executed);
        assert_eq!(summary.state_root, block.header.state_root);
        assert_eq!(summary.output_root.is_some(), name != "osaka");
    }
    for lie in LIES {
        let (spec, RecordedBlock { block, witness, .. }) = recorded(&format!("lie-{lie}"));
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        assert_eq!(
            verdict.fault().map(|it| it.name()),
            Some(lie.fault()),
            "{lie}"
        );
    }
}

/// The steps that made the files make them again. Where they do not, what they make now is written
/// beside the test's own files, to be looked at and taken over.
#[tokio::test]
async fn the_devnet_still_makes_what_was_recorded() {
    let mut files: Vec<_> = names().map(|name| path(&name)).collect();
    files.sort();
    assert_eq!(recorded_files(path("").parent().unwrap()).unwrap(), files);
    let mut changed = Vec::new();
    for name in names() {
        let made = make(&name).await;
        let kept = RecordedBlock::read(path(&name)).ok();
        if kept.is_none_or(|kept| kept.to_json() != made.to_json()) {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json.gz"));
            made.write(&file).unwrap();
            changed.push(file);
        }
    }
    assert!(changed.is_empty(), "not what is in testdata: {changed:#?}");
}

async fn make(name: &str) -> RecordedBlock {
    let l2_fork = match name {
        "isthmus" => OptimismFork::Isthmus,
        _ => OptimismFork::Jovian,
    };
    let config = DevnetConfig {
        l2_fork,
        l1_mining: Mining::Manual,
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    if name == "osaka" {
        make_l1(&devnet);
        return record(devnet.l1()).await;
    }
    for _ in 1..HEIGHT {
        devnet.sequencer().produce().unwrap();
    }
    if let Some(lie) = name.strip_prefix("lie-") {
        devnet.sequencer().lie_next(lie.parse().unwrap());
    }
    let deposit = UserDeposit::ether(Address::repeat_byte(0xd0), 5);
    devnet.sequencer().deposit(deposit).unwrap();
    devnet.l1().mine().unwrap();
    devnet.sequencer().produce().unwrap();
    record(devnet.l2()).await
}

/// The newest block, and the witness that the chain's RPC gives for it.
async fn record<R: Role>(chain: &Chain<R>) -> RecordedBlock {
    assert_eq!(chain.head(), HEIGHT);
    let tag = format!("{HEIGHT:#x}");
    let mut witness: Witness = chain
        .client()
        .request("debug_executionWitness", (tag,))
        .await
        .unwrap();
    // Nodes come in the order in which they were read, and accounts are read in none.
    witness.state.sort();
    witness.codes.sort();
    let block: L2Block = chain.l2_block(HEIGHT).unwrap();
    RecordedBlock {
        block,
        witness,
        source: Some("mach-devnet".to_owned()),
    }
}

/// Counts its calls in slot 0 and logs the count.
fn counter() -> Bytes {
    bytes!("5f54 6001 01 80 5f55 5f52 6020 5f a0 00")
}

/// Code that puts `runtime` in place.
fn deployment(runtime: &Bytes) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    let init = [0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3];
    [&init[..], runtime].concat().into()
}

/// A contract, and seven blocks later everything that an L1 block can hold but blobs: old and new
/// transactions, a delegation, a creation that reads a block hash, a request to the consensus
/// layer.
fn make_l1(devnet: &Devnet) {
    let l1 = devnet.l1();
    let chain_id = l1.chain_id();
    let [deployer, caller, ..] = DEV_ACCOUNTS;
    let create = |nonce, input| TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: GAS_PRICE,
        max_priority_fee_per_gas: 1,
        to: TxKind::Create,
        input,
        ..Default::default()
    };
    let call = |to: Address, value: u64, input: Bytes| TxEip1559 {
        to: to.into(),
        value: U256::from(value),
        input,
        ..create(0, Bytes::new())
    };
    send(l1, &deployer, create(0, deployment(&counter())));
    for _ in 1..HEIGHT {
        l1.mine().unwrap();
    }
    let contract = deployer.address.create(0);

    // `SSTORE(0, BLOCKHASH(NUMBER - 3))`.
    send(l1, &deployer, create(1, bytes!("6003 43 03 40 5f 55 00")));
    let legacy = TxLegacy {
        chain_id: Some(chain_id),
        gas_price: GAS_PRICE,
        gas_limit: 21_000,
        to: Address::repeat_byte(0x11).into(),
        value: U256::from(1),
        ..Default::default()
    };
    send(l1, &caller, legacy);
    let with_access_list = TxEip2930 {
        chain_id,
        gas_price: GAS_PRICE,
        gas_limit: 100_000,
        to: contract.into(),
        access_list: AccessList(vec![AccessListItem {
            address: contract,
            storage_keys: vec![B256::ZERO],
        }]),
        ..Default::default()
    };
    send(l1, &DEV_ACCOUNTS[2], with_access_list);
    let delegating = &DEV_ACCOUNTS[4];
    let authorization = Authorization {
        chain_id: U256::from(chain_id),
        address: contract,
        nonce: 0,
    };
    let signature = sign(delegating, authorization.signature_hash());
    let delegation = TxEip7702 {
        chain_id,
        gas_limit: 200_000,
        max_fee_per_gas: GAS_PRICE,
        max_priority_fee_per_gas: 1,
        to: delegating.address,
        authorization_list: vec![authorization.into_signed(signature)],
        ..Default::default()
    };
    send(l1, &DEV_ACCOUNTS[3], delegation);
    // 48 bytes of a validator's key and 8 of an amount; the fee of the first request is 1 wei.
    let request = call(
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        1,
        vec![0x42; 56].into(),
    );
    send(l1, &DEV_ACCOUNTS[5], request);
    l1.mine().unwrap();
    assert_eq!(l1.l2_block(HEIGHT).unwrap().transactions.len(), 5);
}

/// In wei.
const GAS_PRICE: u128 = 100_000_000_000;

fn send<R: Role, T>(chain: &Chain<R>, from: &DevAccount, transaction: T)
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = sign(from, transaction.signature_hash());
    let signed = TxEnvelope::from(transaction.into_signed(signature));
    chain.send_raw_transaction(&signed.encoded_2718()).unwrap();
}

fn sign(account: &DevAccount, hash: B256) -> Signature {
    account.signer().sign_hash_sync(&hash).unwrap()
}
