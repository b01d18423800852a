//! EigenLayer's slashing release.

use alloy_primitives::{Address, U256, aliases::U96};
use alloy_sol_types::{SolCall, SolValue, sol};
use mach_contracts_bindings::{World, abi::IAllocationManager};

use crate::{
    code,
    l1::L1,
    stack::{Deployer, MINIMUM, ROOM, Stack, Weighs, weights},
};

const VERSION: &str = "v1.3.1";
/// L1 blocks for which stake stays slashable.
pub(crate) const DEALLOCATION_DELAY: u32 = 20;
/// A half, in EigenLayer's units.
pub(crate) const HALF: u64 = 500_000_000_000_000_000;
/// L1 blocks for which it has to be, to count.
const LOOK_AHEAD: u32 = 10;

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

    interface ICore {
        function initialize(address initialOwner, uint256 initialPausedStatus) external;
    }

    interface IStrategies {
        function initialize(address initialOwner, address initialStrategyWhitelister, uint256 initialPausedStatus) external;
        function addStrategiesToDepositWhitelist(address[] strategies) external;
    }

    interface IPermissions {
        function setAppointee(address account, address appointee, address target, bytes4 selector) external;
    }

    interface IAllocations {
        function updateAVSMetadataURI(address avs, string metadataURI) external;
        function setAVSRegistrar(address avs, address registrar) external;
        function createOperatorSets(address avs, CreateSetParams[] params) external;
        function slashOperator(address avs, SlashingParams params) external;
    }

    struct SlashingParams {
        address operator;
        uint32 operatorSetId;
        address[] strategies;
        uint256[] wadsToSlash;
        string description;
    }

    struct CreateSetParams {
        uint32 operatorSetId;
        address[] strategies;
    }

    interface ICoordinator {
        function initialize(address initialOwner, address churnApprover, address ejector, uint256 initialPausedStatus, address avs) external;
        function createTotalDelegatedStakeQuorum(OperatorSetParam operatorSetParams, uint96 minimumStake, StrategyParams[] strategyParams) external;
        function createSlashableStakeQuorum(OperatorSetParam operatorSetParams, uint96 minimumStake, StrategyParams[] strategyParams, uint32 lookAheadPeriod) external;
        function updateOperators(address[] operators) external;
    }
}

pub(crate) async fn deploy(l1: L1, weighs: Weighs) -> Stack {
    let first_block = u64::from(l1.head().await);
    let deployer = Deployer::new(&l1).await;
    let owner = deployer.owner();
    let pausers = deployer.pausers().await;
    let version = VERSION.to_owned();

    let delegation_manager = deployer.proxy().await;
    let strategy_manager = deployer.proxy().await;
    let allocation_manager = deployer.proxy().await;
    let permissions = deployer.proxy().await;
    let pods = deployer.proxy().await;
    let directory = deployer.proxy().await;
    let initialization = || {
        let call = ICore::initializeCall {
            initialOwner: owner,
            initialPausedStatus: U256::ZERO,
        };
        Some(call.abi_encode())
    };
    deployer
        .place(
            delegation_manager,
            code::slashing("delegation_manager"),
            (
                strategy_manager,
                pods,
                allocation_manager,
                pausers,
                permissions,
                50_u32,
                version.clone(),
            )
                .abi_encode_params(),
            initialization(),
        )
        .await;
    let strategies = IStrategies::initializeCall {
        initialOwner: owner,
        initialStrategyWhitelister: owner,
        initialPausedStatus: U256::ZERO,
    };
    deployer
        .place(
            strategy_manager,
            code::slashing("strategy_manager"),
            (delegation_manager, pausers, version.clone()).abi_encode_params(),
            Some(strategies.abi_encode()),
        )
        .await;
    // A new allocation delay comes into force after one block.
    deployer
        .place(
            allocation_manager,
            code::slashing("allocation_manager"),
            (
                delegation_manager,
                pausers,
                permissions,
                DEALLOCATION_DELAY,
                1_u32,
                version.clone(),
            )
                .abi_encode_params(),
            initialization(),
        )
        .await;
    deployer
        .place(
            permissions,
            code::slashing("permission_controller"),
            (version.clone(),).abi_encode_params(),
            None,
        )
        .await;
    deployer
        .place(
            pods,
            code::slashing("eigen_pod_manager"),
            (
                Address::ZERO,
                Address::ZERO,
                delegation_manager,
                pausers,
                version.clone(),
            )
                .abi_encode_params(),
            None,
        )
        .await;
    deployer
        .place(
            directory,
            code::slashing("avs_directory"),
            (delegation_manager, pausers, version.clone()).abi_encode_params(),
            initialization(),
        )
        .await;
    let (token, strategy) = deployer.strategy(strategy_manager, pausers).await;
    let call = IStrategies::addStrategiesToDepositWhitelistCall {
        strategies: vec![strategy],
    };
    deployer.send(strategy_manager, &call).await;

    let coordinator = deployer.proxy().await;
    let stakes = deployer.proxy().await;
    let keys = deployer.proxy().await;
    let indices = deployer.proxy().await;
    let sockets = deployer.proxy().await;
    let service_manager = deployer.proxy().await;
    for (proxy, name, arguments) in [
        (
            stakes,
            "stake_registry",
            (
                coordinator,
                delegation_manager,
                directory,
                allocation_manager,
            )
                .abi_encode_params(),
        ),
        (keys, "bls_apk_registry", coordinator.abi_encode()),
        (indices, "index_registry", coordinator.abi_encode()),
        (sockets, "socket_registry", coordinator.abi_encode()),
    ] {
        deployer
            .place(proxy, code::slashing(name), arguments, None)
            .await;
    }
    let bitmaps = deployer
        .create(code::slashing("quorum_bitmap_history_lib"), vec![])
        .await;
    let signatures = deployer
        .create(code::slashing("signature_checker_lib"), vec![])
        .await;
    // The AVS is an account: our service manager only checks signatures, and manages no operator sets.
    let initialization = ICoordinator::initializeCall {
        initialOwner: owner,
        churnApprover: owner,
        ejector: owner,
        initialPausedStatus: U256::ZERO,
        avs: owner,
    };
    deployer
        .place(
            coordinator,
            code::slashing_coordinator(bitmaps, signatures),
            (
                stakes,
                keys,
                indices,
                sockets,
                allocation_manager,
                pausers,
                version,
            )
                .abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
    let call = IAllocations::updateAVSMetadataURICall {
        avs: owner,
        metadataURI: "https://avs.example/metadata.json".to_owned(),
    };
    deployer.send(allocation_manager, &call).await;
    let call = IAllocations::setAVSRegistrarCall {
        avs: owner,
        registrar: coordinator,
    };
    deployer.send(allocation_manager, &call).await;
    // The coordinator makes quorums, and removes whoever loses its place to another operator.
    for selector in [
        IAllocations::createOperatorSetsCall::SELECTOR,
        IAllocationManager::deregisterFromOperatorSetsCall::SELECTOR,
    ] {
        let call = IPermissions::setAppointeeCall {
            account: owner,
            appointee: coordinator,
            target: allocation_manager,
            selector: selector.into(),
        };
        deployer.send(permissions, &call).await;
    }
    let weights = weights(strategy).into_iter().map(|weight| StrategyParams {
        strategy: weight.strategy,
        multiplier: weight.multiplier,
    });
    let params = OperatorSetParam {
        maxOperatorCount: ROOM,
        kickBIPsOfOperatorStake: 11_000,
        kickBIPsOfTotalStake: 5_000,
    };
    match weighs {
        Weighs::Delegated => {
            let call = ICoordinator::createTotalDelegatedStakeQuorumCall {
                operatorSetParams: params,
                minimumStake: U96::from(MINIMUM),
                strategyParams: weights.collect(),
            };
            deployer.send(coordinator, &call).await;
        }
        Weighs::Slashable => {
            let call = ICoordinator::createSlashableStakeQuorumCall {
                operatorSetParams: params,
                minimumStake: U96::from(MINIMUM),
                strategyParams: weights.collect(),
                lookAheadPeriod: LOOK_AHEAD,
            };
            deployer.send(coordinator, &call).await;
        }
    }
    deployer
        .service_manager(service_manager, directory, coordinator, stakes, pausers)
        .await;
    let retriever = deployer
        .create(code::slashing("operator_state_retriever"), vec![])
        .await;
    Stack {
        l1,
        world: World::OperatorSets,
        weighs,
        first_block,
        delegation_manager,
        strategy,
        token,
        coordinator,
        retriever,
        service_manager,
        avs: owner,
    }
}

/// The AVS slashes half of what `operator` let it slash, and the quorum takes note of it.
pub(crate) async fn slash(stack: &Stack, allocation_manager: Address, operator: Address) {
    let submitter = stack.l1.submitter(0).await;
    let call = IAllocations::slashOperatorCall {
        avs: stack.avs,
        params: SlashingParams {
            operator,
            operatorSetId: 0,
            strategies: vec![stack.strategy],
            wadsToSlash: vec![U256::from(HALF)],
            description: "signed an alert that is false".to_owned(),
        },
    };
    submitter.call(allocation_manager, &call).await.unwrap();
    let call = ICoordinator::updateOperatorsCall {
        operators: vec![operator],
    };
    submitter.call(stack.coordinator, &call).await.unwrap();
}
