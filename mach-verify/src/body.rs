//! Whether a body belongs to its header.

use alloy_consensus::proofs::{calculate_ommers_root, calculate_withdrawals_root};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use mach_core::L2Block;
#[cfg(feature = "rpc")]
use mach_core::ports::SourceError;

use crate::{ChainSpec, ExecuteError, header::transactions_root};

/// Checks that the body is the one that the header commits to.
///
/// A block hash binds its header, and through that one body. Other bytes that a node or a file
/// sends under the same hash say nothing about the block: whoever accused it with them would
/// accuse the wrong one. So a block that is known by hearsay goes through here first, as it does
/// in [`StatelessValidator`](crate::source::StatelessValidator). [`verify_block`] takes header and
/// body as published together and names a [`Fault`].
///
/// [`verify_block`]: crate::verify_block
/// [`Fault`]: mach_core::Fault
///
/// Errors: [`ExecuteError::Body`] names the part of the body, with both roots.
pub fn check_body(spec: &ChainSpec, block: &L2Block) -> Result<(), ExecuteError> {
    let header = block.header.inner();
    let part = |field: &'static str, claimed: B256, computed: B256| {
        if claimed == computed {
            return Ok(());
        }
        let source = format!("the header commits to {claimed}, the body gives {computed}").into();
        Err(ExecuteError::Body {
            block: block.number(),
            field,
            source,
        })
    };
    let computed = transactions_root(&block.transactions);
    part("transactions", header.transactions_root, computed)?;
    // After the merge there are no ommers: if the body has none, a wrong hash is the header's own.
    if !block.ommers.is_empty() || !spec.is_paris_active_at_block(header.number) {
        part(
            "ommers",
            header.ommers_hash,
            calculate_ommers_root(&block.ommers),
        )?;
    }
    // The storage of a contract is what a rollup commits to; its blocks have no withdrawals.
    if !spec.is_optimism()
        && spec.is_shanghai_active_at_timestamp(header.timestamp)
        && let Some(claimed) = header.withdrawals_root
    {
        let withdrawals = block.withdrawals.as_deref().map_or(&[][..], Vec::as_slice);
        part(
            "withdrawals",
            claimed,
            calculate_withdrawals_root(withdrawals),
        )?;
    }
    Ok(())
}

/// [`check_body`] for the transactions, wherever a source gives a block: others under the same hash
/// are no answer.
///
/// Errors: [`SourceError::Malformed`].
#[cfg(feature = "rpc")]
pub(crate) fn check_transactions(block: &L2Block) -> Result<(), SourceError> {
    if transactions_root(&block.transactions) == block.header.transactions_root {
        return Ok(());
    }
    Err(SourceError::Malformed {
        number: block.number(),
        field: "transactions",
        source: "they do not encode to the header's root".into(),
    })
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{EMPTY_ROOT_HASH, Header, proofs::calculate_transaction_root};
    use alloy_consensus::{Signed, TxEnvelope, TxLegacy};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Signature, bytes};

    use super::*;

    /// The root is alloy's own.
    #[test]
    fn a_body_under_a_foreign_hash_is_an_error_and_no_fault() {
        let transaction: TxEnvelope =
            Signed::new_unhashed(TxLegacy::default(), Signature::test_signature()).into();
        let header = Header {
            transactions_root: calculate_transaction_root(std::slice::from_ref(&transaction)),
            ..Default::default()
        };
        let spec = ChainSpec::op_mainnet();
        let body = vec![transaction.encoded_2718().into()];
        let block = L2Block::new(10, header.clone(), body);
        assert!(check_body(&spec, &block).is_ok());

        for foreign in [vec![], vec![bytes!("02c0")]] {
            let block = L2Block::new(10, header.clone(), foreign);
            let error = check_body(&spec, &block).unwrap_err();
            assert_eq!(error.to_string(), "block 0: transactions cannot be judged");
            assert!(error.is_transient());
        }
    }

    /// A source that leaves out the ommers of an honest block, or adds some, and a header that is
    /// wrong by itself.
    #[test]
    fn ommers_that_are_missing_are_foreign_until_the_merge() {
        let spec = ChainSpec::mainnet();
        let ommer = Header::default();
        let header = |number, ommers: &[Header]| Header {
            number,
            ommers_hash: calculate_ommers_root(ommers),
            transactions_root: EMPTY_ROOT_HASH,
            ..Default::default()
        };
        let merge = 15_537_394;
        for (number, committed, sent, is_ours) in [
            (merge - 1, 1, 1, true),
            (merge - 1, 1, 0, false),
            (merge - 1, 0, 1, false),
            (merge - 1, 0, 0, true),
            (merge, 0, 0, true),
            (merge, 0, 1, false),
            (merge, 1, 0, true),
        ] {
            let header = header(number, &vec![ommer.clone(); committed]);
            let mut block = L2Block::new(1, header, vec![]);
            block.ommers = vec![ommer.clone(); sent];
            let result = check_body(&spec, &block);
            assert_eq!(result.is_ok(), is_ours, "{number} {committed} {sent}");
        }
    }
}
