use super::{Batch, BatchError, SpanContext};

/// The batches of a channel, one after another.
#[derive(Clone, Debug)]
pub(in crate::derive) struct BatchReader {
    /// What came out of the decompression: byte strings of RLP.
    data: Vec<u8>,
    position: usize,
}

impl BatchReader {
    pub(in crate::derive) const fn new(data: Vec<u8>) -> Self {
        Self { data, position: 0 }
    }

    pub(in crate::derive) const fn is_at_end(&self) -> bool {
        self.position >= self.data.len()
    }

    /// The next batch; `None` at the end.
    ///
    /// Errors: [`BatchError`]; nothing behind it is read, unless it is a span that was read whole.
    pub(in crate::derive) fn next(
        &mut self,
        context: &SpanContext,
    ) -> Option<Result<Batch, BatchError>> {
        let mut rest = self.data.get(self.position..)?;
        if rest.is_empty() {
            return None;
        }
        let batch = alloy_rlp::Header::decode_bytes(&mut rest, false)
            .map_err(BatchError::Rlp)
            .and_then(|bytes| Batch::decode(bytes, context));
        let is_last = batch.as_ref().is_err_and(|error| !error.is_whole());
        self.position = match is_last {
            true => self.data.len(),
            false => self.data.len() - rest.len(),
        };
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b256, keccak256};
    use alloy_rlp::Encodable;

    use super::*;
    use crate::derive::decompress::{ChannelRules, decompress};

    const CONTEXT: SpanContext = SpanContext {
        chain_id: 10,
        genesis_timestamp: 0,
        block_time: 2,
    };

    fn read(channel: &[u8]) -> BatchReader {
        let rules = ChannelRules {
            max_bytes: 10_000_000,
            brotli: true,
        };
        BatchReader::new(decompress(channel, rules).unwrap())
    }

    /// The channel of `test_decompress_batch_brotli` in kona-protocol 0.4.5, which read it to
    /// give the expected values.
    #[test]
    fn a_singular_batch_in_brotli_is_read() {
        let compressed = include_bytes!("../../../testdata/derive/singular_batch.br");
        let mut reader = read(&[&[1], &compressed[..]].concat());
        let Some(Ok(Batch::Singular(batch))) = reader.next(&CONTEXT) else {
            panic!("no singular batch");
        };
        assert_eq!(
            batch.parent_hash,
            b256!("a8d01076e1235e0c33674a449c13fc37ee57f9ea065bf41af3aa03d5981f1432")
        );
        assert_eq!(batch.epoch_number, 3_920_048);
        assert_eq!(
            batch.epoch_hash,
            b256!("652a19cd927ae4a22e8f8069385002252d78e1c3cc91a59ac188708b70744491")
        );
        assert_eq!(batch.timestamp, 1_986_837_747);
        assert_eq!(batch.transactions.len(), 20);
        assert_eq!(
            keccak256(batch.transactions.concat()),
            b256!("5911784ae2094fb4c6c6d278b58e89afcb087d37e2b0b812bcfee680962a3bfe")
        );
        assert!(reader.next(&CONTEXT).is_none());
    }

    #[test]
    fn nothing_behind_a_broken_batch_is_read() {
        let mut data = Vec::new();
        [9_u8, 9].as_slice().encode(&mut data);
        [1_u8].as_slice().encode(&mut data);
        let mut reader = BatchReader::new(data);
        assert_eq!(reader.next(&CONTEXT), Some(Err(BatchError::Version(9))));
        assert_eq!(reader.next(&CONTEXT), None);
    }
}
