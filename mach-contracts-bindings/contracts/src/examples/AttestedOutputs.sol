// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {BLSSignatureChecker} from "../BLSSignatureChecker.sol";
import {IMachStatements} from "../interfaces/IMachStatements.sol";
import {MachCertificate} from "../libraries/MachCertificate.sol";

/// @title An example: output roots of a rollup that enough stake has attested, ready to prove withdrawals against
/// @notice On L1 anybody brings attestations to `accept`. On another chain the owner says which operators count, and anybody
/// brings certificate files to `acceptFile`.
contract AttestedOutputs is Ownable {
    event OutputAccepted(uint64 indexed blockNumber, bytes32 blockHash, bytes32 outputRoot);

    error OtherRollup(uint256 rollupChainId);
    error OtherServiceManager(uint64 l1ChainId, address serviceManager);
    error UnknownOperators(bytes32 operators);
    error ThresholdTooLow(uint8 threshold);
    /// @notice Two attestations contradict each other.
    error OtherOutput(uint64 blockNumber, bytes32 outputRoot);

    uint8 public constant LEAST_THRESHOLD = 66;

    uint64 public immutable l1ChainId;
    address public immutable serviceManager;
    uint256 public immutable rollupChainId;

    /// @notice Output root after a block; zero if none was accepted.
    mapping(uint64 blockNumber => bytes32) public outputRoots;
    /// @notice Hashes of operators that the owner has compared with L1.
    mapping(bytes32 operators => bool) public isTrusted;

    constructor(uint64 l1ChainId_, address serviceManager_, uint256 rollupChainId_, address owner_) Ownable(owner_) {
        l1ChainId = l1ChainId_;
        serviceManager = serviceManager_;
        rollupChainId = rollupChainId_;
    }

    function trust(bytes32 operators, bool status) external onlyOwner {
        isTrusted[operators] = status;
    }

    /// @notice On L1: keys and stakes are read from the service manager's registries.
    function accept(
        IMachStatements.Attestation calldata attestation,
        uint32 referenceBlockNumber,
        BLSSignatureChecker.NonSignerStakesAndSignature calldata params
    ) external {
        if (block.chainid != l1ChainId) revert OtherServiceManager(uint64(block.chainid), serviceManager);
        MachCertificate.check(serviceManager, attestation, referenceBlockNumber, params);
        _accept(attestation);
    }

    /// @notice Anywhere: keys and stakes are those of the file, and have to be trusted.
    function acceptFile(MachCertificate.Certificate calldata certificate) external {
        (, bytes32 operators) = checkFile(certificate);
        if (!isTrusted[operators]) revert UnknownOperators(operators);
        _accept(certificate.attestation);
    }

    /// @notice What `acceptFile` asks but for the operators, which are returned.
    function checkFile(MachCertificate.Certificate calldata certificate)
        public
        view
        returns (uint96[] memory signedStake, bytes32 operators)
    {
        if (certificate.l1ChainId != l1ChainId || certificate.serviceManager != serviceManager) {
            revert OtherServiceManager(certificate.l1ChainId, certificate.serviceManager);
        }
        for (uint256 i = 0; i < certificate.quorums.length; ++i) {
            uint8 threshold = certificate.quorums[i].threshold;
            if (threshold < LEAST_THRESHOLD) revert ThresholdTooLow(threshold);
        }
        return MachCertificate.checkSelfContained(certificate);
    }

    function _accept(IMachStatements.Attestation calldata attestation) private {
        if (attestation.rollupChainId != rollupChainId) revert OtherRollup(attestation.rollupChainId);
        bytes32 known = outputRoots[attestation.blockNumber];
        if (known != 0 && known != attestation.outputRoot) revert OtherOutput(attestation.blockNumber, known);
        outputRoots[attestation.blockNumber] = attestation.outputRoot;
        emit OutputAccepted(attestation.blockNumber, attestation.blockHash, attestation.outputRoot);
    }
}
