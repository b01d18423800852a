//! Deposits that upgrade the chain's contracts when a fork activates.

use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, b256};

use super::L1Error;

/// A deposit that nobody sends: it follows from the fork alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeTransaction {
    /// Name that its source hash is made of.
    pub intent: &'static str,
    /// Keccak-256 of its EIP-2718 bytes.
    pub hash: B256,
}

/// Upgrade transactions of the block that activates `fork`, in order.
///
/// Source: <https://specs.optimism.io/protocol/ecotone/derivation.html#network-upgrade-automation-transactions>,
/// <https://specs.optimism.io/protocol/fjord/derivation.html#network-upgrade-automation-transactions>,
/// <https://specs.optimism.io/protocol/isthmus/derivation.html#network-upgrade-automation-transactions>,
/// <https://specs.optimism.io/protocol/jovian/derivation.html#network-upgrade-transactions>. For
/// Jovian the node implementations and the code that live chains have since then count, which the
/// text contradicts: kona-hardforks in ethereum-optimism/optimism and in base/base.
///
/// Errors: [`L1Error::UnknownUpgrade`] where they are not known.
pub const fn upgrade_transactions(
    fork: OpHardfork,
) -> Result<&'static [UpgradeTransaction], L1Error> {
    match fork {
        OpHardfork::Ecotone => Ok(&ECOTONE),
        OpHardfork::Fjord => Ok(&FJORD),
        OpHardfork::Isthmus => Ok(&ISTHMUS),
        OpHardfork::Jovian => Ok(&JOVIAN),
        // 31 transactions, `op-core/nuts/bundles/karst_nut_bundle.json` in ethereum-optimism/optimism.
        OpHardfork::Karst | OpHardfork::Interop => Err(L1Error::UnknownUpgrade(fork.name())),
        _ => Ok(&[]),
    }
}

/// Whether some fork has an upgrade transaction with this hash.
pub(super) fn is_upgrade(hash: B256) -> bool {
    let known = [ECOTONE.as_slice(), &FJORD, &ISTHMUS, &JOVIAN];
    known
        .into_iter()
        .flatten()
        .any(|upgrade| upgrade.hash == hash)
}

/// Gas that the gas limit of the activation block has on top for its upgrade transactions.
///
/// Source: <https://specs.optimism.io/protocol/karst/derivation.html>
pub(super) const fn gas(fork: OpHardfork) -> Result<u64, L1Error> {
    match fork {
        OpHardfork::Karst | OpHardfork::Interop => Err(L1Error::UnknownUpgrade(fork.name())),
        _ => Ok(0),
    }
}

const fn upgrade(intent: &'static str, hash: B256) -> UpgradeTransaction {
    UpgradeTransaction { intent, hash }
}

const ECOTONE: [UpgradeTransaction; 6] = [
    upgrade(
        "Ecotone: L1 Block Deployment",
        b256!("50549bed9a83ba7238893970780b458ed3d543f299d6f69f7a5d0b32d7cd71a7"),
    ),
    upgrade(
        "Ecotone: Gas Price Oracle Deployment",
        b256!("f8e8dd83c100c9eb137fa372cdda2cf854f79b6e8cfc604c5e54d970c05cb6dc"),
    ),
    upgrade(
        "Ecotone: L1 Block Proxy Update",
        b256!("9f2b2d34dfa2cb55cceb9860cade0cb03cfbd7ff1dd07d48b4708b29a46b4a24"),
    ),
    upgrade(
        "Ecotone: Gas Price Oracle Proxy Update",
        b256!("edbfdad1f44ea830b863eac45eca4408398351b30511826012882059625963d2"),
    ),
    upgrade(
        "Ecotone: Gas Price Oracle Set Ecotone",
        b256!("91f762393442ac507c6852211b62445d82c9b58bae34726ecef2f10b4156f027"),
    ),
    upgrade(
        "Ecotone: beacon block roots contract deployment",
        b256!("5b7915f2a55ce67519e6d8f65248918f4e62f545706af2bf02549bb9782c03f3"),
    ),
];

const FJORD: [UpgradeTransaction; 3] = [
    upgrade(
        "Fjord: Gas Price Oracle Deployment",
        b256!("aafd55b14e021a2c04628606e42dbe58cc9c86b6ed695a8b9ccf258e28963e5e"),
    ),
    upgrade(
        "Fjord: Gas Price Oracle Proxy Update",
        b256!("2f63bbe08a66796dde569281a58a53e0b0f64b7aa067297e9c70455fb8e375bc"),
    ),
    upgrade(
        "Fjord: Gas Price Oracle Set Fjord",
        b256!("7cedc4f1c428928cdfb9b340bda3060102c71ad23f982678471b222ba8a756e1"),
    ),
];

const ISTHMUS: [UpgradeTransaction; 8] = [
    upgrade(
        "Isthmus: L1 Block Deployment",
        b256!("4557f1142fedd52d571b070a290aa8683a03f7aac7929967858af7aab48cd4cc"),
    ),
    upgrade(
        "Isthmus: Gas Price Oracle Deployment",
        b256!("9412bd3fa72eb1dbec94fd2297d44a8b86cb1f55966324e6cc7d57decc92c1f6"),
    ),
    upgrade(
        "Isthmus: Operator Fee Vault Deployment",
        b256!("a9e6286eadd53ecf7bb2bff668c4fcb62305a8b3e4b584c30f7d4f90046ee75e"),
    ),
    upgrade(
        "Isthmus: L1 Block Proxy Update",
        b256!("e992e00998b34075506d2726a274db07a62af6cdd9d527bfda9128114603cfbd"),
    ),
    upgrade(
        "Isthmus: Gas Price Oracle Proxy Update",
        b256!("b6560306ccb0e772b132a8a6dd78244c0d7ac270c80baba40f95006184926c30"),
    ),
    upgrade(
        "Isthmus: Operator Fee Vault Proxy Update",
        b256!("f162acc8ebbaf9237755736b62331a4817fe27bbbe3712f473ecfa8fee499f7c"),
    ),
    upgrade(
        "Isthmus: Gas Price Oracle Set Isthmus",
        b256!("bf2fef09f73279373fce8acd2968ca4fd1d10ba88bf10993b6a69c33d913f01b"),
    ),
    upgrade(
        "Isthmus: EIP-2935 Contract Deployment",
        b256!("f3ddde30514a8d00b0b92f14b9ce6b3170ea30f5f45b1afdc0905801134ffefe"),
    ),
];

const JOVIAN: [UpgradeTransaction; 5] = [
    upgrade(
        "Jovian: L1 Block Deployment",
        b256!("0bad46dcef609affe3d306a9ce6239a1f3ec59673943a4c533eb20459950f542"),
    ),
    upgrade(
        "Jovian: L1 Block Proxy Update",
        b256!("cd60191626fa3124e7031235c52f0adf6be545ebbd7cf55641bd9dabcbedaf6a"),
    ),
    upgrade(
        "Jovian: Gas Price Oracle Deployment",
        b256!("675febfc848d9b30f27dce1aabb6572d1de80c9eaa75773ac2106eeea7ff3aff"),
    ),
    upgrade(
        "Jovian: Gas Price Oracle Proxy Update",
        b256!("c7c01d75d0b6950fcd30b448cba848e9841ab9ebb6b46eed9ecde4ba05ad0fd9"),
    ),
    upgrade(
        "Jovian: Gas Price Oracle Set Jovian",
        b256!("159d785e90a42f3b9a4d3b9fd4ab69e7c0edec3122cb2e767f3a66aba8f3e664"),
    ),
];
