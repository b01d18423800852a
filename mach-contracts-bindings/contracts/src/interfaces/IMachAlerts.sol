// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice Structs, events and errors of the V2 surface: names and selectors are those of the MACH AVS contracts
/// that existing clients call.
interface IMachAlerts {
    struct AlertHeader {
        bytes32 messageHash;
        bytes quorumNumbers;
        bytes quorumThresholdPercentages;
        uint32 referenceBlockNumber;
        uint256 rollupChainID;
    }

    /// @dev The part of the header that operators sign.
    struct ReducedAlertHeader {
        bytes32 messageHash;
        uint32 referenceBlockNumber;
        uint256 rollupChainID;
    }

    event OperatorAdded(address indexed operator);
    event OperatorRemoved(address indexed operator);
    event OperatorAllowed(address operator);
    event OperatorDisallowed(address operator);
    event AllowlistEnabled();
    event AllowlistDisabled();
    event AlertConfirmerChanged(address previousAddress, address newAddress);
    event WhitelisterChanged(address previousAddress, address newAddress);
    event QuorumThresholdPercentageChanged(uint8 thresholdPercentages);
    event RollupChainIDUpdated(uint256 rollupChainId, bool status);
    event AlertConfirmed(bytes32 indexed alertHeaderHash, bytes32 messageHash);
    event AlertRemoved(bytes32 messageHash, address sender);

    error ZeroAddress();
    error InvalidStartIndex();
    error InvalidConfirmer();
    error NotWhitelister();
    error InvalidSender();
    error NoStatusChange();
    error InvalidRollupChainID();
    error InvalidReferenceBlockNum();
    error InsufficientThreshold();
    error InsufficientThresholdPercentages();
    error InvalidQuorumParam();
    error InvalidQuorumThresholdPercentage();
    error AlreadyInAllowlist();
    error NotAdded();
    error AlreadyAdded();
    error ResolvedAlert();
    error AlreadyEnabled();
    error AlreadyDisabled();
}
