//! What users and the owner do on L1.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use op_alloy_consensus::{TxDeposit, UserDepositSource};

use super::contracts::depositTransactionCall;
use crate::{DEV_ACCOUNTS, DevAccount};

/// A transaction that a user sends through L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDeposit {
    /// Sender, on L1 and on the rollup.
    pub from: DevAccount,
    /// Receiver; `TxKind::Create` makes a contract.
    pub to: TxKind,
    /// Ether locked on L1 and minted for the sender, in wei.
    pub mint: u128,
    /// Ether that the transaction carries, in wei.
    pub value: U256,
    /// Gas bought on L1: at least 21,000, and 40 for each byte of `data`.
    pub gas_limit: u64,
    /// Calldata or init code.
    pub data: Bytes,
}

impl UserDeposit {
    /// Sends `value` wei from L1 to `to`, out of the pocket of the last development account.
    pub const fn ether(to: Address, value: u128) -> Self {
        let [.., from] = DEV_ACCOUNTS;
        let [low, high] = [value as u64, (value >> 64) as u64];
        Self {
            from,
            to: TxKind::Call(to),
            mint: value,
            value: U256::from_limbs([low, high, 0, 0]),
            gas_limit: 100_000,
            data: Bytes::new(),
        }
    }

    /// The call of the portal that makes this deposit.
    pub(super) fn to_calldata(&self) -> Bytes {
        let call = depositTransactionCall {
            to: self.to.to().copied().unwrap_or_default(),
            value: self.value,
            gasLimit: self.gas_limit,
            isCreation: self.to.is_create(),
            data: self.data.clone(),
        };
        call.abi_encode().into()
    }

    /// The deposit as transaction number `log_index` of the L1 block `origin`.
    pub(super) fn to_transaction(&self, origin: B256, log_index: u64) -> TxDeposit {
        TxDeposit {
            source_hash: UserDepositSource::new(origin, log_index).source_hash(),
            from: self.from.address,
            to: self.to,
            mint: self.mint,
            value: self.value,
            gas_limit: self.gas_limit,
            is_system_transaction: false,
            input: self.data.clone(),
        }
    }
}

sol! {
    function setBatcherHash(bytes32 batcherHash) external;
    function setGasConfig(uint256 overhead, uint256 scalar) external;
    function setGasConfigEcotone(uint32 basefeeScalar, uint32 blobbasefeeScalar) external;
    function setGasLimit(uint64 gasLimit) external;
    function setUnsafeBlockSigner(address unsafeBlockSigner) external;
    function setEIP1559Params(uint32 denominator, uint32 elasticity) external;
    function setOperatorFeeScalars(uint32 operatorFeeScalar, uint64 operatorFeeConstant) external;
    function setMinBaseFee(uint64 minBaseFee) external;
    function setDAFootprintGasScalar(uint16 daFootprintGasScalar) external;
}

/// A change that the rollup's owner makes in `SystemConfig`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemChange {
    /// Another account posts the rollup's data from now on.
    Batcher(Address),
    /// The L1 fee before Ecotone.
    GasConfig {
        /// Fixed part, in gas.
        overhead: U256,
        /// Multiplier, in millionths.
        scalar: U256,
    },
    /// The L1 fee from Ecotone on, in millionths.
    GasConfigEcotone {
        /// Multiplier of the base fee.
        base_fee: u32,
        /// Multiplier of the blob base fee.
        blob_base_fee: u32,
    },
    /// Gas limit of blocks.
    GasLimit(u64),
    /// Who signs unsafe blocks.
    UnsafeBlockSigner(Address),
    /// Base fee from Holocene on.
    Eip1559 {
        /// Denominator of the largest change.
        denominator: u32,
        /// Gas limit over gas target.
        elasticity: u32,
    },
    /// Operator fee from Isthmus on.
    OperatorFee {
        /// Multiplier of gas, in millionths.
        scalar: u32,
        /// Constant part, in wei.
        constant: u64,
    },
    /// Least base fee from Jovian on, in wei.
    MinBaseFee(u64),
    /// Data-availability footprint per byte from Jovian on.
    DaFootprint(u16),
}

impl SystemChange {
    /// The call of the contract that makes this change.
    pub fn to_calldata(self) -> Bytes {
        match self {
            Self::Batcher(batcher) => setBatcherHashCall {
                batcherHash: batcher.into_word(),
            }
            .abi_encode(),
            Self::GasConfig { overhead, scalar } => {
                setGasConfigCall { overhead, scalar }.abi_encode()
            }
            Self::GasConfigEcotone {
                base_fee,
                blob_base_fee,
            } => setGasConfigEcotoneCall {
                basefeeScalar: base_fee,
                blobbasefeeScalar: blob_base_fee,
            }
            .abi_encode(),
            Self::GasLimit(limit) => setGasLimitCall { gasLimit: limit }.abi_encode(),
            Self::UnsafeBlockSigner(signer) => setUnsafeBlockSignerCall {
                unsafeBlockSigner: signer,
            }
            .abi_encode(),
            Self::Eip1559 {
                denominator,
                elasticity,
            } => setEIP1559ParamsCall {
                denominator,
                elasticity,
            }
            .abi_encode(),
            Self::OperatorFee { scalar, constant } => setOperatorFeeScalarsCall {
                operatorFeeScalar: scalar,
                operatorFeeConstant: constant,
            }
            .abi_encode(),
            Self::MinBaseFee(fee) => setMinBaseFeeCall { minBaseFee: fee }.abi_encode(),
            Self::DaFootprint(scalar) => setDAFootprintGasScalarCall {
                daFootprintGasScalar: scalar,
            }
            .abi_encode(),
        }
        .into()
    }
}
