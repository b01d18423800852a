//! What a journal says, in words.

use mach_prove::{BackendName, Journal, Proof};
use mach_verify::ChainSpec;

use crate::spec::Specs;

pub(super) const NOT_A_PROOF: &str = "NOT A PROOF: the backend native runs the guest program without proving anything. No contract takes this.";

/// Every rule that a journal names, by its code, as the execution API spells it.
const RULES: [(u16, &str); 19] = [
    (2, "ommersHash"),
    (4, "stateRoot"),
    (6, "receiptsRoot"),
    (7, "logsBloom"),
    (8, "difficulty"),
    (9, "number"),
    (10, "gasLimit"),
    (11, "gasUsed"),
    (12, "timestamp"),
    (13, "extraData"),
    (15, "nonce"),
    (16, "baseFeePerGas"),
    (17, "withdrawalsRoot"),
    (18, "blobGasUsed"),
    (19, "excessBlobGas"),
    (20, "parentBeaconBlockRoot"),
    (21, "requestsHash"),
    (64, "transaction"),
    (128, "outputRoot"),
];

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
    let rule = RULES.iter().find(|(code, _)| *code == fault);
    let rule = rule.map_or("a rule that this version does not know", |(_, name)| *name);
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

#[cfg(test)]
mod tests {
    use mach_core::{Fault, Mismatch};

    use super::*;

    #[test]
    fn rules_are_called_as_faults_call_them() {
        let hash = Mismatch {
            claimed: Default::default(),
            computed: alloy_primitives::B256::repeat_byte(1),
        };
        let number = Mismatch {
            claimed: 1,
            computed: 2,
        };
        let optional = Mismatch {
            claimed: None,
            computed: Some(1),
        };
        let root = Mismatch {
            claimed: None,
            computed: Some(hash.computed),
        };
        let faults = [
            Fault::OmmersHash(hash),
            Fault::StateRoot(hash),
            Fault::ReceiptsRoot(hash),
            Fault::Number(number),
            Fault::GasLimit(number),
            Fault::GasUsed(number),
            Fault::Timestamp(number),
            Fault::Nonce(number),
            Fault::BaseFee(optional),
            Fault::WithdrawalsRoot(root),
            Fault::BlobGasUsed(optional),
            Fault::ExcessBlobGas(optional),
            Fault::ParentBeaconBlockRoot(root),
            Fault::RequestsHash(root),
            Fault::OutputRoot(hash),
        ];
        for fault in faults {
            assert!(RULES.contains(&(fault.code(), fault.name())), "{fault}");
        }
    }
}
