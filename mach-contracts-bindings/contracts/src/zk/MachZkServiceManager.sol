// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ZkVerdicts} from "./ZkVerdicts.sol";
import {ZkRules} from "./ZkRules.sol";
import {IMachStatements} from "../interfaces/IMachStatements.sol";
import {IAttestations, IDisputeGameFactory, IL2OutputOracle} from "./interfaces/IRollupContracts.sol";
import {ZkEvidence} from "./ZkEvidence.sol";
import {OutputRoots} from "./libraries/OutputRoots.sol";

/// @title Alerts about one rollup that nobody has to believe: each is decided by a proof, or by the EVM itself
/// @notice An output root on L1 names a header, the header its parents. One of them that execution contradicts convicts
/// every output root that leads to it. Alerts are independent of each other: any number, in any order, about any height.
/// @dev Not upgradeable, and no initializer: what an owner may change, it changes with a delay (`ZkRules`).
contract MachZkServiceManager is ZkVerdicts {
    event AlertRaised(
        uint256 indexed id, address indexed submitter, Accused indexed kind, uint256 blockNumber, bytes32 accused
    );
    /// @notice Of the original; `invalidOutputRoot` is the block hash in an alert about one.
    event AlertBlockMismatch(bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 indexed l2BlockNumber);
    /// @notice Of the original; for a dispute game it is the index of the game.
    event AlertBlockOutputOracleMismatch(
        uint256 indexed invalidOutputIndex, bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 indexed l2BlockNumber
    );
    /// @param judged hash of the header that was judged, zero if it was none
    event AlertProved(
        uint256 indexed id, Ground ground, bytes32 judged, uint16 fault, bytes32 claimed, bytes32 computed
    );
    event AlertRefuted(uint256 indexed id, Ground ground);
    event AlertExpired(uint256 indexed id);
    /// @notice The rollup has one more conviction that nobody cleared.
    event RollupConvicted(uint256 indexed id, bytes32 indexed accused, uint256 indexed blockNumber);
    event ConvictionCleared(uint256 indexed id);
    /// @notice The account may withdraw so much of the alert's bond.
    event BondReleased(uint256 indexed id, address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address to, uint256 amount);
    event BondChanged(uint96 bond);
    event BeneficiaryChanged(address beneficiary);

    error InvalidAlert();
    error InvalidStartIndex();
    /// @notice Without a bond nobody is accused but the rollup: this is a game that somebody else made.
    error NotPublished(address source);
    error NotInAllowlist();
    error WrongBond(uint256 sent, uint256 bond);
    error AlreadyProved(uint256 id);
    /// @notice This alert has convicted the same before, at the same posting: what costs no bond is raised once.
    error AlreadyConvicted(uint256 id);
    error NotOpen(uint256 id, Status status);
    error NotExpired(uint64 deadline);
    /// @notice The output root is not the hash of this.
    error OpeningMismatch(bytes32 accused, bytes32 opened);
    /// @notice Only what is on L1 convicts by its ancestors.
    error HeadersOfUnpublished();
    error BlockNumberMismatch(uint256 alerted, uint256 judged);
    /// @notice Nothing contradicts what is accused, as far as this goes.
    error NothingWrong();
    /// @notice The block executes right, but nobody has attested its parent.
    error ParentNotAttested(bytes32 parentHash);
    error NotAttested(uint256 blockNumber);
    /// @notice Operators have attested a block that stands on what is accused, or that itself.
    error AttestedOtherwise(bytes32 accused);
    /// @notice Until then, in the time of `clock`, somebody may show that operators attested otherwise.
    error TooEarly(uint64 from);
    error NothingToWithdraw();
    error TransferFailed();

    enum Conviction {
        None,
        Standing,
        Cleared
    }

    /// @dev What became of something that the rollup put on L1 and that was proved wrong; `alert` is the first that did, plus one.
    struct Convicted {
        Conviction conviction;
        uint248 alert;
    }

    /// @dev Share of a forfeited bond that goes to whoever refuted the alert with a proof.
    uint96 private constant REFUTER_SHARE = 2;

    IL2OutputOracle public immutable l2OutputOracle;
    IDisputeGameFactory public immutable disputeGameFactory;
    IAttestations public immutable attestations;
    ZkEvidence public immutable evidence;

    address public beneficiary;
    uint96 public bond;
    Alert[] private _alerts;
    uint256 private _standing;
    mapping(bytes32 subject => Convicted) private _convicted;
    /// @dev What is on L1 and right as operators attested.
    mapping(bytes32 subject => bool) private _upheld;
    /// @notice What an account may withdraw, in wei.
    mapping(address account => uint256) public withdrawable;

    constructor(Setup memory setup) ZkRules(setup) ZkVerdicts(setup.rollupChainId) {
        address[3] memory sources = [setup.oracle, setup.gameFactory, setup.attestations];
        for (uint256 i = 0; i < sources.length; ++i) {
            if (sources[i] != address(0) && sources[i].code.length == 0) revert NotAContract(sources[i]);
        }
        l2OutputOracle = IL2OutputOracle(setup.oracle);
        disputeGameFactory = IDisputeGameFactory(setup.gameFactory);
        attestations = IAttestations(setup.attestations);
        evidence = new ZkEvidence(setup.times);
        _setBond(setup.bond);
        _setBeneficiary(setup.beneficiary);
    }

    // ---------------------------------------------------------------------------------------------------- raising

    /// @notice "This output root, which the sequencer told, is not right for the block that it names."
    function alertBlockMismatch(bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 l2BlockNumber)
        external
        payable
        returns (uint256 id)
    {
        _admit();
        if (invalidOutputRoot == expectOutputRoot) revert InvalidAlert();
        return _raiseBare(Accused.OutputRoot, invalidOutputRoot, expectOutputRoot, l2BlockNumber);
    }

    /// @notice "The block with this hash is not what execution on its own parent gives."
    function alertBlockHash(bytes32 blockHash, bytes32 expectOutputRoot, uint256 l2BlockNumber)
        external
        payable
        returns (uint256 id)
    {
        _admit();
        return _raiseBare(Accused.BlockHash, blockHash, expectOutputRoot, l2BlockNumber);
    }

    /// @notice "The output with this index in the oracle is wrong": any of them, the first and the latest too.
    function alertBlockOutputOracleMismatch(uint256 invalidOutputIndex, bytes32 expectOutputRoot)
        external
        payable
        returns (uint256 id)
    {
        _admit();
        return _raisePublished(Accused.OracleOutput, invalidOutputIndex, expectOutputRoot);
    }

    /// @notice "The root claim of the dispute game with this index is wrong."
    function alertDisputeGameMismatch(uint256 invalidGameIndex, bytes32 expectOutputRoot)
        external
        payable
        returns (uint256 id)
    {
        _admit();
        return _raisePublished(Accused.GameClaim, invalidGameIndex, expectOutputRoot);
    }

    // ------------------------------------------------------------------------------------------- deciding by proof

    /// @notice Shows a proof of the sender for an alert: that it is right, or that it is wrong.
    function submitProve(uint256 id, bytes32 program, Claim calldata claim, bytes calldata proof, Path calldata path)
        public
        whenNotPaused
    {
        ProgramKind kind = _record(program, claim, proof);
        settle(id, claim.configHash, kind, path);
    }

    /// @notice Raises an alert about what the rollup put on L1 and proves it. Needs no bond and no leave: it is right, and the
    /// first, or reverts.
    function accuse(
        Accused kind,
        uint256 index,
        bytes32 program,
        Claim calldata claim,
        bytes calldata proof,
        Path calldata path
    ) external returns (uint256 id) {
        id = _raiseFirst(kind, index);
        submitProve(id, program, claim, proof, path);
        if (_alerts[id].status != Status.Proved) revert NothingWrong();
    }

    /// @notice Decides an alert by a proof that was verified here before, for any alert and by anybody.
    function settle(uint256 id, bytes32 configHash, ProgramKind kind, Path calldata path) public whenNotPaused {
        Alert storage alert = _undecided(id);
        bytes32 judged = _judged(alert, path);
        Verdict memory found = _verdict(configHash, judged, kind);
        _settle(id, alert, found, kind, judged, path.headers.length == 0);
    }

    // ------------------------------------------------------------------------------------------ deciding in the EVM

    /// @notice Convicts an output root that contradicts the header that it names.
    /// @param header RLP of the header
    /// @param accountProof the message passer's account under the header's state root; empty from Isthmus on
    function convictDirectly(
        uint256 id,
        OutputRoots.Opening calldata opening,
        bytes calldata header,
        bytes[] calldata accountProof
    ) external {
        _convictDirectly(id, opening, header, accountProof);
    }

    /// @notice Raises an alert about what the rollup put on L1 and convicts it, without a bond: see `accuse`.
    function accuseDirectly(
        Accused kind,
        uint256 index,
        OutputRoots.Opening calldata opening,
        bytes calldata header,
        bytes[] calldata accountProof
    ) external returns (uint256 id) {
        id = _raiseFirst(kind, index);
        _convictDirectly(id, opening, header, accountProof);
    }

    /// @notice Refutes an alert about what is not on L1 whose header has another number than the alert says.
    /// @param opening of the accused output root; not looked at for a block hash
    function refuteDirectly(uint256 id, OutputRoots.Opening calldata opening, bytes calldata header) external {
        Alert storage alert = _undecided(id);
        if (_isPublished(alert.kind)) revert NothingWrong();
        if (evidence.number(_named(alert, opening), header) == alert.blockNumber) revert NothingWrong();
        _refute(id, alert, Ground.BlockNumber, address(0));
    }

    /// @notice Decides an alert by what operators have attested: of its block, or of one that descends from it.
    /// @dev An attestation says that a block is valid, and not that it is still the rollup's. So another block than the attested
    /// one is wrong only if, for half the time that the alert has, nobody shows that operators attested what stands on it. Once that
    /// is shown no attestation convicts it: one of the two blocks is not the rollup's any more, and which is not known here.
    /// @param attested number of the attested block
    /// @param headers RLP of the attested header, or of an ancestor of it that `ZkEvidence` has on record, of its parent, and so
    /// on to the child of the alert's block; empty if that is the attested one
    /// @param header RLP of the alert's block; empty if the attested output root is to be believed
    /// @param accountProof as in `convictDirectly`
    function judgeByAttestation(
        uint256 id,
        uint64 attested,
        bytes[] calldata headers,
        bytes calldata header,
        bytes[] calldata accountProof
    ) external whenNotPaused {
        Alert storage alert = _undecided(id);
        IMachStatements.Attestation memory anchor = _attestation(attested);
        if (anchor.blockHash == 0) revert NotAttested(attested);
        bytes32 blockHash = anchor.blockHash;
        bytes32 outputRoot = anchor.outputRoot;
        uint256 number = attested;
        if (header.length > 0) {
            (blockHash, number, outputRoot) = evidence.outputBelow(blockHash, headers, header, accountProof);
        }
        if (number != alert.blockNumber) revert BlockNumberMismatch(alert.blockNumber, number);
        bytes32 right = alert.kind == Accused.BlockHash ? blockHash : outputRoot;
        if (right == 0) revert NotAttested(attested);
        bool published = _isPublished(alert.kind);
        if (alert.accused == right) {
            if (published) _upheld[_subject(alert)] = true;
            // One that expired is upheld all the same.
            if (!published || alert.status == Status.Raised) _refute(id, alert, Ground.Attestation, address(0));
            return;
        }
        // Another block at this height says nothing of how an accused one executes that nobody published.
        if (!published) revert NothingWrong();
        if (_upheld[_subject(alert)]) revert AttestedOtherwise(alert.accused);
        uint64 from = _deadline(alert.raisedAt) - provingWindow / 2;
        if (clock() < from) revert TooEarly(from);
        _prove(id, alert, Ground.Attestation, blockHash, OUTPUT_ROOT, alert.accused, outputRoot);
    }

    // ------------------------------------------------------------------------------------------------------- bonds

    /// @notice Takes the bond of an alert that nobody proved in time. The alert may still be proved later.
    function expire(uint256 id) external whenNotPaused {
        Alert storage alert = _undecided(id);
        if (alert.status != Status.Raised) revert NotOpen(id, alert.status);
        uint64 until = _deadline(alert.raisedAt);
        if (clock() < until) revert NotExpired(until);
        alert.status = Status.Expired;
        _release(id, alert, beneficiary, alert.bond);
        emit AlertExpired(id);
    }

    /// @notice Pays what the sender may withdraw.
    function withdraw(address payable to) external {
        uint256 amount = withdrawable[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        if (to == address(0)) revert ZeroAddress();
        withdrawable[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed();
    }

    // ------------------------------------------------------------------------------------------------------- owner

    /// @notice Takes note that a conviction is dealt with: the rollup counts one less, the alert stays proved.
    function clearAlert(uint256 id) external onlyOwner {
        Alert storage alert = _alert(id);
        Convicted storage convicted = _convicted[_subject(alert)];
        if (alert.status != Status.Proved || convicted.conviction != Conviction.Standing) revert NotOpen(id, alert.status);
        convicted.conviction = Conviction.Cleared;
        --_standing;
        emit ConvictionCleared(id);
    }

    /// @notice Of alerts that are raised from now on.
    function setBond(uint96 bond_) external onlyOwner {
        _setBond(bond_);
    }

    function setBeneficiary(address beneficiary_) external onlyOwner {
        _setBeneficiary(beneficiary_);
    }

    // ----------------------------------------------------------------------------------------------------- queries

    /// @notice Alerts are numbered from 0 in the order in which they were raised.
    function getAlert(uint256 id) external view returns (Alert memory) {
        return _alert(id);
    }

    /// @notice Until when, in the time of `clock`, an alert keeps its bond without a proof.
    function deadline(uint256 id) external view returns (uint64) {
        return _deadline(_alert(id).raisedAt);
    }

    function getAlertsLength() external view returns (uint256) {
        return _alerts.length;
    }

    /// @notice At most `size` alerts from number `start` on.
    function queryAlerts(uint256 start, uint256 size) external view returns (Alert[] memory alerts) {
        uint256 length = _alerts.length;
        if (start > length) revert InvalidStartIndex();
        uint256 count = size < length - start ? size : length - start;
        alerts = new Alert[](count);
        for (uint256 i = 0; i < count; ++i) {
            alerts[i] = _alerts[start + i];
        }
    }

    /// @notice Height of the newest alert, 0 if there is none.
    function latestAlertBlockNumber() external view returns (uint256) {
        uint256 length = _alerts.length;
        return length == 0 ? 0 : _alerts[length - 1].blockNumber;
    }

    /// @notice Convictions that nobody cleared. An alert that is only raised does not count, nor one about what nobody published.
    function totalAlerts(uint256 rollupChainId) external view returns (uint256) {
        return rollupChainId == rollupChainID ? _standing : 0;
    }

    /// @notice Whether an output root that is, or was, on L1 is convicted.
    /// @param source the oracle, or the game
    /// @param index of the output in the oracle, 0 for a game
    /// @param postedAt the output's timestamp in the oracle, 0 for a game
    function conviction(address source, uint64 index, uint64 postedAt, bytes32 outputRoot)
        external
        view
        returns (Conviction)
    {
        return _convicted[_subject(source, index, postedAt, outputRoot)].conviction;
    }

    // ------------------------------------------------------------------------------------------------------ private

    function _admit() private whenNotPaused {
        if (allowlistEnabled && !allowlist[msg.sender]) revert NotInAllowlist();
        if (msg.value != bond) revert WrongBond(msg.value, bond);
    }

    function _raiseBare(Accused kind, bytes32 accused, bytes32 expected, uint256 blockNumber)
        private
        returns (uint256 id)
    {
        if (accused == 0 || blockNumber == 0) revert InvalidAlert();
        id = _push(kind, Posting(address(0), 0, 0, false, blockNumber, accused), expected);
        emit AlertBlockMismatch(accused, expected, blockNumber);
    }

    function _raiseFirst(Accused kind, uint256 index) private returns (uint256 id) {
        id = _raisePublished(kind, index, 0);
        Alert storage alert = _alerts[id];
        if (!alert.published) revert NotPublished(alert.source);
        uint256 before = _convicted[_subject(alert)].alert;
        if (before != 0) revert AlreadyConvicted(before - 1);
    }

    function _raisePublished(Accused kind, uint256 index, bytes32 expected) private returns (uint256 id) {
        Posting memory posting = evidence.posting(l2OutputOracle, disputeGameFactory, this, kind, index);
        if (posting.accused == expected || posting.accused == 0) revert InvalidAlert();
        id = _push(kind, posting, expected);
        emit AlertBlockOutputOracleMismatch(index, posting.accused, expected, posting.blockNumber);
    }

    function _push(Accused kind, Posting memory posting, bytes32 expected) private returns (uint256 id) {
        id = _alerts.length;
        Alert storage alert = _alerts.push();
        alert.submitter = msg.sender;
        alert.kind = kind;
        alert.published = posting.published;
        alert.raisedAt = clock();
        alert.bond = uint96(msg.value);
        alert.source = posting.source;
        alert.index = posting.index;
        alert.postedAt = posting.postedAt;
        alert.blockNumber = posting.blockNumber;
        alert.accused = posting.accused;
        alert.expected = expected;
        emit AlertRaised(id, msg.sender, kind, posting.blockNumber, posting.accused);
    }

    function _settle(
        uint256 id,
        Alert storage alert,
        Verdict memory found,
        ProgramKind kind,
        bytes32 judged,
        bool isNamed
    ) private {
        bool published = _isPublished(alert.kind);
        // A header that is wrong convicts whatever is built on it, at whatever height that is said to be.
        if (!published && found.blockNumber != alert.blockNumber) {
            revert BlockNumberMismatch(alert.blockNumber, found.blockNumber);
        }
        bool executed = kind == ProgramKind.Block;
        if (executed && found.fault != 0) {
            _prove(id, alert, Ground.BlockProof, judged, found.fault, found.claimed, found.computed);
            return;
        }
        // Anything else is said of the header that is accused or named, and of no other.
        if (!isNamed) revert NothingWrong();
        if (alert.kind != Accused.BlockHash) {
            bytes32 right = executed ? found.outputRoot : found.computed;
            if (right == 0) revert NothingWrong();
            if (right != alert.accused) {
                _prove(id, alert, Ground.OutputProof, judged, OUTPUT_ROOT, alert.accused, right);
                return;
            }
        }
        if (!executed) revert NothingWrong();
        if (published) {
            if (found.blockNumber != alert.blockNumber) {
                _prove(
                    id, alert, Ground.BlockNumber, judged, 0, bytes32(alert.blockNumber), bytes32(uint256(found.blockNumber))
                );
                return;
            }
            // That one block executes right says nothing of those before it.
            bytes32 parent = found.blockNumber == 0 ? bytes32(0) : _attestation(found.blockNumber - 1).blockHash;
            if (parent == 0 || parent != found.parentHash) revert ParentNotAttested(found.parentHash);
        }
        _refute(id, alert, Ground.BlockProof, found.prover);
    }

    function _convictDirectly(
        uint256 id,
        OutputRoots.Opening calldata opening,
        bytes calldata header,
        bytes[] calldata accountProof
    ) private {
        Alert storage alert = _undecided(id);
        if (alert.kind == Accused.BlockHash) revert NothingWrong();
        bytes32 judged = _named(alert, opening);
        (Ground ground, bytes32 claimed, bytes32 computed) =
            evidence.contradiction(alert.blockNumber, opening, header, accountProof);
        if (ground == Ground.None) revert NothingWrong();
        // What is not on L1 has the number that the alerter says.
        if (ground == Ground.BlockNumber && !_isPublished(alert.kind)) {
            revert BlockNumberMismatch(alert.blockNumber, uint256(computed));
        }
        _prove(id, alert, ground, judged, OUTPUT_ROOT, claimed, computed);
    }

    /// @dev The header that a proof has to be about.
    function _judged(Alert storage alert, Path calldata path) private view returns (bytes32) {
        if (path.headers.length > 0 && !_isPublished(alert.kind)) revert HeadersOfUnpublished();
        bytes32 named = _named(alert, path.opening);
        return path.headers.length == 0 ? named : evidence.descend(named, path.headers);
    }

    /// @dev The header that is accused, or that the accused output root names.
    function _named(Alert storage alert, OutputRoots.Opening calldata opening) private view returns (bytes32) {
        if (alert.kind == Accused.BlockHash) return alert.accused;
        bytes32 opened = OutputRoots.hash(opening);
        if (opened != alert.accused) revert OpeningMismatch(alert.accused, opened);
        return opening.blockHash;
    }

    function _attestation(uint64 blockNumber) private view returns (IMachStatements.Attestation memory attested) {
        if (address(attestations) == address(0)) return attested;
        (attested,) = attestations.attestation(rollupChainID, blockNumber);
    }

    function _alert(uint256 id) private view returns (Alert storage) {
        if (id >= _alerts.length) revert InvalidIndex();
        return _alerts[id];
    }

    /// @dev An alert that is not proved: one that was refuted, or that expired, may turn out to be right.
    function _undecided(uint256 id) private view returns (Alert storage alert) {
        alert = _alert(id);
        if (alert.status == Status.Proved) revert AlreadyProved(id);
    }

    function _prove(
        uint256 id,
        Alert storage alert,
        Ground ground,
        bytes32 judged,
        uint16 fault,
        bytes32 claimed,
        bytes32 computed
    ) private {
        alert.status = Status.Proved;
        alert.ground = ground;
        _release(id, alert, alert.submitter, alert.bond);
        emit AlertProved(id, ground, judged, fault, claimed, computed);
        // What is not the rollup's own now may be later, and is convicted then.
        if (!alert.published) return;
        Convicted storage convicted = _convicted[_subject(alert)];
        if (convicted.alert != 0) return;
        convicted.alert = uint248(id + 1);
        convicted.conviction = Conviction.Standing;
        ++_standing;
        emit RollupConvicted(id, alert.accused, alert.blockNumber);
    }

    /// @param refuter who gets its share of the bond; nobody if it took no proof
    function _refute(uint256 id, Alert storage alert, Ground ground, address refuter) private {
        if (alert.status != Status.Raised) revert NotOpen(id, alert.status);
        alert.status = Status.Refuted;
        alert.ground = ground;
        // A refuter's share is for the proof.
        if (refuter != address(0)) _release(id, alert, refuter, alert.bond / REFUTER_SHARE);
        _release(id, alert, beneficiary, alert.bond);
        emit AlertRefuted(id, ground);
    }

    function _release(uint256 id, Alert storage alert, address account, uint96 amount) private {
        if (amount == 0) return;
        alert.bond -= amount;
        withdrawable[account] += amount;
        emit BondReleased(id, account, amount);
    }

    function _isPublished(Accused kind) private pure returns (bool) {
        return kind == Accused.OracleOutput || kind == Accused.GameClaim;
    }

    function _subject(Alert storage alert) private view returns (bytes32) {
        uint64 index = alert.kind == Accused.OracleOutput ? alert.index : 0;
        return _subject(alert.source, index, alert.postedAt, alert.accused);
    }

    function _subject(address source, uint64 index, uint64 postedAt, bytes32 accused) private pure returns (bytes32) {
        return keccak256(abi.encode(source, index, postedAt, accused));
    }

    function _setBond(uint96 bond_) private {
        bond = bond_;
        emit BondChanged(bond_);
    }

    function _setBeneficiary(address beneficiary_) private {
        if (beneficiary_ == address(0)) revert ZeroAddress();
        beneficiary = beneficiary_;
        emit BeneficiaryChanged(beneficiary_);
    }
}
