// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IPauserRegistry} from "./interfaces/IPauserRegistry.sol";

/// @title Who may pause our contracts, and the one account that may unpause them
contract PauserRegistry is IPauserRegistry {
    mapping(address account => bool) public isPauser;
    address public unpauser;

    event PauserStatusChanged(address pauser, bool canPause);
    event UnpauserChanged(address previousUnpauser, address newUnpauser);

    error NotUnpauser(address caller);
    error ZeroPauser();

    constructor(address[] memory pausers, address unpauser_) {
        for (uint256 i = 0; i < pausers.length; ++i) _setIsPauser(pausers[i], true);
        _setUnpauser(unpauser_);
    }

    modifier onlyUnpauser() {
        if (msg.sender != unpauser) revert NotUnpauser(msg.sender);
        _;
    }

    function setIsPauser(address pauser, bool canPause) external onlyUnpauser {
        _setIsPauser(pauser, canPause);
    }

    function setUnpauser(address newUnpauser) external onlyUnpauser {
        _setUnpauser(newUnpauser);
    }

    function _setIsPauser(address pauser, bool canPause) private {
        if (pauser == address(0)) revert ZeroPauser();
        isPauser[pauser] = canPause;
        emit PauserStatusChanged(pauser, canPause);
    }

    function _setUnpauser(address newUnpauser) private {
        if (newUnpauser == address(0)) revert ZeroPauser();
        emit UnpauserChanged(unpauser, newUnpauser);
        unpauser = newUnpauser;
    }
}
