use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_provider::Provider;
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use mach_contracts_bindings::{
    CallError, SubmitError, Submitter,
    zk::{
        Raise, RaiseError, ZkServiceManager,
        abi::{Accused, Alert as Raised, Claim, Opening, Path, Status},
    },
};
use mach_core::AlertKind;
use mach_prove::{Context, Journal, Proof};

use super::{Accusation, AlertState, ZkContract, ZkContractError};

/// Alerts that are read at a time.
const PAGE: u64 = 256;
/// Most alerts that are looked through, the newest first.
const MAX_LOOKED_AT: u64 = 65_536;

/// A `MachZkServiceManager`, with the account that raises alerts and hands proofs in.
///
/// A block whose output root is in the rollup's `L2OutputOracle` is accused there, and convicts the
/// rollup; any other by its hash, which convicts nobody but costs no more than the bond until it is
/// proved. A wrong output root is not for a proof: whoever knows what it is the hash of convicts it in
/// the EVM.
#[derive(Debug)]
pub struct L1ZkContract {
    manager: ZkServiceManager,
    submitter: Submitter,
    oracle: Option<Address>,
}

alloy_sol_types::sol! {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    function getL2OutputIndexAfter(uint256 l2BlockNumber) external view returns (uint256);
    function getL2Output(uint256 index) external view returns (OutputProposal memory);
}

impl L1ZkContract {
    /// The service manager, and the account of `submitter`. `oracle` is the rollup's
    /// `L2OutputOracle`, if it has one.
    pub const fn new(
        manager: ZkServiceManager,
        submitter: Submitter,
        oracle: Option<Address>,
    ) -> Self {
        Self {
            manager,
            submitter,
            oracle,
        }
    }

    /// What there is to accuse.
    async fn accused(&self, accusation: &Accusation) -> Result<Raise, ZkContractError> {
        if accusation.alert.kind != AlertKind::InvalidBlock {
            let reason = "only a block is convicted by a proof of what execution gives";
            return Err(ZkContractError::Refused(reason.into()));
        }
        let expected = accusation.journal.output_root;
        if let Some(index) = self.published(accusation).await? {
            return Ok(Raise::OracleOutput { index, expected });
        }
        Ok(Raise::BlockHash {
            hash: accusation.journal.block_hash,
            number: accusation.journal.block_number,
            expected,
        })
    }

    /// Index of the output that names the block, if the oracle has it.
    async fn published(&self, accusation: &Accusation) -> Result<Option<u64>, ZkContractError> {
        let (Some(oracle), Some(opening)) = (self.oracle, opening(accusation)) else {
            return Ok(None);
        };
        let number = U256::from(accusation.journal.block_number);
        let provider = self.submitter.provider();
        let ask = |input: Vec<u8>| {
            let request = alloy_rpc_types_eth::TransactionRequest::default()
                .to(oracle)
                .input(input.into());
            provider.call(request)
        };
        let after = getL2OutputIndexAfterCall {
            l2BlockNumber: number,
        };
        let index = match ask(after.abi_encode()).await {
            Ok(answer) => getL2OutputIndexAfterCall::abi_decode_returns(&answer),
            // It reverts where there is none yet.
            Err(error) if error.is_error_resp() => return Ok(None),
            Err(error) => return Err(ZkContractError::Backend(error.into())),
        };
        let index = index.map_err(|error| ZkContractError::Backend(error.into()))?;
        let output = getL2OutputCall { index };
        let answer = ask(output.abi_encode()).await;
        let answer = answer.map_err(|error| ZkContractError::Backend(error.into()))?;
        let output = getL2OutputCall::abi_decode_returns(&answer)
            .map_err(|error| ZkContractError::Backend(error.into()))?;
        let index = u64::try_from(index).ok();
        Ok(index.filter(|_| output.outputRoot == root(&opening)))
    }

    async fn raised(&self, id: B256) -> Result<Raised, ZkContractError> {
        self.manager
            .alert(U256::from_be_bytes(id.0))
            .await
            .map_err(not_read)
    }
}

/// What the output root of the accused header is the hash of; `None` before Isthmus, where the header
/// does not say it.
fn opening(accusation: &Accusation) -> Option<Opening> {
    Some(Opening {
        stateRoot: accusation.header.state_root,
        messagePasserStorageRoot: accusation.header.withdrawals_root?,
        blockHash: accusation.journal.block_hash,
    })
}

fn root(opening: &Opening) -> B256 {
    let words = [
        B256::ZERO,
        opening.stateRoot,
        opening.messagePasserStorageRoot,
        opening.blockHash,
    ];
    keccak256(words.concat())
}

/// Whether `raised` is the alert that `raise` would raise.
fn is_same(raised: &Raised, raise: &Raise) -> bool {
    match *raise {
        Raise::BlockHash { hash, number, .. } => {
            raised.kind == Accused::BlockHash
                && raised.accused == hash
                && raised.blockNumber == U256::from(number)
        }
        Raise::OracleOutput { index, .. } => {
            raised.kind == Accused::OracleOutput && raised.index == U256::from(index)
        }
        _ => false,
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

    async fn find(&self, accusation: &Accusation) -> Result<Option<B256>, ZkContractError> {
        let raise = self.accused(accusation).await?;
        let mut end: u64 = (self.manager.alert_count().await.map_err(not_read)?)
            .try_into()
            .map_err(|_| ZkContractError::Refused("too many alerts".into()))?;
        let last = end.saturating_sub(MAX_LOOKED_AT);
        while end > last {
            let start = end.saturating_sub(PAGE).max(last);
            let page = self.manager.alerts(U256::from(start), end - start).await;
            let page = page.map_err(not_read)?;
            let found = page.iter().rposition(|raised| is_same(raised, &raise));
            if let Some(position) = found {
                let id = U256::from(start) + U256::from(position);
                return Ok(Some(id.into()));
            }
            end = start;
        }
        Ok(None)
    }

    async fn raise(&self, accusation: &Accusation) -> Result<B256, ZkContractError> {
        let raise = self.accused(accusation).await?;
        let raised = self.manager.raise(&self.submitter, &raise).await;
        raised.map(B256::from).map_err(|error| match error {
            RaiseError::Call(error) => not_read(error),
            RaiseError::Submit(error) => not_sent(error),
            error => ZkContractError::Refused(error.into()),
        })
    }

    async fn state(&self, id: B256) -> Result<AlertState, ZkContractError> {
        Ok(match self.raised(id).await?.status {
            Status::Raised => AlertState::Raised,
            Status::Proved => AlertState::Proved,
            Status::Refuted => AlertState::Refuted,
            Status::Expired => AlertState::Expired,
            Status::__Invalid => {
                return Err(ZkContractError::Refused("a state that is not known".into()));
            }
        })
    }

    async fn submit(
        &self,
        id: B256,
        accusation: &Accusation,
        proof: &Proof,
    ) -> Result<(), ZkContractError> {
        let path = match self.raised(id).await?.kind {
            Accused::BlockHash => Path::default(),
            _ => Path {
                opening: opening(accusation).unwrap_or_default(),
                headers: Vec::new(),
            },
        };
        let claim = claim(&proof.journal);
        let sent = self.manager.submit_proof(
            &self.submitter,
            U256::from_be_bytes(id.0),
            proof.program_id,
            &claim,
            &proof.proof,
            &path,
        );
        sent.await.map(drop).map_err(not_sent)
    }
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

fn not_read(error: CallError) -> ZkContractError {
    if error.is_transient() {
        ZkContractError::Backend(error.into())
    } else {
        ZkContractError::Refused(error.into())
    }
}

fn not_sent(error: SubmitError) -> ZkContractError {
    if error.is_transient() {
        ZkContractError::Backend(error.into())
    } else {
        ZkContractError::Refused(error.into())
    }
}
