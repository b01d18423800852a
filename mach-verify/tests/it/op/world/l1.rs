//! The L1 that the rollup follows: deposits and changes of the configuration, among receipts that
//! mean nothing.

use alloy_consensus::{Eip658Value, Header, Receipt, ReceiptEnvelope};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Sealed, TxKind, U256, keccak256};
use op_alloy_consensus::{TxDeposit, UserDepositSource};

use super::{CANCUN, Change, L1Block, PORTAL, Random, START, SYSTEM_CONFIG, is_active};

pub(super) fn l1_chain(random: &mut Random, blocks: usize) -> Vec<L1Block> {
    let mut chain: Vec<L1Block> = Vec::new();
    let mut timestamp = START - 12;
    for index in 0..blocks {
        let (receipts, logs) = receipts(random, timestamp);
        let header = Header {
            parent_hash: chain.last().map_or(B256::ZERO, |block| block.header.seal()),
            number: 1000 + index as u64,
            timestamp,
            base_fee_per_gas: Some(random.below(90_000_000_000)),
            mix_hash: random.word(),
            receipts_root: alloy_consensus::proofs::calculate_receipt_root(&receipts),
            excess_blob_gas: (timestamp >= CANCUN).then(|| random.below(60_000_000)),
            parent_beacon_block_root: (timestamp >= CANCUN).then(|| random.word()),
            ..Default::default()
        };
        let header = Sealed::new(header);
        let mut deposits = Vec::new();
        let mut changes = Vec::new();
        for (index, kind) in logs {
            match kind {
                Kind::Deposit(mut deposit) => {
                    deposit.source_hash =
                        UserDepositSource::new(header.seal(), index).source_hash();
                    deposits.push(deposit);
                }
                Kind::Change(change) => changes.push(change),
            }
        }
        chain.push(L1Block {
            header,
            receipts,
            deposits,
            changes,
        });
        // Slower than the rollup now and then.
        timestamp += if random.below(5) == 0 { 24 } else { 12 };
    }
    chain
}

enum Kind {
    Deposit(TxDeposit),
    Change(Change),
}

fn receipts(random: &mut Random, l1_time: u64) -> (Vec<ReceiptEnvelope>, Vec<(u64, Kind)>) {
    let mut receipts = Vec::new();
    let mut meant = Vec::new();
    let mut index = 0;
    for number in 0..random.below(5) {
        let is_success = random.below(6) > 0;
        let mut logs = Vec::new();
        for _ in 0..random.below(4) {
            let (log, kind) = log(random, l1_time);
            // What failed has no effect, whatever its logs say.
            meant.extend(kind.filter(|_| is_success).map(|kind| (index, kind)));
            logs.push(log);
            index += 1;
        }
        let receipt = Receipt {
            status: Eip658Value::Eip658(is_success),
            cumulative_gas_used: (number + 1) * 50_000,
            logs,
        };
        receipts.push(match random.below(3) {
            0 => ReceiptEnvelope::Legacy(receipt.with_bloom()),
            1 => ReceiptEnvelope::Eip1559(receipt.with_bloom()),
            _ => ReceiptEnvelope::Eip4844(receipt.with_bloom()),
        });
    }
    (receipts, meant)
}

fn log(random: &mut Random, l1_time: u64) -> (Log, Option<Kind>) {
    match random.below(5) {
        0 | 1 => {
            let deposit = deposit(random);
            let log = deposit_log(&deposit);
            (log, Some(Kind::Deposit(deposit)))
        }
        2 => {
            let change = change(random, l1_time);
            (change_log(change), Some(Kind::Change(change)))
        }
        3 => {
            // The same event of another contract, and a change that means nothing.
            let mut log = deposit_log(&deposit(random));
            log.address = Address::repeat_byte(9);
            (log, None)
        }
        _ => (config_log(3, &[random.word()]), None),
    }
}

fn deposit(random: &mut Random) -> TxDeposit {
    let length = random.below(70) as usize;
    TxDeposit {
        source_hash: B256::ZERO,
        from: Address::from_word(random.word()),
        to: match random.below(4) {
            0 => TxKind::Create,
            _ => TxKind::Call(Address::from_word(random.word())),
        },
        mint: u128::from(random.below(2) * random.below(1 << 60)),
        value: U256::from(random.next()),
        gas_limit: 21_000 + random.below(1_000_000),
        is_system_transaction: false,
        input: random.word().repeat(3)[..length].to_vec().into(),
    }
}

/// `emit TransactionDeposited(from, to, 0, abi.encodePacked(mint, value, gas, isCreation, data))`.
fn deposit_log(deposit: &TxDeposit) -> Log {
    let mut opaque = Vec::new();
    opaque.extend(U256::from(deposit.mint).to_be_bytes::<32>());
    opaque.extend(deposit.value.to_be_bytes::<32>());
    opaque.extend(deposit.gas_limit.to_be_bytes());
    opaque.push(u8::from(deposit.to.is_create()));
    opaque.extend(&deposit.input);
    let topics = vec![
        keccak256("TransactionDeposited(address,address,uint256,bytes)"),
        deposit.from.into_word(),
        deposit.to.to().copied().unwrap_or_default().into_word(),
        B256::ZERO,
    ];
    Log {
        address: PORTAL,
        data: LogData::new_unchecked(topics, abi_bytes(&opaque)),
    }
}

fn change(random: &mut Random, l1_time: u64) -> Change {
    match random.below(7) {
        0 => Change::Batcher(Address::from_word(random.word())),
        1 => {
            let scalars = U256::from(random.below(1 << 32));
            let scalar = if is_active(OpHardfork::Ecotone, l1_time) {
                U256::from(1) << 248_usize | U256::from(random.below(1 << 32)) << 32_usize | scalars
            } else {
                scalars
            };
            Change::Scalars {
                overhead: U256::from(random.below(5000)).into(),
                scalar: scalar.into(),
            }
        }
        2 => Change::GasLimit(20_000_000 + random.below(100_000_000)),
        3 => Change::Eip1559(1 + random.below(500) as u32, 1 + random.below(20) as u32),
        4 => Change::OperatorFee(random.next() as u32, random.next()),
        5 => Change::MinBaseFee(random.below(1 << 40)),
        _ => Change::Footprint(random.next() as u16),
    }
}

fn change_log(change: Change) -> Log {
    let word = |value: u64| B256::from(U256::from(value));
    match change {
        Change::Batcher(batcher) => config_log(0, &[batcher.into_word()]),
        Change::Scalars { overhead, scalar } => config_log(1, &[overhead, scalar]),
        Change::GasLimit(gas_limit) => config_log(2, &[word(gas_limit)]),
        Change::Eip1559(denominator, elasticity) => config_log(
            4,
            &[word(u64::from(denominator) << 32 | u64::from(elasticity))],
        ),
        Change::OperatorFee(scalar, constant) => {
            let both = U256::from(scalar) << 64_usize | U256::from(constant);
            config_log(5, &[both.into()])
        }
        Change::MinBaseFee(fee) => config_log(6, &[word(fee)]),
        Change::Footprint(scalar) => config_log(7, &[word(u64::from(scalar))]),
    }
}

/// `emit ConfigUpdate(0, kind, data)`.
fn config_log(kind: u8, words: &[B256]) -> Log {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_slice()).collect();
    let topics = vec![
        keccak256("ConfigUpdate(uint256,uint8,bytes)"),
        B256::ZERO,
        B256::with_last_byte(kind),
    ];
    Log {
        address: SYSTEM_CONFIG,
        data: LogData::new_unchecked(topics, abi_bytes(&words.concat())),
    }
}

fn abi_bytes(bytes: &[u8]) -> Bytes {
    let mut data = U256::from(32).to_be_bytes::<32>().to_vec();
    data.extend(U256::from(bytes.len()).to_be_bytes::<32>());
    data.extend(bytes);
    data.resize(data.len().next_multiple_of(32), 0);
    data.into()
}
