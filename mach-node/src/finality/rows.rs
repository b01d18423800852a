//! What of the index outlives the process.

use alloy_primitives::{B256, BlockNumber, ChainId, TxHash};
use mach_core::BlockRef;

use super::rollup::Statement;
use crate::store::{Change, Expected, Store, StoreError, Table};

/// Rows that are read at a time.
const PAGE: usize = 1024;
const WORD: usize = 32;

/// What the first byte of a key stands for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Rollup, number: hash of the block and of its parent, then those of its transactions.
    Block = 0,
    /// Rollup, hash of a transaction: number of its block.
    Transaction = 1,
    /// Rollup, digest: [`Statement`] in JSON.
    Statement = 2,
    /// Rollup, digest: certificate in JSON.
    Certificate = 3,
}

fn key(kind: Kind, rollup: ChainId, rest: &[u8]) -> Vec<u8> {
    [&[kind as u8], rollup.to_be_bytes().as_slice(), rest].concat()
}

const fn change(key: Vec<u8>, value: Option<Vec<u8>>) -> Change {
    Change {
        table: Table::Finality,
        key,
        expected: Expected::Anything,
        value,
    }
}

/// A block with its transactions, written anew.
pub(super) fn put_block(
    rollup: ChainId,
    block: BlockRef,
    parent: B256,
    transactions: &[TxHash],
) -> impl Iterator<Item = Change> {
    let mut value = [block.hash, parent].concat();
    value.extend(transactions.iter().flatten());
    let number = block.number.to_be_bytes();
    let row = change(key(Kind::Block, rollup, &number), Some(value));
    let transactions = transactions.iter().map(move |hash| {
        let key = key(Kind::Transaction, rollup, hash.as_slice());
        change(key, Some(number.to_vec()))
    });
    std::iter::once(row).chain(transactions)
}

/// A block and its transactions, gone; `kept` are transactions that another block has.
pub(super) async fn remove_block(
    store: &dyn Store,
    rollup: ChainId,
    number: BlockNumber,
    kept: &[TxHash],
) -> Result<Vec<Change>, StoreError> {
    let row = key(Kind::Block, rollup, &number.to_be_bytes());
    let value = store.get(Table::Finality, &row).await?.unwrap_or_default();
    let (words, _) = value.as_chunks::<WORD>();
    let transactions = words.iter().skip(2).map(B256::from);
    let mut changes: Vec<_> = transactions
        .filter(|hash| !kept.contains(hash))
        .map(|hash| change(key(Kind::Transaction, rollup, hash.as_slice()), None))
        .collect();
    changes.push(change(row, None));
    Ok(changes)
}

pub(super) fn put_statement(statement: &Statement) -> Result<Change, StoreError> {
    let key = key(
        Kind::Statement,
        statement.rollup(),
        statement.digest().as_slice(),
    );
    let value = serde_json::to_vec(statement).map_err(StoreError::backend)?;
    Ok(change(key, Some(value)))
}

pub(super) fn put_certificate(rollup: ChainId, digest: &B256, json: String) -> Change {
    let key = key(Kind::Certificate, rollup, digest.as_slice());
    change(key, Some(json.into_bytes()))
}

pub(super) fn remove_statement(rollup: ChainId, digest: &B256) -> [Change; 2] {
    [Kind::Statement, Kind::Certificate]
        .map(|kind| change(key(kind, rollup, digest.as_slice()), None))
}

pub(super) async fn certificate(
    store: &dyn Store,
    rollup: ChainId,
    digest: &B256,
) -> Result<Option<Vec<u8>>, StoreError> {
    let key = key(Kind::Certificate, rollup, digest.as_slice());
    store.get(Table::Finality, &key).await
}

/// Height of a transaction's block.
pub(super) async fn transaction(
    store: &dyn Store,
    rollup: ChainId,
    hash: &TxHash,
) -> Result<Option<BlockNumber>, StoreError> {
    let key = key(Kind::Transaction, rollup, hash.as_slice());
    let Some(value) = store.get(Table::Finality, &key).await? else {
        return Ok(None);
    };
    let number = <[u8; 8]>::try_from(value.as_slice());
    let number = number.map_err(|_| StoreError::damaged(Table::Finality, &key))?;
    Ok(Some(u64::from_be_bytes(number)))
}

/// The blocks of a rollup in ascending order, with the hashes of their parents.
pub(super) async fn blocks(
    store: &dyn Store,
    rollup: ChainId,
) -> Result<Vec<(BlockRef, B256)>, StoreError> {
    let mut blocks = Vec::new();
    let prefix = key(Kind::Block, rollup, &[]);
    each(store, &prefix, |row, value| {
        let number = row.get(prefix.len()..)?.try_into().ok()?;
        let (hash, rest) = value.split_first_chunk::<WORD>()?;
        let block = BlockRef {
            number: u64::from_be_bytes(number),
            hash: B256::from(hash),
        };
        blocks.push((block, B256::from(rest.first_chunk::<WORD>()?)));
        Some(())
    })
    .await?;
    Ok(blocks)
}

/// The certified statements of a rollup.
pub(super) async fn statements(
    store: &dyn Store,
    rollup: ChainId,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = Vec::new();
    let prefix = key(Kind::Statement, rollup, &[]);
    each(store, &prefix, |_, value| {
        statements.push(serde_json::from_slice(value).ok()?);
        Some(())
    })
    .await?;
    Ok(statements)
}

async fn each(
    store: &dyn Store,
    prefix: &[u8],
    mut read: impl FnMut(&[u8], &[u8]) -> Option<()> + Send,
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(Table::Finality, prefix, after.as_deref(), PAGE);
        let page = page.await?;
        for (key, value) in &page {
            read(key, value).ok_or_else(|| StoreError::damaged(Table::Finality, key))?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// What a row of the table is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let (kind, rest) = key.split_first()?;
    let (rollup, rest) = rest.split_first_chunk::<8>()?;
    let rollup = u64::from_be_bytes(*rollup);
    let of = match kind {
        0 => format!("block {}", u64::from_be_bytes(rest.try_into().ok()?)),
        1 => format!("transaction {}", B256::try_from(rest).ok()?),
        2 => format!("statement {}", B256::try_from(rest).ok()?),
        3 => format!(
            "the certificate of statement {}",
            B256::try_from(rest).ok()?
        ),
        _ => return None,
    };
    Some(format!("{of} of rollup {rollup}"))
}
