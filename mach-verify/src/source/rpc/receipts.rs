//! Receipts as they stand in the trie of a block.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, LogData, Sealed, U8, U64};
use alloy_rlp::{BufMut, Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::ports::SourceError;
use serde::Deserialize;

use super::RpcSource;
use crate::source::bounded::{AtMost, MAX_TRANSACTIONS};

impl RpcSource {
    /// EIP-2718 encodings of the receipts of the block with this header, in block order, proven to
    /// its receipts root.
    ///
    /// From `debug_getRawReceipts`, and from `eth_getBlockReceipts` where a node does not serve
    /// that, or not as they stand in the trie: from Regolith to Canyon the trie knows the deposit
    /// nonce that the receipt has.
    ///
    /// Errors: [`SourceError::NotHeld`] if the node does not know the block,
    /// [`SourceError::Malformed`] if the receipts are not those of the header.
    pub async fn block_receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        let (number, hash) = (header.number, header.seal());
        // By hash, so that a reorg in between gives no receipts instead of others.
        let unserved = &self.learned.no_raw_receipts;
        let raw: Option<AtMost<Bytes, MAX_TRANSACTIONS>> =
            (self.served("debug_getRawReceipts", (hash,), unserved)).await?;
        if let Some(AtMost(raw)) = raw
            && is_proven(header, &raw)
        {
            return Ok(raw);
        }
        let json: Option<AtMost<JsonReceipt, MAX_TRANSACTIONS>> =
            self.request("eth_getBlockReceipts", (hash,)).await?;
        let AtMost(json) = json.ok_or(SourceError::NotHeld(number))?;
        let receipts: Vec<Bytes> = json.iter().map(JsonReceipt::encode).collect();
        if !is_proven(header, &receipts) {
            return Err(SourceError::Malformed {
                number,
                field: "receipts",
                source: "they do not encode to the header's root".into(),
            });
        }
        Ok(receipts)
    }
}

fn is_proven(header: &Header, receipts: &[Bytes]) -> bool {
    ordered_trie_root_with_encoder(receipts, |receipt, out| out.put_slice(receipt))
        == header.receipts_root
}

/// What of a receipt's JSON is in its encoding.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonReceipt {
    /// Absent in answers of old nodes, which have only legacy ones.
    #[serde(default, rename = "type")]
    kind: Option<U8>,
    #[serde(default)]
    status: Option<U8>,
    /// State root after the transaction, before Byzantium.
    #[serde(default)]
    root: Option<B256>,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    logs: Vec<JsonLog>,
    /// Of deposits, from Regolith on.
    #[serde(default)]
    deposit_nonce: Option<U64>,
    /// Of deposits, from Canyon on. Only with it the nonce is part of what the header commits to.
    #[serde(default)]
    deposit_receipt_version: Option<U64>,
}

#[derive(Debug, Deserialize)]
struct JsonLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl JsonReceipt {
    fn encode(&self) -> Bytes {
        let mut fields = Vec::new();
        match (self.status, self.root) {
            (None, Some(root)) => root.encode(&mut fields),
            (status, _) => status.unwrap_or_default().encode(&mut fields),
        }
        self.cumulative_gas_used.encode(&mut fields);
        self.logs_bloom.encode(&mut fields);
        let logs: Vec<_> = self.logs.iter().map(JsonLog::to_log).collect();
        logs.encode(&mut fields);
        if let Some(version) = self.deposit_receipt_version {
            self.deposit_nonce.unwrap_or_default().encode(&mut fields);
            version.encode(&mut fields);
        }
        let mut receipt = Vec::with_capacity(fields.len() + 8);
        if let Some(kind) = self.kind.filter(|kind| !kind.is_zero()) {
            receipt.push(kind.to());
        }
        RlpHeader {
            list: true,
            payload_length: fields.len(),
        }
        .encode(&mut receipt);
        receipt.put_slice(&fields);
        receipt.into()
    }
}

impl JsonLog {
    fn to_log(&self) -> alloy_primitives::Log {
        alloy_primitives::Log {
            address: self.address,
            // The header's root says whether there are too many topics.
            data: LogData::new_unchecked(self.topics.clone(), self.data.clone()),
        }
    }
}
