// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title A value and every value it had before, by block number
/// @notice The value that counts for a block is the last one written in it. Callers pass an index found off
/// chain, which costs two reads to check where a search costs many.
library BlockHistory {
    struct Entry {
        uint32 fromBlock;
        uint192 value;
    }

    struct Values {
        Entry[] entries;
    }

    /// @notice The history does not reach back to `blockNumber`.
    error NoValueAt(uint256 blockNumber);
    /// @notice The entry at `index` is not the one in force at `blockNumber`.
    error NotInForceAt(uint256 index, uint256 blockNumber);

    function push(Values storage self, uint192 value) internal {
        uint32 current = uint32(block.number);
        uint256 length = self.entries.length;
        if (length != 0 && self.entries[length - 1].fromBlock == current) {
            self.entries[length - 1].value = value;
        } else {
            self.entries.push(Entry(current, value));
        }
    }

    /// @notice The newest value; 0 if none was ever written.
    function latest(Values storage self) internal view returns (uint192) {
        uint256 length = self.entries.length;
        return length == 0 ? 0 : self.entries[length - 1].value;
    }

    /// @notice The value at `blockNumber`, which the entry at `index` must hold.
    function at(Values storage self, uint256 index, uint256 blockNumber) internal view returns (uint192) {
        uint256 length = self.entries.length;
        if (index >= length) revert NotInForceAt(index, blockNumber);
        Entry memory entry = self.entries[index];
        bool superseded = index + 1 < length && self.entries[index + 1].fromBlock <= blockNumber;
        if (entry.fromBlock > blockNumber || superseded) revert NotInForceAt(index, blockNumber);
        return entry.value;
    }

    /// @notice The index of the entry in force at `blockNumber`.
    function indexAt(Values storage self, uint256 blockNumber) internal view returns (uint32) {
        uint256 low = 0;
        uint256 high = self.entries.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (self.entries[middle].fromBlock > blockNumber) high = middle;
            else low = middle + 1;
        }
        if (low == 0) revert NoValueAt(blockNumber);
        return uint32(low - 1);
    }

    /// @notice The value in force at `blockNumber`; 0 before the first one was written.
    function valueOrZeroAt(Values storage self, uint256 blockNumber) internal view returns (uint192) {
        if (self.entries.length == 0 || self.entries[0].fromBlock > blockNumber) return 0;
        return valueAt(self, blockNumber);
    }

    /// @notice The value in force at `blockNumber`.
    function valueAt(Values storage self, uint256 blockNumber) internal view returns (uint192) {
        return self.entries[indexAt(self, blockNumber)].value;
    }
}
