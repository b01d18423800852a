use alloy_consensus::Header;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bytes, Sealed};
use mach_core::Fault;
use mach_verify::{ChainSpec, Evidence};
use sha2::{Digest, Sha256};

use crate::{
    BlockInput, Context, InputError, Journal, OutputInput, Program, Task,
    guest::{self, Refusal},
};

/// Something that can be proved: the guest has run on the input in this process and gave the
/// journal. So nobody proves for minutes what is refused in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRequest {
    program: Program,
    input: Bytes,
    journal: Journal,
}

impl ProofRequest {
    /// Runs `program` on `input`.
    ///
    /// Errors: [`Refusal`].
    pub fn new(program: Program, input: Bytes) -> Result<Self, Refusal> {
        let journal = guest::run(program, &input)?;
        Ok(Self {
            program,
            input,
            journal,
        })
    }

    /// Accuses what `evidence` accuses, by the rules that this version has for the chain, or by those
    /// of the evidence if the chain is not built in.
    ///
    /// Errors: [`RequestError`].
    pub fn from_evidence(context: Context, evidence: &Evidence) -> Result<Self, RequestError> {
        let own = evidence.spec();
        let spec = ChainSpec::known(own.chain_id()).unwrap_or_else(|| own.clone());
        Self::from_evidence_by(context, evidence, spec)
    }

    /// [`Self::from_evidence`] by rules that the caller trusts.
    ///
    /// Errors: [`RequestError`].
    pub fn from_evidence_by(
        context: Context,
        evidence: &Evidence,
        spec: ChainSpec,
    ) -> Result<Self, RequestError> {
        let request = match evidence.fault() {
            Fault::OutputRoot(values) => {
                let header = evidence.block().header.clone();
                Self::output(context, spec, header, values.claimed, Vec::new())?
            }
            Fault::ParentHash(_) => return Err(RequestError::NoStatement("parentHash")),
            _ => {
                let input = BlockInput {
                    context,
                    task: Task::Accuse,
                    spec,
                    block: evidence.block().clone(),
                    witness: evidence.recorded().witness.clone(),
                };
                Self::block(&input)?
            }
        };
        let (found, recorded) = (request.journal.fault, evidence.fault().code());
        if found == recorded {
            Ok(request)
        } else {
            Err(RequestError::OtherFault { recorded, found })
        }
    }

    /// Judges a block.
    ///
    /// Errors: [`RequestError`].
    pub fn block(input: &BlockInput) -> Result<Self, RequestError> {
        Ok(Self::new(Program::Block, input.encode()?)?)
    }

    /// Accuses `claimed`, which was posted as the output root of `header`. Before Isthmus `proof` has
    /// the nodes of the message passer's account.
    ///
    /// Errors: [`RequestError`].
    pub fn output(
        context: Context,
        spec: ChainSpec,
        header: Sealed<Header>,
        claimed: B256,
        proof: Vec<Bytes>,
    ) -> Result<Self, RequestError> {
        if proof.is_empty()
            && spec.is_optimism()
            && !spec.is_isthmus_active_at_timestamp(header.timestamp)
        {
            return Err(RequestError::NoAccountProof(header.number));
        }
        let input = OutputInput {
            context,
            spec,
            header,
            claimed,
            proof,
        };
        Ok(Self::new(Program::Output, input.encode()?)?)
    }

    /// Which guest.
    pub const fn program(&self) -> Program {
        self.program
    }

    /// What it reads.
    pub const fn input(&self) -> &Bytes {
        &self.input
    }

    /// What it gives.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// SHA-256 of the program's name and the input: the same request has the same digest.
    pub fn digest(&self) -> B256 {
        let hash = Sha256::new()
            .chain_update(self.program.name())
            .chain_update([0]);
        B256::new(hash.chain_update(&self.input).finalize().into())
    }
}

/// Why there is nothing to prove.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The input is too large.
    #[error("the input cannot be written")]
    Input(#[from] InputError),
    /// The guest makes no journal of it.
    #[error("the guest refuses")]
    Refused(#[from] Refusal),
    /// No guest makes a statement about this rule.
    #[error("no guest makes a statement about {0}")]
    NoStatement(&'static str),
    /// The evidence says another fault than the guest.
    #[error("the evidence says fault {recorded}, the guest finds {found}")]
    OtherFault {
        /// Code of the recorded fault.
        recorded: u16,
        /// Code of the fault that was found.
        found: u16,
    },
    /// Before Isthmus the output root needs a proof of the message passer's account.
    #[error("block {0} is before Isthmus: a proof of the message passer's account is needed")]
    NoAccountProof(u64),
}
