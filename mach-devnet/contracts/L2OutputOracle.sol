// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Output roots that the proposer of the devnet's rollup claims
/// @notice Interface and events of Optimism's `L2OutputOracle`.
/// @dev Source: https://specs.optimism.io/protocol/proposals.html. The storage is written at genesis, so the order of
/// the variables is part of the devnet.
contract L2OutputOracle {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    OutputProposal[] internal l2Outputs; // 0
    uint256 public startingBlockNumber; // 1
    uint256 public startingTimestamp; // 2
    uint256 public submissionInterval; // 3
    uint256 public l2BlockTime; // 4
    address public proposer; // 5
    address public challenger; // 6
    uint256 public finalizationPeriodSeconds; // 7

    event OutputProposed(
        bytes32 indexed outputRoot, uint256 indexed l2OutputIndex, uint256 indexed l2BlockNumber, uint256 l1Timestamp
    );
    event OutputsDeleted(uint256 indexed prevNextOutputIndex, uint256 indexed newNextOutputIndex);

    function proposeL2Output(bytes32 outputRoot, uint256 l2BlockNumber, bytes32 l1BlockHash, uint256 l1BlockNumber)
        external
        payable
    {
        require(msg.sender == proposer, "L2OutputOracle: only the proposer address can propose new outputs");
        require(
            l2BlockNumber == nextBlockNumber(),
            "L2OutputOracle: block number must be equal to next expected block number"
        );
        require(
            computeL2Timestamp(l2BlockNumber) < block.timestamp,
            "L2OutputOracle: cannot propose L2 output in the future"
        );
        require(outputRoot != bytes32(0), "L2OutputOracle: L2 output proposal cannot be the zero hash");
        require(
            l1BlockHash == bytes32(0) || blockhash(l1BlockNumber) == l1BlockHash,
            "L2OutputOracle: block hash does not match the hash at the expected height"
        );
        emit OutputProposed(outputRoot, l2Outputs.length, l2BlockNumber, block.timestamp);
        l2Outputs.push(OutputProposal(outputRoot, uint128(block.timestamp), uint128(l2BlockNumber)));
    }

    function deleteL2Outputs(uint256 l2OutputIndex) external {
        require(msg.sender == challenger, "L2OutputOracle: only the challenger address can delete outputs");
        uint256 length = l2Outputs.length;
        require(l2OutputIndex < length, "L2OutputOracle: cannot delete outputs after the latest output index");
        while (l2Outputs.length > l2OutputIndex) l2Outputs.pop();
        emit OutputsDeleted(length, l2OutputIndex);
    }

    function getL2Output(uint256 l2OutputIndex) external view returns (OutputProposal memory) {
        return l2Outputs[l2OutputIndex];
    }

    function getL2OutputAfter(uint256 l2BlockNumber) external view returns (OutputProposal memory) {
        return l2Outputs[getL2OutputIndexAfter(l2BlockNumber)];
    }

    /// Index of the first output at or after a block.
    function getL2OutputIndexAfter(uint256 l2BlockNumber) public view returns (uint256) {
        require(
            l2BlockNumber <= latestBlockNumber(),
            "L2OutputOracle: cannot get output for a block that has not been proposed"
        );
        require(l2Outputs.length > 0, "L2OutputOracle: cannot get output as no outputs have been proposed yet");
        uint256 low = 0;
        uint256 high = l2Outputs.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (l2Outputs[middle].l2BlockNumber < l2BlockNumber) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    function latestOutputIndex() external view returns (uint256) {
        return l2Outputs.length - 1;
    }

    function nextOutputIndex() external view returns (uint256) {
        return l2Outputs.length;
    }

    function latestBlockNumber() public view returns (uint256) {
        uint256 length = l2Outputs.length;
        return length == 0 ? startingBlockNumber : l2Outputs[length - 1].l2BlockNumber;
    }

    function nextBlockNumber() public view returns (uint256) {
        return latestBlockNumber() + submissionInterval;
    }

    function computeL2Timestamp(uint256 l2BlockNumber) public view returns (uint256) {
        return startingTimestamp + (l2BlockNumber - startingBlockNumber) * l2BlockTime;
    }
}
