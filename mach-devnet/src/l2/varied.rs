//! Traffic of every kind, the same for the same seed.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, bytes, keccak256};
use alloy_signer::SignerSync;
use op_alloy_consensus::OpTxEnvelope;

use super::{
    Optimism, OptimismFork, UserDeposit,
    predeploys::{MESSAGE_PASSER, STORE},
    traffic::{store, withdrawal},
};
use crate::{
    DEV_ACCOUNTS, DevAccount,
    chain::{Chain, ChainError},
};

/// Who sends; the one after it delegates its code (EIP-7702).
const SENDER: DevAccount = DEV_ACCOUNTS[8];
const DELEGATE: DevAccount = DEV_ACCOUNTS[7];

/// Most transactions of one block.
const MAX_TRANSACTIONS: u64 = 6;

/// How many blocks back contracts and slots are used again.
const MEMORY: u64 = 24;

/// The deterministic deployment proxy: salt and init code make a contract.
const CREATE2_FACTORY: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");

/// Makes a contract with two slots set; each call of it sets or clears the first.
static TOGGLE: Bytes = bytes!("6001600055 6002600155 67 6000541560005500 600052 6008 6018 f3");

/// Makes a contract that destroys itself when it is called.
static MORTAL: Bytes = bytes!("6133ff 600052 6002 601e f3");

/// Makes a contract that destroys itself when it is called, and calls it.
static SHORT_LIVED: Bytes =
    bytes!("6a 6133ff6000526002601ef3 600052 600b60156000f0 60006000600060006000 85 5a f1 00");

/// Destroys itself while it is made.
static STILLBORN: Bytes = bytes!("32ff");

/// Reverts while it is made.
static REFUSED: Bytes = bytes!("60006000fd");

/// Runs until there is no gas left.
static ENDLESS: Bytes = bytes!("5b600056");

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
struct Numbers(u64);

impl Numbers {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A height of the last blocks.
    fn recent(&mut self, height: u64) -> u64 {
        let back = self.below(MEMORY);
        height.saturating_sub(back)
    }
}

const fn numbers(seed: u64, height: u64) -> Numbers {
    Numbers(seed ^ height.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// What a transaction does.
#[derive(Clone, Debug)]
struct Action {
    to: TxKind,
    value: u64,
    input: Bytes,
    gas: u64,
}

impl Action {
    const fn new(to: TxKind, value: u64, input: Bytes) -> Self {
        let gas = 400_000;
        Self {
            to,
            value,
            input,
            gas,
        }
    }
}

/// Puts the transactions of the next block where they wait for it.
pub(super) fn send(chain: &Chain<Optimism>, seed: u64) -> Result<(), ChainError> {
    let height = chain.head() + 1;
    let time = chain.latest().header.timestamp + chain.block_time();
    let fork = chain.role().forks().active(time);
    let mut numbers = numbers(seed, height);
    for _ in 0..=numbers.below(MAX_TRANSACTIONS) {
        let action = action(&mut numbers, height);
        let transaction = transaction(chain, fork, &mut numbers, action)?;
        chain.send(Recovered::new_unchecked(transaction, SENDER.address))?;
    }
    Ok(())
}

/// Deposits that are made on L1 before the block at `height`: with ether and without, contracts, and
/// some that fail.
pub(super) fn deposits(seed: u64, height: u64) -> Option<UserDeposit> {
    let mut numbers = numbers(!seed, height);
    let base = UserDeposit {
        from: DEV_ACCOUNTS[6],
        ..UserDeposit::ether(Address::from_word(keccak256(height.to_be_bytes())), 1_000)
    };
    // One block in six, so that L1, which makes a block for each, keeps the time of the rollup.
    Some(match numbers.below(36) {
        0 => base,
        1 => UserDeposit { mint: 0, ..base },
        2 => UserDeposit {
            value: U256::MAX,
            ..base
        },
        3 => UserDeposit {
            to: TxKind::Create,
            data: TOGGLE.clone(),
            gas_limit: 500_000,
            ..base
        },
        4 => UserDeposit {
            to: TxKind::Create,
            data: REFUSED.clone(),
            ..base
        },
        5 => UserDeposit {
            to: TxKind::Call(STORE),
            value: U256::ZERO,
            data: store(slot(height), U256::from(height)),
            ..base
        },
        _ => return None,
    })
}

fn action(numbers: &mut Numbers, height: u64) -> Action {
    let recent = numbers.recent(height);
    let call = |to: Address, value, input| Action::new(TxKind::Call(to), value, input);
    match numbers.below(18) {
        0 => call(
            Address::from_word(B256::from(U256::from(numbers.next()))),
            3,
            Bytes::new(),
        ),
        1 => call(SENDER.address, 1, Bytes::new()),
        2 => call(
            Address::from_word(keccak256(recent.to_be_bytes())),
            0,
            Bytes::new(),
        ),
        // The identity, SHA-256 and the elliptic curves' precompiles, on whatever is given.
        3 => call(
            Address::with_last_byte(1 + numbers.below(9) as u8),
            0,
            Bytes::from(numbers.next().to_be_bytes().repeat(24)),
        ),
        4 => call(STORE, 0, store(slot(height), U256::from(numbers.next()))),
        5 => call(STORE, 0, store(slot(recent), U256::from(numbers.next()))),
        6 | 7 => call(STORE, 0, store(slot(recent), U256::ZERO)),
        // The store knows no such function.
        8 => call(STORE, 0, Bytes::from_static(&[1, 2, 3, 4])),
        9 => call(MESSAGE_PASSER, 7, withdrawal(SENDER.address)),
        10 => call(CREATE2_FACTORY, 0, salted(height, &TOGGLE)),
        11 => call(made(recent, &TOGGLE), 0, Bytes::new()),
        12 => call(CREATE2_FACTORY, 5, salted(height, &MORTAL)),
        13 => call(made(recent, &MORTAL), 2, Bytes::new()),
        14 => Action::new(TxKind::Create, 9, SHORT_LIVED.clone()),
        15 => Action::new(TxKind::Create, 4, STILLBORN.clone()),
        16 => Action::new(TxKind::Create, 0, REFUSED.clone()),
        _ => Action {
            gas: 120_000,
            ..Action::new(TxKind::Create, 0, ENDLESS.clone())
        },
    }
}

/// The action as a transaction of one of the types that there are.
fn transaction(
    chain: &Chain<Optimism>,
    fork: OptimismFork,
    numbers: &mut Numbers,
    action: Action,
) -> Result<OpTxEnvelope, ChainError> {
    let (chain_id, nonce) = (chain.chain_id(), chain.pending_nonce(SENDER.address)?);
    let price: u128 = 100_000_000_000;
    let tip = u128::from(numbers.below(3)) * 1_000_000;
    let Action {
        to,
        value,
        input,
        gas: gas_limit,
    } = action;
    let value = U256::from(value);
    let access_list = AccessList(vec![AccessListItem {
        address: STORE,
        storage_keys: vec![B256::from(slot(numbers.below(8)))],
    }]);
    let kind = numbers.below(8);
    Ok(match (kind, to) {
        (0 | 1, _) => sign(TxLegacy {
            // Some are valid on every chain (before EIP-155).
            chain_id: (kind == 0).then_some(chain_id),
            nonce,
            gas_price: price,
            gas_limit,
            to,
            value,
            input,
        })
        .into(),
        (2, _) => sign(TxEip2930 {
            chain_id,
            nonce,
            gas_price: price,
            gas_limit,
            to,
            value,
            access_list,
            input,
        })
        .into(),
        (3, TxKind::Call(to)) if fork >= OptimismFork::Isthmus => {
            // Code for an account, or none again; one authorization in four is out of date.
            let code = if numbers.below(2) == 0 {
                STORE
            } else {
                Address::ZERO
            };
            let late = u64::from(numbers.below(4) == 0);
            let authorization = Authorization {
                chain_id: U256::from(chain_id),
                address: code,
                nonce: chain.pending_nonce(DELEGATE.address)? + late,
            };
            let signature = signature(&DELEGATE, authorization.signature_hash());
            sign(TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list,
                authorization_list: vec![authorization.into_signed(signature)],
                input,
            })
            .into()
        }
        _ => sign(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list: if kind == 4 {
                access_list
            } else {
                AccessList::default()
            },
            input,
        })
        .into(),
    })
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> alloy_consensus::Signed<T> {
    let signature = signature(&SENDER, transaction.signature_hash());
    transaction.into_signed(signature)
}

fn signature(account: &DevAccount, hash: B256) -> Signature {
    let signer = account.signer();
    signer
        .sign_hash_sync(&hash)
        .expect("a local key signs every hash")
}

fn slot(height: u64) -> U256 {
    keccak256(height.to_be_bytes()).into()
}

fn salted(height: u64, init: &Bytes) -> Bytes {
    [&U256::from(height).to_be_bytes::<32>()[..], init]
        .concat()
        .into()
}

/// Where [`salted`] puts the contract.
fn made(height: u64, init: &Bytes) -> Address {
    CREATE2_FACTORY.create2_from_code(U256::from(height).to_be_bytes::<32>(), init)
}
