// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {HeaderRlp} from "./libraries/HeaderRlp.sol";
import {OutputRoots} from "./libraries/OutputRoots.sol";

/// @title What the EVM can see by itself of headers and output roots
/// @notice Without state. The service manager makes one of its own; a contract for itself, because together they would be
/// above the limit of code.
contract ZkEvidence {
    error HeaderMismatch(bytes32 expected, bytes32 actual);
    error TooManyHeaders(uint256 count);

    uint256 public constant MAX_HEADERS = 512;

    /// @notice The header with this hash.
    function open(bytes32 blockHash, bytes calldata header) public pure returns (HeaderRlp.Header memory) {
        bytes32 actual = keccak256(header);
        if (actual != blockHash) revert HeaderMismatch(blockHash, actual);
        return HeaderRlp.parse(header);
    }

    /// @notice From a header down: the first of the list has the hash, each next is the parent of the one before.
    /// @return Hash of the parent of the last.
    function descend(bytes32 blockHash, bytes[] calldata headers) public pure returns (bytes32) {
        if (headers.length > MAX_HEADERS) revert TooManyHeaders(headers.length);
        for (uint256 i = 0; i < headers.length; ++i) {
            blockHash = open(blockHash, headers[i]).parentHash;
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
}
