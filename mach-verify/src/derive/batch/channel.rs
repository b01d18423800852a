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
    use std::io::Write;

    use alloy_primitives::{b256, hex, keccak256};
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

    /// A channel of OP Mainnet of June 2024, if kona-protocol 0.4.5 is in cargo's registry: too
    /// large to keep here. The expected values are what that crate reads.
    #[test]
    fn a_channel_of_op_mainnet_is_read() {
        let Some(text) = kona_testdata("batch.hex") else {
            // Not `eprintln!`, which the test runner keeps to itself.
            let text = "a_channel_of_op_mainnet_is_read: skipped, kona-protocol 0.4.5 is not in cargo's registry\n";
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return;
        };
        let mut reader = read(&hex::decode(text.trim()).unwrap());
        let Some(Ok(Batch::Span(batch))) = reader.next(&CONTEXT) else {
            panic!("no span batch");
        };
        let (mut facts, mut bytes) = (Vec::new(), Vec::new());
        for block in batch.blocks() {
            facts.extend_from_slice(&block.epoch_number.to_be_bytes());
            facts.extend_from_slice(&block.timestamp.to_be_bytes());
            facts.extend_from_slice(&(block.transactions.len() as u64).to_be_bytes());
            bytes.extend(block.transactions.concat());
        }
        assert_eq!(batch.len(), 143);
        assert_eq!(
            keccak256(facts),
            b256!("b99052d1665c81900c52af28418651ce5d11c6a8dfb0599e1b46f509f94cd1d9")
        );
        assert_eq!(
            keccak256(bytes),
            b256!("884d4814f6983b0b87983b3f0e0780f28f68f46248ec561fd3a7ad3fa43fd243")
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

    fn kona_testdata(name: &str) -> Option<String> {
        let home = std::env::var_os("CARGO_HOME")
            .map(std::path::PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
        std::fs::read_dir(home.join("registry/src"))
            .ok()?
            .flatten()
            .find_map(|index| {
                let path = index.path().join("kona-protocol-0.4.5/testdata").join(name);
                std::fs::read_to_string(path).ok()
            })
    }
}
