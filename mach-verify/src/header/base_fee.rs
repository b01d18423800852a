//! Base fee and excess blob gas that follow from the parent.

use alloy_consensus::Header;
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip4844::DATA_GAS_PER_BLOB,
};
use alloy_hardforks::EthereumHardforks;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::U256;

use crate::ChainSpec;

/// Base fee of the child of `parent` at `timestamp`, in wei.
///
/// Source: EIP-1559; for what Holocene and Jovian read from the parent,
/// <https://specs.optimism.io/protocol/holocene/exec-engine.html#base-fee-computation> and
/// <https://specs.optimism.io/protocol/jovian/exec-engine.html#da-footprint-block-limit>
pub(super) fn after(spec: &ChainSpec, parent: &Header, timestamp: u64) -> u64 {
    let Some(parent_fee) = parent.base_fee_per_gas else {
        return INITIAL_BASE_FEE;
    };
    let mut params = spec.base_fee_params(timestamp);
    let mut least = spec.base_fee_floor();
    let mut gas_metered = parent.gas_used;
    if spec.is_optimism() {
        if let Some(published) = FeesInHeader::read(spec, parent) {
            params = published.params;
            least = least.max(published.least);
        }
        // The data-availability footprint counts as gas (Jovian).
        if spec.is_jovian_active_at_timestamp(parent.timestamp) {
            gas_metered = gas_metered.max(parent.blob_gas_used.unwrap_or_default());
        }
    }
    next(params, parent.gas_limit, gas_metered, parent_fee).max(least)
}

/// EIP-1559's formula. Parameters of zero, which no valid parent has, leave the fee as it is.
fn next(params: BaseFeeParams, gas_limit: u64, gas_metered: u64, base_fee: u64) -> u64 {
    let target = match u128::from(gas_limit).checked_div(params.elasticity_multiplier) {
        None | Some(0) => return base_fee,
        Some(target) => target,
    };
    if params.max_change_denominator == 0 {
        return base_fee;
    }
    let gas = u128::from(gas_metered);
    let change = U256::from(base_fee) * U256::from(gas.abs_diff(target))
        / U256::from(target)
        / U256::from(params.max_change_denominator);
    let change: u64 = change.saturating_to();
    match gas.cmp(&target) {
        core::cmp::Ordering::Equal => base_fee,
        core::cmp::Ordering::Greater => base_fee.saturating_add(change.max(1)),
        core::cmp::Ordering::Less => base_fee.saturating_sub(change),
    }
}

/// Fee parameters that a header itself holds, from Holocene on.
struct FeesInHeader {
    params: BaseFeeParams,
    /// Least base fee, from Jovian on.
    least: u64,
}

impl FeesInHeader {
    fn read(spec: &ChainSpec, header: &Header) -> Option<Self> {
        if !spec.is_holocene_active_at_timestamp(header.timestamp) {
            return None;
        }
        let extra = &header.extra_data;
        let word = |at: usize| {
            let bytes = extra.get(at..at + 4)?.try_into().ok()?;
            Some(u128::from(u32::from_be_bytes(bytes)))
        };
        let least = if spec.is_jovian_active_at_timestamp(header.timestamp) {
            u64::from_be_bytes(extra.get(9..17)?.try_into().ok()?)
        } else {
            0
        };
        Some(Self {
            params: BaseFeeParams::new(word(1)?, word(5)?),
            least,
        })
    }
}

/// `excessBlobGas` of the child of `parent` at `timestamp`.
///
/// Source: EIP-4844, and EIP-7918 from Osaka.
pub(super) fn excess_blob_gas_after(spec: &ChainSpec, parent: &Header, timestamp: u64) -> u64 {
    let Some(params) = spec.blob_params(timestamp) else {
        return 0;
    };
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    let target = params.target_blob_count.saturating_mul(DATA_GAS_PER_BLOB);
    let sum = excess.saturating_add(used);
    if sum < target {
        return 0;
    }
    if spec.is_osaka_active_at_timestamp(timestamp) {
        let base_fee = parent.base_fee_per_gas.unwrap_or_default();
        let reserve = U256::from(params.blob_base_cost) * U256::from(base_fee);
        let price = U256::from(DATA_GAS_PER_BLOB) * U256::from(params.calc_blob_fee(excess));
        if reserve > price {
            let above = params
                .max_blob_count
                .saturating_sub(params.target_blob_count);
            let scaled =
                u128::from(used) * u128::from(above) / u128::from(params.max_blob_count.max(1));
            return excess.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX));
        }
    }
    sum - target
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip7840::BlobParams;
    use alloy_hardforks::EthereumHardfork;
    use alloy_op_hardforks::OpHardfork;
    use alloy_primitives::hex;

    use super::*;

    /// Table of go-ethereum, `TestCalcBaseFee`: parent fee, limit, used, expected.
    #[test]
    fn base_fee_follows_eip_1559() {
        let spec = ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::London);
        for (base_fee, gas_limit, gas_used, expected) in [
            (INITIAL_BASE_FEE, 20_000_000, 10_000_000, INITIAL_BASE_FEE),
            (INITIAL_BASE_FEE, 20_000_000, 9_000_000, 987_500_000),
            (INITIAL_BASE_FEE, 20_000_000, 11_000_000, 1_012_500_000),
        ] {
            let parent = Header {
                base_fee_per_gas: Some(base_fee),
                gas_limit,
                gas_used,
                ..Default::default()
            };
            assert_eq!(after(&spec, &parent, 1), expected);
        }
        assert_eq!(after(&spec, &Header::default(), 1), 1_000_000_000);
    }

    /// Table of op-geth, `TestCalcBaseFeeOptimismHolocene`: denominator, elasticity, gas limit,
    /// gas used, expected, on a parent fee of 1 gwei.
    #[test]
    fn holocene_reads_the_parameters_of_the_parent() {
        let spec = ChainSpec::optimism(10).with_op_forks_from_genesis(OpHardfork::Holocene);
        for (denominator, elasticity, gas_used, expected) in [
            (250u32, 6u32, 5_000_000u64, 1_000_000_000u64),
            (250, 6, 4_000_000, 999_200_000),
            (250, 6, 10_000_000, 1_004_000_000),
            (10, 2, 10_000_000, 966_666_667),
        ] {
            let extra = [
                &[0][..],
                &denominator.to_be_bytes(),
                &elasticity.to_be_bytes(),
            ]
            .concat();
            let parent = Header {
                base_fee_per_gas: Some(1_000_000_000),
                gas_limit: 30_000_000,
                gas_used,
                extra_data: extra.into(),
                ..Default::default()
            };
            assert_eq!(after(&spec, &parent, 1), expected);
        }
    }

    /// Jovian: the fee does not fall below the parent's minimum, and the footprint counts.
    #[test]
    fn jovian_has_a_minimum_and_meters_the_footprint() {
        let spec = ChainSpec::optimism(10).with_op_forks_from_genesis(OpHardfork::Jovian);
        let mut parent = Header {
            base_fee_per_gas: Some(1_000_000_000),
            gas_limit: 30_000_000,
            gas_used: 4_000_000,
            blob_gas_used: Some(0),
            extra_data: hex!("01000000fa000000060000000040000000").into(),
            ..Default::default()
        };
        assert_eq!(after(&spec, &parent, 1), 1_073_741_824);
        parent.extra_data = hex!("01000000fa000000060000000000000000").into();
        assert_eq!(after(&spec, &parent, 1), 999_200_000);
        parent.blob_gas_used = Some(10_000_000);
        assert_eq!(after(&spec, &parent, 1), 1_004_000_000);
    }

    /// Table of go-ethereum, `TestCalcExcessBlobGas`: excess, blobs, expected.
    #[test]
    fn excess_blob_gas_follows_eip_4844() {
        let spec = ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::Cancun);
        let blob = DATA_GAS_PER_BLOB;
        let target = BlobParams::cancun().target_blob_gas_per_block();
        for (excess, blobs, expected) in [
            (0, 0, 0),
            (0, 3, 0),
            (0, 4, blob),
            (1, 4, blob + 1),
            (target, 3, target),
            (target, 2, target - blob),
            (blob - 1, 2, 0),
        ] {
            let parent = Header {
                excess_blob_gas: Some(excess),
                blob_gas_used: Some(blobs * blob),
                ..Default::default()
            };
            assert_eq!(excess_blob_gas_after(&spec, &parent, 1), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_parent_overflows(
            base_fee: u64, gas_limit: u64, gas_used: u64, excess: u64, used: u64, extra: [u8; 17],
        ) {
            let parent = Header {
                base_fee_per_gas: Some(base_fee),
                gas_limit,
                gas_used,
                excess_blob_gas: Some(excess),
                blob_gas_used: Some(used),
                extra_data: extra.into(),
                ..Default::default()
            };
            let op = ChainSpec::optimism(10).with_op_forks_from_genesis(OpHardfork::Jovian);
            let ethereum =
                ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::Osaka);
            after(&op, &parent, 1);
            after(&ethereum, &parent, 1);
            excess_blob_gas_after(&ethereum, &parent, 1);
        }
    }
}
