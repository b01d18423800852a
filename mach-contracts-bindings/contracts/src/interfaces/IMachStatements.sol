// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice V3: typed statements about a rollup's blocks, signed as EIP-712 data of the domain
/// ("Mach", "3", chain id of L1, address of the service manager).
interface IMachStatements {
    /// @param kind 1 invalid block, 2 invalid output proposal, 3 wrong block hash, 4 not derivable from L1
    /// @param blockHash hash of the accused block
    /// @param rule number of the broken rule, 0 where the kind has none
    /// @param claimed what the sequencer or proposer published
    /// @param computed what the operators got
    struct Alert {
        uint8 kind;
        uint256 rollupChainId;
        uint64 blockNumber;
        bytes32 blockHash;
        uint16 rule;
        bytes32 claimed;
        bytes32 computed;
    }

    /// @notice "This block is valid", with the roots that follow from it.
    struct Attestation {
        uint256 rollupChainId;
        uint64 blockNumber;
        bytes32 blockHash;
        bytes32 stateRoot;
        bytes32 outputRoot;
    }

    enum AlertStatus {
        Unknown,
        Active,
        Removed
    }

    /// @param referenceBlockNumber L1 block whose operators and stakes signed
    /// @param submittedAt L1 block in which the alert was stored
    struct AlertRecord {
        Alert alert;
        uint32 referenceBlockNumber;
        uint64 submittedAt;
        AlertStatus status;
    }

    /// @param signedStake stake behind the signature, in the order of `statementQuorums`
    /// @param totalStake all stake of these quorums at the reference block
    event AlertSubmitted(
        bytes32 indexed digest,
        uint256 indexed rollupChainId,
        uint64 indexed blockNumber,
        Alert alert,
        uint32 referenceBlockNumber,
        uint96[] signedStake,
        uint96[] totalStake,
        bytes32 signatoryRecordHash
    );
    event AttestationSubmitted(
        bytes32 indexed digest,
        uint256 indexed rollupChainId,
        uint64 indexed blockNumber,
        Attestation attestation,
        uint32 referenceBlockNumber,
        uint96[] signedStake,
        uint96[] totalStake,
        bytes32 signatoryRecordHash
    );
    /// @notice The rollup has one more active alert, by V2 or V3; `AlertConfirmed` does not name the rollup.
    event RollupAlertRaised(uint256 indexed rollupChainId, bytes32 indexed messageHash);
    /// @notice The rollup has one active alert less; `AlertRemoved` does not name the rollup.
    event RollupAlertRemoved(uint256 indexed rollupChainId, bytes32 indexed messageHash);
    /// @notice A removed alert may be raised again.
    event AlertReopened(uint256 indexed rollupChainId, bytes32 indexed messageHash);
    event StatementQuorumsChanged(bytes quorumNumbers, bytes thresholds);
    event MaxReferenceBlockAgeChanged(uint32 blocks);

    error RollupNotEnabled(uint256 rollupChainId);
    error UnknownAlertKind(uint8 kind);
    error AlreadyConfirmed(bytes32 digest);
    /// @notice The owner removed this alert and has not reopened it.
    error AlertWasRemoved(bytes32 digest);
    error AlertNotRemoved(bytes32 messageHash);
    error ContradictingAttestation(uint256 rollupChainId, uint64 blockNumber, bytes32 attestedBlockHash);
    error ZeroBlockHash();
    error ReferenceBlockNotPast(uint32 referenceBlockNumber, uint256 currentBlock);
    error ReferenceBlockTooOld(uint32 referenceBlockNumber, uint256 oldestAllowed);
    error QuorumWithoutStake(uint8 quorumNumber);
    error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
    /// @notice Quorums are none, not as many as thresholds, not strictly ascending or not existing, or a threshold is
    /// above 100 or below `quorumThresholdPercentage`.
    error InvalidStatementQuorums();
    error ZeroReferenceBlockAge();
}
