//! What a journal says, in words.

use mach_prove::{BackendName, Journal, Proof};
use mach_verify::ChainSpec;

use crate::spec::Specs;

pub(super) const NOT_A_PROOF: &str = "NOT A PROOF: the backend native runs the guest program without proving anything. No contract takes this.";

/// What a composite receipt of RISC Zero begins with.
const COMPOSITE: &[u8] = b"comp";

/// Some sentences about what a proof says, a line each.
pub(super) fn journal(proof: &Proof, specs: &Specs) -> String {
    let journal = &proof.journal;
    let Journal {
        block_hash,
        block_number,
        parent_hash,
        claimed,
        computed,
        ..
    } = journal;
    let fault = journal.fault;
    let rule = crate::rules::name(fault);
    let rule = rule.unwrap_or("a rule that this version does not know");
    let says = match fault {
        0 => format!(
            "  Block {block_number} ({block_hash}), executed on its parent {parent_hash}, breaks no rule that execution knows."
        ),
        128 => format!(
            "  The output root of block {block_number} ({block_hash}) is not {claimed}.\n  It is {computed}."
        ),
        64 => format!(
            "  Block {block_number} ({block_hash}), executed with its own transactions on its parent {parent_hash}, is wrong.\n  The first broken rule is {rule}: {claimed} cannot stand at position {}.",
            alloy_primitives::U256::from_be_bytes(computed.0)
        ),
        _ => format!(
            "  Block {block_number} ({block_hash}), executed with its own transactions on its parent {parent_hash}, is wrong.\n  The first broken rule is {rule} ({fault}): claimed {claimed}, computed {computed}."
        ),
    };
    let published = match fault {
        128 => {
            "  That anybody published the header or the root is not shown, nor whether the header is right."
        }
        _ => "  That anybody published the header is not shown.",
    };
    let rules = match rules(journal, specs) {
        Some(whose) => format!("the rules of {whose}"),
        None => {
            "rules that are not known here: name them with --genesis or --rollup-config".to_owned()
        }
    };
    let config = format!(
        "  Configuration: chain {}, {rules}, which hash to {}.",
        journal.rollup_chain_id, journal.config_hash
    );
    let names = format!(
        "the contract {} on L1 chain {}, handed in by {}.",
        journal.service_manager, journal.l1_chain_id, journal.prover
    );
    let context = if journal.service_manager.is_zero() {
        "  It counts for no contract.".to_owned()
    } else if is_for_contracts(proof) {
        format!("  It counts for {names}")
    } else {
        format!("  It names {names}\n  No contract takes a proof of this form.")
    };
    [&says, published, &config, &context].join("\n")
}

/// Whether there is a contract that takes a proof of this form.
fn is_for_contracts(proof: &Proof) -> bool {
    match proof.backend {
        BackendName::Risc0 => !proof.proof.starts_with(COMPOSITE),
        BackendName::Sp1 => true,
        _ => false,
    }
}

/// Whose rules the journal was made under, if they are known here.
pub(super) fn rules(journal: &Journal, specs: &Specs) -> Option<&'static str> {
    let chain_id = journal.rollup_chain_id.try_into().ok()?;
    let is_same = |spec: &ChainSpec| spec.hash() == journal.config_hash;
    if ChainSpec::known(chain_id).is_some_and(|spec| is_same(&spec)) {
        return Some("this version for the chain");
    }
    let given = specs.of(chain_id).is_ok_and(is_same);
    given.then_some("the configuration that is given here, or of the local devnet")
}
