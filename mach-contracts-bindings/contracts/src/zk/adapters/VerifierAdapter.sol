// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IProofVerifier} from "../interfaces/IProofVerifier.sol";

/// @dev What the adapters share.
abstract contract VerifierAdapter is IProofVerifier {
    /// @notice The verifier has no code.
    error NotAContract(address verifier);
    /// @notice The proof is of another version than this adapter takes.
    error UnknownSelector(bytes4 received, bytes4 expected);
    /// @notice The verifier refuses the proof and does not say why.
    error ProofRejected();

    function _checkContract(address verifier) internal view {
        if (verifier.code.length == 0) revert NotAContract(verifier);
    }

    /// @dev Passes the verifier's reason on.
    function _reject(bytes memory reason) internal pure {
        if (reason.length == 0) revert ProofRejected();
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
