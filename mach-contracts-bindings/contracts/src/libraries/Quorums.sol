// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Sets of quorum numbers: one byte each and strictly ascending, or one bit each
library Quorums {
    /// @notice Quorum numbers are repeated or out of order.
    error QuorumsNotAscending();
    /// @notice There is no quorum `quorumNumber`.
    error UnknownQuorum(uint8 quorumNumber);

    /// @notice Bit q is set for each quorum q in `numbers`, which must be below `count`.
    function toBitmap(bytes memory numbers, uint256 count) internal pure returns (uint256 bitmap) {
        for (uint256 i = 0; i < numbers.length; ++i) {
            uint8 number = uint8(numbers[i]);
            if (number >= count) revert UnknownQuorum(number);
            uint256 bit = 1 << number;
            // Everything already in the set has to be smaller.
            if (bitmap >= bit) revert QuorumsNotAscending();
            bitmap |= bit;
        }
    }

    function contains(uint256 bitmap, uint8 number) internal pure returns (bool) {
        return (bitmap >> number) & 1 == 1;
    }

    /// @notice How many quorums the set has.
    function size(uint256 bitmap) internal pure returns (uint256 count) {
        for (; bitmap != 0; ++count) bitmap &= bitmap - 1;
    }

    /// @notice The inverse of `toBitmap`.
    function toBytes(uint256 bitmap) internal pure returns (bytes memory numbers) {
        numbers = new bytes(size(bitmap));
        uint256 next = 0;
        for (uint256 number = 0; next < numbers.length; ++number) {
            if (contains(bitmap, uint8(number))) numbers[next++] = bytes1(uint8(number));
        }
    }
}
