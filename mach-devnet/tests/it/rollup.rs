//! The rollup's contracts on L1, and what the rollup takes from them.

use alloy_network::{AnyNetwork, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_sol_types::{SolCall, sol};
use mach_core::{L2Block, Verdict};
use mach_devnet::{
    BATCHER, Check, DEV_ACCOUNTS, DISPUTE_GAME_FACTORY, Devnet, DevnetConfig, FeeConfig,
    GENESIS_BALANCE, L2_OUTPUT_ORACLE, Lie, OPTIMISM_PORTAL, ROLLUP_OWNER, SYSTEM_CONFIG,
    SystemChange, UserDeposit,
};
use op_alloy_consensus::{OpTxEnvelope, TxDeposit};

use super::{counter, verify};

/// Blocks until one follows the L1 block that was made last: L1 makes one in 12 seconds, the rollup
/// in 2.
const EPOCH: u64 = 6;

fn produce(devnet: &Devnet, blocks: u64) -> u64 {
    for _ in 0..blocks {
        devnet.sequencer().produce().unwrap();
    }
    devnet.l2().head()
}

fn deposits(block: &L2Block) -> Vec<TxDeposit> {
    use alloy_eips::eip2718::Decodable2718;
    let decoded = |bytes: &Bytes| OpTxEnvelope::decode_2718_exact(bytes).unwrap();
    let deposit = |envelope: OpTxEnvelope| envelope.as_deposit().map(|one| one.inner().clone());
    block
        .transactions
        .iter()
        .map(decoded)
        .filter_map(deposit)
        .collect()
}

async fn is_valid(devnet: &Devnet, number: u64) -> bool {
    let verdict = verify(devnet.l2(), devnet.l2().role().spec(), number).await;
    matches!(verdict.unwrap(), Verdict::Valid(_))
}

#[tokio::test]
async fn a_deposit_is_in_the_first_block_that_follows_its_l1_block() {
    let devnet = Devnet::new().unwrap();
    let deposit = UserDeposit {
        from: DEV_ACCOUNTS[4],
        to: TxKind::Call(Address::repeat_byte(0x44)),
        mint: 70,
        value: U256::from(50),
        gas_limit: 60_000,
        data: Bytes::from_static(b"hello"),
    };
    devnet.sequencer().deposit(deposit.clone()).unwrap();
    assert_eq!(
        devnet.l1().balance(OPTIMISM_PORTAL).unwrap(),
        U256::from(70)
    );
    produce(&devnet, EPOCH + 1);
    for number in 1..=EPOCH + 1 {
        let block = devnet.l2().l2_block(number).unwrap();
        let all = deposits(&block);
        assert_eq!(all.len(), if number == EPOCH { 2 } else { 1 });
        assert!(is_valid(&devnet, number).await, "block {number}");
        let Some(user) = all.get(1) else { continue };
        // `keccak256(domain 0 ‖ keccak256(hash of the L1 block ‖ index of the log))`.
        let l1 = devnet.l1().block_hash(1).unwrap();
        let id = keccak256([l1, B256::ZERO].concat());
        let expected = TxDeposit {
            source_hash: keccak256([B256::ZERO, id].concat()),
            from: deposit.from.address,
            to: deposit.to,
            mint: deposit.mint,
            value: deposit.value,
            gas_limit: deposit.gas_limit,
            is_system_transaction: false,
            input: deposit.data.clone(),
        };
        assert_eq!(user, &expected);
    }
    let balance = |address| devnet.l2().balance(address).unwrap();
    assert_eq!(balance(Address::repeat_byte(0x44)), U256::from(50));
    assert_eq!(
        balance(DEV_ACCOUNTS[4].address),
        GENESIS_BALANCE + U256::from(20)
    );
}

#[tokio::test]
async fn ether_sent_to_the_portal_arrives_and_contracts_speak_for_themselves() {
    let devnet = Devnet::new().unwrap();
    let account = &DEV_ACCOUNTS[5];
    let provider = devnet.l1().signing_provider(account);
    let ether = TransactionRequest::default()
        .with_to(OPTIMISM_PORTAL)
        .with_value(U256::from(11));
    let receipt = provider.send_transaction(ether).await.unwrap();
    assert!(receipt.get_receipt().await.unwrap().status());
    // A contract that calls the portal with 13 wei while it is made.
    let portal = OPTIMISM_PORTAL.into_word();
    let init = [
        &alloy_primitives::hex!("5f5f5f5f600d73")[..],
        &portal[12..],
        &alloy_primitives::hex!("5af100"),
    ]
    .concat();
    let make = TransactionRequest::default()
        .with_deploy_code(init)
        .with_value(U256::from(13));
    let receipt = provider.send_transaction(make).await.unwrap();
    let receipt = receipt.get_receipt().await.unwrap();
    let contract = receipt.contract_address.unwrap();
    let number = produce(&devnet, 2 * EPOCH);
    let all: Vec<_> = (1..=number)
        .flat_map(|number| deposits(&devnet.l2().l2_block(number).unwrap()))
        .filter(|deposit| deposit.mint > 0)
        .collect();
    // The offset of <https://specs.optimism.io/protocol/deposits.html#address-aliasing>.
    let offset = address!("1111000000000000000000000000000000001111");
    let sum =
        U256::from_be_bytes(contract.into_word().0) + U256::from_be_bytes(offset.into_word().0);
    let alias = Address::from_word(sum.into());
    let parts: Vec<_> = all.iter().map(|one| (one.from, one.to, one.mint)).collect();
    assert_eq!(
        parts,
        [
            (account.address, TxKind::Call(account.address), 11),
            // As in the genuine contract, the receiver is not the alias.
            (alias, TxKind::Call(contract), 13),
        ]
    );
    assert_eq!(devnet.l2().balance(contract).unwrap(), U256::from(13));
}

#[tokio::test]
async fn a_deposit_that_fails_still_mints() {
    let devnet = Devnet::new().unwrap();
    let from = DEV_ACCOUNTS[6];
    let create = |value: u64| UserDeposit {
        from,
        to: TxKind::Create,
        mint: 5,
        value: U256::from(value),
        gas_limit: 1_000_000,
        data: counter(),
    };
    devnet.sequencer().deposit(create(0)).unwrap();
    produce(&devnet, EPOCH);
    // More than the account has.
    let poor = UserDeposit {
        value: GENESIS_BALANCE * U256::from(2),
        to: TxKind::Call(Address::repeat_byte(1)),
        ..create(0)
    };
    devnet.sequencer().deposit(poor).unwrap();
    let number = produce(&devnet, EPOCH);
    assert!(is_valid(&devnet, EPOCH).await && is_valid(&devnet, number).await);
    let provider = devnet.l2().provider::<AnyNetwork>();
    let code = provider.get_code_at(from.address.create(0)).await.unwrap();
    assert!(!code.is_empty());
    let failed: Vec<serde_json::Value> = provider
        .raw_request("eth_getBlockReceipts".into(), (format!("{number:#x}"),))
        .await
        .unwrap();
    assert_eq!(failed[1]["status"], "0x0");
    let balance = devnet.l2().balance(from.address).unwrap();
    assert_eq!(balance, GENESIS_BALANCE + U256::from(10));
}

/// What the contract says, in the order of the calls below.
async fn views(devnet: &Devnet) -> Vec<U256> {
    let provider = devnet.l1().provider::<AnyNetwork>();
    let mut values = Vec::new();
    for function in [
        "batcherHash()",
        "basefeeScalar()",
        "blobbasefeeScalar()",
        "gasLimit()",
        "eip1559Denominator()",
        "eip1559Elasticity()",
        "operatorFeeScalar()",
        "operatorFeeConstant()",
        "minBaseFee()",
        "daFootprintGasScalar()",
        "owner()",
    ] {
        let request = TransactionRequest::default()
            .with_to(SYSTEM_CONFIG)
            .with_input(keccak256(function)[..4].to_vec());
        let word = provider.call(request.into()).await.unwrap();
        values.push(U256::from_be_slice(&word));
    }
    values
}

#[tokio::test]
async fn the_rollup_follows_what_its_owner_sets() {
    let fees = FeeConfig {
        base_fee_scalar: 2,
        blob_base_fee_scalar: 3,
        operator_fee_scalar: 4,
        operator_fee_constant: 5,
        min_base_fee: 6,
        da_footprint_gas_scalar: 7,
        ..Default::default()
    };
    let config = DevnetConfig {
        fees,
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    let word = |address: Address| U256::from_be_bytes(address.into_word().0);
    let owner = word(ROLLUP_OWNER.address);
    let numbers = |values: [u64; 9]| values.map(U256::from);
    let mut expected = vec![word(BATCHER.address)];
    expected.extend(numbers([2, 3, 60_000_000, 0, 0, 4, 5, 6, 7]));
    expected.push(owner);
    assert_eq!(views(&devnet).await, expected);

    let other = Address::repeat_byte(0xba);
    for change in [
        SystemChange::Batcher(other),
        SystemChange::GasConfigEcotone {
            base_fee: 12,
            blob_base_fee: 13,
        },
        SystemChange::GasLimit(50_000_000),
        SystemChange::Eip1559 {
            denominator: 100,
            elasticity: 4,
        },
        SystemChange::OperatorFee {
            scalar: 14,
            constant: 15,
        },
        SystemChange::MinBaseFee(16),
        SystemChange::DaFootprint(17),
        SystemChange::UnsafeBlockSigner(other),
    ] {
        devnet.sequencer().configure(change).unwrap();
    }
    let mut expected = vec![word(other)];
    expected.extend(numbers([12, 13, 50_000_000, 100, 4, 14, 15, 16, 17]));
    expected.push(owner);
    assert_eq!(views(&devnet).await, expected);

    let number = produce(&devnet, 8 * EPOCH);
    for number in 1..=number {
        assert!(is_valid(&devnet, number).await, "block {number}");
    }
    let block = devnet.l2().l2_block(number).unwrap();
    assert_eq!(block.header.gas_limit, 50_000_000);
    // Jovian's `extraData`: version 1, denominator, elasticity, least base fee.
    let extra = alloy_primitives::hex!("01 00000064 00000004 0000000000000010");
    assert_eq!(block.header.extra_data[..], extra[..]);
    // Jovian's L1 attributes.
    let info = &deposits(&block)[0].input;
    assert_eq!(info[4..12], alloy_primitives::hex!("0000000c 0000000d"));
    assert_eq!(info[132..164], other.into_word()[..]);
    let fees = alloy_primitives::hex!("0000000e 000000000000000f 0011");
    assert_eq!(info[164..178], fees[..]);
}

#[tokio::test]
async fn only_the_owner_configures() {
    let devnet = Devnet::new().unwrap();
    let stranger = devnet.l1().signing_provider(&DEV_ACCOUNTS[3]);
    let request = TransactionRequest::default()
        .with_to(SYSTEM_CONFIG)
        .with_input(SystemChange::GasLimit(1).to_calldata());
    let error = stranger.call(request).await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().code, 3);
}

#[tokio::test]
async fn lies_about_l1_execute_well() {
    for lie in Lie::ALL {
        if lie.check() != Check::Origin {
            continue;
        }
        let (devnet, honest) = (Devnet::new().unwrap(), Devnet::new().unwrap());
        for devnet in [&devnet, &honest] {
            let deposit = UserDeposit::ether(Address::repeat_byte(0x66), 5);
            devnet.sequencer().deposit(deposit).unwrap();
            produce(devnet, EPOCH - 1);
        }
        devnet.sequencer().lie_next(lie);
        let number = produce(&devnet, 1);
        produce(&honest, 1);
        let (told, right) = (
            deposits(&devnet.l2().l2_block(number).unwrap()),
            deposits(&honest.l2().l2_block(number).unwrap()),
        );
        assert_ne!(told, right, "{lie}");
        let count = match lie {
            Lie::DroppedDeposit | Lie::ExcessDrift => 1,
            Lie::ForgedDeposit => 3,
            _ => 2,
        };
        assert_eq!(told.len(), count, "{lie}");
        assert!(is_valid(&devnet, number).await, "{lie}");
        // The block after it is honest again.
        let next = produce(&devnet, 1);
        assert!(is_valid(&devnet, next).await, "{lie}");
        let info = &deposits(&devnet.l2().l2_block(next).unwrap())[0].input;
        if lie != Lie::ExcessDrift {
            produce(&honest, 1);
            assert_eq!(
                info,
                &deposits(&honest.l2().l2_block(next).unwrap())[0].input
            );
        }
    }
}

sol! {
    #[derive(Debug, PartialEq)]
    struct OutputProposal { bytes32 outputRoot; uint128 timestamp; uint128 l2BlockNumber; }

    function getL2OutputAfter(uint256 number) external view returns (OutputProposal memory);
    function latestBlockNumber() external view returns (uint256);
    function nextBlockNumber() external view returns (uint256);
    function nextOutputIndex() external view returns (uint256);

    function gameCount() external view returns (uint256);
    function gameAtIndex(uint256 index) external view
        returns (uint32 gameType, uint64 timestamp, address proxy);

    function rootClaim() external view returns (bytes32);
    function l2BlockNumber() external view returns (uint256);
    function extraData() external view returns (bytes memory);
    function status() external view returns (uint8);
    function counter() external;
    function resolve() external returns (uint8);
}

async fn read<C: SolCall>(devnet: &Devnet, to: Address, call: C) -> C::Return {
    let provider = devnet.l1().provider::<AnyNetwork>();
    let request = TransactionRequest::default()
        .with_to(to)
        .with_input(call.abi_encode());
    let answer = provider.call(request.into()).await.unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

#[tokio::test]
async fn proposals_are_in_the_oracle_and_in_games() {
    let devnet = Devnet::new().unwrap();
    devnet.l1().increase_time(3_600);
    let interval = devnet.proposer().interval();
    for (index, lie) in [None, Some(Lie::OutputRoot)].into_iter().enumerate() {
        produce(&devnet, interval - 1);
        if let Some(lie) = lie {
            devnet.sequencer().lie_next(lie);
        }
        let number = produce(&devnet, 1);
        let next = read(&devnet, L2_OUTPUT_ORACLE, nextBlockNumberCall {}).await;
        assert_eq!(next, U256::from(number));
        devnet.proposer().propose(number).unwrap();
        let claimed = devnet.l2().claimed_output_root(number).unwrap().unwrap();

        let after = getL2OutputAfterCall {
            number: U256::from(number - 3),
        };
        let output = read(&devnet, L2_OUTPUT_ORACLE, after).await;
        assert_eq!(output.outputRoot, claimed);
        assert_eq!(u64::try_from(output.l2BlockNumber).unwrap(), number);
        let outputs = read(&devnet, L2_OUTPUT_ORACLE, nextOutputIndexCall {}).await;
        assert_eq!(outputs, U256::from(index + 1));

        let games = read(&devnet, DISPUTE_GAME_FACTORY, gameCountCall {}).await;
        assert_eq!(games, U256::from(index + 1));
        let at = gameAtIndexCall {
            index: U256::from(index),
        };
        let game = read(&devnet, DISPUTE_GAME_FACTORY, at).await;
        assert_eq!(game.gameType, 0);
        let claim = read(&devnet, game.proxy, rootClaimCall {}).await;
        assert_eq!(claim, claimed);
        let of = read(&devnet, game.proxy, l2BlockNumberCall {}).await;
        assert_eq!(of, U256::from(number));
        let extra = read(&devnet, game.proxy, extraDataCall {}).await;
        assert_eq!(extra[..], B256::from(U256::from(number))[..]);
        assert_eq!(read(&devnet, game.proxy, statusCall {}).await, 0);
        let transact = |input: Vec<u8>| {
            let account = &DEV_ACCOUNTS[3];
            let value = U256::ZERO;
            (devnet.l1()).transact(account, game.proxy, value, input.into())
        };
        // Whoever is countered loses, and who is not wins when the clock has run out.
        if lie.is_some() {
            transact(counterCall {}.abi_encode()).unwrap();
        } else {
            devnet.l1().increase_time(302_400);
        }
        transact(resolveCall {}.abi_encode()).unwrap();
        let status = read(&devnet, game.proxy, statusCall {}).await;
        assert_eq!(status, if lie.is_some() { 1 } else { 2 });
    }
    let latest = read(&devnet, L2_OUTPUT_ORACLE, latestBlockNumberCall {}).await;
    assert_eq!(latest, U256::from(2 * interval));
}

#[tokio::test]
async fn safe_blocks_are_proposed_on_their_own() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..48 {
        devnet.step().unwrap();
    }
    // Blocks 12, 24 and 36: what is safe with block 48 is proposed in a later L1 block.
    let latest = read(&devnet, L2_OUTPUT_ORACLE, latestBlockNumberCall {}).await;
    assert_eq!(latest, U256::from(36));
    let games = read(&devnet, DISPUTE_GAME_FACTORY, gameCountCall {}).await;
    assert_eq!(games, U256::from(3));
}
