//! Instructions that notice when a contract reads the operator-fee vault.
//!
//! Before Isthmus there is no operator fee, yet the machine credits its vault with zero after every
//! transaction. Witnesses of other executors need not know the account, so it may count as absent
//! then: a credit of zero changes nothing, whatever the account holds. What a contract reads of it
//! has to be known.

use alloy_op_evm::{OpEvm, OpEvmContext};
use alloy_primitives::Address;
use op_revm::constants::OPERATOR_FEE_RECIPIENT;
use revm::{
    bytecode::opcode::{
        BALANCE, CALL, CALLCODE, DELEGATECALL, EXTCODECOPY, EXTCODEHASH, EXTCODESIZE, SELFDESTRUCT,
        STATICCALL,
    },
    interpreter::{
        Instruction, InstructionContext, instructions::instruction_table,
        interpreter::EthInterpreter,
    },
};

use super::{Overlay, State};

type Context<'a, S> = OpEvmContext<&'a mut Overlay<S>>;

/// Makes every instruction that names an account tell the overlay if it names the vault.
///
/// Delegations (EIP-7702), which name one too, came with Isthmus.
pub(super) fn notice_reads<'a, S: State, I, P, T>(
    evm: OpEvm<&'a mut Overlay<S>, I, P, T>,
) -> OpEvm<&'a mut Overlay<S>, I, P, T> {
    let mut evm = evm.into_inner();
    let table = &mut evm.0.instruction;
    let mut replace = |opcode: u8, noticed: Noticed<'a, S>| {
        let gas =
            (table.instruction_table.get(usize::from(opcode))).map_or(0, |it| it.static_gas());
        table.insert_instruction(opcode, Instruction::new(noticed, gas));
    };
    replace(BALANCE, noticed::<S, BALANCE, 0>);
    replace(EXTCODESIZE, noticed::<S, EXTCODESIZE, 0>);
    replace(EXTCODECOPY, noticed::<S, EXTCODECOPY, 0>);
    replace(EXTCODEHASH, noticed::<S, EXTCODEHASH, 0>);
    replace(SELFDESTRUCT, noticed::<S, SELFDESTRUCT, 0>);
    replace(CALL, noticed::<S, CALL, 1>);
    replace(CALLCODE, noticed::<S, CALLCODE, 1>);
    replace(DELEGATECALL, noticed::<S, DELEGATECALL, 1>);
    replace(STATICCALL, noticed::<S, STATICCALL, 1>);
    OpEvm::new(evm, false)
}

type Noticed<'a, S> = fn(InstructionContext<'_, Context<'a, S>, EthInterpreter>);

/// The instruction `OPCODE`, whose account lies at `PLACE` from the top of the stack.
#[expect(clippy::indexing_slicing, reason = "256 instructions, by a byte")]
fn noticed<'a, S: State, const OPCODE: u8, const PLACE: usize>(
    context: InstructionContext<'_, Context<'a, S>, EthInterpreter>,
) {
    if let Ok(word) = context.interpreter.stack.peek(PLACE)
        && Address::from_word(word.into()) == OPERATOR_FEE_RECIPIENT
    {
        context.host.journaled_state.database.rely_on_absent();
    }
    const { instruction_table::<EthInterpreter, Context<'a, S>>()[OPCODE as usize] }
        .execute(context);
}
