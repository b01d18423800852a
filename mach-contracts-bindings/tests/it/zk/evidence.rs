//! Headers and proofs in the EVM: real ones, and damaged ones.

use std::io::Read;

use alloy_consensus::Header;
use alloy_primitives::hex;
use mach_contracts_bindings::{
    Artifact, Revert,
    zk::abi::{BlockTimes, IZkEvidence as E},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::{chain::Chain, fixture::STRANGER};

struct Evidence {
    chain: Chain,
    address: Address,
}

impl Evidence {
    fn new() -> Self {
        let mut chain = Chain::new();
        let times = BlockTimes {
            firstBlock: 0,
            firstTimestamp: 0,
            blockTime: 0,
        };
        let constructor = E::constructorCall { times };
        let address = chain
            .deploy(STRANGER, Artifact::ZkEvidence, &constructor)
            .unwrap();
        Self { chain, address }
    }

    fn open(&mut self, header: &[u8]) -> Result<E::Header, Revert> {
        let call = E::openCall {
            blockHash: keccak256(header),
            header: Bytes::copy_from_slice(header),
        };
        self.chain.call(self.address, &call)
    }

    /// Parent of what hashes to itself, at least.
    fn parent(&mut self, header: &[u8]) -> Result<B256, Revert> {
        let call = E::descendCall {
            blockHash: keccak256(header),
            headers: vec![Bytes::copy_from_slice(header)],
        };
        self.chain.call(self.address, &call)
    }

    fn passer(&mut self, header: &Bytes, proof: &[Bytes]) -> Result<B256, Revert> {
        let call = E::messagePasserCall {
            blockHash: keccak256(header),
            header: header.clone(),
            accountProof: proof.to_vec(),
        };
        let answer = self.chain.call(self.address, &call)?;
        Ok(answer.storageRoot)
    }
}

fn same(parsed: &E::Header, header: &Header) {
    assert_eq!(parsed.parentHash, header.parent_hash);
    assert_eq!(parsed.stateRoot, header.state_root);
    assert_eq!(parsed.number, U256::from(header.number));
    assert_eq!(parsed.timestamp, U256::from(header.timestamp));
    let withdrawals = header.withdrawals_root.unwrap_or_default();
    assert_eq!(parsed.withdrawalsRoot, withdrawals);
    let optional = [
        header.base_fee_per_gas.is_some(),
        header.withdrawals_root.is_some(),
        header.blob_gas_used.is_some(),
        header.excess_blob_gas.is_some(),
        header.parent_beacon_block_root.is_some(),
        header.requests_hash.is_some(),
    ];
    let count = optional.iter().filter(|there| **there).count();
    assert_eq!(parsed.fields, U256::from(15 + count));
}

/// Headers of Ethereum, OP Mainnet and OP Sepolia as their nodes gave them.
#[test]
fn real_headers_are_read_as_alloy_reads_them() {
    let Ok(data) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return;
    };
    let mut evidence = Evidence::new();
    let (mut read, mut wide) = (0, 0);
    for file in std::fs::read_dir(format!("{data}/blocks")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let block = hex::decode(file["block_rlp"].as_str().unwrap()).unwrap();
        let mut rest = block.as_slice();
        // A block is a list that begins with its header.
        alloy_rlp::Header::decode(&mut rest).unwrap();
        let header = <Header as alloy_rlp::Decodable>::decode(&mut rest).unwrap();
        let encoded = alloy_rlp::encode(&header);
        let hash = format!("{}", keccak256(&encoded));
        assert_eq!(file["hash"], hash, "{}", path.display());
        same(&evidence.open(&encoded).unwrap(), &header);
        read += 1;
        wide += usize::from(header.requests_hash.is_some());
    }
    println!("{read} headers, {wide} of Isthmus and later");
    assert!(read >= 20, "{read}");
}

#[tokio::test]
async fn headers_of_every_fork_are_read_and_damaged_ones_are_not() {
    let mut evidence = Evidence::new();
    let mut random = StdRng::seed_from_u64(7);
    let (mut refused, mut other) = (0, 0);
    for fork in [
        OptimismFork::Bedrock,
        OptimismFork::Canyon,
        OptimismFork::Ecotone,
        OptimismFork::Isthmus,
        OptimismFork::Jovian,
    ] {
        let devnet = DevnetConfig {
            l2_fork: fork,
            ..DevnetConfig::default()
        };
        let devnet = devnet.build().unwrap();
        devnet.sequencer().produce().unwrap();
        let block = devnet.l2().l2_block(1).unwrap();
        let header = alloy_rlp::encode(block.header.inner());
        let parsed = evidence.open(&header).unwrap();
        same(&parsed, block.header.inner());
        // Whatever alloy refuses is refused here; what both read, they read alike. Here a header must have a base
        // fee or none, and nothing may be longer than its type, so this one may refuse more.
        for _ in 0..400 {
            let mut damaged = header.clone();
            match random.random_range(0..4) {
                0 => damaged.truncate(random.random_range(0..header.len())),
                1 => damaged.push(random.random()),
                2 => {
                    let at = random.random_range(0..header.len());
                    damaged.remove(at);
                }
                _ => {
                    // The first bytes and those of numbers matter more than roots.
                    let at = if random.random() {
                        random.random_range(0..8)
                    } else {
                        random.random_range(440..header.len())
                    };
                    damaged[at] ^= 1 << random.random_range(0..8);
                }
            }
            let mut rest = damaged.as_slice();
            let theirs = <Header as alloy_rlp::Decodable>::decode(&mut rest)
                .ok()
                .filter(|header| rest.is_empty() && alloy_rlp::encode(header) == damaged);
            let opened = evidence.open(&damaged);
            if let Ok(parsed) = &opened {
                // On the way down nothing else of a header is read, and that alike.
                assert_eq!(evidence.parent(&damaged).unwrap(), parsed.parentHash);
            }
            match (opened, theirs) {
                (Ok(parsed), Some(header)) => {
                    same(&parsed, &header);
                    other += 1;
                }
                (Ok(parsed), None) => {
                    // A number too large for alloy's type is a number all the same.
                    assert!(parsed.fields >= U256::from(15), "{}", hex::encode(&damaged));
                    other += 1;
                }
                (Err(error), _) => {
                    assert_eq!(error.to_string(), "InvalidHeader");
                    refused += 1;
                }
            }
        }
    }
    println!("{refused} refused, {other} other headers");
    assert!(refused > 500 && other > 100, "{refused} {other}");
}

#[test]
fn what_is_not_canonical_is_no_header() {
    let mut evidence = Evidence::new();
    let header = Header {
        number: 7,
        gas_limit: 0x80,
        base_fee_per_gas: Some(1),
        ..Header::default()
    };
    let right = alloy_rlp::encode(&header);
    evidence.open(&right).unwrap();
    // Parent, ommers, coinbase, three roots, bloom: then difficulty 0x80 and number 7.
    let number = 3 + 33 + 33 + 21 + 3 * 33 + 259 + 1;
    assert_eq!(right[number], 7);
    let with = |at: usize, instead: &[u8]| {
        let mut bytes = right.clone();
        bytes.splice(at..=at, instead.iter().copied());
        let length = (bytes.len() - 3) as u16;
        bytes[1..3].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let cases = [
        ("a byte in a string of one", with(number, &[0x81, 7])),
        ("a leading zero", with(number, &[0x82, 0, 7])),
        ("zero as a byte", with(number, &[0])),
        ("a short string in long form", with(number, &[0xb8, 1, 7])),
        ("a list", with(number, &[0xc1, 7])),
        (
            "a number above 32 bytes",
            with(number, &[&[0xa1][..], &[1; 33]].concat()),
        ),
        ("a string past the end", with(number, &[0xb9, 0xff, 0xff])),
        ("fourteen fields", {
            let short = alloy_rlp::encode(Header {
                base_fee_per_gas: None,
                ..header.clone()
            });
            let mut bytes = short[..short.len() - 9].to_vec();
            let length = (bytes.len() - 3) as u16;
            bytes[1..3].copy_from_slice(&length.to_be_bytes());
            bytes
        }),
        ("nothing", vec![]),
        ("a byte", vec![0xf9]),
        (
            "a long extraData",
            alloy_rlp::encode(Header {
                extra_data: vec![1; 5000].into(),
                ..header
            }),
        ),
    ];
    for (name, bytes) in cases {
        let told = evidence.open(&bytes).unwrap_err();
        assert_eq!(told.to_string(), "InvalidHeader", "{name}");
    }
}

#[tokio::test]
async fn an_account_proof_is_taken_whole_or_not_at_all() {
    let world = World::with(OptimismFork::Holocene, |_| {}).await;
    let mut evidence = Evidence::new();
    let header = world.header(3);
    let (opening, proof) = world.opening(3).await;
    let right = evidence.passer(&header, &proof).unwrap();
    assert_eq!(right, opening.messagePasserStorageRoot);
    assert!(proof.len() > 1);

    let refused = |evidence: &mut Evidence, proof: &[Bytes]| {
        let told = evidence.passer(&header, proof).unwrap_err().to_string();
        let named = ["InvalidAccountProof", "RLPInvalidEncoding"];
        assert!(named.iter().any(|name| told.starts_with(name)), "{told}");
    };
    refused(&mut evidence, &[]);
    refused(&mut evidence, &proof[..proof.len() - 1]);
    refused(&mut evidence, &proof[1..]);
    let twice = [proof.as_slice(), proof.as_slice()].concat();
    refused(&mut evidence, &twice);
    refused(&mut evidence, &vec![proof[0].clone(); 66]);
    refused(&mut evidence, &[Bytes::from(vec![0; 2000])]);
    let swapped: Vec<_> = proof.iter().rev().cloned().collect();
    refused(&mut evidence, &swapped);
    // Another account's proof, and one of another block.
    let l2: RootProvider = world.devnet.l2().provider();
    let other = l2
        .get_proof(L1_BLOCK, vec![])
        .block_id(3.into())
        .await
        .unwrap();
    refused(&mut evidence, &other.account_proof);
    let (_, fourth) = world.opening(4).await;
    refused(&mut evidence, &fourth);

    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..1000 {
        let mut damaged = proof.clone();
        let node = random.random_range(0..damaged.len());
        let mut bytes = damaged[node].to_vec();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        damaged[node] = bytes.into();
        refused(&mut evidence, &damaged);
    }
}

#[tokio::test]
async fn a_chain_of_headers_leads_down_and_nowhere_else() {
    let world = World::new().await;
    let mut evidence = Evidence::new();
    let mut descend = |hash: B256, headers: Vec<Bytes>| {
        let call = E::descendCall {
            blockHash: hash,
            headers,
        };
        evidence.chain.call(evidence.address, &call)
    };
    let top = world.block(5).hash();
    assert_eq!(descend(top, vec![]).unwrap(), top);
    let found = descend(top, world.headers(5, 2)).unwrap();
    assert_eq!(found, world.block(1).hash());
    let gap = vec![world.header(5), world.header(3)];
    let told = descend(top, gap).unwrap_err();
    assert!(told.to_string().starts_with("HeaderMismatch"));
    let told = descend(top, vec![world.header(5); 513]).unwrap_err();
    assert!(told.to_string().starts_with("TooManyHeaders"));
    // What hashes to what was asked for, and is no header.
    let right = world.header(5).to_vec();
    assert_eq!(evidence.parent(&right).unwrap(), world.block(4).hash());
    let with = |at: usize, byte: u8| {
        let mut bytes = right.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        vec![],
        right[..35].to_vec(),
        right[..right.len() - 1].to_vec(),
        [right.as_slice(), &[0]].concat(),
        [right.as_slice(), &[0; 4096]].concat(),
        with(0, 0xf8),
        with(1, right[1] ^ 1),
        with(2, right[2] ^ 1),
        with(3, 0x9f),
    ];
    for bytes in cases {
        let told = evidence.parent(&bytes).unwrap_err().to_string();
        assert_eq!(told, "InvalidHeader", "{} bytes", bytes.len());
    }
}
