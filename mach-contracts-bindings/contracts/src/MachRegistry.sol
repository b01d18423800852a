// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {BLSSignatureChecker} from "./BLSSignatureChecker.sol";
import {RegistryHistory} from "./RegistryHistory.sol";
import {
    IAVSDirectory,
    IBLSApkRegistry,
    IDelegationManager,
    IRegistryCoordinator,
    IServiceManager,
    IStakeRegistry,
    SignatureWithSaltAndExpiry
} from "./interfaces/IEigenLayer.sol";
import {BN254} from "./libraries/BN254.sol";
import {Quorums} from "./libraries/Quorums.sol";

/// @title A registry of operators that needs no EigenLayer
/// @notice Plays the RegistryCoordinator, BLSApkRegistry, StakeRegistry, IndexRegistry, DelegationManager and AVSDirectory
/// of EigenLayer's M2 contracts for one service manager. Instead of deposits, the owner says what each operator
/// weighs in each quorum: for permissioned networks and devnets.
contract MachRegistry is RegistryHistory, BLSSignatureChecker, Ownable, EIP712, IAVSDirectory {
    using BN254 for BN254.G1Point;

    bytes32 public constant PUBKEY_REGISTRATION_TYPEHASH = keccak256("BN254PubkeyRegistration(address operator)");
    bytes32 public constant OPERATOR_AVS_REGISTRATION_TYPEHASH =
        keccak256("OperatorAVSRegistration(address operator,address avs,bytes32 salt,uint256 expiry)");
    bytes32 private constant AVS_DIRECTORY_DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");

    IServiceManager public immutable serviceManager;

    mapping(address operator => OperatorStatus) private _statuses;
    mapping(uint8 quorumNumber => QuorumParams) private _quorums;
    mapping(address operator => mapping(uint8 quorumNumber => uint96)) private _weights;

    mapping(address avs => mapping(address operator => OperatorAVSRegistrationStatus)) public avsOperatorStatus;
    mapping(address operator => mapping(bytes32 salt => bool)) public operatorSaltIsSpent;

    /// @param serviceManager_ the service manager that registers operators here; it may be deployed later
    constructor(address owner_, IServiceManager serviceManager_, QuorumParams[] memory quorums)
        BLSSignatureChecker(
            IRegistryCoordinator(address(this)),
            IStakeRegistry(address(this)),
            IBLSApkRegistry(address(this)),
            IDelegationManager(address(this))
        )
        Ownable(owner_)
        EIP712("AVSRegistryCoordinator", "v0.0.1")
    {
        if (address(serviceManager_) == address(0)) revert ZeroServiceManager();
        serviceManager = serviceManager_;
        for (uint256 i = 0; i < quorums.length; ++i) _newQuorum(quorums[i]);
    }

    // ---------------------------------------------------------------------------------------------------- operators

    /// @notice Registers the caller for quorums. Its first registration also records its BLS key, for ever.
    /// @param params key in both groups, and its signature of `pubkeyRegistrationMessageHash(caller)`
    /// @param operatorSignature the caller's consent to the service manager, as the AVSDirectory wants it; read only if
    /// the caller is in no quorum yet
    function registerOperator(
        bytes calldata quorumNumbers,
        string calldata socket,
        PubkeyRegistrationParams calldata params,
        SignatureWithSaltAndExpiry memory operatorSignature
    ) external {
        bytes32 operatorId = operatorToPubkeyHash[msg.sender];
        if (operatorId == 0) operatorId = _registerPubkey(params);

        uint256 added = Quorums.toBitmap(quorumNumbers, quorumCount);
        if (added == 0) revert NoQuorums();
        uint256 bitmap = getCurrentQuorumBitmap(operatorId);
        if (bitmap & added != 0) revert AlreadyInQuorum(operatorId, bitmap & added);

        _recordBitmap(operatorId, bitmap | added);
        emit OperatorSocketUpdate(operatorId, socket);
        if (_statuses[msg.sender] != OperatorStatus.REGISTERED) {
            _statuses[msg.sender] = OperatorStatus.REGISTERED;
            serviceManager.registerOperatorToAVS(msg.sender, operatorSignature);
            emit OperatorRegistered(msg.sender, operatorId);
        }
        BN254.G1Point memory pubkey = operatorToPubkey[msg.sender];
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            uint8 quorumNumber = uint8(quorumNumbers[i]);
            QuorumParams memory quorum = _quorums[quorumNumber];
            uint96 weight = _weights[msg.sender][quorumNumber];
            if (weight < quorum.minimumStake) revert BelowMinimumStake(quorumNumber, weight, quorum.minimumStake);
            if (totalOperatorsForQuorum(quorumNumber) >= quorum.maxOperatorCount) {
                revert QuorumFull(quorumNumber, quorum.maxOperatorCount);
            }
            _addMember(quorumNumber, operatorId, pubkey, weight);
        }
        emit OperatorAddedToQuorums(msg.sender, operatorId, quorumNumbers);
    }

    function deregisterOperator(bytes calldata quorumNumbers) external {
        _deregister(msg.sender, Quorums.toBitmap(quorumNumbers, quorumCount));
    }

    function updateSocket(string calldata socket) external {
        if (_statuses[msg.sender] != OperatorStatus.REGISTERED) revert NotRegistered(msg.sender);
        emit OperatorSocketUpdate(operatorToPubkeyHash[msg.sender], socket);
    }

    // -------------------------------------------------------------------------------------------------------- owner

    /// @notice Adds the quorum with the next number.
    function createQuorum(QuorumParams calldata params) external onlyOwner {
        _newQuorum(params);
    }

    /// @dev Applies to registrations from now on and to members whose weight is set next.
    function setQuorumParams(uint8 quorumNumber, QuorumParams calldata params) external onlyOwner {
        _checkQuorum(quorumNumber);
        _setQuorumParams(quorumNumber, params);
    }

    /// @notice Sets weights, of operators registered or not. A member that falls below its quorum's minimum leaves it.
    function setWeights(Weight[] calldata weights) external onlyOwner {
        for (uint256 i = 0; i < weights.length; ++i) {
            address operator = weights[i].operator;
            uint8 quorumNumber = weights[i].quorumNumber;
            uint96 weight = weights[i].weight;
            _checkQuorum(quorumNumber);
            _weights[operator][quorumNumber] = weight;
            emit OperatorWeightSet(operator, quorumNumber, weight);

            bytes32 operatorId = operatorToPubkeyHash[operator];
            if (!Quorums.contains(getCurrentQuorumBitmap(operatorId), quorumNumber)) continue;
            if (weight < _quorums[quorumNumber].minimumStake) _deregister(operator, 1 << quorumNumber);
            else _setStake(quorumNumber, operatorId, weight);
        }
    }

    function ejectOperator(address operator, bytes calldata quorumNumbers) external onlyOwner {
        _deregister(operator, Quorums.toBitmap(quorumNumbers, quorumCount));
    }

    // ------------------------------------------------------------------------------------------- as the AVSDirectory

    /// @notice Called by the service manager while an operator registers: checks and spends the operator's consent.
    function registerOperatorToAVS(address operator, SignatureWithSaltAndExpiry memory operatorSignature) external {
        _checkServiceManager();
        bytes32 salt = operatorSignature.salt;
        uint256 expiry = operatorSignature.expiry;
        if (expiry < block.timestamp) revert SignatureExpired(expiry);
        if (operatorSaltIsSpent[operator][salt]) revert SaltAlreadySpent(salt);
        bytes32 digest = calculateOperatorAVSRegistrationDigestHash(operator, msg.sender, salt, expiry);
        if (!SignatureChecker.isValidSignatureNow(operator, digest, operatorSignature.signature)) {
            revert InvalidOperatorSignature(operator);
        }
        operatorSaltIsSpent[operator][salt] = true;
        _setAVSStatus(operator, OperatorAVSRegistrationStatus.REGISTERED);
    }

    function deregisterOperatorFromAVS(address operator) external {
        _checkServiceManager();
        _setAVSStatus(operator, OperatorAVSRegistrationStatus.UNREGISTERED);
    }

    /// @notice Makes a consent that the caller signed with this salt worthless.
    function cancelSalt(bytes32 salt) external {
        if (operatorSaltIsSpent[msg.sender][salt]) revert SaltAlreadySpent(salt);
        operatorSaltIsSpent[msg.sender][salt] = true;
    }

    function updateAVSMetadataURI(string calldata metadataURI) external {
        emit AVSMetadataURIUpdated(msg.sender, metadataURI);
    }

    function calculateOperatorAVSRegistrationDigestHash(address operator, address avs, bytes32 salt, uint256 expiry)
        public
        view
        returns (bytes32)
    {
        bytes32 structHash = keccak256(abi.encode(OPERATOR_AVS_REGISTRATION_TYPEHASH, operator, avs, salt, expiry));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
    }

    /// @notice The AVSDirectory's domain, which has no version; key registration has a domain of its own.
    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(AVS_DIRECTORY_DOMAIN_TYPEHASH, keccak256("EigenLayer"), block.chainid, address(this))
        );
    }

    // -------------------------------------------------------------------------------------------------------- views

    function indexRegistry() external view returns (address) {
        return address(this);
    }

    function avsDirectory() external view returns (address) {
        return address(this);
    }

    /// @notice Weights are never stale here: they are what the owner last said.
    function quorumUpdateBlockNumber(uint8) external view returns (uint256) {
        return block.number;
    }

    /// @notice There is no deposit to withdraw.
    function minWithdrawalDelayBlocks() external pure returns (uint256) {
        return 0;
    }

    function getOperator(address operator) external view returns (OperatorInfo memory) {
        return OperatorInfo(operatorToPubkeyHash[operator], _statuses[operator]);
    }

    function getOperatorId(address operator) external view returns (bytes32) {
        return operatorToPubkeyHash[operator];
    }

    function getOperatorFromId(bytes32 operatorId) external view returns (address) {
        return pubkeyHashToOperator[operatorId];
    }

    function getOperatorStatus(address operator) external view returns (OperatorStatus) {
        return _statuses[operator];
    }

    function minimumStakeForQuorum(uint8 quorumNumber) external view returns (uint96) {
        return _quorums[quorumNumber].minimumStake;
    }

    function maxOperatorCountForQuorum(uint8 quorumNumber) external view returns (uint32) {
        return _quorums[quorumNumber].maxOperatorCount;
    }

    function weightOfOperatorForQuorum(uint8 quorumNumber, address operator) external view returns (uint96) {
        _checkQuorum(quorumNumber);
        return _weights[operator][quorumNumber];
    }

    /// @notice No strategy stands behind a weight.
    function strategyParamsLength(uint8) external pure returns (uint256) {
        return 0;
    }

    /// @notice The point that `operator` signs with its BLS key to register it.
    function pubkeyRegistrationMessageHash(address operator) public view returns (BN254.G1Point memory) {
        return BN254.hashToG1(calculatePubkeyRegistrationMessageHash(operator));
    }

    function calculatePubkeyRegistrationMessageHash(address operator) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PUBKEY_REGISTRATION_TYPEHASH, operator)));
    }

    // ----------------------------------------------------------------------------------------------------- internal

    /// @dev A caller with a key never gets here, so that neither a key nor an operator is registered twice.
    function _registerPubkey(PubkeyRegistrationParams calldata params) private returns (bytes32 operatorId) {
        BN254.G1Point memory pubkey = params.pubkeyG1;
        operatorId = pubkey.hash();
        // The identity signs everything with the identity.
        if (pubkey.X == 0 && pubkey.Y == 0) revert ZeroPubkey();
        if (pubkeyHashToOperator[operatorId] != address(0)) revert PubkeyAlreadyRegistered(operatorId);

        BN254.G1Point memory messageHash = pubkeyRegistrationMessageHash(msg.sender);
        uint256 gamma = uint256(
            keccak256(abi.encode(params.pubkeyRegistrationSignature, pubkey, params.pubkeyG2, messageHash))
        ) % BN254.R;
        // One check for both: the keys are one key in two groups, and it signed the message.
        BN254.G1Point memory signature = params.pubkeyRegistrationSignature;
        (bool success, bool isOne) = BN254.pairing(
            signature.add(pubkey.mul(gamma)),
            BN254.negatedGeneratorG2(),
            messageHash.add(BN254.generatorG1().mul(gamma)),
            params.pubkeyG2
        );
        if (!success || !isOne) revert InvalidPubkeyRegistration();
        _recordKey(msg.sender, operatorId, pubkey);
        emit NewPubkeyRegistration(msg.sender, pubkey, params.pubkeyG2);
    }

    function _deregister(address operator, uint256 removed) private {
        if (_statuses[operator] != OperatorStatus.REGISTERED) revert NotRegistered(operator);
        if (removed == 0) revert NoQuorums();
        bytes32 operatorId = operatorToPubkeyHash[operator];
        uint256 bitmap = getCurrentQuorumBitmap(operatorId);
        if (bitmap & removed != removed) revert NotInQuorum(operatorId, removed & ~bitmap);

        _recordBitmap(operatorId, bitmap & ~removed);
        BN254.G1Point memory pubkey = operatorToPubkey[operator];
        bytes memory quorumNumbers = Quorums.toBytes(removed);
        for (uint256 i = 0; i < quorumNumbers.length; ++i) {
            _removeMember(uint8(quorumNumbers[i]), operatorId, pubkey);
        }
        emit OperatorRemovedFromQuorums(operator, operatorId, quorumNumbers);
        if (bitmap == removed) {
            _statuses[operator] = OperatorStatus.DEREGISTERED;
            serviceManager.deregisterOperatorFromAVS(operator);
            emit OperatorDeregistered(operator, operatorId);
        }
    }

    function _newQuorum(QuorumParams memory params) private {
        _setQuorumParams(_createQuorum(), params);
    }

    function _setQuorumParams(uint8 quorumNumber, QuorumParams memory params) private {
        // An operator without stake would be counted and never matter.
        if (params.minimumStake == 0) revert ZeroMinimumStake();
        _quorums[quorumNumber] = params;
        emit MinimumStakeForQuorumUpdated(quorumNumber, params.minimumStake);
        emit QuorumParamsUpdated(quorumNumber, params.minimumStake, params.maxOperatorCount);
    }

    function _setAVSStatus(address operator, OperatorAVSRegistrationStatus status) private {
        avsOperatorStatus[msg.sender][operator] = status;
        emit OperatorAVSRegistrationStatusUpdated(operator, msg.sender, status);
    }

    function _checkQuorum(uint8 quorumNumber) private view {
        if (quorumNumber >= quorumCount) revert Quorums.UnknownQuorum(quorumNumber);
    }

    function _checkServiceManager() private view {
        if (msg.sender != address(serviceManager)) revert NotServiceManager(msg.sender);
    }
}
