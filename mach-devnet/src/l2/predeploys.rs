//! Contracts that a rollup has from genesis on, cut down to what the protocol and the tests use.

use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, Bytes, address, keccak256};

use super::{OptimismFork, asm::*};
use crate::chain::{Genesis, GenesisFields};

/// Sender of the L1 attributes.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-depositor-account>.
pub(crate) const DEPOSITOR: Address = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");

/// `L1Block`: what the rollup knows of L1.
pub const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");

/// `L2ToL1MessagePasser`: withdrawals; its storage root is part of the output root.
pub const MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000016");

/// `SequencerFeeVault`: receives the tips.
pub const SEQUENCER_FEE_VAULT: Address = address!("4200000000000000000000000000000000000011");

/// `BaseFeeVault`: receives the base fees.
pub const BASE_FEE_VAULT: Address = address!("4200000000000000000000000000000000000019");

/// `L1FeeVault`: receives the fees for data on L1.
pub const L1_FEE_VAULT: Address = address!("420000000000000000000000000000000000001A");

/// `OperatorFeeVault`: receives the operator fees.
pub const OPERATOR_FEE_VAULT: Address = address!("420000000000000000000000000000000000001b");

/// A contract of this devnet that keeps what it is told: `store(uint256 key, uint256 value)`, with
/// an event `Stored(uint256 indexed key, uint256 value)`. The value 0 deletes.
pub const STORE: Address = address!("4200000000000000000000000000006d61636800");

pub(super) const SET_BEDROCK: &str =
    "setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)";
pub(super) const SET_ECOTONE: &str = "setL1BlockValuesEcotone()";
pub(super) const SET_ISTHMUS: &str = "setL1BlockValuesIsthmus()";
pub(super) const SET_JOVIAN: &str = "setL1BlockValuesJovian()";
pub(super) const INITIATE_WITHDRAWAL: &str = "initiateWithdrawal(address,uint256,bytes)";
pub(super) const STORE_FUNCTION: &str = "store(uint256,uint256)";

/// Puts all of them into a genesis.
pub(super) fn deploy(genesis: &mut Genesis, fork: OptimismFork) {
    genesis.deploy(L1_BLOCK, l1_block());
    genesis.deploy(MESSAGE_PASSER, message_passer());
    genesis.deploy(STORE, store());
    for vault in [
        SEQUENCER_FEE_VAULT,
        BASE_FEE_VAULT,
        L1_FEE_VAULT,
        OPERATOR_FEE_VAULT,
    ] {
        genesis.deploy(vault, Bytes::from_static(&[STOP]));
    }
    genesis.fields = GenesisFields {
        withdrawals_root: fork >= OptimismFork::Canyon,
        message_passer: (fork >= OptimismFork::Isthmus).then_some(MESSAGE_PASSER),
        blobs: fork >= OptimismFork::Ecotone,
        requests: fork >= OptimismFork::Isthmus,
    };
    // Contracts that a later fork brings.
    if fork < OptimismFork::Ecotone {
        genesis.accounts.remove(&BEACON_ROOTS_ADDRESS);
    }
    if fork < OptimismFork::Isthmus {
        genesis.accounts.remove(&HISTORY_STORAGE_ADDRESS);
    }
}

/// Views of `L1Block` with the slot, the offset and the width of their value, in bits.
///
/// Source: `L1Block.sol` of ethereum-optimism/optimism and its storage layout.
const L1_BLOCK_VIEWS: &[(&str, u8, u8, u8)] = &[
    ("number()", 0, 0, 64),
    ("timestamp()", 0, 64, 64),
    ("basefee()", 1, 0, 0),
    ("hash()", 2, 0, 0),
    ("sequenceNumber()", 3, 0, 64),
    ("blobBaseFeeScalar()", 3, 64, 32),
    ("baseFeeScalar()", 3, 96, 32),
    ("batcherHash()", 4, 0, 0),
    ("l1FeeOverhead()", 5, 0, 0),
    ("l1FeeScalar()", 6, 0, 0),
    ("blobBaseFee()", 7, 0, 0),
    ("operatorFeeConstant()", 8, 0, 64),
    ("operatorFeeScalar()", 8, 64, 32),
    ("daFootprintGasScalar()", 8, 96, 16),
];

/// `L1Block`: the setters of every fork, for the depositor only, and all views.
///
/// From Ecotone on setters take packed arguments. Each has those of the one before it and some more,
/// and bytes behind the end of calldata are zero, so one body serves them all.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-predeployed-contract>,
/// <https://specs.optimism.io/protocol/ecotone/l1-attributes.html>,
/// <https://specs.optimism.io/protocol/isthmus/l1-attributes.html>,
/// <https://specs.optimism.io/protocol/jovian/l1-attributes.html>.
fn l1_block() -> Bytes {
    let mut code = Assembler::default()
        .selector()
        .on_call(SET_BEDROCK)
        .on_call(SET_ECOTONE)
        .on_call(SET_ISTHMUS)
        .on_call(SET_JOVIAN);
    for (view, ..) in L1_BLOCK_VIEWS {
        code = code.on_call(view);
    }
    code = code.revert();
    for (view, slot, offset, width) in L1_BLOCK_VIEWS {
        code = code
            .label(view)
            .push([*slot])
            .ops(&[SLOAD])
            .push([*offset])
            .ops(&[SHR]);
        if *width > 0 {
            code = code
                .push((u128::MAX >> (128 - width)).to_be_bytes())
                .ops(&[AND]);
        }
        code = code.return_word();
    }
    code = code
        .label(SET_BEDROCK)
        .ops(&[CALLER])
        .push(DEPOSITOR)
        .ops(&[EQ])
        .jump_if("permitted words")
        .revert()
        .label("permitted words")
        // Slot 0: timestamp and number.
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([64])
        .ops(&[SHL])
        .push([4])
        .ops(&[CALLDATALOAD, OR])
        .push([0])
        .ops(&[SSTORE]);
    // Base fee, hash, sequence number, batcher hash, overhead, scalar: a slot each, in this order.
    for (slot, argument) in (1..=6).zip((68..).step_by(32)) {
        code = code
            .push([argument])
            .ops(&[CALLDATALOAD])
            .push([slot])
            .ops(&[SSTORE]);
    }
    code.ops(&[STOP])
        .label(SET_ECOTONE)
        .label(SET_ISTHMUS)
        .label(SET_JOVIAN)
        .ops(&[CALLER])
        .push(DEPOSITOR)
        .ops(&[EQ])
        .jump_if("permitted")
        .revert()
        .label("permitted")
        // Slot 3: base fee scalar (4 bytes), blob base fee scalar (4), sequence number (8).
        .push([4])
        .ops(&[CALLDATALOAD])
        .push([128])
        .ops(&[SHR])
        .push([3])
        .ops(&[SSTORE])
        // Slot 0: timestamp (8), number (8).
        .push([20])
        .ops(&[CALLDATALOAD])
        .push([128])
        .ops(&[SHR])
        .push([0])
        .ops(&[SSTORE])
        // Slots 1, 7, 2, 4: base fee, blob base fee, hash, batcher hash (32 each).
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([1])
        .ops(&[SSTORE])
        .push([68])
        .ops(&[CALLDATALOAD])
        .push([7])
        .ops(&[SSTORE])
        .push([100])
        .ops(&[CALLDATALOAD])
        .push([2])
        .ops(&[SSTORE])
        .push([132])
        .ops(&[CALLDATALOAD])
        .push([4])
        .ops(&[SSTORE])
        // Slot 8: footprint scalar (2), operator fee scalar (4), operator fee constant (8). The
        // footprint scalar comes last in calldata and first in the slot.
        .push([176])
        .ops(&[CALLDATALOAD])
        .push([240])
        .ops(&[SHR])
        .push([96])
        .ops(&[SHL])
        .push([164])
        .ops(&[CALLDATALOAD])
        .push([160])
        .ops(&[SHR, OR])
        .push([8])
        .ops(&[SSTORE, STOP])
        .finish()
}

/// `L2ToL1MessagePasser`: `initiateWithdrawal`, `sentMessages` and `messageNonce`.
///
/// Slots: 0 is the mapping of sent messages, 1 the nonce. The withdrawal hash is the genuine one:
/// `keccak256(abi.encode(nonce, sender, target, value, gasLimit, data))`.
///
/// Source: `L2ToL1MessagePasser.sol` and `Hashing.hashWithdrawal` of ethereum-optimism/optimism.
fn message_passer() -> Bytes {
    let event = keccak256("MessagePassed(uint256,address,address,uint256,uint256,bytes,bytes32)");
    Assembler::default()
        .selector()
        .on_call(INITIATE_WITHDRAWAL)
        .on_call("sentMessages(bytes32)")
        .on_call("messageNonce()")
        .revert()
        .label("sentMessages(bytes32)")
        .push([4])
        .ops(&[CALLDATALOAD])
        .push([0])
        .ops(&[MSTORE])
        .push([0x40])
        .push([0])
        .ops(&[KECCAK256, SLOAD])
        .return_word()
        .label("messageNonce()")
        .push([1])
        .ops(&[SLOAD])
        .push([1])
        .push([240])
        .ops(&[SHL, OR])
        .return_word()
        .label(INITIATE_WITHDRAWAL)
        // The data of the call is copied as it is, so its encoding must be the canonical one.
        .push([68])
        .ops(&[CALLDATALOAD])
        .push([0x60])
        .ops(&[EQ])
        .jump_if("canonical")
        .revert()
        .label("canonical")
        // Count up; the message's nonce carries version 1 in its upper two bytes.
        .push([1])
        .ops(&[SLOAD, DUP1])
        .push([1])
        .ops(&[ADD])
        .push([1])
        .ops(&[SSTORE])
        .push([1])
        .push([240])
        .ops(&[SHL, OR])
        // Memory: nonce, sender, target, value, gas limit, offset of data, length and data.
        .ops(&[DUP1])
        .push([0])
        .ops(&[MSTORE, CALLER])
        .push([0x20])
        .ops(&[MSTORE])
        .push([4])
        .ops(&[CALLDATALOAD])
        .push([0x40])
        .ops(&[MSTORE, CALLVALUE])
        .push([0x60])
        .ops(&[MSTORE])
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([0x80])
        .ops(&[MSTORE])
        .push([0xc0])
        .push([0xa0])
        .ops(&[MSTORE])
        .push([100])
        .ops(&[CALLDATASIZE, SUB, DUP1])
        .push([100])
        .push([0xc0])
        .ops(&[CALLDATACOPY, DUP1])
        .push([0xc0])
        .ops(&[ADD])
        .push([0])
        .ops(&[KECCAK256])
        // sentMessages[hash] = true; the slot is keccak256(hash ‖ 0).
        .ops(&[DUP1])
        .push([0])
        .ops(&[MSTORE])
        .push([0])
        .push([0x20])
        .ops(&[MSTORE])
        .push([1])
        .push([0x40])
        .push([0])
        .ops(&[KECCAK256, SSTORE])
        // Memory from 0x40: value, gas limit, offset of data, hash, length and data.
        .ops(&[CALLVALUE])
        .push([0x40])
        .ops(&[MSTORE])
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([0x60])
        .ops(&[MSTORE])
        .push([0x80])
        .push([0x80])
        .ops(&[MSTORE])
        .push([0xa0])
        .ops(&[MSTORE])
        // Stack: nonce, length. Topics in reverse: target, sender, nonce, signature.
        .push([4])
        .ops(&[CALLDATALOAD, CALLER, DUP4])
        .push(event)
        .ops(&[DUP5])
        .push([0x80])
        .ops(&[ADD])
        .push([0x40])
        .ops(&[LOG4, STOP])
        .finish()
}

fn store() -> Bytes {
    Assembler::default()
        .selector()
        .on_call(STORE_FUNCTION)
        .revert()
        .label(STORE_FUNCTION)
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([4])
        .ops(&[CALLDATALOAD, SSTORE])
        .push([36])
        .ops(&[CALLDATALOAD])
        .push([0])
        .ops(&[MSTORE])
        .push([4])
        .ops(&[CALLDATALOAD])
        .push(keccak256("Stored(uint256,uint256)"))
        .push([0x20])
        .push([0])
        .ops(&[LOG2, STOP])
        .finish()
}
