//! EigenLayer's M2 release.

use alloy_primitives::{Address, U256, aliases::U96};
use alloy_sol_types::{SolCall, SolValue, sol};
use mach_contracts_bindings::World;

use crate::{
    code,
    l1::L1,
    stack::{Deployer, MINIMUM, ROOM, Stack, Weighs, weights},
};

sol! {
    struct OperatorSetParam {
        uint32 maxOperatorCount;
        uint16 kickBIPsOfOperatorStake;
        uint16 kickBIPsOfTotalStake;
    }

    struct StrategyParams {
        address strategy;
        uint96 multiplier;
    }

    interface IDelegation {
        function initialize(address initialOwner, address pauserRegistry, uint256 initialPausedStatus, uint256 minWithdrawalDelayBlocks, address[] strategies, uint256[] withdrawalDelayBlocks) external;
    }

    interface IStrategies {
        function initialize(address initialOwner, address initialStrategyWhitelister, address pauserRegistry, uint256 initialPausedStatus) external;
        function addStrategiesToDepositWhitelist(address[] strategies, bool[] thirdPartyTransfersForbidden) external;
    }

    interface IDirectory {
        function initialize(address initialOwner, address pauserRegistry, uint256 initialPausedStatus) external;
    }

    interface ICoordinator {
        function initialize(address initialOwner, address churnApprover, address ejector, address pauserRegistry, uint256 initialPausedStatus, OperatorSetParam[] operatorSetParams, uint96[] minimumStakes, StrategyParams[][] strategyParams) external;
    }
}

pub(crate) async fn deploy(l1: L1) -> Stack {
    let first_block = u64::from(l1.head().await);
    let deployer = Deployer::new(&l1).await;
    let owner = deployer.owner();
    let pausers = deployer.pausers().await;

    let delegation_manager = deployer.proxy().await;
    let strategy_manager = deployer.proxy().await;
    let slasher = deployer.proxy().await;
    let pods = deployer.proxy().await;
    let directory = deployer.proxy().await;
    let initialization = IDelegation::initializeCall {
        initialOwner: owner,
        pauserRegistry: pausers,
        initialPausedStatus: U256::ZERO,
        minWithdrawalDelayBlocks: U256::from(50_400),
        strategies: vec![],
        withdrawalDelayBlocks: vec![],
    };
    deployer
        .place(
            delegation_manager,
            code::m2("core/delegation_manager"),
            (strategy_manager, slasher, pods).abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
    let initialization = IStrategies::initializeCall {
        initialOwner: owner,
        initialStrategyWhitelister: owner,
        pauserRegistry: pausers,
        initialPausedStatus: U256::ZERO,
    };
    deployer
        .place(
            strategy_manager,
            code::m2("core/strategy_manager"),
            (delegation_manager, pods, slasher).abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
    deployer
        .place(
            slasher,
            code::m2("core/slasher"),
            (strategy_manager, delegation_manager).abi_encode_params(),
            None,
        )
        .await;
    // Asked for an operator's shares of beacon chain ether, of which there are none.
    deployer
        .place(
            pods,
            code::m2("core/eigen_pod_manager"),
            (
                Address::ZERO,
                Address::ZERO,
                strategy_manager,
                slasher,
                delegation_manager,
            )
                .abi_encode_params(),
            None,
        )
        .await;
    let initialization = IDirectory::initializeCall {
        initialOwner: owner,
        pauserRegistry: pausers,
        initialPausedStatus: U256::ZERO,
    };
    deployer
        .place(
            directory,
            code::m2("core/avs_directory"),
            delegation_manager.abi_encode(),
            Some(initialization.abi_encode()),
        )
        .await;
    let (token, strategy) = deployer.strategy(strategy_manager, pausers).await;
    let call = IStrategies::addStrategiesToDepositWhitelistCall {
        strategies: vec![strategy],
        thirdPartyTransfersForbidden: vec![false],
    };
    deployer.send(strategy_manager, &call).await;

    let coordinator = deployer.proxy().await;
    let stakes = deployer.proxy().await;
    let keys = deployer.proxy().await;
    let indices = deployer.proxy().await;
    let sockets = deployer.proxy().await;
    let service_manager = deployer.proxy().await;
    for (proxy, code, arguments) in [
        (
            stakes,
            code::m2("middleware/stake_registry"),
            (coordinator, delegation_manager).abi_encode_params(),
        ),
        (
            keys,
            code::m2("middleware/bls_apk_registry"),
            coordinator.abi_encode(),
        ),
        (
            indices,
            code::m2("middleware/index_registry"),
            coordinator.abi_encode(),
        ),
        (
            sockets,
            code::slashing("socket_registry"),
            coordinator.abi_encode(),
        ),
    ] {
        deployer.place(proxy, code, arguments, None).await;
    }
    let weights = weights(strategy).into_iter().map(|weight| StrategyParams {
        strategy: weight.strategy,
        multiplier: weight.multiplier,
    });
    let initialization = ICoordinator::initializeCall {
        initialOwner: owner,
        churnApprover: owner,
        ejector: owner,
        pauserRegistry: pausers,
        initialPausedStatus: U256::ZERO,
        operatorSetParams: vec![OperatorSetParam {
            maxOperatorCount: ROOM,
            kickBIPsOfOperatorStake: 11_000,
            kickBIPsOfTotalStake: 5_000,
        }],
        minimumStakes: vec![U96::from(MINIMUM)],
        strategyParams: vec![weights.collect()],
    };
    deployer
        .place(
            coordinator,
            code::m2("middleware/registry_coordinator"),
            (service_manager, stakes, keys, indices, sockets).abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
    deployer
        .service_manager(service_manager, directory, coordinator, stakes, pausers)
        .await;
    let retriever = deployer
        .create(code::m2("middleware/operator_state_retriever"), vec![])
        .await;
    Stack {
        l1,
        world: World::M2,
        weighs: Weighs::Delegated,
        first_block,
        delegation_manager,
        strategy,
        token,
        coordinator,
        retriever,
        service_manager,
        avs: service_manager,
    }
}
