//! Blocks, chains and genesis files.

use alloy_genesis::Genesis;
use mach_core::L2Block;
use mach_verify::{
    ChainSpec,
    source::{ChainFile, RecordedBlock},
};

/// Blocks of a chain file that are executed; more of them find nothing new.
const EXECUTED: usize = 4;

/// A recorded block: what is read is written so that it reads the same.
pub fn recorded_block(data: &[u8]) {
    if let Ok(record) = RecordedBlock::parse(data) {
        assert_eq!(RecordedBlock::parse(&record.to_json()).ok(), Some(record));
    }
}

/// The RLP of one block: what is decoded is encoded so that it decodes the same.
pub fn block_rlp(data: &[u8]) {
    if let Ok(block) = L2Block::decode_rlp(1, data) {
        assert_eq!(L2Block::decode_rlp(1, &block.encode_rlp()), Ok(block));
    }
}

/// A chain file after a genesis with one account, and the verdicts on its first blocks.
pub fn chain_file(data: &[u8]) {
    let genesis = serde_json::from_str(TINY_GENESIS).expect("the genesis above is one");
    let Ok(chain) = ChainFile::parse(data, genesis) else {
        return;
    };
    let bytes: Vec<u8> = chain
        .blocks()
        .iter()
        .flat_map(L2Block::encode_rlp)
        .collect();
    let genesis = serde_json::from_str(TINY_GENESIS).expect("the genesis above is one");
    let again = ChainFile::parse(&bytes, genesis).expect("what was read is written");
    assert_eq!(again.blocks(), chain.blocks());
    let mut verifier = chain.verifier().expect("one account can be stored");
    for block in chain.blocks().iter().take(EXECUTED) {
        let _ = verifier.verify(block);
    }
}

/// The chain of the corpus: every fork up to Cancun, the first development account rich.
const TINY_GENESIS: &str = r#"{
    "config": {
        "chainId": 31337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
        "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
        "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0, "terminalTotalDifficulty": 0,
        "shanghaiTime": 0, "cancunTime": 0
    },
    "difficulty": "0x0", "gasLimit": "0x3938700", "baseFeePerGas": "0x3b9aca00",
    "timestamp": "0x6955b900",
    "alloc": {
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266": { "balance": "0x21e19e0c9bab2400000" }
    }
}"#;

/// A genesis file: its rules, and the state that it starts with.
pub fn genesis(data: &[u8]) {
    let Ok(genesis) = serde_json::from_slice::<Genesis>(data) else {
        return;
    };
    let Ok(spec) = ChainSpec::from_genesis(&genesis) else {
        return;
    };
    assert_eq!(spec.chain_id(), genesis.config.chain_id);
    for (number, timestamp) in [(0, 0), (1, genesis.timestamp), (u64::MAX, u64::MAX)] {
        let _ = spec.check_supported(number, timestamp);
    }
    let chain = ChainFile::parse(&[], genesis).expect("no blocks follow every genesis");
    let _ = chain.verifier();
}
