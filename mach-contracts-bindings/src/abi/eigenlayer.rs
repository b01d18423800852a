//! EigenLayer's core, and what its coordinators have beyond the M2 reads.

use alloy_sol_types::sol;

sol! {
    /// Operator set `id` of an AVS; EigenLayer's quorum since slashing.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorSet {
        address avs;
        uint32 id;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorDetails {
        address earningsReceiver;
        address delegationApprover;
        uint32 stakerOptOutWindowBlocks;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct RegisterParams {
        address avs;
        uint32[] operatorSetIds;
        bytes data;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct DeregisterParams {
        address operator;
        address avs;
        uint32[] operatorSetIds;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct AllocateParams {
        OperatorSet operatorSet;
        address[] strategies;
        uint64[] newMagnitudes;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct StrategyParams {
        address strategy;
        uint96 multiplier;
    }

    /// What the slashing release added to the coordinators.
    #[derive(Debug, PartialEq, Eq)]
    interface ISlashingRegistryCoordinator {
        function avs() external view returns (address);
        function allocationManager() external view returns (address);
        function supportsAVS(address avs) external view returns (bool);
        function calculatePubkeyRegistrationMessageHash(address operator) external view returns (bytes32);
        function eip712Domain() external view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions);
        function m2QuorumBitmap() external view returns (uint256);
        function isM2QuorumRegistrationDisabled() external view returns (bool);
        function version() external view returns (string);
    }

    /// What the slashing release added to the StakeRegistry, and what it weighs.
    #[derive(Debug, PartialEq, Eq)]
    interface ISlashingStakeRegistry {
        function stakeTypePerQuorum(uint8 quorumNumber) external view returns (uint8);
        function strategyParamsByIndex(uint8 quorumNumber, uint256 index) external view returns (StrategyParams);
    }

    /// EigenLayer's AllocationManager.
    #[derive(Debug, PartialEq, Eq)]
    interface IAllocationManager {
        function registerForOperatorSets(address operator, RegisterParams params) external;
        function deregisterFromOperatorSets(DeregisterParams params) external;
        function modifyAllocations(address operator, AllocateParams[] params) external;
        function setAllocationDelay(address operator, uint32 delay) external;
        function getAVSRegistrar(address avs) external view returns (address);
        function getAllocatedStake(OperatorSet operatorSet, address[] operators, address[] strategies) external view returns (uint256[][]);
        function getAllocationDelay(address operator) external view returns (bool isSet, uint32 delay);
        function getMembers(OperatorSet operatorSet) external view returns (address[]);
        function getRegisteredSets(address operator) external view returns (OperatorSet[]);
        function isMemberOfOperatorSet(address operator, OperatorSet operatorSet) external view returns (bool);
        function isOperatorSet(OperatorSet operatorSet) external view returns (bool);
        function isOperatorSlashable(address operator, OperatorSet operatorSet) external view returns (bool);
        function DEALLOCATION_DELAY() external view returns (uint32);
        function ALLOCATION_CONFIGURATION_DELAY() external view returns (uint32);
    }

    /// EigenLayer's DelegationManager, since slashing.
    #[derive(Debug, PartialEq, Eq)]
    interface IDelegationManager {
        function registerAsOperator(address initDelegationApprover, uint32 allocationDelay, string metadataURI) external;
        function updateOperatorMetadataURI(address operator, string metadataURI) external;
        function isOperator(address operator) external view returns (bool);
        function delegatedTo(address staker) external view returns (address);
        function delegationApprover(address operator) external view returns (address);
        function operatorShares(address operator, address strategy) external view returns (uint256);
        function allocationManager() external view returns (address);
        function strategyManager() external view returns (address);
    }

    /// EigenLayer's DelegationManager, before slashing.
    #[derive(Debug, PartialEq, Eq)]
    interface IDelegationManagerM2 {
        function registerAsOperator(OperatorDetails registeringOperatorDetails, string metadataURI) external;
        function slasher() external view returns (address);
    }

    /// EigenLayer's StrategyManager.
    #[derive(Debug, PartialEq, Eq)]
    interface IStrategyManager {
        function depositIntoStrategy(address strategy, address token, uint256 amount) external returns (uint256 shares);
        function strategyIsWhitelistedForDeposit(address strategy) external view returns (bool);
    }

    /// A strategy of EigenLayer.
    #[derive(Debug, PartialEq, Eq)]
    interface IStrategy {
        function underlyingToken() external view returns (address);
    }

    #[derive(Debug, PartialEq, Eq)]
    interface IERC20 {
        function approve(address spender, uint256 amount) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
    }

    /// Signatures of accounts that are contracts.
    #[derive(Debug, PartialEq, Eq)]
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}
