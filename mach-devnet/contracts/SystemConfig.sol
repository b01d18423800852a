// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title What the owner of the devnet's rollup sets
/// @notice Interface and events of Optimism's `SystemConfig`, as far as derivation reads them.
/// @dev Source: https://specs.optimism.io/protocol/system-config.html. The storage is written at genesis, so the order
/// of the variables is part of the devnet.
contract SystemConfig {
    enum UpdateType {
        BATCHER,
        FEE_SCALARS,
        GAS_LIMIT,
        UNSAFE_BLOCK_SIGNER,
        EIP_1559_PARAMS,
        OPERATOR_FEE_PARAMS,
        MIN_BASE_FEE,
        DA_FOOTPRINT_GAS_SCALAR
    }

    uint256 public constant VERSION = 0;
    /// Version of the scalar that holds the two of Ecotone.
    uint256 private constant ECOTONE_SCALAR = 1 << 248;

    address public owner; // 0
    bytes32 public batcherHash; // 1
    uint256 public overhead; // 2
    uint256 public scalar; // 3
    uint256 public gasLimit; // 4
    uint256 public eip1559Denominator; // 5
    uint256 public eip1559Elasticity; // 6
    uint256 public operatorFeeScalar; // 7
    uint256 public operatorFeeConstant; // 8
    uint256 public minBaseFee; // 9
    uint256 public daFootprintGasScalar; // 10
    address public unsafeBlockSigner; // 11

    event ConfigUpdate(uint256 indexed version, UpdateType indexed updateType, bytes data);

    error NotOwner(address caller);

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    function setBatcherHash(bytes32 batcherHash_) external onlyOwner {
        batcherHash = batcherHash_;
        update(UpdateType.BATCHER, abi.encode(batcherHash_));
    }

    /// The scalar of the time before Ecotone.
    function setGasConfig(uint256 overhead_, uint256 scalar_) external onlyOwner {
        require(scalar_ < ECOTONE_SCALAR, "SystemConfig: scalar exceeds max.");
        setScalars(overhead_, scalar_);
    }

    function setGasConfigEcotone(uint32 basefeeScalar_, uint32 blobbasefeeScalar_) external onlyOwner {
        setScalars(0, ECOTONE_SCALAR | (uint256(blobbasefeeScalar_) << 32) | basefeeScalar_);
    }

    function setGasLimit(uint64 gasLimit_) external onlyOwner {
        gasLimit = gasLimit_;
        update(UpdateType.GAS_LIMIT, abi.encode(gasLimit_));
    }

    function setUnsafeBlockSigner(address unsafeBlockSigner_) external onlyOwner {
        unsafeBlockSigner = unsafeBlockSigner_;
        update(UpdateType.UNSAFE_BLOCK_SIGNER, abi.encode(unsafeBlockSigner_));
    }

    function setEIP1559Params(uint32 denominator, uint32 elasticity) external onlyOwner {
        require(denominator >= 1, "SystemConfig: denominator must be >= 1");
        require(elasticity >= 1, "SystemConfig: elasticity must be >= 1");
        eip1559Denominator = denominator;
        eip1559Elasticity = elasticity;
        update(UpdateType.EIP_1559_PARAMS, abi.encode((uint256(denominator) << 32) | elasticity));
    }

    function setOperatorFeeScalars(uint32 operatorFeeScalar_, uint64 operatorFeeConstant_) external onlyOwner {
        operatorFeeScalar = operatorFeeScalar_;
        operatorFeeConstant = operatorFeeConstant_;
        update(
            UpdateType.OPERATOR_FEE_PARAMS,
            abi.encode((uint256(operatorFeeScalar_) << 64) | operatorFeeConstant_)
        );
    }

    function setMinBaseFee(uint64 minBaseFee_) external onlyOwner {
        minBaseFee = minBaseFee_;
        update(UpdateType.MIN_BASE_FEE, abi.encode(minBaseFee_));
    }

    function setDAFootprintGasScalar(uint16 daFootprintGasScalar_) external onlyOwner {
        daFootprintGasScalar = daFootprintGasScalar_;
        update(UpdateType.DA_FOOTPRINT_GAS_SCALAR, abi.encode(daFootprintGasScalar_));
    }

    function basefeeScalar() external view returns (uint32) {
        return uint32(scalar);
    }

    function blobbasefeeScalar() external view returns (uint32) {
        return uint32(scalar >> 32);
    }

    function setScalars(uint256 overhead_, uint256 scalar_) private {
        overhead = overhead_;
        scalar = scalar_;
        update(UpdateType.FEE_SCALARS, abi.encode(overhead_, scalar_));
    }

    function update(UpdateType updateType, bytes memory data) private {
        emit ConfigUpdate(VERSION, updateType, data);
    }
}
