// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

import {IMachAlerts} from "./interfaces/IMachAlerts.sol";
import {IMachStatements} from "./interfaces/IMachStatements.sol";

/// @title The alerts of each rollup, by message hash
/// @notice V2 alerts are in it by the hash that their clients made, V3 alerts by their digest, so that whoever reads
/// `totalAlerts` sees both.
abstract contract AlertBook is IMachAlerts, IMachStatements {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    mapping(uint256 rollupChainId => bool) public rollupChainIDs;
    mapping(uint256 rollupChainId => EnumerableSet.Bytes32Set) private _active;
    mapping(uint256 rollupChainId => mapping(bytes32 messageHash => bool)) private _removed;

    /// @notice How many alerts of the rollup are active.
    function totalAlerts(uint256 rollupChainId) external view returns (uint256) {
        return _active[rollupChainId].length();
    }

    /// @notice Whether the alert is active.
    function contains(uint256 rollupChainId, bytes32 messageHash) public view returns (bool) {
        return _active[rollupChainId].contains(messageHash);
    }

    /// @notice Up to `querySize` active alerts from index `start`; removals change the order.
    function queryMessageHashes(uint256 rollupChainId, uint256 start, uint256 querySize)
        external
        view
        returns (bytes32[] memory)
    {
        uint256 length = _active[rollupChainId].length();
        if (start >= length) revert InvalidStartIndex();
        uint256 end = querySize < length - start ? start + querySize : length;
        return _active[rollupChainId].values(start, end);
    }

    function _raise(uint256 rollupChainId, bytes32 headerHash, bytes32 messageHash) internal {
        if (!_active[rollupChainId].add(messageHash)) revert AlreadyAdded();
        emit AlertConfirmed(headerHash, messageHash);
        emit RollupAlertRaised(rollupChainId, messageHash);
    }

    /// @dev An alert that is not active is left as it is.
    function _remove(uint256 rollupChainId, bytes32 messageHash) internal {
        if (!_active[rollupChainId].remove(messageHash)) return;
        _removed[rollupChainId][messageHash] = true;
        emit AlertRemoved(messageHash, msg.sender);
        emit RollupAlertRemoved(rollupChainId, messageHash);
    }

    function _reopen(uint256 rollupChainId, bytes32 messageHash) internal {
        if (!_removed[rollupChainId][messageHash]) revert AlertNotRemoved(messageHash);
        _removed[rollupChainId][messageHash] = false;
        emit AlertReopened(rollupChainId, messageHash);
    }

    function _wasRemoved(uint256 rollupChainId, bytes32 messageHash) internal view returns (bool) {
        return _removed[rollupChainId][messageHash];
    }

    function _setRollupChainID(uint256 rollupChainId, bool status) internal {
        if (rollupChainIDs[rollupChainId] == status) revert NoStatusChange();
        rollupChainIDs[rollupChainId] = status;
        emit RollupChainIDUpdated(rollupChainId, status);
    }
}
