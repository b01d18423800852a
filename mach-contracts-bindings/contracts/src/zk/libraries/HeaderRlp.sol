// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Block headers of a rollup, read from their RLP
/// @notice Strict: canonical encoding, every known field of its length, nothing left over. OpenZeppelin's `BlockHeader` reads
/// what is not canonical too, and copies to memory.
library HeaderRlp {
    struct Header {
        bytes32 parentHash;
        bytes32 stateRoot;
        uint256 number;
        uint256 timestamp;
        // Zero before Canyon.
        bytes32 withdrawalsRoot;
        // How many fields there are: 21 from Isthmus on.
        uint256 fields;
    }

    error InvalidHeader();

    uint256 private constant MAX_LENGTH = 4096;
    uint256 private constant LONDON_LESS_ONE = 15;
    uint256 private constant ISTHMUS = 21;
    uint256 private constant MAX_FIELDS = 32;

    uint256 private constant NUMBER = 0xff;
    uint256 private constant BYTES = 0xfe;
    uint256 private constant BLOOM = 0xfd;
    /// @dev Length of each field in bytes, or one of the three above. Fields of forks to come are any bytes.
    bytes32 private constant SHAPES = hex"202014202020fdfffffffffffe2008ff20ffff2020fefefefefefefefefefefe";

    /// @notice The fields of a header that output roots are about.
    function parse(bytes calldata rlp) internal pure returns (Header memory header) {
        uint256 length = rlp.length;
        if (length < 3 || length > MAX_LENGTH) revert InvalidHeader();
        uint256 word = _load(rlp, 0);
        // Roots and bloom alone are longer than 255 bytes, so the length of the list has two bytes.
        if (word >> 248 != 0xf9 || (word >> 232) & 0xffff != length - 3) revert InvalidHeader();
        uint256 at = 3;
        uint256 field = 0;
        for (; at < length; ++field) {
            if (field == MAX_FIELDS) revert InvalidHeader();
            (uint256 start, uint256 size) = _string(rlp, at);
            at = start + size;
            if (at > length) revert InvalidHeader();
            word = _load(rlp, start);
            uint256 shape = uint8(SHAPES[field]);
            if (shape == NUMBER) {
                if (size > 32 || (size > 0 && word >> 248 == 0)) revert InvalidHeader();
            } else if (shape == BLOOM) {
                if (size != 256) revert InvalidHeader();
            } else if (shape != BYTES && size != shape) {
                revert InvalidHeader();
            }
            if (field == 0) header.parentHash = bytes32(word);
            else if (field == 3) header.stateRoot = bytes32(word);
            else if (field == 8) header.number = _number(word, size);
            else if (field == 11) header.timestamp = _number(word, size);
            else if (field == 16) header.withdrawalsRoot = bytes32(word);
        }
        if (field < LONDON_LESS_ONE) revert InvalidHeader();
        header.fields = field;
    }

    /// @notice The hash that a header begins with, for headers of which nothing else is asked.
    /// @dev What hashes to the hash of a header is that header. The hash of something else belongs to no block: an output root that
    /// leads there is false, whatever stands where a header has its parent. Nobody who is right is convicted by going on there. That
    /// it is false is not shown by it either.
    function parent(bytes calldata rlp) internal pure returns (bytes32) {
        uint256 length = rlp.length;
        if (length < 36 || length > MAX_LENGTH) revert InvalidHeader();
        uint256 word = _load(rlp, 0);
        if (word >> 248 != 0xf9 || (word >> 232) & 0xffff != length - 3 || (word >> 224) & 0xff != 0xa0) {
            revert InvalidHeader();
        }
        return bytes32(_load(rlp, 4));
    }

    /// @notice Whether `withdrawalsRoot` is the storage root of the message passer.
    /// @dev The header of Isthmus is the first with a `requestsHash`.
    function isIsthmus(Header memory header) internal pure returns (bool) {
        return header.fields >= ISTHMUS;
    }

    /// @dev The number whose bytes a word begins with.
    function _number(uint256 word, uint256 size) private pure returns (uint256) {
        return size == 0 ? 0 : word >> (8 * (32 - size));
    }

    /// @dev Where the string at `at` has its first byte, and its length.
    function _string(bytes calldata rlp, uint256 at) private pure returns (uint256 start, uint256 size) {
        uint256 word = _load(rlp, at);
        uint256 prefix = word >> 248;
        if (prefix < 0x80) return (at, 1);
        if (prefix < 0xb8) {
            size = prefix - 0x80;
            if (size == 1 && (word >> 240) & 0xff < 0x80) revert InvalidHeader();
            return (at + 1, size);
        }
        if (prefix == 0xb8) {
            size = (word >> 240) & 0xff;
            if (size < 56) revert InvalidHeader();
            return (at + 2, size);
        }
        if (prefix == 0xb9) {
            size = (word >> 232) & 0xffff;
            if (size < 256) revert InvalidHeader();
            return (at + 3, size);
        }
        revert InvalidHeader();
    }

    /// @dev The word at `at`; what lies behind the calldata is zero.
    function _load(bytes calldata rlp, uint256 at) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(rlp.offset, at))
        }
    }
}
