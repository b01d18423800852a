//! What the header must hold after execution, in header order.

use alloy_consensus::Header;
use mach_core::{Fault, Mismatch};

use crate::{execute::Execution, header::same};

/// `Err` is the first field that is not what execution gave.
///
/// Source, where a rollup differs:
/// <https://specs.optimism.io/protocol/isthmus/exec-engine.html#l2tol1messagepasser-storage-root-in-header>,
/// <https://specs.optimism.io/protocol/jovian/exec-engine.html#da-footprint-block-limit>
pub(crate) fn compare(header: &Header, execution: &Execution) -> Result<(), Fault> {
    same(header.state_root, execution.state_root, Fault::StateRoot)?;
    same(
        header.receipts_root,
        execution.receipts_root,
        Fault::ReceiptsRoot,
    )?;
    same(header.logs_bloom, execution.logs_bloom, |bloom| {
        Fault::LogsBloom(Box::new(bloom))
    })?;
    same(header.gas_used, execution.gas_used, Fault::GasUsed)?;
    if let Some(computed) = execution.withdrawals_root {
        same(
            header.withdrawals_root,
            Some(computed),
            Fault::WithdrawalsRoot,
        )?;
    }
    same(
        header.blob_gas_used,
        execution.blob_gas_used,
        Fault::BlobGasUsed,
    )?;
    match (header.requests_hash, execution.requests_hash) {
        // No list of requests is valid, so whatever the header holds is wrong.
        (claimed, computed) if claimed == computed => Ok(()),
        (claimed, computed) => Err(Fault::RequestsHash(Mismatch { claimed, computed })),
    }
}
