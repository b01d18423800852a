//! Configuration of a rollup that L1 can change.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B64, B256, Log, U256, b256};
use serde::{Deserialize, Serialize};

use super::{
    AttributesFormat, L1Attributes, L1Error, Rollup,
    deposits::{only_bytes, successful_logs},
};

/// `ConfigUpdate(uint256 indexed version, uint8 indexed updateType, bytes data)`.
pub const CONFIG_UPDATE_EVENT: B256 =
    b256!("1d2b0bda21d56b8bd12d4f94ebacffdfb35f5e226f84b461103bb8beab6353be");

/// Scalar of the data-availability footprint where the configuration says zero.
///
/// Source: <https://specs.optimism.io/protocol/jovian/l1-attributes.html>
const DEFAULT_DA_FOOTPRINT_GAS_SCALAR: u16 = 400;

/// What the `SystemConfig` contract says, as far as blocks follow from it.
///
/// Every block carries it on, in its header and its L1 attributes; logs of the L1 origin change it.
/// Written as in `rollup.json`.
///
/// Source: <https://specs.optimism.io/protocol/system-config.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemConfig {
    /// Account whose batches count.
    #[serde(rename = "batcherAddr", alias = "batcherAddress")]
    pub batcher: Address,
    /// L1 fee overhead, in gas; zero from Ecotone on.
    pub overhead: B256,
    /// L1 fee scalar; from Ecotone on a version byte and two scalars.
    pub scalar: B256,
    /// Gas limit of a block.
    pub gas_limit: u64,
    /// EIP-1559 denominator and elasticity, 4 bytes each, big-endian; zero for the chain's own
    /// (Holocene).
    #[serde(default, rename = "eip1559Params")]
    pub eip1559_params: B64,
    /// Operator fee: bytes 20 to 23 scalar, 24 to 31 constant, big-endian (Isthmus).
    #[serde(default)]
    pub operator_fee_params: B256,
    /// Least base fee, in wei (Jovian).
    #[serde(default)]
    pub min_base_fee: u64,
    /// Gas of a byte of the data-availability footprint; zero for the default (Jovian).
    #[serde(default)]
    pub da_footprint_gas_scalar: u16,
}

impl SystemConfig {
    /// What a block carries on: its successor starts with it.
    ///
    /// Errors: [`L1Error::ParentExtraData`].
    pub(super) fn of_block(
        rollup: &Rollup,
        header: &Header,
        attributes: &L1Attributes,
    ) -> Result<Self, L1Error> {
        let malformed = || L1Error::ParentExtraData(header.number);
        let time = header.timestamp;
        let mut config = Self {
            batcher: attributes.batcher,
            overhead: attributes.overhead,
            scalar: attributes.scalar,
            gas_limit: header.gas_limit,
            ..Self::default()
        };
        if attributes.format >= AttributesFormat::Ecotone {
            let scalars = u64::from(attributes.blob_base_fee_scalar) << 32
                | u64::from(attributes.base_fee_scalar);
            let version = U256::from(1) << 248_usize;
            config.scalar = (version | U256::from(scalars)).to_be_bytes().into();
        }
        if rollup.is_active(OpHardfork::Holocene, time) {
            let params = header.extra_data.get(1..9).ok_or_else(malformed)?;
            config.eip1559_params = B64::from_slice(params);
        }
        let operator_fee = u128::from(attributes.operator_fee_scalar) << 64
            | u128::from(attributes.operator_fee_constant);
        config.operator_fee_params = U256::from(operator_fee).into();
        if rollup.is_active(OpHardfork::Jovian, time) {
            let fee = (header.extra_data.get(9..17))
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(malformed)?;
            config.min_base_fee = u64::from_be_bytes(fee);
            config.da_footprint_gas_scalar = attributes.da_footprint_gas_scalar;
        }
        Ok(config)
    }

    /// Applies the changes that the receipts of an L1 block at `l1_timestamp` hold.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#system-configuration>
    ///
    /// Errors: [`L1Error::ConfigUpdate`] for a change that is not understood.
    pub fn update(
        &mut self,
        rollup: &Rollup,
        receipts: &[ReceiptEnvelope],
        l1_timestamp: u64,
    ) -> Result<(), L1Error> {
        let contract = rollup.config.l1_system_config_address;
        let is_ecotone = rollup.is_active(OpHardfork::Ecotone, l1_timestamp);
        for (index, log) in successful_logs(receipts) {
            if log.address == contract && log.topics().first() == Some(&CONFIG_UPDATE_EVENT) {
                self.apply(log, is_ecotone)
                    .map_err(|reason| L1Error::ConfigUpdate { log: index, reason })?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, log: &Log, is_ecotone: bool) -> Result<(), &'static str> {
        let &[_, version, kind] = log.topics() else {
            return Err("does not have three topics");
        };
        if !version.is_zero() {
            return Err("version is not known");
        }
        let malformed = "data is malformed";
        let data = only_bytes(&log.data.data).ok_or(malformed)?;
        let word = || Some(B256::from(<[u8; 32]>::try_from(data).ok()?));
        let number = || u64::try_from(U256::from_be_bytes(word()?.0)).ok();
        match U256::from_be_bytes(kind.0).try_into() {
            Ok(0u8) => {
                let word = word().ok_or(malformed)?;
                let address = Address::from_word(word);
                if address.into_word() != word {
                    return Err(malformed);
                }
                self.batcher = address;
            }
            Ok(1) => {
                let (overhead, scalar) = data.split_first_chunk::<32>().ok_or(malformed)?;
                let scalar = B256::from(<[u8; 32]>::try_from(scalar).map_err(|_| malformed)?);
                if !is_ecotone {
                    self.overhead = overhead.into();
                    self.scalar = scalar;
                } else if let Scalar::Ecotone(_) | Scalar::Bedrock(_) = Scalar::of(scalar) {
                    // Any other scalar is ignored from Ecotone on.
                    self.overhead = B256::ZERO;
                    self.scalar = scalar;
                }
            }
            Ok(2) => self.gas_limit = number().ok_or(malformed)?,
            // The key that signs blocks between nodes changes nothing in blocks.
            Ok(3) => {}
            Ok(4) => {
                let params = word().ok_or(malformed)?;
                let params = params.last_chunk::<8>().copied().unwrap_or_default();
                let (denominator, elasticity) = halves(params);
                if denominator == 0 && elasticity != 0 {
                    return Err("a denominator of zero");
                }
                self.eip1559_params = params.into();
            }
            Ok(5) => self.operator_fee_params = word().ok_or(malformed)?,
            Ok(6) => self.min_base_fee = number().ok_or(malformed)?,
            Ok(7) => {
                let scalar = number().and_then(|scalar| scalar.try_into().ok());
                self.da_footprint_gas_scalar = scalar.ok_or(malformed)?;
            }
            _ => return Err("kind is not known"),
        }
        Ok(())
    }

    /// EIP-1559 denominator and elasticity; `None` where the chain's own hold.
    pub fn eip1559(&self) -> Option<(u32, u32)> {
        let (denominator, elasticity) = halves(self.eip1559_params.0);
        (denominator != 0).then_some((denominator, elasticity))
    }

    /// Scalar of the operator fee.
    pub fn operator_fee_scalar(&self) -> u32 {
        (U256::from_be_bytes(self.operator_fee_params.0) >> 64_usize).wrapping_to()
    }

    /// Constant of the operator fee.
    pub fn operator_fee_constant(&self) -> u64 {
        U256::from_be_bytes(self.operator_fee_params.0).wrapping_to()
    }

    /// Gas of a byte of the data-availability footprint, with the default for zero.
    pub const fn da_footprint_gas_scalar(&self) -> u16 {
        match self.da_footprint_gas_scalar {
            0 => DEFAULT_DA_FOOTPRINT_GAS_SCALAR,
            scalar => scalar,
        }
    }

    /// Scalars of the base fee and of the blob base fee, from Ecotone on.
    ///
    /// Source: <https://specs.optimism.io/protocol/system-config.html#ecotone-scalar-overhead-uint256uint256-change>
    ///
    /// Errors: [`L1Error::Scalar`].
    pub fn fee_scalars(&self) -> Result<(u32, u32), L1Error> {
        match Scalar::of(self.scalar) {
            Scalar::Bedrock(base_fee) => Ok((base_fee, 0)),
            // A Bedrock scalar that does not fit counts as the greatest.
            Scalar::BedrockOverflow => Ok((u32::MAX, 0)),
            Scalar::Ecotone((blob_base_fee, base_fee)) => Ok((base_fee, blob_base_fee)),
            Scalar::Unknown => Err(L1Error::Scalar(self.scalar)),
        }
    }
}

/// What the scalar word means from Ecotone on.
enum Scalar {
    Bedrock(u32),
    BedrockOverflow,
    /// Blob base fee, base fee.
    Ecotone((u32, u32)),
    Unknown,
}

impl Scalar {
    fn of(word: B256) -> Self {
        let (version, rest) = (word.0[0], U256::from_be_bytes(word.0) & (U256::MAX >> 8));
        let scalars = u64::try_from(rest)
            .ok()
            .map(|both| halves(both.to_be_bytes()));
        match (version, scalars) {
            (0, Some((0, base_fee))) => Self::Bedrock(base_fee),
            (0, _) => Self::BedrockOverflow,
            (1, Some(scalars)) => Self::Ecotone(scalars),
            _ => Self::Unknown,
        }
    }
}

/// Two big-endian halves.
const fn halves([a, b, c, d, e, f, g, h]: [u8; 8]) -> (u32, u32) {
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn the_event_is_that_of_the_contract() {
        let event = "ConfigUpdate(uint256,uint8,bytes)";
        assert_eq!(CONFIG_UPDATE_EVENT, keccak256(event));
    }

    /// The values of kona-genesis' test of its own form.
    #[test]
    fn fee_parameters_are_read_from_rollup_json() {
        let json = r#"{
            "batcherAddr": "0x6887246668a3b87F54DeB3b94Ba47a6f63F32985",
            "overhead": "0x00000000000000000000000000000000000000000000000000000000000000bc",
            "scalar": "0x00000000000000000000000000000000000000000000000000000000000a6fe0",
            "gasLimit": 30000000,
            "eip1559Params": "0x000000ab000000cd"
        }"#;
        let config: SystemConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.eip1559(), Some((0xab, 0xcd)));
        assert_eq!(config.fee_scalars(), Ok((684_000, 0)));
        assert_eq!(config.da_footprint_gas_scalar(), 400);
        assert_eq!(
            (config.operator_fee_scalar(), config.operator_fee_constant()),
            (0, 0)
        );
    }

    /// Section "Ecotone scalar, overhead" of the specification of `SystemConfig`.
    #[test]
    fn a_scalar_has_a_version() {
        let of = |word: U256| {
            let config = SystemConfig {
                scalar: word.into(),
                ..Default::default()
            };
            config.fee_scalars()
        };
        assert_eq!(of(U256::from(7)), Ok((7, 0)));
        assert_eq!(of(U256::from(1) << 32_usize), Ok((u32::MAX, 0)));
        let one = U256::from(1) << 248_usize;
        assert_eq!(
            of(one | U256::from(5) << 32_usize | U256::from(7)),
            Ok((7, 5))
        );
        assert!(of(one | U256::from(1) << 64_usize).is_err());
        assert!(of(one << 1_usize).is_err());
    }
}
