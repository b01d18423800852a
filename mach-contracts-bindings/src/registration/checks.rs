//! What contracts would refuse, found before anything is sent.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, Signature, aliases::U192};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::SolCall;
use mach_core::{OperatorId, QuorumNumbers, Stake};

use super::{Avs, OptIn, RegistrationError};
use crate::{
    CallError, Unsigned,
    abi::{
        IBLSApkRegistry, IDelegationManager, IERC1271, IMachRegistry, IRegistryCoordinator,
        IRegistryCoordinatorChurn, IStakeRegistry,
    },
    call::{call, probe},
    convert::stake_from_u96,
};

/// What the coordinator knows of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its BLS key.
    pub(super) id: Option<OperatorId>,
    /// Quorums that it is in, as bits.
    pub(super) quorums: U192,
}

impl Avs {
    pub(super) async fn known(&self, operator: Address) -> Result<Known, CallError> {
        let request = IBLSApkRegistry::operatorToPubkeyHashCall { operator };
        let id = call(self.provider(), self.apk_registry(), &request).await?;
        let quorums = if id.is_zero() {
            U192::ZERO
        } else {
            let request = IRegistryCoordinator::getCurrentQuorumBitmapCall { operatorId: id };
            self.ask(&request).await?
        };
        Ok(Known {
            id: (!id.is_zero()).then_some(OperatorId(id)),
            quorums,
        })
    }

    /// The checks of both worlds. Gives the id of the key that the operator is registered with afterwards.
    pub(super) async fn check_opt_in(
        &self,
        opt_in: &OptIn,
        known: &Known,
    ) -> Result<OperatorId, RegistrationError> {
        let count = self.ask(&IRegistryCoordinator::quorumCountCall {}).await?;
        for quorum in opt_in.quorums.iter() {
            if quorum >= count {
                return Err(RegistrationError::UnknownQuorum { quorum, count });
            }
            if known.quorums.bit(usize::from(quorum)) {
                return Err(RegistrationError::AlreadyRegistered(quorum));
            }
        }
        if let Some(churn) = &opt_in.churn {
            let named = churn.kicks.iter().map(|(quorum, _)| *quorum);
            if !named.eq(opt_in.quorums.iter()) {
                return Err(RegistrationError::Kicks {
                    quorums: opt_in.quorums.len(),
                    kicks: churn.kicks.len(),
                });
            }
        }
        let id = self.check_key(opt_in, known).await?;
        if let Some(delegation_manager) = self.delegation_manager() {
            let operator = opt_in.operator;
            let request = IDelegationManager::isOperatorCall { operator };
            if !call(self.provider(), delegation_manager, &request).await? {
                return Err(RegistrationError::NotAnOperator(operator));
            }
        }
        for quorum in opt_in.quorums.iter() {
            self.check_quorum(opt_in, quorum).await?;
        }
        Ok(id)
    }

    async fn check_key(
        &self,
        opt_in: &OptIn,
        known: &Known,
    ) -> Result<OperatorId, RegistrationError> {
        let offered = opt_in.key.as_ref().map(super::KeyProof::id);
        match (known.id, offered) {
            (Some(registered), Some(offered)) if registered != offered => {
                Err(RegistrationError::OtherKey {
                    registered,
                    offered,
                })
            }
            (Some(registered), _) => Ok(registered),
            (None, None) => {
                let digest = self.key_digest(opt_in.operator).await?;
                Err(RegistrationError::NoKey(digest))
            }
            (None, Some(id)) => {
                let request = IBLSApkRegistry::pubkeyHashToOperatorCall { pubkeyHash: id.0 };
                let owner = call(self.provider(), self.apk_registry(), &request).await?;
                if !owner.is_zero() {
                    return Err(RegistrationError::KeyTaken { id, owner });
                }
                Ok(id)
            }
        }
    }

    async fn check_quorum(&self, opt_in: &OptIn, quorum: u8) -> Result<(), RegistrationError> {
        let (weight, minimum) = self.weight(opt_in.operator, quorum).await?;
        if weight < minimum {
            return Err(RegistrationError::BelowMinimumStake {
                quorum,
                weight,
                minimum,
            });
        }
        if opt_in.churn.is_some() {
            return Ok(());
        }
        if let Some(max_operators) = self.max_operators(quorum).await?
            && self.operators(quorum).await? >= max_operators
        {
            return Err(RegistrationError::QuorumFull {
                quorum,
                max_operators,
            });
        }
        Ok(())
    }

    /// Stake of an operator as the quorum weighs it, a member or not, and the least that it asks for.
    pub(super) async fn weight(
        &self,
        operator: Address,
        quorum: u8,
    ) -> Result<(Stake, Stake), CallError> {
        let weight = IStakeRegistry::weightOfOperatorForQuorumCall {
            quorumNumber: quorum,
            operator,
        };
        let minimum = IStakeRegistry::minimumStakeForQuorumCall {
            quorumNumber: quorum,
        };
        let (provider, registry) = (self.provider(), self.stake_registry());
        let mut weight = stake_from_u96(call(provider, registry, &weight).await?);
        if weight == Stake::ZERO {
            weight = self.allocated(operator, quorum).await?;
        }
        let minimum = stake_from_u96(call(provider, registry, &minimum).await?);
        Ok((weight, minimum))
    }

    /// Members of a quorum.
    pub(super) async fn operators(&self, quorum: u8) -> Result<u32, CallError> {
        let request = IStakeRegistry::totalOperatorsForQuorumCall {
            quorumNumber: quorum,
        };
        call(self.provider(), self.index_registry(), &request).await
    }

    /// Most members of a quorum, where the coordinator says so.
    pub(super) async fn max_operators(&self, quorum: u8) -> Result<Option<u32>, CallError> {
        let request = IRegistryCoordinatorChurn::getOperatorSetParamsCall {
            quorumNumber: quorum,
        };
        if let Some(params) = self.probe(&request).await? {
            return Ok(Some(params.maxOperatorCount));
        }
        let request = IMachRegistry::maxOperatorCountForQuorumCall {
            quorumNumber: quorum,
        };
        self.probe(&request).await
    }

    /// Whether a signature with this `expiry` can still be used in the newest block.
    pub(super) async fn check_expiry(
        &self,
        what: &'static str,
        expiry: u64,
    ) -> Result<(), RegistrationError> {
        let head = self
            .provider()
            .get_block_by_number(BlockNumberOrTag::Latest);
        let head = head.await.map_err(CallError::from)?;
        let now = head.map_or(0, |block| block.header.timestamp);
        if expiry < now {
            return Err(RegistrationError::Expired { what, expiry, now });
        }
        Ok(())
    }

    /// Whether `account` signed `digest`; what is missing if there is no signature.
    pub(super) async fn check_signature(
        &self,
        what: &str,
        account: Address,
        digest: B256,
        signature: Option<&Bytes>,
    ) -> Result<Option<Unsigned>, RegistrationError> {
        let Some(signature) = signature else {
            return Ok(Some(Unsigned {
                what: what.to_owned(),
                signer: account,
                digest,
            }));
        };
        let code = self.provider().get_code_at(account).await;
        let code = code.map_err(CallError::from)?;
        if code.is_empty() {
            check_key_signature(account, digest, signature)?;
            return Ok(None);
        }
        // A key's account that runs code (EIP-7702) may sign either way; which one counts is up to the
        // release, and the simulation tells.
        let delegated = code.starts_with(&[0xef, 0x01, 0x00]);
        if accepts(self.provider(), account, digest, signature).await?
            || (delegated && check_key_signature(account, digest, signature).is_ok())
        {
            return Ok(None);
        }
        Err(RegistrationError::SignatureRefused { account, digest })
    }
}

fn check_key_signature(
    account: Address,
    digest: B256,
    signature: &Bytes,
) -> Result<(), RegistrationError> {
    let malformed = |_| RegistrationError::MalformedSignature(signature.len());
    let signer = Signature::from_raw(signature)
        .and_then(|signature| signature.recover_address_from_prehash(&digest))
        .map_err(malformed)?;
    if signer != account {
        return Err(RegistrationError::OtherSigner { account, signer });
    }
    Ok(())
}

/// Asks a contract whether a signature is its own (EIP-1271).
async fn accepts(
    provider: &DynProvider,
    account: Address,
    digest: B256,
    signature: &Bytes,
) -> Result<bool, CallError> {
    let request = IERC1271::isValidSignatureCall {
        hash: digest,
        signature: signature.clone(),
    };
    let answer = probe(provider, account, &request).await?;
    // The standard's magic value is the function's own selector.
    Ok(answer.is_some_and(|magic| magic == IERC1271::isValidSignatureCall::SELECTOR))
}

/// The first of `quorums` that an operator in the quorums of `bitmap` is not in.
pub(super) fn missing(quorums: &QuorumNumbers, bitmap: U192) -> Option<u8> {
    quorums
        .iter()
        .find(|quorum| !bitmap.bit(usize::from(*quorum)))
}
