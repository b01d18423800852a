// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";

import {HeaderRlp} from "./HeaderRlp.sol";

/// @title Output roots of an OP Stack rollup, from headers and proofs
/// @dev Source: https://specs.optimism.io/protocol/proposals.html#l2-output-commitment-construction
library OutputRoots {
    /// @notice What an output root is the hash of, after 32 zero bytes.
    struct Opening {
        bytes32 stateRoot;
        bytes32 messagePasserStorageRoot;
        bytes32 blockHash;
    }

    /// @notice The proof does not lead from the state root to the account; `reason` is OpenZeppelin's `ProofError`.
    error InvalidAccountProof(uint8 reason);
    /// @notice The leaf is no account.
    error InvalidAccount();

    /// @dev The key of `L2ToL1MessagePasser`, 0x4200000000000000000000000000000000000016.
    bytes32 private constant MESSAGE_PASSER = keccak256(hex"4200000000000000000000000000000000000016");
    /// @dev One node a nibble, and the leaf.
    uint256 private constant MAX_NODES = 65;
    /// @dev A branch has 532 bytes at most, the leaf of an account fewer.
    uint256 private constant MAX_NODE = 1024;

    function hash(Opening memory opening) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(bytes32(0), opening.stateRoot, opening.messagePasserStorageRoot, opening.blockHash)
        );
    }

    /// @notice The message passer's storage root after the block with this header.
    /// @param proof the account under the state root; not looked at from Isthmus on
    function messagePasser(HeaderRlp.Header memory header, bytes[] calldata proof) internal pure returns (bytes32) {
        if (HeaderRlp.isIsthmus(header)) return header.withdrawalsRoot;
        if (proof.length > MAX_NODES) revert InvalidAccountProof(uint8(TrieProof.ProofError.INVALID_PROOF));
        for (uint256 i = 0; i < proof.length; ++i) {
            if (proof[i].length > MAX_NODE) revert InvalidAccountProof(uint8(TrieProof.ProofError.UNPARSEABLE_NODE));
        }
        (bytes memory account, TrieProof.ProofError reason) =
            TrieProof.tryTraverse(header.stateRoot, abi.encodePacked(MESSAGE_PASSER), proof);
        if (reason != TrieProof.ProofError.NO_ERROR) revert InvalidAccountProof(uint8(reason));
        // Nonce, balance, storage root, hash of the code.
        Memory.Slice[] memory fields = RLP.decodeList(account);
        if (fields.length != 4 || Memory.length(fields[2]) != 33) revert InvalidAccount();
        return RLP.readBytes32(fields[2]);
    }
}
