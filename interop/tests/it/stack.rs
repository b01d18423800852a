//! What both releases are put together from.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue, sol};
use mach_contracts_bindings::{
    Artifact, Submitter, World,
    abi::{IMachServiceManager, StrategyParams},
};

use crate::{
    code,
    l1::{L1, account},
};

pub(crate) const ROLLUP: u64 = 901;
pub(crate) const TOKEN: u64 = 1_000_000_000_000_000_000;
/// Least stake in quorum 0.
pub(crate) const MINIMUM: u64 = TOKEN;
/// Most members of quorum 0.
pub(crate) const ROOM: u32 = 4;

/// What counts of an operator's deposit in quorum 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weighs {
    /// All of it.
    Delegated,
    /// What the AVS may slash, which operators let it do with a half.
    Slashable,
}

/// EigenLayer with an AVS on it. Account 0 owns everything.
pub(crate) struct Stack {
    pub(crate) l1: L1,
    pub(crate) world: World,
    pub(crate) weighs: Weighs,
    pub(crate) first_block: u64,
    pub(crate) delegation_manager: Address,
    pub(crate) strategy: Address,
    pub(crate) token: Address,
    pub(crate) coordinator: Address,
    pub(crate) retriever: Address,
    pub(crate) service_manager: Address,
    /// By which EigenLayer knows the AVS.
    pub(crate) avs: Address,
}

sol! {
    interface IProxyAdmin {
        function upgradeAndCall(address proxy, address implementation, bytes data) external payable;
        function upgrade(address proxy, address implementation) external;
    }

    interface IToken {
        function mint(address account, uint256 amount) external;
    }

    interface IStrategyBase {
        function initialize(address underlyingToken) external;
    }
}

/// Puts contracts on the chain, from account 0.
pub(crate) struct Deployer {
    pub(crate) submitter: Submitter,
    admin: Address,
    empty: Address,
}

impl Deployer {
    pub(crate) async fn new(l1: &L1) -> Self {
        let submitter = l1.submitter(0).await;
        let mut this = Self {
            submitter,
            admin: Address::ZERO,
            empty: Address::ZERO,
        };
        this.admin = this.create(code::slashing("proxy_admin"), vec![]).await;
        this.empty = this.create(code::slashing("empty_contract"), vec![]).await;
        this
    }

    pub(crate) const fn owner(&self) -> Address {
        self.submitter.sender()
    }

    pub(crate) async fn create(&self, code: Bytes, arguments: Vec<u8>) -> Address {
        let code = [code.as_ref(), &arguments].concat();
        self.submitter.deploy(code.into()).await.unwrap().0
    }

    /// A proxy with nothing behind it yet, so that contracts can know each other's addresses.
    pub(crate) async fn proxy(&self) -> Address {
        let arguments = (self.empty, self.admin, Bytes::new()).abi_encode_params();
        let code = code::slashing("transparent_upgradeable_proxy");
        self.create(code, arguments).await
    }

    /// Puts a contract behind a proxy.
    pub(crate) async fn place(
        &self,
        proxy: Address,
        code: Bytes,
        arguments: Vec<u8>,
        initialization: Option<Vec<u8>>,
    ) {
        let implementation = self.create(code, arguments).await;
        match initialization {
            Some(data) => {
                let call = IProxyAdmin::upgradeAndCallCall {
                    proxy,
                    implementation,
                    data: data.into(),
                };
                self.send(self.admin, &call).await;
            }
            None => {
                let call = IProxyAdmin::upgradeCall {
                    proxy,
                    implementation,
                };
                self.send(self.admin, &call).await;
            }
        }
    }

    pub(crate) async fn send(&self, to: Address, call: &impl SolCall) {
        self.submitter.call(to, call).await.unwrap();
    }

    pub(crate) async fn pausers(&self) -> Address {
        let arguments = (vec![self.owner()], self.owner()).abi_encode_params();
        self.create(code::slashing("pauser_registry"), arguments)
            .await
    }

    /// A token, and a strategy that holds it.
    pub(crate) async fn strategy(&self, manager: Address, pausers: Address) -> (Address, Address) {
        let arguments = ("Mock".to_owned(), "MCK".to_owned()).abi_encode_params();
        let token = self.create(code::m2("sdk/mock_erc20"), arguments).await;
        let strategy = self.proxy().await;
        let initialization = IStrategyBase::initializeCall {
            underlyingToken: token,
        };
        self.place(
            strategy,
            code::slashing("strategy_base"),
            (manager, pausers, "v1.3.1".to_owned()).abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
        (token, strategy)
    }

    /// Our service manager, on registries that are in place. Account 0 has all roles in it.
    pub(crate) async fn service_manager(
        &self,
        proxy: Address,
        directory: Address,
        coordinator: Address,
        stake_registry: Address,
        pausers: Address,
    ) {
        let initialization = IMachServiceManager::initializeCall {
            pauserRegistry: pausers,
            initialPausedStatus: U256::ZERO,
            initialOwner: self.owner(),
            alertConfirmer: self.owner(),
            whitelister: self.owner(),
            rollupChainIDs: vec![U256::from(ROLLUP)],
        };
        self.place(
            proxy,
            Artifact::MachServiceManager.bytecode(),
            (directory, coordinator, stake_registry).abi_encode_params(),
            Some(initialization.abi_encode()),
        )
        .await;
        let operators = (1..=5).map(account).collect();
        let call = IMachServiceManager::allowOperatorsCall { operators };
        self.send(proxy, &call).await;
    }
}

/// A quorum weighs the strategy's shares as they are.
pub(crate) fn weights(strategy: Address) -> Vec<StrategyParams> {
    vec![StrategyParams {
        strategy,
        multiplier: alloy_primitives::aliases::U96::from(TOKEN),
    }]
}
