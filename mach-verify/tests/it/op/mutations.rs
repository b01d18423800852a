//! Whatever is changed about what L1 gives a block is named as exactly that.

use alloy_consensus::Header;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use mach_core::L2Block;
use op_alloy_consensus::{OpTxEnvelope, TxDeposit};

use super::{
    judge,
    world::{Position, Random, World, is_active, is_first, published_upgrades},
};

/// Blocks of a world: all forks are active after half of them.
const BLOCKS: usize = 300;

/// A rollup of [`BLOCKS`] blocks, judged honestly and with every change. Gives how many changes.
fn sweep(seed: u64) -> usize {
    let world = World::new(seed, BLOCKS);
    let mut random = Random(!seed);
    let mut changes = 0;
    for index in 1..world.l2.len() {
        let honest = &world.l2[index];
        assert_eq!(
            judge(&world, index, honest),
            Ok(None),
            "seed {seed}, block {index}"
        );
        let case = Case {
            world: &world,
            index,
            block: honest,
            position: world.positions[index],
        };
        for (what, changed, expected) in case.mutations(&mut random) {
            let verdict = judge(&world, index, &changed);
            let named = verdict.as_ref().ok().and_then(|fault| fault.as_ref());
            assert_eq!(
                named.map(|fault| fault.name()),
                Some(expected),
                "seed {seed}, block {index}, {what}: {verdict:?}"
            );
            changes += 1;
        }
    }
    changes
}

#[test]
fn every_change_of_what_l1_gives_is_named() {
    let worlds: u64 = std::env::var("MACH_OP_WORLDS").map_or(1, |it| it.parse().unwrap());
    let changes: usize = (1..=worlds).map(sweep).sum();
    eprintln!(
        "{} blocks, {changes} changes, all named",
        worlds as usize * BLOCKS
    );
    assert!(changes > 20_000);
}

struct Case<'a> {
    world: &'a World,
    index: usize,
    block: &'a L2Block,
    position: Position,
}

type Mutation = (String, L2Block, &'static str);

impl Case<'_> {
    fn mutations(&self, random: &mut Random) -> Vec<Mutation> {
        let mut all = self.attributes(random);
        self.calldata(random, &mut all);
        self.origins(&mut all);
        self.deposits(random, &mut all);
        self.upgrades(&mut all);
        self.header(&mut all);
        all
    }

    fn time(&self) -> u64 {
        self.block.header.timestamp
    }

    fn with(&self, change: impl FnOnce(&mut Vec<Bytes>)) -> L2Block {
        let mut transactions = self.block.transactions.clone();
        change(&mut transactions);
        L2Block {
            transactions,
            ..self.block.clone()
        }
    }

    fn with_header(&self, change: impl FnOnce(&mut Header)) -> L2Block {
        let mut header = self.block.header.inner().clone();
        change(&mut header);
        L2Block::new(self.block.chain_id, header, self.block.transactions.clone())
    }

    fn with_deposit(&self, index: usize, change: impl FnOnce(&mut TxDeposit)) -> L2Block {
        self.with(|transactions| {
            let mut deposit = deposit(&transactions[index]);
            change(&mut deposit);
            transactions[index] = deposit.encoded_2718().into();
        })
    }

    /// Each field of the L1-attributes deposit but its calldata, and the deposit as a whole.
    fn attributes(&self, random: &mut Random) -> Vec<Mutation> {
        let mut all: Vec<_> = field_changes()
            .into_iter()
            .map(|(what, change)| {
                let changed = self.with_deposit(0, change);
                (format!("attributes: {what}"), changed, "l1Attributes")
            })
            .collect();
        let mut push = |what: &str, changed, fault| all.push((what.to_owned(), changed, fault));
        push(
            "attributes dropped",
            self.with(|t| drop(t.remove(0))),
            "l1Attributes",
        );
        push("no transactions", self.with(Vec::clear), "l1Attributes");
        push(
            "attributes empty",
            self.with(|t| t[0] = Bytes::new()),
            "l1Attributes",
        );
        push(
            "attributes of no form",
            self.with(|t| {
                t[0] = [&[0x7e, 1][..], &random.next().to_be_bytes()]
                    .concat()
                    .into()
            }),
            "l1Attributes",
        );
        if self.index > 1 {
            let stale = self.world.l2[self.index - 1].transactions[0].clone();
            push(
                "attributes of the parent",
                self.with(|t| t[0] = stale),
                "l1Attributes",
            );
        }
        let fault = if self.position.users == 0 && self.position.upgrades > 0 {
            "upgradeDeposits"
        } else {
            "userDeposits"
        };
        push(
            "attributes twice",
            self.with(|t| t.insert(1, t[0].clone())),
            fault,
        );
        if self.block.transactions.len() > 1 {
            push(
                "attributes second",
                self.with(|t| t.swap(0, 1)),
                "l1Attributes",
            );
        }
        all
    }

    /// Each byte of the calldata.
    fn calldata(&self, random: &mut Random, all: &mut Vec<Mutation>) {
        let original = deposit(&self.block.transactions[0]).input;
        // The same bytes in every form.
        let (number, hash) = (28..36, 100..132);
        for at in 0..original.len() {
            let flip = 1 + random.below(255) as u8;
            let changed = self.with_deposit(0, |deposit| {
                let mut input = original.to_vec();
                input[at] ^= flip;
                deposit.input = input.into();
            });
            let fault = if hash.contains(&at) {
                "l1Origin"
            } else if number.contains(&at) {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&original[number.clone()]);
                bytes[at - number.start] ^= flip;
                let parent = self.world.positions[self.index - 1].origin;
                let least = self.world.l1[parent].header.number;
                match u64::from_be_bytes(bytes) {
                    number if number == least || number == least + 1 => "l1Origin",
                    _ => "l1OriginNumber",
                }
            } else {
                "l1Attributes"
            };
            all.push((format!("calldata byte {at}"), changed, fault));
        }
        for (what, length) in [
            ("shorter", original.len() - 1),
            ("longer", original.len() + 1),
        ] {
            let changed = self.with_deposit(0, |deposit| {
                let mut input = original.to_vec();
                input.resize(length, 0);
                deposit.input = input.into();
            });
            all.push((format!("calldata {what}"), changed, "l1Attributes"));
        }
    }

    /// Another L1 block that is really there.
    fn origins(&self, all: &mut Vec<Mutation>) {
        let parent = self.world.positions[self.index - 1].origin;
        for to in parent.saturating_sub(2)..parent + 4 {
            if to == self.position.origin {
                continue;
            }
            let l1 = &self.world.l1[to].header;
            let changed = self.with_deposit(0, |deposit| {
                let mut input = deposit.input.to_vec();
                input[28..36].copy_from_slice(&l1.number.to_be_bytes());
                input[100..132].copy_from_slice(l1.seal().as_slice());
                deposit.input = input.into();
            });
            let fault = if to != parent && to != parent + 1 {
                "l1OriginNumber"
            } else if l1.timestamp > self.time() {
                "beforeL1Origin"
            } else {
                "l1Attributes"
            };
            all.push((format!("L1 origin {to} after {parent}"), changed, fault));
        }
    }

    fn deposits(&self, random: &mut Random, all: &mut Vec<Mutation>) {
        let users = self.position.users;
        let mut push = |what: String, changed, fault| all.push((what, changed, fault));
        for user in 1..=users {
            for (what, change) in field_changes() {
                let changed = self.with_deposit(user, change);
                push(format!("deposit {user}: {what}"), changed, "userDeposits");
            }
            let data = |deposit: &mut TxDeposit| {
                deposit.input = [&deposit.input[..], &[1]].concat().into();
            };
            push(
                format!("deposit {user}: data"),
                self.with_deposit(user, data),
                "userDeposits",
            );
            push(
                format!("deposit {user} dropped"),
                self.with(|t| drop(t.remove(user))),
                "userDeposits",
            );
            let repeated = self.with(|t| t.insert(user, t[user].clone()));
            let fault = if user == users && self.position.upgrades > 0 {
                "upgradeDeposits"
            } else {
                "userDeposits"
            };
            push(format!("deposit {user} repeated"), repeated, fault);
            let other = 1 + random.below(users as u64) as usize;
            if other != user {
                let swapped = self.with(|t| t.swap(user, other));
                push(
                    format!("deposits {user} and {other} swapped"),
                    swapped,
                    "userDeposits",
                );
            }
        }
        let forged = TxDeposit {
            source_hash: B256::with_last_byte(1),
            from: Address::repeat_byte(3),
            to: TxKind::Call(Address::repeat_byte(4)),
            mint: 1 << 80,
            gas_limit: 100_000,
            ..Default::default()
        };
        let forged = Bytes::from(forged.encoded_2718());
        let end = self.with(|t| t.push(forged.clone()));
        push("a deposit that nobody made".to_owned(), end, "userDeposits");
        let first = self.with(|t| t.insert(1 + users, forged));
        let fault = match self.position.upgrades {
            0 => "userDeposits",
            _ => "upgradeDeposits",
        };
        push("a deposit behind those of users".to_owned(), first, fault);
    }

    fn upgrades(&self, all: &mut Vec<Mutation>) {
        let first = 1 + self.position.users;
        let end = first + self.position.upgrades;
        let mut push = |what: String, changed, fault| all.push((what, changed, fault));
        for upgrade in first..end {
            for (what, change) in field_changes() {
                let changed = self.with_deposit(upgrade, change);
                push(
                    format!("upgrade {upgrade}: {what}"),
                    changed,
                    "upgradeDeposits",
                );
            }
            push(
                format!("upgrade {upgrade} dropped"),
                self.with(|t| drop(t.remove(upgrade))),
                "upgradeDeposits",
            );
            push(
                format!("upgrade {upgrade} repeated"),
                self.with(|t| t.insert(upgrade, t[upgrade].clone())),
                "upgradeDeposits",
            );
            if upgrade > first {
                push(
                    format!("upgrades {upgrade} and before swapped"),
                    self.with(|t| t.swap(upgrade - 1, upgrade)),
                    "upgradeDeposits",
                );
            }
        }
        if end > first {
            push(
                "no upgrade at all".to_owned(),
                self.with(|t| drop(t.drain(first..end))),
                "upgradeDeposits",
            );
        } else if self.index % 50 == 1 {
            for fork in ["ecotone", "fjord", "isthmus", "jovian"] {
                let elsewhere = published_upgrades(fork).remove(0);
                push(
                    format!("upgrade of {fork} elsewhere"),
                    self.with(|t| t.insert(end, elsewhere)),
                    "upgradeDeposits",
                );
            }
        }
        if is_first(OpHardfork::Jovian, self.time()) {
            push(
                "a transaction where Jovian activates".to_owned(),
                self.with(|t| t.push(Bytes::from_static(&[2, 1]))),
                "sequencerTransaction",
            );
        }
    }

    fn header(&self, all: &mut Vec<Mutation>) {
        let mut push = |what: &str, changed, fault| all.push((what.to_owned(), changed, fault));
        for timestamp in [
            self.time() + 1,
            self.time() - 1,
            self.time() + 2,
            self.time() - 2,
        ] {
            push(
                "timestamp",
                self.with_header(|header| header.timestamp = timestamp),
                "payloadAttributes",
            );
        }
        push(
            "beneficiary",
            self.with_header(|header| header.beneficiary.0[19] ^= 1),
            "payloadAttributes",
        );
        push(
            "mixHash",
            self.with_header(|header| header.mix_hash.0[0] ^= 1),
            "payloadAttributes",
        );
        push(
            "gasLimit",
            self.with_header(|header| header.gas_limit += 1),
            "systemConfig",
        );
        if is_active(OpHardfork::Ecotone, self.time()) {
            let other = Some(B256::with_last_byte(77));
            push(
                "parentBeaconBlockRoot",
                self.with_header(|header| header.parent_beacon_block_root = other),
                "payloadAttributes",
            );
        }
        if is_active(OpHardfork::Holocene, self.time()) {
            for at in 0..self.block.header.extra_data.len() {
                let mut extra = self.block.header.extra_data.to_vec();
                extra[at] ^= 1;
                push(
                    "extraData",
                    self.with_header(|header| header.extra_data = extra.into()),
                    "systemConfig",
                );
            }
        }
    }
}

type Change = fn(&mut TxDeposit);

/// Every field but the calldata.
fn field_changes() -> [(&'static str, Change); 7] {
    [
        ("sourceHash", |deposit| deposit.source_hash.0[31] ^= 1),
        ("from", |deposit| deposit.from.0[0] ^= 1),
        ("to", |deposit| {
            deposit.to = match deposit.to {
                TxKind::Create => TxKind::Call(Address::ZERO),
                TxKind::Call(to) if to.is_zero() => TxKind::Create,
                TxKind::Call(_) => TxKind::Call(Address::ZERO),
            };
        }),
        ("mint", |deposit| deposit.mint += 1),
        ("value", |deposit| deposit.value += U256::from(1)),
        ("gas", |deposit| deposit.gas_limit += 1),
        ("isSystemTransaction", |deposit| {
            deposit.is_system_transaction = !deposit.is_system_transaction;
        }),
    ]
}

fn deposit(bytes: &Bytes) -> TxDeposit {
    match OpTxEnvelope::decode_2718_exact(bytes).unwrap() {
        OpTxEnvelope::Deposit(deposit) => deposit.into_inner(),
        other => panic!("not a deposit: {other:?}"),
    }
}
