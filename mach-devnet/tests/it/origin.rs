//! The rollup and its L1, compared by mach-verify's own reading of the specifications.

use mach_core::{Fault, ports::BlockValidator};
use mach_devnet::{
    Check, Devnet, DevnetConfig, Lie, OptimismFork, Settling, SystemChange, Traffic, UserDeposit,
};
use mach_verify::{op::OpL1Validator, source::StatelessValidator};

/// Fault of a block, by execution and by L1.
async fn fault(devnet: &Devnet, number: u64) -> Option<Fault> {
    let l2 = devnet.l2();
    let validator = OpL1Validator::new(
        StatelessValidator::new(l2.role().spec().clone(), l2.clone()),
        devnet.rollup().clone(),
        devnet.l1().clone(),
        l2.clone(),
    );
    let block = l2.l2_block(number).unwrap();
    let verdict = validator.validate(&block).await;
    verdict.unwrap().fault().cloned()
}

fn change(devnet: &Devnet, change: SystemChange) {
    devnet.sequencer().configure(change).unwrap();
}

#[tokio::test]
async fn blocks_of_every_fork_follow_from_l1() {
    for fork in OptimismFork::ALL {
        let config = DevnetConfig {
            l2_fork: fork,
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        let to = alloy_primitives::Address::repeat_byte(0x31);
        devnet
            .sequencer()
            .deposit(UserDeposit::ether(to, 5))
            .unwrap();
        change(&devnet, SystemChange::GasLimit(40_000_000));
        change(
            &devnet,
            if fork >= OptimismFork::Ecotone {
                SystemChange::GasConfigEcotone {
                    base_fee: 5,
                    blob_base_fee: 6,
                }
            } else {
                SystemChange::GasConfig {
                    overhead: alloy_primitives::U256::from(2_100),
                    scalar: alloy_primitives::U256::from(1_000_000),
                }
            },
        );
        if fork >= OptimismFork::Holocene {
            change(
                &devnet,
                SystemChange::Eip1559 {
                    denominator: 77,
                    elasticity: 3,
                },
            );
        }
        for _ in 0..32 {
            devnet.step().unwrap();
        }
        for number in 1..=32 {
            assert_eq!(fault(&devnet, number).await, None, "{fork:?}, {number}");
        }
        assert_eq!(devnet.l2().balance(to).unwrap().to::<u64>(), 5);
    }
}

/// Forks that come without deposits that upgrade contracts.
#[tokio::test]
async fn forks_activate_in_the_middle_of_a_chain() {
    use OptimismFork::*;
    for (first, later) in [
        (Bedrock, [Regolith, Canyon, Delta].as_slice()),
        (Fjord, &[Granite, Holocene]),
    ] {
        let upgrades = later.iter().zip(1..).map(|(fork, n)| (*fork, 10 * n));
        let config = DevnetConfig {
            l2_fork: first,
            l2_upgrades: upgrades.collect(),
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        for _ in 0..24 {
            devnet.step().unwrap();
        }
        let last = devnet.l2().l2_block(24).unwrap().header.timestamp;
        assert_eq!(
            devnet.l2().role().forks().active(last),
            *later.last().unwrap()
        );
        for number in 1..=24 {
            assert_eq!(fault(&devnet, number).await, None, "{first:?}, {number}");
        }
    }
}

#[tokio::test]
async fn each_lie_about_l1_has_its_fault() {
    for lie in Lie::ALL {
        if lie.check() != Check::Origin {
            continue;
        }
        let config = DevnetConfig {
            // Before Fjord the drift is a matter of configuration.
            l2_fork: OptimismFork::Ecotone,
            max_sequencer_drift: 20,
            l1_settling: Settling::AtOnce,
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        let to = alloy_primitives::Address::repeat_byte(0x31);
        devnet.step().unwrap();
        devnet
            .sequencer()
            .deposit(UserDeposit::ether(to, 5))
            .unwrap();
        devnet.sequencer().lie_next(lie);
        while devnet.sequencer().untold() > 0 {
            devnet.step().unwrap();
        }
        let lying = devnet.l2().head();
        // A node has to stand by a block before it is said to name another L1.
        devnet.publish().unwrap();
        for number in 1..=lying {
            let fault = fault(&devnet, number).await;
            let expected = (number == lying).then_some(lie.fault());
            assert_eq!(
                fault.as_ref().map(Fault::name),
                expected,
                "{lie}, {number}: {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn varied_traffic_is_the_same_for_the_same_seed_and_verifies() {
    let make = |seed, fork| {
        let config = DevnetConfig {
            l2_fork: fork,
            traffic: Traffic::varied(seed),
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        for _ in 0..60 {
            devnet.sequencer().produce().unwrap();
        }
        devnet
    };
    use OptimismFork::{Bedrock, Jovian};
    let (one, same, other) = (make(1, Jovian), make(1, Jovian), make(2, Jovian));
    let hash = |devnet: &Devnet| devnet.l2().block_hash(60);
    assert_eq!(hash(&one), hash(&same));
    assert_ne!(hash(&one), hash(&other));
    for devnet in [one, other, make(3, Bedrock)] {
        for number in 1..=60 {
            assert_eq!(fault(&devnet, number).await, None, "block {number}");
        }
    }
}
