// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IMachZk} from "./interfaces/IMachZk.sol";
import {IDisputeGame, IDisputeGameFactory, IL2OutputOracle} from "./interfaces/IRollupContracts.sol";
import {HeaderRlp} from "./libraries/HeaderRlp.sol";
import {OutputRoots} from "./libraries/OutputRoots.sol";

/// @title What the EVM can see by itself of headers and output roots
/// @notice Nobody owns it, and nothing that it keeps can become untrue: which header descends from which. The service manager
/// makes one of its own; a contract for itself, because together they would be above the limit of code.
contract ZkEvidence {
    /// @notice From now on a descent from `blockHash` may begin at `ancestor`.
    event DescentRecorded(bytes32 indexed blockHash, bytes32 indexed ancestor);

    error HeaderMismatch(bytes32 expected, bytes32 actual);
    error TooManyHeaders(uint256 count);
    /// @notice Nobody has shown here that the one descends from the other.
    error NoDescent(bytes32 blockHash, bytes32 ancestor);

    /// @notice In one call, so that its gas is bounded. Nodes take no transactions above 128 KiB, some 200 headers.
    uint256 public constant MAX_HEADERS = 512;

    /// @notice The times of the rollup's blocks: see `IMachZk.BlockTimes`.
    uint64 public immutable firstBlock;
    uint64 public immutable firstTimestamp;
    uint64 public immutable blockTime;

    /// @notice Whether somebody has shown that one header is an ancestor of another.
    mapping(bytes32 blockHash => mapping(bytes32 ancestor => bool)) public isAncestor;

    constructor(IMachZk.BlockTimes memory times) {
        firstBlock = times.firstBlock;
        firstTimestamp = times.firstTimestamp;
        blockTime = times.blockTime;
    }

    /// @notice Keeps the way from a header down, so that the next call goes on where this one ends. Anybody may go on.
    /// @param blockHash where the whole way begins: what an output root names, for example
    /// @param headers as in `descend`
    /// @return ancestor where it ends
    function recordDescent(bytes32 blockHash, bytes[] calldata headers) external returns (bytes32 ancestor) {
        ancestor = descend(blockHash, headers);
        _record(blockHash, ancestor);
    }

    /// @notice Makes one way of two that are on record, so that a later output uses the way of an earlier one.
    function joinDescents(bytes32 blockHash, bytes32 between, bytes32 ancestor) external {
        if (!isAncestor[blockHash][between]) revert NoDescent(blockHash, between);
        if (!isAncestor[between][ancestor]) revert NoDescent(between, ancestor);
        _record(blockHash, ancestor);
    }

    /// @notice What stands at an index of the oracle, or in a game. What is zero is a contract that the rollup has not.
    /// @param rules say whose games are the rollup's own
    function posting(
        IL2OutputOracle oracle,
        IDisputeGameFactory factory,
        IMachZk rules,
        IMachZk.Accused kind,
        uint256 index
    ) external view returns (IMachZk.Posting memory found) {
        // Nothing that is there has a higher one.
        found.index = uint64(index);
        if (kind == IMachZk.Accused.OracleOutput && address(oracle) != address(0)) {
            // The oracle's own answer to an index that it does not have is a panic.
            try oracle.getL2Output(index) returns (IL2OutputOracle.OutputProposal memory output) {
                (found.source, found.published, found.postedAt) = (address(oracle), true, uint64(output.timestamp));
                (found.accused, found.blockNumber) = (output.outputRoot, output.l2BlockNumber);
            } catch {
                revert IMachZk.InvalidIndex();
            }
        } else if (kind == IMachZk.Accused.GameClaim && address(factory) != address(0)) {
            if (index >= factory.gameCount()) revert IMachZk.InvalidIndex();
            (uint32 gameType, uint64 madeAt, address game) = factory.gameAtIndex(index);
            found.published = _isOwn(rules, gameType, madeAt, game);
            found.source = game;
            found.accused = IDisputeGame(game).rootClaim();
            found.blockNumber = IDisputeGame(game).l2BlockNumber();
        } else {
            revert IMachZk.NoSuchSource(kind);
        }
    }

    /// @notice The header with this hash.
    function open(bytes32 blockHash, bytes calldata header) public pure returns (HeaderRlp.Header memory) {
        _check(blockHash, header);
        return HeaderRlp.parse(header);
    }

    /// @notice Number of the header with this hash.
    function number(bytes32 blockHash, bytes calldata header) external pure returns (uint256) {
        return open(blockHash, header).number;
    }

    /// @notice From a header down: the first of the list has the hash, or that of an ancestor that is on record; each next is the
    /// parent of the one before.
    /// @return Hash of the parent of the last.
    function descend(bytes32 blockHash, bytes[] calldata headers) public view returns (bytes32) {
        uint256 count = headers.length;
        if (count > MAX_HEADERS) revert TooManyHeaders(count);
        if (count > 0) {
            bytes32 first = keccak256(headers[0]);
            if (isAncestor[blockHash][first]) blockHash = first;
        }
        for (uint256 i = 0; i < count; ++i) {
            _check(blockHash, headers[i]);
            blockHash = HeaderRlp.parent(headers[i]);
        }
        return blockHash;
    }

    /// @notice The header with this hash, and the message passer's storage root after its block.
    /// @param accountProof the message passer's account under the header's state root, as `eth_getProof` gives it; not looked at
    /// from Isthmus on, where the header has the storage root
    function messagePasser(bytes32 blockHash, bytes calldata header, bytes[] calldata accountProof)
        public
        pure
        returns (HeaderRlp.Header memory parsed, bytes32 storageRoot)
    {
        parsed = open(blockHash, header);
        storageRoot = OutputRoots.messagePasser(parsed, accountProof);
    }

    /// @notice What contradicts an output root in the header that it names, if anything does.
    /// @param proposed number that the output root is said to be for
    function contradiction(
        uint256 proposed,
        OutputRoots.Opening calldata opening,
        bytes calldata header,
        bytes[] calldata accountProof
    ) external view returns (IMachZk.Ground ground, bytes32 claimed, bytes32 computed) {
        HeaderRlp.Header memory parsed = open(opening.blockHash, header);
        if (parsed.number != proposed) {
            return (IMachZk.Ground.BlockNumber, bytes32(proposed), bytes32(parsed.number));
        }
        uint256 time = _timestamp(parsed);
        if (parsed.timestamp != time) {
            return (IMachZk.Ground.Timestamp, bytes32(parsed.timestamp), bytes32(time));
        }
        if (parsed.stateRoot != opening.stateRoot) {
            return (IMachZk.Ground.StateRoot, opening.stateRoot, parsed.stateRoot);
        }
        computed = OutputRoots.messagePasser(parsed, accountProof);
        if (computed != opening.messagePasserStorageRoot) {
            return (IMachZk.Ground.MessagePasser, opening.messagePasserStorageRoot, computed);
        }
        return (IMachZk.Ground.None, 0, 0);
    }

    /// @notice The output of the block with this header, which is below another: see `descend`.
    function outputBelow(
        bytes32 blockHash,
        bytes[] calldata headers,
        bytes calldata header,
        bytes[] calldata accountProof
    ) external view returns (bytes32 below, uint256 height, bytes32 outputRoot) {
        below = descend(blockHash, headers);
        (HeaderRlp.Header memory parsed, bytes32 storageRoot) = messagePasser(below, header, accountProof);
        height = parsed.number;
        outputRoot = OutputRoots.hash(OutputRoots.Opening(parsed.stateRoot, storageRoot, below));
    }

    /// @dev What a header has to have: its own where no rule is set up, or it is from before that.
    function _timestamp(HeaderRlp.Header memory header) private view returns (uint256) {
        if (blockTime == 0 || header.number < firstBlock) return header.timestamp;
        // No block gets that far.
        if (header.number > type(uint64).max) return type(uint256).max;
        return firstTimestamp + (header.number - firstBlock) * blockTime;
    }

    /// @dev Anybody may make a game with a false claim: what is the rollup's own is what its proposer claims.
    function _isOwn(IMachZk rules, uint32 gameType, uint64 madeAt, address game) private view returns (bool) {
        IMachZk.Games[] memory games = rules.gamesOf(madeAt);
        bool isOfType = false;
        for (uint256 i = 0; i < games.length; ++i) {
            if (games[i].gameType != gameType) continue;
            if (games[i].proposer == IDisputeGame(game).gameCreator()) return true;
            isOfType = true;
        }
        if (!isOfType) revert IMachZk.OtherGameType(gameType);
        return false;
    }

    function _check(bytes32 blockHash, bytes calldata header) private pure {
        bytes32 actual = keccak256(header);
        if (actual != blockHash) revert HeaderMismatch(blockHash, actual);
    }

    function _record(bytes32 blockHash, bytes32 ancestor) private {
        isAncestor[blockHash][ancestor] = true;
        emit DescentRecorded(blockHash, ancestor);
    }
}
