// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {BLSSignatureChecker} from "../BLSSignatureChecker.sol";
import {IMachStatements} from "../interfaces/IMachStatements.sol";
import {BN254} from "./BN254.sol";

/// @notice What of `MachServiceManager` the check on L1 needs.
interface IMachSignatures {
    function checkSignatures(
        bytes32 msgHash,
        bytes calldata quorumNumbers,
        uint32 referenceBlockNumber,
        BLSSignatureChecker.NonSignerStakesAndSignature calldata params
    ) external view returns (BLSSignatureChecker.QuorumStakeTotals memory totals, bytes32 signatoryRecordHash);

    function statementQuorums() external view returns (bytes memory quorumNumbers, bytes memory thresholds);

    function maxReferenceBlockAge() external view returns (uint32);
}

/// @title Attestations of rollup blocks, checked by the contract that uses them
/// @notice On L1 `check` asks the service manager for keys and stakes, and nothing is left to trust. Anywhere else
/// `checkSelfContained` takes a certificate file as it is: what it then rests on is that the operators at the reference
/// block are those of the file, which is the hash that it returns.
/// @dev Neither needs the attestation to stand on L1, and neither changes anything there.
library MachCertificate {
    using BN254 for BN254.G1Point;

    struct QuorumStake {
        uint8 quorumNumber;
        uint96 stake;
    }

    /// @dev `stakes` are those of the certificate's quorums that the operator is in, ascending.
    struct NonSigner {
        BN254.G1Point key;
        QuorumStake[] stakes;
    }

    /// @dev `apk` is the sum of the keys of all members, signers or not.
    struct Quorum {
        uint8 number;
        uint8 threshold;
        BN254.G1Point apk;
        uint96 totalStake;
    }

    /// @dev Non-signers ascend by the hash of their key. A signer in k of the quorums counts k times in `apkG2` and `sigma`.
    struct Certificate {
        IMachStatements.Attestation attestation;
        uint64 l1ChainId;
        address serviceManager;
        uint32 referenceBlockNumber;
        Quorum[] quorums;
        NonSigner[] nonSigners;
        BN254.G2Point apkG2;
        BN254.G1Point sigma;
    }

    error NoQuorums();
    error QuorumsNotAscending(uint8 quorumNumber);
    error InvalidThreshold(uint8 quorumNumber, uint8 threshold);
    error QuorumWithoutStake(uint8 quorumNumber);
    error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
    error NonSignersNotAscending(bytes32 operatorId);
    /// @notice The stakes of a non-signer are none, not ascending, of other quorums or more than all.
    error InvalidNonSigner(bytes32 operatorId);
    error IdentityKey();
    error InvalidSignature();
    error ReferenceBlockTooOld(uint32 referenceBlockNumber);

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,bytes32 stateRoot,bytes32 outputRoot)"
    );

    /// @notice What operators sign to attest a block.
    function digest(IMachStatements.Attestation memory attestation, uint256 l1ChainId, address serviceManager)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Mach"), keccak256("3"), l1ChainId, serviceManager)
        );
        // Every member is static: the encoding of the struct is the encoding of its members.
        bytes32 body = keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation));
        return keccak256(abi.encodePacked(hex"1901", domain, body));
    }

    /// @notice Reverts unless enough stake of the operators at `referenceBlockNumber` has signed `attestation`, by the rules
    /// that `serviceManager` has for statements: its quorums, its thresholds, its age of reference blocks.
    /// @dev For L1, where `serviceManager` is. Its errors are those of `checkSignatures`.
    /// @return totals stake per quorum, in the order of `statementQuorums`
    function check(
        address serviceManager,
        IMachStatements.Attestation memory attestation,
        uint32 referenceBlockNumber,
        BLSSignatureChecker.NonSignerStakesAndSignature calldata params
    ) internal view returns (BLSSignatureChecker.QuorumStakeTotals memory totals) {
        IMachSignatures manager = IMachSignatures(serviceManager);
        if (uint256(referenceBlockNumber) + manager.maxReferenceBlockAge() < block.number) {
            revert ReferenceBlockTooOld(referenceBlockNumber);
        }
        (bytes memory quorumNumbers, bytes memory thresholds) = manager.statementQuorums();
        if (quorumNumbers.length == 0) revert NoQuorums();
        bytes32 signed = digest(attestation, block.chainid, serviceManager);
        (totals,) = manager.checkSignatures(signed, quorumNumbers, referenceBlockNumber, params);
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            _checkThreshold(
                uint8(quorumNumbers[i]),
                totals.signedStakeForQuorum[i],
                totals.totalStakeForQuorum[i],
                uint8(thresholds[i])
            );
        }
    }

    /// @notice Reverts unless the certificate proves what it says, given its operators.
    /// @dev Which chain, which service manager, which quorums, which thresholds and which operators are good enough is for
    /// the caller to say: whoever makes up operators signs for them.
    /// @return signedStake stake behind the signature, for each quorum in the order of the certificate
    /// @return operators the hash of the operators: `Certificate::operators_digest` of mach-core
    function checkSelfContained(Certificate memory certificate)
        internal
        view
        returns (uint96[] memory signedStake, bytes32 operators)
    {
        BN254.G1Point memory apk;
        bytes memory packed;
        (apk, signedStake, packed) = _readQuorums(certificate);
        (apk, packed) = _readNonSigners(certificate, apk, signedStake, packed);
        for (uint256 i = 0; i < signedStake.length; ++i) {
            Quorum memory quorum = certificate.quorums[i];
            _checkThreshold(quorum.number, signedStake[i], quorum.totalStake, quorum.threshold);
        }
        // Keys that sum up to the identity have one signature of every message.
        if (_isIdentity(apk)) revert IdentityKey();
        bytes32 signed = digest(certificate.attestation, certificate.l1ChainId, certificate.serviceManager);
        if (!_isSignedBy(signed, apk, certificate.apkG2, certificate.sigma)) revert InvalidSignature();
        operators = keccak256(packed);
    }

    function _readQuorums(Certificate memory certificate)
        private
        view
        returns (BN254.G1Point memory apk, uint96[] memory signedStake, bytes memory packed)
    {
        uint256 count = certificate.quorums.length;
        if (count == 0) revert NoQuorums();
        signedStake = new uint96[](count);
        packed = abi.encodePacked(
            "mach operators",
            "bn254",
            uint8(0),
            certificate.l1ChainId,
            certificate.serviceManager,
            certificate.referenceBlockNumber,
            uint64(count)
        );
        for (uint256 i = 0; i < count; ++i) {
            Quorum memory quorum = certificate.quorums[i];
            if (i > 0 && quorum.number <= certificate.quorums[i - 1].number) revert QuorumsNotAscending(quorum.number);
            if (quorum.threshold == 0 || quorum.threshold > 100) revert InvalidThreshold(quorum.number, quorum.threshold);
            if (_isIdentity(quorum.apk)) revert IdentityKey();
            signedStake[i] = quorum.totalStake;
            apk = apk.add(quorum.apk);
            packed =
                abi.encodePacked(packed, quorum.number, quorum.apk.X, quorum.apk.Y, uint128(quorum.totalStake));
        }
    }

    /// @dev Takes the absent out of the keys and of the stakes.
    function _readNonSigners(
        Certificate memory certificate,
        BN254.G1Point memory apk,
        uint96[] memory signedStake,
        bytes memory packed
    ) private view returns (BN254.G1Point memory, bytes memory) {
        packed = abi.encodePacked(packed, uint64(certificate.nonSigners.length));
        bytes32 previous;
        for (uint256 j = 0; j < certificate.nonSigners.length; ++j) {
            NonSigner memory absent = certificate.nonSigners[j];
            bytes32 operatorId = absent.key.hash();
            if (operatorId <= previous) revert NonSignersNotAscending(operatorId);
            previous = operatorId;
            if (_isIdentity(absent.key)) revert IdentityKey();
            packed =
                abi.encodePacked(packed, absent.key.X, absent.key.Y, _readStakes(certificate, operatorId, absent, signedStake));
            BN254.G1Point memory key = absent.key.negate();
            if (absent.stakes.length > 1) key = key.mul(absent.stakes.length);
            apk = apk.add(key);
        }
        return (apk, packed);
    }

    function _readStakes(
        Certificate memory certificate,
        bytes32 operatorId,
        NonSigner memory absent,
        uint96[] memory signedStake
    ) private pure returns (bytes memory packed) {
        uint256 count = absent.stakes.length;
        if (count == 0 || count > signedStake.length) revert InvalidNonSigner(operatorId);
        packed = abi.encodePacked(uint8(count));
        uint256 i = 0;
        for (uint256 k = 0; k < count; ++k) {
            QuorumStake memory of_ = absent.stakes[k];
            // Both ascend, so that each quorum is passed once.
            while (i < signedStake.length && certificate.quorums[i].number != of_.quorumNumber) ++i;
            if (i == signedStake.length || of_.stake > signedStake[i]) revert InvalidNonSigner(operatorId);
            signedStake[i++] -= of_.stake;
            packed = abi.encodePacked(packed, of_.quorumNumber, uint128(of_.stake));
        }
    }

    function _checkThreshold(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold) private pure {
        // Nobody's signature is enough where nobody has stake: 0 of 0 meets every percentage.
        if (totalStake == 0) revert QuorumWithoutStake(quorumNumber);
        if (uint256(signedStake) * 100 < uint256(totalStake) * threshold) {
            revert ThresholdNotMet(quorumNumber, signedStake, totalStake, threshold);
        }
    }

    /// @dev One pairing check for both questions: is it the same key in both groups, and is `sigma` its signature. The weight
    /// is known only once everything else is, so that no error cancels another.
    function _isSignedBy(
        bytes32 message,
        BN254.G1Point memory apk,
        BN254.G2Point memory apkG2,
        BN254.G1Point memory sigma
    ) private view returns (bool) {
        uint256 gamma = uint256(keccak256(abi.encode(message, apk, apkG2, sigma))) % BN254.R;
        (bool success, bool isOne) = BN254.pairing(
            sigma.add(apk.mul(gamma)),
            BN254.negatedGeneratorG2(),
            BN254.hashToG1(message).add(BN254.generatorG1().mul(gamma)),
            apkG2
        );
        return success && isOne;
    }

    function _isIdentity(BN254.G1Point memory point) private pure returns (bool) {
        return point.X == 0 && point.Y == 0;
    }
}
