//! An L1 and a rollup on it, made from a number: every fork, deposits, changes of the configuration.
//!
//! Nothing here comes from the crate under test but the types of its input: calldata, logs and fees
//! are written out from the specifications.

mod l1;

use std::io::Read;

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_hardforks::{EthereumHardfork, ForkCondition};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, Sealed, TxKind, U256, address, keccak256};
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::L2Block;
use mach_verify::{
    ChainSpec,
    op::{Rollup, RollupConfig},
};
use op_alloy_consensus::{L1InfoDepositSource, TxDeposit};

pub(super) const PORTAL: Address = address!("0000000000000000000000000000000000000b0b");
pub(super) const SYSTEM_CONFIG: Address = address!("0000000000000000000000000000000000005c5c");
pub(super) const START: u64 = 1_700_000_000;
const L2_CHAIN: u64 = 4242;

/// Forks of the rollup, in seconds after its start.
pub(super) const FORKS: [(OpHardfork, u64); 8] = [
    (OpHardfork::Regolith, 9),
    (OpHardfork::Canyon, 40),
    (OpHardfork::Ecotone, 80),
    (OpHardfork::Fjord, 120),
    (OpHardfork::Granite, 160),
    (OpHardfork::Holocene, 200),
    (OpHardfork::Isthmus, 241),
    (OpHardfork::Jovian, 280),
];
/// L1's, and when the rollup noticed the second.
const CANCUN: u64 = START + 60;
const PRAGUE: u64 = START + 150;
const NOTICED: u64 = START + 190;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn word(&mut self) -> B256 {
        keccak256(self.next().to_be_bytes())
    }
}

pub(super) struct L1Block {
    pub(super) header: Sealed<Header>,
    pub(super) receipts: Vec<ReceiptEnvelope>,
    deposits: Vec<TxDeposit>,
    changes: Vec<Change>,
}

#[derive(Clone, Copy)]
enum Change {
    Batcher(Address),
    Scalars { overhead: B256, scalar: B256 },
    GasLimit(u64),
    Eip1559(u32, u32),
    OperatorFee(u32, u64),
    MinBaseFee(u64),
    Footprint(u16),
}

/// Configuration that blocks carry on.
#[derive(Clone, Copy, Default)]
struct Config {
    batcher: Address,
    overhead: B256,
    scalar: B256,
    gas_limit: u64,
    eip1559: (u32, u32),
    operator_fee: (u32, u64),
    min_base_fee: u64,
    footprint: u16,
}

/// Where a block of the rollup stands.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Index of its L1 origin.
    pub(super) origin: usize,
    pub(super) sequence_number: u64,
    pub(super) users: usize,
    pub(super) upgrades: usize,
}

pub(super) struct World {
    pub(super) rollup: Rollup,
    pub(super) l1: Vec<L1Block>,
    /// The first is the genesis.
    pub(super) l2: Vec<L2Block>,
    pub(super) positions: Vec<Position>,
}

impl World {
    pub(super) fn new(seed: u64, blocks: usize) -> Self {
        let mut random = Random(seed);
        let l1 = l1::l1_chain(&mut random, blocks / 4 + 8);
        let mut config = Config {
            batcher: Address::repeat_byte(0xba),
            overhead: B256::with_last_byte(188),
            scalar: U256::from(684_000).into(),
            gas_limit: 30_000_000,
            ..Default::default()
        };
        let genesis = L2Block::new(
            L2_CHAIN,
            Header {
                timestamp: START,
                gas_limit: config.gas_limit,
                ..Default::default()
            },
            vec![],
        );
        let rollup = rollup(&config, &l1[0].header, genesis.hash());
        let mut world = Self {
            rollup,
            l1,
            l2: vec![genesis],
            positions: vec![Position {
                origin: 0,
                sequence_number: 0,
                users: 0,
                upgrades: 0,
            }],
        };
        for _ in 0..blocks {
            world.extend(&mut config, &mut random);
        }
        world
    }

    fn extend(&mut self, config: &mut Config, random: &mut Random) {
        let parent = self.l2.last().unwrap().header.clone();
        let last = *self.positions.last().unwrap();
        let time = parent.timestamp + 2;
        let next = &self.l1[last.origin + 1].header;
        let advances =
            next.timestamp <= time && (random.below(3) > 0 || time > next.timestamp + 30);
        let (origin, sequence_number) = match advances {
            true => (last.origin + 1, 0),
            false => (last.origin, last.sequence_number + 1),
        };
        let l1 = &self.l1[origin];
        if advances {
            l1.changes
                .iter()
                .for_each(|change| config.apply(*change, l1.header.timestamp));
        }
        let attributes = attributes(config, &l1.header, sequence_number, time);
        let mut transactions = vec![attributes.encoded_2718().into()];
        let users = if advances {
            l1.deposits.as_slice()
        } else {
            &[]
        };
        transactions.extend(
            users
                .iter()
                .map(|deposit| Bytes::from(deposit.encoded_2718())),
        );
        let upgrades = upgrades_at(time);
        transactions.extend(upgrades.iter().cloned());
        if !is_first(OpHardfork::Jovian, time) {
            for _ in 0..random.below(4) {
                transactions.push([&[2u8][..], random.word().as_slice()].concat().into());
            }
        }
        self.positions.push(Position {
            origin,
            sequence_number,
            users: users.len(),
            upgrades: upgrades.len(),
        });
        let header = Header {
            parent_hash: parent.seal(),
            number: parent.number + 1,
            timestamp: time,
            beneficiary: address!("4200000000000000000000000000000000000011"),
            gas_limit: config.gas_limit,
            extra_data: config.extra_data(time),
            mix_hash: l1.header.mix_hash,
            parent_beacon_block_root: is_active(OpHardfork::Ecotone, time)
                .then(|| l1.header.parent_beacon_block_root.unwrap_or_default()),
            ..Default::default()
        };
        self.l2.push(block(header, transactions));
        config.carry_on(time);
    }
}

/// A block whose header fits its body.
pub(super) fn block(mut header: Header, transactions: Vec<Bytes>) -> L2Block {
    header.transactions_root = ordered_trie_root_with_encoder(&transactions, |bytes, out| {
        out.extend_from_slice(bytes);
    });
    L2Block::new(L2_CHAIN, header, transactions)
}

fn rollup(config: &Config, l1: &Sealed<Header>, genesis: B256) -> Rollup {
    let json = serde_json::json!({
        "genesis": {
            "l1": {"hash": l1.seal(), "number": l1.number},
            "l2": {"hash": genesis, "number": 0},
            "l2_time": START,
            "system_config": {
                "batcherAddr": config.batcher,
                "overhead": config.overhead,
                "scalar": config.scalar,
                "gasLimit": config.gas_limit,
            },
        },
        "block_time": 2, "max_sequencer_drift": 600, "seq_window_size": 3600,
        "channel_timeout": 300, "l1_chain_id": 1, "l2_chain_id": L2_CHAIN,
        "pectra_blob_schedule_time": NOTICED,
        "batch_inbox_address": Address::ZERO,
        "deposit_contract_address": PORTAL,
        "l1_system_config_address": SYSTEM_CONFIG,
    });
    let rollup_config: RollupConfig = serde_json::from_value(json).unwrap();
    let l2 = FORKS
        .into_iter()
        .fold(ChainSpec::optimism(L2_CHAIN), |spec, (fork, after)| {
            spec.with_op_fork(fork, ForkCondition::Timestamp(START + after))
        });
    let l1 = ChainSpec::ethereum(1)
        .with_forks_from_genesis(EthereumHardfork::Shanghai)
        .with_fork(EthereumHardfork::Cancun, ForkCondition::Timestamp(CANCUN))
        .with_fork(EthereumHardfork::Prague, ForkCondition::Timestamp(PRAGUE))
        .with_blob_params(CANCUN, alloy_eips::eip7840::BlobParams::cancun())
        .with_blob_params(PRAGUE, alloy_eips::eip7840::BlobParams::prague());
    Rollup::new(rollup_config, l2, l1)
}

pub(super) fn is_active(fork: OpHardfork, time: u64) -> bool {
    FORKS
        .iter()
        .any(|(it, after)| *it == fork && START + after <= time)
}

pub(super) fn is_first(fork: OpHardfork, time: u64) -> bool {
    is_active(fork, time) && !is_active(fork, time - 2)
}

/// Whether the L1 attributes are already in the encoding of the fork.
fn is_encoded(fork: OpHardfork, time: u64) -> bool {
    is_active(fork, time) && !is_first(fork, time)
}

impl Config {
    fn apply(&mut self, change: Change, l1_time: u64) {
        match change {
            Change::Batcher(batcher) => self.batcher = batcher,
            Change::Scalars { overhead, scalar } => {
                let is_ecotone = is_active(OpHardfork::Ecotone, l1_time);
                self.overhead = if is_ecotone { B256::ZERO } else { overhead };
                self.scalar = scalar;
            }
            Change::GasLimit(gas_limit) => self.gas_limit = gas_limit,
            Change::Eip1559(denominator, elasticity) => self.eip1559 = (denominator, elasticity),
            Change::OperatorFee(scalar, constant) => self.operator_fee = (scalar, constant),
            Change::MinBaseFee(fee) => self.min_base_fee = fee,
            Change::Footprint(scalar) => self.footprint = scalar,
        }
    }

    /// Base fee and blob base fee.
    fn scalars(&self) -> (u32, u32) {
        let last = |range: std::ops::Range<usize>| {
            u32::from_be_bytes(self.scalar[range].try_into().unwrap())
        };
        match self.scalar[0] {
            0 => (last(28..32), 0),
            _ => (last(28..32), last(24..28)),
        }
    }

    fn extra_data(&self, time: u64) -> Bytes {
        if !is_active(OpHardfork::Holocene, time) {
            return Bytes::new();
        }
        let (denominator, elasticity) = match self.eip1559 {
            (0, _) => (250, 6),
            params => params,
        };
        let mut bytes = vec![u8::from(is_active(OpHardfork::Jovian, time))];
        bytes.extend(denominator.to_be_bytes());
        bytes.extend(elasticity.to_be_bytes());
        if is_active(OpHardfork::Jovian, time) {
            bytes.extend(self.min_base_fee.to_be_bytes());
        }
        bytes.into()
    }

    /// What is lost because the block at `time` has no place for it.
    fn carry_on(&mut self, time: u64) {
        if !is_active(OpHardfork::Holocene, time) {
            self.eip1559 = (0, 0);
        }
        if !is_encoded(OpHardfork::Isthmus, time) {
            self.operator_fee = (0, 0);
        }
        if !is_active(OpHardfork::Jovian, time) {
            self.min_base_fee = 0;
        }
        if !is_encoded(OpHardfork::Jovian, time) {
            self.footprint = 0;
        }
    }
}

/// The L1-attributes deposit, written out from the tables of the specifications.
fn attributes(config: &Config, l1: &Sealed<Header>, sequence_number: u64, time: u64) -> TxDeposit {
    let base_fee = U256::from(l1.base_fee_per_gas.unwrap()).to_be_bytes::<32>();
    let mut data = Vec::new();
    if is_encoded(OpHardfork::Ecotone, time) {
        let selector: &[u8] = if is_encoded(OpHardfork::Jovian, time) {
            &[0x3d, 0xb6, 0xbe, 0x2b]
        } else if is_encoded(OpHardfork::Isthmus, time) {
            &[0x09, 0x89, 0x99, 0xbe]
        } else {
            &[0x44, 0x0a, 0x5e, 0x20]
        };
        let (base_fee_scalar, blob_base_fee_scalar) = config.scalars();
        data.extend(selector);
        data.extend(base_fee_scalar.to_be_bytes());
        data.extend(blob_base_fee_scalar.to_be_bytes());
        data.extend(sequence_number.to_be_bytes());
        data.extend(l1.timestamp.to_be_bytes());
        data.extend(l1.number.to_be_bytes());
        data.extend(base_fee);
        data.extend(U256::from(blob_base_fee(l1)).to_be_bytes::<32>());
        data.extend(l1.seal());
        data.extend(config.batcher.into_word());
        if is_encoded(OpHardfork::Isthmus, time) {
            data.extend(config.operator_fee.0.to_be_bytes());
            data.extend(config.operator_fee.1.to_be_bytes());
        }
        if is_encoded(OpHardfork::Jovian, time) {
            let footprint = match config.footprint {
                0 => 400,
                scalar => scalar,
            };
            data.extend(footprint.to_be_bytes());
        }
    } else {
        data.extend([0x01, 0x5d, 0x8e, 0xb9]);
        data.extend(U256::from(l1.number).to_be_bytes::<32>());
        data.extend(U256::from(l1.timestamp).to_be_bytes::<32>());
        data.extend(base_fee);
        data.extend(l1.seal());
        data.extend(U256::from(sequence_number).to_be_bytes::<32>());
        data.extend(config.batcher.into_word());
        data.extend(config.overhead);
        data.extend(config.scalar);
    }
    let is_regolith = is_active(OpHardfork::Regolith, time);
    TxDeposit {
        source_hash: L1InfoDepositSource::new(l1.seal(), sequence_number).source_hash(),
        from: address!("deaddeaddeaddeaddeaddeaddeaddeaddead0001"),
        to: TxKind::Call(address!("4200000000000000000000000000000000000015")),
        mint: 0,
        value: U256::ZERO,
        gas_limit: if is_regolith { 1_000_000 } else { 150_000_000 },
        is_system_transaction: !is_regolith,
        input: data.into(),
    }
}

/// EIP-4844: e to the power of excess / fraction, by its series.
fn blob_base_fee(l1: &Header) -> u128 {
    let Some(excess) = l1.excess_blob_gas else {
        return 1;
    };
    // Not from Prague on, which the rollup was late to notice.
    let fraction: u128 = if l1.timestamp >= NOTICED {
        5_007_716
    } else {
        3_338_477
    };
    let (mut sum, mut term, mut index) = (0, fraction, 1);
    while term > 0 {
        sum += term;
        term = term * u128::from(excess) / (fraction * index);
        index += 1;
    }
    sum / fraction
}

/// EIP-2718 bytes of the upgrade deposits of the fork that activates at `time`, as kona-hardforks
/// publishes them.
fn upgrades_at(time: u64) -> Vec<Bytes> {
    let forks = [
        ("ecotone", OpHardfork::Ecotone),
        ("fjord", OpHardfork::Fjord),
        ("isthmus", OpHardfork::Isthmus),
        ("jovian", OpHardfork::Jovian),
    ];
    let found = forks.into_iter().find(|(_, fork)| is_first(*fork, time));
    found.map_or_else(Vec::new, |(name, _)| published_upgrades(name))
}

pub(super) fn published_upgrades(fork: &str) -> Vec<Bytes> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/upgrades.txt.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    (text.lines())
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| *name == fork)
        .map(|(_, hex)| hex.parse().unwrap())
        .collect()
}
