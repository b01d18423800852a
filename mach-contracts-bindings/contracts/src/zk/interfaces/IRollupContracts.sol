// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IMachStatements} from "../../interfaces/IMachStatements.sol";

/// @dev Source of the first three: https://specs.optimism.io/protocol/proposals.html and
/// https://specs.optimism.io/fault-proof/stage-one/dispute-game-interface.html
interface IL2OutputOracle {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    function getL2Output(uint256 l2OutputIndex) external view returns (OutputProposal memory);
    function latestOutputIndex() external view returns (uint256);
}

interface IDisputeGameFactory {
    function gameCount() external view returns (uint256);
    function gameAtIndex(uint256 index) external view returns (uint32 gameType, uint64 timestamp, address proxy);
}

interface IDisputeGame {
    function rootClaim() external view returns (bytes32);
    function l2BlockNumber() external view returns (uint256);
    function gameCreator() external view returns (address);
}

/// @notice Of `MachServiceManager`: what enough stake has attested.
interface IAttestations {
    function attestation(uint256 rollupChainId, uint64 blockNumber)
        external
        view
        returns (IMachStatements.Attestation memory attested, bytes32 digest);
}
