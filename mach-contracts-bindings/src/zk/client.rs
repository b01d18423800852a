//! Calls of a `MachZkServiceManager`.

use alloy_primitives::{Address, B256, Bytes, ChainId, U256, keccak256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::{SolCall, SolEvent};

use super::abi::{
    Accused, Alert, Claim, Conviction, IMachZkServiceManager as Z, Opening, Path, ProgramKind,
    Verdict,
};
use crate::{CallError, SubmitError, Submitter, call::call};

/// A `MachZkServiceManager`: alerts about one rollup, each decided by a proof or by the EVM itself.
///
/// Alerts are numbered from 0 in the order in which they were raised.
#[derive(Clone, Debug)]
pub struct ZkServiceManager {
    provider: DynProvider,
    address: Address,
}

/// What is accused, with the output root that the alerter has instead, zero if it does not say.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raise {
    /// A header by its hash, that nobody published on L1.
    BlockHash {
        /// Its hash.
        hash: B256,
        /// Its height.
        number: u64,
        /// The right output root.
        expected: B256,
    },
    /// An output root that nobody published on L1.
    OutputRoot {
        /// The root.
        root: B256,
        /// Height of its block.
        number: u64,
        /// The right output root.
        expected: B256,
    },
    /// An output in the rollup's `L2OutputOracle`.
    OracleOutput {
        /// Its index.
        index: u64,
        /// The right output root.
        expected: B256,
    },
    /// The root claim of a dispute game.
    GameClaim {
        /// Index of the game in the factory.
        index: u64,
        /// The right output root.
        expected: B256,
    },
}

impl Raise {
    /// The call that raises it.
    pub fn calldata(&self) -> Bytes {
        match *self {
            Self::BlockHash {
                hash,
                number,
                expected,
            } => Z::alertBlockHashCall {
                blockHash: hash,
                expectOutputRoot: expected,
                l2BlockNumber: U256::from(number),
            }
            .abi_encode(),
            Self::OutputRoot {
                root,
                number,
                expected,
            } => Z::alertBlockMismatchCall {
                invalidOutputRoot: root,
                expectOutputRoot: expected,
                l2BlockNumber: U256::from(number),
            }
            .abi_encode(),
            Self::OracleOutput { index, expected } => Z::alertBlockOutputOracleMismatchCall {
                invalidOutputIndex: U256::from(index),
                expectOutputRoot: expected,
            }
            .abi_encode(),
            Self::GameClaim { index, expected } => Z::alertDisputeGameMismatchCall {
                invalidGameIndex: U256::from(index),
                expectOutputRoot: expected,
            }
            .abi_encode(),
        }
        .into()
    }
}

impl ZkServiceManager {
    /// The service manager at `address` of the chain behind `provider`.
    pub fn new(provider: impl Provider + 'static, address: Address) -> Self {
        Self {
            provider: provider.erased(),
            address,
        }
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    pub(super) const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Raises an alert and pays its bond; returns its number.
    ///
    /// Raising the same from the same account again has the effect of raising it once, also after a restart: see
    /// [`Submitter::submit`].
    pub async fn raise(&self, submitter: &Submitter, raise: &Raise) -> Result<U256, RaiseError> {
        self.raise_as(submitter, raise, &[], U256::MAX).await
    }

    /// [`Self::raise`] for a bond of at most `most` wei, about the root that stands at the index since `posted_at`: the oracle
    /// gives an index to another output when it deletes outputs, or to the same one again, and the same call is another
    /// alert then.
    ///
    /// Errors: [`RaiseError::BondAbove`] if it costs more; nothing was sent then.
    pub async fn raise_within(
        &self,
        submitter: &Submitter,
        raise: &Raise,
        accused: B256,
        posted_at: u64,
        most: U256,
    ) -> Result<U256, RaiseError> {
        let about = [accused.as_slice(), &posted_at.to_be_bytes()].concat();
        self.raise_as(submitter, raise, &about, most).await
    }

    async fn raise_as(
        &self,
        submitter: &Submitter,
        raise: &Raise,
        about: &[u8],
        most: U256,
    ) -> Result<U256, RaiseError> {
        let bond = self.bond().await?;
        if bond > most {
            return Err(RaiseError::BondAbove { bond, most });
        }
        let calldata = raise.calldata();
        let intent = keccak256([self.address.as_slice(), &calldata, about].concat());
        let receipt = submitter.pay(intent, self.address, calldata, bond).await?;
        let raised = receipt.inner.logs().iter().find_map(|log| {
            let ours = log.address() == self.address;
            let event = Z::AlertRaised::decode_log(&log.inner).ok()?;
            ours.then_some(event.id)
        });
        raised.ok_or(RaiseError::NotRaised(receipt.transaction_hash))
    }

    /// Shows a proof of the submitter's account for an alert.
    pub async fn submit_proof(
        &self,
        submitter: &Submitter,
        id: U256,
        program: B256,
        claim: &Claim,
        proof: &Bytes,
        path: &Path,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::submitProveCall {
            id,
            program,
            claim: claim.clone(),
            proof: proof.clone(),
            path: path.clone(),
        };
        submitter.call(self.address, &call).await
    }

    /// Has a proof of the submitter's account verified and kept, without an alert.
    ///
    /// If it contradicts one that is kept, that is kept too, and neither decides an alert.
    pub async fn record_proof(
        &self,
        submitter: &Submitter,
        program: B256,
        claim: &Claim,
        proof: &Bytes,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::recordProofCall {
            program,
            claim: claim.clone(),
            proof: proof.clone(),
        };
        submitter.call(self.address, &call).await
    }

    /// Decides an alert by a proof that is kept already.
    pub async fn settle(
        &self,
        submitter: &Submitter,
        id: U256,
        config_hash: B256,
        kind: ProgramKind,
        path: &Path,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::settleCall {
            id,
            configHash: config_hash,
            kind,
            path: path.clone(),
        };
        submitter.call(self.address, &call).await
    }

    /// Convicts an output root that contradicts the header that it names, in the EVM.
    ///
    /// `header` is RLP; `account_proof` is the message passer's from `eth_getProof`, empty from Isthmus on.
    pub async fn convict_directly(
        &self,
        submitter: &Submitter,
        id: U256,
        opening: &Opening,
        header: &Bytes,
        account_proof: &[Bytes],
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::convictDirectlyCall {
            id,
            opening: opening.clone(),
            header: header.clone(),
            accountProof: account_proof.to_vec(),
        };
        submitter.call(self.address, &call).await
    }

    /// [`Self::convict_directly`] for something on L1 without an alert before it and without a bond; refused if it is convicted
    /// already.
    pub async fn accuse_directly(
        &self,
        submitter: &Submitter,
        kind: Accused,
        index: u64,
        opening: &Opening,
        header: &Bytes,
        account_proof: &[Bytes],
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::accuseDirectlyCall {
            kind,
            index: U256::from(index),
            opening: opening.clone(),
            header: header.clone(),
            accountProof: account_proof.to_vec(),
        };
        submitter.call(self.address, &call).await
    }

    /// Refutes an alert about what is not on L1 whose header has another number than the alert says.
    pub async fn refute_directly(
        &self,
        submitter: &Submitter,
        id: U256,
        opening: &Opening,
        header: &Bytes,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = Z::refuteDirectlyCall {
            id,
            opening: opening.clone(),
            header: header.clone(),
        };
        submitter.call(self.address, &call).await
    }

    /// Takes the bond of an alert that nobody proved in time.
    pub async fn expire(
        &self,
        submitter: &Submitter,
        id: U256,
    ) -> Result<TransactionReceipt, SubmitError> {
        submitter.call(self.address, &Z::expireCall { id }).await
    }

    /// Pays out what the submitter's account may withdraw.
    pub async fn withdraw(
        &self,
        submitter: &Submitter,
        to: Address,
    ) -> Result<TransactionReceipt, SubmitError> {
        submitter.call(self.address, &Z::withdrawCall { to }).await
    }

    /// An alert.
    pub async fn alert(&self, id: U256) -> Result<Alert, CallError> {
        call(&self.provider, self.address, &Z::getAlertCall { id }).await
    }

    /// Until when an alert keeps its bond without a proof, in seconds of the contract's clock, which stands still while it is
    /// paused.
    pub async fn deadline(&self, id: U256) -> Result<u64, CallError> {
        call(&self.provider, self.address, &Z::deadlineCall { id }).await
    }

    /// How many alerts were raised.
    pub async fn alert_count(&self) -> Result<U256, CallError> {
        call(&self.provider, self.address, &Z::getAlertsLengthCall {}).await
    }

    /// At most `size` alerts from number `start` on.
    pub async fn alerts(&self, start: U256, size: u64) -> Result<Vec<Alert>, CallError> {
        let request = Z::queryAlertsCall {
            start,
            size: U256::from(size),
        };
        call(&self.provider, self.address, &request).await
    }

    /// Convictions of the rollup that nobody cleared.
    pub async fn convictions(&self, rollup: ChainId) -> Result<U256, CallError> {
        let request = Z::totalAlertsCall {
            rollupChainId: U256::from(rollup),
        };
        call(&self.provider, self.address, &request).await
    }

    /// Whether an output root that is, or was, on L1 is convicted. `index` and `posted_at`, the output's timestamp
    /// in the oracle, are 0 for a game.
    pub async fn conviction(
        &self,
        source: Address,
        index: u64,
        posted_at: u64,
        output_root: B256,
    ) -> Result<Conviction, CallError> {
        let request = Z::convictionCall {
            source,
            index,
            postedAt: posted_at,
            outputRoot: output_root,
        };
        call(&self.provider, self.address, &request).await
    }

    /// What decides of what was proved of a header, if anything that counts was.
    pub async fn verdict(
        &self,
        config_hash: B256,
        block_hash: B256,
        kind: ProgramKind,
    ) -> Result<Option<Verdict>, CallError> {
        let request = Z::verdictCall {
            configHash: config_hash,
            blockHash: block_hash,
            kind,
        };
        let verdict = call(&self.provider, self.address, &request).await?;
        Ok((!verdict.program.is_zero()).then_some(verdict))
    }

    /// The program of a proof that contradicts what was proved of a header, so that neither counts until the owner retires one.
    pub async fn contradicted_by(
        &self,
        config_hash: B256,
        block_hash: B256,
        kind: ProgramKind,
    ) -> Result<Option<B256>, CallError> {
        let request = Z::contradictedByCall {
            configHash: config_hash,
            blockHash: block_hash,
            kind,
        };
        let program = call(&self.provider, self.address, &request).await?;
        Ok((!program.is_zero()).then_some(program))
    }

    /// Digest of the journal that `prover`'s proof has to have.
    pub async fn journal_digest(&self, prover: Address, claim: &Claim) -> Result<B256, CallError> {
        let request = Z::journalDigestCall {
            prover,
            claim: claim.clone(),
        };
        call(&self.provider, self.address, &request).await
    }

    /// Whether proofs of the program count now.
    pub async fn is_active_program(&self, program: B256) -> Result<bool, CallError> {
        let request = Z::isActiveProgramCall { program };
        call(&self.provider, self.address, &request).await
    }

    /// Whether proofs under the configuration count now.
    pub async fn is_active_config(&self, config_hash: B256) -> Result<bool, CallError> {
        let request = Z::isActiveConfigCall {
            configHash: config_hash,
        };
        call(&self.provider, self.address, &request).await
    }

    /// Number of the last block that the configuration judges now.
    pub async fn horizon(&self, config_hash: B256) -> Result<u64, CallError> {
        let request = Z::horizonCall {
            configHash: config_hash,
        };
        call(&self.provider, self.address, &request).await
    }

    /// What an alert costs until it is proved, in wei.
    pub async fn bond(&self) -> Result<U256, CallError> {
        let bond = call(&self.provider, self.address, &Z::bondCall {}).await?;
        Ok(U256::from(bond))
    }

    /// What `account` may withdraw, in wei.
    pub async fn withdrawable(&self, account: Address) -> Result<U256, CallError> {
        call(
            &self.provider,
            self.address,
            &Z::withdrawableCall { account },
        )
        .await
    }
}

/// Why an alert was not raised.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RaiseError {
    /// The bond cannot be read.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The transaction failed.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The bond is higher than the caller pays. Nothing was sent.
    #[error("an alert costs a bond of {bond} wei, and no more than {most} is to be paid")]
    BondAbove {
        /// What the contract asks for, in wei.
        bond: U256,
        /// Most that is to be paid, in wei.
        most: U256,
    },
    /// The receipt has no alert: the address is that of another contract.
    #[error("transaction {0} raised no alert")]
    NotRaised(B256),
}
