//! Values with a checksum, as they stand in a database.

use super::{StoreError, Table};

/// Bytes of the checksum before each value.
const CHECKSUM_BYTES: usize = 4;

/// `value` after its checksum.
pub(super) fn seal(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(CHECKSUM_BYTES + value.len());
    sealed.extend(checksum(table, key, value));
    sealed.extend(value);
    sealed
}

/// The value in `stored`.
///
/// Errors: [`StoreError::Damaged`] if it is not what was sealed for this row.
pub(super) fn unseal<'a>(
    table: Table,
    key: &[u8],
    stored: &'a [u8],
) -> Result<&'a [u8], StoreError> {
    (stored.split_first_chunk::<CHECKSUM_BYTES>())
        .filter(|(sum, value)| **sum == checksum(table, key, value))
        .map(|(_, value)| value)
        .ok_or_else(|| StoreError::damaged(table, key))
}

/// The length of the key stands between key and value, so that neither can take from the other.
fn checksum(table: Table, key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(table.name().as_bytes());
    sum.update(&(key.len() as u64).to_be_bytes());
    sum.update(key);
    sum.update(value);
    sum.finalize().to_be_bytes()
}
