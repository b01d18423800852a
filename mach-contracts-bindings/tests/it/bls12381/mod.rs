//! Certificates on BLS12-381, signed by blst and checked by the contract with the precompiles of EIP-2537.

mod certificates;
mod keys;
mod tally;

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use blst::{min_pk, min_sig};
use mach_contracts_bindings::{
    Artifact, Revert,
    abi::bls12381::{Certificate, Fp, Fp2, G1Point, G2Point, IMachBls12381Verifier as V, Member},
    bls12381_key_digest,
};

use crate::{
    chain::{CHAIN_ID, Chain, Done},
    fixture::{OWNER, STRANGER},
};

const TAG: &[u8] = mach_bls::bls12_381::DEFAULT_DST;
const DIGEST: B256 = B256::repeat_byte(0xd1);

/// A secret key in both of blst's roles: keys in G1, and keys in G2 with signatures in G1.
struct Key {
    in_g1: min_pk::SecretKey,
    in_g2: min_sig::SecretKey,
}

impl Key {
    fn new(secret: U256) -> Self {
        let bytes = secret.to_be_bytes::<32>();
        Self {
            in_g1: min_pk::SecretKey::from_bytes(&bytes).unwrap(),
            in_g2: min_sig::SecretKey::from_bytes(&bytes).unwrap(),
        }
    }

    fn g1(&self) -> G1Point {
        g1(&self.in_g1.sk_to_pk().serialize())
    }

    fn g2(&self) -> G2Point {
        g2(&self.in_g2.sk_to_pk().serialize())
    }

    fn sign(&self, digest: B256, tag: &[u8]) -> min_sig::Signature {
        self.in_g2.sign(digest.as_slice(), tag, &[])
    }
}

/// The group order. Source: section 4.2.1 of the IETF draft on pairing-friendly curves.
fn order() -> U256 {
    "0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"
        .parse()
        .unwrap()
}

/// 48 bytes as the 64 of EIP-2537.
fn fp(bytes: &[u8]) -> Fp {
    let mut high = [0; 32];
    high[16..].copy_from_slice(&bytes[..16]);
    Fp {
        high: U256::from_be_bytes(high),
        low: U256::from_be_slice(&bytes[16..48]),
    }
}

/// From blst's uncompressed form, in which the first bit but one tells the identity.
fn g1(bytes: &[u8; 96]) -> G1Point {
    if bytes[0] & 0x40 != 0 {
        return G1Point::default();
    }
    G1Point {
        X: fp(&bytes[..48]),
        Y: fp(&bytes[48..]),
    }
}

/// blst writes the imaginary part first, EIP-2537 the real one.
fn g2(bytes: &[u8; 192]) -> G2Point {
    if bytes[0] & 0x40 != 0 {
        return G2Point::default();
    }
    let fp2 = |bytes: &[u8]| Fp2 {
        c0: fp(&bytes[48..]),
        c1: fp(&bytes[..48]),
    };
    G2Point {
        X: fp2(&bytes[..96]),
        Y: fp2(&bytes[96..]),
    }
}

fn signature(signature: &min_sig::Signature) -> G1Point {
    g1(&signature.serialize())
}

fn id(key: &G1Point) -> B256 {
    keccak256(key.abi_encode())
}

/// Four operators with stakes 100, 200, 300 and 400 in quorum 0; the last two also with 30 and 40 in quorum 1.
struct Network {
    chain: Chain,
    verifier: Address,
    keys: Vec<Key>,
}

const STAKES: [[u64; 2]; 4] = [[100, 0], [200, 0], [300, 30], [400, 40]];

impl Network {
    fn empty() -> Self {
        let mut chain = Chain::new();
        let verifier = deploy(&mut chain, TAG).unwrap();
        Self {
            chain,
            verifier,
            keys: Vec::new(),
        }
    }

    fn new() -> Self {
        Self::with_keys([1001, 1002, 1003, 1004].map(U256::from))
    }

    fn with_keys(secrets: [U256; 4]) -> Self {
        let mut this = Self::empty();
        for (index, secret) in secrets.into_iter().enumerate() {
            let key = Key::new(secret);
            this.register(operator(index), &key).unwrap();
            this.keys.push(key);
        }
        let mut stakes = Vec::new();
        for (index, of_quorums) in STAKES.iter().enumerate() {
            for (quorum, stake) in of_quorums.iter().enumerate() {
                stakes.push((index, quorum as u8, *stake));
            }
        }
        this.set_stakes(OWNER, &stakes).unwrap();
        this
    }

    fn register(&mut self, operator: Address, key: &Key) -> Result<Done, Revert> {
        let digest = bls12381_key_digest(operator, self.verifier, CHAIN_ID);
        let proof = signature(&key.sign(digest, TAG));
        self.register_raw(operator, key.g1(), key.g2(), proof)
    }

    fn register_raw(
        &mut self,
        operator: Address,
        key: G1Point,
        key_g2: G2Point,
        proof: G1Point,
    ) -> Result<Done, Revert> {
        let call = V::registerKeyCall {
            key,
            keyG2: key_g2,
            proof,
        };
        self.chain.send(operator, self.verifier, &call)
    }

    fn set_stakes(&mut self, from: Address, stakes: &[(usize, u8, u64)]) -> Result<Done, Revert> {
        let members = stakes
            .iter()
            .map(|(index, quorum, stake)| Member {
                operator: operator(*index),
                quorumNumber: *quorum,
                stake: U96::from(*stake),
            })
            .collect();
        self.chain
            .send(from, self.verifier, &V::setStakesCall { members })
    }

    fn read<C: SolCall>(&mut self, call: &C) -> C::Return {
        self.chain.call(self.verifier, call).unwrap()
    }

    /// The certificate of everybody but `absent`, by the stakes of [`STAKES`].
    fn certificate(&mut self, quorums: &[u8], thresholds: &[u8], absent: &[usize]) -> Certificate {
        let mut signatures = Vec::new();
        let mut keys = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            if absent.contains(&index) {
                continue;
            }
            for quorum in quorums {
                if STAKES[index][usize::from(*quorum)] > 0 {
                    signatures.push(key.sign(DIGEST, TAG));
                    keys.push(key.in_g2.sk_to_pk());
                }
            }
        }
        let mut non_signers: Vec<_> = absent.iter().map(|index| self.keys[*index].g1()).collect();
        non_signers.sort_by_key(id);
        let quorum_apks = quorums
            .iter()
            .map(|quorum| {
                let members: Vec<_> = (0..4)
                    .filter(|index| STAKES[*index][usize::from(*quorum)] > 0)
                    .map(|index| self.keys[index].in_g1.sk_to_pk())
                    .collect();
                sum_g1(&members)
            })
            .collect();
        Certificate {
            digest: DIGEST,
            referenceBlockNumber: self.chain.block() - 1,
            quorumNumbers: Bytes::copy_from_slice(quorums),
            thresholds: Bytes::copy_from_slice(thresholds),
            quorumApks: quorum_apks,
            nonSigners: non_signers,
            apkG2: sum_g2(&keys),
            sigma: sum_signatures(&signatures),
        }
    }

    fn check(&mut self, certificate: &Certificate) -> Result<V::checkCertificateReturn, Revert> {
        let call = V::checkCertificateCall {
            certificate: certificate.clone(),
        };
        self.chain.call(self.verifier, &call)
    }
}

fn deploy(chain: &mut Chain, tag: &[u8]) -> Result<Address, Revert> {
    let constructor = V::constructorCall {
        owner: OWNER,
        signatureDomain: Bytes::copy_from_slice(tag),
    };
    chain.deploy(STRANGER, Artifact::MachBls12381Verifier, &constructor)
}

fn operator(index: usize) -> Address {
    Address::repeat_byte(0x60 + index as u8)
}

fn sum_g1(keys: &[min_pk::PublicKey]) -> G1Point {
    let keys: Vec<_> = keys.iter().collect();
    let sum = min_pk::AggregatePublicKey::aggregate(&keys, false).unwrap();
    g1(&sum.to_public_key().serialize())
}

fn sum_g2(keys: &[min_sig::PublicKey]) -> G2Point {
    let keys: Vec<_> = keys.iter().collect();
    let sum = min_sig::AggregatePublicKey::aggregate(&keys, false).unwrap();
    g2(&sum.to_public_key().serialize())
}

fn sum_signatures(signatures: &[min_sig::Signature]) -> G1Point {
    let signatures: Vec<_> = signatures.iter().collect();
    let sum = min_sig::AggregateSignature::aggregate(&signatures, false).unwrap();
    signature(&sum.to_signature())
}

/// What the contract answers to a certificate that is wrong.
fn precompile_failed(address: u8) -> String {
    let precompile = Address::with_last_byte(address);
    format!("PrecompileFailed {{ precompile: {precompile:?} }}")
}

const G1MSM: u8 = 0x0c;
const PAIRING_CHECK: u8 = 0x0f;

/// x = 4 is on the curve and, like most points of it, outside the subgroup.
fn outside_the_subgroup_of_g1() -> G1Point {
    // Compressed form: the top bit is set.
    let mut bytes = [0; 48];
    (bytes[0], bytes[47]) = (0x80, 4);
    let point = min_pk::PublicKey::uncompress(&bytes).unwrap();
    assert!(point.validate().is_err());
    g1(&point.serialize())
}

fn outside_the_subgroup_of_g2() -> G2Point {
    let mut bytes = [0; 96];
    bytes[0] = 0x80;
    let point = (0..)
        .find_map(|x| {
            bytes[95] = x;
            min_sig::PublicKey::uncompress(&bytes).ok()
        })
        .unwrap();
    assert!(point.validate().is_err());
    g2(&point.serialize())
}
