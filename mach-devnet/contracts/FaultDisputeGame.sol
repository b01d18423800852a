// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

enum GameStatus {
    IN_PROGRESS,
    CHALLENGER_WINS,
    DEFENDER_WINS
}

/// @title One claim of an output root that is open to dispute
/// @notice The reads of Optimism's `FaultDisputeGame`. The game itself is cut down to one move: whoever counters the root
/// claim before the clock runs out wins.
/// @dev Source: https://specs.optimism.io/fault-proof/stage-one/fault-dispute-game.html
contract FaultDisputeGame {
    uint64 public constant maxClockDuration = 3.5 days;

    uint32 public immutable gameType;
    address public immutable gameCreator;
    bytes32 public immutable rootClaim;
    bytes32 public immutable l1Head;
    uint64 public immutable createdAt;
    uint256 public immutable l2BlockNumber;

    uint64 public resolvedAt;
    GameStatus public status;
    bool public countered;

    event Resolved(GameStatus indexed status);

    error BadExtraData();
    error ClockNotExpired();
    error GameNotInProgress();

    constructor(uint32 gameType_, address gameCreator_, bytes32 rootClaim_, bytes memory extraData_) {
        if (extraData_.length != 32) revert BadExtraData();
        gameType = gameType_;
        gameCreator = gameCreator_;
        rootClaim = rootClaim_;
        l1Head = blockhash(block.number - 1);
        createdAt = uint64(block.timestamp);
        l2BlockNumber = abi.decode(extraData_, (uint256));
    }

    function extraData() public view returns (bytes memory) {
        return abi.encode(l2BlockNumber);
    }

    function l2SequenceNumber() external view returns (uint256) {
        return l2BlockNumber;
    }

    function gameData() external view returns (uint32, bytes32, bytes memory) {
        return (gameType, rootClaim, extraData());
    }

    function counter() external {
        if (status != GameStatus.IN_PROGRESS || expired()) revert GameNotInProgress();
        countered = true;
    }

    function resolve() external returns (GameStatus) {
        if (status != GameStatus.IN_PROGRESS) revert GameNotInProgress();
        if (!countered && !expired()) revert ClockNotExpired();
        status = countered ? GameStatus.CHALLENGER_WINS : GameStatus.DEFENDER_WINS;
        resolvedAt = uint64(block.timestamp);
        emit Resolved(status);
        return status;
    }

    function expired() private view returns (bool) {
        return block.timestamp >= createdAt + maxClockDuration;
    }
}
