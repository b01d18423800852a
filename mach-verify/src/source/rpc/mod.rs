//! Blocks and witnesses from a node's JSON-RPC.

mod block;
mod call;
mod cross;
pub(super) mod http;
mod l1;
mod op_node;
mod options;
mod proofs;
mod receipts;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
mod witness;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed, U64};
use alloy_rpc_client::RpcClient;
use alloy_transport::TransportError;
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{BoxError, L2Head, L2Source, SourceError},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;
use tracing::info;
use url::Url;

use self::call::{Call, Item, Learned, failed, is_unserved, request};
use super::{WitnessSource, bounded::decode_block};
use crate::{ChainSpec, Witness, body::check_transactions};

pub use cross::RpcHashes;
pub use http::HttpError;
pub use op_node::OpNode;
pub use options::{MAX_RESPONSE_BYTES, RpcOptions};

/// A node behind JSON-RPC, as a source of blocks, of witnesses and of L1.
///
/// Blocks come from `debug_getRawBlock`, and from `eth_getBlockByNumber` where a node does not
/// serve that. Witnesses come from `debug_executionWitness` in the shapes of reth, geth, erigon,
/// nethermind and their relatives; with [`Self::with_proofs`], where a node does not serve that,
/// from `eth_getProof` and `eth_getCode`, which every archive node has. Nothing that the node says
/// is trusted: the block has to hash to the hash that the node names, and a witness proves itself.
/// What is malformed is an error.
#[derive(Clone, Debug)]
pub struct RpcSource {
    client: RpcClient,
    chain_id: ChainId,
    learned: Arc<Learned>,
    witnesses: Witnesses,
}

/// Where a node's witnesses come from.
#[derive(Clone, Debug)]
enum Witnesses {
    /// `debug_executionWitness`.
    Debug,
    /// The same, and `eth_getProof` where it is not served.
    Auto(Arc<ChainSpec>),
    /// `eth_getProof`.
    Proofs(Arc<ChainSpec>),
}

impl RpcSource {
    /// A node behind any alloy client, said to be on chain `chain_id`.
    pub fn new(client: RpcClient, chain_id: ChainId) -> Self {
        Self {
            client,
            chain_id,
            learned: Learned::new(options::DEFAULT_BATCH_SIZE.get()),
            witnesses: Witnesses::Debug,
        }
    }

    /// The node at an HTTP URL, asked for its chain, with the limits of [`RpcOptions::default`].
    ///
    /// Errors: [`SourceError::Backend`].
    pub async fn connect(url: Url) -> Result<Self, SourceError> {
        Self::connect_with(url, &RpcOptions::default()).await
    }

    /// The node at an HTTP URL, asked for its chain.
    ///
    /// Errors: [`SourceError::Backend`], whose causes name the request and an [`HttpError`].
    pub async fn connect_with(url: Url, options: &RpcOptions) -> Result<Self, SourceError> {
        let client = http::client(url, options)?;
        let chain_id: U64 = request(&client, "eth_chainId", ()).await?;
        Ok(Self::new(client, chain_id.to()).with_batch_size(options.batch_size.get()))
    }

    /// The node at an HTTP URL, said to be on chain `chain_id`. Nothing is sent yet.
    ///
    /// Errors: [`SourceError::Backend`].
    pub fn at(url: Url, chain_id: ChainId, options: &RpcOptions) -> Result<Self, SourceError> {
        let client = http::client(url, options)?;
        Ok(Self::new(client, chain_id).with_batch_size(options.batch_size.get()))
    }

    /// Sets how many calls are sent in a batch, at most; a node that takes fewer gets fewer.
    #[must_use]
    pub fn with_batch_size(mut self, calls: usize) -> Self {
        self.learned = Learned::new(calls);
        self
    }

    /// Gathers witnesses from `eth_getProof` and `eth_getCode` if the node does not serve
    /// `debug_executionWitness`. Blocks are executed for that, by the rules of `spec`.
    #[must_use]
    pub fn with_proofs(mut self, spec: ChainSpec) -> Self {
        self.witnesses = Witnesses::Auto(Arc::new(spec));
        self
    }

    /// Gathers witnesses from `eth_getProof` and `eth_getCode`, and asks for nothing else.
    #[must_use]
    pub fn with_proofs_only(mut self, spec: ChainSpec) -> Self {
        self.witnesses = Witnesses::Proofs(Arc::new(spec));
        self
    }

    /// Whether witnesses are gathered from proofs: by choice, or since the node has said that it
    /// serves no others.
    pub fn gathers_witnesses(&self) -> bool {
        match self.witnesses {
            Witnesses::Debug => false,
            Witnesses::Auto(_) => self.learned.no_witnesses.load(Relaxed),
            Witnesses::Proofs(_) => true,
        }
    }

    /// Block and witness at a height, to be kept.
    ///
    /// Errors: [`SourceError`].
    pub async fn record(&self, number: BlockNumber) -> Result<super::RecordedBlock, SourceError> {
        let block = self.block(number).await?;
        let witness = self.witness(&block).await?;
        Ok(super::RecordedBlock {
            block,
            witness,
            source: None,
        })
    }

    async fn block_from_json(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let json: Option<Box<RawValue>> = self
            .request("eth_getBlockByNumber", (hex(number), true))
            .await?;
        let json = json.ok_or(SourceError::NotYet(number))?;
        block::from_json(self.chain_id, number, &json)
    }

    /// Header at a height, with its computed hash.
    ///
    /// From `debug_getRawHeader`, and from `eth_getBlockByNumber` where a node does not serve that.
    ///
    /// Errors: [`SourceError::NotYet`] above the head.
    pub async fn header_at(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        let malformed = |source| SourceError::Malformed {
            number,
            field: "header",
            source,
        };
        let unserved = &self.learned.no_raw_headers;
        let raw: Option<Bytes> =
            (self.served("debug_getRawHeader", (hex(number),), unserved)).await?;
        let header = match raw {
            Some(raw) => {
                let header = alloy_rlp::decode_exact(&raw)
                    .map_err(|error| malformed(Box::new(error) as BoxError))?;
                Sealed::new(header)
            }
            None => {
                let json: Option<JsonHeader> = self
                    .request("eth_getBlockByNumber", (hex(number), false))
                    .await?;
                let JsonHeader { header, hash } = json.ok_or(SourceError::NotYet(number))?;
                let header = Sealed::new(header);
                if header.seal() != hash {
                    return Err(SourceError::HashMismatch {
                        number,
                        computed: header.seal(),
                        claimed: hash,
                    });
                }
                header
            }
        };
        if header.number != number {
            let what = format!("the node sent block {}", header.number);
            return Err(malformed(what.into()));
        }
        Ok(header)
    }

    /// Before anything is final there is genesis, and some nodes say nothing.
    async fn tagged(&self, tag: &'static str) -> Result<BlockRef, SourceError> {
        let named: Option<Named> = self.request("eth_getBlockByNumber", (tag, false)).await?;
        let named = named.ok_or(SourceError::NotYet(0))?;
        Ok(BlockRef {
            number: named.number.to(),
            hash: named.hash,
        })
    }
}

/// What a node calls a block.
#[derive(Debug, Deserialize)]
struct Named {
    number: U64,
    hash: B256,
}

/// A header as `eth_getBlockByNumber` gives it, with the hash that the node says.
#[derive(Debug)]
struct JsonHeader {
    header: Header,
    hash: B256,
}

impl<'de> Deserialize<'de> for JsonHeader {
    // The derive with a flattened header holds a copy of whatever else is there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Hash {
            hash: B256,
        }
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let header = serde_json::from_str(json.get()).map_err(D::Error::custom)?;
        let Hash { hash } = serde_json::from_str(json.get()).map_err(D::Error::custom)?;
        Ok(Self { header, hash })
    }
}

#[async_trait]
impl L2Source for RpcSource {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        self.tagged(match head {
            L2Head::Unsafe => "latest",
            L2Head::Safe => "safe",
            L2Head::Finalized => "finalized",
        })
        .await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        // A node without witnesses has no other `debug` methods either.
        if self.gathers_witnesses() {
            return self.block_in_company(number).await;
        }
        match self.raw_block(number).await {
            // Between the two calls the node may have changed its branch.
            Err(SourceError::HashMismatch { .. }) => self.raw_block(number).await,
            block => block,
        }
    }
}

impl RpcSource {
    /// The block as the node encodes it, which has to have the hash that the node says.
    async fn raw_block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        if self.learned.no_raw_blocks.load(Relaxed) {
            return self.block_from_json(number).await;
        }
        let calls = [
            Call::new("eth_getBlockByNumber", (hex(number), false))?,
            Call::new("debug_getRawBlock", (hex(number),))?,
        ];
        let Ok([named, raw]) = <[Item; 2]>::try_from(self.batch(&calls).await?) else {
            return Err(SourceError::NotYet(number));
        };
        let [name, get] = &calls;
        let named: Option<Named> = name.read(named)?;
        let named = named.ok_or(SourceError::NotYet(number))?;
        let raw: Bytes = match raw {
            Err(error) => {
                self.learned
                    .no_raw_blocks
                    .fetch_or(is_unserved("debug_getRawBlock", &error), Relaxed);
                return self.block_from_json(number).await;
            }
            raw => get.read(raw)?,
        };
        let block = decode_block(self.chain_id, &raw)
            .map_err(|source| SourceError::Block { number, source })?;
        check_transactions(&block)?;
        if block.number() != number {
            return Err(SourceError::Malformed {
                number,
                field: "number",
                source: format!("the node sent block {}", block.number()).into(),
            });
        }
        if block.hash() != named.hash {
            return Err(SourceError::HashMismatch {
                number,
                computed: block.hash(),
                claimed: named.hash,
            });
        }
        Ok(block)
    }
}

#[async_trait]
impl WitnessSource for RpcSource {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let spec = match &self.witnesses {
            Witnesses::Debug => None,
            Witnesses::Auto(spec) if !self.gathers_witnesses() => Some(spec),
            Witnesses::Auto(spec) | Witnesses::Proofs(spec) => {
                return self.gather(spec, block).await;
            }
        };
        const METHOD: &str = "debug_executionWitness";
        let number = block.number();
        let request = async { self.client.request(METHOD, (hex(number),)).await };
        let (raw, passer) = futures::join!(request, self.message_passer(block));
        let raw: witness::RawWitness = match raw {
            Ok(raw) => raw,
            Err(error) => {
                let (Some(spec), TransportError::ErrorResp(answer)) = (spec, &error) else {
                    return Err(failed(METHOD, error));
                };
                if is_unserved(METHOD, answer) && !self.learned.no_witnesses.fetch_or(true, Relaxed)
                {
                    info!("the node serves no witnesses: they are gathered from its proofs");
                }
                return self.gather(spec, block).await;
            }
        };
        let mut witness = raw.into_witness();
        witness.state.extend(passer);
        let parent_hash = block.header.parent_hash;
        if witness.header(parent_hash).is_none()
            && let Some(parent) = number.checked_sub(1)
        {
            // Not every node adds the parent's header of its own accord.
            let header = self.header_at(parent).await?;
            if header.seal() == parent_hash {
                witness
                    .headers
                    .push(alloy_rlp::encode(header.inner()).into());
            }
        }
        Ok(witness)
    }
}

fn hex(number: BlockNumber) -> String {
    format!("{number:#x}")
}

#[cfg(test)]
mod shapes {
    use std::path::PathBuf;

    use alloy_transport::mock::{Asserter, MockTransport};
    use serde_json::json;

    use super::*;
    use crate::source::RecordedBlock;

    /// A node that gives these answers, one after another.
    fn node(chain_id: ChainId) -> (RpcSource, Asserter) {
        let answers = Asserter::new();
        let client = RpcClient::new(MockTransport::new(answers.clone()), true);
        (RpcSource::new(client, chain_id), answers)
    }

    fn recorded(name: &str) -> Option<RecordedBlock> {
        let root = PathBuf::from(std::env::var_os("MACH_DATA")?);
        Some(RecordedBlock::read(root.join("blocks").join(name)).unwrap())
    }

    fn named(block: &L2Block) -> serde_json::Value {
        json!({"number": hex(block.number()), "hash": block.hash()})
    }

    fn empty_block() -> L2Block {
        let header = Header {
            number: 7,
            transactions_root: alloy_consensus::EMPTY_ROOT_HASH,
            ..Default::default()
        };
        L2Block::new(10, header, Vec::new())
    }

    /// The JSON of a block, as nodes give it.
    fn full(block: &L2Block, transactions: &[serde_json::Value]) -> serde_json::Value {
        let mut json = serde_json::to_value(block.header.inner()).unwrap();
        json["hash"] = json!(block.hash());
        json["transactions"] = json!(transactions);
        json["uncles"] = json!([]);
        json
    }

    #[tokio::test]
    async fn a_raw_block_is_what_the_node_names() {
        let block = empty_block();
        let (source, answers) = node(10);
        answers.push_success(&named(&block));
        answers.push_success(&Bytes::from(block.encode_rlp()));
        assert_eq!(source.block(7).await.unwrap(), block);

        // Another block than the one that was asked for, and another than the one that was named.
        answers.push_success(&named(&block));
        answers.push_success(&Bytes::from(block.encode_rlp()));
        assert!(matches!(
            source.block(8).await,
            Err(SourceError::Malformed {
                number: 8,
                field: "number",
                ..
            })
        ));
        let other = L2Block::new(
            10,
            Header {
                gas_used: 1,
                ..block.header.inner().clone()
            },
            vec![],
        );
        // Twice in a row, which is no change of branch.
        for _ in 0..2 {
            answers.push_success(&named(&block));
            answers.push_success(&Bytes::from(other.encode_rlp()));
        }
        assert!(matches!(
            source.block(7).await,
            Err(SourceError::HashMismatch { number: 7, .. })
        ));
        answers.push_success(&named(&block));
        answers.push_success(&Bytes::from_static(&[0xc0]));
        assert!(matches!(
            source.block(7).await,
            Err(SourceError::Block { number: 7, .. })
        ));
    }

    #[tokio::test]
    async fn what_is_not_there_yet_is_no_failure() {
        let (source, answers) = node(10);
        answers.push_success(&None::<()>);
        answers.push_failure_msg("block not found");
        assert!(matches!(source.block(9).await, Err(SourceError::NotYet(9))));
        answers.push_failure_msg("busy");
        answers.push_failure_msg("busy");
        let error = source.block(9).await.unwrap_err();
        assert!(matches!(error, SourceError::Backend(_)) && error.is_transient());
    }

    #[tokio::test]
    async fn a_node_without_raw_blocks_is_read_as_json() {
        let block = empty_block();
        let (source, answers) = node(10);
        answers.push_success(&named(&block));
        answers.push_failure_msg("the method debug_getRawBlock does not exist");
        answers.push_success(&full(&block, &[]));
        assert_eq!(source.block(7).await.unwrap(), block);
    }

    /// Deposits, legacy and typed transactions, through JSON and back to their bytes.
    #[tokio::test]
    async fn transactions_keep_their_bytes_through_json() {
        use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
        use alloy_eips::eip2718::Decodable2718;
        use op_alloy_consensus::OpTxEnvelope;

        for (name, is_rollup) in [
            ("op-10-132797000.json.gz", true),
            ("op-11155420-26207962.json.gz", true),
            ("eth-1-19426587.json.gz", false),
        ] {
            let Some(RecordedBlock { block, .. }) = recorded(name) else {
                return;
            };
            let transactions: Vec<_> = block
                .transactions
                .iter()
                .map(|bytes| {
                    if is_rollup {
                        let decoded = OpTxEnvelope::decode_2718_exact(bytes).unwrap();
                        serde_json::to_value(decoded).unwrap()
                    } else {
                        let decoded =
                            EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(bytes).unwrap();
                        serde_json::to_value(decoded).unwrap()
                    }
                })
                .collect();
            let mut json = full(&block, &transactions);
            json["withdrawals"] = json!(block.withdrawals);
            let json = serde_json::value::to_raw_value(&json).unwrap();
            let read = block::from_json(block.chain_id, block.number(), &json).unwrap();
            assert_eq!(read, block, "{name}");
        }
    }

    #[tokio::test]
    async fn before_isthmus_the_account_behind_the_output_root_comes_along() {
        let parent = empty_block();
        let of = |withdrawals_root| {
            let header = Header {
                number: 8,
                parent_hash: parent.hash(),
                withdrawals_root,
                ..Default::default()
            };
            L2Block::new(10, header, vec![Bytes::from_static(&[0x7e])])
        };
        let witness = json!({
            "state": ["0x80"],
            "codes": [],
            "headers": [Bytes::from(alloy_rlp::encode(parent.header.inner()))],
        });
        let empty = Some(alloy_consensus::EMPTY_ROOT_HASH);
        for (root, proof, state) in [
            (None, true, 2),
            (empty, true, 2),
            (empty, false, 1),
            // Named by the header: not asked for.
            (Some(B256::repeat_byte(1)), true, 1),
        ] {
            let (source, answers) = node(10);
            answers.push_success(&witness);
            if proof {
                answers.push_success(&json!({"accountProof": ["0x81"]}));
            } else {
                answers.push_failure_msg("the method eth_getProof does not exist");
            }
            let gathered = source.witness(&of(root)).await.unwrap();
            assert_eq!(gathered.state.len(), state, "{root:?}");
            if !proof {
                // And not again.
                answers.push_success(&witness);
                assert_eq!(source.witness(&of(root)).await.unwrap().state.len(), 1);
            }
        }
    }

    #[tokio::test]
    async fn the_parent_is_fetched_if_the_witness_lacks_it() {
        let parent = empty_block();
        let header = Header {
            number: 8,
            parent_hash: parent.hash(),
            ..Default::default()
        };
        let block = L2Block::new(10, header, Vec::new());
        let (source, answers) = node(10);
        answers.push_success(&json!({"state": [], "codes": []}));
        answers.push_failure_msg("the method debug_getRawHeader does not exist");
        let mut json = serde_json::to_value(parent.header.inner()).unwrap();
        json["hash"] = json!(parent.hash());
        answers.push_success(&json);
        let witness = source.witness(&block).await.unwrap();
        assert_eq!(
            witness.header(parent.hash()).map(|header| header.number),
            Some(7)
        );
    }
}
