// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {BLS12381} from "./libraries/BLS12381.sol";
import {BlockHistory} from "./libraries/BlockHistory.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title Checks aggregate signatures on BLS12-381 against the operators at a past block
/// @notice The rules are those of EigenLayer's `checkSignatures` on BN254. Operators bring their keys, the owner says
/// what each weighs in each quorum. Needs the precompiles of EIP-2537.
contract MachBls12381Verifier is Ownable, EIP712 {
    using BlockHistory for BlockHistory.Values;
    using BLS12381 for BLS12381.G1Point;

    /// @dev Everybody who was a member at `referenceBlockNumber` signed `digest`, except for `nonSigners`.
    struct Certificate {
        bytes32 digest;
        uint32 referenceBlockNumber;
        // Strictly ascending numbers, one byte each.
        bytes quorumNumbers;
        // Least share of each quorum's stake that must have signed, in percent from 1 to 100.
        bytes thresholds;
        // Sum of the keys of each quorum's members.
        BLS12381.G1Point[] quorumApks;
        // Keys, strictly ascending by their hash.
        BLS12381.G1Point[] nonSigners;
        // Sum of the signers' keys and of their signatures: a signer in k of the quorums counts k times in both.
        BLS12381.G2Point apkG2;
        BLS12381.G1Point sigma;
    }

    /// @dev A stake of zero is no membership.
    struct Member {
        address operator;
        uint8 quorumNumber;
        uint96 stake;
    }

    event KeyRegistered(
        address indexed operator, bytes32 indexed operatorId, BLS12381.G1Point key, BLS12381.G2Point keyG2
    );
    event StakeSet(bytes32 indexed operatorId, uint8 indexed quorumNumber, uint96 stake);

    error AlreadyRegistered(bytes32 operatorId);
    error NotRegistered(address operator);
    error IdentityKey();
    error InvalidProofOfPossession();
    error NoQuorums();
    error LengthMismatch();
    error InvalidThreshold(uint8 quorumNumber, uint8 threshold);
    error ReferenceBlockNotPast(uint32 referenceBlockNumber, uint256 currentBlock);
    error QuorumWithoutStake(uint8 quorumNumber);
    error OtherQuorumKey(uint8 quorumNumber);
    error NonSignersNotAscending(bytes32 operatorId);
    error NotAMember(bytes32 operatorId);
    error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
    error InvalidSignature();

    bytes32 public constant KEY_REGISTRATION_TYPEHASH = keccak256("BLS12381KeyRegistration(address operator)");
    uint256 private constant QUORUM_LIMIT = 192;

    /// @notice Domain separation tag under which digests are hashed to the curve.
    bytes public signatureDomain;

    mapping(address operator => bytes32) public operatorIds;
    mapping(bytes32 operatorId => address) public operators;

    mapping(bytes32 operatorId => BLS12381.G1Point) private _keys;
    mapping(uint8 quorumNumber => BLS12381.G1Point) private _apks;
    mapping(uint8 quorumNumber => BlockHistory.Values) private _apkHashes;
    mapping(uint8 quorumNumber => BlockHistory.Values) private _totals;
    mapping(bytes32 operatorId => mapping(uint8 quorumNumber => BlockHistory.Values)) private _stakes;

    constructor(address owner_, bytes memory signatureDomain_) Ownable(owner_) EIP712("MachBls12381Verifier", "1") {
        // Fails here on a chain without the precompiles, and on a tag that cannot be used.
        BLS12381.hashToG1("", signatureDomain_);
        signatureDomain = signatureDomain_;
    }

    // ---------------------------------------------------------------------------------------------------- operators

    /// @notice Records the key of the caller, for ever.
    /// @param key in G1
    /// @param keyG2 the same multiple of the generator of G2
    /// @param proof signature of `keyRegistrationDigest(caller)`
    function registerKey(
        BLS12381.G1Point calldata key,
        BLS12381.G2Point calldata keyG2,
        BLS12381.G1Point calldata proof
    ) external {
        bytes32 operatorId = key.hash();
        if (operatorIds[msg.sender] != 0) revert AlreadyRegistered(operatorIds[msg.sender]);
        if (operators[operatorId] != address(0)) revert AlreadyRegistered(operatorId);
        if (key.isIdentity()) revert IdentityKey();
        if (!_isSignedBy(keyRegistrationDigest(msg.sender), key, keyG2, proof)) revert InvalidProofOfPossession();
        operatorIds[msg.sender] = operatorId;
        operators[operatorId] = msg.sender;
        _keys[operatorId] = key;
        emit KeyRegistered(msg.sender, operatorId, key, keyG2);
    }

    /// @notice What a key signs to be registered by `operator`, here and nowhere else.
    function keyRegistrationDigest(address operator) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(KEY_REGISTRATION_TYPEHASH, operator)));
    }

    /// @notice Sets the stakes of operators whose keys are registered, from this block on.
    function setStakes(Member[] calldata members) external onlyOwner {
        for (uint256 i = 0; i < members.length; ++i) {
            _setStake(members[i].operator, members[i].quorumNumber, members[i].stake);
        }
    }

    function keyOf(bytes32 operatorId) external view returns (BLS12381.G1Point memory) {
        return _keys[operatorId];
    }

    /// @notice Sum of the keys of the quorum's members.
    function quorumApk(uint8 quorumNumber) external view returns (BLS12381.G1Point memory) {
        return _apks[quorumNumber];
    }

    /// @dev Of past blocks the answer is final.
    function stakeAt(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber) public view returns (uint96) {
        return uint96(_stakes[operatorId][quorumNumber].valueOrZeroAt(blockNumber));
    }

    function totalStakeAt(uint8 quorumNumber, uint32 blockNumber) public view returns (uint96) {
        return uint96(_totals[quorumNumber].valueOrZeroAt(blockNumber));
    }

    // ------------------------------------------------------------------------------------------------- certificates

    /// @notice Reverts unless the certificate is right in everything it says and its thresholds are met.
    /// @dev Which quorums, which thresholds and how old a reference block are good enough is for the caller to say.
    /// @return signedStake stake behind the signature, for each quorum in the order of the certificate
    /// @return totalStake all stake of each quorum
    function checkCertificate(Certificate calldata certificate)
        external
        view
        returns (uint96[] memory signedStake, uint96[] memory totalStake)
    {
        _checkShape(certificate);
        BLS12381.G1Point memory apk;
        (apk, totalStake) = _readQuorums(certificate);
        BLS12381.G1Point memory absent;
        (absent, signedStake) = _readNonSigners(certificate, totalStake);
        for (uint256 i = 0; i < totalStake.length; ++i) {
            uint8 threshold = uint8(certificate.thresholds[i]);
            if (uint256(signedStake[i]) * 100 < uint256(totalStake[i]) * threshold) {
                revert ThresholdNotMet(uint8(certificate.quorumNumbers[i]), signedStake[i], totalStake[i], threshold);
            }
        }
        apk = apk.add(absent.negate());
        // Keys that sum up to the identity have one signature of every message.
        if (apk.isIdentity()) revert IdentityKey();
        if (!_isSignedBy(certificate.digest, apk, certificate.apkG2, certificate.sigma)) revert InvalidSignature();
    }

    function _checkShape(Certificate calldata certificate) private view {
        uint256 quorums = certificate.quorumNumbers.length;
        if (quorums == 0) revert NoQuorums();
        if (quorums != certificate.thresholds.length || quorums != certificate.quorumApks.length) {
            revert LengthMismatch();
        }
        Quorums.toBitmap(certificate.quorumNumbers, QUORUM_LIMIT);
        for (uint256 i = 0; i < quorums; ++i) {
            uint8 threshold = uint8(certificate.thresholds[i]);
            if (threshold == 0 || threshold > 100) revert InvalidThreshold(uint8(certificate.quorumNumbers[i]), threshold);
        }
        if (certificate.referenceBlockNumber >= block.number) {
            revert ReferenceBlockNotPast(certificate.referenceBlockNumber, block.number);
        }
    }

    /// @return apk sum of the keys of all members, each as often as it is in one of the quorums
    function _readQuorums(Certificate calldata certificate)
        private
        view
        returns (BLS12381.G1Point memory apk, uint96[] memory totalStake)
    {
        totalStake = new uint96[](certificate.quorumNumbers.length);
        for (uint256 i = 0; i < totalStake.length; ++i) {
            uint8 quorumNumber = uint8(certificate.quorumNumbers[i]);
            totalStake[i] = totalStakeAt(quorumNumber, certificate.referenceBlockNumber);
            if (totalStake[i] == 0) revert QuorumWithoutStake(quorumNumber);
            BLS12381.G1Point memory quorumKey = certificate.quorumApks[i];
            if (_apkHashes[quorumNumber].valueOrZeroAt(certificate.referenceBlockNumber) != _shortHash(quorumKey)) {
                revert OtherQuorumKey(quorumNumber);
            }
            apk = apk.add(quorumKey);
        }
    }

    /// @return absent sum of the keys of the non-signers, each as often as it is in `_readQuorums`' sum
    function _readNonSigners(Certificate calldata certificate, uint96[] memory totalStake)
        private
        view
        returns (BLS12381.G1Point memory absent, uint96[] memory signedStake)
    {
        signedStake = new uint96[](totalStake.length);
        for (uint256 i = 0; i < totalStake.length; ++i) signedStake[i] = totalStake[i];
        bytes32 previous;
        for (uint256 j = 0; j < certificate.nonSigners.length; ++j) {
            BLS12381.G1Point memory key = certificate.nonSigners[j];
            bytes32 operatorId = key.hash();
            if (operatorId <= previous) revert NonSignersNotAscending(operatorId);
            previous = operatorId;
            bool isMember = false;
            for (uint256 i = 0; i < signedStake.length; ++i) {
                uint96 stake = stakeAt(operatorId, uint8(certificate.quorumNumbers[i]), certificate.referenceBlockNumber);
                if (stake == 0) continue;
                isMember = true;
                signedStake[i] -= stake;
                absent = absent.add(key);
            }
            if (!isMember) revert NotAMember(operatorId);
        }
    }

    /// @dev One pairing check for both questions: is it the same key in both groups, and is `signature` its signature
    /// of `digest`. The weight is known only once everything else is, so that no error cancels another.
    function _isSignedBy(
        bytes32 digest,
        BLS12381.G1Point memory key,
        BLS12381.G2Point memory keyG2,
        BLS12381.G1Point memory signature
    ) private view returns (bool) {
        uint256 gamma = uint256(keccak256(abi.encode(digest, key, keyG2, signature)));
        return BLS12381.pairing(
            signature.combine(key, gamma),
            BLS12381.negatedGeneratorG2(),
            BLS12381.hashToG1(abi.encodePacked(digest), signatureDomain).combine(BLS12381.generatorG1(), gamma),
            keyG2
        );
    }

    // ------------------------------------------------------------------------------------------------------- stakes

    function _setStake(address operator, uint8 quorumNumber, uint96 stake) private {
        if (quorumNumber >= QUORUM_LIMIT) revert Quorums.UnknownQuorum(quorumNumber);
        bytes32 operatorId = operatorIds[operator];
        if (operatorId == 0) revert NotRegistered(operator);
        uint96 before = uint96(_stakes[operatorId][quorumNumber].latest());
        if (before == stake) return;
        _stakes[operatorId][quorumNumber].push(stake);
        _totals[quorumNumber].push(uint96(_totals[quorumNumber].latest()) - before + stake);
        if (before == 0 || stake == 0) {
            BLS12381.G1Point memory key = _keys[operatorId];
            BLS12381.G1Point memory apk = _apks[quorumNumber];
            apk = apk.add(stake == 0 ? key.negate() : key);
            _apks[quorumNumber] = apk;
            _apkHashes[quorumNumber].push(_shortHash(apk));
        }
        emit StakeSet(operatorId, quorumNumber, stake);
    }

    /// @dev As much of a key's hash as fits beside a block number, which is what EigenLayer keeps.
    function _shortHash(BLS12381.G1Point memory key) private pure returns (uint192) {
        return uint192(uint256(key.hash()) >> 64);
    }
}
