// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {FaultDisputeGame} from "./FaultDisputeGame.sol";

/// @title Makes dispute games
/// @notice Interface and event of Optimism's `DisputeGameFactory`, without bonds.
/// @dev Source: https://specs.optimism.io/fault-proof/stage-one/dispute-game-interface.html
contract DisputeGameFactory {
    struct GameSearchResult {
        uint256 index;
        bytes32 metadata;
        uint64 timestamp;
        bytes32 rootClaim;
        bytes extraData;
    }

    struct Game {
        uint32 gameType;
        uint64 timestamp;
        address proxy;
    }

    Game[] internal list;
    mapping(bytes32 uuid => uint256 indexPlusOne) internal known;

    event DisputeGameCreated(address indexed disputeProxy, uint32 indexed gameType, bytes32 indexed rootClaim);

    error GameAlreadyExists(bytes32 uuid);
    error IncorrectBondAmount();

    function create(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        external
        payable
        returns (address proxy)
    {
        if (msg.value != 0) revert IncorrectBondAmount();
        bytes32 uuid = getGameUUID(gameType, rootClaim, extraData);
        if (known[uuid] != 0) revert GameAlreadyExists(uuid);
        proxy = address(new FaultDisputeGame(gameType, msg.sender, rootClaim, extraData));
        list.push(Game(gameType, uint64(block.timestamp), proxy));
        known[uuid] = list.length;
        emit DisputeGameCreated(proxy, gameType, rootClaim);
    }

    function initBonds(uint32) external pure returns (uint256) {
        return 0;
    }

    function gameCount() external view returns (uint256) {
        return list.length;
    }

    function gameAtIndex(uint256 index) external view returns (uint32 gameType, uint64 timestamp, address proxy) {
        Game memory game = list[index];
        return (game.gameType, game.timestamp, game.proxy);
    }

    function games(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        external
        view
        returns (address proxy, uint64 timestamp)
    {
        uint256 indexPlusOne = known[getGameUUID(gameType, rootClaim, extraData)];
        if (indexPlusOne == 0) return (address(0), 0);
        Game memory game = list[indexPlusOne - 1];
        return (game.proxy, game.timestamp);
    }

    /// The newest `n` games of a type among those up to index `start`, newest first.
    function findLatestGames(uint32 gameType, uint256 start, uint256 n)
        external
        view
        returns (GameSearchResult[] memory found)
    {
        if (start >= list.length || n == 0) return found;
        found = new GameSearchResult[](n);
        uint256 count = 0;
        for (uint256 i = start + 1; i > 0 && count < n; --i) {
            Game memory game = list[i - 1];
            if (game.gameType != gameType) continue;
            FaultDisputeGame proxy = FaultDisputeGame(game.proxy);
            bytes32 metadata = bytes32(
                (uint256(game.gameType) << 224) | (uint256(game.timestamp) << 160) | uint160(game.proxy)
            );
            found[count++] =
                GameSearchResult(i - 1, metadata, game.timestamp, proxy.rootClaim(), proxy.extraData());
        }
        assembly ("memory-safe") {
            mstore(found, count)
        }
    }

    function getGameUUID(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(gameType, rootClaim, extraData));
    }
}
