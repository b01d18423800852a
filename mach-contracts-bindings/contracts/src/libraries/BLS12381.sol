// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Arithmetic on the curve BLS12-381 by the precompiles of EIP-2537, and its hash to G1 of RFC 9380
/// @notice The point at infinity is all zeros. A precompile fails on a number that is not below the modulus and on a
/// point that is not on the curve; `combine` and `pairing` also fail on a point outside the subgroup, `add` does not.
library BLS12381 {
    /// @dev A number below the modulus, big-endian: 16 zero bytes, then its 48.
    struct Fp {
        uint256 high;
        uint256 low;
    }

    struct G1Point {
        Fp X;
        Fp Y;
    }

    /// @dev c0 + c1 * u. The real part is first, unlike on BN254.
    struct Fp2 {
        Fp c0;
        Fp c1;
    }

    struct G2Point {
        Fp2 X;
        Fp2 Y;
    }

    /// @notice The precompile at `precompile` refused its input.
    error PrecompileFailed(address precompile);
    /// @notice A domain separation tag has 1 to 255 bytes.
    error InvalidDomain(uint256 length);

    /// @dev Modulus of the base field.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    address private constant MODEXP = address(0x05);
    address private constant G1ADD = address(0x0b);
    address private constant G1MSM = address(0x0c);
    address private constant PAIRING_CHECK = address(0x0f);
    address private constant MAP_FP_TO_G1 = address(0x10);

    /// @dev Twice what each costs since Prague. A precompile that refuses its input burns all gas it is given; the
    /// caps keep it from taking the caller's.
    uint256 private constant ADD_GAS = 750;
    uint256 private constant COMBINE_GAS = 46_000;
    uint256 private constant PAIRING_GAS = 206_000;
    uint256 private constant MAP_GAS = 11_000;

    /// @notice The generator that the curve's specification names.
    function generatorG1() internal pure returns (G1Point memory) {
        return G1Point(
            Fp(
                0x17f1d3a73197d7942695638c4fa9ac0f,
                0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb
            ),
            Fp(
                0x08b3f481e3aaa0f1a09e30ed741d8ae4,
                0xfcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1
            )
        );
    }

    /// @notice The negative of the generator of G2.
    function negatedGeneratorG2() internal pure returns (G2Point memory) {
        return G2Point(
            Fp2(
                Fp(
                    0x024aa2b2f08f0a91260805272dc51051,
                    0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8
                ),
                Fp(
                    0x13e02b6052719f607dacd3a088274f65,
                    0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e
                )
            ),
            Fp2(
                Fp(
                    0x0d1b3cc2c7027888be51d9ef691d77bc,
                    0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa
                ),
                Fp(
                    0x13fa4d4a0ad8b1ce186ed5061789213d,
                    0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed
                )
            )
        );
    }

    function isIdentity(G1Point memory point) internal pure returns (bool) {
        return point.X.high | point.X.low | point.Y.high | point.Y.low == 0;
    }

    /// @dev For points of the curve: their numbers are below the modulus.
    function negate(G1Point memory point) internal pure returns (G1Point memory) {
        if (isIdentity(point)) return point;
        unchecked {
            uint256 borrow = point.Y.low > P_LOW ? 1 : 0;
            return G1Point(point.X, Fp(P_HIGH - point.Y.high - borrow, P_LOW - point.Y.low));
        }
    }

    function add(G1Point memory a, G1Point memory b) internal view returns (G1Point memory) {
        return abi.decode(_call(G1ADD, ADD_GAS, abi.encode(a, b)), (G1Point));
    }

    /// @notice a + scalar * b. Fails unless both are in the subgroup.
    function combine(G1Point memory a, G1Point memory b, uint256 scalar) internal view returns (G1Point memory) {
        return abi.decode(_call(G1MSM, COMBINE_GAS, abi.encode(a, uint256(1), b, scalar)), (G1Point));
    }

    /// @notice Whether e(a1, a2) * e(b1, b2) is one. Fails unless all four are in their subgroups.
    function pairing(G1Point memory a1, G2Point memory a2, G1Point memory b1, G2Point memory b2)
        internal
        view
        returns (bool)
    {
        return abi.decode(_call(PAIRING_CHECK, PAIRING_GAS, abi.encode(a1, a2, b1, b2)), (bool));
    }

    /// @notice keccak256 of the 128 bytes that EIP-2537 writes the point in: the operator id of a public key.
    function hash(G1Point memory point) internal pure returns (bytes32) {
        return keccak256(abi.encode(point));
    }

    /// @notice The suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380, under the domain separation tag `domain`.
    function hashToG1(bytes memory message, bytes memory domain) internal view returns (G1Point memory) {
        (Fp memory u0, Fp memory u1) = _hashToField(message, domain);
        // The precompile clears the cofactor, which gives the same sum as clearing it afterwards.
        return add(_map(u0), _map(u1));
    }

    /// @dev hash_to_field of section 5.2 with expand_message_xmd of section 5.3.1: two numbers of 64 bytes, reduced.
    function _hashToField(bytes memory message, bytes memory domain)
        private
        view
        returns (Fp memory u0, Fp memory u1)
    {
        if (domain.length == 0 || domain.length > 255) revert InvalidDomain(domain.length);
        bytes memory tag = abi.encodePacked(domain, uint8(domain.length));
        // A block of zeros, the message, the length 128 in two bytes, a zero byte.
        bytes32 b0 = sha256(abi.encodePacked(uint256(0), uint256(0), message, uint16(128), uint8(0), tag));
        bytes32 b1 = sha256(abi.encodePacked(b0, uint8(1), tag));
        bytes32 b2 = sha256(abi.encodePacked(b0 ^ b1, uint8(2), tag));
        bytes32 b3 = sha256(abi.encodePacked(b0 ^ b2, uint8(3), tag));
        bytes32 b4 = sha256(abi.encodePacked(b0 ^ b3, uint8(4), tag));
        return (_reduce(b1, b2), _reduce(b3, b4));
    }

    /// @dev A number of 64 bytes modulo the modulus: its first power.
    function _reduce(bytes32 high, bytes32 low) private view returns (Fp memory) {
        bytes memory input =
            abi.encodePacked(uint256(64), uint256(1), uint256(64), high, low, uint8(1), P_HIGH, P_LOW);
        return abi.decode(_call(MODEXP, gasleft(), input), (Fp));
    }

    function _map(Fp memory element) private view returns (G1Point memory) {
        return abi.decode(_call(MAP_FP_TO_G1, MAP_GAS, abi.encode(element)), (G1Point));
    }

    function _call(address precompile, uint256 gasLimit, bytes memory input) private view returns (bytes memory) {
        (bool success, bytes memory output) = precompile.staticcall{gas: gasLimit}(input);
        // A chain without the precompile has an empty account there, which answers nothing.
        if (!success || output.length == 0) revert PrecompileFailed(precompile);
        return output;
    }
}
