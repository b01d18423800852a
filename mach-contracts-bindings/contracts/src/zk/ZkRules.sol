// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {IMachZk} from "./interfaces/IMachZk.sol";
import {IProofVerifier} from "./interfaces/IProofVerifier.sol";

/// @title By which rules proofs count, and who may change them
/// @notice Programs and configurations change with a delay that is no shorter than the time an alert has: a proof that is
/// under way when a change is announced still counts. Only while the contract is paused are they retired at once, since then
/// no proof counts anyway; open alerts get the time back that this takes from them. A pause ends by itself, so that no bond is
/// lost with a key.
abstract contract ZkRules is IMachZk, Ownable2Step {
    event ProgramScheduled(bytes32 indexed program, IProofVerifier verifier, ProgramKind kind, uint64 activeFrom);
    event ProgramRetired(bytes32 indexed program, uint64 activeUntil);
    event ConfigScheduled(bytes32 indexed configHash, uint64 activeFrom, uint64 lastBlock);
    /// @notice From then on, in the time of `clock`, the configuration judges blocks up to this one.
    event ConfigExtended(bytes32 indexed configHash, uint64 extendedFrom, uint64 lastBlock);
    event ConfigRetired(bytes32 indexed configHash, uint64 activeUntil);
    event OperatorAllowed(address operator);
    event OperatorDisallowed(address operator);
    event AllowlistEnabled();
    event AllowlistDisabled();
    event Paused(address account);
    event Unpaused(address account);
    /// @notice From then on, in the time of L1's blocks, these are the rollup's own.
    event GamesScheduled(uint32 gameType, address proposer, uint64 activeFrom);
    event GuardianChanged(address previous, address current);

    error ZeroAddress();
    error ZeroValue();
    error NotAContract(address account);
    error DelayTooShort(uint64 delay, uint64 provingWindow);
    error DelayTooLong(uint64 delay, uint64 most);
    error AlreadyEnabled();
    error AlreadyDisabled();
    error AlreadyAdded();
    error NotAdded();
    error NotGuardian(address account);
    error IsPaused();
    error IsNotPaused();
    /// @notice The guardian has paused once, and nobody ended it: now it takes the owner.
    error PauseRanOut();
    /// @notice The program is not active: not known, not yet, or no more.
    error ProgramNotActive(bytes32 program);
    /// @notice The configuration is not active: not known, not yet, or no more.
    error ConfigNotActive(bytes32 configHash);
    /// @notice Nobody said that this configuration has the rules of blocks as high as this.
    error BeyondHorizon(bytes32 configHash, uint64 blockNumber, uint64 lastBlock);
    /// @notice A configuration is retired, and does not lose blocks.
    error NoExtension(uint64 lastBlock, uint64 current);
    /// @notice It is known, and not retired for good.
    error AlreadyScheduled(bytes32 id);

    /// @notice Last block of a configuration that is said to have the rules of all blocks to come.
    uint64 public constant NO_HORIZON = type(uint64).max;
    uint64 private constant FOR_EVER = type(uint64).max;

    /// @param from when they are in force, in the time of L1's blocks, as games have it
    struct GamesFrom {
        Games games;
        uint64 from;
    }

    /// @notice Longest delay, and so the longest time that an alert has, in seconds.
    uint64 public constant MAX_DELAY = 90 days;
    /// @notice After so many seconds a pause ends by itself.
    uint64 public constant MAX_PAUSE = 30 days;

    uint64 public immutable provingWindow;
    uint64 public immutable delay;

    address public guardian;
    uint64 private _pausedAt;
    uint64 private _pausedFor;
    /// @dev Alerts from before have their time from then on.
    uint64 private _windowsFrom;
    /// @dev All that were in force, each until the next one is; the last may not be yet.
    GamesFrom[] private _games;
    bool public allowlistEnabled;
    mapping(address => bool) public allowlist;
    mapping(bytes32 program => Program) private _programs;
    mapping(bytes32 configHash => Config) private _configs;

    constructor(Setup memory setup) Ownable(setup.owner) {
        if (setup.provingWindow == 0) revert ZeroValue();
        if (setup.delay < setup.provingWindow) revert DelayTooShort(setup.delay, setup.provingWindow);
        if (setup.delay > MAX_DELAY) revert DelayTooLong(setup.delay, MAX_DELAY);
        if (setup.times.blockTime != 0 && setup.times.firstTimestamp == 0) revert ZeroValue();
        // Else anybody could convict the rollup, by a game with a false claim.
        if (setup.gameFactory != address(0) && setup.games.proposer == address(0)) revert ZeroAddress();
        _games.push(GamesFrom(setup.games, 0));
        provingWindow = setup.provingWindow;
        delay = setup.delay;
        allowlistEnabled = setup.allowlistEnabled;
        _setGuardian(setup.guardian);
        for (uint256 i = 0; i < setup.configs.length; ++i) {
            _addConfig(setup.configs[i], clock());
        }
        for (uint256 i = 0; i < setup.programs.length; ++i) {
            _addProgram(setup.programs[i], clock());
        }
    }

    // ---------------------------------------------------------------------------------------------------- queries

    /// @notice Time in seconds that stands still while the contract is paused: nothing expires then, and no program and no
    /// configuration takes effect.
    function clock() public view returns (uint64) {
        return uint64(block.timestamp) - _pausedFor - _standstill();
    }

    function paused() public view returns (bool) {
        return _pausedAt != 0 && block.timestamp < _pausedAt + MAX_PAUSE;
    }

    /// @notice Which dispute games are the rollup's own now.
    function games() external view returns (Games memory) {
        return _games[_inForce()].games;
    }

    /// @inheritdoc IMachZk
    function gamesOf(uint64 madeAt) external view returns (Games[] memory found) {
        uint256 last = _inForce();
        uint256 first = last;
        while (first > 0 && madeAt < _games[first].from) --first;
        found = new Games[](last - first + 1);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = _games[last - i].games;
        }
    }

    function programs(bytes32 program) external view returns (Program memory) {
        return _programs[program];
    }

    function configs(bytes32 configHash) external view returns (Config memory) {
        return _configs[configHash];
    }

    /// @notice Number of the last block that a configuration judges now. Behind it there may be a fork that it does not know, under
    /// which blocks are right that are wrong by its rules.
    function horizon(bytes32 configHash) public view returns (uint64) {
        Config storage entry = _configs[configHash];
        return entry.extendedFrom != 0 && entry.extendedFrom <= clock() ? entry.extendedTo : entry.lastBlock;
    }

    function isActiveProgram(bytes32 program) public view returns (bool) {
        return _isActive(_programs[program].activeFrom, _programs[program].activeUntil);
    }

    function isActiveConfig(bytes32 configHash) public view returns (bool) {
        return _isActive(_configs[configHash].activeFrom, _configs[configHash].activeUntil);
    }

    // ------------------------------------------------------------------------------------------------------ owner

    /// @notice Lets proofs of a program count, after the delay.
    function scheduleProgram(NewProgram calldata added) external onlyOwner {
        _addProgram(added, clock() + delay);
    }

    /// @notice Lets proofs of a program count no more: after the delay, or at once while the contract is paused.
    function retireProgram(bytes32 program) external onlyOwner {
        Program storage entry = _programs[program];
        if (!_isRetirable(entry.activeUntil)) revert ProgramNotActive(program);
        entry.activeUntil = _retirement();
        emit ProgramRetired(program, entry.activeUntil);
    }

    /// @notice Lets proofs under a configuration count, after the delay. A configuration with a new fork goes in before the fork
    /// is active, and the old one out.
    function scheduleConfig(NewConfig calldata added) external onlyOwner {
        _addConfig(added, clock() + delay);
    }

    /// @notice Lets a configuration judge later blocks too, after the delay. What was announced before and is not in effect yet is
    /// replaced: by the block that it judges up to now, it is taken back.
    function extendConfig(NewConfig calldata extended) external onlyOwner {
        Config storage entry = _configs[extended.configHash];
        if (entry.activeUntil != FOR_EVER) revert ConfigNotActive(extended.configHash);
        uint64 current = horizon(extended.configHash);
        if (extended.lastBlock < current) revert NoExtension(extended.lastBlock, current);
        entry.lastBlock = current;
        entry.extendedTo = extended.lastBlock;
        entry.extendedFrom = clock() + delay;
        emit ConfigExtended(extended.configHash, entry.extendedFrom, extended.lastBlock);
    }

    /// @notice Lets proofs under a configuration count no more: after the delay, or at once while the contract is paused.
    function retireConfig(bytes32 configHash) external onlyOwner {
        Config storage entry = _configs[configHash];
        if (!_isRetirable(entry.activeUntil)) revert ConfigNotActive(configHash);
        entry.activeUntil = _retirement();
        emit ConfigRetired(configHash, entry.activeUntil);
    }

    /// @notice Makes other dispute games the rollup's own, after the delay: when it proposes by another type of game, or another
    /// account does. What was announced before and is not in effect yet is replaced. A game that was the rollup's own remains it:
    /// see `gamesOf`. So a pause need not put this off.
    function scheduleGames(Games calldata next) external onlyOwner {
        if (next.proposer == address(0)) revert ZeroAddress();
        if (_inForce() != _games.length - 1) _games.pop();
        uint64 from = uint64(block.timestamp) + delay;
        _games.push(GamesFrom(next, from));
        emit GamesScheduled(next.gameType, next.proposer, from);
    }

    /// @notice Lets an account raise alerts while the allowlist is enabled. Who shows that an alert is right needs no leave.
    function addToAllowlist(address operator) external onlyOwner {
        if (operator == address(0)) revert ZeroAddress();
        if (allowlist[operator]) revert AlreadyAdded();
        allowlist[operator] = true;
        emit OperatorAllowed(operator);
    }

    function removeFromAllowlist(address operator) external onlyOwner {
        if (!allowlist[operator]) revert NotAdded();
        allowlist[operator] = false;
        emit OperatorDisallowed(operator);
    }

    function enableAllowlist() external onlyOwner {
        if (allowlistEnabled) revert AlreadyEnabled();
        allowlistEnabled = true;
        emit AllowlistEnabled();
    }

    function disableAllowlist() external onlyOwner {
        if (!allowlistEnabled) revert AlreadyDisabled();
        allowlistEnabled = false;
        emit AllowlistDisabled();
    }

    function setGuardian(address guardian_) external onlyOwner {
        _setGuardian(guardian_);
    }

    /// @notice Stops alerts, proofs and what is judged by attestations, at once: for a verifier that is found broken. What the
    /// EVM shows by itself, and withdrawals, go on. It ends after `MAX_PAUSE`. A guardian does not pause twice on end: after a pause
    /// that nobody ended it takes the owner, who may.
    function pause() external {
        bool owns = msg.sender == owner();
        if (!owns && msg.sender != guardian) revert NotGuardian(msg.sender);
        if (paused()) revert IsPaused();
        if (!owns && _pausedAt != 0) revert PauseRanOut();
        _pausedFor += _standstill();
        _pausedAt = uint64(block.timestamp);
        emit Paused(msg.sender);
    }

    function unpause() external onlyOwner {
        if (_pausedAt == 0) revert IsNotPaused();
        _pausedFor += _standstill();
        _pausedAt = 0;
        emit Unpaused(msg.sender);
    }

    /// @notice Leaves the rules as they are, for ever. Nobody can pause any more, since nobody could unpause.
    function renounceOwnership() public override onlyOwner whenNotPaused {
        emit GuardianChanged(guardian, address(0));
        guardian = address(0);
        super.renounceOwnership();
    }

    // --------------------------------------------------------------------------------------------------- internal

    modifier whenNotPaused() {
        if (paused()) revert IsPaused();
        _;
    }

    function _activeProgram(bytes32 program) internal view returns (Program storage) {
        if (!isActiveProgram(program)) revert ProgramNotActive(program);
        return _programs[program];
    }

    function _checkConfig(bytes32 configHash) internal view {
        if (!isActiveConfig(configHash)) revert ConfigNotActive(configHash);
    }

    function _checkHorizon(bytes32 configHash, uint64 blockNumber) internal view {
        uint64 last = horizon(configHash);
        if (blockNumber > last) revert BeyondHorizon(configHash, blockNumber, last);
    }

    /// @dev Whether what the program said in a generation of it counts now.
    function _counts(bytes32 program, uint16 generation) internal view returns (bool) {
        return isActiveProgram(program) && _programs[program].generation == generation;
    }

    /// @dev Tells two schedulings of a configuration apart: a later one takes effect later than the one before was used last.
    function _activeFrom(bytes32 configHash) internal view returns (uint64) {
        return _configs[configHash].activeFrom;
    }

    /// @dev Until when an alert that was raised then may be proved.
    function _deadline(uint64 raisedAt) internal view returns (uint64) {
        return (raisedAt < _windowsFrom ? _windowsFrom : raisedAt) + provingWindow;
    }

    /// @dev Which of `_games` is in force: the first has been from the beginning.
    function _inForce() private view returns (uint256) {
        uint256 last = _games.length - 1;
        return _games[last].from <= block.timestamp ? last : last - 1;
    }

    /// @dev Seconds for which the clock has stood still since the last pause.
    function _standstill() private view returns (uint64) {
        if (_pausedAt == 0) return 0;
        uint64 since = uint64(block.timestamp) - _pausedAt;
        return since < MAX_PAUSE ? since : MAX_PAUSE;
    }

    function _isActive(uint64 activeFrom, uint64 activeUntil) private view returns (bool) {
        return activeFrom != 0 && activeFrom <= clock() && clock() < activeUntil;
    }

    /// @dev What is to be retired with the delay may still be found broken.
    function _isRetirable(uint64 activeUntil) private view returns (bool) {
        return paused() ? activeUntil > clock() : activeUntil == FOR_EVER;
    }

    function _retirement() private returns (uint64) {
        if (!paused()) return clock() + delay;
        // When a successor can take effect, so that an owner takes no bonds by taking the means to prove.
        _windowsFrom = clock() + delay;
        return clock();
    }

    function _addProgram(NewProgram memory added, uint64 activeFrom) private {
        if (added.program == 0) revert ZeroValue();
        if (address(added.verifier).code.length == 0) revert NotAContract(address(added.verifier));
        if (_programs[added.program].activeUntil > clock()) revert AlreadyScheduled(added.program);
        uint16 generation = _programs[added.program].generation + 1;
        _programs[added.program] = Program(added.verifier, added.kind, activeFrom, FOR_EVER, generation);
        emit ProgramScheduled(added.program, added.verifier, added.kind, activeFrom);
    }

    function _addConfig(NewConfig memory added, uint64 activeFrom) private {
        if (added.configHash == 0 || added.lastBlock == 0) revert ZeroValue();
        if (_configs[added.configHash].activeUntil > clock()) revert AlreadyScheduled(added.configHash);
        _configs[added.configHash] = Config(activeFrom, FOR_EVER, added.lastBlock, 0, 0);
        emit ConfigScheduled(added.configHash, activeFrom, added.lastBlock);
    }

    function _setGuardian(address guardian_) private {
        if (guardian_ == address(0)) revert ZeroAddress();
        emit GuardianChanged(guardian, guardian_);
        guardian = guardian_;
    }
}
