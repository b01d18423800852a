// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

import {MachStatements} from "./MachStatements.sol";
import {BLSSignatureChecker} from "./BLSSignatureChecker.sol";
import {
    IAVSDirectory,
    IRegistryCoordinator,
    IServiceManager,
    IStakeRegistry,
    SignatureWithSaltAndExpiry
} from "./interfaces/IEigenLayer.sol";
import {IPauserRegistry} from "./interfaces/IPauserRegistry.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title The AVS contract of mach
/// @notice Keeps alerts and attestations that operators registered with the registry coordinator have signed.
/// The V2 surface is the one of the MACH AVS contracts: an allowlist as training wheels, a confirmer that sends V2
/// alerts, an owner that may remove alerts. V3 is in `MachStatements`.
/// @dev Deploy behind a proxy with `initialize` in the proxy's constructor; the implementation itself is locked.
contract MachServiceManager is MachStatements, IServiceManager {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint8 private constant DEFAULT_THRESHOLD = 66;

    IAVSDirectory private immutable _avsDirectory;

    mapping(address operator => bool) public allowlist;
    bool public allowlistEnabled;
    address public alertConfirmer;
    address public whitelister;
    EnumerableSet.AddressSet private _operators;

    modifier onlyRegistryCoordinator() {
        require(
            msg.sender == address(registryCoordinator),
            "ServiceManagerBase.onlyRegistryCoordinator: caller is not the registry coordinator"
        );
        _;
    }

    modifier onlyWhitelister() {
        if (msg.sender != whitelister) revert NotWhitelister();
        _;
    }

    constructor(
        IAVSDirectory avsDirectory_,
        IRegistryCoordinator registryCoordinator_,
        IStakeRegistry stakeRegistry_
    )
        BLSSignatureChecker(
            registryCoordinator_,
            stakeRegistry_,
            registryCoordinator_.blsApkRegistry(),
            stakeRegistry_.delegation()
        )
    {
        _avsDirectory = avsDirectory_;
        _disableInitializers();
    }

    function initialize(
        IPauserRegistry pauserRegistry_,
        uint256 initialPausedStatus_,
        address initialOwner_,
        address alertConfirmer_,
        address whitelister_,
        uint256[] calldata rollupChainIDs_
    ) external initializer {
        _initializePauser(pauserRegistry_, initialPausedStatus_);
        __Ownable_init(initialOwner_);
        _setConfirmer(alertConfirmer_);
        _setWhitelister(whitelister_);
        for (uint256 i = 0; i < rollupChainIDs_.length; ++i) _setRollupChainID(rollupChainIDs_[i], true);
        allowlistEnabled = true;
        _initializeStatements(DEFAULT_THRESHOLD);
    }

    // -------------------------------------------------------------------------------------------------- V2 alerts

    /// @notice Stores an alert whose hash enough stake has signed.
    /// @dev The checks are in the order of the MACH AVS contract. Beyond it, the quorums must include those that V3
    /// statements need, and a quorum without stake confirms nothing.
    function confirmAlert(
        AlertHeader calldata alertHeader,
        NonSignerStakesAndSignature calldata nonSignerStakesAndSignature
    ) external whenNotPaused {
        if (msg.sender != alertConfirmer) revert InvalidConfirmer();
        if (!rollupChainIDs[alertHeader.rollupChainID]) revert InvalidRollupChainID();
        if (tx.origin != msg.sender) revert InvalidSender();
        if (_wasRemoved(alertHeader.rollupChainID, alertHeader.messageHash)) revert ResolvedAlert();
        if (alertHeader.referenceBlockNumber >= block.number) revert InvalidReferenceBlockNum();
        if (alertHeader.quorumNumbers.length != alertHeader.quorumThresholdPercentages.length) {
            revert InvalidQuorumParam();
        }

        bytes32 digest = keccak256(
            abi.encode(
                ReducedAlertHeader(
                    alertHeader.messageHash, alertHeader.referenceBlockNumber, alertHeader.rollupChainID
                )
            )
        );
        (QuorumStakeTotals memory totals,) = _checkSignatures(
            digest, alertHeader.quorumNumbers, alertHeader.referenceBlockNumber, nonSignerStakesAndSignature
        );
        if (!_coversStatementQuorums(alertHeader.quorumNumbers)) revert InvalidQuorumParam();
        _checkThresholds(alertHeader.quorumThresholdPercentages, totals);
        _raise(alertHeader.rollupChainID, digest, alertHeader.messageHash);
    }

    /// @notice Withdraws an active alert, of V2 or V3, whether or not the rollup is still enabled.
    function removeAlert(uint256 rollupChainId, bytes32 messageHash) external onlyOwner {
        _remove(rollupChainId, messageHash);
    }

    // -------------------------------------------------------------------------------------------------- operators

    /// @notice Called by the registry coordinator when an operator registers its first quorum.
    function registerOperatorToAVS(address operator, SignatureWithSaltAndExpiry memory operatorSignature)
        external
        whenNotPaused
        onlyRegistryCoordinator
    {
        if (allowlistEnabled && !allowlist[operator]) revert NotAdded();
        _operators.add(operator);
        _avsDirectory.registerOperatorToAVS(operator, operatorSignature);
        emit OperatorAdded(operator);
    }

    /// @notice Called by the registry coordinator when an operator leaves its last quorum.
    function deregisterOperatorFromAVS(address operator) external whenNotPaused onlyRegistryCoordinator {
        _operators.remove(operator);
        _avsDirectory.deregisterOperatorFromAVS(operator);
        emit OperatorRemoved(operator);
    }

    function allowOperators(address[] calldata operators) external onlyWhitelister {
        for (uint256 i = 0; i < operators.length; ++i) {
            if (operators[i] == address(0)) revert ZeroAddress();
            if (allowlist[operators[i]]) revert AlreadyInAllowlist();
            allowlist[operators[i]] = true;
            emit OperatorAllowed(operators[i]);
        }
    }

    /// @dev An operator that is registered stays so; ejecting it is the registry's business.
    function disallowOperators(address[] calldata operators) external onlyWhitelister {
        for (uint256 i = 0; i < operators.length; ++i) {
            if (!allowlist[operators[i]]) revert NotAdded();
            allowlist[operators[i]] = false;
            emit OperatorDisallowed(operators[i]);
        }
    }

    // ------------------------------------------------------------------------------------------------------ owner

    function enableAllowlist() external onlyOwner {
        if (allowlistEnabled) revert AlreadyEnabled();
        allowlistEnabled = true;
        emit AllowlistEnabled();
    }

    function disableAllowlist() external onlyOwner {
        if (!allowlistEnabled) revert AlreadyDisabled();
        allowlistEnabled = false;
        emit AllowlistDisabled();
    }

    function setConfirmer(address confirmer) external onlyOwner {
        _setConfirmer(confirmer);
    }

    function setWhitelister(address newWhitelister) external onlyOwner {
        _setWhitelister(newWhitelister);
    }

    function setRollupChainID(uint256 rollupChainId, bool status) external onlyOwner {
        _setRollupChainID(rollupChainId, status);
    }

    /// @notice Sets the floor under the percentages of V2 headers and of V3 quorums, from 1 to 100.
    function updateQuorumThresholdPercentage(uint8 thresholdPercentage) external onlyOwner {
        if (thresholdPercentage == 0 || thresholdPercentage > THRESHOLD_DENOMINATOR) {
            revert InvalidQuorumThresholdPercentage();
        }
        quorumThresholdPercentage = thresholdPercentage;
        emit QuorumThresholdPercentageChanged(thresholdPercentage);
    }

    function updateAVSMetadataURI(string memory metadataURI) external onlyOwner {
        _avsDirectory.updateAVSMetadataURI(metadataURI);
    }

    // ------------------------------------------------------------------------------------------------------ views

    function avsDirectory() external view returns (address) {
        return address(_avsDirectory);
    }

    /// @notice How many operators are registered with the AVS.
    function operatorCount() external view returns (uint256) {
        return _operators.length();
    }

    /// @notice Up to `size` registered operators from index `start`; removals change the order.
    function queryOperators(uint256 start, uint256 size) external view returns (address[] memory) {
        uint256 length = _operators.length();
        uint256 from = start < length ? start : length;
        return _operators.values(from, size < length - from ? from + size : length);
    }

    /// @notice The strategies whose stake counts in any quorum, once for each quorum.
    function getRestakeableStrategies() external view returns (address[] memory) {
        return _strategies(type(uint256).max);
    }

    /// @notice The strategies whose stake counts in the quorums of `operator`, once for each quorum.
    function getOperatorRestakedStrategies(address operator) external view returns (address[] memory) {
        return _strategies(registryCoordinator.getCurrentQuorumBitmap(registryCoordinator.getOperatorId(operator)));
    }

    // --------------------------------------------------------------------------------------------------- internal

    function _checkThresholds(bytes calldata percentages, QuorumStakeTotals memory totals) private view {
        for (uint256 i = 0; i < percentages.length; ++i) {
            uint8 percentage = uint8(percentages[i]);
            if (percentage > THRESHOLD_DENOMINATOR) revert InvalidQuorumThresholdPercentage();
            if (percentage < quorumThresholdPercentage) revert InsufficientThresholdPercentages();
            uint96 total = totals.totalStakeForQuorum[i];
            if (total == 0 || !_meets(totals.signedStakeForQuorum[i], total, percentage)) {
                revert InsufficientThreshold();
            }
        }
    }

    function _strategies(uint256 bitmap) private view returns (address[] memory strategies) {
        uint256 quorums = bitmap == 0 ? 0 : registryCoordinator.quorumCount();
        uint256 count = 0;
        for (uint256 q = 0; q < quorums; ++q) {
            if (Quorums.contains(bitmap, uint8(q))) count += stakeRegistry.strategyParamsLength(uint8(q));
        }
        strategies = new address[](count);
        uint256 next = 0;
        for (uint256 q = 0; next < count; ++q) {
            if (!Quorums.contains(bitmap, uint8(q))) continue;
            uint256 length = stakeRegistry.strategyParamsLength(uint8(q));
            for (uint256 i = 0; i < length; ++i) {
                strategies[next++] = stakeRegistry.strategyParamsByIndex(uint8(q), i).strategy;
            }
        }
    }

    function _setConfirmer(address confirmer) private {
        if (confirmer == address(0)) revert ZeroAddress();
        emit AlertConfirmerChanged(alertConfirmer, confirmer);
        alertConfirmer = confirmer;
    }

    function _setWhitelister(address newWhitelister) private {
        if (newWhitelister == address(0)) revert ZeroAddress();
        emit WhitelisterChanged(whitelister, newWhitelister);
        whitelister = newWhitelister;
    }
}
