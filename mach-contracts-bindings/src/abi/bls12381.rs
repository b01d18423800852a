//! `MachBls12381Verifier`.

use alloy_sol_types::sol;

sol! {
    /// Field element: 16 zero bytes, then 48, big-endian (EIP-2537).
    #[derive(Debug, Default, PartialEq, Eq, Copy)]
    struct Fp {
        uint256 high;
        uint256 low;
    }

    /// BLS12-381 point, all zeros for the identity.
    #[derive(Debug, Default, PartialEq, Eq, Copy)]
    struct G1Point {
        Fp X;
        Fp Y;
    }

    #[derive(Debug, Default, PartialEq, Eq, Copy)]
    struct Fp2 {
        Fp c0;
        Fp c1;
    }

    /// BLS12-381 point over the extension field; the real part of a coordinate is first.
    #[derive(Debug, Default, PartialEq, Eq, Copy)]
    struct G2Point {
        Fp2 X;
        Fp2 Y;
    }

    /// What `checkCertificate` reads.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Certificate {
        bytes32 digest;
        uint32 referenceBlockNumber;
        bytes quorumNumbers;
        bytes thresholds;
        G1Point[] quorumApks;
        G1Point[] nonSigners;
        G2Point apkG2;
        G1Point sigma;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Member {
        address operator;
        uint8 quorumNumber;
        uint96 stake;
    }

    /// Checks certificates on BLS12-381.
    #[derive(Debug, PartialEq, Eq)]
    interface IMachBls12381Verifier {
        constructor(address owner, bytes signatureDomain);
        function registerKey(G1Point key, G2Point keyG2, G1Point proof) external;
        function keyRegistrationDigest(address operator) external view returns (bytes32);
        function setStakes(Member[] members) external;
        function checkCertificate(Certificate certificate) external view returns (uint96[] signedStake, uint96[] totalStake);
        function keyOf(bytes32 operatorId) external view returns (G1Point);
        function quorumApk(uint8 quorumNumber) external view returns (G1Point);
        function stakeAt(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber) external view returns (uint96);
        function totalStakeAt(uint8 quorumNumber, uint32 blockNumber) external view returns (uint96);
        function operatorIds(address operator) external view returns (bytes32);
        function operators(bytes32 operatorId) external view returns (address);
        function signatureDomain() external view returns (bytes);
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;

        event KeyRegistered(address indexed operator, bytes32 indexed operatorId, G1Point key, G2Point keyG2);
        event StakeSet(bytes32 indexed operatorId, uint8 indexed quorumNumber, uint96 stake);

        error AlreadyRegistered(bytes32 operatorId);
        error NotRegistered(address operator);
        error IdentityKey();
        error InvalidProofOfPossession();
        error NoQuorums();
        error LengthMismatch();
        error InvalidThreshold(uint8 quorumNumber, uint8 threshold);
        error ReferenceBlockNotPast(uint32 referenceBlockNumber, uint256 currentBlock);
        error QuorumWithoutStake(uint8 quorumNumber);
        error OtherQuorumKey(uint8 quorumNumber);
        error NonSignersNotAscending(bytes32 operatorId);
        error NotAMember(bytes32 operatorId);
        error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
        error InvalidSignature();
        error InvalidDomain(uint256 length);
        error PrecompileFailed(address precompile);
        error QuorumsNotAscending();
        error UnknownQuorum(uint8 quorumNumber);
        error OwnableUnauthorizedAccount(address account);
    }
}
