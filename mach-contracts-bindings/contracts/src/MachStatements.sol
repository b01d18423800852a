// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

import {AlertBook} from "./AlertBook.sol";
import {BLSSignatureChecker} from "./BLSSignatureChecker.sol";
import {Pausable} from "./Pausable.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title V3 statements: alerts and attestations that prove themselves
/// @notice Anyone may submit one: the aggregate signature is the authority. Which quorums must have signed, with which
/// share of their stake, is this contract's to say and not the submitter's.
abstract contract MachStatements is AlertBook, BLSSignatureChecker, Pausable, OwnableUpgradeable, IERC5267 {
    /// @dev An alert without what its key says, in slots as few as can be.
    struct StoredAlert {
        uint8 kind;
        uint16 rule;
        uint64 blockNumber;
        uint32 referenceBlockNumber;
        uint64 submittedAt;
        uint256 rollupChainId;
        bytes32 blockHash;
        bytes32 claimed;
        bytes32 computed;
    }

    struct StoredAttestation {
        bytes32 blockHash;
        bytes32 stateRoot;
        bytes32 outputRoot;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ALERT_TYPEHASH = keccak256(
        "Alert(uint8 kind,uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,uint16 rule,bytes32 claimed,bytes32 computed)"
    );
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,bytes32 stateRoot,bytes32 outputRoot)"
    );
    string private constant NAME = "Mach";
    string private constant VERSION = "3";

    uint8 private constant LAST_ALERT_KIND = 4;
    uint256 public constant THRESHOLD_DENOMINATOR = 100;
    /// @dev About a day of 12-second blocks.
    uint32 private constant DEFAULT_MAX_REFERENCE_BLOCK_AGE = 7200;

    /// @notice The least share of its stake, in percent, that any quorum must have signed with.
    uint8 public quorumThresholdPercentage;
    /// @notice L1 blocks that a V3 statement's reference block may lie behind.
    uint32 public maxReferenceBlockAge;

    bytes private _quorumNumbers;
    bytes private _thresholds;
    mapping(bytes32 digest => StoredAlert) private _alerts;
    mapping(uint256 rollupChainId => bytes32[]) private _digests;
    mapping(uint256 rollupChainId => mapping(uint64 blockNumber => StoredAttestation)) private _attestations;
    mapping(uint256 rollupChainId => uint64) private _heads;

    // ------------------------------------------------------------------------------------------------- submission

    /// @notice Stores an alert that enough stake has signed; from then on it counts in `totalAlerts`.
    /// @dev An alert that the owner removed stays removed until the owner reopens it.
    function submitAlert(
        Alert calldata alert,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata nonSignerStakesAndSignature
    ) external whenNotPaused {
        _checkRollup(alert.rollupChainId);
        if (alert.kind == 0 || alert.kind > LAST_ALERT_KIND) revert UnknownAlertKind(alert.kind);
        bytes32 digest = alertDigest(alert);
        if (contains(alert.rollupChainId, digest)) revert AlreadyConfirmed(digest);
        if (_wasRemoved(alert.rollupChainId, digest)) revert AlertWasRemoved(digest);

        (QuorumStakeTotals memory totals, bytes32 signatoryRecordHash) =
            _checkStatement(digest, referenceBlockNumber, nonSignerStakesAndSignature);

        // A reopened alert is in the list already.
        if (_alerts[digest].kind == 0) _digests[alert.rollupChainId].push(digest);
        _alerts[digest] = StoredAlert({
            kind: alert.kind,
            rule: alert.rule,
            blockNumber: alert.blockNumber,
            referenceBlockNumber: referenceBlockNumber,
            submittedAt: uint64(block.number),
            rollupChainId: alert.rollupChainId,
            blockHash: alert.blockHash,
            claimed: alert.claimed,
            computed: alert.computed
        });
        _raise(alert.rollupChainId, digest, digest);
        emit AlertSubmitted(
            digest,
            alert.rollupChainId,
            alert.blockNumber,
            alert,
            referenceBlockNumber,
            totals.signedStakeForQuorum,
            totals.totalStakeForQuorum,
            signatoryRecordHash
        );
    }

    /// @notice Stores that enough stake has found a block valid; for one height there is one attestation, for ever.
    function submitAttestation(
        Attestation calldata attestation_,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata nonSignerStakesAndSignature
    ) external whenNotPaused {
        uint256 rollupChainId = attestation_.rollupChainId;
        uint64 blockNumber = attestation_.blockNumber;
        _checkRollup(rollupChainId);
        bytes32 digest = attestationDigest(attestation_);
        _checkNew(attestation_, digest);

        (QuorumStakeTotals memory totals, bytes32 signatoryRecordHash) =
            _checkStatement(digest, referenceBlockNumber, nonSignerStakesAndSignature);

        _attestations[rollupChainId][blockNumber] =
            StoredAttestation(attestation_.blockHash, attestation_.stateRoot, attestation_.outputRoot);
        if (blockNumber > _heads[rollupChainId]) _heads[rollupChainId] = blockNumber;
        emit AttestationSubmitted(
            digest,
            rollupChainId,
            blockNumber,
            attestation_,
            referenceBlockNumber,
            totals.signedStakeForQuorum,
            totals.totalStakeForQuorum,
            signatoryRecordHash
        );
    }

    // ------------------------------------------------------------------------------------------------------ owner

    /// @notice Sets which quorums must sign V3 statements and with which share of their stake, in percent.
    function setStatementQuorums(bytes calldata quorumNumbers, bytes calldata thresholds) external onlyOwner {
        if (Quorums.toBitmap(quorumNumbers, registryCoordinator.quorumCount()) == 0) revert InvalidStatementQuorums();
        _setStatementQuorums(quorumNumbers, thresholds);
    }

    function setMaxReferenceBlockAge(uint32 blocks) external onlyOwner {
        _setMaxReferenceBlockAge(blocks);
    }

    /// @notice Lets a removed alert be raised again, by V2 or V3.
    function reopenAlert(uint256 rollupChainId, bytes32 messageHash) external onlyOwner {
        _reopen(rollupChainId, messageHash);
    }

    // ------------------------------------------------------------------------------------------------------ views

    /// @notice What operators sign to raise `alert`.
    function alertDigest(Alert calldata alert) public view returns (bytes32) {
        // Every member is static: the encoding of the struct is the encoding of its members.
        return _typedDataHash(keccak256(abi.encode(ALERT_TYPEHASH, alert)));
    }

    /// @notice What operators sign to attest a block.
    function attestationDigest(Attestation memory attestation_) public view returns (bytes32) {
        return _typedDataHash(keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation_)));
    }

    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256(bytes(NAME)), keccak256(bytes(VERSION)), block.chainid, address(this)
            )
        );
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (hex"0f", NAME, VERSION, block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    /// @notice The quorums that V3 statements need, and the percentage in force for each, which is never below
    /// `quorumThresholdPercentage`.
    function statementQuorums() public view returns (bytes memory quorumNumbers, bytes memory thresholds) {
        quorumNumbers = _quorumNumbers;
        thresholds = _thresholds;
        for (uint256 i = 0; i < thresholds.length; ++i) {
            if (uint8(thresholds[i]) < quorumThresholdPercentage) thresholds[i] = bytes1(quorumThresholdPercentage);
        }
    }

    /// @notice Everything about a V3 alert; `status` is `Unknown` if there is none with this digest.
    function alertByDigest(bytes32 digest) external view returns (AlertRecord memory record) {
        StoredAlert storage stored = _alerts[digest];
        if (stored.kind == 0) return record;
        record.alert = Alert({
            kind: stored.kind,
            rollupChainId: stored.rollupChainId,
            blockNumber: stored.blockNumber,
            blockHash: stored.blockHash,
            rule: stored.rule,
            claimed: stored.claimed,
            computed: stored.computed
        });
        record.referenceBlockNumber = stored.referenceBlockNumber;
        record.submittedAt = stored.submittedAt;
        record.status = contains(stored.rollupChainId, digest) ? AlertStatus.Active : AlertStatus.Removed;
    }

    /// @notice How many V3 alerts the rollup ever had, removed ones included.
    function alertCount(uint256 rollupChainId) external view returns (uint256) {
        return _digests[rollupChainId].length;
    }

    /// @notice Up to `size` digests of V3 alerts from index `start`, oldest first, removed ones included.
    function alertDigests(uint256 rollupChainId, uint256 start, uint256 size)
        external
        view
        returns (bytes32[] memory digests)
    {
        uint256 length = _digests[rollupChainId].length;
        if (start >= length) return digests;
        if (size > length - start) size = length - start;
        digests = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) digests[i] = _digests[rollupChainId][start + i];
    }

    /// @notice The highest attested block of the rollup; a zero hash if there is none.
    function attestedHead(uint256 rollupChainId) external view returns (uint64 blockNumber, bytes32 blockHash) {
        blockNumber = _heads[rollupChainId];
        blockHash = _attestations[rollupChainId][blockNumber].blockHash;
    }

    /// @notice What was attested for the height, and its digest; both zero if nothing was.
    function attestation(uint256 rollupChainId, uint64 blockNumber)
        external
        view
        returns (Attestation memory attested, bytes32 digest)
    {
        StoredAttestation storage stored = _attestations[rollupChainId][blockNumber];
        if (stored.blockHash == 0) return (attested, digest);
        attested =
            Attestation(rollupChainId, blockNumber, stored.blockHash, stored.stateRoot, stored.outputRoot);
        digest = attestationDigest(attested);
    }

    // --------------------------------------------------------------------------------------------------- internal

    function _initializeStatements(uint8 threshold) internal {
        quorumThresholdPercentage = threshold;
        _setStatementQuorums(hex"00", abi.encodePacked(threshold));
        _setMaxReferenceBlockAge(DEFAULT_MAX_REFERENCE_BLOCK_AGE);
    }

    /// @dev Whether `quorumNumbers`, which must be ascending, has every quorum that V3 statements need.
    function _coversStatementQuorums(bytes calldata quorumNumbers) internal view returns (bool) {
        uint256 required = Quorums.toBitmap(_quorumNumbers, 256);
        return Quorums.toBitmap(quorumNumbers, 256) & required == required;
    }

    function _checkRollup(uint256 rollupChainId) private view {
        if (!rollupChainIDs[rollupChainId]) revert RollupNotEnabled(rollupChainId);
    }

    function _checkNew(Attestation calldata attestation_, bytes32 digest) private view {
        // A zero hash marks the heights that nobody attested.
        if (attestation_.blockHash == 0) revert ZeroBlockHash();
        StoredAttestation storage stored = _attestations[attestation_.rollupChainId][attestation_.blockNumber];
        if (stored.blockHash == 0) return;
        if (
            stored.blockHash == attestation_.blockHash && stored.stateRoot == attestation_.stateRoot
                && stored.outputRoot == attestation_.outputRoot
        ) revert AlreadyConfirmed(digest);
        revert ContradictingAttestation(attestation_.rollupChainId, attestation_.blockNumber, stored.blockHash);
    }

    /// @dev Reverts unless each statement quorum has stake and enough of it has signed `digest`.
    function _checkStatement(
        bytes32 digest,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params
    ) private view returns (QuorumStakeTotals memory totals, bytes32 signatoryRecordHash) {
        if (referenceBlockNumber >= block.number) revert ReferenceBlockNotPast(referenceBlockNumber, block.number);
        if (uint256(referenceBlockNumber) + maxReferenceBlockAge < block.number) {
            revert ReferenceBlockTooOld(referenceBlockNumber, block.number - maxReferenceBlockAge);
        }
        (bytes memory quorumNumbers, bytes memory thresholds) = statementQuorums();
        (totals, signatoryRecordHash) = _checkSignatures(digest, quorumNumbers, referenceBlockNumber, params);
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            uint96 signed = totals.signedStakeForQuorum[i];
            uint96 total = totals.totalStakeForQuorum[i];
            uint8 threshold = uint8(thresholds[i]);
            // Nobody's signature is enough where nobody has stake: 0 of 0 meets every percentage.
            if (total == 0) revert QuorumWithoutStake(uint8(quorumNumbers[i]));
            if (!_meets(signed, total, threshold)) {
                revert ThresholdNotMet(uint8(quorumNumbers[i]), signed, total, threshold);
            }
        }
    }

    function _meets(uint96 signed, uint96 total, uint8 threshold) internal pure returns (bool) {
        return uint256(signed) * THRESHOLD_DENOMINATOR >= uint256(total) * threshold;
    }

    function _setStatementQuorums(bytes memory quorumNumbers, bytes memory thresholds) private {
        if (quorumNumbers.length != thresholds.length) revert InvalidStatementQuorums();
        for (uint256 i = 0; i < thresholds.length; ++i) {
            uint8 threshold = uint8(thresholds[i]);
            if (threshold > THRESHOLD_DENOMINATOR || threshold < quorumThresholdPercentage) {
                revert InvalidStatementQuorums();
            }
        }
        _quorumNumbers = quorumNumbers;
        _thresholds = thresholds;
        emit StatementQuorumsChanged(quorumNumbers, thresholds);
    }

    function _setMaxReferenceBlockAge(uint32 blocks) private {
        if (blocks == 0) revert ZeroReferenceBlockAge();
        maxReferenceBlockAge = blocks;
        emit MaxReferenceBlockAgeChanged(blocks);
    }

    function _typedDataHash(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
    }
}
