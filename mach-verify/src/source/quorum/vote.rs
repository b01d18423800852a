//! How endpoints come to one answer.

use std::{future::Future, time::Duration};

use alloy_primitives::{B256, BlockNumber, keccak256};
use futures::{StreamExt, stream::FuturesUnordered};
use mach_core::{BlockRef, L2Block, ports::SourceError};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Disagreement, Matter, Quorum, QuorumError, lock};
use crate::body::check_transactions;

/// How long an answer is waited for once enough endpoints agree, to see who does not.
const GRACE: Duration = Duration::from_millis(200);
/// How long it is once enough have answered, but not the same: another answer may give one that is better.
const SLOW: Duration = Duration::from_secs(2);
/// How long one endpoint is waited for.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most disagreements that are kept; older ones make room.
const MAX_DISAGREEMENTS: usize = 1024;

/// What one endpoint answered.
struct Answer<T> {
    endpoint: usize,
    result: Result<T, SourceError>,
}

impl<S> Quorum<S> {
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
    pub(super) async fn agree<'a, T, F>(
        &'a self,
        matter: Matter,
        number: BlockNumber,
        ask: impl Fn(&'a S) -> F,
        key: impl Fn(&T) -> B256,
    ) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, SourceError>>,
    {
        let wait = |answers: &[Answer<T>], open: usize| {
            let most = self.most(answers, &key);
            let count = |wanted: fn(&Result<T, SourceError>) -> bool| {
                (answers.iter().filter(|it| wanted(&it.result))).count()
            };
            let said = count(Result::is_ok);
            let lagging = count(|it| matches!(it, Err(SourceError::NotYet(_))));
            if most >= self.0.needed || most + open < self.0.needed {
                Some(GRACE)
            } else if most == said && lagging > 0 && said + lagging >= self.0.needed {
                Some(SLOW)
            } else {
                None
            }
        };
        let mut answers = Vec::new();
        let ready = self.order(self.0.needed);
        self.collect(&mut answers, &ready, &ask, wait).await;
        if self.winner(&answers, &key).is_none() {
            // Those that rest may know better.
            let resting = self.others(&ready);
            self.collect(&mut answers, &resting, &ask, wait).await;
        }
        let winner = self.winner(&answers, &key);
        let agreed = winner
            .and_then(|index| answers.get(index))
            .and_then(|answer| answer.result.as_ref().ok())
            .map(&key);
        let is_split = agreed.is_none() && {
            let mut said = (answers.iter()).filter_map(|it| Some(key(it.result.as_ref().ok()?)));
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

    /// Adds the answers of these endpoints. `wait` says of those that are there, and of the number of
    /// those that are not, how long the others are waited for; if it says nothing, to the end.
    async fn collect<'a, T, F>(
        &'a self,
        answers: &mut Vec<Answer<T>>,
        endpoints: &[usize],
        ask: &impl Fn(&'a S) -> F,
        wait: impl Fn(&[Answer<T>], usize) -> Option<Duration>,
    ) where
        F: Future<Output = Result<T, SourceError>>,
    {
        let asked = Instant::now();
        let mut open: FuturesUnordered<_> = (endpoints.iter())
            .filter_map(|index| Some((*index, self.0.endpoints.get(*index)?)))
            .map(|(index, endpoint)| self.ask(index, ask(&endpoint.source)))
            .collect();
        let mut end = asked + PATIENCE + GRACE;
        loop {
            if let Some(longest) = wait(answers, open.len()) {
                end = end.min(Instant::now() + longest);
            }
            match tokio::time::timeout_at(end, open.next()).await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) | Err(_) => break,
            }
        }
        for index in endpoints {
            if answers.iter().all(|answer| answer.endpoint != *index)
                && let Some(endpoint) = self.0.endpoints.get(*index)
            {
                lock(&endpoint.health).unanswered(asked);
            }
        }
    }

    /// All endpoints but these.
    fn others(&self, endpoints: &[usize]) -> Vec<usize> {
        let all = 0..self.0.endpoints.len();
        all.filter(|index| !endpoints.contains(index)).collect()
    }

    /// How many endpoints gave the answer that most gave.
    fn most<T>(&self, answers: &[Answer<T>], key: &impl Fn(&T) -> B256) -> usize {
        let said: Vec<_> = (answers.iter())
            .filter_map(|answer| answer.result.as_ref().ok().map(key))
            .collect();
        let alike = (said.iter()).map(|key| said.iter().filter(|it| *it == key).count());
        alike.max().unwrap_or_default()
    }

    /// An answer that enough endpoints gave.
    fn winner<T>(&self, answers: &[Answer<T>], key: &impl Fn(&T) -> B256) -> Option<usize> {
        let keys: Vec<_> = (answers.iter())
            .map(|answer| answer.result.as_ref().ok().map(key))
            .collect();
        (keys.iter()).position(|key| {
            key.is_some() && keys.iter().filter(|it| *it == key).count() >= self.0.needed
        })
    }

    /// Why there is no answer.
    fn undecided<T>(
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

    /// Newest block that enough endpoints have: at the height that enough say they have reached, or at
    /// the next lower one that is somebody's head, since who says so may not hold it.
    pub(super) async fn agreed_head<'a, H, B>(
        &'a self,
        head: impl Fn(&'a S) -> H,
        block: impl Fn(&'a S, BlockNumber) -> B,
    ) -> Result<BlockRef, SourceError>
    where
        H: Future<Output = Result<BlockRef, SourceError>>,
        B: Future<Output = Result<BlockRef, SourceError>>,
    {
        let key =
            |head: &BlockRef| keccak256([&head.number.to_be_bytes()[..], &head.hash[..]].concat());
        let count = |answers: &[Answer<BlockRef>]| {
            answers
                .iter()
                .filter(|answer| answer.result.is_ok())
                .count()
        };
        let wait = |answers: &[Answer<BlockRef>], _| {
            if self.most(answers, &key) >= self.0.needed {
                Some(GRACE)
            } else {
                (count(answers) >= self.0.needed).then_some(SLOW)
            }
        };
        let mut answers = Vec::new();
        let ready = self.order(self.0.needed);
        self.collect(&mut answers, &ready, &head, wait).await;
        if count(&answers) < self.0.needed {
            let resting = self.others(&ready);
            self.collect(&mut answers, &resting, &head, wait).await;
        }
        if let Some(index) = self.winner(&answers, &key) {
            let agreed = answers.swap_remove(index).result?;
            for answer in &answers {
                if let Ok(other) = &answer.result
                    && other.number == agreed.number
                    && other.hash != agreed.hash
                {
                    let (said, agreed) = (other.hash, Some(agreed.hash));
                    self.note(answer.endpoint, Matter::Block, other.number, said, agreed);
                }
            }
            return Ok(agreed);
        }
        let mut heights: Vec<_> = (answers.iter())
            .filter_map(|answer| Some(answer.result.as_ref().ok()?.number))
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let mut reached = heights.split_off((self.0.needed - 1).min(heights.len()));
        reached.dedup();
        let mut error = None;
        for height in reached {
            let agreed = self.agree(
                Matter::Block,
                height,
                |source| block(source, height),
                |block| block.hash,
            );
            match agreed.await {
                Ok(head) => return Ok(head),
                Err(undecided) => error = error.or(Some(undecided)),
            }
        }
        Err(error.unwrap_or_else(|| self.undecided(0, answers, false)))
    }

    pub(super) async fn agreed_block<'a, F>(
        &'a self,
        number: BlockNumber,
        ask: impl Fn(&'a S) -> F,
    ) -> Result<L2Block, SourceError>
    where
        F: Future<Output = Result<L2Block, SourceError>>,
    {
        // Who sends other transactions under a true hash has said nothing.
        let ask = |source| {
            let block = ask(source);
            async move {
                let block = block.await?;
                check_transactions(&block)?;
                Ok(block)
            }
        };
        (self.agree(Matter::Block, number, ask, L2Block::hash)).await
    }

    /// What any endpoint answers, best first, `skip` of them last.
    pub(super) async fn any<'a, T, F>(
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
        let mut error: Option<SourceError> = None;
        for index in order {
            let Some(endpoint) = self.0.endpoints.get(index) else {
                continue;
            };
            match self.ask(index, ask(&endpoint.source)).await.result {
                Ok(value) => return Ok(value),
                // As long as one of them may answer later, they may be asked again.
                Err(_) if error.as_ref().is_some_and(SourceError::is_transient) => {}
                Err(next) => error = Some(next),
            }
        }
        Err(error.unwrap_or(SourceError::NotYet(0)))
    }
}
