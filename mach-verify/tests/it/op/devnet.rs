//! The devnet: contracts on its L1 that executed, and a rollup whose blocks executed, both made by
//! code that shares nothing with the check.

use alloy_consensus::Header;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, ValidateError},
};
use mach_devnet::{
    Chain, DEV_ACCOUNTS, Devnet, DevnetConfig, Ethereum, Optimism, OptimismFork, Settling,
    SystemChange, UserDeposit,
};
use mach_verify::{
    op::{OpL1Validator, Parent},
    source::StatelessValidator,
};
use op_alloy_consensus::{OpTxEnvelope, TxDeposit};

use super::world::{Random, published_upgrades};

type Validator =
    OpL1Validator<StatelessValidator<Chain<Optimism>>, Chain<Ethereum>, Chain<Optimism>>;

fn validator(devnet: &Devnet) -> Validator {
    let rollup = devnet.rollup().clone();
    let executed = StatelessValidator::new(rollup.l2.clone(), devnet.l2().clone());
    OpL1Validator::new(executed, rollup, devnet.l1().clone(), devnet.l2().clone())
}

/// A devnet with `blocks` rollup blocks, deposits and changes of the configuration.
pub(crate) fn make_devnet(fork: OptimismFork, blocks: u64, random: &mut Random) -> Devnet {
    let config = DevnetConfig {
        l2_fork: fork,
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    for _ in 0..blocks {
        match random.below(12) {
            0 | 1 => deposit(&devnet, random),
            2 => devnet.sequencer().configure(change(fork, random)).unwrap(),
            _ => {}
        }
        devnet.step().unwrap();
    }
    // So that all blocks are safe, and L1 goes on behind the last L1 origin.
    devnet.publish().unwrap();
    for _ in 0..3 {
        devnet.l1().mine().unwrap();
    }
    devnet
}

fn deposit(devnet: &Devnet, random: &mut Random) {
    let data = random.next().to_be_bytes()[..random.below(8) as usize].to_vec();
    let deposit = UserDeposit {
        from: DEV_ACCOUNTS[random.below(4) as usize],
        to: TxKind::Call(Address::repeat_byte(random.below(256) as u8)),
        mint: u128::from(random.below(1000)),
        value: U256::from(random.below(1000)),
        gas_limit: 60_000 + random.below(100_000),
        data: data.into(),
    };
    devnet.sequencer().deposit(deposit).unwrap();
}

fn change(fork: OptimismFork, random: &mut Random) -> SystemChange {
    match random.below(6) {
        0 => SystemChange::GasLimit(40_000_000 + random.below(40_000_000)),
        1 if fork >= OptimismFork::Ecotone => SystemChange::GasConfigEcotone {
            base_fee: random.below(5000) as u32,
            blob_base_fee: random.below(900_000) as u32,
        },
        1 => SystemChange::GasConfig {
            overhead: U256::from(random.below(3000)),
            scalar: U256::from(random.below(900_000)),
        },
        2 if fork >= OptimismFork::Holocene => SystemChange::Eip1559 {
            denominator: 1 + random.below(400) as u32,
            elasticity: 1 + random.below(10) as u32,
        },
        3 if fork >= OptimismFork::Isthmus => SystemChange::OperatorFee {
            scalar: random.below(1000) as u32,
            constant: random.below(1000),
        },
        4 if fork >= OptimismFork::Jovian => SystemChange::MinBaseFee(random.below(1000)),
        5 if fork >= OptimismFork::Jovian => SystemChange::DaFootprint(random.below(500) as u16),
        _ => SystemChange::UnsafeBlockSigner(Address::repeat_byte(7)),
    }
}

/// Every block executes and follows from L1; what is changed about it is named. Gives how many
/// changes.
async fn sweep(fork: OptimismFork, blocks: u64, seed: u64) -> usize {
    let mut random = Random(seed);
    let devnet = make_devnet(fork, blocks, &mut random);
    let validator = validator(&devnet);
    let mut changes = 0;
    for number in 1..=blocks {
        let block = devnet.l2().l2_block(number).unwrap();
        for (what, changed, expected) in mutations(&block, &mut random) {
            let verdict = validator.check(&changed).await;
            let named = verdict.as_ref().ok().and_then(|fault| fault.as_ref());
            assert_eq!(
                named.map(|fault| fault.name()),
                Some(expected),
                "{fork:?} {number}, {what}: {verdict:?}"
            );
            changes += 1;
        }
        let verdict = validator.validate(&block).await;
        assert!(
            matches!(verdict, Ok(Verdict::Valid(_))),
            "{fork:?} {number}: {verdict:?}"
        );
    }
    changes
}

fn mutations(block: &L2Block, random: &mut Random) -> Vec<(&'static str, L2Block, &'static str)> {
    let body = |change: &dyn Fn(&mut Vec<Bytes>)| {
        let mut changed = block.clone();
        change(&mut changed.transactions);
        changed
    };
    let header = |change: &dyn Fn(&mut Header)| {
        let mut header = block.header.inner().clone();
        change(&mut header);
        L2Block::new(block.chain_id, header, block.transactions.clone())
    };
    let attributes = |change: &dyn Fn(&mut TxDeposit)| {
        body(&|transactions| {
            let mut deposit = decode(&transactions[0]).unwrap();
            change(&mut deposit);
            transactions[0] = deposit.encoded_2718().into();
        })
    };
    let calldata = |at: usize| {
        attributes(&|deposit| {
            let mut input = deposit.input.to_vec();
            input[at] ^= 1;
            deposit.input = input.into();
        })
    };
    let deposits = block.transactions.iter().map_while(decode).count();
    let length = decode(&block.transactions[0]).unwrap().input.len();
    // Neither number nor hash of the L1 origin.
    let elsewhere = [
        random.below(24) as usize + 4,
        36 + random.below(64) as usize,
    ];
    let after_hash = 132 + random.below(length as u64 - 132) as usize;
    let forged = Bytes::from(
        TxDeposit {
            source_hash: B256::repeat_byte(random.below(256) as u8),
            mint: 1 << 90,
            ..Default::default()
        }
        .encoded_2718(),
    );
    let upgrade = published_upgrades_once();
    let mut all = vec![
        ("calldata", calldata(elsewhere[0]), "l1Attributes"),
        ("calldata", calldata(elsewhere[1]), "l1Attributes"),
        ("calldata", calldata(after_hash), "l1Attributes"),
        (
            "hash of L1",
            calldata(100 + random.below(32) as usize),
            "l1Origin",
        ),
        (
            "number of L1",
            calldata(28 + random.below(6) as usize),
            "l1OriginNumber",
        ),
        (
            "gas",
            attributes(&|deposit| deposit.gas_limit += 1),
            "l1Attributes",
        ),
        (
            "mint",
            attributes(&|deposit| deposit.mint += 1),
            "l1Attributes",
        ),
        (
            "source",
            attributes(&|deposit| deposit.source_hash.0[0] ^= 1),
            "l1Attributes",
        ),
        (
            "no attributes",
            body(&|t| drop(t.remove(0))),
            "l1Attributes",
        ),
        ("forged", body(&|t| t.push(forged.clone())), "userDeposits"),
        (
            "forged",
            body(&|t| t.insert(1, forged.clone())),
            "userDeposits",
        ),
        (
            "upgrade",
            body(&|t| t.insert(deposits, upgrade.clone())),
            "upgradeDeposits",
        ),
        (
            "timestamp",
            header(&|header| header.timestamp += 1),
            "payloadAttributes",
        ),
        (
            "beneficiary",
            header(&|header| header.beneficiary.0[3] ^= 1),
            "payloadAttributes",
        ),
        (
            "mixHash",
            header(&|header| header.mix_hash.0[3] ^= 1),
            "payloadAttributes",
        ),
        (
            "gasLimit",
            header(&|header| header.gas_limit -= 1),
            "systemConfig",
        ),
    ];
    if deposits > 1 {
        let at = 1 + random.below(deposits as u64 - 1) as usize;
        all.push(("dropped", body(&|t| drop(t.remove(at))), "userDeposits"));
        all.push((
            "repeated",
            body(&|t| t.insert(at, t[at].clone())),
            "userDeposits",
        ));
        let altered = body(&|t| {
            let mut deposit = decode(&t[at]).unwrap();
            deposit.mint += 1;
            t[at] = deposit.encoded_2718().into();
        });
        all.push(("altered", altered, "userDeposits"));
    }
    if !block.header.extra_data.is_empty() {
        let at = random.below(block.header.extra_data.len() as u64) as usize;
        let extra = header(&|header| {
            let mut extra = header.extra_data.to_vec();
            extra[at] ^= 1;
            header.extra_data = extra.into();
        });
        all.push(("extraData", extra, "systemConfig"));
    }
    all
}

fn published_upgrades_once() -> Bytes {
    static UPGRADE: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    UPGRADE
        .get_or_init(|| published_upgrades("isthmus").remove(3))
        .clone()
}

fn decode(bytes: &Bytes) -> Option<TxDeposit> {
    match OpTxEnvelope::decode_2718_exact(bytes) {
        Ok(OpTxEnvelope::Deposit(deposit)) => Some(deposit.into_inner()),
        _ => None,
    }
}

/// How many blocks the devnets of a test make, of all forks together: `MACH_DEVNET_BLOCKS`.
pub(crate) fn devnet_blocks() -> u64 {
    std::env::var("MACH_DEVNET_BLOCKS").map_or(120, |it| it.parse().unwrap())
}

pub(crate) const DEVNET_FORKS: [OptimismFork; 6] = [
    OptimismFork::Bedrock,
    OptimismFork::Canyon,
    OptimismFork::Ecotone,
    OptimismFork::Holocene,
    OptimismFork::Isthmus,
    OptimismFork::Jovian,
];

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_the_devnet_follow_from_its_l1_and_changed_ones_do_not() {
    let blocks = devnet_blocks();
    let mut changes = 0;
    for (seed, fork) in (1..).zip(DEVNET_FORKS) {
        changes += sweep(fork, blocks / DEVNET_FORKS.len() as u64, seed).await;
    }
    eprintln!("{blocks} blocks valid, {changes} changes, all named");
    assert!(changes as u64 >= 16 * blocks);
}

/// Its contracts are its own, so a fork that activates on it upgrades none.
#[tokio::test]
async fn a_fork_that_activates_without_its_upgrade_is_named() {
    let config = DevnetConfig {
        l2_fork: OptimismFork::Holocene,
        l2_upgrades: vec![(OptimismFork::Isthmus, 6)],
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    for _ in 0..4 {
        devnet.step().unwrap();
    }
    let validator = validator(&devnet);
    for number in 1..=3 {
        let block = devnet.l2().l2_block(number).unwrap();
        let verdict = validator.validate(&block).await.unwrap();
        let expected = (number == 3).then_some("upgradeDeposits");
        assert_eq!(
            verdict.fault().map(|fault| fault.name()),
            expected,
            "{number}"
        );
    }
}

/// L1 is reorganised, and the rollup has not noticed yet.
#[tokio::test]
async fn an_l1_that_was_replaced_under_the_rollup_is_undecided_until_it_settles() {
    let config = DevnetConfig {
        l1_settling: Settling::Behind {
            safe: 1,
            finalized: 8,
        },
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    for _ in 0..20 {
        devnet.step().unwrap();
    }
    let validator = validator(&devnet);
    let newest = devnet.l2().l2_block(20).unwrap();
    assert!(validator.check(&newest).await.unwrap().is_none());
    let origin = Parent::of_block(devnet.rollup(), &newest).unwrap().origin;
    devnet.l1().rewind(origin.number - 1).unwrap();
    devnet.l1().increase_time(1);
    for _ in 0..4 {
        devnet.l1().mine().unwrap();
    }
    let verdict = validator.check(&newest).await;
    assert!(
        matches!(&verdict, Err(ValidateError::Incomplete { .. })),
        "{verdict:?}"
    );
    for _ in 0..8 {
        devnet.l1().mine().unwrap();
    }
    // It may be a node that has not noticed: what it does not call safe accuses nobody.
    let verdict = validator.check(&newest).await;
    assert!(
        matches!(&verdict, Err(ValidateError::Incomplete { .. })),
        "{verdict:?}"
    );
    devnet.l2().set_settling(Settling::AtOnce);
    let fault = validator.check(&newest).await.unwrap().unwrap();
    assert_eq!(fault.name(), "l1Origin");
}
