//! What of the index outlives the process.

use std::collections::BTreeSet;

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
    /// No rollup and nothing else: how many changes of statements there were.
    Changes = 4,
    /// No rollup, number of a change: rollup and digest of its statement.
    Change = 5,
}

/// Changes that are on record.
const MAX_CHANGES: u64 = 4096;

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

/// Counts a change of a statement, if there were `before` until now.
pub(super) fn count_change(before: u64, statement: &Statement) -> impl Iterator<Item = Change> {
    let expected = match before {
        0 => Expected::Absent,
        _ => Expected::Value(before.to_be_bytes().to_vec()),
    };
    let after = before + 1;
    let counted = Change {
        expected,
        ..change(
            key(Kind::Changes, 0, &[]),
            Some(after.to_be_bytes().to_vec()),
        )
    };
    let row = |number: u64| key(Kind::Change, 0, &number.to_be_bytes());
    let rollup = statement.rollup().to_be_bytes();
    let what = [rollup.as_slice(), statement.digest().as_slice()].concat();
    let old = after
        .checked_sub(MAX_CHANGES)
        .map(|old| change(row(old), None));
    [counted, change(row(after), Some(what))]
        .into_iter()
        .chain(old)
}

/// How many changes of statements there were.
pub(super) async fn changes(store: &dyn Store) -> Result<u64, StoreError> {
    let key = key(Kind::Changes, 0, &[]);
    let Some(value) = store.get(Table::Finality, &key).await? else {
        return Ok(0);
    };
    let number = <[u8; 8]>::try_from(value.as_slice());
    let number = number.map_err(|_| StoreError::damaged(Table::Finality, &key))?;
    Ok(u64::from_be_bytes(number))
}

/// What changed after the change `after`, up to the change `last`; `None` if not all of that is on
/// record any more.
pub(super) async fn changed(
    store: &dyn Store,
    after: u64,
    last: u64,
) -> Result<Option<BTreeSet<(ChainId, B256)>>, StoreError> {
    let prefix = key(Kind::Change, 0, &[]);
    let mut at = key(Kind::Change, 0, &after.to_be_bytes());
    let (mut changed, mut count) = (BTreeSet::new(), 0);
    loop {
        let page = store
            .scan(Table::Finality, &prefix, Some(&at), PAGE)
            .await?;
        for (key, value) in &page {
            let read = || {
                let (rollup, digest) = value.split_first_chunk::<8>()?;
                Some((u64::from_be_bytes(*rollup), B256::try_from(digest).ok()?))
            };
            changed.insert(read().ok_or_else(|| StoreError::damaged(Table::Finality, key))?);
            count += 1;
        }
        match page.into_iter().next_back() {
            Some((key, _)) => at = key,
            // Some may have come since.
            None => return Ok((count >= last.saturating_sub(after)).then_some(changed)),
        }
    }
}

pub(super) async fn statement(
    store: &dyn Store,
    rollup: ChainId,
    digest: &B256,
) -> Result<Option<Statement>, StoreError> {
    let key = key(Kind::Statement, rollup, digest.as_slice());
    let Some(value) = store.get(Table::Finality, &key).await? else {
        return Ok(None);
    };
    let damaged = |_| StoreError::damaged(Table::Finality, &key);
    serde_json::from_slice(&value).map(Some).map_err(damaged)
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

/// The block that a transaction is in. Another process may have put another block at that height, and
/// left the transaction's row: it counts if the block has the transaction.
pub(super) async fn block_of(
    store: &dyn Store,
    rollup: ChainId,
    hash: &TxHash,
) -> Result<Option<BlockRef>, StoreError> {
    let row = key(Kind::Transaction, rollup, hash.as_slice());
    let Some(value) = store.get(Table::Finality, &row).await? else {
        return Ok(None);
    };
    let number = <[u8; 8]>::try_from(value.as_slice());
    let number = number.map_err(|_| StoreError::damaged(Table::Finality, &row))?;
    let row = key(Kind::Block, rollup, &number);
    let value = store.get(Table::Finality, &row).await?.unwrap_or_default();
    let (words, _) = value.as_chunks::<WORD>();
    let [block, _, transactions @ ..] = words else {
        return Ok(None);
    };
    Ok(transactions.contains(&hash.0).then(|| BlockRef {
        number: u64::from_be_bytes(number),
        hash: B256::from(block),
    }))
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
    match kind {
        4 => return Some("how many changes there were".to_owned()),
        5 => return Some("a change".to_owned()),
        _ => {}
    }
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
