// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice Who may pause and who may unpause; the interface of EigenLayer's PauserRegistry.
interface IPauserRegistry {
    function isPauser(address account) external view returns (bool);
    function unpauser() external view returns (address);
}
