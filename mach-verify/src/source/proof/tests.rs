use std::{path::PathBuf, sync::Mutex};

use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Sealed, U64, U256, keccak256};
use mach_core::{
    Assurance, L2Block, Verdict,
    ports::{L2Source, SourceError},
};
use op_alloy_consensus::{OpTxEnvelope, TxDeposit};
use serde_json::{Value, json};

use super::{GatherError, Gatherer, Step, Wanted};
use crate::{
    ChainSpec, execute,
    source::{
        RecordedBlock, RpcSource, WitnessSource,
        rpc::scripted::{Scripted, not_found},
    },
    state::{MemoryStore, TrieState},
    verify_block,
    witness::Ancestry,
};

fn recorded(name: &str) -> Option<RecordedBlock> {
    let root = PathBuf::from(std::env::var_os("MACH_DATA")?);
    Some(RecordedBlock::read(root.join("blocks").join(name)).unwrap())
}

/// An archive node that serves no `debug` method, of which one block and its parent are known.
struct ProofNode {
    block: L2Block,
    json: Value,
    receipts: Value,
    parent: Sealed<Header>,
    before: Mutex<TrieState<MemoryStore>>,
    after: Mutex<TrieState<MemoryStore>>,
}

impl ProofNode {
    /// `None` if the record does not hold the parent.
    fn of(spec: &ChainSpec, record: RecordedBlock) -> Option<Self> {
        let RecordedBlock { block, witness, .. } = record;
        let parent = witness.header(block.header.parent_hash)?;
        let ancestry = Ancestry::of(&block, None, &witness, |_| None).unwrap();
        let store = MemoryStore::from_witness(witness.state, witness.codes);
        let before =
            TrieState::new(store, ancestry.state_root).with_block_hashes(ancestry.block_hashes);
        let mut after = before.clone();
        let outcome = execute::execute(spec, &block, None, &mut after, &Default::default());
        assert_eq!(outcome.unwrap().state_root, block.header.state_root);
        Some(Self {
            json: full(&block),
            receipts: receipts(spec, &block, before.clone()),
            block,
            parent,
            before: before.into(),
            after: after.into(),
        })
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let missing = || json!({"code": -32000, "message": "missing trie node"});
        let number = |value: &Value| {
            serde_json::from_value::<U64>(value.clone())
                .unwrap()
                .to::<u64>()
        };
        match method {
            "eth_chainId" => Ok(json!(U64::from(self.block.chain_id))),
            "eth_getBlockByNumber" if number(&params[0]) == self.block.number() => {
                Ok(self.json.clone())
            }
            "eth_getBlockByNumber" if number(&params[0]) == self.parent.number => {
                let mut json = serde_json::to_value(self.parent.inner()).unwrap();
                json["hash"] = json!(self.parent.seal());
                Ok(json)
            }
            "eth_getBlockByNumber" => Ok(Value::Null),
            "eth_getBlockReceipts" => Ok(self.receipts.clone()),
            "eth_getCode" => {
                assert_eq!(number(&params[1]), self.parent.number);
                let address = serde_json::from_value(params[0].clone()).unwrap();
                let before = &mut *self.before.lock().unwrap();
                let account = before.account(address).map_err(|_| missing())?;
                let hash = account.map_or(KECCAK256_EMPTY, |account| account.code_hash);
                Ok(json!(before.code(hash).map_err(|_| missing())?))
            }
            "eth_getProof" => {
                let state = if number(&params[2]) == self.block.number() {
                    &self.after
                } else {
                    assert_eq!(number(&params[2]), self.parent.number);
                    &self.before
                };
                let address = serde_json::from_value(params[0].clone()).unwrap();
                let slots: Vec<B256> = serde_json::from_value(params[1].clone()).unwrap();
                prove(&mut state.lock().unwrap(), address, &slots).ok_or_else(missing)
            }
            _ => Err(not_found()),
        }
    }
}

/// As a node answers, but for slots that the record does not hold: they come without nodes.
fn prove(state: &mut TrieState<MemoryStore>, address: Address, slots: &[B256]) -> Option<Value> {
    let proof = state.prove(address, &[]).ok()?;
    let storage: Vec<_> = slots
        .iter()
        .map(|slot| {
            let slot: U256 = (*slot).into();
            let proof = state.prove(address, &[slot]).ok();
            let value = proof.as_ref().map_or(U256::ZERO, |it| it.storage[0].value);
            let nodes = proof.map_or_else(Vec::new, |mut it| it.storage.remove(0).nodes);
            json!({"key": B256::from(slot), "value": value, "proof": nodes})
        })
        .collect();
    Some(json!({"address": address, "accountProof": proof.nodes, "storageProof": storage}))
}

/// The part of `eth_getBlockReceipts` that is looked at, from an execution of its own.
fn receipts(spec: &ChainSpec, block: &L2Block, state: TrieState<MemoryStore>) -> Value {
    use alloy_consensus::transaction::{Recovered, SignerRecoverable};
    use alloy_evm::{EvmFactory, block::BlockExecutor};
    use alloy_op_evm::{
        OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx,
        block::receipt_builder::OpAlloyReceiptBuilder, evm_env_for_op_block,
    };

    let header = block.header.inner();
    let mut state = revm::database::State::builder()
        .with_database(Lenient(state))
        .build();
    let env = evm_env_for_op_block(header, spec, spec.chain_id());
    let evm = OpEvmFactory::<OpTx>::default().create_evm(&mut state, env);
    let context = OpBlockExecutionCtx {
        parent_hash: header.parent_hash,
        parent_beacon_block_root: header.parent_beacon_block_root,
        extra_data: header.extra_data.clone(),
    };
    let mut executor = OpBlockExecutor::new(evm, context, spec, OpAlloyReceiptBuilder::default());
    executor.apply_pre_execution_changes().unwrap();
    for bytes in &block.transactions {
        let transaction = OpTxEnvelope::decode_2718_exact(bytes).unwrap();
        let sender = transaction.recover_signer().unwrap();
        let transaction = Recovered::new_unchecked(transaction, sender);
        executor.execute_transaction(transaction).unwrap();
    }
    let log = |log: &alloy_primitives::Log| json!({"address": log.address});
    (executor.receipts.iter())
        .map(|receipt| json!({"logs": receipt.logs().iter().map(log).collect::<Vec<_>>()}))
        .collect()
}

/// A recorded state in which the vault of the operator fee may be unknown, and is absent then.
#[derive(Debug)]
struct Lenient(TrieState<MemoryStore>);

impl revm::Database for Lenient {
    type Error = crate::state::StateError;

    fn basic(&mut self, address: Address) -> Result<Option<revm::state::AccountInfo>, Self::Error> {
        let info = revm::Database::basic(&mut self.0, address);
        if address == op_revm::constants::OPERATOR_FEE_RECIPIENT {
            return Ok(info.unwrap_or_default());
        }
        info
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<revm::state::Bytecode, Self::Error> {
        revm::Database::code_by_hash(&mut self.0, hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        revm::Database::storage(&mut self.0, address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        revm::Database::block_hash(&mut self.0, number)
    }
}

fn full(block: &L2Block) -> Value {
    let transaction = |bytes: &Bytes| match OpTxEnvelope::decode_2718_exact(bytes) {
        Ok(transaction) => serde_json::to_value(transaction).unwrap(),
        Err(_) => {
            let other = EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(bytes).unwrap();
            serde_json::to_value(other).unwrap()
        }
    };
    let mut json = serde_json::to_value(block.header.inner()).unwrap();
    json["hash"] = json!(block.hash());
    json["transactions"] = block.transactions.iter().map(transaction).collect();
    json["uncles"] = json!([]);
    json["withdrawals"] = json!(block.withdrawals);
    json
}

/// Verdict with the round trips that it took, from nothing but a URL.
async fn verify(spec: &ChainSpec, record: RecordedBlock) -> Option<(Verdict, usize, usize, usize)> {
    let recorded_bytes = record.witness.size();
    let node = ProofNode::of(spec, record)?;
    let number = node.block.number();
    let server = Scripted::node(move |method, params| node.answer(method, params)).await;
    let source = RpcSource::connect(server.url())
        .await
        .unwrap()
        .with_proofs_only(spec.clone());
    let block = source.block(number).await.unwrap();
    let witness = match source.witness(&block).await {
        Ok(witness) => witness,
        // Undecided, and said so: reads that depend on each other in more rounds than are run.
        Err(SourceError::Malformed {
            field: "proof",
            source,
            ..
        }) if matches!(source.downcast_ref(), Some(GatherError::Rounds)) => return None,
        Err(error) => panic!("{number}: {error:?}"),
    };
    let verdict = verify_block(spec, &block, &witness).unwrap();
    Some((verdict, server.requests(), witness.size(), recorded_bytes))
}

#[tokio::test]
async fn a_large_block_is_verified_from_proofs_in_twelve_round_trips() {
    let Some(record) = recorded("op-10-132797000.json.gz") else {
        eprintln!("skipped: MACH_DATA is not set");
        return;
    };
    let spec = ChainSpec::op_mainnet();
    let (verdict, round_trips, ..) = verify(&spec, record).await.unwrap();
    let Verdict::Valid(summary) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(summary.assurance, Assurance::Executed);
    assert!(round_trips <= 12, "{round_trips} round trips");
}

#[tokio::test]
async fn every_recorded_block_of_a_rollup_is_verified_from_proofs() {
    let Some(root) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        eprintln!("skipped: MACH_DATA is not set");
        return;
    };
    let mut files = crate::source::recorded_files(root.join("blocks")).unwrap();
    files.retain(|file| {
        file.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("op-")
    });
    let mut looked_at = 0;
    for file in files {
        let record = RecordedBlock::read(&file).unwrap();
        let spec = ChainSpec::known(record.block.chain_id).unwrap();
        let number = record.block.number();
        let Some((verdict, round_trips, bytes, recorded)) = verify(&spec, record).await else {
            eprintln!("{number}: without the parent, or with too many rounds");
            continue;
        };
        eprintln!("{number}: {round_trips} round trips, {bytes} bytes, recorded {recorded}");
        assert!(
            matches!(verdict, Verdict::Valid(_)),
            "{number}: {verdict:?}"
        );
        looked_at += 1;
    }
    assert!(looked_at > 10, "{looked_at}");
}

/// A block of OP Mainnet without transactions, and its parent.
fn gatherer() -> Gatherer {
    let parent = Header::default();
    let header = Header {
        number: 1,
        parent_hash: parent.hash_slow(),
        gas_limit: 30_000_000,
        ..Default::default()
    };
    let block = L2Block::new(10, header, vec![]);
    let mut gatherer = Gatherer::new(ChainSpec::op_mainnet(), block);
    assert!(gatherer.add_parent(Some(parent)));
    gatherer
}

/// Distinct bytes of a length.
fn filled(number: u32, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

#[test]
fn what_is_too_long_for_a_node_or_a_code_is_not_kept() {
    let mut gatherer = gatherer();
    let kept = |gatherer: &Gatherer, node: &Bytes| {
        crate::trie::NodeStore::node(&gatherer.store, &keccak256(node)).is_some()
    };
    for (length, is_kept) in [(2048, true), (2049, false), (1 << 20, false)] {
        let node = filled(1, length);
        gatherer.add_nodes([node.clone()]);
        assert_eq!(kept(&gatherer, &node), is_kept, "{length}");
        let later = filled(2, length);
        gatherer.add_later_nodes([later.clone()]);
        assert_eq!(kept(&gatherer, &later), is_kept, "{length}");
    }
    for (length, is_kept) in [(256 * 1024, true), (256 * 1024 + 1, false)] {
        let code = filled(3, length);
        gatherer.add_code(Address::ZERO, code.clone());
        let found = crate::state::StateStore::code(&gatherer.store, &keccak256(&code));
        assert_eq!(found.is_some(), is_kept, "{length}");
    }
}

/// A node that answers with more and more ends the gathering, not the memory.
#[test]
fn bytes_and_keys_of_one_block_are_bounded() {
    let mut full = gatherer();
    full.bytes_left = 10_000;
    for number in 0..4 {
        full.add_nodes([filled(number, 2_000), filled(number, 2_000)]);
    }
    // What is known already costs nothing.
    assert_eq!(full.bytes_left, 2_000);
    assert!(matches!(full.step(), Ok(Step::Ask(_))));
    full.add_nodes([filled(9, 2_001)]);
    assert!(matches!(full.step(), Err(GatherError::TooMuch)));

    // Every slot names an address, and every code others.
    let mut flooded = gatherer();
    let address =
        |number: u32| U256::from_be_slice(&[&[0x80; 16][..], &number.to_be_bytes()].concat());
    for number in 0..300_000 {
        flooded.add_hint(address(number));
    }
    let Ok(Step::Ask(wanted)) = flooded.step() else {
        panic!("the first round asks");
    };
    assert!(
        (100_000..100_100).contains(&wanted.proofs.len()),
        "{}",
        wanted.proofs.len()
    );
    let mut rounds = 1;
    let error = loop {
        for number in 0..100_000 {
            flooded.add_hint(address(1_000_000 * rounds + number));
        }
        rounds += 1;
        match flooded.ask(Wanted::default()) {
            Ok(_) => assert!(rounds < 100),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, GatherError::TooMuch));
}

/// Room for guesses is a few blocks' gas, whatever the block says.
#[test]
fn a_guess_runs_on_a_few_times_the_gas_of_the_block() {
    let gas_limit = |limit| {
        let header = Header {
            gas_limit: limit,
            ..Default::default()
        };
        let block = L2Block::new(10, header, vec![]);
        let gatherer = Gatherer::new(ChainSpec::op_mainnet(), block.clone());
        assert_eq!(gatherer.roomy.hash(), block.hash());
        gatherer.roomy.header.gas_limit
    };
    assert_eq!(gas_limit(30_000_000), 120_000_000);
    assert_eq!(gas_limit(u64::MAX), execute::MAX_GAS);
}

/// A gatherer for a block with these deposits, that has been given the parent.
fn gatherer_of(spec: ChainSpec, gas_limit: u64, deposits: &[TxDeposit]) -> Gatherer {
    let parent = Header::default();
    let header = Header {
        number: 1,
        timestamp: 1,
        parent_hash: parent.hash_slow(),
        gas_limit,
        ..Default::default()
    };
    let transactions = (deposits.iter()).map(|deposit| deposit.encoded_2718().into());
    let block = L2Block::new(901, header, transactions.collect());
    let mut gatherer = Gatherer::new(spec, block);
    assert!(gatherer.add_parent(Some(parent)));
    gatherer
}

/// A round is one pass for the truth and six that save rounds, and each may take all the gas that the
/// block names: what a block costs together is bounded, and the truth has half of it for itself.
#[test]
fn gas_of_all_rounds_is_bounded() {
    let deposit = |gas_limit, is_system_transaction| TxDeposit {
        gas_limit,
        is_system_transaction,
        ..Default::default()
    };
    const LARGE: u64 = execute::MAX_GAS;
    let bedrock = alloy_hardforks::ForkCondition::Block(0);
    let bedrock = ChainSpec::optimism(901).with_op_fork(OpHardfork::Bedrock, bedrock);
    let canyon = ChainSpec::optimism(901).with_op_forks_from_genesis(OpHardfork::Canyon);
    for (spec, gas_limit, deposits, true_gas, bold_gas) in [
        (&canyon, 30_000_000, vec![], 0, 0),
        (
            &canyon,
            30_000_000,
            vec![deposit(1_000_000, false); 2],
            2_000_000,
            2_000_000,
        ),
        // However much they name, a block has its gas limit, and a bold pass four times that.
        (
            &canyon,
            30_000_000,
            vec![deposit(u64::MAX, false); 2],
            30_000_000,
            120_000_000,
        ),
        (
            &canyon,
            30_000_000,
            vec![deposit(u64::MAX, true)],
            30_000_000,
            120_000_000,
        ),
        (
            &canyon,
            u64::MAX,
            vec![deposit(LARGE / 2, false)],
            LARGE / 2,
            LARGE / 2,
        ),
        (
            &canyon,
            u64::MAX,
            vec![deposit(u64::MAX, false)],
            LARGE,
            LARGE,
        ),
        // But for what the system has before Regolith.
        (
            &bedrock,
            30_000_000,
            vec![deposit(LARGE, true)],
            LARGE,
            LARGE,
        ),
    ] {
        let mut gatherer = gatherer_of(spec.clone(), gas_limit, &deposits);
        let costs = [&gatherer.block, &gatherer.roomy].map(|it| gatherer.foreseen.gas(it));
        assert_eq!(costs, [true_gas, bold_gas], "{deposits:?}");
        assert_eq!(gatherer.gas_left, 8 * LARGE);

        let mut left = gatherer.gas_left;
        for _ in 0..10 {
            let is_bold = left >= 6 * bold_gas + 4 * LARGE;
            assert_eq!(gatherer.guesses().len(), if is_bold { 6 } else { 0 });
            left -= if is_bold { 6 * bold_gas } else { 0 };
            assert_eq!(gatherer.gas_left, left);
        }
        assert!(left >= 4 * LARGE);
    }

    // Every round takes its part, until nothing is left.
    let mut gatherer = gatherer_of(canyon, u64::MAX, &[deposit(u64::MAX, false)]);
    assert!(matches!(gatherer.step(), Ok(Step::Ask(_))));
    for left in (0..8).rev() {
        let step = gatherer.step();
        assert!(!matches!(step, Err(GatherError::TooMuch)), "{step:?}");
        assert_eq!(gatherer.gas_left, left * LARGE);
    }
    assert!(matches!(gatherer.step(), Err(GatherError::TooMuch)));
}
