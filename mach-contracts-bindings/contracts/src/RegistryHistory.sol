// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IMachRegistry} from "./interfaces/IMachRegistry.sol";
import {BN254} from "./libraries/BN254.sol";
import {BlockHistory} from "./libraries/BlockHistory.sol";

/// @title Keys, stakes, quorums and member lists of a registry, now and at every past block
/// @notice Answers the reads of EigenLayer's RegistryCoordinator, BLSApkRegistry, StakeRegistry and IndexRegistry.
/// Of each history the value at the end of a block counts, so ask only about past blocks.
abstract contract RegistryHistory is IMachRegistry {
    using BlockHistory for BlockHistory.Values;
    using BN254 for BN254.G1Point;

    uint8 public quorumCount;
    mapping(address operator => bytes32) public operatorToPubkeyHash;
    mapping(bytes32 operatorId => address) public pubkeyHashToOperator;
    mapping(address operator => BN254.G1Point) public operatorToPubkey;

    mapping(bytes32 operatorId => BlockHistory.Values) private _bitmaps;
    mapping(uint8 quorumNumber => BN254.G1Point) private _apks;
    mapping(uint8 quorumNumber => BlockHistory.Values) private _apkHashes;
    mapping(uint8 quorumNumber => BlockHistory.Values) private _totalStakes;
    mapping(bytes32 operatorId => mapping(uint8 quorumNumber => BlockHistory.Values)) private _stakes;

    /// @dev All operators that ever had a key. Lists hold positions in it, which fit a history's value.
    bytes32[] private _operatorIds;
    mapping(bytes32 operatorId => uint256) private _serials;
    mapping(uint8 quorumNumber => BlockHistory.Values) private _counts;
    mapping(uint8 quorumNumber => mapping(uint256 index => BlockHistory.Values)) private _members;
    mapping(uint8 quorumNumber => mapping(bytes32 operatorId => uint32)) private _indices;

    // ------------------------------------------------------------------------------------------- quorums of operators

    function getCurrentQuorumBitmap(bytes32 operatorId) public view returns (uint192) {
        return _bitmaps[operatorId].latest();
    }

    function getQuorumBitmapAtBlockNumberByIndex(bytes32 operatorId, uint32 blockNumber, uint256 index)
        external
        view
        returns (uint192)
    {
        return _bitmaps[operatorId].at(index, blockNumber);
    }

    function getQuorumBitmapIndicesAtBlockNumber(uint32 blockNumber, bytes32[] memory operatorIds)
        external
        view
        returns (uint32[] memory indices)
    {
        indices = new uint32[](operatorIds.length);
        for (uint256 i = 0; i < indices.length; ++i) indices[i] = _bitmaps[operatorIds[i]].indexAt(blockNumber);
    }

    // ----------------------------------------------------------------------------------------------------------- keys

    /// @notice Sum of the keys of the quorum's members.
    function getApk(uint8 quorumNumber) external view returns (BN254.G1Point memory) {
        return _apks[quorumNumber];
    }

    function getApkHistoryLength(uint8 quorumNumber) external view returns (uint32) {
        return uint32(_apkHashes[quorumNumber].entries.length);
    }

    function getApkHashAtBlockNumberAndIndex(uint8 quorumNumber, uint32 blockNumber, uint256 index)
        external
        view
        returns (bytes24)
    {
        return bytes24(_apkHashes[quorumNumber].at(index, blockNumber));
    }

    function getApkIndicesAtBlockNumber(bytes calldata quorumNumbers, uint256 blockNumber)
        external
        view
        returns (uint32[] memory indices)
    {
        indices = new uint32[](quorumNumbers.length);
        for (uint256 i = 0; i < indices.length; ++i) {
            indices[i] = _apkHashes[uint8(quorumNumbers[i])].indexAt(blockNumber);
        }
    }

    /// @notice The key of `operator` and its hash, the operator id.
    function getRegisteredPubkey(address operator) external view returns (BN254.G1Point memory, bytes32) {
        return (operatorToPubkey[operator], operatorToPubkeyHash[operator]);
    }

    function getOperatorFromPubkeyHash(bytes32 pubkeyHash) external view returns (address) {
        return pubkeyHashToOperator[pubkeyHash];
    }

    // --------------------------------------------------------------------------------------------------------- stakes

    function getCurrentStake(bytes32 operatorId, uint8 quorumNumber) external view returns (uint96) {
        return uint96(_stakes[operatorId][quorumNumber].latest());
    }

    function getCurrentTotalStake(uint8 quorumNumber) external view returns (uint96) {
        return uint96(_totalStakes[quorumNumber].latest());
    }

    function getStakeAtBlockNumber(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber)
        external
        view
        returns (uint96)
    {
        return uint96(_stakes[operatorId][quorumNumber].valueAt(blockNumber));
    }

    function getStakeAtBlockNumberAndIndex(uint8 quorumNumber, uint32 blockNumber, bytes32 operatorId, uint256 index)
        external
        view
        returns (uint96)
    {
        return uint96(_stakes[operatorId][quorumNumber].at(index, blockNumber));
    }

    function getStakeUpdateIndexAtBlockNumber(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber)
        external
        view
        returns (uint32)
    {
        return _stakes[operatorId][quorumNumber].indexAt(blockNumber);
    }

    function getTotalStakeAtBlockNumberFromIndex(uint8 quorumNumber, uint32 blockNumber, uint256 index)
        external
        view
        returns (uint96)
    {
        return uint96(_totalStakes[quorumNumber].at(index, blockNumber));
    }

    function getTotalStakeIndicesAtBlockNumber(uint32 blockNumber, bytes calldata quorumNumbers)
        external
        view
        returns (uint32[] memory indices)
    {
        indices = new uint32[](quorumNumbers.length);
        for (uint256 i = 0; i < indices.length; ++i) {
            indices[i] = _totalStakes[uint8(quorumNumbers[i])].indexAt(blockNumber);
        }
    }

    // ---------------------------------------------------------------------------------------------------------- lists

    function totalOperatorsForQuorum(uint8 quorumNumber) public view returns (uint32) {
        return uint32(_counts[quorumNumber].latest());
    }

    function getOperatorListAtBlockNumber(uint8 quorumNumber, uint32 blockNumber)
        external
        view
        returns (bytes32[] memory operatorIds)
    {
        operatorIds = new bytes32[](_counts[quorumNumber].valueAt(blockNumber));
        for (uint256 i = 0; i < operatorIds.length; ++i) {
            operatorIds[i] = _operatorIds[_members[quorumNumber][i].valueAt(blockNumber)];
        }
    }

    // --------------------------------------------------------------------------------------------------------- writes

    /// @dev Histories start with the quorum; no key hashes to zero, so that an empty new quorum verifies nothing.
    function _createQuorum() internal returns (uint8 quorumNumber) {
        if (quorumCount == 192) revert TooManyQuorums();
        quorumNumber = quorumCount++;
        _apkHashes[quorumNumber].push(0);
        _totalStakes[quorumNumber].push(0);
        _counts[quorumNumber].push(0);
        emit QuorumCreated(quorumNumber);
    }

    function _recordKey(address operator, bytes32 operatorId, BN254.G1Point memory pubkey) internal {
        operatorToPubkey[operator] = pubkey;
        operatorToPubkeyHash[operator] = operatorId;
        pubkeyHashToOperator[operatorId] = operator;
        _serials[operatorId] = _operatorIds.length;
        _operatorIds.push(operatorId);
    }

    function _recordBitmap(bytes32 operatorId, uint256 bitmap) internal {
        _bitmaps[operatorId].push(uint192(bitmap));
    }

    function _addMember(uint8 quorumNumber, bytes32 operatorId, BN254.G1Point memory pubkey, uint96 stake) internal {
        uint32 count = totalOperatorsForQuorum(quorumNumber);
        _place(quorumNumber, count, operatorId);
        _counts[quorumNumber].push(count + 1);
        _setApk(quorumNumber, _apks[quorumNumber].add(pubkey));
        _setStake(quorumNumber, operatorId, stake);
    }

    function _removeMember(uint8 quorumNumber, bytes32 operatorId, BN254.G1Point memory pubkey) internal {
        uint32 last = totalOperatorsForQuorum(quorumNumber) - 1;
        uint32 index = _indices[quorumNumber][operatorId];
        // The last member moves into the gap.
        if (index != last) _place(quorumNumber, index, _operatorIds[_members[quorumNumber][last].latest()]);
        _counts[quorumNumber].push(last);
        _setApk(quorumNumber, _apks[quorumNumber].add(pubkey.negate()));
        _setStake(quorumNumber, operatorId, 0);
    }

    function _setStake(uint8 quorumNumber, bytes32 operatorId, uint96 stake) internal {
        BlockHistory.Values storage stakes = _stakes[operatorId][quorumNumber];
        BlockHistory.Values storage totals = _totalStakes[quorumNumber];
        // Checked arithmetic on uint96: weights that add up to more are refused.
        uint96 total = uint96(totals.latest()) - uint96(stakes.latest()) + stake;
        stakes.push(stake);
        totals.push(total);
        emit OperatorStakeUpdate(operatorId, quorumNumber, stake);
    }

    function _place(uint8 quorumNumber, uint32 index, bytes32 operatorId) private {
        _indices[quorumNumber][operatorId] = index;
        _members[quorumNumber][index].push(uint192(_serials[operatorId]));
        emit QuorumIndexUpdate(operatorId, quorumNumber, index);
    }

    function _setApk(uint8 quorumNumber, BN254.G1Point memory apk) private {
        _apks[quorumNumber] = apk;
        _apkHashes[quorumNumber].push(uint192(bytes24(apk.hash())));
    }
}
