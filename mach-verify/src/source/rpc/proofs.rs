//! Witnesses of nodes that serve `eth_getProof` and no more.

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_primitives::{Address, B256, BlockNumber, Bytes, U256};
use alloy_transport::TransportError;
use mach_core::{L2Block, ports::SourceError};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::debug;

use super::{
    JsonHeader, RpcSource, block,
    call::{Call, Company, Item, is_unserved},
    hex,
};
use crate::{
    ChainSpec, Witness,
    execute::MESSAGE_PASSER,
    source::{
        bounded::{AtMost, MAX_TRANSACTIONS},
        proof::{GatherError, Gatherer, Keys, Step, Wanted},
        run_blocking,
    },
};

/// Most slots in one `eth_getProof`: half of what geth takes.
const MAX_SLOTS: usize = 512;

/// Most nodes of a proof that are read: a path has at most 65.
const MAX_NODES: usize = 65;

/// Most logs of a receipt, and of a block, that are looked at.
const MAX_LOGS: usize = 100_000;

/// What a call is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Proof,
    Later,
    Code(Address),
    Header(BlockNumber),
    Parent,
    Receipts,
}

/// The part of `eth_getProof` that is looked at: nodes prove themselves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    account_proof: AtMost<Bytes, MAX_NODES>,
    #[serde(default)]
    storage_proof: AtMost<SlotProof, MAX_SLOTS>,
}

#[derive(Debug, Deserialize)]
struct SlotProof {
    #[serde(default)]
    value: U256,
    proof: AtMost<Bytes, MAX_NODES>,
}

/// Who left logs, of `eth_getBlockReceipts`.
#[derive(Debug, Deserialize)]
struct Receipt {
    #[serde(default)]
    logs: AtMost<Log, MAX_LOGS>,
}

#[derive(Debug, Deserialize)]
struct Log {
    address: Address,
}

/// First byte of a deposit (EIP-2718), with which every block of a rollup begins.
const DEPOSIT: u8 = 0x7e;

impl RpcSource {
    /// Nodes that prove the account of the message passer in the state that `block` is executed on,
    /// if its header does not name the account's storage root, as from Isthmus on: its output root
    /// is known then.
    ///
    /// A node that does not serve proofs leaves the output root unknown, and the block is verified
    /// all the same.
    pub(super) async fn message_passer(&self, block: &L2Block) -> Vec<Bytes> {
        let first = block.transactions.first().and_then(|it| it.first());
        let is_named = (block.header.withdrawals_root).is_some_and(|root| root != EMPTY_ROOT_HASH);
        let Some(parent) = block.number().checked_sub(1) else {
            return Vec::new();
        };
        if first != Some(&DEPOSIT) || is_named || self.learned.no_proofs.load(Relaxed) {
            return Vec::new();
        }
        const METHOD: &str = "eth_getProof";
        let params = (MESSAGE_PASSER, [(); 0], hex(parent));
        match self.client.request::<_, Proof>(METHOD, params).await {
            Ok(proof) => proof.account_proof.0,
            Err(error) => {
                if let TransportError::ErrorResp(answer) = &error {
                    self.learned
                        .no_proofs
                        .fetch_or(is_unserved(METHOD, answer), Relaxed);
                }
                debug!(block = block.number(), %error, "the output root stays unknown");
                Vec::new()
            }
        }
    }

    /// The witness of `block`, gathered while executing it.
    ///
    /// Receipts only say where to look first, and a node need not serve them.
    pub(super) async fn gather(
        &self,
        spec: &ChainSpec,
        block: &L2Block,
    ) -> Result<Witness, SourceError> {
        let number = block.number();
        let parent_number = number.checked_sub(1).ok_or(SourceError::NotHeld(number))?;
        let mut gatherer = Gatherer::new(spec.clone(), block.clone());
        let company = self.learned.company_of(block.hash());
        let is_alone = company.is_none();
        let Company { parent, loggers } = company.unwrap_or_default();
        gatherer.add_loggers(loggers);
        let mut has_parent = gatherer.add_parent(parent);
        let mut round = 0;
        loop {
            let step;
            (gatherer, step) = stepped(gatherer).await?;
            let wanted = match step {
                Ok(Step::Done(witness)) => return Ok(witness),
                Ok(Step::Ask(wanted)) => wanted,
                Err(source) => {
                    return Err(SourceError::Malformed {
                        number,
                        field: "proof",
                        source: Box::new(source),
                    });
                }
            };
            debug!(
                block = number,
                round,
                accounts = wanted.proofs.len(),
                slots = wanted.proofs.values().map(BTreeSet::len).sum::<usize>(),
                codes = wanted.codes.len(),
                headers = wanted.headers.len(),
                later = wanted.later.len(),
                "asking for what execution read"
            );
            let mut asks = Asks::of(&wanted, number, parent_number)?;
            if round == 0 && is_alone {
                asks.add(
                    Purpose::Parent,
                    Call::new("eth_getBlockByNumber", (hex(parent_number), false))?,
                );
                asks.add(
                    Purpose::Receipts,
                    Call::new("eth_getBlockReceipts", (block.hash(),))?,
                );
            }
            has_parent |= self.answer(&mut gatherer, block, asks).await?;
            if !has_parent {
                gatherer.add_header(&self.parent(block, parent_number).await?);
                has_parent = true;
            }
            round += 1;
        }
    }

    /// The block from JSON, and together with it what gathering its witness begins with.
    pub(super) async fn block_in_company(
        &self,
        number: BlockNumber,
    ) -> Result<L2Block, SourceError> {
        let calls = [
            Call::new("eth_getBlockByNumber", (hex(number), true))?,
            Call::new(
                "eth_getBlockByNumber",
                (hex(number.saturating_sub(1)), false),
            )?,
            Call::new("eth_getBlockReceipts", (hex(number),))?,
        ];
        let Ok([block, parent, receipts]) = <[Item; 3]>::try_from(self.batch(&calls).await?) else {
            return Err(SourceError::NotYet(number));
        };
        let [get_block, get_parent, get_receipts] = &calls;
        let block: Option<Box<RawValue>> = get_block.read(block)?;
        let block = block.ok_or(SourceError::NotYet(number))?;
        let block = block::from_json(self.chain_id, number, &block)?;
        let parent: Option<JsonHeader> = get_parent.read(parent).unwrap_or_default();
        let company = Company {
            parent: parent.map(|json| json.header),
            loggers: loggers(get_receipts, receipts),
        };
        self.learned.keep(block.hash(), company);
        Ok(block)
    }

    /// Header of the parent, where JSON does not hash to what the block says.
    async fn parent(&self, block: &L2Block, number: BlockNumber) -> Result<Header, SourceError> {
        let header = self.header_at(number).await?;
        if header.seal() != block.header.parent_hash {
            return Err(SourceError::NotHeld(number));
        }
        Ok(header.into_inner())
    }

    /// Asks, and hands over what comes back; whether the parent's header was among it. An error of
    /// one item leaves it unknown: only if the truth needs it that is an error of the whole.
    async fn answer(
        &self,
        gatherer: &mut Gatherer,
        block: &L2Block,
        asks: Asks,
    ) -> Result<bool, SourceError> {
        let mut has_parent = false;
        let mut first_error = None;
        let mut proofs = 0;
        let answers = self.batch(&asks.calls).await?;
        for ((call, purpose), item) in asks.calls.iter().zip(asks.purposes).zip(answers) {
            let taken = match purpose {
                Purpose::Proof => call.read::<Proof>(item).map(|proof| {
                    proofs += 1;
                    for slot in &proof.storage_proof.0 {
                        gatherer.add_hint(slot.value);
                    }
                    gatherer.add_nodes(nodes(proof));
                }),
                Purpose::Later => call
                    .read(item)
                    .map(|proof| gatherer.add_later_nodes(nodes(proof))),
                Purpose::Code(address) => {
                    call.read(item).map(|code| gatherer.add_code(address, code))
                }
                Purpose::Header(number) => call.read(item).map(|json: Option<JsonHeader>| {
                    if let Some(json) = json.filter(|json| json.header.number == number) {
                        gatherer.add_header(&json.header);
                    }
                }),
                Purpose::Parent => call.read(item).map(|json: Option<JsonHeader>| {
                    has_parent = gatherer.add_parent(json.map(|json| json.header));
                }),
                // They only say where to look, and not every node has them.
                Purpose::Receipts => {
                    gatherer.add_loggers(loggers(call, item));
                    Ok(())
                }
            };
            if let Err(error) = taken {
                debug!(block = block.number(), %error, "no answer to a part");
                if matches!(purpose, Purpose::Proof) {
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            // The node proves nothing: pruned, or without the method.
            Some(error) if proofs == 0 => Err(error),
            _ => Ok(has_parent),
        }
    }
}

/// Who left logs, each once.
fn loggers(call: &Call, receipts: Item) -> Vec<Address> {
    let receipts: Option<AtMost<Receipt, MAX_TRANSACTIONS>> =
        call.read(receipts).unwrap_or_default();
    let receipts = receipts.unwrap_or_default().0;
    let logs = receipts.into_iter().flat_map(|it| it.logs.0);
    let addresses: BTreeSet<_> = logs.map(|log| log.address).take(MAX_LOGS).collect();
    addresses.into_iter().collect()
}

/// Calls with what each is for.
#[derive(Debug, Default)]
struct Asks {
    calls: Vec<Call>,
    purposes: Vec<Purpose>,
}

impl Asks {
    fn of(wanted: &Wanted, number: BlockNumber, parent: BlockNumber) -> Result<Self, SourceError> {
        let mut asks = Self::default();
        for (keys, at, purpose) in [
            (&wanted.proofs, parent, Purpose::Proof),
            (&wanted.later, number, Purpose::Later),
        ] {
            for (address, slots) in in_parts(keys) {
                let call = Call::new("eth_getProof", (address, slots, hex(at)))?;
                asks.add(purpose, call);
            }
        }
        for address in &wanted.codes {
            let call = Call::new("eth_getCode", (address, hex(parent)))?;
            asks.add(Purpose::Code(*address), call);
        }
        for number in &wanted.headers {
            let call = Call::new("eth_getBlockByNumber", (hex(*number), false))?;
            asks.add(Purpose::Header(*number), call);
        }
        Ok(asks)
    }

    fn add(&mut self, purpose: Purpose, call: Call) {
        self.purposes.push(purpose);
        self.calls.push(call);
    }
}

/// Accounts with so many slots that a node answers.
fn in_parts(keys: &Keys) -> impl Iterator<Item = (Address, Vec<B256>)> {
    keys.iter().flat_map(|(address, slots)| {
        let slots: Vec<_> = slots.iter().map(|slot| B256::from(*slot)).collect();
        let parts: Vec<_> = if slots.is_empty() {
            vec![(*address, Vec::new())]
        } else {
            (slots.chunks(MAX_SLOTS))
                .map(|part| (*address, part.to_vec()))
                .collect()
        };
        parts
    })
}

fn nodes(proof: Proof) -> impl Iterator<Item = Bytes> {
    let slots = proof.storage_proof.0.into_iter().map(|slot| slot.proof);
    [proof.account_proof]
        .into_iter()
        .chain(slots)
        .flat_map(|nodes| nodes.0)
}

type Stepped = Result<Step, GatherError>;

/// Executes away from the threads that wait for sockets.
async fn stepped(mut gatherer: Gatherer) -> Result<(Gatherer, Stepped), SourceError> {
    run_blocking(move || {
        let step = gatherer.step();
        (gatherer, step)
    })
    .await
    .map_err(SourceError::Backend)
}

/// Whether this is read as a proof.
#[cfg(test)]
pub(super) fn is_proof(json: &str) -> bool {
    serde_json::from_str::<Proof>(json).is_ok()
}
