//! Just enough of an assembler to write predeploys that can be read.

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, keccak256};

pub(super) const STOP: u8 = 0x00;
pub(super) const ADD: u8 = 0x01;
pub(super) const SUB: u8 = 0x03;
pub(super) const EQ: u8 = 0x14;
pub(super) const AND: u8 = 0x16;
pub(super) const OR: u8 = 0x17;
pub(super) const SHL: u8 = 0x1b;
pub(super) const SHR: u8 = 0x1c;
pub(super) const KECCAK256: u8 = 0x20;
pub(super) const CALLER: u8 = 0x33;
pub(super) const CALLVALUE: u8 = 0x34;
pub(super) const CALLDATALOAD: u8 = 0x35;
pub(super) const CALLDATASIZE: u8 = 0x36;
pub(super) const CALLDATACOPY: u8 = 0x37;
pub(super) const MSTORE: u8 = 0x52;
pub(super) const SLOAD: u8 = 0x54;
pub(super) const SSTORE: u8 = 0x55;
pub(super) const DUP1: u8 = 0x80;
pub(super) const DUP4: u8 = 0x83;
pub(super) const DUP5: u8 = 0x84;
pub(super) const LOG2: u8 = 0xa2;
pub(super) const LOG4: u8 = 0xa4;
pub(super) const RETURN: u8 = 0xf3;
pub(super) const REVERT: u8 = 0xfd;

const PUSH1: u8 = 0x60;
const PUSH2: u8 = 0x61;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;

/// Code under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<u8>,
    labels: BTreeMap<String, u16>,
    references: Vec<(usize, String)>,
}

impl Assembler {
    /// Appends instructions without operands.
    pub(super) fn ops(mut self, ops: &[u8]) -> Self {
        self.code.extend_from_slice(ops);
        self
    }

    /// Pushes a big-endian number of at most 32 bytes, in the shortest way that every fork has:
    /// there is no `PUSH0` before Canyon.
    pub(super) fn push(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let zeros = value.iter().take_while(|byte| **byte == 0).count();
        let value = value.get(zeros..).filter(|value| !value.is_empty());
        let value = value.unwrap_or(&[0]);
        // At most 32, since every caller passes an array of at most that length.
        self.code.push(PUSH1 - 1 + value.len() as u8);
        self.code.extend_from_slice(value);
        self
    }

    /// Jumps to `label` if the top of the stack is not zero.
    pub(super) fn jump_if(mut self, label: &str) -> Self {
        self.code.push(PUSH2);
        self.references.push((self.code.len(), label.to_owned()));
        self.code.extend_from_slice(&[0, 0, JUMPI]);
        self
    }

    /// Jumps to the label with the name of `function` if it is the one that is called. Leaves the
    /// selector on the stack.
    pub(super) fn on_call(self, function: &str) -> Self {
        let selector = selector(function);
        self.ops(&[DUP1])
            .push(selector)
            .ops(&[EQ])
            .jump_if(function)
    }

    /// Pushes the selector of the call.
    pub(super) fn selector(self) -> Self {
        self.push([0]).ops(&[CALLDATALOAD]).push([0xe0]).ops(&[SHR])
    }

    pub(super) fn label(mut self, name: &str) -> Self {
        self.labels.insert(name.to_owned(), self.code.len() as u16);
        self.code.push(JUMPDEST);
        self
    }

    pub(super) fn revert(self) -> Self {
        self.push([0]).push([0]).ops(&[REVERT])
    }

    /// Returns the word on top of the stack.
    pub(super) fn return_word(self) -> Self {
        self.push([0])
            .ops(&[MSTORE])
            .push([0x20])
            .push([0])
            .ops(&[RETURN])
    }

    /// The code with its jumps resolved; a jump to a label that is not there goes to 0, which is
    /// no `JUMPDEST`.
    pub(super) fn finish(mut self) -> Bytes {
        for (at, label) in &self.references {
            let target = self.labels.get(label).copied().unwrap_or_default();
            if let Some(operand) = self.code.get_mut(*at..at + 2) {
                operand.copy_from_slice(&target.to_be_bytes());
            }
        }
        self.code.into()
    }
}

/// First four bytes of the signature's hash.
pub(super) fn selector(function: &str) -> [u8; 4] {
    let hash = keccak256(function);
    let [a, b, c, d, ..] = hash.0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::bytes;

    #[test]
    fn numbers_are_pushed_in_the_shortest_way() {
        let code = Assembler::default()
            .push([0])
            .push([0, 7])
            .push([1, 0])
            .finish();
        assert_eq!(code, bytes!("60006007610100"));
    }

    #[test]
    fn jumps_find_labels_before_and_behind_them() {
        let code = Assembler::default()
            .label("a")
            .jump_if("b")
            .jump_if("a")
            .label("b")
            .finish();
        assert_eq!(code, bytes!("5b 610009 57 610000 57 5b"));
    }

    /// The selector of `transfer(address,uint256)` is in the ERC-20 standard's every client.
    #[test]
    fn selectors_are_soliditys() {
        assert_eq!(
            selector("transfer(address,uint256)"),
            [0xa9, 0x05, 0x9c, 0xbb]
        );
    }
}
