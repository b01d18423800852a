//! `MachServiceManagerRegistry`.

use alloy_sol_types::sol;

sol! {
    /// Which service manager watches which rollup.
    #[derive(Debug, PartialEq, Eq)]
    interface IMachServiceManagerRegistry {
        constructor(address owner);
        function registerServiceManager(uint256 rollupChainId, address serviceManager) external;
        function deregisterServiceManager(uint256 rollupChainId, address serviceManager) external;
        function replaceServiceManager(uint256 rollupChainId, address current, address next) external;
        function hasActiveAlerts(uint256 rollupChainId) external view returns (bool);
        function serviceManagers(uint256 rollupChainId) external view returns (address);
        function status(uint256 rollupChainId) external view returns (uint8);
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function renounceOwnership() external;

        event ServiceManagerRegistered(uint256 indexed rollupChainId, address serviceManager, address sender);
        event ServiceManagerDeregistered(uint256 indexed rollupChainId, address serviceManager, address sender);

        error ZeroAddress();
        error AlreadyAdded();
        error NotAdded();
        error NotAContract(address serviceManager);
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
    }
}
