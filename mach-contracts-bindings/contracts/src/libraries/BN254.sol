// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Arithmetic on the curve BN254 by the precompiles of EIP-196, EIP-197 and EIP-198
/// @notice The point at infinity is (0, 0). A coordinate that is not on the curve makes the precompile fail.
library BN254 {
    struct G1Point {
        uint256 X;
        uint256 Y;
    }

    /// @dev Each coordinate is [imaginary part, real part], the order that EIP-197 reads.
    struct G2Point {
        uint256[2] X;
        uint256[2] Y;
    }

    /// @notice The precompile at `precompile` refused its input.
    error PrecompileFailed(address precompile);

    /// @dev Order of the base field.
    uint256 internal constant P = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    /// @dev Order of the groups.
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev The two-pair check costs 113,000 gas since EIP-1108. The cap keeps an invalid point, which burns
    /// all gas it is given, from taking the caller's.
    uint256 private constant PAIRING_GAS = 200_000;

    address private constant MODEXP = address(0x05);
    address private constant EC_ADD = address(0x06);
    address private constant EC_MUL = address(0x07);
    address private constant EC_PAIRING = address(0x08);

    function generatorG1() internal pure returns (G1Point memory) {
        return G1Point(1, 2);
    }

    /// @notice The negative of the generator of G2 that EIP-197 names.
    function negatedGeneratorG2() internal pure returns (G2Point memory) {
        return G2Point(
            [
                11559732032986387107991004021392285783925812861821192530917403151452391805634,
                10857046999023057135944570762232829481370756359578518086990519993285655852781
            ],
            [
                17805874995975841540914202342111839520379459829704422454583296818431106115052,
                13392588948715843804641432497768002650278120570034223513918757245338268106653
            ]
        );
    }

    function negate(G1Point memory point) internal pure returns (G1Point memory) {
        return point.Y == 0 ? point : G1Point(point.X, P - point.Y);
    }

    function add(G1Point memory a, G1Point memory b) internal view returns (G1Point memory) {
        (bool success, bytes memory output) = EC_ADD.staticcall(abi.encode(a.X, a.Y, b.X, b.Y));
        if (!success) revert PrecompileFailed(EC_ADD);
        return abi.decode(output, (G1Point));
    }

    function mul(G1Point memory point, uint256 scalar) internal view returns (G1Point memory) {
        (bool success, bytes memory output) = EC_MUL.staticcall(abi.encode(point.X, point.Y, scalar));
        if (!success) revert PrecompileFailed(EC_MUL);
        return abi.decode(output, (G1Point));
    }

    /// @notice Whether e(a1, a2) * e(b1, b2) is one.
    /// @return success false if a point is not in its group
    /// @return isOne meaningful only with `success`
    function pairing(G1Point memory a1, G2Point memory a2, G1Point memory b1, G2Point memory b2)
        internal
        view
        returns (bool success, bool isOne)
    {
        bytes memory output;
        (success, output) = EC_PAIRING.staticcall{gas: PAIRING_GAS}(abi.encode(a1, a2, b1, b2));
        isOne = success && abi.decode(output, (bool));
    }

    /// @notice keccak256 of X then Y: the operator id of a public key.
    function hash(G1Point memory point) internal pure returns (bytes32) {
        return keccak256(abi.encode(point.X, point.Y));
    }

    /// @notice The first point at or after x = digest mod P, counting x upwards.
    /// @dev y is the root that the exponentiation gives, as the signers compute it; its negative is another point.
    function hashToG1(bytes32 digest) internal view returns (G1Point memory) {
        uint256 x = uint256(digest) % P;
        while (true) {
            uint256 beta = addmod(mulmod(mulmod(x, x, P), x, P), 3, P);
            uint256 y = _power(beta, (P + 1) / 4);
            if (mulmod(y, y, P) == beta) return G1Point(x, y);
            x = addmod(x, 1, P);
        }
        // Half of all field elements are abscissas, so that the loop ends.
        return G1Point(0, 0);
    }

    function _power(uint256 base, uint256 exponent) private view returns (uint256) {
        (bool success, bytes memory output) =
            MODEXP.staticcall(abi.encode(uint256(32), uint256(32), uint256(32), base, exponent, P));
        if (!success) revert PrecompileFailed(MODEXP);
        return abi.decode(output, (uint256));
    }
}
