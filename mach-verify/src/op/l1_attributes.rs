//! The deposit that starts every block: what the L1 origin is.

use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use mach_core::{BlockRef, L2Block};
use op_alloy_consensus::{L1InfoDepositSource, OpTxEnvelope, TxDeposit};

/// Account that sends the L1-attributes deposit.
pub const L1_ATTRIBUTES_DEPOSITOR: Address = address!("deaddeaddeaddeaddeaddeaddeaddeaddead0001");
/// Predeploy that receives it.
pub const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");

/// Gas of the deposit before Regolith, and from it on.
const GAS: u64 = 150_000_000;
const REGOLITH_GAS: u64 = 1_000_000;

/// Encoding of [`L1Attributes`], by the fork that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributesFormat {
    /// Eight ABI words.
    ///
    /// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-deposited-transaction-calldata>
    Bedrock,
    /// Packed, with scalars and the blob base fee.
    ///
    /// Source: <https://specs.optimism.io/protocol/ecotone/l1-attributes.html>
    Ecotone,
    /// With the operator fee.
    ///
    /// Source: <https://specs.optimism.io/protocol/isthmus/l1-attributes.html>
    Isthmus,
    /// With the scalar of the data-availability footprint.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/l1-attributes.html>
    Jovian,
}

impl AttributesFormat {
    const ALL: [Self; 4] = [Self::Bedrock, Self::Ecotone, Self::Isthmus, Self::Jovian];

    /// Selector of the function of [`L1_BLOCK`] that is called.
    pub const fn selector(self) -> [u8; 4] {
        match self {
            // setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)
            Self::Bedrock => [0x01, 0x5d, 0x8e, 0xb9],
            // setL1BlockValuesEcotone()
            Self::Ecotone => [0x44, 0x0a, 0x5e, 0x20],
            // setL1BlockValuesIsthmus()
            Self::Isthmus => [0x09, 0x89, 0x99, 0xbe],
            // setL1BlockValuesJovian()
            Self::Jovian => [0x3d, 0xb6, 0xbe, 0x2b],
        }
    }

    /// Bytes of the calldata, selector included.
    pub const fn length(self) -> usize {
        match self {
            Self::Bedrock => 260,
            Self::Ecotone => 164,
            Self::Isthmus => 176,
            Self::Jovian => 178,
        }
    }
}

/// What a block says of its L1 origin. Fields that its format does not have are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Attributes {
    /// How it is encoded.
    pub format: AttributesFormat,
    /// Height of the L1 origin.
    pub number: u64,
    /// Timestamp of the L1 origin.
    pub timestamp: u64,
    /// Base fee of the L1 origin, in wei.
    pub base_fee: U256,
    /// Hash of the L1 origin.
    pub hash: B256,
    /// Blocks since the first one with this L1 origin.
    pub sequence_number: u64,
    /// Account whose batches count.
    pub batcher: Address,
    /// L1 fee overhead, in gas (Bedrock).
    pub overhead: B256,
    /// L1 fee scalar (Bedrock).
    pub scalar: B256,
    /// Blob base fee of the L1 origin, in wei (Ecotone).
    pub blob_base_fee: U256,
    /// Scalar of the base fee (Ecotone).
    pub base_fee_scalar: u32,
    /// Scalar of the blob base fee (Ecotone).
    pub blob_base_fee_scalar: u32,
    /// Scalar of the operator fee (Isthmus).
    pub operator_fee_scalar: u32,
    /// Constant of the operator fee (Isthmus).
    pub operator_fee_constant: u64,
    /// Gas of a byte of the data-availability footprint (Jovian).
    pub da_footprint_gas_scalar: u16,
}

/// Why bytes are not L1 attributes.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// The block has no transaction.
    #[error("the block has no transaction")]
    NoTransaction,
    /// The first transaction is not a deposit.
    #[error("the first transaction is not a deposit")]
    NotADeposit,
    /// The selector is none of the four.
    #[error("the calldata calls no function that sets L1 attributes")]
    Selector,
    /// The calldata has another length than its selector says.
    #[error("the calldata has {0} bytes")]
    Length(usize),
    /// A value does not fit its type.
    #[error("{0} does not fit its type")]
    Value(&'static str),
}

impl L1Attributes {
    /// Those of a block: the calldata of its first transaction, which has to be a deposit.
    ///
    /// Errors: [`AttributesError`].
    pub fn of_block(block: &L2Block) -> Result<Self, AttributesError> {
        let first = (block.transactions.first()).ok_or(AttributesError::NoTransaction)?;
        Self::decode(
            &decode_deposit(first)
                .ok_or(AttributesError::NotADeposit)?
                .input,
        )
    }

    /// Decodes calldata of any format.
    ///
    /// Errors: [`AttributesError`].
    pub fn decode(calldata: &[u8]) -> Result<Self, AttributesError> {
        let (selector, _) = calldata
            .split_first_chunk::<4>()
            .ok_or(AttributesError::Selector)?;
        let format = (AttributesFormat::ALL.into_iter())
            .find(|format| format.selector() == *selector)
            .ok_or(AttributesError::Selector)?;
        if calldata.len() != format.length() {
            return Err(AttributesError::Length(calldata.len()));
        }
        let mut reader = Reader(calldata.get(4..).unwrap_or_default());
        match format {
            AttributesFormat::Bedrock => Self::decode_words(&mut reader),
            _ => Self::decode_packed(format, &mut reader),
        }
    }

    fn decode_words(reader: &mut Reader<'_>) -> Result<Self, AttributesError> {
        Ok(Self {
            number: reader.padded("number")?,
            timestamp: reader.padded("timestamp")?,
            base_fee: reader.word().into(),
            hash: reader.word(),
            sequence_number: reader.padded("sequenceNumber")?,
            batcher: reader.address("batcherHash")?,
            overhead: reader.word(),
            scalar: reader.word(),
            ..Self::empty(AttributesFormat::Bedrock)
        })
    }

    fn decode_packed(
        format: AttributesFormat,
        reader: &mut Reader<'_>,
    ) -> Result<Self, AttributesError> {
        let mut this = Self::empty(format);
        this.base_fee_scalar = u32::from_be_bytes(reader.take());
        this.blob_base_fee_scalar = u32::from_be_bytes(reader.take());
        this.sequence_number = u64::from_be_bytes(reader.take());
        this.timestamp = u64::from_be_bytes(reader.take());
        this.number = u64::from_be_bytes(reader.take());
        this.base_fee = reader.word().into();
        this.blob_base_fee = reader.word().into();
        this.hash = reader.word();
        this.batcher = reader.address("batcherHash")?;
        if format >= AttributesFormat::Isthmus {
            this.operator_fee_scalar = u32::from_be_bytes(reader.take());
            this.operator_fee_constant = u64::from_be_bytes(reader.take());
        }
        if format >= AttributesFormat::Jovian {
            this.da_footprint_gas_scalar = u16::from_be_bytes(reader.take());
        }
        Ok(this)
    }

    /// Attributes of which nothing is known.
    pub(super) const fn empty(format: AttributesFormat) -> Self {
        Self {
            format,
            number: 0,
            timestamp: 0,
            base_fee: U256::ZERO,
            hash: B256::ZERO,
            sequence_number: 0,
            batcher: Address::ZERO,
            overhead: B256::ZERO,
            scalar: B256::ZERO,
            blob_base_fee: U256::ZERO,
            base_fee_scalar: 0,
            blob_base_fee_scalar: 0,
            operator_fee_scalar: 0,
            operator_fee_constant: 0,
            da_footprint_gas_scalar: 0,
        }
    }

    /// The L1 origin.
    pub const fn origin(&self) -> BlockRef {
        BlockRef {
            number: self.number,
            hash: self.hash,
        }
    }

    /// Calldata in its format; the inverse of [`Self::decode`].
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.format.length());
        bytes.extend_from_slice(&self.format.selector());
        if self.format == AttributesFormat::Bedrock {
            let words: [B256; 8] = [
                U256::from(self.number).into(),
                U256::from(self.timestamp).into(),
                self.base_fee.into(),
                self.hash,
                U256::from(self.sequence_number).into(),
                self.batcher.into_word(),
                self.overhead,
                self.scalar,
            ];
            words
                .iter()
                .for_each(|word| bytes.extend_from_slice(word.as_slice()));
            return bytes.into();
        }
        bytes.extend_from_slice(&self.base_fee_scalar.to_be_bytes());
        bytes.extend_from_slice(&self.blob_base_fee_scalar.to_be_bytes());
        bytes.extend_from_slice(&self.sequence_number.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.base_fee.to_be_bytes::<32>());
        bytes.extend_from_slice(&self.blob_base_fee.to_be_bytes::<32>());
        bytes.extend_from_slice(self.hash.as_slice());
        bytes.extend_from_slice(self.batcher.into_word().as_slice());
        if self.format >= AttributesFormat::Isthmus {
            bytes.extend_from_slice(&self.operator_fee_scalar.to_be_bytes());
            bytes.extend_from_slice(&self.operator_fee_constant.to_be_bytes());
        }
        if self.format >= AttributesFormat::Jovian {
            bytes.extend_from_slice(&self.da_footprint_gas_scalar.to_be_bytes());
        }
        bytes.into()
    }

    /// The deposit that carries them, from Regolith on or before.
    ///
    /// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-deposited-transaction>
    pub fn deposit(&self, is_regolith: bool) -> TxDeposit {
        TxDeposit {
            source_hash: L1InfoDepositSource::new(self.hash, self.sequence_number).source_hash(),
            from: L1_ATTRIBUTES_DEPOSITOR,
            to: TxKind::Call(L1_BLOCK),
            mint: 0,
            value: U256::ZERO,
            gas_limit: if is_regolith { REGOLITH_GAS } else { GAS },
            is_system_transaction: !is_regolith,
            input: self.encode(),
        }
    }

    /// EIP-2718 encoding of [`Self::deposit`].
    pub fn transaction(&self, is_regolith: bool) -> Bytes {
        self.deposit(is_regolith).encoded_2718().into()
    }

    /// Name of the first part in which `other` differs, in the order of the encoding.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("selector", self.format == other.format),
            ("number", self.number == other.number),
            ("timestamp", self.timestamp == other.timestamp),
            ("baseFee", self.base_fee == other.base_fee),
            ("blobBaseFee", self.blob_base_fee == other.blob_base_fee),
            ("hash", self.hash == other.hash),
            (
                "sequenceNumber",
                self.sequence_number == other.sequence_number,
            ),
            ("batcherHash", self.batcher == other.batcher),
            ("overhead", self.overhead == other.overhead),
            ("scalar", self.scalar == other.scalar),
            (
                "baseFeeScalar",
                self.base_fee_scalar == other.base_fee_scalar,
            ),
            (
                "blobBaseFeeScalar",
                self.blob_base_fee_scalar == other.blob_base_fee_scalar,
            ),
            (
                "operatorFeeScalar",
                self.operator_fee_scalar == other.operator_fee_scalar,
            ),
            (
                "operatorFeeConstant",
                self.operator_fee_constant == other.operator_fee_constant,
            ),
            (
                "daFootprintGasScalar",
                self.da_footprint_gas_scalar == other.da_footprint_gas_scalar,
            ),
        ];
        parts
            .into_iter()
            .find(|(_, same)| !same)
            .map(|(name, _)| name)
    }
}

/// The deposit that these bytes are, if they are one and nothing else.
pub(super) fn decode_deposit(bytes: &[u8]) -> Option<TxDeposit> {
    match OpTxEnvelope::decode_2718_exact(bytes) {
        Ok(OpTxEnvelope::Deposit(deposit)) => Some(deposit.into_inner()),
        _ => None,
    }
}

/// Reads calldata whose length is known to suffice.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *head
    }

    fn word(&mut self) -> B256 {
        self.take::<32>().into()
    }

    fn padded(&mut self, name: &'static str) -> Result<u64, AttributesError> {
        let word: U256 = self.word().into();
        word.try_into().map_err(|_| AttributesError::Value(name))
    }

    fn address(&mut self, name: &'static str) -> Result<Address, AttributesError> {
        let word = self.word();
        let address = Address::from_word(word);
        (address.into_word() == word)
            .then_some(address)
            .ok_or(AttributesError::Value(name))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn selectors_are_those_of_the_functions() {
        let functions = [
            "setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)",
            "setL1BlockValuesEcotone()",
            "setL1BlockValuesIsthmus()",
            "setL1BlockValuesJovian()",
        ];
        for (format, function) in AttributesFormat::ALL.into_iter().zip(functions) {
            assert_eq!(format.selector(), keccak256(function)[..4]);
        }
    }

    #[test]
    fn what_is_not_l1_attributes_is_named() {
        let mut bytes = L1Attributes::empty(AttributesFormat::Bedrock)
            .encode()
            .to_vec();
        assert_eq!(
            L1Attributes::decode(&bytes[..3]),
            Err(AttributesError::Selector)
        );
        assert_eq!(
            L1Attributes::decode(&bytes[..259]),
            Err(AttributesError::Length(259))
        );
        bytes[4] = 1;
        assert_eq!(
            L1Attributes::decode(&bytes),
            Err(AttributesError::Value("number"))
        );
        let block = |transactions| L2Block::new(10, Default::default(), transactions);
        assert_eq!(
            L1Attributes::of_block(&block(vec![])),
            Err(AttributesError::NoTransaction)
        );
        assert_eq!(
            L1Attributes::of_block(&block(vec![Bytes::from_static(&[2, 0xc0])])),
            Err(AttributesError::NotADeposit)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(format in 0usize..4, payload: [u8; 260]) {
            let format = AttributesFormat::ALL[format];
            let mut bytes = format.selector().to_vec();
            bytes.extend_from_slice(&payload[4..format.length()]);
            if let Ok(attributes) = L1Attributes::decode(&bytes) {
                prop_assert_eq!(attributes.encode(), bytes);
            }
            let mut padded = L1Attributes::empty(format);
            padded.number = u64::from(payload[0]);
            padded.batcher = Address::repeat_byte(payload[1]);
            prop_assert_eq!(L1Attributes::decode(&padded.encode()), Ok(padded));
        }

        #[test]
        fn any_bytes_are_l1_attributes_or_an_error(bytes: Vec<u8>) {
            let _ = L1Attributes::decode(&bytes);
            let _ = decode_deposit(&bytes);
        }
    }
}
