//! Whether anything reads the operator-fee vault, where the machine touches it needlessly.

use alloy_primitives::{Address, U256};
use op_revm::constants::OPERATOR_FEE_RECIPIENT;
use revm::{
    Inspector,
    bytecode::opcode::{BALANCE, EXTCODECOPY, EXTCODEHASH, EXTCODESIZE},
    interpreter::{
        CallInputs, CallOutcome, Interpreter, interpreter::EthInterpreter, interpreter_types::Jumps,
    },
};

/// Follows execution and remembers whether the vault was read by an instruction or called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VaultWatch {
    pub(super) is_read: bool,
}

impl VaultWatch {
    fn see(&mut self, address: Address) {
        self.is_read |= address == OPERATOR_FEE_RECIPIENT;
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for VaultWatch {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _context: &mut CTX) {
        let reads = [BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH];
        if reads.contains(&interpreter.bytecode.opcode())
            && let Ok(word) = interpreter.stack.peek(0)
        {
            self.see(Address::from_word(word.into()));
        }
    }

    fn call(&mut self, _context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.see(inputs.target_address);
        self.see(inputs.bytecode_address);
        self.see(inputs.caller);
        None
    }

    fn selfdestruct(&mut self, _contract: Address, target: Address, _value: U256) {
        self.see(target);
    }
}
