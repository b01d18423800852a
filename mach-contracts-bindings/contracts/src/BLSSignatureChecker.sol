// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {
    IBLSApkRegistry,
    IDelegationManager,
    IRegistryCoordinator,
    IStakeRegistry
} from "./interfaces/IEigenLayer.sol";
import {BN254} from "./libraries/BN254.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title Checks an aggregate BLS signature against the operators registered at a past block
/// @notice Same interface, messages and rules as EigenLayer's contract of this name, over any registry that
/// answers like EigenLayer's M2 registries.
abstract contract BLSSignatureChecker {
    using BN254 for BN254.G1Point;

    /// @dev An operator in k of the signing quorums counts k times in the keys and in `sigma`.
    struct NonSignerStakesAndSignature {
        uint32[] nonSignerQuorumBitmapIndices;
        BN254.G1Point[] nonSignerPubkeys;
        BN254.G1Point[] quorumApks;
        BN254.G2Point apkG2;
        BN254.G1Point sigma;
        uint32[] quorumApkIndices;
        uint32[] totalStakeIndices;
        uint32[][] nonSignerStakeIndices;
    }

    struct QuorumStakeTotals {
        uint96[] signedStakeForQuorum;
        uint96[] totalStakeForQuorum;
    }

    /// @dev Registered operators that did not sign: their ids, and their quorums at the reference block.
    struct NonSigners {
        bytes32[] ids;
        uint256[] quorumBitmaps;
    }

    event StaleStakesForbiddenUpdate(bool value);

    IRegistryCoordinator public immutable registryCoordinator;
    IStakeRegistry public immutable stakeRegistry;
    IBLSApkRegistry public immutable blsApkRegistry;
    IDelegationManager public immutable delegation;

    /// @notice Whether stakes must have been refreshed within EigenLayer's withdrawal delay.
    bool public staleStakesForbidden;

    constructor(
        IRegistryCoordinator registryCoordinator_,
        IStakeRegistry stakeRegistry_,
        IBLSApkRegistry blsApkRegistry_,
        IDelegationManager delegation_
    ) {
        registryCoordinator = registryCoordinator_;
        stakeRegistry = stakeRegistry_;
        blsApkRegistry = blsApkRegistry_;
        delegation = delegation_;
    }

    function setStaleStakesForbidden(bool value) external {
        require(
            msg.sender == registryCoordinator.owner(),
            "BLSSignatureChecker.onlyCoordinatorOwner: caller is not the owner of the registryCoordinator"
        );
        staleStakesForbidden = value;
        emit StaleStakesForbiddenUpdate(value);
    }

    /// @notice The stake of each quorum that stands behind the signature, and all of its stake.
    /// @dev Reverts unless the signature is valid. Says nothing about thresholds: an empty set of signers is valid.
    /// @return totals stake per quorum, in the order of `quorumNumbers`
    /// @return signatoryRecordHash commits to the reference block and the non-signers
    function checkSignatures(
        bytes32 msgHash,
        bytes calldata quorumNumbers,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params
    ) external view returns (QuorumStakeTotals memory totals, bytes32 signatoryRecordHash) {
        return _checkSignatures(msgHash, quorumNumbers, referenceBlockNumber, params);
    }

    /// @notice Whether `sigma` is the signature of `msgHash` by the key whose halves are `apk` and `apkG2`.
    /// @dev One pairing check for both questions: is it the same key in both groups, and is it its signature.
    function trySignatureAndApkVerification(
        bytes32 msgHash,
        BN254.G1Point memory apk,
        BN254.G2Point memory apkG2,
        BN254.G1Point memory sigma
    ) public view returns (bool pairingSuccessful, bool siganatureIsValid) {
        uint256 gamma = uint256(keccak256(abi.encode(msgHash, apk, apkG2, sigma))) % BN254.R;
        return BN254.pairing(
            sigma.add(apk.mul(gamma)),
            BN254.negatedGeneratorG2(),
            BN254.hashToG1(msgHash).add(BN254.generatorG1().mul(gamma)),
            apkG2
        );
    }

    function _checkSignatures(
        bytes32 msgHash,
        bytes memory quorumNumbers,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params
    ) internal view returns (QuorumStakeTotals memory totals, bytes32 signatoryRecordHash) {
        _checkShape(quorumNumbers, referenceBlockNumber, params);
        (NonSigners memory nonSigners, BN254.G1Point memory absent) =
            _readNonSigners(quorumNumbers, referenceBlockNumber, params);

        _checkFreshness(quorumNumbers, referenceBlockNumber);
        BN254.G1Point memory apk = absent.negate();
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            uint8 quorumNumber = uint8(quorumNumbers[i]);
            require(
                bytes24(params.quorumApks[i].hash())
                    == blsApkRegistry.getApkHashAtBlockNumberAndIndex(
                        quorumNumber, referenceBlockNumber, params.quorumApkIndices[i]
                    ),
                "BLSSignatureChecker.checkSignatures: quorumApk hash in storage does not match provided quorum apk"
            );
            apk = apk.add(params.quorumApks[i]);
        }
        totals = _readStakes(quorumNumbers, referenceBlockNumber, params, nonSigners);

        (bool pairingSuccessful, bool isValid) =
            trySignatureAndApkVerification(msgHash, apk, params.apkG2, params.sigma);
        require(pairingSuccessful, "BLSSignatureChecker.checkSignatures: pairing precompile call failed");
        require(isValid, "BLSSignatureChecker.checkSignatures: signature is invalid");
        signatoryRecordHash = keccak256(abi.encodePacked(referenceBlockNumber, nonSigners.ids));
    }

    function _checkShape(
        bytes memory quorumNumbers,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params
    ) private view {
        uint256 quorums = quorumNumbers.length;
        require(quorums != 0, "BLSSignatureChecker.checkSignatures: empty quorum input");
        require(
            quorums == params.quorumApks.length && quorums == params.quorumApkIndices.length
                && quorums == params.totalStakeIndices.length && quorums == params.nonSignerStakeIndices.length,
            "BLSSignatureChecker.checkSignatures: input quorum length mismatch"
        );
        require(
            params.nonSignerPubkeys.length == params.nonSignerQuorumBitmapIndices.length,
            "BLSSignatureChecker.checkSignatures: input nonsigner length mismatch"
        );
        require(
            referenceBlockNumber < block.number, "BLSSignatureChecker.checkSignatures: invalid reference block"
        );
    }

    /// @return nonSigners who did not sign
    /// @return absent the sum of their keys, each as often as it is in the sum of the quorums' keys
    function _readNonSigners(
        bytes memory quorumNumbers,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params
    ) private view returns (NonSigners memory nonSigners, BN254.G1Point memory absent) {
        uint256 signing = Quorums.toBitmap(quorumNumbers, registryCoordinator.quorumCount());
        uint256 count = params.nonSignerPubkeys.length;
        nonSigners = NonSigners(new bytes32[](count), new uint256[](count));
        for (uint256 i = 0; i < count; ++i) {
            BN254.G1Point memory pubkey = params.nonSignerPubkeys[i];
            bytes32 id = pubkey.hash();
            require(
                i == 0 || uint256(id) > uint256(nonSigners.ids[i - 1]),
                "BLSSignatureChecker.checkSignatures: nonSignerPubkeys not sorted"
            );
            uint256 bitmap = registryCoordinator.getQuorumBitmapAtBlockNumberByIndex(
                id, referenceBlockNumber, params.nonSignerQuorumBitmapIndices[i]
            );
            nonSigners.ids[i] = id;
            nonSigners.quorumBitmaps[i] = bitmap;
            uint256 times = Quorums.size(bitmap & signing);
            if (times > 1) pubkey = pubkey.mul(times);
            if (times > 0) absent = absent.add(pubkey);
        }
    }

    function _checkFreshness(bytes memory quorumNumbers, uint32 referenceBlockNumber) private view {
        if (!staleStakesForbidden) return;
        uint256 delay = delegation.minWithdrawalDelayBlocks();
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            require(
                registryCoordinator.quorumUpdateBlockNumber(uint8(quorumNumbers[i])) + delay > referenceBlockNumber,
                "BLSSignatureChecker.checkSignatures: StakeRegistry updates must be within withdrawalDelayBlocks window"
            );
        }
    }

    function _readStakes(
        bytes memory quorumNumbers,
        uint32 referenceBlockNumber,
        NonSignerStakesAndSignature calldata params,
        NonSigners memory nonSigners
    ) private view returns (QuorumStakeTotals memory totals) {
        totals = QuorumStakeTotals(new uint96[](quorumNumbers.length), new uint96[](quorumNumbers.length));
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            uint8 quorumNumber = uint8(quorumNumbers[i]);
            uint96 total = stakeRegistry.getTotalStakeAtBlockNumberFromIndex(
                quorumNumber, referenceBlockNumber, params.totalStakeIndices[i]
            );
            totals.totalStakeForQuorum[i] = total;
            totals.signedStakeForQuorum[i] = total;
            // The indices of a quorum are dense: only non-signers that are in it have one.
            uint256 next = 0;
            for (uint256 j = 0; j < nonSigners.ids.length; ++j) {
                if (!Quorums.contains(nonSigners.quorumBitmaps[j], quorumNumber)) continue;
                totals.signedStakeForQuorum[i] -= stakeRegistry.getStakeAtBlockNumberAndIndex(
                    quorumNumber, referenceBlockNumber, nonSigners.ids[j], params.nonSignerStakeIndices[i][next++]
                );
            }
        }
    }
}
