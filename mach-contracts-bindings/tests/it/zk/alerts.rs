//! Raising, expiring, bonds.

use super::*;

fn bare(number: u64) -> Raise {
    Raise::OutputRoot {
        root: B256::with_last_byte(number as u8),
        number,
        expected: B256::repeat_byte(0xee),
    }
}

#[tokio::test]
async fn an_alert_is_raised_once_however_often_it_is_asked_for() {
    let world = World::new().await;
    let first = world.raise(bare(3)).await;
    assert_eq!(world.raise(bare(3)).await, first);
    assert_eq!(world.zk.alert_count().await.unwrap(), U256::from(1));
    // Another account's is an alert of its own.
    let second = world.zk.raise(&world.stranger, &bare(3)).await.unwrap();
    assert_eq!(second, U256::from(1));
    let alert = world.alert(second).await;
    assert_eq!(alert.submitter, world.stranger.sender());
    assert_eq!(alert.kind, Accused::OutputRoot);
    assert_eq!(alert.status, Status::Raised);
    assert!(!alert.published);
    assert_eq!(u128::try_from(alert.bond).unwrap(), BOND);
    assert_eq!(alert.blockNumber, U256::from(3));
    assert_eq!(alert.accused, B256::with_last_byte(3));
    assert_eq!(alert.expected, B256::repeat_byte(0xee));
    assert_eq!(world.zk.alerts(U256::ZERO, 9).await.unwrap().len(), 2);
    assert_eq!(world.zk.alerts(U256::from(1), 9).await.unwrap(), [alert]);
    let beyond = world.zk.alerts(U256::from(3), 1).await;
    assert!(beyond.refusal().starts_with("InvalidStartIndex"));
    assert_eq!(world.convictions().await, 0);
}

#[tokio::test]
async fn what_is_no_alert_is_refused() {
    let world = World::new().await;
    let expected = B256::repeat_byte(0xee);
    let cases = [
        (
            Raise::OutputRoot {
                root: expected,
                number: 3,
                expected,
            },
            "InvalidAlert",
        ),
        (
            Raise::OutputRoot {
                root: B256::ZERO,
                number: 3,
                expected,
            },
            "InvalidAlert",
        ),
        (
            Raise::BlockHash {
                hash: expected,
                number: 0,
                expected,
            },
            "InvalidAlert",
        ),
        (Raise::OracleOutput { index: 0, expected }, "InvalidIndex"),
        (Raise::GameClaim { index: 0, expected }, "InvalidIndex"),
    ];
    for (raise, name) in cases {
        let raised = world.zk.raise(&world.alerter, &raise).await;
        assert!(raised.refusal().starts_with(name), "{raise:?}");
    }
    let index = world.propose(1);
    let (right, _) = world.opening(1).await;
    let agreeing = Raise::OracleOutput {
        index: index.to(),
        expected: output_root(&right),
    };
    let raised = world.zk.raise(&world.alerter, &agreeing).await;
    assert!(raised.refusal().starts_with("InvalidAlert"));

    let no_contracts = World::with(OptimismFork::Isthmus, |config| {
        config.oracle = None;
        config.game_factory = None;
    })
    .await;
    for raise in [
        Raise::OracleOutput { index: 0, expected },
        Raise::GameClaim { index: 0, expected },
    ] {
        let raised = no_contracts.zk.raise(&no_contracts.alerter, &raise).await;
        assert!(raised.refusal().starts_with("NoSuchSource"));
    }
    let other_games = World::with(OptimismFork::Isthmus, |config| config.game_type = 5).await;
    other_games.propose(1);
    let raise = Raise::GameClaim { index: 0, expected };
    let raised = other_games.zk.raise(&other_games.alerter, &raise).await;
    assert!(raised.refusal().starts_with("OtherGameType"));
}

#[tokio::test]
async fn an_alert_costs_the_bond_exactly() {
    let world = World::new().await;
    let call = bare(3).calldata();
    let to = world.zk.address();
    for sent in [0, BOND - 1, BOND + 1] {
        let intent = keccak256(sent.to_be_bytes());
        let sent = world
            .alerter
            .pay(intent, to, call.clone(), U256::from(sent))
            .await;
        assert!(sent.refusal().starts_with("WrongBond"));
    }
    // A new bond is for new alerts.
    let id = world.raise(bare(3)).await;
    let free = Z::setBondCall {
        bond: Default::default(),
    };
    world.owner_calls(&free).await.unwrap();
    world.raise(bare(4)).await;
    assert_eq!(u128::try_from(world.alert(id).await.bond).unwrap(), BOND);
}

#[tokio::test]
async fn an_alert_that_nobody_proves_expires_and_its_bond_is_lost() {
    let world = World::new().await;
    let id = world.raise(bare(3)).await;
    world.pass(WINDOW - 60);
    let early = world.zk.expire(&world.stranger, id).await;
    assert!(early.refusal().starts_with("NotExpired"));
    world.pass(60);
    world.zk.expire(&world.stranger, id).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Expired, Ground::None));
    assert_eq!(world.withdrawable(world.config.beneficiary).await, BOND);
    assert_eq!(world.withdrawable(world.alerter.sender()).await, 0);
    let again = world.zk.expire(&world.stranger, id).await;
    assert!(again.refusal().starts_with("NotOpen"));
    let missing = world.zk.expire(&world.stranger, U256::from(9)).await;
    assert!(missing.refusal().starts_with("InvalidIndex"));
}

#[tokio::test]
async fn a_right_alerter_gets_the_bond_back_and_pulls_it() {
    let world = World::new().await;
    let (opening, _) = world.opening(4).await;
    let id = world
        .raise(Raise::OutputRoot {
            root: output_root(&opening),
            number: 4,
            expected: B256::ZERO,
        })
        .await;
    world
        .submit(id, &world.claim(4, 6), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.withdrawable(world.alerter.sender()).await, BOND);
    let nothing = world
        .zk
        .withdraw(&world.stranger, world.stranger.sender())
        .await;
    assert!(nothing.refusal().starts_with("NothingToWithdraw"));
    let to = Address::repeat_byte(0x77);
    world.zk.withdraw(&world.alerter, to).await.unwrap();
    assert_eq!(world.l1().get_balance(to).await.unwrap(), U256::from(BOND));
    assert_eq!(world.withdrawable(world.alerter.sender()).await, 0);
    let contract = world.l1().get_balance(world.zk.address()).await.unwrap();
    assert_eq!(contract, U256::ZERO);
}

#[tokio::test]
async fn ether_is_not_sent_to_nobody() {
    let world = World::new().await;
    let (opening, _) = world.opening(4).await;
    let id = world
        .raise(Raise::OutputRoot {
            root: output_root(&opening),
            number: 4,
            expected: B256::ZERO,
        })
        .await;
    world
        .submit(id, &world.claim(4, 6), &at(&opening))
        .await
        .unwrap();
    let told = world.zk.withdraw(&world.alerter, Address::ZERO).await;
    assert!(told.refusal().starts_with("ZeroAddress"));
    assert_eq!(world.withdrawable(world.alerter.sender()).await, BOND);
}

/// What the contract has is what open alerts hold and what accounts may withdraw, whatever happens and in whatever order.
#[tokio::test]
async fn no_wei_is_lost_or_made() {
    let world = World::new().await;
    let beneficiary = world.config.beneficiary;
    let accounts = [
        world.alerter.sender(),
        world.prover.sender(),
        world.stranger.sender(),
        beneficiary,
    ];
    let balanced = async |at: &str| {
        let held: U256 = (world.zk.alerts(U256::ZERO, 99).await.unwrap().iter())
            .map(|alert| U256::from(alert.bond))
            .sum();
        let mut owed = U256::ZERO;
        for account in accounts {
            owed += world.zk.withdrawable(account).await.unwrap();
        }
        let has = world.l1().get_balance(world.zk.address()).await.unwrap();
        assert_eq!(has, held + owed, "{at}");
    };
    let (third, _) = world.opening(3).await;
    let (fourth, _) = world.opening(4).await;
    let raise = |opening: &Opening, number| Raise::OutputRoot {
        root: output_root(opening),
        number,
        expected: B256::ZERO,
    };
    let wrong = world.claim(4, 6);
    let right = Claim {
        outputRoot: output_root(&third),
        ..world.claim(3, 0)
    };
    let proved = world.raise(raise(&fourth, 4)).await;
    let refuted = world.raise(raise(&third, 3)).await;
    let told = world.raise(raise(&third, 7)).await;
    let expired = world.raise(bare(9)).await;
    let again = raise(&fourth, 4);
    let late = world.zk.raise(&world.stranger, &again).await.unwrap();
    balanced("raised").await;
    // The bond of alerts that are raised from now on is another.
    let bond = Z::setBondCall {
        bond: alloy_primitives::aliases::U96::from(7),
    };
    world.owner_calls(&bond).await.unwrap();
    let own = raise(&third, 3);
    let dear = world.zk.raise(&world.prover, &own).await.unwrap();
    balanced("another bond").await;
    world.submit(proved, &wrong, &at(&fourth)).await.unwrap();
    balanced("proved").await;
    world.submit(refuted, &right, &at(&third)).await.unwrap();
    balanced("refuted").await;
    world
        .zk
        .refute_directly(&world.stranger, told, &third, &world.header(3))
        .await
        .unwrap();
    balanced("refuted directly").await;
    world
        .zk
        .withdraw(&world.alerter, accounts[0])
        .await
        .unwrap();
    balanced("withdrawn").await;
    let unready = world.zk.expire(&world.stranger, expired).await;
    assert!(unready.refusal().starts_with("NotExpired"));
    world.pass(WINDOW);
    for id in [expired, late] {
        world.zk.expire(&world.stranger, id).await.unwrap();
        balanced("expired").await;
    }
    // Who refutes his own alert pays for it all the same.
    world.submit(dear, &right, &at(&third)).await.unwrap();
    balanced("refuted by its own alerter").await;
    world.submit(late, &wrong, &at(&fourth)).await.unwrap();
    balanced("proved late").await;
    assert_eq!(world.withdrawable(world.stranger.sender()).await, 0);
    let statuses = [
        Status::Proved,
        Status::Refuted,
        Status::Refuted,
        Status::Expired,
        Status::Proved,
        Status::Refuted,
    ];
    for (id, status) in [proved, refuted, told, expired, late, dear]
        .into_iter()
        .zip(statuses)
    {
        let alert = world.alert(id).await;
        assert_eq!((alert.status, alert.bond), (status, Default::default()));
    }
}

/// Code that alerts, and withdraws again while it is paid.
#[tokio::test]
async fn a_receiver_that_calls_back_gets_its_bond_once() {
    let world = World::new().await;
    let (opening, _) = world.opening(4).await;
    let raise = Raise::OutputRoot {
        root: output_root(&opening),
        number: 4,
        expected: B256::ZERO,
    };
    // Others have bonds in the contract.
    for number in 1..=3 {
        world
            .zk
            .raise(
                &world.stranger,
                &Raise::BlockHash {
                    hash: B256::repeat_byte(0x99),
                    number,
                    expected: B256::ZERO,
                },
            )
            .await
            .unwrap();
    }
    // Passes on what it is sent; whatever ether it gets, it withdraws once more, and swallows a refusal.
    let withdraw = |to: Address| Bytes::from(Z::withdrawCall { to }.abi_encode());
    let target = world.zk.address();
    let thief = attacker(target);
    let (thief, _) = world.owner.deploy(thief).await.unwrap();
    world
        .alerter
        .pay(
            B256::repeat_byte(1),
            thief,
            raise.calldata(),
            U256::from(BOND),
        )
        .await
        .unwrap();
    let id = world.zk.alert_count().await.unwrap() - U256::from(1);
    assert_eq!(world.alert(id).await.submitter, thief);
    world
        .submit(id, &world.claim(4, 6), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.withdrawable(thief).await, BOND);
    world.alerter.send_to(thief, withdraw(thief)).await.unwrap();
    let balance = world.l1().get_balance(thief).await.unwrap();
    assert_eq!(balance, U256::from(BOND));
    let left = world.l1().get_balance(target).await.unwrap();
    assert_eq!(left, U256::from(3 * BOND));
}

/// With calldata: calls `target` with it and the value, and reverts if that does. Without: calls `withdraw` of `target`
/// to itself.
fn attacker(target: Address) -> Bytes {
    let selector = Z::withdrawCall::SELECTOR;
    let code = [
        // if there is no calldata go to the end
        &[0x36, 0x15, 0x60, 0x2b, 0x57][..],
        // calldatacopy(0, 0, calldatasize); call(gas, target, callvalue, 0, calldatasize, 0, 0)
        &[0x36, 0x5f, 0x5f, 0x37, 0x5f, 0x5f, 0x36, 0x5f, 0x34, 0x73],
        target.as_slice(),
        &[0x5a, 0xf1],
        // revert unless it succeeded
        &[0x60, 0x2d + 0x1d, 0x57],
        &[0x5f, 0x5f, 0xfd],
        // 0x2b: mstore(0, selector << 224); mstore(4, address); call(gas, target, 0, 0, 36, 0, 0)
        &[0x5b, 0x63],
        &selector,
        &[0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x30, 0x60, 0x04, 0x52],
        &[0x5f, 0x5f, 0x60, 0x24, 0x5f, 0x5f, 0x73],
        target.as_slice(),
        &[0x5a, 0xf1, 0x5b, 0x00],
    ]
    .concat();
    assert_eq!(code[0x2b], 0x5b);
    let end = code.len() - 2;
    let mut code = code;
    code[0x26] = end as u8;
    let size = code.len() as u8;
    [
        &[0x60, size, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3][..],
        &code,
    ]
    .concat()
    .into()
}
