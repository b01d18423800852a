use alloy_primitives::{B256, Bytes, U256};
use mach_core::{Fault, Mismatch, Verdict};
use mach_verify::{check_body, verify_block};

use super::Refusal;
use crate::{BlockInput, Journal, Task};

/// Judges the block of a [`BlockInput`] by executing it on its parent.
///
/// To accuse, the journal has the first broken rule; to affirm, fault 0 and the output root, as far
/// as the witness holds what it needs.
///
/// Errors: [`Refusal`]. A right block is never accused and a wrong one never affirmed; nothing is
/// said of a block whose body the header does not commit to, whose parent or state is not proved
/// to the last node, or whose rules are not known to the end.
pub fn run_block(input: &[u8]) -> Result<Journal, Refusal> {
    let (input, config_hash) = BlockInput::read(Bytes::copy_from_slice(input))?;
    let BlockInput {
        spec,
        block,
        witness,
        ..
    } = &input;
    let header = block.header.inner();
    // An affirmed output root can contradict a posted one, which is an accusation too.
    if let Some(doubt) = spec.doubt(header.timestamp) {
        return Err(doubt.into());
    }
    check_body(spec, block)?;
    // Withdrawals that no root commits to would be the prover's choice.
    let has_withdrawals = block
        .withdrawals
        .as_ref()
        .is_some_and(|list| !list.is_empty());
    if has_withdrawals && (spec.is_optimism() || header.withdrawals_root.is_none()) {
        return Err(Refusal::UnboundWithdrawals);
    }
    let verdict = verify_block(spec, block, witness)?;
    let (fault, values, output_root) = match (input.task, verdict) {
        (Task::Accuse, Verdict::Valid(_)) => return Err(Refusal::RightBlock(block.reference())),
        (Task::Affirm, Verdict::Invalid(fault)) => return Err(Refusal::WrongBlock(fault)),
        (Task::Accuse, Verdict::Invalid(fault)) if !is_bound(&fault) => {
            return Err(Refusal::UnboundFault(fault));
        }
        (Task::Accuse, Verdict::Invalid(fault)) => (fault.code(), fault.words(), B256::ZERO),
        (Task::Affirm, Verdict::Valid(summary)) => {
            if !summary.assurance.is_proven() {
                return Err(Refusal::OnClaim);
            }
            let values = Mismatch {
                claimed: block.hash(),
                computed: block.hash(),
            };
            (0, values, summary.output_root.unwrap_or_default())
        }
    };
    let context = &input.context;
    Ok(Journal {
        l1_chain_id: context.l1_chain_id,
        service_manager: context.service_manager,
        prover: context.prover,
        rollup_chain_id: U256::from(spec.chain_id()),
        config_hash,
        parent_hash: header.parent_hash,
        block_hash: block.hash(),
        block_number: header.number,
        fault,
        claimed: values.claimed,
        computed: values.computed,
        output_root,
    })
}

/// Whether the words of a fault follow from what the journal binds: the rules, the parent, and the
/// header with the body that it commits to.
const fn is_bound(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::OmmersHash(_)
            | Fault::StateRoot(_)
            | Fault::ReceiptsRoot(_)
            | Fault::LogsBloom(_)
            | Fault::Difficulty(_)
            | Fault::Number(_)
            | Fault::GasLimit(_)
            | Fault::GasUsed(_)
            | Fault::Timestamp(_)
            | Fault::ExtraData(_)
            | Fault::Nonce(_)
            | Fault::BaseFee(_)
            | Fault::WithdrawalsRoot(_)
            | Fault::BlobGasUsed(_)
            | Fault::ExcessBlobGas(_)
            | Fault::ParentBeaconBlockRoot(_)
            | Fault::RequestsHash(_)
            | Fault::Transaction { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_does_not_bind_is_not_accused() {
        let hash = Mismatch {
            claimed: B256::ZERO,
            computed: B256::repeat_byte(1),
        };
        let number = Mismatch {
            claimed: 1,
            computed: 2,
        };
        let optional = Mismatch {
            claimed: None,
            computed: Some(B256::ZERO),
        };
        let (index, field) = (0, String::new());
        let unbound = [
            Fault::ParentHash(hash),
            Fault::TransactionsRoot(hash),
            Fault::OutputRoot(hash),
            Fault::BlockHash(hash),
            Fault::L1Origin(hash),
            Fault::L1OriginNumber(number),
            Fault::BeforeL1Origin(number),
            Fault::SequencerDrift(number),
            Fault::UserDeposits {
                index,
                values: optional,
            },
            Fault::UpgradeDeposits {
                index,
                values: optional,
            },
            Fault::SequencerTransaction {
                index,
                hash: B256::ZERO,
            },
            Fault::PayloadAttributes {
                field: field.clone(),
                values: hash,
            },
            Fault::SystemConfig {
                field,
                values: hash,
            },
            Fault::BatchOrigin(number),
            Fault::BatchTransactions {
                index,
                values: optional,
            },
        ];
        for fault in unbound {
            assert!(!is_bound(&fault), "{fault}");
        }
        assert!(is_bound(&Fault::StateRoot(hash)));
        assert!(is_bound(&Fault::WithdrawalsRoot(optional)));
    }
}
