// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IPauserRegistry} from "./interfaces/IPauserRegistry.sol";

/// @title Pausing by bitmap, with the surface and messages of EigenLayer's Pausable
/// @notice A pauser may only set bits and the unpauser may only clear them. `whenNotPaused` asks for no bit at all.
abstract contract Pausable {
    IPauserRegistry public pauserRegistry;
    uint256 private _paused;

    event PauserRegistrySet(IPauserRegistry pauserRegistry, IPauserRegistry newPauserRegistry);
    event Paused(address indexed account, uint256 newPausedStatus);
    event Unpaused(address indexed account, uint256 newPausedStatus);

    modifier onlyPauser() {
        require(pauserRegistry.isPauser(msg.sender), "msg.sender is not permissioned as pauser");
        _;
    }

    modifier onlyUnpauser() {
        require(msg.sender == pauserRegistry.unpauser(), "msg.sender is not permissioned as unpauser");
        _;
    }

    modifier whenNotPaused() {
        require(_paused == 0, "Pausable: contract is paused");
        _;
    }

    function pause(uint256 newPausedStatus) external onlyPauser {
        require(_paused & newPausedStatus == _paused, "Pausable.pause: invalid attempt to unpause functionality");
        _setPaused(newPausedStatus);
    }

    function pauseAll() external onlyPauser {
        _setPaused(type(uint256).max);
    }

    function unpause(uint256 newPausedStatus) external onlyUnpauser {
        require(
            _paused & newPausedStatus == newPausedStatus, "Pausable.unpause: invalid attempt to pause functionality"
        );
        _paused = newPausedStatus;
        emit Unpaused(msg.sender, newPausedStatus);
    }

    function setPauserRegistry(IPauserRegistry newPauserRegistry) external onlyUnpauser {
        _setPauserRegistry(newPauserRegistry);
    }

    function paused() external view returns (uint256) {
        return _paused;
    }

    function paused(uint8 index) external view returns (bool) {
        return (_paused >> index) & 1 == 1;
    }

    function _initializePauser(IPauserRegistry pauserRegistry_, uint256 initialPausedStatus) internal {
        _setPauserRegistry(pauserRegistry_);
        _setPaused(initialPausedStatus);
    }

    function _setPaused(uint256 newPausedStatus) private {
        _paused = newPausedStatus;
        emit Paused(msg.sender, newPausedStatus);
    }

    function _setPauserRegistry(IPauserRegistry newPauserRegistry) private {
        require(
            address(newPauserRegistry) != address(0),
            "Pausable._setPauserRegistry: newPauserRegistry cannot be the zero address"
        );
        emit PauserRegistrySet(pauserRegistry, newPauserRegistry);
        pauserRegistry = newPauserRegistry;
    }
}
