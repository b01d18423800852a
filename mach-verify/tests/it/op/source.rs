//! The validator over sources that hold L1, lag, lie and damage what they send.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use mach_core::{
    Assurance, BlockRef, ExecutionSummary, L2Block, Verdict,
    ports::{BlockValidator, L1Head, L1Source, L2Head, L2Source, SourceError, ValidateError},
};
use mach_verify::{
    Bundle,
    op::{L1Attributes, L1Evidence, L1EvidenceError, OpL1Validator, Settlement},
};

use super::world::{World, block};

/// What is wrong with the answers of L1.
type Damage = Box<dyn Fn(&mut Header, &mut Vec<Bytes>) + Send + Sync>;

/// L1 and the rollup as sources.
struct Sources {
    world: World,
    damage: Mutex<Option<(u64, Damage)>>,
    finalized: AtomicU64,
    safe: AtomicU64,
    /// What the rollup's node serves instead of its own block at that height.
    served: Mutex<Option<L2Block>>,
    asked: AtomicU64,
}

impl Sources {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed, 60),
            damage: Mutex::new(None),
            finalized: AtomicU64::new(u64::MAX),
            safe: AtomicU64::new(u64::MAX),
            served: Mutex::new(None),
            asked: AtomicU64::new(0),
        }
    }

    fn l1(&self, number: u64) -> Result<(Header, Vec<Bytes>), SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.world.l1.iter().find(|it| it.header.number == number);
        let found = found.ok_or(SourceError::NotYet(number))?;
        let mut header = found.header.inner().clone();
        let mut receipts = (found.receipts.iter())
            .map(|receipt| receipt.encoded_2718().into())
            .collect();
        if let Some((at, damage)) = &*self.damage.lock().unwrap()
            && *at == number
        {
            damage(&mut header, &mut receipts);
        }
        Ok((header, receipts))
    }

    fn damaged(
        &self,
        number: u64,
        damage: impl Fn(&mut Header, &mut Vec<Bytes>) + Send + Sync + 'static,
    ) {
        *self.damage.lock().unwrap() = Some((number, Box::new(damage)));
    }

    fn validator(&self) -> OpL1Validator<Executed, &Self, &Self> {
        OpL1Validator::new(Executed, self.world.rollup.clone(), self, self)
    }
}

#[async_trait]
impl L1Source for Sources {
    fn chain_id(&self) -> ChainId {
        1
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        let last = self.world.l1.last().unwrap().header.number;
        let number = match head {
            L1Head::Finalized => last.min(self.finalized.load(Ordering::Relaxed)),
            _ => last,
        };
        Ok(BlockRef {
            number,
            hash: B256::ZERO,
        })
    }

    async fn header(&self, number: u64) -> Result<Sealed<Header>, SourceError> {
        Ok(Sealed::new(self.l1(number)?.0))
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        Err(SourceError::NotHeld(number))
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        Ok(self.l1(header.number)?.1)
    }
}

#[async_trait]
impl L2Source for Sources {
    fn chain_id(&self) -> ChainId {
        self.world.rollup.l2.chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let last = self.world.l2.len() as u64 - 1;
        let number = match head {
            L2Head::Unsafe => last,
            _ => last.min(self.safe.load(Ordering::Relaxed)),
        };
        Ok(L2Source::block(self, number).await?.reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        let served = self.served.lock().unwrap().clone();
        if let Some(block) = served.filter(|block| block.number() == number) {
            return Ok(block);
        }
        let found = self.world.l2.get(number as usize);
        found.cloned().ok_or(SourceError::NotYet(number))
    }
}

/// Stands for execution, which this test is not about.
struct Executed;

#[async_trait]
impl BlockValidator for Executed {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        Ok(Verdict::Valid(ExecutionSummary {
            block: block.reference(),
            gas_used: 0,
            transactions: block.transactions.len() as u64,
            state_root: block.header.state_root,
            output_root: None,
            assurance: Assurance::Executed,
        }))
    }
}

fn name(verdict: &Result<Verdict, ValidateError>) -> &'static str {
    match verdict {
        Ok(Verdict::Valid(_)) => "valid",
        Ok(Verdict::Invalid(fault)) => fault.name(),
        Err(error) if error.is_transient() => "later",
        Err(_) => "unknown",
    }
}

#[tokio::test]
async fn a_chain_that_follows_from_l1_is_valid_block_by_block() {
    let sources = Sources::new(11);
    let validator = sources.validator();
    for block in &sources.world.l2[1..] {
        assert_eq!(
            name(&validator.validate(block).await),
            "valid",
            "{}",
            block.number()
        );
    }
    // A header for every block, and the receipts of every L1 origin.
    let origins = sources.world.positions.last().unwrap().origin as u64;
    assert_eq!(sources.asked.load(Ordering::Relaxed), 60 + origins);
    // And in any order, with the parent from the source.
    for index in [40, 7, 8, 1] {
        let verdict = validator.validate(&sources.world.l2[index]).await;
        assert_eq!(name(&verdict), "valid", "{index}");
    }
}

/// One damaged answer is never an accusation, whatever its damage.
#[tokio::test]
async fn damaged_answers_accuse_nobody() {
    let sources = Sources::new(12);
    let validator = sources.validator();
    let changes: [fn(&mut Header); 8] = [
        |header| header.timestamp += 600,
        |header| header.timestamp = 0,
        |header| header.base_fee_per_gas = Some(1),
        |header| header.mix_hash.0[3] ^= 8,
        |header| header.receipts_root.0[3] ^= 8,
        |header| header.parent_hash.0[3] ^= 8,
        |header| header.number += 1,
        |header| *header = Header::default(),
    ];
    let mut undecided = 0;
    for (index, position) in sources.world.positions.iter().enumerate().skip(1) {
        let block = &sources.world.l2[index];
        let number = sources.world.l1[position.origin].header.number;
        for at in [number, number + 1] {
            for change in changes {
                sources.damaged(at, move |header, _| change(header));
                let verdict = validator.validate(block).await;
                let is_used = at == number;
                assert_eq!(
                    name(&verdict),
                    if is_used { "later" } else { "valid" },
                    "{index}"
                );
                undecided += usize::from(is_used);
            }
        }
        if position.sequence_number > 0 {
            continue;
        }
        let count = sources.world.l1[position.origin].receipts.len();
        for at in 0..count {
            sources.damaged(number, move |_, receipts| drop(receipts.remove(at)));
            assert_eq!(name(&validator.validate(block).await), "later");
            sources.damaged(number, move |_, receipts| {
                receipts.extend_from_within(at..=at)
            });
            assert_eq!(name(&validator.validate(block).await), "later");
            let length = sources.world.l1[position.origin].receipts[at]
                .encoded_2718()
                .len();
            for byte in (0..length).step_by(97) {
                sources.damaged(number, move |_, receipts| {
                    let mut bytes = receipts[at].to_vec();
                    bytes[byte] ^= 0x10;
                    receipts[at] = bytes.into();
                });
                assert_eq!(name(&validator.validate(block).await), "later");
                undecided += 1;
            }
        }
    }
    assert!(undecided > 500, "{undecided}");
}

/// A block that names an L1 block which is not there, before and after that is settled.
#[tokio::test]
async fn a_reorganised_l1_accuses_only_once_it_is_settled() {
    let sources = Sources::new(13);
    let index = (sources.world.positions.iter())
        .position(|position| position.origin > 2 && position.sequence_number == 0)
        .unwrap();
    let honest = &sources.world.l2[index];
    let attributes = L1Attributes::of_block(honest).unwrap();
    let elsewhere = L1Attributes {
        hash: B256::repeat_byte(0xee),
        ..attributes
    };
    let mut transactions = honest.transactions.clone();
    transactions[0] = elsewhere.transaction(true);
    let lie = block(honest.header.inner().clone(), transactions);
    *sources.served.lock().unwrap() = Some(lie.clone());

    let validator = sources.validator();
    sources
        .finalized
        .store(attributes.number - 1, Ordering::Relaxed);
    assert_eq!(name(&validator.validate(&lie).await), "later");
    assert_eq!(name(&validator.validate(honest).await), "valid");
    sources
        .finalized
        .store(attributes.number, Ordering::Relaxed);
    assert_eq!(name(&validator.validate(&lie).await), "l1Origin");
    let evidence = validator.accuse(&lie).await.unwrap().unwrap();
    assert_eq!(evidence.facts().following.len(), 1);

    let last = sources.world.l1.last().unwrap().header.number;
    let deep = last - attributes.number;
    for (depth, expected) in [(deep, "l1Origin"), (deep + 1, "later")] {
        let validator = sources
            .validator()
            .with_settlement(Settlement::Depth(depth));
        assert_eq!(name(&validator.validate(&lie).await), expected, "{depth}");
    }
    // The header at that height is damaged, so the next one does not name it.
    sources.damaged(attributes.number, |header, _| header.gas_used += 1);
    assert_eq!(name(&validator.validate(&lie).await), "later");
    assert_eq!(name(&validator.validate(honest).await), "later");
}

/// The L1 block that the block names may have been there, so its node has to stand by it.
#[tokio::test]
async fn a_node_that_missed_a_reorganisation_accuses_nobody() {
    let sources = Sources::new(13);
    let index = (sources.world.positions.iter())
        .position(|position| position.origin > 2 && position.sequence_number == 0)
        .unwrap();
    let honest = &sources.world.l2[index];
    let attributes = L1Attributes::of_block(honest).unwrap();
    let elsewhere = L1Attributes {
        hash: B256::repeat_byte(0xee),
        ..attributes
    };
    let mut transactions = honest.transactions.clone();
    transactions[0] = elsewhere.transaction(true);
    let orphan = block(honest.header.inner().clone(), transactions);
    let number = orphan.number();
    let validator = sources.validator();

    for (served, safe, expected) in [
        (&orphan, number - 1, "later"),
        (&orphan, number, "l1Origin"),
        // It noticed after it was asked for the block.
        (honest, number, "later"),
    ] {
        *sources.served.lock().unwrap() = Some(served.clone());
        sources.safe.store(safe, Ordering::Relaxed);
        let verdict = validator.validate(&orphan).await;
        assert_eq!(name(&verdict), expected, "{safe}");
        assert_eq!(validator.accuse(&orphan).await.is_ok(), expected != "later");
    }
    assert_eq!(name(&validator.validate(honest).await), "valid");

    // A block that names another L1 block than its parent does at the same height is wrong on any L1.
    let index = (sources.world.positions.iter())
        .position(|position| position.origin > 2 && position.sequence_number == 1)
        .unwrap();
    let second = &sources.world.l2[index];
    let elsewhere = L1Attributes {
        hash: B256::repeat_byte(0xee),
        ..L1Attributes::of_block(second).unwrap()
    };
    let mut transactions = second.transactions.clone();
    transactions[0] = elsewhere.transaction(true);
    let lie = block(second.header.inner().clone(), transactions);
    sources.safe.store(0, Ordering::Relaxed);
    assert_eq!(name(&validator.validate(&lie).await), "l1Origin");
}

#[tokio::test]
async fn another_l1_and_a_missing_parent_are_no_verdict() {
    let mut sources = Sources::new(15);
    let block = sources.world.l2[9].clone();
    sources.world.l2.truncate(8);
    assert_eq!(name(&sources.validator().validate(&block).await), "later");
    sources.world.rollup.config.l1_chain_id = 5;
    let other = sources.world.l2[7].clone();
    assert_eq!(name(&sources.validator().validate(&other).await), "unknown");
}

/// A fault, written down and found again by whoever has the file, and what is changed in it.
#[tokio::test]
async fn evidence_is_replayed_offline_to_the_same_fault() {
    let sources = Sources::new(16);
    let validator = sources.validator();
    let index = (sources.world.positions.iter())
        .position(|position| position.users > 1 && position.sequence_number == 0)
        .unwrap();
    let honest = &sources.world.l2[index];
    assert_eq!(validator.accuse(honest).await.unwrap(), None);
    let mut transactions = honest.transactions.clone();
    transactions.remove(1);
    let lie = block(honest.header.inner().clone(), transactions);

    let evidence = validator.accuse(&lie).await.unwrap().unwrap();
    assert_eq!(evidence.fault().name(), "userDeposits");
    let json = evidence.to_json().unwrap();
    let read = L1Evidence::parse(&json).unwrap();
    assert_eq!(read, evidence);
    assert_eq!(read.to_json().unwrap(), json);
    assert_eq!(read.replay().unwrap(), *evidence.fault());
    assert_eq!(
        read.replay_by(&sources.world.rollup).unwrap(),
        *evidence.fault()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lie.json.gz");
    evidence.write(&file).unwrap();
    assert_eq!(L1Evidence::read(&file).unwrap(), evidence);

    // Another configuration, another body, other receipts, the honest block: no fault.
    let mut other = sources.world.rollup.clone();
    other.config.deposit_contract_address.0[0] ^= 1;
    assert!(read.replay_by(&other).is_err());
    type Change = fn(&mut serde_json::Value);
    let honest = Bytes::from(honest.encode_rlp()).to_string();
    let changes: [Change; 5] = [
        |json| json["receipts"] = serde_json::Value::Null,
        |json| drop(json["receipts"].as_array_mut().unwrap().pop()),
        |json| json["parent"] = json["block"].clone(),
        |json| json["origin"] = serde_json::Value::Null,
        |json| json["fault"]["index"] = 7.into(),
    ];
    // Lists are counted while they are read: one item more, and what is in them does not matter.
    for (list, most) in [("following", 8), ("receipts", 100_000)] {
        let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        for (length, is_counted) in [(most, false), (most + 1, true)] {
            json[list] = vec!["0x"; length].into();
            let error = L1Evidence::parse(json.to_string().as_bytes()).err();
            let error = error.map_or_else(String::new, |error| format!("{error:?}"));
            let told = error.contains(&format!("more than {most} items"));
            assert_eq!(told, is_counted, "{length} {list}: {error}");
        }
    }
    // So are the transactions of blocks, and a configuration is short whatever it says.
    let mut many = lie.clone();
    many.transactions = vec![Bytes::new(); 100_001];
    let many = Bytes::from(many.encode_rlp()).to_string();
    for name in ["parent", "block"] {
        let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        json[name] = many.clone().into();
        let error = L1Evidence::parse(json.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, L1EvidenceError::Field(field) if field == name));
    }
    for (items, is_read) in [(500_000, true), (600_000, false)] {
        let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        json["rollup"]["nothing"] = vec![0; items].into();
        let error = L1Evidence::parse(json.to_string().as_bytes()).err();
        let error = error.map_or_else(String::new, |error| format!("{error:?}"));
        assert_eq!(error.is_empty(), is_read, "{error}");
        assert_eq!(error.contains("more than 1048576 bytes"), !is_read);
    }
    for change in changes {
        let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        change(&mut json);
        let read = L1Evidence::parse(json.to_string().as_bytes()).unwrap();
        assert!(read.replay().is_err());
    }
    let mut changed: serde_json::Value = serde_json::from_slice(&json).unwrap();
    changed["block"] = honest.into();
    let read = L1Evidence::parse(changed.to_string().as_bytes()).unwrap();
    assert!(matches!(
        read.replay(),
        Err(L1EvidenceError::Differs { found, .. }) if found.is_none()
    ));
    changed["version"] = 2.into();
    assert!(matches!(
        L1Evidence::parse(changed.to_string().as_bytes()),
        Err(L1EvidenceError::Version(2))
    ));
    assert!(L1Evidence::parse(b"{}").is_err());
}
