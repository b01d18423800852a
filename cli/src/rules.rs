//! The rules of a block, by their numbers.

/// Each number that a statement or a journal names a rule by, and the rule as the execution API spells it.
const RULES: [(u16, &str); 34] = [
    (1, "parentHash"),
    (2, "ommersHash"),
    (4, "stateRoot"),
    (5, "transactionsRoot"),
    (6, "receiptsRoot"),
    (7, "logsBloom"),
    (8, "difficulty"),
    (9, "number"),
    (10, "gasLimit"),
    (11, "gasUsed"),
    (12, "timestamp"),
    (13, "extraData"),
    (15, "nonce"),
    (16, "baseFeePerGas"),
    (17, "withdrawalsRoot"),
    (18, "blobGasUsed"),
    (19, "excessBlobGas"),
    (20, "parentBeaconBlockRoot"),
    (21, "requestsHash"),
    (64, "transaction"),
    (128, "outputRoot"),
    (129, "blockHash"),
    (160, "l1Attributes"),
    (161, "l1Origin"),
    (162, "l1OriginNumber"),
    (163, "beforeL1Origin"),
    (164, "sequencerDrift"),
    (165, "userDeposits"),
    (166, "upgradeDeposits"),
    (167, "sequencerTransaction"),
    (168, "payloadAttributes"),
    (169, "systemConfig"),
    (170, "batchOrigin"),
    (171, "batchTransactions"),
];

/// What the rule with this number is called, if this version knows it.
pub(crate) fn name(code: u16) -> Option<&'static str> {
    let rule = RULES.iter().find(|(known, _)| *known == code);
    rule.map(|(_, name)| *name)
}

/// `rule 4, stateRoot`; of one that is not known, the number.
pub(crate) fn told(code: u16) -> String {
    name(code).map_or_else(
        || format!("rule {code}"),
        |name| format!("rule {code}, {name}"),
    )
}

#[cfg(test)]
mod tests {
    use mach_core::{Fault, Mismatch};

    use super::*;

    #[test]
    fn rules_are_called_as_faults_call_them() {
        let hash = Mismatch {
            claimed: Default::default(),
            computed: alloy_primitives::B256::repeat_byte(1),
        };
        let number = Mismatch {
            claimed: 1,
            computed: 2,
        };
        let optional = Mismatch {
            claimed: None,
            computed: Some(1),
        };
        let root = Mismatch {
            claimed: None,
            computed: Some(hash.computed),
        };
        let bytes = || Mismatch {
            claimed: alloy_primitives::Bytes::new(),
            computed: [1].into(),
        };
        let difficulty = Mismatch {
            claimed: alloy_primitives::U256::ZERO,
            computed: alloy_primitives::U256::ONE,
        };
        let bloom = Mismatch {
            claimed: Default::default(),
            computed: alloy_primitives::Bloom::repeat_byte(1),
        };
        let (index, field) = (0, String::new);
        let faults = [
            Fault::ParentHash(hash),
            Fault::OmmersHash(hash),
            Fault::StateRoot(hash),
            Fault::TransactionsRoot(hash),
            Fault::ReceiptsRoot(hash),
            Fault::LogsBloom(Box::new(bloom)),
            Fault::Difficulty(difficulty),
            Fault::Number(number),
            Fault::GasLimit(number),
            Fault::GasUsed(number),
            Fault::Timestamp(number),
            Fault::ExtraData(bytes()),
            Fault::Nonce(number),
            Fault::BaseFee(optional),
            Fault::WithdrawalsRoot(root),
            Fault::BlobGasUsed(optional),
            Fault::ExcessBlobGas(optional),
            Fault::ParentBeaconBlockRoot(root),
            Fault::RequestsHash(root),
            Fault::Transaction {
                index,
                hash: hash.computed,
                reason: field(),
            },
            Fault::OutputRoot(hash),
            Fault::BlockHash(hash),
            Fault::L1Attributes {
                field: field(),
                values: bytes(),
            },
            Fault::L1Origin(hash),
            Fault::L1OriginNumber(number),
            Fault::BeforeL1Origin(number),
            Fault::SequencerDrift(number),
            Fault::UserDeposits {
                index,
                values: root,
            },
            Fault::UpgradeDeposits {
                index,
                values: root,
            },
            Fault::SequencerTransaction {
                index,
                hash: hash.computed,
            },
            Fault::PayloadAttributes {
                field: field(),
                values: hash,
            },
            Fault::SystemConfig {
                field: field(),
                values: hash,
            },
            Fault::BatchOrigin(number),
            Fault::BatchTransactions {
                index,
                values: root,
            },
        ];
        let named = faults.iter().map(|fault| (fault.code(), fault.name()));
        assert_eq!(named.collect::<Vec<_>>(), RULES);
        assert_eq!(told(20), "rule 20, parentBeaconBlockRoot");
        assert_eq!(told(999), "rule 999");
    }
}
