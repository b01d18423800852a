//! Several endpoints that have to say the same.

mod evidence;
mod health;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt::Debug,
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use mach_core::{
    BlockRef, L2Block,
    ports::{L1Head, L1Source, L2Head, L2Source, SourceError},
};
use tracing::{debug, warn};

use self::health::Health;
use super::WitnessSource;
use crate::Witness;

pub use evidence::{Disagreement, Matter, QuorumError};
pub use health::EndpointHealth;

/// How long an answer is waited for once enough endpoints agree, to see who does not.
const GRACE: Duration = Duration::from_millis(200);
/// How long one endpoint is waited for.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most disagreements that are kept; older ones make room.
const MAX_DISAGREEMENTS: usize = 1024;
/// Most blocks of which it is remembered how often their witness was asked for: more than are
/// verified at a time.
const MAX_WITNESSES: usize = 1024;

/// Endpoints of one chain, of which so many have to agree.
///
/// Blocks, headers and heads are what enough endpoints say. An endpoint that lags, fails, hangs or
/// lies is outvoted: as long as enough others agree it costs nothing but a moment. If too few have
/// a block yet, it is [`SourceError::NotYet`]; who says something else than the quorum is kept as a
/// [`Disagreement`] and logged. Witnesses and receipts prove themselves, so any endpoint will do, and
/// the one that works is asked first.
///
/// An endpoint that fails rests, for twice as long each time, unless it is needed.
#[derive(Clone, Debug)]
pub struct Quorum<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    endpoints: Vec<Endpoint<S>>,
    needed: usize,
    disagreements: Mutex<VecDeque<Disagreement>>,
    /// Blocks whose witness was asked for last, and how often before, oldest first.
    witnesses: Mutex<VecDeque<(B256, usize)>>,
}

#[derive(Debug)]
struct Endpoint<S> {
    label: String,
    source: S,
    health: Mutex<Health>,
}

/// What one endpoint answered.
struct Answer<T> {
    endpoint: usize,
    result: Result<T, SourceError>,
}

impl<S> Quorum<S> {
    /// `needed` of the endpoints have to agree; each is shown by its label, which holds no secret.
    ///
    /// Errors: [`QuorumError::Impossible`] if there are fewer endpoints.
    pub fn new(
        needed: NonZeroUsize,
        endpoints: impl IntoIterator<Item = (String, S)>,
    ) -> Result<Self, QuorumError> {
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .map(|(label, source)| Endpoint {
                label,
                source,
                health: Mutex::default(),
            })
            .collect();
        let needed = needed.get();
        if endpoints.len() < needed {
            return Err(QuorumError::Impossible {
                endpoints: endpoints.len(),
                needed,
            });
        }
        Ok(Self(Arc::new(Inner {
            endpoints,
            needed,
            disagreements: Mutex::default(),
            witnesses: Mutex::default(),
        })))
    }

    /// More than half of the endpoints have to agree.
    ///
    /// Errors: [`QuorumError::Impossible`] without endpoints.
    pub fn majority(endpoints: impl IntoIterator<Item = (String, S)>) -> Result<Self, QuorumError> {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let needed = NonZeroUsize::MIN.saturating_add(endpoints.len() / 2);
        Self::new(needed, endpoints)
    }

    /// Who said something else than the quorum, oldest first, each handed out once. The newest 1,024
    /// are kept.
    pub fn take_disagreements(&self) -> Vec<Disagreement> {
        lock(&self.0.disagreements).drain(..).collect()
    }

    /// How each endpoint does, in the order in which they were given.
    pub fn health(&self) -> Vec<EndpointHealth> {
        (self.0.endpoints.iter())
            .map(|endpoint| lock(&endpoint.health).shown(&endpoint.label))
            .collect()
    }

    /// Endpoints that are not resting, best first; all if those do not suffice.
    fn order(&self, needed: usize) -> Vec<usize> {
        let mut ready: Vec<_> = (self.0.endpoints.iter().enumerate())
            .map(|(index, endpoint)| (lock(&endpoint.health).rank(), index))
            .collect();
        ready.sort_unstable();
        let resting = ready.iter().filter(|(rank, _)| rank.is_resting).count();
        let keep = if ready.len() - resting < needed {
            ready.len()
        } else {
            ready.len() - resting
        };
        ready
            .into_iter()
            .take(keep)
            .map(|(_, index)| index)
            .collect()
    }

    /// Asks one endpoint, and remembers how it did.
    async fn ask<T>(
        &self,
        index: usize,
        answer: impl Future<Output = Result<T, SourceError>>,
    ) -> Answer<T> {
        let result = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(result) => result,
            Err(elapsed) => Err(SourceError::Backend(Box::new(elapsed))),
        };
        if let Some(endpoint) = self.0.endpoints.get(index) {
            let mut health = lock(&endpoint.health);
            match &result {
                // To lag is no failure.
                Ok(_) | Err(SourceError::NotYet(_) | SourceError::NotHeld(_)) => health.answered(),
                Err(error) => {
                    health.failed();
                    debug!(endpoint = %endpoint.label, %error, "endpoint failed");
                }
            }
        }
        Answer {
            endpoint: index,
            result,
        }
    }

    /// What enough endpoints say, told apart by `key`.
    async fn agree<'a, T, F>(
        &'a self,
        matter: Matter,
        number: BlockNumber,
        ask: impl Fn(&'a S) -> F,
        key: impl Fn(&T) -> B256,
    ) -> Result<T, SourceError>
    where
        T: PartialEq,
        F: Future<Output = Result<T, SourceError>>,
    {
        let mut answers = self.collect(&self.order(self.0.needed), &ask).await;
        if self.winner(&answers).is_none() {
            // Those that rest may know better.
            let rest: Vec<_> = (0..self.0.endpoints.len())
                .filter(|index| answers.iter().all(|answer| answer.endpoint != *index))
                .collect();
            answers.extend(self.collect(&rest, &ask).await);
        }
        let winner = self.winner(&answers);
        let agreed = winner
            .and_then(|index| answers.get(index))
            .and_then(|answer| answer.result.as_ref().ok())
            .map(&key);
        let is_split = agreed.is_none() && {
            let mut said = answers.iter().filter_map(|it| it.result.as_ref().ok());
            let first = said.next();
            said.any(|it| Some(it) != first)
        };
        if agreed.is_some() || is_split {
            for answer in &answers {
                if let Ok(value) = &answer.result
                    && Some(key(value)) != agreed
                {
                    self.note(answer.endpoint, matter, number, key(value), agreed);
                }
            }
        }
        match winner {
            Some(index) => answers.swap_remove(index).result,
            None => Err(self.undecided(number, answers, is_split)),
        }
    }

    /// Answers of these endpoints, until enough agree and the rest had a moment.
    async fn collect<'a, T, F>(
        &'a self,
        endpoints: &[usize],
        ask: &impl Fn(&'a S) -> F,
    ) -> Vec<Answer<T>>
    where
        T: PartialEq,
        F: Future<Output = Result<T, SourceError>>,
    {
        let mut open: FuturesUnordered<_> = (endpoints.iter())
            .filter_map(|index| Some((*index, self.0.endpoints.get(*index)?)))
            .map(|(index, endpoint)| self.ask(index, ask(&endpoint.source)))
            .collect();
        let mut answers = Vec::new();
        while let Some(answer) = open.next().await {
            answers.push(answer);
            if self.winner(&answers).is_some() {
                break;
            }
        }
        let _ = tokio::time::timeout(GRACE, async {
            while let Some(answer) = open.next().await {
                answers.push(answer);
            }
        })
        .await;
        answers
    }

    /// An answer that enough endpoints gave.
    fn winner<T: PartialEq>(&self, answers: &[Answer<T>]) -> Option<usize> {
        let said =
            |answer: &Answer<T>, value: &T| answer.result.as_ref().is_ok_and(|it| it == value);
        answers.iter().position(|answer| {
            (answer.result.as_ref()).is_ok_and(|value| {
                answers.iter().filter(|it| said(it, value)).count() >= self.0.needed
            })
        })
    }

    /// Why there is no answer.
    fn undecided<T: PartialEq>(
        &self,
        number: BlockNumber,
        answers: Vec<Answer<T>>,
        is_split: bool,
    ) -> SourceError {
        let count = |wanted: fn(&Result<T, SourceError>) -> bool| {
            answers
                .iter()
                .filter(|answer| wanted(&answer.result))
                .count()
        };
        let said = count(Result::is_ok);
        let lagging = count(|it| matches!(it, Err(SourceError::NotYet(_))));
        let not_held = count(|it| matches!(it, Err(SourceError::NotHeld(_))));
        let needed = self.0.needed;
        if !is_split && lagging > 0 && said + lagging >= needed {
            return SourceError::NotYet(number);
        }
        if !is_split && not_held >= needed {
            return SourceError::NotHeld(number);
        }
        let error = if is_split {
            QuorumError::Split { number, needed }
        } else {
            let last = answers.into_iter().find_map(|answer| answer.result.err());
            QuorumError::TooFew {
                said,
                needed,
                source: last.map(Box::new),
            }
        };
        SourceError::Backend(Box::new(error))
    }

    fn note(
        &self,
        endpoint: usize,
        matter: Matter,
        number: BlockNumber,
        said: B256,
        agreed: Option<B256>,
    ) {
        let Some(endpoint) = self.0.endpoints.get(endpoint) else {
            return;
        };
        lock(&endpoint.health).disagreed();
        let disagreement = Disagreement {
            endpoint: endpoint.label.clone(),
            matter,
            number,
            said,
            agreed,
        };
        warn!(
            endpoint = %disagreement.endpoint,
            block = number,
            %said,
            ?agreed,
            "an endpoint says something else than the quorum"
        );
        let mut kept = lock(&self.0.disagreements);
        if kept.back() == Some(&disagreement) {
            return;
        }
        if kept.len() == MAX_DISAGREEMENTS {
            kept.pop_front();
        }
        kept.push_back(disagreement);
    }

    /// Newest block that enough endpoints have: the height that enough have reached, and what they
    /// hold there.
    async fn agreed_head<'a, H, B>(
        &'a self,
        head: impl Fn(&'a S) -> H,
        block: impl Fn(&'a S, BlockNumber) -> B,
    ) -> Result<BlockRef, SourceError>
    where
        H: Future<Output = Result<BlockRef, SourceError>>,
        B: Future<Output = Result<BlockRef, SourceError>>,
    {
        let mut answers = self.collect(&self.order(self.0.needed), &head).await;
        let count = |answers: &[Answer<BlockRef>]| {
            answers
                .iter()
                .filter(|answer| answer.result.is_ok())
                .count()
        };
        if count(&answers) < self.0.needed {
            let rest: Vec<_> = (0..self.0.endpoints.len())
                .filter(|index| answers.iter().all(|answer| answer.endpoint != *index))
                .collect();
            answers.extend(self.collect(&rest, &head).await);
        }
        if let Some(index) = self.winner(&answers) {
            return answers.swap_remove(index).result;
        }
        let mut heights: Vec<_> = (answers.iter())
            .filter_map(|answer| Some(answer.result.as_ref().ok()?.number))
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&height) = heights.get(self.0.needed - 1) else {
            return Err(self.undecided(0, answers, false));
        };
        self.agree(
            Matter::Block,
            height,
            |source| block(source, height),
            |block| block.hash,
        )
        .await
    }

    /// What any endpoint answers, best first, `skip` of them last.
    async fn any<'a, T, F>(
        &'a self,
        skip: usize,
        ask: impl Fn(&'a S) -> F,
    ) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, SourceError>>,
    {
        let mut order = self.order(self.0.endpoints.len());
        let skip = skip % order.len().max(1);
        order.rotate_left(skip);
        let mut error = SourceError::NotYet(0);
        for index in order {
            let Some(endpoint) = self.0.endpoints.get(index) else {
                continue;
            };
            match self.ask(index, ask(&endpoint.source)).await.result {
                Ok(value) => return Ok(value),
                Err(next) => error = next,
            }
        }
        Err(error)
    }
}

/// Asks an endpoint, unless it is on another chain: it has no voice then.
async fn on_chain<T>(
    expected: ChainId,
    actual: ChainId,
    ask: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    if expected != actual {
        return Err(SourceError::WrongChain { expected, actual });
    }
    ask.await
}

#[async_trait]
impl<S: L2Source> L2Source for Quorum<S> {
    /// Of the first endpoint; those of other chains have no voice.
    fn chain_id(&self) -> ChainId {
        let first = self.0.endpoints.first();
        first.map_or(0, |endpoint| endpoint.source.chain_id())
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let chain = L2Source::chain_id(self);
        self.agreed_head(
            |source| on_chain(chain, source.chain_id(), source.head(head)),
            |source, number| {
                let reference = async move { Ok(source.block(number).await?.reference()) };
                on_chain(chain, source.chain_id(), reference)
            },
        )
        .await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let chain = L2Source::chain_id(self);
        self.agree(
            Matter::Block,
            number,
            |source| on_chain(chain, source.chain_id(), source.block(number)),
            L2Block::hash,
        )
        .await
    }
}

#[async_trait]
impl<S: L1Source> L1Source for Quorum<S> {
    fn chain_id(&self) -> ChainId {
        let first = self.0.endpoints.first();
        first.map_or(0, |endpoint| endpoint.source.chain_id())
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agreed_head(
            |source| on_chain(chain, source.chain_id(), source.head(head)),
            |source, number| {
                let reference = async move {
                    let hash = source.header(number).await?.seal();
                    Ok(BlockRef { number, hash })
                };
                on_chain(chain, source.chain_id(), reference)
            },
        )
        .await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agree(
            Matter::Header,
            number,
            |source| on_chain(chain, source.chain_id(), source.header(number)),
            Sealed::seal,
        )
        .await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agree(
            Matter::Block,
            number,
            |source| on_chain(chain, source.chain_id(), source.block(number)),
            L2Block::hash,
        )
        .await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.any(0, |source| source.receipts(header)).await
    }
}

#[async_trait]
impl<S: WitnessSource> WitnessSource for Quorum<S> {
    /// A witness that is asked for again was of no use: another endpoint is asked first.
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let again = {
            let mut last = lock(&self.0.witnesses);
            let known = last.iter().position(|(hash, _)| *hash == block.hash());
            let known = known.and_then(|index| last.remove(index));
            let again = known.map_or(0, |(_, times)| times.wrapping_add(1));
            if last.len() == MAX_WITNESSES {
                last.pop_front();
            }
            last.push_back((block.hash(), again));
            again
        };
        self.any(again, |source| source.witness(block)).await
    }
}

/// Nothing can panic between two writes, so what a lock guards is never half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
