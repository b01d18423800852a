// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IRegistryCoordinator, IStakeRegistry} from "./interfaces/IEigenLayer.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title Reads for off-chain use: who is registered at a block, and the indices that `checkSignatures` wants
/// @notice Has no state; works on any registry coordinator with EigenLayer's M2 interface.
contract OperatorStateRetriever {
    struct Operator {
        address operator;
        bytes32 operatorId;
        uint96 stake;
    }

    struct CheckSignaturesIndices {
        uint32[] nonSignerQuorumBitmapIndices;
        uint32[] quorumApkIndices;
        uint32[] totalStakeIndices;
        uint32[][] nonSignerStakeIndices;
    }

    /// @notice The operator was in no quorum at the block, so that it cannot be absent from one.
    error NotRegisteredAt(bytes32 operatorId, uint32 blockNumber);

    /// @notice The operators of each quorum in `quorumNumbers`, with their stake in it.
    function getOperatorState(address registryCoordinator, bytes memory quorumNumbers, uint32 blockNumber)
        public
        view
        returns (Operator[][] memory operators)
    {
        IRegistryCoordinator coordinator = IRegistryCoordinator(registryCoordinator);
        operators = new Operator[][](quorumNumbers.length);
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            operators[i] = _operators(coordinator, uint8(quorumNumbers[i]), blockNumber);
        }
    }

    /// @notice The quorums of one operator, as a bitmap, and the operators of each of them.
    function getOperatorState(address registryCoordinator, bytes32 operatorId, uint32 blockNumber)
        external
        view
        returns (uint256 bitmap, Operator[][] memory operators)
    {
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = operatorId;
        bitmap = getQuorumBitmapsAtBlockNumber(registryCoordinator, ids, blockNumber)[0];
        operators = getOperatorState(registryCoordinator, Quorums.toBytes(bitmap), blockNumber);
    }

    function getQuorumBitmapsAtBlockNumber(address registryCoordinator, bytes32[] memory operatorIds, uint32 blockNumber)
        public
        view
        returns (uint256[] memory bitmaps)
    {
        IRegistryCoordinator coordinator = IRegistryCoordinator(registryCoordinator);
        uint32[] memory indices = coordinator.getQuorumBitmapIndicesAtBlockNumber(blockNumber, operatorIds);
        bitmaps = new uint256[](operatorIds.length);
        for (uint256 i = 0; i < operatorIds.length; ++i) {
            bitmaps[i] = coordinator.getQuorumBitmapAtBlockNumberByIndex(operatorIds[i], blockNumber, indices[i]);
        }
    }

    /// @param nonSignerOperatorIds strictly ascending, as `checkSignatures` wants the keys
    function getCheckSignaturesIndices(
        address registryCoordinator,
        uint32 referenceBlockNumber,
        bytes calldata quorumNumbers,
        bytes32[] calldata nonSignerOperatorIds
    ) external view returns (CheckSignaturesIndices memory indices) {
        IRegistryCoordinator coordinator = IRegistryCoordinator(registryCoordinator);
        IStakeRegistry stakes = coordinator.stakeRegistry();
        indices.nonSignerQuorumBitmapIndices =
            coordinator.getQuorumBitmapIndicesAtBlockNumber(referenceBlockNumber, nonSignerOperatorIds);
        indices.quorumApkIndices =
            coordinator.blsApkRegistry().getApkIndicesAtBlockNumber(quorumNumbers, referenceBlockNumber);
        indices.totalStakeIndices = stakes.getTotalStakeIndicesAtBlockNumber(referenceBlockNumber, quorumNumbers);

        uint256[] memory bitmaps =
            getQuorumBitmapsAtBlockNumber(registryCoordinator, nonSignerOperatorIds, referenceBlockNumber);
        for (uint256 i = 0; i < bitmaps.length; ++i) {
            if (bitmaps[i] == 0) revert NotRegisteredAt(nonSignerOperatorIds[i], referenceBlockNumber);
        }
        indices.nonSignerStakeIndices = new uint32[][](quorumNumbers.length);
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            indices.nonSignerStakeIndices[i] =
                _stakeIndices(stakes, uint8(quorumNumbers[i]), referenceBlockNumber, nonSignerOperatorIds, bitmaps);
        }
    }

    function _operators(IRegistryCoordinator coordinator, uint8 quorumNumber, uint32 blockNumber)
        private
        view
        returns (Operator[] memory operators)
    {
        bytes32[] memory ids = coordinator.indexRegistry().getOperatorListAtBlockNumber(quorumNumber, blockNumber);
        IStakeRegistry stakes = coordinator.stakeRegistry();
        operators = new Operator[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            operators[i] = Operator(
                coordinator.getOperatorFromId(ids[i]),
                ids[i],
                stakes.getStakeAtBlockNumber(ids[i], quorumNumber, blockNumber)
            );
        }
    }

    function _stakeIndices(
        IStakeRegistry stakes,
        uint8 quorumNumber,
        uint32 blockNumber,
        bytes32[] calldata ids,
        uint256[] memory bitmaps
    ) private view returns (uint32[] memory indices) {
        uint256 count = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (Quorums.contains(bitmaps[i], quorumNumber)) ++count;
        }
        indices = new uint32[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (!Quorums.contains(bitmaps[i], quorumNumber)) continue;
            indices[next++] = stakes.getStakeUpdateIndexAtBlockNumber(ids[i], quorumNumber, blockNumber);
        }
    }
}
