//! The rollup's blocks, contracts and fees.

use alloy_network::{AnyNetwork, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{Filter, TransactionRequest};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use mach_core::Verdict;
use mach_devnet::{
    BASE_FEE_VAULT, DEV_ACCOUNTS, Devnet, DevnetConfig, FeeConfig, GENESIS_BALANCE, L1_BLOCK,
    L1_FEE_VAULT, MESSAGE_PASSER, OPERATOR_FEE_VAULT, OptimismFork, SEQUENCER_FEE_VAULT, STORE,
    UserDeposit,
};
use mach_verify::verify_output_proposal;

use super::verify;

const FORKS: [OptimismFork; 2] = [OptimismFork::Isthmus, OptimismFork::Jovian];

fn devnet(l2_fork: OptimismFork) -> Devnet {
    DevnetConfig {
        l2_fork,
        ..Default::default()
    }
    .build()
    .unwrap()
}

#[tokio::test]
async fn every_block_verifies_from_its_witness() {
    for fork in FORKS {
        let devnet = devnet(fork);
        let to = Address::repeat_byte(0x77);
        devnet
            .sequencer()
            .deposit(UserDeposit::ether(to, 5))
            .unwrap();
        for _ in 0..12 {
            devnet.step().unwrap();
        }
        devnet.sequencer().produce_quiet().unwrap();
        let spec = devnet.l2().role().spec();
        for number in 1..=devnet.l2().head() {
            let verdict = verify(devnet.l2(), spec, number).await.unwrap();
            let Verdict::Valid(summary) = verdict else {
                panic!("block {number}: {verdict:?}")
            };
            let claimed = devnet.l2().claimed_output_root(number).unwrap().unwrap();
            assert_eq!(verify_output_proposal(&summary, claimed), None);
        }
        assert_eq!(devnet.l2().balance(to).unwrap(), U256::from(5));
        // L1 has followed the rollup's clock.
        assert_eq!(devnet.l1().head(), 2);
    }
}

/// Views of the genuine `L1Block`, from ethereum-optimism/optimism.
mod l1_block {
    alloy_sol_types::sol! {
        function number() external view returns (uint64);
        function timestamp() external view returns (uint64);
        function basefee() external view returns (uint256);
        function blobBaseFee() external view returns (uint256);
        function hash() external view returns (bytes32);
        function sequenceNumber() external view returns (uint64);
        function baseFeeScalar() external view returns (uint32);
        function blobBaseFeeScalar() external view returns (uint32);
        function operatorFeeScalar() external view returns (uint32);
        function operatorFeeConstant() external view returns (uint64);
        function daFootprintGasScalar() external view returns (uint16);
    }
}

#[tokio::test]
async fn the_l1_attributes_are_in_the_slots_that_the_fees_are_read_from() {
    use l1_block as view;
    let fees = FeeConfig {
        base_fee_scalar: 0x0102_0304,
        blob_base_fee_scalar: 0x0506_0708,
        operator_fee_scalar: 0x090a_0b0c,
        operator_fee_constant: 0x0d0e_0f10_1112_1314,
        da_footprint_gas_scalar: 0x1516,
        ..Default::default()
    };
    for fork in FORKS {
        let config = DevnetConfig {
            l2_fork: fork,
            fees,
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        devnet.l1().mine().unwrap();
        for _ in 0..7 {
            devnet.sequencer().produce_quiet().unwrap();
        }
        // The sixth block is the first at or after the time of L1 block 1.
        let l1 = devnet.l1().l2_block(1).unwrap();
        let provider = devnet.l2().provider::<AnyNetwork>();
        let call = async |input: Vec<u8>| {
            let request = TransactionRequest::default()
                .with_to(L1_BLOCK)
                .with_input(input);
            U256::from_be_slice(&provider.call(request.into()).await.unwrap())
        };
        let base_fee = U256::from(l1.header.base_fee_per_gas.unwrap());
        assert_eq!(call(view::numberCall {}.abi_encode()).await, U256::from(1));
        assert_eq!(
            call(view::timestampCall {}.abi_encode()).await,
            U256::from(l1.header.timestamp)
        );
        assert_eq!(call(view::basefeeCall {}.abi_encode()).await, base_fee);
        assert_eq!(
            call(view::blobBaseFeeCall {}.abi_encode()).await,
            U256::from(1)
        );
        assert_eq!(
            call(view::hashCall {}.abi_encode()).await,
            U256::from_be_bytes(l1.hash().0)
        );
        assert_eq!(
            call(view::sequenceNumberCall {}.abi_encode()).await,
            U256::from(1)
        );
        let numbers = [
            (
                view::baseFeeScalarCall {}.abi_encode(),
                u64::from(fees.base_fee_scalar),
            ),
            (
                view::blobBaseFeeScalarCall {}.abi_encode(),
                fees.blob_base_fee_scalar.into(),
            ),
            (
                view::operatorFeeScalarCall {}.abi_encode(),
                fees.operator_fee_scalar.into(),
            ),
            (
                view::operatorFeeConstantCall {}.abi_encode(),
                fees.operator_fee_constant,
            ),
            (
                view::daFootprintGasScalarCall {}.abi_encode(),
                if fork == OptimismFork::Jovian {
                    0x1516
                } else {
                    0
                },
            ),
        ];
        for (input, expected) in numbers {
            assert_eq!(call(input).await, U256::from(expected));
        }
        // The layout of `L1Block`'s storage: slot 3 and slot 8, packed.
        let slot = async |slot: u64| {
            B256::from(
                provider
                    .get_storage_at(L1_BLOCK, U256::from(slot))
                    .await
                    .unwrap(),
            )
        };
        let third = slot(3).await;
        assert_eq!(third[16..], hex("01020304 05060708 0000000000000001")[..]);
        let eighth = slot(8).await;
        let footprint = if fork == OptimismFork::Jovian {
            "1516"
        } else {
            "0000"
        };
        let expected = hex(&format!("{footprint} 090a0b0c 0d0e0f1011121314"));
        assert_eq!(eighth[18..], expected[..]);
    }
}

fn hex(text: &str) -> Bytes {
    text.replace(' ', "").parse().unwrap()
}

#[tokio::test]
async fn only_the_depositor_sets_the_l1_attributes() {
    let devnet = devnet(OptimismFork::Jovian);
    devnet.sequencer().produce_quiet().unwrap();
    let provider = devnet.l2().provider::<AnyNetwork>();
    let input = [&keccak256("setL1BlockValuesJovian()")[..4], &[1; 174]].concat();
    let request = TransactionRequest::default()
        .with_to(L1_BLOCK)
        .with_input(input);
    let depositor = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");
    let allowed = request.clone().with_from(depositor);
    assert!(provider.call(allowed.into()).await.is_ok());
    let error = provider.call(request.into()).await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().code, 3);
}

sol! {
    #![sol(extra_derives(Debug, PartialEq))]
    function initiateWithdrawal(address target, uint256 gasLimit, bytes data) external payable;
    function sentMessages(bytes32 hash) external view returns (bool);
    function messageNonce() external view returns (uint256);
    event MessagePassed(
        uint256 indexed nonce, address indexed sender, address indexed target, uint256 value,
        uint256 gasLimit, bytes data, bytes32 withdrawalHash
    );
    event Stored(uint256 indexed key, uint256 value);
}

#[tokio::test]
async fn a_withdrawal_is_recorded_as_the_genuine_contract_does() {
    let devnet = devnet(OptimismFork::Jovian);
    let provider = devnet.l2().signing_provider(&DEV_ACCOUNTS[2]);
    let root = |number| {
        devnet
            .l2()
            .l2_block(number)
            .unwrap()
            .header
            .withdrawals_root
            .unwrap()
    };
    let target = Address::repeat_byte(0x99);
    for (count, data) in [Bytes::new(), Bytes::from(vec![0xab; 45])]
        .into_iter()
        .enumerate()
    {
        let call = initiateWithdrawalCall {
            target,
            gasLimit: U256::from(123_456),
            data: data.clone(),
        };
        let request = TransactionRequest::default()
            .with_to(MESSAGE_PASSER)
            .with_input(call.abi_encode())
            .with_value(U256::from(77));
        let pending = provider.send_transaction(request).await.unwrap();
        let number = devnet.sequencer().produce_quiet().unwrap();
        let receipt = pending.get_receipt().await.unwrap();
        assert!(receipt.status());
        let event = MessagePassed::decode_log(&receipt.logs()[0].inner)
            .unwrap()
            .data;
        // `Hashing.hashWithdrawal`, with the nonce of version 1.
        let nonce = (U256::from(1) << 240) + U256::from(count);
        let sender = DEV_ACCOUNTS[2].address;
        let (value, gas) = (U256::from(77), U256::from(123_456));
        let encoded = (nonce, sender, target, value, gas, data.clone()).abi_encode_params();
        let hash = keccak256(encoded);
        let expected = MessagePassed {
            nonce,
            sender,
            target,
            value,
            gasLimit: gas,
            data,
            withdrawalHash: hash,
        };
        assert_eq!(event, expected);
        let view = async |input: Vec<u8>| {
            let request = TransactionRequest::default()
                .with_to(MESSAGE_PASSER)
                .with_input(input);
            U256::from_be_slice(&provider.call(request).await.unwrap())
        };
        assert_eq!(
            view(sentMessagesCall { hash }.abi_encode()).await,
            U256::from(1)
        );
        assert_eq!(
            view(sentMessagesCall { hash: B256::ZERO }.abi_encode()).await,
            U256::ZERO
        );
        assert_eq!(
            view(messageNonceCall {}.abi_encode()).await,
            nonce + U256::from(1)
        );
        let proof = provider.get_proof(MESSAGE_PASSER, vec![]).await.unwrap();
        assert_eq!(root(number), proof.storage_hash);
        assert_ne!(root(number), root(number - 1));
    }
}

#[tokio::test]
async fn fees_go_to_the_vaults_and_nothing_is_lost() {
    for fork in FORKS {
        let devnet = devnet(fork);
        devnet.sequencer().produce().unwrap();
        let vaults = [
            SEQUENCER_FEE_VAULT,
            BASE_FEE_VAULT,
            L1_FEE_VAULT,
            OPERATOR_FEE_VAULT,
        ];
        let balance = |address| devnet.l2().balance(address).unwrap();
        let collected: U256 = vaults.into_iter().map(balance).sum();
        for vault in vaults {
            assert!(balance(vault) > U256::ZERO, "{fork:?}: {vault} is empty");
        }
        // What the sender of the traffic lost besides what it gave away: 1 wei to the new account
        // of block 1, 1 wei to the first development account.
        let lost = GENESIS_BALANCE - balance(DEV_ACCOUNTS[9].address);
        assert_eq!(lost, collected + U256::from(2));
    }
}

#[tokio::test]
async fn receipts_tell_of_l1_fees_and_deposits() {
    let devnet = devnet(OptimismFork::Jovian);
    let to = Address::repeat_byte(0x55);
    let user = UserDeposit::ether(to, 9);
    devnet.sequencer().deposit(user.clone()).unwrap();
    // The sixth block is the first that may follow L1 block 1.
    for _ in 0..5 {
        devnet.sequencer().produce_quiet().unwrap();
    }
    devnet.sequencer().produce().unwrap();
    let provider = devnet.l2().provider::<AnyNetwork>();
    let receipts: Vec<serde_json::Value> = provider
        .raw_request("eth_getBlockReceipts".into(), ("latest",))
        .await
        .unwrap();
    assert_eq!(receipts[0]["type"], "0x7e");
    assert_eq!(receipts[0]["depositNonce"], "0x5");
    assert_eq!(receipts[0]["depositReceiptVersion"], "0x1");
    assert_eq!(receipts[0]["l1Fee"], "0x0");
    assert_eq!(receipts[1]["type"], "0x7e");
    assert_eq!(receipts[2]["type"], "0x2");
    assert_eq!(receipts[2]["daFootprintGasScalar"], "0x190");
    // The sum of what receipts say is what the vault of the L1 fees got.
    let fee = |receipt: &serde_json::Value| -> U256 {
        serde_json::from_value(receipt["l1Fee"].clone()).unwrap()
    };
    let sum: U256 = receipts.iter().map(fee).sum();
    assert_eq!(devnet.l2().balance(L1_FEE_VAULT).unwrap(), sum);

    let blocks: serde_json::Value = provider
        .raw_request("eth_getBlockByNumber".into(), ("latest", true))
        .await
        .unwrap();
    let shown = &blocks["transactions"][1];
    assert_eq!(shown["type"], "0x7e");
    assert_eq!(shown["mint"], "0x9");
    let from = user.from.address;
    assert_eq!(shown["from"], format!("{from}").to_lowercase());
}

#[tokio::test]
async fn traffic_writes_deletes_and_logs() {
    let devnet = devnet(OptimismFork::Jovian);
    for _ in 0..6 {
        devnet.sequencer().produce().unwrap();
    }
    let provider = devnet.l2().provider::<AnyNetwork>();
    let filter = Filter::new().address(STORE).from_block(0);
    let logs = provider.get_logs(&filter).await.unwrap();
    let stored: Vec<_> = logs
        .iter()
        .map(|log| Stored::decode_log(&log.inner).unwrap().data)
        .collect();
    // Two values in each block, and from the fourth on a deletion.
    assert_eq!(stored.len(), 6 * 2 + 3);
    let deleted = stored.iter().filter(|stored| stored.value.is_zero());
    assert_eq!(deleted.clone().count(), 3);
    for gone in deleted {
        assert_eq!(
            provider.get_storage_at(STORE, gone.key).await.unwrap(),
            U256::ZERO
        );
    }
    let last = stored.last().map(|stored| stored.key).unwrap();
    let kept = stored
        .iter()
        .rev()
        .find(|stored| stored.key != last && !stored.value.is_zero());
    let kept = kept.unwrap();
    assert_eq!(
        provider.get_storage_at(STORE, kept.key).await.unwrap(),
        kept.value
    );
}
