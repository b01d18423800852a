//! Values that others published: calldata, deposits, hashes, blocks of real chains.

use alloy_consensus::{Receipt, ReceiptEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, address, b256, bytes, keccak256};
use mach_verify::{
    op::{
        AttributesFormat, DEPOSIT_EVENT, L1Attributes, RollupConfig, SEQUENCER_FEE_VAULT,
        upgrade_transactions, user_deposits,
    },
    source::{RecordedBlock, recorded_files},
};
use op_alloy_consensus::{OpTxEnvelope, UpgradeDepositSource};

use super::world::published_upgrades;
use crate::data;

/// Calldata of OP Mainnet's deposits, and of the same with an operator fee, in the tests of
/// kona-protocol 0.4.5.
#[test]
fn published_calldata_is_read_and_written() {
    let bedrock = bytes!(
        "015d8eb9000000000000000000000000000000000000000000000000000000000117c4eb0000000000000000000000000000000000000000000000000000000065280377000000000000000000000000000000000000000000000000000000026d05d953392012032675be9f94aae5ab442de73c5f4fb1bf30fa7dd0d2442239899a40fc00000000000000000000000000000000000000000000000000000000000000040000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f3298500000000000000000000000000000000000000000000000000000000000000bc00000000000000000000000000000000000000000000000000000000000a6fe0"
    );
    let read = L1Attributes::decode(&bedrock).unwrap();
    assert_eq!(read.format, AttributesFormat::Bedrock);
    assert_eq!((read.number, read.timestamp), (18_334_955, 1_697_121_143));
    assert_eq!(read.base_fee, U256::from(10_419_034_451_u64));
    assert_eq!(
        read.hash,
        b256!("392012032675be9f94aae5ab442de73c5f4fb1bf30fa7dd0d2442239899a40fc")
    );
    assert_eq!(read.sequence_number, 4);
    assert_eq!(read.batcher, BATCHER);
    assert_eq!((read.overhead[31], read.scalar[31]), (0xbc, 0xe0));
    assert_eq!(read.encode(), bedrock);

    let ecotone = bytes!(
        "440a5e2000000558000c5fc5000000000000000500000000661c277300000000012bec20000000000000000000000000000000000000000000000000000000026e9f109900000000000000000000000000000000000000000000000000000000000000011c4c84c50740386c7dc081efddd644405f04cde73e30a2e381737acce9f5add30000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f32985"
    );
    let isthmus = bytes!(
        "098999be00000558000c5fc5000000000000000500000000661c277300000000012bec20000000000000000000000000000000000000000000000000000000026e9f109900000000000000000000000000000000000000000000000000000000000000011c4c84c50740386c7dc081efddd644405f04cde73e30a2e381737acce9f5add30000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f329850000abcd000000000000dcba"
    );
    for (calldata, format) in [
        (ecotone, AttributesFormat::Ecotone),
        (isthmus, AttributesFormat::Isthmus),
    ] {
        let read = L1Attributes::decode(&calldata).unwrap();
        assert_eq!(read.format, format);
        assert_eq!((read.number, read.timestamp), (19_655_712, 1_713_121_139));
        assert_eq!(read.base_fee, U256::from(10_445_852_825_u64));
        assert_eq!(
            read.hash,
            b256!("1c4c84c50740386c7dc081efddd644405f04cde73e30a2e381737acce9f5add3")
        );
        assert_eq!((read.sequence_number, read.batcher), (5, BATCHER));
        assert_eq!(read.blob_base_fee, U256::from(1));
        assert_eq!(
            (read.base_fee_scalar, read.blob_base_fee_scalar),
            (1368, 810_949)
        );
        let operator_fee = (read.operator_fee_scalar, read.operator_fee_constant);
        let is_isthmus = format == AttributesFormat::Isthmus;
        assert_eq!(
            operator_fee,
            if is_isthmus { (0xabcd, 0xdcba) } else { (0, 0) }
        );
        assert_eq!(read.encode(), calldata);
    }
}

const BATCHER: Address = address!("6887246668a3b87f54deb3b94ba47a6f63f32985");

/// A log and the transaction that it becomes, in the tests of kona-protocol 0.4.5: log 0 of the
/// block with hash zero.
#[test]
fn a_published_log_becomes_the_published_deposit() {
    let mut opaque = vec![0; 128];
    opaque[31] = 10;
    opaque[63] = 100;
    opaque[64..72].copy_from_slice(&1000u64.to_be_bytes());
    opaque[72] = 1;
    let mut data = U256::from(32).to_be_bytes::<32>().to_vec();
    data.extend(U256::from(128).to_be_bytes::<32>());
    data.extend(opaque);
    let portal = Address::repeat_byte(5);
    let from = Address::repeat_byte(0x11);
    let to = Address::repeat_byte(0x22);
    let topics = vec![DEPOSIT_EVENT, from.into_word(), to.into_word(), B256::ZERO];
    let log = Log {
        address: portal,
        data: LogData::new_unchecked(topics, data.into()),
    };
    let receipt = Receipt {
        status: true.into(),
        cumulative_gas_used: 0,
        logs: vec![log],
    };
    let receipts = [ReceiptEnvelope::Legacy(receipt.with_bloom())];
    let deposits = user_deposits(&receipts, B256::ZERO, portal).unwrap();
    let expected = bytes!(
        "7ef875a0ed428e1c45e1d9561b62834e1a2d3015a0caae3bfdc16b4da059ac885b01a145941111111111111111111111111111111111111111800a648203e880b700000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    );
    assert_eq!(deposits.len(), 1);
    assert_eq!(Bytes::from(deposits[0].encoded_2718()), expected);
    assert_eq!(user_deposits(&receipts, B256::ZERO, from), Ok(vec![]));
}

/// The transactions of kona-hardforks hash to what the table says, under the intent that it says.
/// Source hashes are those of the specifications.
#[test]
fn upgrade_deposits_are_the_published_ones() {
    let published = [
        (
            ("ecotone", OpHardfork::Ecotone, 6),
            b256!("877a6077205782ea15a6dc8699fa5ebcec5e0f4389f09cb8eda09488231346f8"),
        ),
        (
            ("fjord", OpHardfork::Fjord, 3),
            b256!("86122c533fdcb89b16d8713174625e44578a89751d96c098ec19ab40a51a8ea3"),
        ),
        (
            ("isthmus", OpHardfork::Isthmus, 8),
            b256!("3b2d0821ca2411ad5cd3595804d1213d15737188ae4cbd58aa19c821a6c211bf"),
        ),
        (
            ("jovian", OpHardfork::Jovian, 5),
            b256!("bb1a656f65401240fac3db12e7a79ebb954b11e62f7626eb11691539b798d3bf"),
        ),
    ];
    for ((name, fork, count), first) in published {
        let bytes = published_upgrades(name);
        let table = upgrade_transactions(fork).unwrap();
        assert_eq!((bytes.len(), table.len()), (count, count), "{name}");
        for (index, (bytes, known)) in bytes.iter().zip(table).enumerate() {
            assert_eq!(keccak256(bytes), known.hash, "{}", known.intent);
            let OpTxEnvelope::Deposit(deposit) = OpTxEnvelope::decode_2718_exact(bytes).unwrap()
            else {
                panic!("not a deposit");
            };
            let source = UpgradeDepositSource::new(known.intent.to_owned()).source_hash();
            assert_eq!(deposit.source_hash, source, "{}", known.intent);
            if index == 0 {
                assert_eq!(source, first);
            }
        }
    }
    assert_eq!(upgrade_transactions(OpHardfork::Granite), Ok(&[][..]));
    assert!(upgrade_transactions(OpHardfork::Karst).is_err());
}

/// Blocks of OP Mainnet, OP Sepolia and Celo Sepolia.
#[test]
fn real_blocks_start_with_their_l1_attributes() {
    let Some(folder) = data("blocks") else {
        return;
    };
    let mut count = 0;
    let mut before: Option<(u64, u64, L1Attributes)> = None;
    for file in recorded_files(folder).unwrap() {
        let block = RecordedBlock::read(&file).unwrap().block;
        let Ok(attributes) = L1Attributes::of_block(&block) else {
            // Ethereum's own blocks.
            assert!(!file.to_string_lossy().contains("/op-"), "{file:?}");
            continue;
        };
        count += 1;
        // Regolith or later, all of them.
        assert_eq!(
            attributes.transaction(true),
            block.transactions[0],
            "{file:?}"
        );
        assert_eq!(block.header.beneficiary, SEQUENCER_FEE_VAULT);
        let age = block.header.timestamp - attributes.timestamp;
        assert!(age <= 1800, "{file:?}: {age} s after its L1 origin");
        // Bedrock makes a block every two seconds, from its first one on.
        if let Some(RollupConfig { genesis, .. }) = RollupConfig::known(block.chain_id) {
            let blocks = block.number() - genesis.l2.number;
            assert_eq!(block.header.timestamp, genesis.l2_time + 2 * blocks);
            assert!(attributes.number > genesis.l1.number);
            assert_eq!(
                attributes.batcher, genesis.system_config.batcher,
                "{file:?}"
            );
        }
        let place = (block.chain_id, block.number());
        if let Some((chain, number, last)) = before
            && place == (chain, number + 1)
        {
            let next = if attributes.number == last.number {
                assert_eq!(attributes.hash, last.hash);
                last.sequence_number + 1
            } else {
                assert_eq!(attributes.number, last.number + 1);
                0
            };
            assert_eq!(attributes.sequence_number, next);
            assert_eq!(
                (attributes.batcher, attributes.format),
                (last.batcher, last.format)
            );
        }
        before = Some((place.0, place.1, attributes));
    }
    assert!(count >= 20, "{count}");
}
