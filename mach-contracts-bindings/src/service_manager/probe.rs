//! Which contract it is that is at an address.

use core::fmt;

use alloy_primitives::{Address, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_transport::TransportError;

use super::legacy::{IMachOptimismZkServiceManager as Zk, IMachServiceManagerV1 as V1};
use crate::{
    abi::IMachServiceManager as I,
    call::{answer, has_code, has_function},
};

/// Generation of a service manager, which decides about its calls and about what operators sign.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// The first: no rollup, the owner keeps the allowlist.
    V1_0,
    /// One rollup for ever, and the whitelister keeps the allowlist.
    V1_1,
    /// One rollup that the owner may change.
    V1_2,
    /// Many rollups, named in the alert and not signed.
    V1_5,
    /// Many rollups, and the signature binds the rollup.
    V2,
    /// Mach's own: typed statements that prove themselves, and the calls of V2.
    V3,
}

/// What operators sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// [`digest_v1`](mach_core::legacy::digest_v1): message hash and reference block.
    V1,
    /// [`digest_v2`](mach_core::legacy::digest_v2): these and the rollup.
    V2,
    /// [`Statement::digest`](mach_core::Statement::digest): typed data of one contract on one chain.
    V3,
}

impl Generation {
    /// What operators sign, the best that the contract takes.
    pub const fn digest(self) -> DigestKind {
        match self {
            Self::V1_0 | Self::V1_1 | Self::V1_2 | Self::V1_5 => DigestKind::V1,
            Self::V2 => DigestKind::V2,
            Self::V3 => DigestKind::V3,
        }
    }

    /// Whether alerts name their rollup, of which there may be many.
    pub const fn has_rollups(self) -> bool {
        matches!(self, Self::V1_5 | Self::V2 | Self::V3)
    }

    /// The name: `V1.0`, `V1.1`, `V1.2`, `V1.5`, `V2` or `V3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "V1.0",
            Self::V1_1 => "V1.1",
            Self::V1_2 => "V1.2",
            Self::V1_5 => "V1.5",
            Self::V2 => "V2",
            Self::V3 => "V3",
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for DigestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
        })
    }
}

/// What the contract at an address turned out to be.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The service manager.
    pub address: Address,
    /// Its generation.
    pub generation: Generation,
    /// The coordinator that it believes.
    pub registry_coordinator: Address,
    /// The only rollup of a V1.1 or V1.2.
    pub rollup: Option<ChainId>,
    provider: DynProvider,
}

impl Probe {
    /// Finds out by calls what the contract at `address` is; nothing is sent.
    ///
    /// Errors: [`ProbeError`].
    pub async fn read(
        provider: impl Provider + 'static,
        address: Address,
    ) -> Result<Self, ProbeError> {
        let provider = provider.erased();
        if !has_code(&provider, address).await? {
            let chain_id = provider.get_chain_id().await?;
            return Err(ProbeError::NoCode { address, chain_id });
        }
        let coordinator = I::registryCoordinatorCall {};
        let Some(registry_coordinator) = answer(&provider, address, &coordinator).await? else {
            return Err(ProbeError::NotAServiceManager(address));
        };
        let (generation, rollup) = generation(&provider, address).await?;
        Ok(Self {
            address,
            generation,
            registry_coordinator,
            rollup,
            provider,
        })
    }

    /// Which of `candidates` the service manager takes alerts about.
    ///
    /// A V1.0 names no rollup: its alerts are about whichever it was made for, and all are returned.
    pub async fn enabled_rollups(
        &self,
        candidates: &[ChainId],
    ) -> Result<Vec<ChainId>, TransportError> {
        if let Some(only) = self.rollup {
            let found = candidates.iter().filter(|id| **id == only);
            return Ok(found.copied().collect());
        }
        if !self.generation.has_rollups() {
            return Ok(candidates.to_vec());
        }
        let mut enabled = Vec::new();
        for id in candidates {
            let request = I::rollupChainIDsCall {
                rollupChainId: U256::from(*id),
            };
            if answer(&self.provider, self.address, &request).await? == Some(true) {
                enabled.push(*id);
            }
        }
        Ok(enabled)
    }

    /// How many alerts about a rollup are active. V1.0 to V1.2 count those of their only rollup.
    pub async fn active_alerts(&self, rollup: ChainId) -> Result<Option<u64>, TransportError> {
        let count = if self.generation.has_rollups() {
            let request = I::totalAlertsCall {
                rollupChainId: U256::from(rollup),
            };
            answer(&self.provider, self.address, &request).await?
        } else {
            answer(&self.provider, self.address, &V1::totalAlertsCall {}).await?
        };
        Ok(count.map(|count| count.saturating_to()))
    }

    pub(super) const fn provider(&self) -> &DynProvider {
        &self.provider
    }
}

/// Newest first: what an older generation has, a newer one may have kept.
async fn generation(
    provider: &DynProvider,
    address: Address,
) -> Result<(Generation, Option<ChainId>), ProbeError> {
    if let Some(quorums) = answer(provider, address, &I::statementQuorumsCall {}).await?
        && quorums.quorumNumbers.len() == quorums.thresholds.len()
        && answer(provider, address, &I::maxReferenceBlockAgeCall {})
            .await?
            .is_some()
    {
        return Ok((Generation::V3, None));
    }
    let of_rollup = I::totalAlertsCall {
        rollupChainId: U256::ZERO,
    };
    if answer(provider, address, &of_rollup).await?.is_some() {
        // Both have rollups; the allowlist came to be changed in batches when the rollup came to be
        // signed.
        let batch = I::allowOperatorsCall { operators: vec![] };
        let single = V1::addToAllowlistCall {
            operator: Address::ZERO,
        };
        if has_function(provider, address, &batch).await? {
            return Ok((Generation::V2, None));
        }
        if has_function(provider, address, &single).await? {
            return Ok((Generation::V1_5, None));
        }
        return Err(ProbeError::UnknownGeneration(address));
    }
    if answer(provider, address, &V1::totalAlertsCall {})
        .await?
        .is_some()
    {
        let Some(rollup) = answer(provider, address, &V1::rollupChainIdCall {}).await? else {
            return Ok((Generation::V1_0, None));
        };
        let rollup = rollup
            .try_into()
            .map_err(|_| ProbeError::UnknownGeneration(address))?;
        let update = V1::updateRollupChainIdCall {
            rollupChainId: U256::ZERO,
        };
        let changes = has_function(provider, address, &update).await?;
        let generation = if changes {
            Generation::V1_2
        } else {
            Generation::V1_1
        };
        return Ok((generation, Some(rollup)));
    }
    if answer(provider, address, &Zk::getAlertsLengthCall {})
        .await?
        .is_some()
    {
        return Err(ProbeError::ZkServiceManager(address));
    }
    Err(ProbeError::NotAServiceManager(address))
}

/// Why it is not known what the contract is.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing is deployed there.
    #[error("there is no contract at {address} on chain {chain_id}: is it the right chain?")]
    NoCode {
        /// The address.
        address: Address,
        /// Chain of the node.
        chain_id: ChainId,
    },
    /// The contract has not the functions of a MACH service manager.
    #[error("the contract at {0} is not a MACH service manager")]
    NotAServiceManager(Address),
    /// The contract is the service manager of the MACH AVS's ZK mode.
    #[error("the contract at {0} is a ZK service manager, which takes proofs and no signatures")]
    ZkServiceManager(Address),
    /// The contract resembles a service manager, of no generation that is known.
    #[error("the service manager at {0} is of a generation that is not known here")]
    UnknownGeneration(Address),
    /// The contract was not heard.
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}

impl ProbeError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transport(_))
    }
}
