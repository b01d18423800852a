//! What runs inside of a prover: pure functions from an input to a journal.
//!
//! Every backend runs the same two, and so does the native one. There is a journal or a
//! [`Refusal`]; what cannot be decided is always a refusal.

mod block;
mod output;
mod refusal;

pub use block::run_block;
pub use output::run_output;
pub use refusal::Refusal;

use crate::{Journal, Program};

/// Runs `program` on `input`.
///
/// Errors: [`Refusal`].
pub fn run(program: Program, input: &[u8]) -> Result<Journal, Refusal> {
    match program {
        Program::Block => run_block(input),
        Program::Output => run_output(input),
    }
}
