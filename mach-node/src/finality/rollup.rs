//! What certificates and the rollup's node say of one rollup. No clock, no I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};

use alloy_primitives::{B256, BlockNumber, ChainId};
use mach_core::{BlockRef, Confirmation};

use super::{
    links::Links,
    view::{AlertView, AttestationView, BlockView, Finality, Heads, StakeShare},
};

/// Replaced blocks that are remembered.
const MAX_REPLACED: usize = 1024;
/// Rounds without a certificate that are remembered.
const MAX_OPEN: usize = 1024;

/// One rollup.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    pub(super) chain_id: ChainId,
    pub(super) links: Links,
    /// Certified attestations, by height; more than one where operators contradict themselves.
    attestations: BTreeMap<BlockNumber, Vec<AttestationView>>,
    /// Certified alerts, by height and digest.
    alerts: BTreeMap<(BlockNumber, B256), AlertView>,
    /// Heights of certified statements, by digest.
    heights: HashMap<B256, BlockNumber>,
    /// Heights of attested and accused blocks, by their hash, with the number of statements.
    named: HashMap<B256, (BlockNumber, usize)>,
    /// Blocks that the node had and has replaced.
    replaced: VecDeque<BlockRef>,
    /// Stake that has signed in rounds without a certificate.
    open: VecDeque<(B256, BlockRef, StakeShare)>,
}

/// What a certified statement is.
#[derive(Clone, Debug)]
pub(super) enum Known<'a> {
    Attestation(&'a AttestationView),
    Alert(&'a AlertView),
}

impl Rollup {
    pub(super) fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            ..Self::default()
        }
    }

    // ------------------------------------------------------------------ what comes in

    pub(super) fn attest(&mut self, attestation: AttestationView) {
        let AttestationView { digest, block, .. } = attestation;
        self.open.retain(|(open, ..)| *open != digest);
        let of_height = self.attestations.entry(block.number).or_default();
        match of_height.iter_mut().find(|known| known.digest == digest) {
            Some(known) => *known = attestation,
            None => {
                of_height.push(attestation);
                self.name(digest, block);
            }
        }
    }

    pub(super) fn accuse(&mut self, alert: AlertView) {
        let AlertView { digest, block, .. } = alert;
        self.open.retain(|(open, ..)| *open != digest);
        if self.alerts.insert((block.number, digest), alert).is_none() {
            self.name(digest, block);
        }
    }

    /// Forgets statements that [`Self::outdated`] named.
    pub(super) fn forget(&mut self, gone: &[(B256, BlockRef)]) {
        for (digest, block) in gone {
            self.alerts.remove(&(block.number, *digest));
            if let Some(of_height) = self.attestations.get_mut(&block.number) {
                of_height.retain(|it| it.digest != *digest);
                if of_height.is_empty() {
                    self.attestations.remove(&block.number);
                }
            }
            self.heights.remove(digest);
            if let Some((_, count)) = self.named.get_mut(&block.hash) {
                *count -= 1;
                if *count == 0 {
                    self.named.remove(&block.hash);
                }
            }
        }
    }

    /// Stake that has signed in a round without a certificate.
    pub(super) fn signed(&mut self, digest: B256, block: BlockRef, stake: StakeShare) {
        if self.heights.contains_key(&digest) {
            return;
        }
        self.open.retain(|(open, ..)| *open != digest);
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((digest, block, stake));
    }

    pub(super) fn expired(&mut self, digest: &B256) {
        self.open.retain(|(open, ..)| open != digest);
    }

    pub(super) fn replace(&mut self, blocks: impl IntoIterator<Item = BlockRef>) {
        for block in blocks {
            if self.replaced.len() >= MAX_REPLACED {
                self.replaced.pop_front();
            }
            self.replaced.push_back(block);
        }
    }

    // ------------------------------------------------------------------ what is asked

    pub(super) fn statement(&self, digest: &B256) -> Option<Known<'_>> {
        let height = *self.heights.get(digest)?;
        if let Some(alert) = self.alerts.get(&(height, *digest)) {
            return Some(Known::Alert(alert));
        }
        let of_height = self.attestations.get(&height)?;
        let found = of_height.iter().find(|known| known.digest == *digest);
        found.map(Known::Attestation)
    }

    /// The attestation of exactly this height, if there is one and no other.
    pub(super) fn attestation_at(&self, number: BlockNumber) -> Option<&AttestationView> {
        self.attestations.get(&number)?.first()
    }

    /// Certified attestations below `before`, newest first.
    pub(super) fn attestations_before(
        &self,
        before: Option<BlockNumber>,
    ) -> impl Iterator<Item = &AttestationView> {
        let end = before.unwrap_or(BlockNumber::MAX);
        let below = self.attestations.range(..end);
        // The last number of all is below nothing.
        let last = (before.is_none()).then(|| self.attestations.get(&end));
        let last = last.flatten().into_iter().flatten();
        last.chain(below.rev().flat_map(|(_, of_height)| of_height))
    }

    /// All certified alerts, ascending by block.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &AlertView> {
        self.alerts.values()
    }

    pub(super) fn standing(&self) -> impl Iterator<Item = &AlertView> {
        self.alerts().filter(|alert| !alert.is_resolved)
    }

    /// The newest blocks.
    pub(super) fn heads(&self) -> Heads {
        let confirmed = |it: &AttestationView| it.confirmation.is_some();
        Heads {
            seen: self.links.head(),
            finalized_by_stake: self.newest(|_| true),
            confirmed: self.newest(confirmed),
        }
    }

    /// At most `most` statements about blocks below `number`, but for alerts that stand.
    pub(super) fn outdated(&self, number: BlockNumber, most: usize) -> Vec<(B256, BlockRef)> {
        let attested = self.attestations.range(..number);
        let attested = attested.flat_map(|(_, of_height)| of_height);
        let accused = self.alerts.range(..(number, B256::ZERO));
        let accused = accused.filter(|(_, alert)| alert.is_resolved);
        attested
            .map(|it| (it.digest, it.block))
            .chain(accused.map(|((_, digest), alert)| (*digest, alert.block)))
            .take(most)
            .collect()
    }

    /// What is known of the block at this height.
    pub(super) fn at(&self, number: BlockNumber) -> BlockView {
        let attested = self.attestations.get(&number).into_iter().flatten();
        let accused = self.alerts_at(number).map(|alert| alert.block.hash);
        let named = attested.map(|it| it.block.hash).chain(accused).next();
        let open = || (self.open.iter()).find(|(_, block, _)| block.number == number);
        match self.links.hash(number).or(named) {
            Some(hash) => self.of(BlockRef { number, hash }),
            None => BlockView {
                stake: open().map(|(_, _, stake)| stake.clone()),
                ..self.unknown()
            },
        }
    }

    /// What is known of the block with this hash.
    pub(super) fn with_hash(&self, hash: B256) -> BlockView {
        let replaced = || self.replaced.iter().rev().find(|block| block.hash == hash);
        let number = (self.links.number(&hash))
            .or_else(|| self.named.get(&hash).map(|(number, _)| *number))
            .or_else(|| replaced().map(|block| block.number));
        match number {
            Some(number) => self.of(BlockRef { number, hash }),
            None => self.unknown(),
        }
    }

    fn of(&self, block: BlockRef) -> BlockView {
        let is_canonical = self.links.contains(block);
        let exact = || self.attestations.get(&block.number).into_iter().flatten();
        // The nearest attestation says the most: its stake has looked at the block most closely.
        let nearest = |is_asked: &dyn Fn(&AttestationView) -> bool| {
            let direct = exact().find(|it| it.block.hash == block.hash && is_asked(it));
            direct.or_else(|| {
                let above = self.attestations.range(block.number..);
                // Who says two things of a height is not believed about what lies below.
                let mut above = above.filter_map(|(_, of_height)| match of_height.as_slice() {
                    [only] => Some(only),
                    _ => None,
                });
                let is_ancestor = |it: &&AttestationView| self.links.contains(it.block);
                let found = above.find(|it| is_ancestor(it) && is_asked(it));
                found.filter(|_| is_canonical)
            })
        };
        let confirmed = nearest(&|it| it.confirmation.is_some());
        let attestation = confirmed.or_else(|| nearest(&|_| true));
        let alert = self.alert_against(block, is_canonical);
        let other = exact()
            .map(|it| it.block.hash)
            .find(|hash| *hash != block.hash)
            .or_else(|| {
                // Another block of this height is attested through its descendants.
                let other = self.links.hash(block.number)?;
                let is_attested = !is_canonical && self.at(block.number).attestation.is_some();
                is_attested.then_some(other)
            });
        // Right and wrong, or right with two state roots.
        let of_block = exact().filter(|it| it.block == block).count();
        let is_right_and_wrong =
            of_block > 1 || of_block > 0 && alert.is_some_and(|it| it.block == block);
        let open = || (self.open.iter()).find(|(_, of, _)| *of == block);
        let status = if other.is_some() || is_right_and_wrong {
            Finality::Contradicted
        } else if alert.is_some() {
            Finality::Alerted
        } else if confirmed.is_some() {
            Finality::Confirmed
        } else if attestation.is_some() {
            Finality::Attested
        } else {
            Finality::Seen
        };
        BlockView {
            rollup: self.chain_id,
            status,
            block: Some(block),
            is_canonical,
            stake: attestation.map(|it| it.stake.clone()).or_else(|| {
                let (_, _, stake) = open()?;
                Some(stake.clone())
            }),
            attestation: attestation.cloned(),
            alert: alert.cloned(),
            other_hash: other,
        }
    }

    pub(super) const fn unknown(&self) -> BlockView {
        BlockView {
            rollup: self.chain_id,
            status: Finality::Unknown,
            block: None,
            is_canonical: false,
            stake: None,
            attestation: None,
            alert: None,
            other_hash: None,
        }
    }

    fn alerts_at(&self, number: BlockNumber) -> impl Iterator<Item = &AlertView> {
        let range = (number, B256::ZERO)..=(number, B256::repeat_byte(0xff));
        self.alerts.range(range).map(|(_, alert)| alert)
    }

    /// The oldest alert that stands against the block or one that it is known to build on.
    fn alert_against(&self, block: BlockRef, is_canonical: bool) -> Option<&AlertView> {
        let direct = self.alerts_at(block.number);
        let mut direct = direct.filter(|it| !it.is_resolved && it.block == block);
        let older = || {
            let mut older = self
                .alerts
                .range(..=(block.number, B256::repeat_byte(0xff)));
            let is_ancestor = |it: &AlertView| !it.is_resolved && self.links.contains(it.block);
            older.find(|(_, it)| is_ancestor(it)).map(|(_, it)| it)
        };
        direct.next().or_else(|| is_canonical.then(older).flatten())
    }

    /// The newest attested block that nothing speaks against.
    fn newest(&self, is_asked: impl Fn(&AttestationView) -> bool) -> Option<BlockRef> {
        // What lies above an alert may build on the block that is wrong, unless it is known not to.
        let on_chain = |it: &&AlertView| {
            (self.links.hash(it.block.number)).is_none_or(|hash| hash == it.block.hash)
        };
        let ceiling = self.standing().find(on_chain).map(|it| it.block.number);
        let below = match ceiling {
            Some(ceiling) => self.attestations.range(..ceiling),
            None => self.attestations.range(..),
        };
        let stands = |of_height: &&Vec<AttestationView>| {
            let [only] = of_height.as_slice() else {
                return false;
            };
            let is_linked = self.links.contains(only.block);
            let is_off = self.links.hash(only.block.number).is_some() && !is_linked;
            let is_accused = || {
                self.standing()
                    .any(|it| it.block.number <= only.block.number)
            };
            is_asked(only) && !is_off && (is_linked || !is_accused())
        };
        let mut below = below.rev().map(|(_, of_height)| of_height);
        below.find(stands)?.first().map(|it| it.block)
    }

    fn name(&mut self, digest: B256, block: BlockRef) {
        self.heights.insert(digest, block.number);
        let named = self.named.entry(block.hash);
        named.or_insert((block.number, 0)).1 += 1;
    }
}

/// A statement after its confirmation; `None` if it is known to stand there, in that transaction and block: a
/// reorganisation of L1 may have taken another one back.
pub(super) fn confirmed(known: &Known<'_>, confirmation: Confirmation) -> Option<Statement> {
    let is_news = |known: Option<Confirmation>| {
        known.is_none_or(|known| {
            let place = |it: &Confirmation| (it.transaction, it.l1_block);
            confirmation.transaction.is_some() && place(&confirmation) != place(&known)
        })
    };
    match known {
        Known::Attestation(it) if is_news(it.confirmation) => {
            Some(Statement::Attestation(AttestationView {
                confirmation: Some(confirmation),
                ..(*it).clone()
            }))
        }
        Known::Alert(it) if is_news(it.confirmation) => Some(Statement::Alert(AlertView {
            confirmation: Some(confirmation),
            ..(*it).clone()
        })),
        _ => None,
    }
}

/// A statement without its confirmation; `None` if it has none.
pub(super) fn unconfirmed(known: &Known<'_>) -> Option<Statement> {
    match known {
        Known::Attestation(it) => {
            let _ = it.confirmation?;
            Some(Statement::Attestation(AttestationView {
                confirmation: None,
                ..(*it).clone()
            }))
        }
        Known::Alert(it) => {
            let _ = it.confirmation?;
            Some(Statement::Alert(AlertView {
                confirmation: None,
                ..(*it).clone()
            }))
        }
    }
}

/// A certified statement.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Statement {
    Attestation(AttestationView),
    Alert(AlertView),
}

impl Statement {
    pub(super) const fn rollup(&self) -> ChainId {
        match self {
            Self::Attestation(it) => it.rollup,
            Self::Alert(it) => it.rollup,
        }
    }

    pub(super) const fn block(&self) -> BlockRef {
        match self {
            Self::Attestation(it) => it.block,
            Self::Alert(it) => it.block,
        }
    }

    pub(super) const fn digest(&self) -> B256 {
        match self {
            Self::Attestation(it) => it.digest,
            Self::Alert(it) => it.digest,
        }
    }
}
