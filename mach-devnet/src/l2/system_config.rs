//! What the rollup's owner sets on L1.

use alloy_primitives::{Address, B64, B256, Bytes, Log, U256, address};
use alloy_sol_types::SolEvent;

use super::{FeeConfig, OptimismFork, contracts::ConfigUpdate};

/// Signer of the rollup's unsafe blocks; nobody looks at it here.
const UNSAFE_BLOCK_SIGNER: Address = address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc");

/// Data-availability footprint per byte where the owner sets none.
///
/// Source: <https://specs.optimism.io/protocol/jovian/exec-engine.html>.
const DEFAULT_DA_FOOTPRINT: u16 = 400;

/// Marks a scalar that holds the two scalars of Ecotone.
const ECOTONE_SCALAR: U256 = U256::from_limbs([0, 0, 0, 1 << 56]);

/// What the `SystemConfig` contract holds, as derivation follows it by its events.
///
/// Source: <https://specs.optimism.io/protocol/system-config.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemConfig {
    /// Who posts the rollup's data.
    pub batcher: Address,
    /// Fixed part of the L1 fee before Ecotone, in gas.
    pub overhead: U256,
    /// Multiplier of the L1 fee in millionths; from Ecotone on both multipliers, packed.
    pub scalar: U256,
    /// Gas limit of the rollup's blocks.
    pub gas_limit: u64,
    /// Denominator and elasticity of the base fee from Holocene on; zero for those of Canyon.
    pub eip1559: (u32, u32),
    /// Multiplier of the operator fee from Isthmus on.
    pub operator_fee_scalar: u32,
    /// Constant part of the operator fee, in wei.
    pub operator_fee_constant: u64,
    /// Least base fee from Jovian on, in wei.
    pub min_base_fee: u64,
    /// Data-availability footprint per estimated byte from Jovian on; zero for 400.
    pub da_footprint_gas_scalar: u16,
    /// Who signs unsafe blocks.
    pub unsafe_block_signer: Address,
}

impl SystemConfig {
    /// What a rollup starts with.
    pub fn new(genesis: OptimismFork, batcher: Address, fees: &FeeConfig, gas_limit: u64) -> Self {
        let (overhead, scalar) = if genesis < OptimismFork::Ecotone {
            (U256::from(fees.overhead), U256::from(fees.scalar))
        } else {
            let scalars = ecotone_scalar(fees.base_fee_scalar, fees.blob_base_fee_scalar);
            (U256::ZERO, scalars)
        };
        Self {
            batcher,
            overhead,
            scalar,
            gas_limit,
            eip1559: (0, 0),
            operator_fee_scalar: fees.operator_fee_scalar,
            operator_fee_constant: fees.operator_fee_constant,
            min_base_fee: fees.min_base_fee,
            da_footprint_gas_scalar: fees.da_footprint_gas_scalar,
            unsafe_block_signer: UNSAFE_BLOCK_SIGNER,
        }
    }

    /// Multipliers of the L1 base fee and of the blob base fee, in millionths.
    pub fn ecotone_scalars(&self) -> (u32, u32) {
        let [.., a, b, c, d, e, f, g, h] = self.scalar.to_be_bytes::<32>();
        let blob = u32::from_be_bytes([a, b, c, d]);
        let base = u32::from_be_bytes([e, f, g, h]);
        // A scalar from before Ecotone has no second one.
        if self.scalar >= ECOTONE_SCALAR {
            (base, blob)
        } else {
            (base, 0)
        }
    }

    /// Data-availability footprint per byte, with the default filled in.
    pub const fn da_footprint(&self) -> u16 {
        match self.da_footprint_gas_scalar {
            0 => DEFAULT_DA_FOOTPRINT,
            scalar => scalar,
        }
    }

    /// Denominator and elasticity as block attributes carry them.
    pub(super) fn eip1559_params(&self) -> B64 {
        let (denominator, elasticity) = self.eip1559;
        let params = (u64::from(denominator) << 32) | u64::from(elasticity);
        B64::from(params)
    }

    /// Follows an event of the contract. `is_ecotone` is said of the L1 block's time.
    pub(super) fn follow(&mut self, log: &Log, is_ecotone: bool) {
        let Ok(event) = ConfigUpdate::decode_log(log) else {
            return;
        };
        let words: Vec<U256> = words(&event.data.data).collect();
        let (Some(first), second) = (words.first().copied(), words.get(1).copied()) else {
            return;
        };
        let low = first.as_limbs()[0];
        match event.data.updateType {
            0 => self.batcher = Address::from_word(first.into()),
            1 => self.set_scalars(first, second.unwrap_or_default(), is_ecotone),
            2 => self.gas_limit = low,
            3 => self.unsafe_block_signer = Address::from_word(first.into()),
            4 => self.eip1559 = ((low >> 32) as u32, low as u32),
            5 => {
                self.operator_fee_constant = low;
                self.operator_fee_scalar = (first >> 64usize).as_limbs()[0] as u32;
            }
            6 => self.min_base_fee = low,
            7 => self.da_footprint_gas_scalar = low as u16,
            _ => {}
        }
    }

    fn set_scalars(&mut self, overhead: U256, scalar: U256, is_ecotone: bool) {
        if !is_ecotone {
            (self.overhead, self.scalar) = (overhead, scalar);
            return;
        }
        // What is in neither form is passed over, as the specification wants it.
        let is_packed = scalar >= ECOTONE_SCALAR && scalar < ECOTONE_SCALAR + (U256::from(1) << 64);
        if is_packed || scalar <= U256::from(u32::MAX) {
            (self.overhead, self.scalar) = (U256::ZERO, scalar);
        }
    }
}

/// Both multipliers of Ecotone in one word.
///
/// Source: <https://specs.optimism.io/protocol/system-config.html#ecotone-scalar-overhead-uint256uint256-change>.
pub(super) fn ecotone_scalar(base_fee: u32, blob_base_fee: u32) -> U256 {
    ECOTONE_SCALAR | (U256::from(blob_base_fee) << 32) | U256::from(base_fee)
}

/// The words of ABI-encoded static values.
fn words(data: &Bytes) -> impl Iterator<Item = U256> + '_ {
    let chunks = data.chunks_exact(32);
    chunks.map(|word| B256::from_slice(word).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scalar of OP Mainnet since Ecotone, from its `SystemConfig` on Ethereum.
    #[test]
    fn the_scalars_of_ecotone_are_packed() {
        let fees = FeeConfig::default();
        let config = SystemConfig::new(OptimismFork::Ecotone, Address::ZERO, &fees, 1);
        let packed = "0x010000000000000000000000000000000000000000000000000c5fc500000558";
        assert_eq!(config.scalar, packed.parse::<U256>().unwrap());
        assert_eq!(config.ecotone_scalars(), (1368, 810_949));
    }
}
