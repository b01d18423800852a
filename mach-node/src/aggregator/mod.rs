//! Collects signatures, makes certificates, has them confirmed.

mod batch;
mod compared;
mod config;
mod confirm;
mod digests;
mod keys;
mod late;
mod leader;
mod ledger;
mod pace;
mod recheck;
mod round;
mod rounds;
mod shown;
mod tend;
mod turns;
mod view;

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::AtomicBool},
    thread::available_parallelism,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use mach_bls::{OperatorKeys, Scheme, Tally, TallyError};
use mach_core::{
    Bn254, Certificate, Round, SignedStatement, Statement,
    ports::{
        AggregateError, BoxError, OperatorRegistry, Progress, RegistryError, SignatureAggregator,
        StatementConfirmer,
    },
};
use tokio::sync::{Semaphore, broadcast};
use tracing::{info, warn};

use crate::{
    L1Head,
    l1_head::RecentHead,
    store::{Store, StoreError},
};
use digests::Digests;
use late::Closed;
use leader::Leadership;
use ledger::Ledger;
use pace::Pace;
use round::OpenRound;
use rounds::{Inserted, Rounds};
use turns::Turns;
use view::Events;

pub use config::{AggregatorConfig, InstanceConfig, Retention, ToL1};
pub(crate) use keys::KeyRing;
pub(crate) use ledger::{Untold, record};
pub use view::{QuorumView, RoundEvent, RoundState, RoundView};

/// Most rounds that are shown.
const VIEWED_ROUNDS: usize = 64;
/// How often a signature is counted anew, in the round that the store has.
const MAX_TRIES: u32 = 8;

/// An aggregator on one of the curves. Clones share their rounds.
///
/// There is one round for a statement, however many operators ask at once. It begins with the first
/// signature that is valid: what strangers ask and send takes up no room. Operator keys are proved
/// once and kept from round to round. Signatures that come together are proved together, with random
/// weights. Late ones make a better certificate, which takes the place of the stored one. A
/// certificate is brought to L1 once, in a task of its own, so that a slow L1 holds up nobody.
///
/// A signature is proved and durable before it is acknowledged, and so is its round. After a crash
/// [`Self::tend`] goes on where the process ended; a round that somebody asks for comes back by
/// itself. If the store cannot be written, no signature is acknowledged.
///
/// Several instances may share a store: one leads, the others answer [`AggregateError::Standby`]
/// until it is their turn. That is what [`Self::run`] sees to.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Aggregator<S: Scheme = Bn254>(Arc<Shared<S>>);

struct Shared<S: Scheme> {
    config: AggregatorConfig,
    registry: Box<dyn OperatorRegistry<S>>,
    /// Rounds that are there do without it.
    head: RecentHead,
    confirmer: Box<dyn StatementConfirmer<S>>,
    digests: Digests,
    rounds: Rounds<S>,
    turns: Turns,
    ledger: Ledger,
    leadership: Option<Leadership>,
    /// As many as there are cores prove signatures at a time.
    proving: Semaphore,
    keys: KeyRing<S>,
    pace: Pace,
    /// Confirmations are looked at again one after the other.
    looking: Arc<Semaphore>,
    /// Rounds are tended to by one at a time.
    tending: Arc<Semaphore>,
    /// Whether closed rounds of the store were brought back to be shown.
    shows_closed: AtomicBool,
    events: Events<S>,
}

impl<S: Scheme> Aggregator<S> {
    /// An aggregator with the rounds of `store`. Unless the configuration says otherwise, it is the
    /// only one that works on them.
    pub fn new(
        store: impl Store + 'static,
        registry: impl OperatorRegistry<S> + 'static,
        l1: Arc<dyn L1Head>,
        confirmer: impl StatementConfirmer<S> + 'static,
        config: AggregatorConfig,
    ) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        let leadership = (config.instance)
            .map(|instance| Leadership::new(Arc::clone(&store), &config.domain, instance));
        let fence = leadership.as_ref().map(Leadership::fence);
        Self(Arc::new(Shared {
            digests: Digests::new(config.domain),
            rounds: Rounds::new(
                config.max_rounds,
                config.max_rounds_per_operator,
                config.round_lifetime,
            ),
            turns: Turns::default(),
            ledger: Ledger::new(store, config.domain, fence),
            leadership,
            config,
            registry: Box::new(registry),
            head: RecentHead::new(l1),
            confirmer: Box::new(confirmer),
            proving: Semaphore::new(available_parallelism().map_or(1, |cores| cores.get())),
            keys: KeyRing::new(),
            pace: Pace::new(),
            looking: Arc::new(Semaphore::new(1)),
            tending: Arc::new(Semaphore::new(1)),
            shows_closed: AtomicBool::new(false),
            events: Events::new(),
        }))
    }

    /// How far the round of the statement with this digest is; `None` if there is no round in
    /// memory.
    pub fn progress(&self, digest: B256) -> Option<Progress> {
        let (round, is_over) = self.0.rounds.get(&digest)?;
        (!is_over || round.is_closed()).then(|| round.progress())
    }

    /// What happens from now on. Who is too slow misses events, and is told how many.
    pub fn events(&self) -> broadcast::Receiver<RoundEvent<S>> {
        self.0.events.subscribe()
    }

    /// The newest 64 rounds, newest first. [`Self::tend`] brings those back that an earlier process had closed.
    pub fn rounds(&self) -> Vec<RoundView> {
        let rounds = self.0.rounds.newest(VIEWED_ROUNDS);
        rounds.iter().map(|round| round.view()).collect()
    }

    /// The best certificate of the statement with this digest, for as long as [`Retention`] says.
    ///
    /// Errors: [`StoreError`].
    pub async fn certificate(&self, digest: B256) -> Result<Option<Certificate<S>>, StoreError> {
        self.0.ledger.certificate(&digest).await
    }

    /// Statements after `after` with a certificate or a confirmation that was not [`Self::told`], in
    /// the order of their digests.
    pub(crate) async fn untold(&self, after: Option<B256>) -> Result<Vec<Untold<S>>, StoreError> {
        self.0.ledger.untold(after).await
    }

    /// Takes that what was to be told is durable elsewhere.
    pub(crate) async fn told(&self, untold: &[Untold<S>]) -> Result<(), StoreError> {
        self.0.ledger.told(untold).await
    }

    /// Has a signature counted in the round that there is. It pays for a closed one once, however often it is
    /// tried.
    ///
    /// Errors: also [`AggregateError::Expired`], if there is another one by now.
    async fn take(
        &self,
        digest: B256,
        signed: &SignedStatement<S>,
        is_paid: &mut bool,
    ) -> Result<Progress, AggregateError> {
        if let Some(round) = self.0.in_memory(&digest) {
            return self.count(round, signed).await;
        }
        // Thousands wait at a time, here and to be counted: what one of them needs takes up no room in the others.
        let turn = self.0.turns.take(digest).await;
        let sought = match self.0.in_memory(&digest) {
            Some(round) => ControlFlow::Continue(round),
            None => Box::pin(self.0.seek(digest, signed, is_paid)).await?,
        };
        drop(turn);
        match sought {
            ControlFlow::Continue(round) => self.count(round, signed).await,
            ControlFlow::Break(progress) => Ok(progress),
        }
    }

    /// Number of rounds in memory, open or closed.
    pub fn rounds_in_memory(&self) -> usize {
        self.0.rounds.len()
    }

    /// Whether this instance works on the rounds, and does not stand by.
    pub fn leads(&self) -> bool {
        self.0.leads()
    }
}

impl<S: Scheme> Shared<S> {
    /// Whether there is anything to say about the statement.
    fn check(&self, statement: &Statement) -> Result<(), AggregateError> {
        if !self.leads() {
            return Err(AggregateError::Standby);
        }
        let rollup = statement.rollup_chain_id();
        if self.config.rollups.contains(&rollup) {
            Ok(())
        } else {
            Err(AggregateError::UnknownRollup(rollup))
        }
    }

    /// The round of a statement that a signature counts in, of which memory has nothing; it begins one. Breaks
    /// with how far the statement is where that is all there is to say.
    async fn seek(
        &self,
        digest: B256,
        signed: &SignedStatement<S>,
        is_paid: &mut bool,
    ) -> Result<ControlFlow<Progress, Arc<OpenRound<S>>>, AggregateError> {
        let round = match self.find(&digest).await? {
            Found::Open(round) => round,
            Found::Closed(closed) => {
                let progress = closed.progress.clone();
                if progress == Progress::Withdrawn {
                    return Ok(ControlFlow::Break(progress));
                }
                match self.late(digest, *closed, signed, is_paid).await? {
                    Some(round) => round,
                    None => return Ok(ControlFlow::Break(progress)),
                }
            }
            Found::Nothing => self.begin(digest, signed).await?,
        };
        Ok(ControlFlow::Continue(round))
    }

    /// The round of a statement, if memory has it as it is to be.
    fn in_memory(&self, digest: &B256) -> Option<Arc<OpenRound<S>>> {
        let (round, is_over) = self.rounds.get(digest)?;
        let is_ended = is_over && !round.is_closed();
        (!is_ended && !round.is_aged(self.config.round_lifetime)).then_some(round)
    }

    /// The round of a statement, from memory or from the store.
    async fn find(&self, digest: &B256) -> Result<Found<S>, AggregateError> {
        match self.in_memory(digest) {
            Some(round) => Ok(Found::Open(round)),
            None => Box::pin(self.look_up(digest)).await,
        }
    }

    /// The round of a statement, from the store.
    async fn look_up(&self, digest: &B256) -> Result<Found<S>, AggregateError> {
        if let Some((round, true)) = self.rounds.get(digest)
            && !round.is_closed()
        {
            self.expire(&round).await?;
        }
        let Some(row) = self.ledger.row(digest).await.map_err(unstored)? else {
            let certificate = self.ledger.certificate(digest).await.map_err(unstored)?;
            return Ok(certificate.map_or(Found::Nothing, |it| Found::closed(Closed::of(it))));
        };
        if let Some(closed) = Closed::new(row) {
            return Ok(Found::closed(closed));
        }
        let Some(row) = self.outlived(digest).await? else {
            return Ok(Found::Nothing);
        };
        let round = self.take_up(*digest, row).await?;
        Ok(round.map_or(Found::Nothing, Found::Open))
    }

    /// The round that this signature begins, if it is valid.
    async fn begin(
        &self,
        digest: B256,
        signed: &SignedStatement<S>,
    ) -> Result<Arc<OpenRound<S>>, AggregateError> {
        let terms = self.terms().await?;
        let keys = self.keys(terms.reference_block()).await?;
        let operator = signed.operator;
        if keys.key(&operator).is_none() {
            return Err(AggregateError::UnknownOperator(operator));
        }
        let permit = self.proving.acquire().await;
        // Somebody may have been faster.
        if let Some((round, _)) = self.rounds.get(&digest) {
            return Ok(round);
        }
        let statement = signed.statement.clone();
        let mut tally =
            Tally::new(statement, self.config.domain, terms, keys).map_err(malformed)?;
        let first = signed.clone();
        let proved = blocking(move || {
            tally.add(&first)?;
            match tally.prove().first() {
                Some(operator) => Err(TallyError::BadSignature(*operator)),
                None => Ok(tally),
            }
        });
        let tally = proved.await?.map_err(|error| {
            warn!(%digest, %operator, %error, "signature refused");
            AggregateError::BadSignature(operator)
        })?;
        drop(permit);
        match self.keep(OpenRound::new(digest, tally)).await? {
            Inserted::New(round) => {
                info!(%digest, block = %signed.statement.block(), "round opened");
                Ok(round)
            }
            Inserted::Known(round) => Ok(round),
        }
    }

    /// Keeps a round in memory, unless the statement has one.
    async fn keep(&self, round: OpenRound<S>) -> Result<Inserted<S>, AggregateError> {
        if self.rounds.get(&round.digest()).is_none() {
            // Who may not have another one does not take the place of others.
            self.rounds.check(&round)?;
            if self.rounds.is_full() {
                for round in self.rounds.over() {
                    self.expire(&round).await?;
                }
            }
            if self.rounds.is_full()
                && let Some(least) = self.rounds.least()
            {
                self.give_way(&least).await?;
            }
        }
        self.rounds.insert(round)
    }

    /// Terms of a round that begins now. They follow from the height of L1 alone, so that every
    /// instance that sees the same L1 has the same.
    async fn terms(&self) -> Result<Round, AggregateError> {
        let margin = u64::from(self.config.reference_margin.max(1));
        let interval = u64::from(self.config.reference_interval.max(1));
        let reference_block = self.head().await?.saturating_sub(margin);
        let reference_block = u32::try_from(reference_block - reference_block % interval)
            .map_err(|error| AggregateError::Backend(error.into()))?;
        Round::new(
            self.config.quorums.clone(),
            self.config.thresholds.clone(),
            reference_block,
        )
        .map_err(|error| AggregateError::Backend(error.into()))
    }

    /// Height of L1.
    async fn head(&self) -> Result<u64, AggregateError> {
        let head = self.head.block_number().await;
        head.map_err(AggregateError::Backend)
    }

    /// Keys at `reference_block`.
    async fn keys(&self, reference_block: u32) -> Result<Arc<OperatorKeys<S>>, AggregateError> {
        let (quorums, registry) = (&self.config.quorums, &*self.registry);
        self.keys.at(reference_block, quorums, registry).await
    }
}

/// What is known of a statement.
enum Found<S: Scheme> {
    Open(Arc<OpenRound<S>>),
    /// Not in memory any more; all that is to come is a better certificate.
    Closed(Box<Closed<S>>),
    Nothing,
}

impl<S: Scheme> Found<S> {
    fn closed(closed: Closed<S>) -> Self {
        Self::Closed(Box::new(closed))
    }
}

/// Pairings take milliseconds, and some thousands of them seconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AggregateError> {
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// What does not end as it should: a panic, or the runtime is going down.
fn failed(error: impl Into<BoxError>) -> AggregateError {
    AggregateError::Backend(error.into())
}

fn unstored(error: StoreError) -> AggregateError {
    AggregateError::Backend(error.into())
}

fn malformed(error: impl Into<BoxError>) -> AggregateError {
    AggregateError::Registry(RegistryError::Malformed(error.into()))
}

#[async_trait]
impl<S: Scheme> SignatureAggregator<S> for Aggregator<S> {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.0.check(statement)?;
        let digest = self.0.digests.of(statement);
        match self.0.find(&digest).await? {
            Found::Open(round) if round.is_closed() => {
                self.0.late_terms(digest, &round.to_open()).await
            }
            Found::Open(round) => Ok(round.terms()),
            Found::Closed(closed) => {
                self.0.check_age(digest, &closed.round).await?;
                self.0.late_terms(digest, &closed.round).await
            }
            Found::Nothing => self.0.terms().await,
        }
    }

    async fn submit(&self, signed: SignedStatement<S>) -> Result<Progress, AggregateError> {
        if signed.domain != self.0.config.domain {
            return Err(AggregateError::WrongDomain);
        }
        self.0.check(&signed.statement)?;
        let digest = self.0.digests.of(&signed.statement);
        let mut is_paid = false;
        for _ in 0..=MAX_TRIES {
            match self.take(digest, &signed, &mut is_paid).await {
                // The store has more than the round that was in memory, which is gone now.
                Err(AggregateError::Expired(_)) => {}
                taken => return taken,
            }
        }
        Err(failed("the round changes all the time"))
    }
}
