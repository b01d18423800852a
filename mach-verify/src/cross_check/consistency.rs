use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, Bloom, Bytes, ChainId, Log, Sealed, U256, keccak256};
use alloy_rlp::{Decodable, Header as RlpHeader};
use mach_core::{Fault, L2Block, Mismatch};

use crate::{ExecuteError, header::transactions_root};

/// Most receipts and logs of a block are far fewer; more are not looked at.
const MAX_LOGS: usize = 1 << 20;

/// Whether what a block says of itself can be true: its header, on the header of its parent, with
/// its transactions and the EIP-2718 bytes of its receipts.
///
/// `Ok(Some(fault))` accuses the block, and only for what the hash of the block binds: a header
/// that contradicts its parent's, a transaction that nobody signed, a bloom or a gas that its own
/// receipts contradict. Receipts or a body that the header does not commit to are an error, since
/// they say nothing of the block; so is a receipt of a form that is not known.
///
/// Errors: [`ExecuteError::MissingParent`], [`ExecuteError::Body`].
pub fn check_consistency(
    block: &L2Block,
    parent: &Sealed<Header>,
    receipts: &[Bytes],
) -> Result<Option<Fault>, ExecuteError> {
    let number = block.number();
    let header = block.header.inner();
    if parent.seal() != header.parent_hash || parent.hash_slow() != header.parent_hash {
        return Err(ExecuteError::MissingParent {
            block: number,
            parent: header.parent_hash,
        });
    }
    let body = |field: &'static str, source: String| ExecuteError::Body {
        block: number,
        field,
        source: source.into(),
    };
    // Later forks may count gas in another way, and say so by a field that is not known here.
    if header.block_access_list_hash.is_some() || header.slot_number.is_some() {
        return Err(body(
            "header",
            "it has fields of rules that are not known".to_owned(),
        ));
    }
    let bound = |field, claimed, computed| {
        if claimed == computed {
            return Ok(());
        }
        let what = format!("the header commits to {claimed}, they hash to {computed}");
        Err(body(field, what))
    };
    bound(
        "transactions",
        header.transactions_root,
        transactions_root(&block.transactions),
    )?;
    // The root is that of any list of byte strings under their indices.
    bound(
        "receipts",
        header.receipts_root,
        transactions_root(receipts),
    )?;
    if receipts.len() != block.transactions.len() {
        let what = format!(
            "{} for {} transactions",
            receipts.len(),
            block.transactions.len()
        );
        return Err(body("receipts", what));
    }
    let receipts = (receipts.iter().enumerate())
        .map(|(index, bytes)| {
            Receipt::read(bytes).ok_or_else(|| body("receipts", format!("number {index} is none")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(compare(block, parent, &receipts).err())
}

/// In the order of the header, transactions before receipts.
fn compare(block: &L2Block, parent: &Header, receipts: &[Receipt]) -> Result<(), Fault> {
    let header = block.header.inner();
    if let Some(computed) = parent.number.checked_add(1)
        && let Some(mismatch) = Mismatch::check(header.number, computed)
    {
        return Err(Fault::Number(mismatch));
    }
    // Blocks of a rollup may share a second.
    let least = header.timestamp.max(parent.timestamp);
    if let Some(mismatch) = Mismatch::check(header.timestamp, least) {
        return Err(Fault::Timestamp(mismatch));
    }
    for (index, bytes) in block.transactions.iter().enumerate() {
        if let Err(reason) = recovered_sender(block.chain_id, bytes) {
            return Err(Fault::Transaction {
                index: index as u64,
                hash: keccak256(bytes),
                reason: reason.to_owned(),
            });
        }
    }
    let bloom = (receipts.iter()).fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
    if let Some(mismatch) = Mismatch::check(header.logs_bloom, bloom) {
        return Err(Fault::LogsBloom(Box::new(mismatch)));
    }
    let gas = receipts.last().map_or(0, |receipt| receipt.cumulative_gas);
    if let Some(mismatch) = Mismatch::check(header.gas_used, gas) {
        return Err(Fault::GasUsed(mismatch));
    }
    Ok(())
}

/// Who signed a transaction: `Ok(None)` if it has no form of Ethereum's, and so nobody can tell
/// from its bytes, or no signature: those of a rollup's queue on L1, before deposits had a type.
///
/// Errors: why nobody can have signed it for this chain.
pub fn recovered_sender(
    chain_id: ChainId,
    transaction: &[u8],
) -> Result<Option<Address>, &'static str> {
    // Types 1 to 4, and legacy transactions, which are lists. Other chains' may begin like them.
    let is_known = matches!(transaction.first(), Some(1..=4 | 0xc0..=0xfb));
    let decoded = is_known
        .then(|| EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(transaction).ok())
        .flatten();
    let Some(transaction) = decoded else {
        return Ok(None);
    };
    let signature = transaction.signature();
    if signature.r().is_zero() && signature.s().is_zero() {
        return Ok(None);
    }
    let of = alloy_consensus::Transaction::chain_id(&transaction);
    if of.is_some_and(|of| of != chain_id) {
        return Err("signed for another chain");
    }
    let sender = transaction.recover_signer_unchecked();
    sender.map(Some).map_err(|_| "the signature is nobody's")
}

/// What the consensus form of every receipt holds, whatever its type.
struct Receipt {
    cumulative_gas: u64,
    /// Of the logs, not what the receipt says.
    logs_bloom: Bloom,
}

impl Receipt {
    fn read(bytes: &[u8]) -> Option<Self> {
        // A typed receipt has its type before the list.
        let mut rest = match bytes.first()? {
            0..=0x7f => bytes.get(1..)?,
            _ => bytes,
        };
        let mut list = RlpHeader::decode_bytes(&mut rest, true).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let _status_or_root = RlpHeader::decode_bytes(&mut list, false).ok()?;
        let gas = U256::decode(&mut list).ok()?;
        let claimed = Bloom::decode(&mut list).ok()?;
        let mut logs = RlpHeader::decode_bytes(&mut list, true).ok()?;
        // What stands behind the logs (a deposit's nonce) is not looked at.
        let mut logs_bloom = Bloom::ZERO;
        let mut count = 0;
        while !logs.is_empty() {
            count += 1;
            if count > MAX_LOGS {
                return None;
            }
            logs_bloom.accrue_log(&Log::decode(&mut logs).ok()?);
        }
        // A receipt whose own bloom is not that of its logs is none.
        (claimed == logs_bloom).then_some(Self {
            cumulative_gas: u64::try_from(gas).ok()?,
            logs_bloom,
        })
    }
}
