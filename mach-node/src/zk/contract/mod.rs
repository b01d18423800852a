//! A `MachZkServiceManager` on L1.

mod direct;
mod published;
mod refusal;
mod rollup;
mod search;
mod seen;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use alloy_primitives::{Address, B256, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockId, TransactionReceipt, TransactionRequest};
use alloy_sol_types::{SolCall, SolEvent};
use async_trait::async_trait;
use mach_contracts_bindings::{
    CallError, SubmitError, Submitter,
    zk::{
        Raise, RaiseError, ZkServiceManager,
        abi::{
            Accused, Alert as Raised, Claim, IMachZkServiceManager as Z, Opening, Path,
            ProgramKind, Status,
        },
    },
};
use mach_core::Alert;
use mach_prove::{Context, Journal, Program, Proof};
use mach_verify::op::Settlement;
use tracing::error;

use self::{
    published::{Sources, read},
    refusal::{contradicts, has_moved, is_unknown, not_read, not_sent},
    search::Wanted,
    watch::Watched,
};
use super::{
    Accusation, AlertState, Descent, Proposal, Source, Target, ZkContract, ZkContractError,
    target::number,
};

pub use rollup::RollupChain;

/// Alerts that are read at a time.
const PAGE: u64 = 256;
/// Most alerts that are looked through, the newest first.
const MAX_LOOKED_AT: u64 = 65_536;
/// Games that are looked at before it is said that nothing leads to a block, for now.
const GAMES_AT_A_TIME: usize = 8_192;

/// A `MachZkServiceManager`, with the account that raises alerts and hands proofs in.
///
/// A block is accused by the first output root, in the rollup's `L2OutputOracle` or claimed by a dispute
/// game, that leads to it: whose header is the block's, or that of a descendant. That convicts the
/// rollup. If there is none yet, it is accused by its hash, which convicts nobody but costs no more than
/// the bond until it is proved. A wrong output root takes no proof: what it is the hash of is asked of an
/// op-node, and the EVM sees that the header which it names contradicts it.
#[derive(Debug)]
pub struct L1ZkContract {
    manager: ZkServiceManager,
    submitter: Arc<Submitter>,
    sources: Sources,
    chain: RollupChain,
    settlement: Settlement,
    games_at_a_time: usize,
    /// Number of the game to go on from, for blocks that games of a type may lead to which were not looked at yet.
    looks: Mutex<BTreeMap<(B256, u32), u64>>,
    watched: tokio::sync::Mutex<Watched>,
}

impl L1ZkContract {
    /// The service manager, and the account of `submitter`, which several may share; where output roots are
    /// proposed stands in the contract. Without [`Self::with_chain`] only those of the accused block itself are found.
    ///
    /// Errors: [`ZkContractError`].
    pub async fn connect(
        manager: ZkServiceManager,
        submitter: impl Into<Arc<Submitter>>,
    ) -> Result<Self, ZkContractError> {
        let submitter = submitter.into();
        let sources = Sources::read(submitter.provider(), manager.address()).await?;
        Ok(Self {
            manager,
            submitter,
            sources,
            chain: RollupChain::default(),
            settlement: Settlement::default(),
            games_at_a_time: GAMES_AT_A_TIME,
            looks: Mutex::default(),
            watched: tokio::sync::Mutex::default(),
        })
    }

    /// The same with other blocks that L1 does not take back than those that it has finalized.
    #[must_use]
    pub const fn with_settlement(mut self, settlement: Settlement) -> Self {
        self.settlement = settlement;
        self
    }

    /// The same with the rollup's chain, which says how the output roots of later blocks lead to one.
    #[must_use]
    pub fn with_chain(mut self, chain: RollupChain) -> Self {
        self.chain = chain;
        self
    }

    /// The same with another number of dispute games that are looked at before it is said that nothing
    /// leads to a block, for now; the next look goes on behind them.
    #[must_use]
    pub fn with_games_at_a_time(mut self, games: usize) -> Self {
        self.games_at_a_time = games.max(1);
        self
    }

    /// EIP-155 id of the rollup that the contract is about.
    pub const fn rollup(&self) -> U256 {
        self.sources.rollup
    }

    /// What sends the transactions, for whoever looks after them.
    pub fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    /// Has the bonds that came back paid out to the account; says how much that was, in wei. What a
    /// proof decides the contract only keeps for it.
    ///
    /// Errors: [`ZkContractError`].
    pub async fn collect(&self) -> Result<U256, ZkContractError> {
        let account = self.submitter.sender();
        let amount = self.manager.withdrawable(account).await.map_err(not_read)?;
        if !amount.is_zero() {
            let paid = self.manager.withdraw(&self.submitter, account).await;
            paid.map_err(not_sent)?;
        }
        Ok(amount)
    }

    fn is_about_rollup(&self, alert: &Alert) -> Result<(), ZkContractError> {
        if U256::from(alert.rollup_chain_id) == self.sources.rollup {
            return Ok(());
        }
        let reason = "the contract is about another rollup";
        Err(ZkContractError::Refused(reason.into()))
    }

    /// Whether the contract judges the block.
    ///
    /// Errors: it does not, or not now.
    async fn judges(&self, accusation: &Accusation) -> Result<(), ZkContractError> {
        self.is_about_rollup(&accusation.alert)?;
        let (rules, number) = (
            accusation.journal.config_hash,
            accusation.journal.block_number,
        );
        let last = self.manager.horizon(rules).await.map_err(not_read)?;
        if number > last {
            let reason = format!(
                "configuration {rules} judges blocks up to {last}: have the owner extend it, or schedule the one of block {number}"
            );
            return Err(ZkContractError::NotNow(reason.into()));
        }
        Ok(())
    }

    fn provider(&self) -> &DynProvider {
        self.submitter.provider()
    }
}

impl L1ZkContract {
    /// Why a proof was not taken. One that contradicts another is put on record by itself, so that neither
    /// decides anything until the owner has looked.
    async fn not_taken(
        &self,
        error: SubmitError,
        proof: &Proof,
    ) -> Result<ZkContractError, ZkContractError> {
        if contradicts(&error) {
            let (claim, block) = (claim(&proof.journal), proof.journal.block_hash);
            let (program, bytes) = (proof.program_id, &proof.proof);
            let manager = &self.manager;
            let known = manager
                .contradicted_by(claim.configHash, block, ProgramKind::Block)
                .await;
            if known.map_err(not_read)?.is_none() {
                let recorded = manager.record_proof(&self.submitter, program, &claim, bytes);
                recorded.await.map_err(not_sent)?;
                error!(%block, "another proof says something else of the block: the contract's owner has to look");
            }
        }
        Ok(not_sent(error))
    }

    /// The way down to the block. All of a long one but its end goes on record first.
    async fn path(&self, descent: &Descent) -> Result<Path, ZkContractError> {
        let Descent {
            block_hash,
            headers,
            ..
        } = descent;
        let left = self.manager.descend(&self.submitter, *block_hash, headers);
        Ok(Path {
            opening: Opening {
                stateRoot: descent.state_root,
                messagePasserStorageRoot: descent.message_passer,
                blockHash: descent.block_hash,
            },
            headers: left.await.map_err(not_sent)?,
        })
    }
}

/// Whether `raised` is about `target`.
fn is_about(raised: &Raised, target: &Target) -> bool {
    let (kind, source, accused, number) = match *target {
        Target::Block { hash, number, .. } => (Accused::BlockHash, Address::ZERO, hash, number),
        Target::Published(proposal) => {
            let (kind, source) = kind(proposal.source);
            (kind, source, proposal.root, proposal.number)
        }
    };
    let (index, posted_at) = place(target);
    // One that was raised when its game was not the rollup's own yet convicts nobody.
    raised.published == target.is_published()
        && raised.kind == kind
        && raised.source == source
        && raised.index == index
        && raised.postedAt == posted_at
        && raised.accused == accused
        && raised.blockNumber == U256::from(number)
}

/// Index, and time in the oracle.
const fn place(target: &Target) -> (u64, u64) {
    match target {
        Target::Block { .. } => (0, 0),
        Target::Published(proposal) => (proposal.index, proposal.posted_at),
    }
}

const fn kind(source: Source) -> (Accused, Address) {
    match source {
        Source::Oracle(oracle) => (Accused::OracleOutput, oracle),
        Source::Game(game) => (Accused::GameClaim, game),
    }
}

#[async_trait]
impl ZkContract for L1ZkContract {
    fn context(&self) -> Context {
        Context {
            l1_chain_id: U256::from(self.submitter.chain_id()),
            service_manager: self.manager.address(),
            prover: self.submitter.sender(),
        }
    }

    async fn admit(
        &self,
        program: Program,
        program_id: B256,
        config_hash: B256,
    ) -> Result<(), ZkContractError> {
        let manager = self.manager.address();
        let request = Z::programsCall {
            program: program_id,
        };
        let entry = read(self.provider(), manager, &request).await?;
        let wanted = match program {
            Program::Block => ProgramKind::Block,
            _ => ProgramKind::Output,
        };
        let not_now = |reason: String| Err(ZkContractError::NotNow(reason.into()));
        if entry.verifier.is_zero() {
            return not_now(format!(
                "program {program_id} is not registered: have the owner schedule it"
            ));
        }
        if entry.kind != wanted {
            return not_now(format!(
                "program {program_id} is registered as one of another kind than {program}"
            ));
        }
        let is_active = self.manager.is_active_program(program_id).await;
        if !is_active.map_err(not_read)? {
            return not_now(format!("program {program_id} is not active"));
        }
        let is_active = self.manager.is_active_config(config_hash).await;
        if !is_active.map_err(not_read)? {
            return not_now(format!(
                "configuration {config_hash} is not active: have the owner schedule it"
            ));
        }
        Ok(())
    }

    async fn choose(&self, accusation: &Accusation) -> Result<(Target, Descent), ZkContractError> {
        self.judges(accusation).await?;
        let found = self.published(accusation, Wanted::Any).await?;
        if let Some((proposal, descent)) = found {
            return Ok((Target::Published(proposal), descent));
        }
        let target = Target::Block {
            hash: accusation.journal.block_hash,
            number: accusation.journal.block_number,
            expected: accusation.journal.output_root,
        };
        Ok((target, Descent::default()))
    }

    async fn unconvicted(
        &self,
        accusation: &Accusation,
    ) -> Result<Option<(Target, Descent)>, ZkContractError> {
        self.judges(accusation).await?;
        // What was proposed now is among the newest.
        let block = accusation.journal.block_hash;
        self.looks().retain(|(what, _), _| *what != block);
        let found = self.published(accusation, Wanted::Unconvicted).await?;
        Ok(found.map(|(proposal, descent)| (Target::Published(proposal), descent)))
    }

    async fn find(&self, target: &Target) -> Result<Option<B256>, ZkContractError> {
        let count = self.manager.alert_count().await.map_err(not_read)?;
        let mut end: u64 =
            (count.try_into()).map_err(|_| ZkContractError::Refused("too many alerts".into()))?;
        let last = end.saturating_sub(MAX_LOOKED_AT);
        while end > last {
            let start = end.saturating_sub(PAGE).max(last);
            let page = self.manager.alerts(U256::from(start), end - start).await;
            let page = page.map_err(not_read)?;
            let found = page.iter().rposition(|raised| is_about(raised, target));
            if let Some(position) = found {
                let id = U256::from(start) + U256::from(position);
                return Ok(Some(id.into()));
            }
            end = start;
        }
        Ok(None)
    }

    async fn raise(&self, target: &Target, most: U256) -> Result<B256, ZkContractError> {
        let (raise, about) = match *target {
            Target::Block {
                hash,
                number,
                expected,
            } => {
                let raise = Raise::BlockHash {
                    hash,
                    number,
                    expected,
                };
                (raise, hash)
            }
            Target::Published(proposal) => {
                let Proposal {
                    index, expected, ..
                } = proposal;
                let raise = match proposal.source {
                    Source::Oracle(_) => Raise::OracleOutput { index, expected },
                    Source::Game(_) => Raise::GameClaim { index, expected },
                };
                (raise, proposal.root)
            }
        };
        let (_, posted_at) = place(target);
        let raised = (self.manager).raise_within(&self.submitter, &raise, about, posted_at, most);
        let id = raised.await.map_err(|error| match error {
            RaiseError::Call(error) => not_read(error),
            // The contract's owner may lower it, and ours may pay more.
            error @ RaiseError::BondAbove { .. } => ZkContractError::NotNow(error.into()),
            RaiseError::Submit(error) => not_sent(error),
            error => ZkContractError::Refused(error.into()),
        })?;
        let is_it = is_about(&self.manager.alert(id).await.map_err(not_read)?, target);
        if is_it {
            return Ok(id.into());
        }
        error!(%id, "what was accused was replaced, or is not the rollup's own: the bond of the alert may be lost");
        let reason = format!("alert {id} is about what has replaced it, or convicts nobody");
        Err(ZkContractError::Gone(reason.into()))
    }

    async fn state(&self, id: B256, target: &Target) -> Result<AlertState, ZkContractError> {
        let raised = match self.manager.alert(number(id)).await {
            Ok(raised) => raised,
            Err(CallError::Reverted { data, .. }) if is_unknown(&data) => {
                return Ok(AlertState::Missing);
            }
            Err(error) => return Err(not_read(error)),
        };
        if !is_about(&raised, target) {
            return Ok(AlertState::Missing);
        }
        Ok(match raised.status {
            Status::Raised => AlertState::Raised,
            Status::Proved => AlertState::Proved,
            Status::Refuted => AlertState::Refuted,
            Status::Expired => AlertState::Expired,
            Status::__Invalid => {
                return Err(ZkContractError::Refused("a state that is not known".into()));
            }
        })
    }

    async fn is_settled(&self, id: B256, target: &Target) -> Result<bool, ZkContractError> {
        let block = match self.settlement {
            Settlement::Finalized => BlockId::finalized(),
            Settlement::Depth(depth) => {
                let head = self.provider().get_block_number().await;
                let head = head.map_err(|error| ZkContractError::Backend(error.into()))?;
                match head.checked_sub(depth) {
                    Some(number) => BlockId::number(number),
                    None => return Ok(false),
                }
            }
        };
        let request = Z::getAlertCall { id: number(id) };
        let transaction = TransactionRequest::default()
            .to(self.manager.address())
            .input(request.abi_encode().into());
        let answer = match self.provider().call(transaction).block(block).await {
            // The contract itself is younger.
            Ok(answer) if answer.is_empty() => return Ok(false),
            Ok(answer) => answer,
            Err(error) => {
                let revert = (error.as_error_resp()).and_then(|error| error.as_revert_data());
                return match revert {
                    Some(data) if is_unknown(&data) => Ok(false),
                    _ => Err(ZkContractError::Backend(error.into())),
                };
            }
        };
        let raised = Z::getAlertCall::abi_decode_returns(&answer);
        let raised = raised.map_err(|error| ZkContractError::Backend(error.into()))?;
        Ok(is_about(&raised, target) && raised.status == Status::Proved)
    }

    async fn submit(
        &self,
        id: B256,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<(), ZkContractError> {
        let path = match target {
            Target::Block { .. } => Path::default(),
            Target::Published(_) => self.path(descent).await?,
        };
        let claim = claim(&proof.journal);
        let sent = self.manager.submit_proof(
            &self.submitter,
            number(id),
            proof.program_id,
            &claim,
            &proof.proof,
            &path,
        );
        match sent.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.not_taken(error, proof).await?),
        }
    }

    async fn accuse(
        &self,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<B256, ZkContractError> {
        let Target::Published(proposal) = target else {
            let reason = "nobody published what is accused";
            return Err(ZkContractError::Refused(reason.into()));
        };
        let request = Z::accuseCall {
            kind: kind(proposal.source).0,
            index: U256::from(proposal.index),
            program: proof.program_id,
            claim: claim(&proof.journal),
            proof: proof.proof.clone(),
            path: self.path(descent).await?,
        };
        let sent = self.submitter.call(self.manager.address(), &request).await;
        let receipt = match sent {
            Ok(receipt) => receipt,
            Err(error) if has_moved(&error) => return Err(ZkContractError::Gone(error.into())),
            Err(error) => return Err(self.not_taken(error, proof).await?),
        };
        raised_by(self.manager.address(), &receipt)
    }

    async fn open(&self, alert: &Alert) -> Result<Option<Descent>, ZkContractError> {
        self.is_about_rollup(alert)?;
        self.opened(alert).await
    }

    async fn convict(
        &self,
        alert: &Alert,
        opened: &Descent,
    ) -> Result<Option<(B256, Target)>, ZkContractError> {
        self.convicted(alert, opened).await
    }
}

/// Id of the alert that a transaction has raised.
fn raised_by(manager: Address, receipt: &TransactionReceipt) -> Result<B256, ZkContractError> {
    let id = receipt.inner.logs().iter().find_map(|log| {
        let event = Z::AlertRaised::decode_log(&log.inner).ok()?;
        (log.address() == manager).then_some(event.id)
    });
    let reason = "the transaction has raised no alert";
    id.map(B256::from)
        .ok_or_else(|| ZkContractError::Refused(reason.into()))
}

/// The words of a journal that the contract does not know by itself.
const fn claim(journal: &Journal) -> Claim {
    Claim {
        configHash: journal.config_hash,
        parentHash: journal.parent_hash,
        blockHash: journal.block_hash,
        blockNumber: journal.block_number,
        fault: journal.fault,
        claimed: journal.claimed,
        computed: journal.computed,
        outputRoot: journal.output_root,
    }
}
