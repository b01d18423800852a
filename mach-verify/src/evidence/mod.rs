//! What proves an accusation to whoever was not there.

mod beside;
mod bundle;
mod error;
mod folder;
mod format;
mod validator;

use alloy_consensus::Header;
use alloy_primitives::{B256, Sealed, keccak256};
use mach_core::{Fault, L2Block, Verdict};

use crate::{
    ChainSpec, ExecuteError, check_body, source::RecordedBlock, verify_block, verify_child,
    verify_output_proposal,
};

pub use beside::PendingEvidence;
pub use bundle::Bundle;
pub use error::{EvidenceError, ReplayError};
pub use folder::{EvidenceFolder, MAX_BUNDLES};
pub use format::EVIDENCE_VERSION;
pub use validator::{Accuser, EvidenceValidator, WitnessMemory};

/// What this version calls itself in the evidence that it makes.
pub(crate) const SOFTWARE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// A bundle that anybody replays offline to the same fault: the block, its witness with the header
/// of its parent, the rules of its chain, and which program found which fault.
///
/// In a file it is a [`RecordedBlock`] with one field more, `evidence`, so that every program that
/// reads recorded blocks judges it too.
///
/// Nothing in it is trusted. A body that the block's hash does not bind accuses nobody, as in
/// [`check_body`]; the witness proves itself; and the rules of a built-in chain are those of this
/// version, whatever the bundle says. What it cannot prove is for the reader to look at: that
/// somebody published the block, and as one of this chain, since anybody can write a header that is wrong
/// and the hash of one does not name its chain; the rules of any chain that is not built in
/// ([`ChainSpec::hash`] names them); and for [`Fault::OutputRoot`] and [`Fault::ParentHash`] that
/// the proposal was made and that the other parent is the chain's.
#[derive(Clone, Debug)]
pub struct Evidence {
    spec: ChainSpec,
    recorded: RecordedBlock,
    /// The parent that the block should have had, if its `parentHash` is the fault.
    parent: Option<Sealed<Header>>,
    fault: Fault,
    software: String,
}

impl Evidence {
    /// Evidence of `fault`, which is found again before it is believed.
    ///
    /// Errors: [`ReplayError`], if these parts do not give this fault. Such evidence is never made.
    pub fn new(
        spec: ChainSpec,
        recorded: RecordedBlock,
        fault: Fault,
    ) -> Result<Self, ReplayError> {
        Self::on_parent(spec, None, recorded, fault)
    }

    /// The same for a block that was verified on a known parent, by
    /// [`verify_child`](crate::verify_child).
    ///
    /// Errors: [`ReplayError`].
    pub fn on_parent(
        spec: ChainSpec,
        parent: Option<Sealed<Header>>,
        mut recorded: RecordedBlock,
        fault: Fault,
    ) -> Result<Self, ReplayError> {
        let named = recorded.block.header.parent_hash;
        let (known, other) = match parent {
            Some(parent) if parent.seal() == named => (Some(parent), None),
            other => (None, other),
        };
        // A header that the block names proves itself, and belongs to the witness.
        if let Some(known) = known
            && recorded.witness.header(named).is_none()
        {
            let header = alloy_rlp::encode(known.inner()).into();
            recorded.witness.headers.push(header);
        }
        let evidence = Self {
            spec,
            recorded,
            parent: other,
            fault,
            software: SOFTWARE.to_owned(),
        };
        let _ = evidence.replay_by(&evidence.spec)?;
        Ok(evidence)
    }

    /// Judges the block again: by the rules that this version has for the chain, or by those of the
    /// bundle if the chain is not built in.
    ///
    /// The verdict is always [`Verdict::Invalid`], with the recorded fault byte for byte. Made by
    /// another version, the words of [`Fault::Transaction`], which nobody signs, may differ.
    ///
    /// Errors: [`ReplayError`]; the bundle accuses nobody then.
    pub fn replay(&self) -> Result<Verdict, ReplayError> {
        match ChainSpec::known(self.spec.chain_id()) {
            Some(known) => self.replay_by(&known),
            None => self.replay_by(&self.spec),
        }
    }

    /// [`Self::replay`] by rules that the reader trusts.
    ///
    /// Errors: [`ReplayError`].
    pub fn replay_by(&self, spec: &ChainSpec) -> Result<Verdict, ReplayError> {
        let verdict = self.judge(spec)?;
        match &verdict {
            Verdict::Invalid(fault) if self.names(fault) => Ok(verdict),
            _ => Err(ReplayError::Differs {
                recorded: Box::new(self.fault.clone()),
                replayed: Box::new(verdict),
                software: self.software.clone(),
            }),
        }
    }

    fn judge(&self, spec: &ChainSpec) -> Result<Verdict, ExecuteError> {
        let RecordedBlock { block, witness, .. } = &self.recorded;
        check_body(spec, block)?;
        let verdict = match &self.parent {
            Some(parent) if parent.number.checked_add(1) == Some(block.number()) => {
                verify_child(spec, parent, block, witness)?
            }
            _ => verify_block(spec, block, witness)?,
        };
        match (&verdict, &self.fault) {
            (Verdict::Valid(summary), Fault::OutputRoot(values))
                if summary.assurance.is_proven() =>
            {
                let fault = verify_output_proposal(summary, values.claimed);
                Ok(fault.map_or(verdict, Verdict::Invalid))
            }
            _ => Ok(verdict),
        }
    }

    /// Whether `fault` is the recorded one.
    fn names(&self, fault: &Fault) -> bool {
        let bytes = |fault: &Fault| serde_json::to_vec(fault).ok();
        if bytes(fault) == bytes(&self.fault) {
            return true;
        }
        // What is signed is the rule and its words; a program of another day may explain it
        // otherwise.
        self.software != SOFTWARE
            && fault.code() == self.fault.code()
            && fault.words() == self.fault.words()
    }

    /// Rules that the bundle carries.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The accused block.
    pub const fn block(&self) -> &L2Block {
        &self.recorded.block
    }

    /// Block and witness, with who recorded them.
    pub const fn recorded(&self) -> &RecordedBlock {
        &self.recorded
    }

    /// The fault that was found.
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Name and version of the program that found it.
    pub fn software(&self) -> &str {
        &self.software
    }
}

/// Name of the file of a bundle against `block`.
pub(crate) fn file_name(block: &L2Block, fault: &Fault) -> String {
    let short = |hash: B256| -> String { hash.to_string().chars().skip(2).take(8).collect() };
    // Names, numbers and hashes: nothing that JSON cannot say.
    let what = keccak256(serde_json::to_vec(fault).unwrap_or_default());
    let (chain, number) = (block.chain_id, block.number());
    let (hash, what) = (short(block.hash()), short(what));
    format!("{chain}-{number}-{hash}-{}-{what}.json.gz", fault.name())
}
