// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// @title Which service manager watches which rollup, for contracts that want to know whether there is an alert
/// @notice Calls, events and errors of the MACH AVS contract of this name; no entry is overwritten, no service
/// manager makes a read revert, and `status` tells a rollup without alerts from one that nobody watches.
contract MachServiceManagerRegistry is Ownable {
    enum Status {
        // No service manager is registered for the rollup.
        Unknown,
        // Its service manager has no active alert.
        Clear,
        // Its service manager has at least one active alert.
        Alerted,
        // Its service manager does not answer.
        Unreadable
    }

    event ServiceManagerRegistered(uint256 indexed rollupChainId, address serviceManager, address sender);
    event ServiceManagerDeregistered(uint256 indexed rollupChainId, address serviceManager, address sender);

    error ZeroAddress();
    error AlreadyAdded();
    error NotAdded();
    /// @notice There is no code at `serviceManager`.
    error NotAContract(address serviceManager);

    /// @dev The service managers of this repository and of MACH answer in 15,000 behind a proxy. The cap keeps one
    /// that burns all it gets from taking the reader's.
    uint256 private constant READ_GAS = 200_000;

    mapping(uint256 rollupChainId => address) public serviceManagers;

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Enters the service manager of a rollup that has none.
    function registerServiceManager(uint256 rollupChainId, address serviceManager) external onlyOwner {
        if (serviceManagers[rollupChainId] != address(0)) revert AlreadyAdded();
        _enter(rollupChainId, serviceManager);
    }

    function deregisterServiceManager(uint256 rollupChainId, address serviceManager) external onlyOwner {
        _remove(rollupChainId, serviceManager);
    }

    /// @notice Puts `next` in the place of `current`; at no time is the rollup unknown.
    function replaceServiceManager(uint256 rollupChainId, address current, address next) external onlyOwner {
        if (current == next) revert AlreadyAdded();
        _remove(rollupChainId, current);
        _enter(rollupChainId, next);
    }

    /// @notice Whether the rollup is to be stopped for: an active alert, or a service manager that does not answer.
    /// @dev False for a rollup that nobody watches, as existing callers expect. Use `status` to be told apart.
    function hasActiveAlerts(uint256 rollupChainId) external view returns (bool) {
        Status current = status(rollupChainId);
        return current == Status.Alerted || current == Status.Unreadable;
    }

    /// @notice What is known of a rollup. Never reverts.
    function status(uint256 rollupChainId) public view returns (Status) {
        address serviceManager = serviceManagers[rollupChainId];
        if (serviceManager == address(0)) return Status.Unknown;
        (bool answered, uint256 alerts) =
            _read(serviceManager, abi.encodeWithSignature("totalAlerts(uint256)", rollupChainId));
        // The first generation serves one rollup and does not ask which.
        if (!answered) (answered, alerts) = _read(serviceManager, abi.encodeWithSignature("totalAlerts()"));
        if (!answered) return Status.Unreadable;
        return alerts == 0 ? Status.Clear : Status.Alerted;
    }

    function _enter(uint256 rollupChainId, address serviceManager) private {
        if (serviceManager == address(0)) revert ZeroAddress();
        if (serviceManager.code.length == 0) revert NotAContract(serviceManager);
        serviceManagers[rollupChainId] = serviceManager;
        emit ServiceManagerRegistered(rollupChainId, serviceManager, msg.sender);
    }

    function _remove(uint256 rollupChainId, address serviceManager) private {
        if (serviceManager == address(0) || serviceManagers[rollupChainId] != serviceManager) revert NotAdded();
        delete serviceManagers[rollupChainId];
        emit ServiceManagerDeregistered(rollupChainId, serviceManager, msg.sender);
    }

    /// @dev Takes one word of the answer, however long it is. An account without code answers nothing.
    function _read(address target, bytes memory data) private view returns (bool answered, uint256 word) {
        assembly ("memory-safe") {
            answered := staticcall(READ_GAS, target, add(data, 0x20), mload(data), 0, 0x20)
            answered := and(answered, eq(returndatasize(), 0x20))
            word := mload(0)
        }
    }
}
