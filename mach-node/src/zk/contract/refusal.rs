//! What a refusal means for what comes next.

use alloy_sol_types::SolError;
use mach_contracts_bindings::{
    CallError, SubmitError,
    zk::abi::{
        IMachZkServiceManager as Z, IOpenVmVerifierAdapter as OpenVm, IProofVerifier as Verifier,
        IZkEvidence as Evidence,
    },
};

use super::ZkContractError;

/// Of these the same call is never taken. All others pass, or may: a pause, a bond that was changed, an
/// account that is not allowed yet, a program or configuration that is not active yet, another proof that
/// says something else until the owner has retired a program.
const FINAL: [[u8; 4]; 16] = [
    Z::NoSuchSource::SELECTOR,
    Z::OtherGameType::SELECTOR,
    Z::OpeningMismatch::SELECTOR,
    Z::HeadersOfUnpublished::SELECTOR,
    Z::BlockNumberMismatch::SELECTOR,
    Z::NothingWrong::SELECTOR,
    Z::UnprovableFault::SELECTOR,
    Evidence::HeaderMismatch::SELECTOR,
    Evidence::TooManyHeaders::SELECTOR,
    Evidence::InvalidHeader::SELECTOR,
    Verifier::EmptyProof::SELECTOR,
    Verifier::DevelopmentProof::SELECTOR,
    Verifier::UnknownSelector::SELECTOR,
    Verifier::ProofRejected::SELECTOR,
    Verifier::NotAContract::SELECTOR,
    OpenVm::InvalidProofLength::SELECTOR,
];

/// What was to be accused, or the alert, is not there.
const GONE: [[u8; 4]; 4] = [
    Z::InvalidIndex::SELECTOR,
    Z::InvalidAlert::SELECTOR,
    Z::NotPublished::SELECTOR,
    // Found by its alert when it is looked for again.
    Z::AlreadyConvicted::SELECTOR,
];

/// Whether there is no alert with the number that was asked for.
pub(super) fn is_unknown(data: &[u8]) -> bool {
    data.starts_with(&Z::InvalidIndex::SELECTOR)
}

/// Whether something else stands by now where what is accused stood.
pub(super) fn has_moved(error: &SubmitError) -> bool {
    data(error).is_some_and(|data| data.starts_with(&Z::OpeningMismatch::SELECTOR))
}

/// Whether another proof says something else.
pub(super) fn contradicts(error: &SubmitError) -> bool {
    data(error).is_some_and(|data| data.starts_with(&Z::ContradictingProof::SELECTOR))
}

/// The error of a read. A read of this contract that is refused is one of a node that is behind.
pub(super) fn not_read(error: CallError) -> ZkContractError {
    ZkContractError::Backend(error.into())
}

/// The error of a transaction.
pub(super) fn not_sent(error: SubmitError) -> ZkContractError {
    let Some(data) = data(&error) else {
        return match error {
            // It is for people to mend: the account lacks ether, its key is away, the disk is full.
            SubmitError::Underfunded { .. }
            | SubmitError::Refused { .. }
            | SubmitError::Sign(_)
            | SubmitError::Log(_) => ZkContractError::NotNow(error.into()),
            error => ZkContractError::Backend(error.into()),
        };
    };
    let is_one_of = |all: &[[u8; 4]]| all.iter().any(|it| data.starts_with(it));
    if is_one_of(&FINAL) {
        ZkContractError::Refused(error.into())
    } else if is_one_of(&GONE) {
        ZkContractError::Gone(error.into())
    } else {
        ZkContractError::NotNow(error.into())
    }
}

/// What the contract said, if it was the contract.
const fn data(error: &SubmitError) -> Option<&alloy_primitives::Bytes> {
    match error {
        SubmitError::Reverted { data, .. }
        | SubmitError::Call(CallError::Reverted { data, .. }) => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, Bytes, U256};
    use mach_contracts_bindings::Revert;

    use super::*;

    fn reverted(data: Vec<u8>) -> SubmitError {
        SubmitError::Reverted {
            transaction: None,
            revert: Revert::decode(&data),
            data: Bytes::from(data),
        }
    }

    #[test]
    fn what_passes_is_waited_for_and_what_does_not_is_final() {
        let passing = [
            Z::IsPaused {}.abi_encode(),
            Z::WrongBond {
                sent: U256::ZERO,
                bond: U256::from(1),
            }
            .abi_encode(),
            Z::NotInAllowlist {}.abi_encode(),
            Z::ProgramNotActive {
                program: B256::ZERO,
            }
            .abi_encode(),
            Z::ConfigNotActive {
                configHash: B256::ZERO,
            }
            .abi_encode(),
            Z::AlreadyProved { id: U256::ZERO }.abi_encode(),
            // A message of a contract in front, and nothing at all.
            b"anything".to_vec(),
            Vec::new(),
        ];
        for data in passing {
            let error = not_sent(reverted(data));
            assert!(matches!(error, ZkContractError::NotNow(_)), "{error:?}");
            assert!(error.is_transient());
        }
        let refused = [
            Z::NothingWrong {}.abi_encode(),
            Verifier::ProofRejected {}.abi_encode(),
            Evidence::InvalidHeader {}.abi_encode(),
        ];
        for data in refused {
            let error = not_sent(reverted(data));
            assert!(matches!(error, ZkContractError::Refused(_)), "{error:?}");
        }
        for data in [
            Z::InvalidIndex {}.abi_encode(),
            Z::InvalidAlert {}.abi_encode(),
            Z::NotPublished {
                source: Address::ZERO,
            }
            .abi_encode(),
        ] {
            let error = not_sent(reverted(data));
            assert!(matches!(error, ZkContractError::Gone(_)), "{error:?}");
        }
        let underfunded = SubmitError::Underfunded {
            account: Address::ZERO,
            balance: U256::ZERO,
            needed: U256::from(1),
        };
        assert!(not_sent(underfunded).is_transient());
    }
}
