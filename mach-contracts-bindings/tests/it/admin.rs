//! Commands to a service manager.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use alloy_sol_types::SolCall;
use mach_contracts_bindings::{
    Admin, AdminCommand, AdminError, Generation, Role, abi::IMachServiceManager as I,
};
use mach_core::Threshold;
use mach_devnet::DEV_ACCOUNTS;

use crate::clients::{Network, ROLLUP, quorums, submitter};

const FIRST: Address = Address::repeat_byte(0x31);
const SECOND: Address = Address::repeat_byte(0x32);

fn share(percent: u8) -> Threshold {
    Threshold::percent(percent).unwrap()
}

async fn read<C: SolCall>(network: &Network, call: &C) -> C::Return {
    let request = TransactionRequest::default()
        .to(network.contracts.service_manager)
        .input(TransactionInput::new(call.abi_encode().into()));
    let answer = network.l1.provider().call(request).await.unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

fn selectors(command: &AdminCommand, generation: Generation) -> Vec<[u8; 4]> {
    let actions = command.actions(FIRST, generation).unwrap();
    actions
        .iter()
        .map(|action| action.calldata[..4].try_into().unwrap())
        .collect()
}

/// Selectors of the deployed contracts.
#[test]
fn each_generation_is_called_with_its_own_functions() {
    let allow = AdminCommand::AllowOperators(vec![FIRST, SECOND]);
    let disallow = AdminCommand::DisallowOperators(vec![FIRST, SECOND]);
    let remove = AdminCommand::RemoveAlert {
        rollup: 10,
        message_hash: B256::ZERO,
    };
    let rollup = AdminCommand::SetRollup {
        rollup: 10,
        enabled: true,
    };
    for generation in [Generation::V1_0, Generation::V1_1, Generation::V1_2] {
        assert_eq!(selectors(&allow, generation), [hex!("f8e86ece"); 2]);
        assert_eq!(selectors(&disallow, generation), [hex!("5da93d7e"); 2]);
        assert_eq!(selectors(&remove, generation), [hex!("d8ff953d")]);
    }
    assert_eq!(selectors(&allow, Generation::V1_5), [hex!("f8e86ece"); 2]);
    assert_eq!(selectors(&remove, Generation::V1_5), [hex!("edaa410e")]);
    assert_eq!(selectors(&rollup, Generation::V1_2), [hex!("159214cc")]);
    for generation in [Generation::V2, Generation::V3] {
        assert_eq!(selectors(&allow, generation), [hex!("432de9c8")]);
        assert_eq!(selectors(&disallow, generation), [hex!("f90e4707")]);
        assert_eq!(selectors(&remove, generation), [hex!("edaa410e")]);
        assert_eq!(selectors(&rollup, generation), [hex!("3deebb69")]);
        let others = [
            (AdminCommand::EnableAllowlist, hex!("c6a2aac8")),
            (AdminCommand::DisableAllowlist, hex!("cf8e629a")),
            (AdminCommand::SetConfirmer(FIRST), hex!("2f640a09")),
            (AdminCommand::SetWhitelister(FIRST), hex!("f98f5b92")),
            (AdminCommand::SetThreshold(share(70)), hex!("429d5bf0")),
            (AdminCommand::Pause, hex!("595c6a67")),
            (AdminCommand::Unpause, hex!("fabc1cbc")),
        ];
        for (command, selector) in others {
            assert_eq!(selectors(&command, generation), [selector]);
        }
    }
    // The words are those that `cast calldata` gives.
    let action = &allow.actions(SECOND, Generation::V2).unwrap()[0];
    assert_eq!(action.to, SECOND);
    assert_eq!(action.function, "allowOperators(address[])");
    assert_eq!(
        action.calldata,
        Bytes::from(hex!(
            "432de9c8"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000002"
            "0000000000000000000000003131313131313131313131313131313131313131"
            "0000000000000000000000003232323232323232323232323232323232323232"
        ))
    );
    assert_eq!(
        action.summary,
        format!("allow {FIRST}, {SECOND} to register")
    );
}

#[test]
fn what_a_generation_cannot_do_is_said_before_anything_is_asked() {
    let rollup = |enabled| AdminCommand::SetRollup {
        rollup: 10,
        enabled,
    };
    let cases = [
        (AdminCommand::SetWhitelister(FIRST), Generation::V1_0),
        (rollup(true), Generation::V1_1),
        (rollup(false), Generation::V1_2),
        (AdminCommand::SetMaxReferenceBlockAge(9), Generation::V2),
    ];
    for (command, generation) in cases {
        let error = command.actions(FIRST, generation).unwrap_err();
        assert!(
            matches!(error, AdminError::Unsupported { generation: named, .. } if named == generation),
            "{error}"
        );
    }
    let nobody = AdminCommand::AllowOperators(vec![]);
    let error = nobody.actions(FIRST, Generation::V2).unwrap_err();
    assert_eq!(error.to_string(), "no operators are named");
    assert_eq!(nobody.role(Generation::V1_0), Role::Owner);
    assert_eq!(nobody.role(Generation::V1_1), Role::Whitelister);
}

#[tokio::test]
async fn a_command_is_sent_by_who_may_give_it() {
    let network = Network::start().await;
    let manager = network.contracts.service_manager;
    let admin = Admin::connect(network.l1.provider(), manager)
        .await
        .unwrap();
    let owner = submitter(&network.l1, 0).await;
    let give = async |command: AdminCommand| {
        for action in admin.prepare(&command, owner.sender()).await.unwrap() {
            owner.send_to(action.to, action.calldata).await.unwrap();
        }
    };

    give(AdminCommand::AllowOperators(vec![FIRST, SECOND])).await;
    assert!(read(&network, &I::allowlistCall { operator: SECOND }).await);
    give(AdminCommand::DisallowOperators(vec![SECOND])).await;
    assert!(!read(&network, &I::allowlistCall { operator: SECOND }).await);
    give(AdminCommand::DisableAllowlist).await;
    assert!(!read(&network, &I::allowlistEnabledCall {}).await);
    give(AdminCommand::EnableAllowlist).await;
    assert!(read(&network, &I::allowlistEnabledCall {}).await);
    give(AdminCommand::SetConfirmer(FIRST)).await;
    assert_eq!(read(&network, &I::alertConfirmerCall {}).await, FIRST);
    give(AdminCommand::SetRollup {
        rollup: 10,
        enabled: true,
    })
    .await;
    assert!(
        read(
            &network,
            &I::rollupChainIDsCall {
                rollupChainId: U256::from(10)
            }
        )
        .await
    );
    give(AdminCommand::SetThreshold(share(80))).await;
    assert_eq!(
        read(&network, &I::quorumThresholdPercentageCall {}).await,
        80
    );
    give(AdminCommand::SetStatementQuorums {
        quorums: quorums(&[0, 1]),
        thresholds: vec![share(80), share(90)],
    })
    .await;
    let terms = network.service_manager().await.terms().await.unwrap();
    assert_eq!(terms.thresholds, [share(80), share(90)]);
    give(AdminCommand::SetMaxReferenceBlockAge(50)).await;
    assert_eq!(read(&network, &I::maxReferenceBlockAgeCall {}).await, 50);
    give(AdminCommand::Pause).await;
    assert_eq!(read(&network, &I::paused_0Call {}).await, U256::MAX);
    give(AdminCommand::Unpause).await;
    assert_eq!(read(&network, &I::paused_0Call {}).await, U256::ZERO);
    give(AdminCommand::SetWhitelister(FIRST)).await;
    assert_eq!(read(&network, &I::whitelisterCall {}).await, FIRST);

    // Nobody else may, and what would be refused is not sent.
    let stranger = DEV_ACCOUNTS[3].address;
    let deny = async |command: AdminCommand, sender| {
        let error = admin.prepare(&command, sender).await.unwrap_err();
        assert!(!error.is_transient());
        error.to_string()
    };
    let chief = owner.sender();
    assert_eq!(
        deny(AdminCommand::AllowOperators(vec![SECOND]), chief).await,
        format!("{chief} is not the service manager's whitelister, which is {FIRST}")
    );
    assert_eq!(
        deny(AdminCommand::SetConfirmer(SECOND), stranger).await,
        format!("{stranger} is not the service manager's owner, which is {chief}")
    );
    assert_eq!(
        deny(AdminCommand::Pause, stranger).await,
        format!("{stranger} is not the service manager's pauser")
    );
    assert_eq!(
        deny(AdminCommand::Unpause, stranger).await,
        format!("{stranger} is not the service manager's unpauser, which is {chief}")
    );
    let again = AdminCommand::EnableAllowlist;
    let error = admin.prepare(&again, chief).await.unwrap_err();
    let AdminError::Refused { revert, .. } = error else {
        panic!("{error}")
    };
    assert!(revert.to_string().contains("AlreadyEnabled"), "{revert}");
    let unknown = AdminCommand::RemoveAlert {
        rollup: ROLLUP,
        message_hash: B256::repeat_byte(9),
    };
    let error = admin.prepare(&unknown, chief).await.unwrap_err();
    assert!(matches!(error, AdminError::NoSuchAlert { .. }), "{error}");
}
