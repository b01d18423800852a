//! Output roots on L1.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_sol_types::SolCall;
use futures::{FutureExt, StreamExt, TryFutureExt, stream};
use mach_contracts_bindings::zk::abi::IMachZkServiceManager as Z;

use super::{
    Proposal, Source, ZkContractError,
    seen::{Mark, Seen},
    watch::Waiting,
};

/// Most headers between an output root and the block that is wrong: five hours and a half of a block every
/// two seconds, in some fifty transactions. Proposers of the OP Stack leave 1,800.
pub(super) const REACH: u64 = 10_000;
/// Outputs of the oracle, and games at or after a block, that are looked at.
const MAX_OUTPUTS: u64 = 256;
/// Games that are read at a time.
const PAGE: u64 = 64;
/// Outputs and games of its own that the first look begins with, and those that one look takes up.
pub(super) const AT_A_LOOK: u64 = 64;
/// Of these, those that are asked for at a time.
const AT_A_TIME: usize = 16;
/// Seconds before its time that a block may have been proposed: what a header says of that is the word of whoever is
/// accused.
const EARLY: u64 = 7 * 24 * 3_600;

alloy_sol_types::sol! {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    // Source: L2OutputOracle of ethereum-optimism/optimism.
    function nextOutputIndex() external view returns (uint256);
    function latestBlockNumber() external view returns (uint256);
    function getL2OutputIndexAfter(uint256 l2BlockNumber) external view returns (uint256);
    function getL2Output(uint256 index) external view returns (OutputProposal memory);

    struct GameSearchResult {
        uint256 index;
        bytes32 metadata;
        uint64 timestamp;
        bytes32 rootClaim;
        bytes extraData;
    }

    // Source: DisputeGameFactory of ethereum-optimism/optimism. The metadata has type, time and, in its
    // last 20 bytes, the address.
    function gameCount() external view returns (uint256);
    function findLatestGames(uint32 gameType, uint256 start, uint256 n)
        external view returns (GameSearchResult[] memory);
    function gameAtIndex(uint256 index) external view returns (uint32 gameType, uint64 timestamp, address proxy);

    // Source: IDisputeGame of ethereum-optimism/optimism.
    function gameCreator() external view returns (address);
    function rootClaim() external view returns (bytes32);
    function l2BlockNumber() external view returns (uint256);
}

/// Where the contract takes output roots from. It never changes; which games are the rollup's own may, and is asked
/// each time.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) rollup: U256,
    manager: Address,
    oracle: Option<Address>,
    factory: Option<Address>,
}

/// What of the games was looked at: the newest and all that came since, and older ones.
#[derive(Debug)]
pub(super) struct SeenGames {
    newer: Seen,
    /// Number up to which those from before the newest of the first look were not looked at yet.
    older: u64,
    /// Of these, how many of the rollup's own are looked for.
    wanted: u64,
}

impl Default for SeenGames {
    fn default() -> Self {
        Self {
            newer: Seen::default(),
            older: 0,
            wanted: AT_A_LOOK,
        }
    }
}

impl Sources {
    /// What the contract at `manager` says.
    pub(super) async fn read(
        provider: &DynProvider,
        manager: Address,
    ) -> Result<Self, ZkContractError> {
        let some = |address: Address| (!address.is_zero()).then_some(address);
        let oracle = read(provider, manager, &Z::l2OutputOracleCall {}).await?;
        let factory = read(provider, manager, &Z::disputeGameFactoryCall {}).await?;
        Ok(Self {
            rollup: read(provider, manager, &Z::rollupChainIDCall {}).await?,
            manager,
            oracle: some(oracle),
            factory: some(factory),
        })
    }

    /// Whether a conviction of it is one of the rollup.
    ///
    /// Errors: it is not known.
    pub(super) async fn counts(
        &self,
        provider: &DynProvider,
        proposal: &Proposal,
    ) -> Result<bool, ZkContractError> {
        let Source::Game(game) = proposal.source else {
            return Ok(true);
        };
        let Some(factory) = self.factory else {
            return Ok(false);
        };
        let request = gameAtIndexCall {
            index: U256::from(proposal.index),
        };
        let made = read(provider, factory, &request).await?;
        Ok(made.proxy == game && self.is_own(provider, &made).await?)
    }

    /// Whether a game is the rollup's own: anybody may make one.
    async fn is_own(
        &self,
        provider: &DynProvider,
        made: &gameAtIndexReturn,
    ) -> Result<bool, ZkContractError> {
        let request = Z::gamesOfCall {
            madeAt: made.timestamp,
        };
        let mut own = read(provider, self.manager, &request).await?;
        own.retain(|games| games.gameType == made.gameType);
        if own.is_empty() {
            return Ok(false);
        }
        let creator = read(provider, made.proxy, &gameCreatorCall {}).await?;
        Ok(own.iter().any(|games| games.proposer == creator))
    }

    /// Types of the rollup's own games that were made since a time.
    ///
    /// Errors: they are not known.
    pub(super) async fn game_types(
        &self,
        provider: &DynProvider,
        time: u64,
    ) -> Result<BTreeSet<u32>, ZkContractError> {
        if self.factory.is_none() {
            return Ok(BTreeSet::new());
        }
        let request = Z::gamesOfCall {
            madeAt: since(time),
        };
        let own = read(provider, self.manager, &request).await?;
        Ok(own.into_iter().map(|games| games.gameType).collect())
    }

    /// What stands in the oracle. What is asked reverts for no reason but that outputs are deleted
    /// meanwhile, so that an answer is definite.
    ///
    /// Errors: it is not known whether there is anything.
    pub(super) async fn outputs(
        &self,
        provider: &DynProvider,
        from: u64,
    ) -> Result<Vec<Proposal>, ZkContractError> {
        let mut proposals = Vec::new();
        let Some(oracle) = self.oracle else {
            return Ok(proposals);
        };
        let count = read(provider, oracle, &nextOutputIndexCall {}).await?;
        let latest = read(provider, oracle, &latestBlockNumberCall {}).await?;
        if count.is_zero() || latest < U256::from(from) {
            return Ok(proposals);
        }
        let after = getL2OutputIndexAfterCall {
            l2BlockNumber: U256::from(from),
        };
        let first: u64 = read(provider, oracle, &after).await?.saturating_to();
        let end = first.saturating_add(MAX_OUTPUTS).min(count.saturating_to());
        for index in first..end {
            let output = output_of(provider, oracle, index).await?;
            if !is_in_reach(from, output.number) {
                break;
            }
            proposals.push(output);
        }
        Ok(proposals)
    }

    /// Adds outputs of the oracle that were not looked at yet, some at a time, to what is `found`.
    ///
    /// Errors: it is not known what else stands there.
    pub(super) async fn further_outputs(
        &self,
        provider: &DynProvider,
        seen: &mut Seen,
        found: &mut VecDeque<Waiting>,
    ) -> Result<(), ZkContractError> {
        let Some(oracle) = self.oracle else {
            return Ok(());
        };
        let count = read(provider, oracle, &nextOutputIndexCall {}).await?;
        let count = count.saturating_to();
        let at = |index| output_of(provider, oracle, index);
        let marked = |index| at(index).map_ok(|output| mark(&output)).boxed();
        let further = seen.further(count, marked).await?;
        let mut outputs = stream::iter(further).map(at).buffered(AT_A_TIME);
        while let Some(output) = outputs.next().await {
            let output = output?;
            seen.saw(mark(&output));
            found.push_back(output.into());
        }
        Ok(())
    }

    /// Adds claims of the rollup's own games that were not looked at yet, some at a time, to what is `found`: those that are new,
    /// and older ones until there were some of its own, however many others have made since.
    ///
    /// Errors: it is not known what else is claimed.
    pub(super) async fn further_games(
        &self,
        provider: &DynProvider,
        seen: &mut SeenGames,
        found: &mut VecDeque<Waiting>,
    ) -> Result<(), ZkContractError> {
        let Some(factory) = self.factory else {
            return Ok(());
        };
        let count = read(provider, factory, &gameCountCall {}).await?;
        let count = count.saturating_to();
        let SeenGames {
            newer,
            older,
            wanted,
        } = seen;
        let is_first = newer.next.is_none();
        let at = |index| self.game_of(provider, factory, index);
        let marked = |index| at(index).map_ok(|(mark, _)| mark).boxed();
        let further = newer.further(count, marked).await?;
        if is_first {
            *older = further.start;
        }
        let mut games = stream::iter(further).map(at).buffered(AT_A_TIME);
        while let Some(game) = games.next().await {
            let (mark, own) = game?;
            newer.saw(mark);
            found.extend(own.map(Waiting::from));
        }
        let further = (older.saturating_sub(AT_A_LOOK)..*older).rev();
        let mut games = stream::iter(further).map(at).buffered(AT_A_TIME);
        // A node that is behind has them later.
        while *wanted > 0
            && *older <= count
            && let Some(game) = games.next().await
        {
            let own = game?.1;
            *older -= 1;
            *wanted -= u64::from(own.is_some());
            found.extend(own.map(Waiting::from));
        }
        Ok(())
    }

    /// What tells a game from another one with its number, and what it claims if it is the rollup's own.
    async fn game_of(
        &self,
        provider: &DynProvider,
        factory: Address,
        index: u64,
    ) -> Result<(Mark, Option<Proposal>), ZkContractError> {
        let request = gameAtIndexCall {
            index: U256::from(index),
        };
        let made = read(provider, factory, &request).await?;
        let proxy = made.proxy;
        let mark = (made.timestamp, proxy.into_word());
        if !self.is_own(provider, &made).await? {
            return Ok((mark, None));
        }
        let number = read(provider, proxy, &l2BlockNumberCall {}).await?;
        let own = Proposal {
            source: Source::Game(proxy),
            index,
            posted_at: 0,
            root: read(provider, proxy, &rootClaimCall {}).await?,
            number: number.saturating_to(),
            expected: Default::default(),
        };
        Ok((mark, Some(own)))
    }

    /// What games of a type claim that were made since a time, about heights from one on: of some `most` games from number `from` down, or
    /// from the newest, and the number to go on from, if there are more.
    ///
    /// Errors: it is not known what they claim.
    pub(super) async fn games(
        &self,
        provider: &DynProvider,
        game_type: u32,
        (height, time): (u64, u64),
        from: Option<u64>,
        most: usize,
    ) -> Result<(Vec<Proposal>, Option<u64>), ZkContractError> {
        let mut proposals = Vec::new();
        let Some(factory) = self.factory else {
            return Ok((proposals, None));
        };
        let since = since(time);
        let count: u64 = read(provider, factory, &gameCountCall {})
            .await?
            .saturating_to();
        // L1 may have lost some.
        let newest = count.checked_sub(1);
        let mut next = newest.map(|newest| from.map_or(newest, |from| from.min(newest)));
        let mut looked_at = 0;
        while let Some(start) = next
            && looked_at < most
        {
            let request = findLatestGamesCall {
                gameType: game_type,
                start: U256::from(start),
                n: U256::from(PAGE),
            };
            let page = read(provider, factory, &request).await?;
            let (Some(last), true) = (page.last(), page.len() as u64 <= PAGE) else {
                return Ok((proposals, None));
            };
            let lowest: u64 = last.index.saturating_to();
            // Downwards, so that a page that says otherwise cannot be without end.
            next = lowest.min(start).checked_sub(1);
            looked_at += page.len();
            for game in &page {
                if game.timestamp < since {
                    return Ok((proposals, None));
                }
                let number = game.extraData.get(..32).map(U256::from_be_slice);
                let number = number.and_then(|it| u64::try_from(it).ok());
                let Some(number) = number.filter(|it| is_in_reach(height, *it)) else {
                    continue;
                };
                let address = Address::from_word(game.metadata);
                proposals.push(Proposal {
                    source: Source::Game(address),
                    index: game.index.saturating_to(),
                    posted_at: 0,
                    root: game.rootClaim,
                    number,
                    expected: Default::default(),
                });
            }
        }
        Ok((proposals, next))
    }
}

/// What stands in the oracle at an index.
async fn output_of(
    provider: &DynProvider,
    oracle: Address,
    index: u64,
) -> Result<Proposal, ZkContractError> {
    let request = getL2OutputCall {
        index: U256::from(index),
    };
    let output = read(provider, oracle, &request).await?;
    Ok(Proposal {
        source: Source::Oracle(oracle),
        index,
        posted_at: u64::try_from(output.timestamp).unwrap_or(u64::MAX),
        root: output.outputRoot,
        number: u64::try_from(output.l2BlockNumber).unwrap_or(u64::MAX),
        expected: Default::default(),
    })
}

/// What tells an output from another one with its index.
const fn mark(output: &Proposal) -> Mark {
    (output.posted_at, output.root)
}

/// When a game about a block of this time was made, or later: whatever its header says, not in times to come.
fn since(time: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    time.min(now).saturating_sub(EARLY)
}

fn is_in_reach(from: u64, number: u64) -> bool {
    (from..=from.saturating_add(REACH)).contains(&number)
}

/// Asks a contract. Whatever goes wrong, nothing follows from it.
pub(super) async fn read<C: SolCall>(
    provider: &DynProvider,
    to: Address,
    request: &C,
) -> Result<C::Return, ZkContractError> {
    let transaction = TransactionRequest::default()
        .to(to)
        .input(request.abi_encode().into());
    let answer = provider.call(transaction).await;
    let answer = answer.map_err(|error| ZkContractError::Backend(error.into()))?;
    C::abi_decode_returns(&answer).map_err(|error| {
        let reason = format!(
            "{} of {to} gives no answer that can be read: {error}",
            C::SIGNATURE
        );
        ZkContractError::Backend(reason.into())
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        task::{Context, Poll},
    };

    use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload};
    use alloy_primitives::{B256, Bytes};
    use alloy_provider::RootProvider;
    use alloy_rpc_client::RpcClient;
    use alloy_sol_types::SolValue;
    use alloy_transport::{TransportError, TransportFut};
    use mach_contracts_bindings::zk::abi::Games;
    use tower::Service;

    use super::*;

    /// The one game of the rollup's own.
    const OWN: Address = Address::repeat_byte(0xaa);

    /// An L1 with a factory of games.
    #[derive(Clone, Default)]
    struct Factory(Arc<Mutex<Made>>);

    #[derive(Default)]
    struct Made {
        games: Vec<Address>,
        /// Whether it says that there are none.
        knows_none: bool,
    }

    impl Factory {
        fn of(count: u64) -> Self {
            let game = |number| Address::from_word(B256::from(U256::from(number + 1)));
            let this = Self::default();
            this.0.lock().unwrap().games = (0..count).map(game).collect();
            this
        }

        fn puts_own(&self, number: usize) {
            self.0.lock().unwrap().games[number] = OWN;
        }

        fn knows_none(&self, knows_none: bool) {
            self.0.lock().unwrap().knows_none = knows_none;
        }

        /// Numbers of the rollup's own games that a look finds.
        async fn look(&self, seen: &mut SeenGames) -> Vec<u64> {
            let provider: RootProvider = RootProvider::new(RpcClient::new(self.clone(), true));
            let provider = provider.erased();
            let sources = Sources {
                rollup: U256::ZERO,
                manager: Address::ZERO,
                oracle: None,
                factory: Some(Address::ZERO),
            };
            let mut found = VecDeque::new();
            let looked = sources.further_games(&provider, seen, &mut found);
            looked.await.unwrap();
            found.iter().map(|it| it.proposal.index).collect()
        }

        fn answer(&self, to: Address, input: &[u8]) -> Vec<u8> {
            let made = self.0.lock().unwrap();
            let selector: [u8; 4] = input[..4].try_into().unwrap();
            match selector {
                gameCountCall::SELECTOR => {
                    let count = if made.knows_none { 0 } else { made.games.len() };
                    U256::from(count).abi_encode()
                }
                gameAtIndexCall::SELECTOR => {
                    let asked = gameAtIndexCall::abi_decode(input).unwrap();
                    let number: usize = asked.index.to();
                    gameAtIndexCall::abi_encode_returns(&gameAtIndexReturn {
                        gameType: 0,
                        timestamp: 5,
                        proxy: made.games[number],
                    })
                }
                Z::gamesOfCall::SELECTOR => Z::gamesOfCall::abi_encode_returns(&vec![Games {
                    gameType: 0,
                    proposer: OWN,
                }]),
                // The creator, the root or the height.
                _ => to.into_word().to_vec(),
            }
        }
    }

    impl Service<RequestPacket> for Factory {
        type Response = ResponsePacket;
        type Error = TransportError;
        type Future = TransportFut<'static>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, packet: RequestPacket) -> Self::Future {
            let request = packet.as_single().unwrap();
            let params = request.params().unwrap().get();
            let params: Vec<serde_json::Value> = serde_json::from_str(params).unwrap();
            let asked: TransactionRequest = serde_json::from_value(params[0].clone()).unwrap();
            let to = *asked.to.unwrap().to().unwrap();
            let answer = Bytes::from(self.answer(to, asked.input.input().unwrap()));
            let answer = serde_json::value::to_raw_value(&answer).unwrap();
            let response = Response {
                id: request.id().clone(),
                payload: ResponsePayload::Success(answer),
            };
            Box::pin(std::future::ready(Ok(ResponsePacket::Single(response))))
        }
    }

    /// L1 is reorganised, and has as many games as before.
    #[tokio::test]
    async fn a_game_that_took_the_place_of_one_of_the_first_look_is_looked_at() {
        let (factory, mut seen) = (Factory::of(3), SeenGames::default());
        assert!(factory.look(&mut seen).await.is_empty());
        factory.puts_own(2);
        assert_eq!(factory.look(&mut seen).await, [2]);
        assert!(factory.look(&mut seen).await.is_empty());
    }

    /// More games than are remembered, so that it is not found among those that are looked at again.
    #[tokio::test]
    async fn a_node_that_knows_of_no_games_for_a_moment_hides_no_older_one() {
        let (factory, mut seen) = (Factory::of(1_500), SeenGames::default());
        factory.puts_own(5);
        assert!(factory.look(&mut seen).await.is_empty());
        factory.knows_none(true);
        assert!(factory.look(&mut seen).await.is_empty());
        factory.knows_none(false);
        let mut found = Vec::new();
        for _ in 0..1_500_u64.div_ceil(AT_A_LOOK) {
            found.extend(factory.look(&mut seen).await);
        }
        assert_eq!(found, [5]);
    }

    /// A header that says that its block is of next year does not hide the game of today that leads to it.
    #[test]
    fn no_header_puts_games_out_of_sight_by_its_time() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for time in [now.as_secs() + 2 * EARLY, u64::MAX] {
            assert!(since(time) + EARLY / 2 < now.as_secs(), "{time}");
        }
        assert_eq!(since(EARLY + 7), 7);
        assert_eq!(since(0), 0);
    }
}
