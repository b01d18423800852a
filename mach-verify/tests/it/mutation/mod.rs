//! Whatever is changed about a block is named as exactly that; whatever is changed about a witness
//! accuses nobody. So it is over all blocks of the data set, and over blocks that the devnet makes.

mod cross_check;
mod generated;
mod header;
mod transactions;
mod witness;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, Sealed, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::{L2Block, Verdict};
use mach_verify::{
    ChainSpec, ExecuteError, Witness,
    source::{RecordedBlock, recorded_files},
    verify_block,
};

use crate::{
    data,
    devnet::{HONEST, recorded},
};

/// A recorded block that is valid, with the rules of its chain.
struct Fixture {
    name: String,
    spec: ChainSpec,
    block: L2Block,
    witness: Witness,
}

impl Fixture {
    /// A block of the devnet, or of the data set; `None` where that is missing.
    fn load(name: &str) -> Option<Self> {
        let (spec, record) = if HONEST.contains(&name) {
            recorded(name)
        } else {
            let file = data("blocks")?.join(format!("{name}.json.gz"));
            let record = RecordedBlock::read(file).unwrap();
            (ChainSpec::known(record.block.chain_id).unwrap(), record)
        };
        Some(Self {
            name: name.to_owned(),
            spec,
            block: record.block,
            witness: record.witness,
        })
    }

    /// The three of the devnet, and all of the data set that come with their parents' headers and
    /// whose rules are known in full.
    fn all() -> impl Iterator<Item = Self> {
        let files = data("blocks").map(|folder| recorded_files(&folder).unwrap());
        let names = files.into_iter().flatten().map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            name.strip_suffix(".json.gz").unwrap().to_owned()
        });
        let honest = HONEST.into_iter().map(str::to_owned);
        (honest.chain(names))
            .filter(|name| !name.starts_with("eth-17000-") && name != CELO)
            .filter_map(|name| Self::load(&name))
    }

    /// The same block with claims in the place of headers.
    fn on_claim(mut self) -> Self {
        let headers = std::mem::take(&mut self.witness.headers);
        for bytes in &headers {
            let header = Header::decode(&mut &bytes[..]).unwrap();
            if keccak256(bytes) == self.block.header.parent_hash {
                self.witness.parent_state_root = Some(header.state_root);
            }
            (self.witness.block_hashes).insert(header.number, keccak256(bytes));
        }
        self
    }

    fn parent(&self) -> Sealed<Header> {
        self.witness.header(self.block.header.parent_hash).unwrap()
    }

    /// The verdict after a change to the header.
    fn with_header(&self, change: impl FnOnce(&mut Header)) -> Result<Verdict, ExecuteError> {
        let mut header = self.block.header.inner().clone();
        change(&mut header);
        let mut block = self.block.clone();
        block.header = Sealed::new(header);
        verify_block(&self.spec, &block, &self.witness)
    }

    /// The verdict after a change to the body, with a header that fits the new body.
    fn with_transactions(
        &self,
        change: impl FnOnce(&mut Vec<Bytes>),
    ) -> Result<Verdict, ExecuteError> {
        let mut block = self.block.clone();
        change(&mut block.transactions);
        let mut header = block.header.inner().clone();
        header.transactions_root =
            ordered_trie_root_with_encoder(&block.transactions, |item, out| {
                out.extend_from_slice(item);
            });
        block.header = Sealed::new(header);
        verify_block(&self.spec, &block, &self.witness)
    }

    fn with_witness(&self, change: impl FnOnce(&mut Witness)) -> Result<Verdict, ExecuteError> {
        let mut witness = self.witness.clone();
        change(&mut witness);
        verify_block(&self.spec, &self.block, &witness)
    }
}

/// A block of a chain with extensions that are not known.
const CELO: &str = "op-11142220-2346038";

/// At most so many of a block's transactions and of a witness's parts are changed, evenly spread:
/// `MACH_MUTATIONS`, or few enough to be done with every change.
fn sample(length: usize) -> impl Iterator<Item = usize> {
    let most = std::env::var("MACH_MUTATIONS").map_or(16, |it| it.parse().unwrap());
    (0..length).step_by(length.div_ceil(most).max(1))
}

#[track_caller]
fn names(fixture: &Fixture, verdict: Result<Verdict, ExecuteError>, field: &str) {
    match &verdict {
        Ok(Verdict::Invalid(fault)) if fault.name() == field => {}
        _ => panic!("{}: expected {field}, got {verdict:?}", fixture.name),
    }
}

fn flip(hash: B256) -> B256 {
    let mut hash = hash;
    hash.0[31] ^= 1;
    hash
}

/// What transactions can read changes what they do, and is no rule by itself: the block is not
/// valid any more, or the witness of the honest block does not cover it.
#[test]
fn inputs_of_execution_are_part_of_what_is_verified() {
    for name in ["isthmus", "eth-1-15537394", "op-11155420-22884230"] {
        let Some(it) = Fixture::load(name) else {
            return;
        };
        let verdict = it.with_header(|h| h.beneficiary = Address::repeat_byte(0x77));
        assert!(
            !matches!(verdict, Ok(Verdict::Valid(_))),
            "{name}: {verdict:?}"
        );
    }
    let Some(it) = Fixture::load("eth-1-19426587") else {
        return;
    };
    let verdict = it.with_header(|h| h.parent_beacon_block_root = Some(B256::repeat_byte(1)));
    names(&it, verdict, "stateRoot");
}

/// A claim may confirm a block and may not contradict it.
#[test]
fn a_wrong_claim_accuses_nobody() {
    let of_devnet = HONEST
        .into_iter()
        .filter_map(Fixture::load)
        .map(Fixture::on_claim);
    // These two files come without headers.
    let of_holesky = ["eth-17000-2971844", "eth-17000-2971846"];
    for it in of_devnet.chain(of_holesky.into_iter().filter_map(Fixture::load)) {
        assert!(matches!(
            it.with_witness(|w| w.parent_state_root = None),
            Err(ExecuteError::MissingParent { .. })
        ));
        assert!(matches!(
            it.with_witness(|w| w.parent_state_root = Some(B256::ZERO)),
            Err(ExecuteError::MissingNode { .. })
        ));
        assert!(matches!(
            it.with_header(|h| h.state_root = flip(h.state_root)),
            Err(ExecuteError::Unproven { fault, .. }) if fault.name() == "stateRoot"
        ));
        // What the block says about itself needs no parent.
        names(
            &it,
            it.with_header(|h| h.transactions_root = flip(h.transactions_root)),
            "transactionsRoot",
        );
        let verdict = it.with_witness(|w| {
            w.block_hashes
                .values_mut()
                .for_each(|hash| *hash = flip(*hash));
        });
        // The parent's hash is proven, so a set of claims that contradicts it is refused.
        assert!(matches!(
            verdict,
            Err(ExecuteError::Witness {
                field: "blockHashes",
                ..
            })
        ));
    }
}

#[test]
fn other_rules_and_other_chains_are_errors() {
    let it = Fixture::load("jovian").unwrap();
    assert!(matches!(
        verify_block(&ChainSpec::base(), &it.block, &it.witness),
        Err(ExecuteError::WrongChain {
            expected: 8453,
            actual: 901,
            ..
        })
    ));
    assert!(matches!(
        it.with_header(|h| h.slot_number = Some(1)),
        Err(ExecuteError::Unsupported { .. })
    ));
}

/// On a chain with rules that are not known, a contradiction may be such a rule.
#[test]
fn a_chain_with_unknown_extensions_is_never_accused() {
    let Some(it) = Fixture::load(CELO) else {
        return;
    };
    let changes: [fn(&mut Header); 3] = [
        |h| h.state_root = flip(h.state_root),
        |h| h.base_fee_per_gas = Some(1),
        |h| h.gas_used += 1,
    ];
    for change in changes {
        assert!(matches!(
            it.with_header(change),
            Err(ExecuteError::Unsupported { .. })
        ));
    }
}
