// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {BN254} from "../libraries/BN254.sol";

/// @notice Structs, events and errors of `MachRegistry`. Structs and events that EigenLayer's registries have are
/// theirs, by name and signature.
interface IMachRegistry {
    struct PubkeyRegistrationParams {
        BN254.G1Point pubkeyRegistrationSignature;
        BN254.G1Point pubkeyG1;
        BN254.G2Point pubkeyG2;
    }

    enum OperatorStatus {
        NEVER_REGISTERED,
        REGISTERED,
        DEREGISTERED
    }

    struct OperatorInfo {
        bytes32 operatorId;
        OperatorStatus status;
    }

    enum OperatorAVSRegistrationStatus {
        UNREGISTERED,
        REGISTERED
    }

    /// @param minimumStake least weight of a member, not zero
    struct QuorumParams {
        uint96 minimumStake;
        uint32 maxOperatorCount;
    }

    struct Weight {
        address operator;
        uint8 quorumNumber;
        uint96 weight;
    }

    // RegistryCoordinator
    event OperatorSocketUpdate(bytes32 indexed operatorId, string socket);
    event OperatorRegistered(address indexed operator, bytes32 indexed operatorId);
    event OperatorDeregistered(address indexed operator, bytes32 indexed operatorId);
    // BLSApkRegistry
    event NewPubkeyRegistration(address indexed operator, BN254.G1Point pubkeyG1, BN254.G2Point pubkeyG2);
    event OperatorAddedToQuorums(address operator, bytes32 operatorId, bytes quorumNumbers);
    event OperatorRemovedFromQuorums(address operator, bytes32 operatorId, bytes quorumNumbers);
    // StakeRegistry
    event OperatorStakeUpdate(bytes32 indexed operatorId, uint8 quorumNumber, uint96 stake);
    event QuorumCreated(uint8 indexed quorumNumber);
    event MinimumStakeForQuorumUpdated(uint8 indexed quorumNumber, uint96 minimumStake);
    // IndexRegistry
    event QuorumIndexUpdate(bytes32 indexed operatorId, uint8 quorumNumber, uint32 newOperatorIndex);
    // AVSDirectory
    event OperatorAVSRegistrationStatusUpdated(
        address indexed operator, address indexed avs, OperatorAVSRegistrationStatus status
    );
    event AVSMetadataURIUpdated(address indexed avs, string metadataURI);
    // Ours
    event QuorumParamsUpdated(uint8 indexed quorumNumber, uint96 minimumStake, uint32 maxOperatorCount);
    event OperatorWeightSet(address indexed operator, uint8 indexed quorumNumber, uint96 weight);

    error TooManyQuorums();
    error ZeroMinimumStake();
    error ZeroServiceManager();
    error NoQuorums();
    error NotServiceManager(address caller);
    error AlreadyInQuorum(bytes32 operatorId, uint256 quorumBitmap);
    error NotInQuorum(bytes32 operatorId, uint256 quorumBitmap);
    error NotRegistered(address operator);
    error QuorumFull(uint8 quorumNumber, uint32 maxOperatorCount);
    error BelowMinimumStake(uint8 quorumNumber, uint96 weight, uint96 minimumStake);
    error ZeroPubkey();
    error PubkeyAlreadyRegistered(bytes32 operatorId);
    error InvalidPubkeyRegistration();
    error SaltAlreadySpent(bytes32 salt);
    error SignatureExpired(uint256 expiry);
    error InvalidOperatorSignature(address operator);
}
