//! What a block says to the next one.

use alloy_consensus::Header;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::Sealed;
use mach_core::{BlockRef, L2Block};

use super::{L1Attributes, L1Error, Rollup, SystemConfig, upgrades};

/// The block before: where its successor starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its header.
    pub header: Sealed<Header>,
    /// Its L1 origin.
    pub origin: BlockRef,
    /// Blocks before it with the same L1 origin.
    pub sequence_number: u64,
    /// Configuration that it carries on.
    pub system_config: SystemConfig,
}

impl Parent {
    /// What `block` says to the next one. The first block of the chain says what the
    /// configuration does.
    ///
    /// Errors: [`L1Error`].
    pub fn of_block(rollup: &Rollup, block: &L2Block) -> Result<Self, L1Error> {
        let genesis = &rollup.config.genesis;
        let header = block.header.clone();
        if header.number == genesis.l2.number {
            if header.seal() != genesis.l2.hash {
                return Err(L1Error::Genesis {
                    expected: genesis.l2.hash,
                    actual: header.seal(),
                });
            }
            return Ok(Self {
                header,
                origin: BlockRef {
                    number: genesis.l1.number,
                    hash: genesis.l1.hash,
                },
                sequence_number: 0,
                system_config: genesis.system_config,
            });
        }
        let attributes = L1Attributes::of_block(block).map_err(|source| L1Error::Parent {
            block: header.number,
            source,
        })?;
        let mut system_config = SystemConfig::of_block(rollup, &header, &attributes)?;
        // Gas that only the upgrade's transactions had.
        if rollup.activates(OpHardfork::Karst, header.timestamp)
            && !rollup.config.keep_karst_upgrade_gas
        {
            let gas = upgrades::gas(OpHardfork::Karst)?;
            system_config.gas_limit = system_config.gas_limit.saturating_sub(gas);
        }
        Ok(Self {
            header,
            origin: attributes.origin(),
            sequence_number: attributes.sequence_number,
            system_config,
        })
    }
}
