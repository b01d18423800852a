//! Certificates on BLS12-381, signed by blst and checked by the contract with the precompiles of EIP-2537.

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256};
use alloy_sol_types::{SolCall, SolStruct, SolValue, eip712_domain, sol};
use blst::{min_pk, min_sig};
use mach_contracts_bindings::{
    Artifact, Revert,
    abi::bls12381::{Certificate, Fp, Fp2, G1Point, G2Point, IMachBls12381Verifier as V, Member},
};
use revm::primitives::hardfork::SpecId;

use crate::{
    chain::{CHAIN_ID, Chain, Done},
    fixture::{OWNER, STRANGER, refused},
};

const TAG: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
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
        let digest = registration_digest(operator, self.verifier);
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

fn registration_digest(operator: Address, verifier: Address) -> B256 {
    sol! {
        struct BLS12381KeyRegistration {
            address operator;
        }
    }
    let domain = eip712_domain! {
        name: "MachBls12381Verifier",
        version: "1",
        chain_id: CHAIN_ID,
        verifying_contract: verifier,
    };
    BLS12381KeyRegistration { operator }.eip712_signing_hash(&domain)
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

/// x = 4 is on the curve and outside the subgroup, whose order is a 2^-125th of the curve's.
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

#[test]
fn a_certificate_of_all_or_of_all_but_some_is_right() {
    let mut network = Network::new();
    struct Case(
        &'static [u8],
        &'static [u8],
        &'static [usize],
        [&'static [u64]; 2],
    );
    let cases = [
        Case(&[0], &[100], &[], [&[1000], &[1000]]),
        Case(&[0], &[90], &[0], [&[900], &[1000]]),
        Case(&[0], &[60], &[3], [&[600], &[1000]]),
        Case(&[1], &[57], &[2], [&[40], &[70]]),
        Case(&[0, 1], &[100, 100], &[], [&[1000, 70], &[1000, 70]]),
        Case(&[0, 1], &[50, 50], &[0, 2], [&[600, 40], &[1000, 70]]),
    ];
    for Case(quorums, thresholds, absent, [signed, total]) in cases {
        let certificate = network.certificate(quorums, thresholds, absent);
        let answer = network.check(&certificate).unwrap();
        let numbers =
            |stakes: Vec<U96>| stakes.iter().map(|stake| stake.to()).collect::<Vec<u64>>();
        assert_eq!(
            numbers(answer.signedStake),
            signed,
            "{quorums:?} {absent:?}"
        );
        assert_eq!(numbers(answer.totalStake), total, "{quorums:?} {absent:?}");
        let call = V::checkCertificateCall { certificate };
        let done = network
            .chain
            .send(STRANGER, network.verifier, &call)
            .unwrap();
        println!(
            "checkCertificate of quorums {quorums:?}, {} absent: {} gas",
            absent.len(),
            done.gas_used
        );
    }
}

/// Each field of a certificate of two quorums with one operator absent, altered.
#[test]
fn a_certificate_altered_anywhere_is_refused() {
    type Alteration = fn(&mut Certificate);
    let mut network = Network::new();
    let good = network.certificate(&[0, 1], &[66, 50], &[2]);
    network.check(&good).unwrap();
    let now = network.chain.block();
    let absent = id(&good.nonSigners[0]);
    let cases: [(&str, Alteration, String); 27] = [
        ("digest", |c| c.digest = B256::ZERO, "InvalidSignature".into()),
        (
            "reference block before the stakes",
            |c| c.referenceBlockNumber = 3,
            "QuorumWithoutStake { quorumNumber: 0 }".into(),
        ),
        (
            "reference block not past",
            |c| c.referenceBlockNumber += 1,
            format!("ReferenceBlockNotPast {{ referenceBlockNumber: {now}, currentBlock: {now} }}"),
        ),
        ("no quorum", |c| c.quorumNumbers = Bytes::new(), "NoQuorums".into()),
        (
            "fewer quorums",
            |c| c.quorumNumbers = Bytes::from_static(&[0]),
            "LengthMismatch".into(),
        ),
        (
            "descending quorums",
            |c| c.quorumNumbers = Bytes::from_static(&[1, 0]),
            "QuorumsNotAscending".into(),
        ),
        (
            "a quorum twice",
            |c| c.quorumNumbers = Bytes::from_static(&[1, 1]),
            "QuorumsNotAscending".into(),
        ),
        (
            "a quorum without members",
            |c| c.quorumNumbers = Bytes::from_static(&[0, 2]),
            "QuorumWithoutStake { quorumNumber: 2 }".into(),
        ),
        (
            "a quorum number out of range",
            |c| c.quorumNumbers = Bytes::from_static(&[0, 192]),
            "UnknownQuorum { quorumNumber: 192 }".into(),
        ),
        (
            "a threshold too high",
            |c| c.thresholds = Bytes::from_static(&[71, 50]),
            "ThresholdNotMet { quorumNumber: 0, signedStake: 700, totalStake: 1000, threshold: 71 }".into(),
        ),
        (
            "the other threshold too high",
            |c| c.thresholds = Bytes::from_static(&[66, 58]),
            "ThresholdNotMet { quorumNumber: 1, signedStake: 40, totalStake: 70, threshold: 58 }".into(),
        ),
        (
            "a threshold of nobody",
            |c| c.thresholds = Bytes::from_static(&[66, 0]),
            "InvalidThreshold { quorumNumber: 1, threshold: 0 }".into(),
        ),
        (
            "a threshold above all",
            |c| c.thresholds = Bytes::from_static(&[101, 50]),
            "InvalidThreshold { quorumNumber: 0, threshold: 101 }".into(),
        ),
        (
            "fewer thresholds",
            |c| c.thresholds = Bytes::from_static(&[66]),
            "LengthMismatch".into(),
        ),
        (
            "swapped quorum keys",
            |c| c.quorumApks.swap(0, 1),
            "OtherQuorumKey { quorumNumber: 0 }".into(),
        ),
        (
            "one quorum key less",
            |c| c.quorumApks.truncate(1),
            "LengthMismatch".into(),
        ),
        (
            "a quorum key of nobody",
            |c| c.quorumApks[1] = G1Point::default(),
            "OtherQuorumKey { quorumNumber: 1 }".into(),
        ),
        (
            "no non-signer",
            |c| c.nonSigners.clear(),
            "InvalidSignature".into(),
        ),
        (
            "a non-signer twice",
            |c| c.nonSigners.push(c.nonSigners[0]),
            format!("NonSignersNotAscending {{ operatorId: {absent} }}"),
        ),
        (
            "a signer as another non-signer",
            |c| {
                c.nonSigners.push(Key::new(U256::from(1001)).g1());
                c.nonSigners.sort_by_key(id);
                c.thresholds = Bytes::from_static(&[60, 50]);
            },
            "InvalidSignature".into(),
        ),
        (
            "a stranger as non-signer",
            |c| c.nonSigners[0] = Key::new(U256::from(5)).g1(),
            format!(
                "NotAMember {{ operatorId: {} }}",
                id(&Key::new(U256::from(5)).g1())
            ),
        ),
        (
            "a non-signer that is the identity",
            |c| c.nonSigners[0] = G1Point::default(),
            format!("NotAMember {{ operatorId: {} }}", id(&G1Point::default())),
        ),
        (
            "an aggregate key of somebody else",
            |c| c.apkG2 = Key::new(U256::from(5)).g2(),
            "InvalidSignature".into(),
        ),
        (
            "an aggregate key that is the identity",
            |c| c.apkG2 = G2Point::default(),
            "InvalidSignature".into(),
        ),
        (
            "an aggregate key in the order of BN254",
            |c| {
                let x = c.apkG2.X;
                c.apkG2.X = Fp2 { c0: x.c1, c1: x.c0 };
            },
            precompile_failed(PAIRING_CHECK),
        ),
        (
            "a signature of somebody else",
            |c| c.sigma = signature(&Key::new(U256::from(5)).sign(DIGEST, TAG)),
            "InvalidSignature".into(),
        ),
        (
            "a signature that is the identity",
            |c| c.sigma = G1Point::default(),
            "InvalidSignature".into(),
        ),
    ];
    for (name, alter, error) in cases {
        let mut certificate = good.clone();
        alter(&mut certificate);
        assert_ne!(certificate, good, "{name}");
        assert_eq!(refused(network.check(&certificate)), error, "{name}");
    }
}

#[test]
fn what_is_no_point_of_the_group_is_refused_and_leaves_gas() {
    let mut network = Network::new();
    let good = network.certificate(&[0], &[66], &[]);
    let one = U256::from(1);
    let bad_g1 = |good: G1Point| {
        let mut off_curve = good;
        off_curve.Y.low ^= one;
        let mut not_below = good;
        not_below.X = Fp {
            // The modulus.
            high: "0x1a0111ea397fe69a4b1ba7b6434bacd7".parse().unwrap(),
            low: "0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
                .parse()
                .unwrap(),
        };
        let mut padded = good;
        padded.X.high |= one << 200;
        [off_curve, not_below, padded, outside_the_subgroup_of_g1()]
    };
    for sigma in bad_g1(good.sigma) {
        let bad = Certificate {
            sigma,
            ..good.clone()
        };
        assert_eq!(refused(network.check(&bad)), precompile_failed(G1MSM));
    }
    let mut off_curve = good.apkG2;
    off_curve.X.c1.low ^= one;
    let mut padded = good.apkG2;
    padded.Y.c0.high |= one << 128;
    for apk_g2 in [off_curve, padded, outside_the_subgroup_of_g2()] {
        let bad = Certificate {
            apkG2: apk_g2,
            ..good.clone()
        };
        assert_eq!(
            refused(network.check(&bad)),
            precompile_failed(PAIRING_CHECK)
        );
        // The precompile took no more than its cap.
        let call = V::checkCertificateCall { certificate: bad };
        let verifier = network.verifier;
        assert_eq!(network.chain.gas_of_refusal(verifier, &call) / 600_000, 0);
    }

    let key = Key::new(U256::from(77));
    let digest = registration_digest(STRANGER, network.verifier);
    let proof = signature(&key.sign(digest, TAG));
    for bad in bad_g1(key.g1()) {
        let refusal = network.register_raw(STRANGER, bad, key.g2(), proof);
        assert_eq!(refused(refusal), precompile_failed(G1MSM));
    }
    for bad in bad_g1(proof) {
        let refusal = network.register_raw(STRANGER, key.g1(), key.g2(), bad);
        assert_eq!(refused(refusal), precompile_failed(G1MSM));
    }
    let outside = outside_the_subgroup_of_g2();
    let refusal = network.register_raw(STRANGER, key.g1(), outside, proof);
    assert_eq!(refused(refusal), precompile_failed(PAIRING_CHECK));
}

#[test]
fn a_signer_counts_once_for_each_of_its_quorums() {
    let mut network = Network::new();
    let good = network.certificate(&[0, 1], &[100, 100], &[]);
    let once = network.certificate(&[0], &[100], &[]);
    let key_once = Certificate {
        apkG2: once.apkG2,
        ..good.clone()
    };
    let signature_once = Certificate {
        sigma: once.sigma,
        ..good.clone()
    };
    let both_once = Certificate {
        sigma: once.sigma,
        ..key_once.clone()
    };
    network.check(&good).unwrap();
    for bad in [key_once, signature_once, both_once] {
        assert_eq!(refused(network.check(&bad)), "InvalidSignature");
    }
}

#[test]
fn non_signers_have_to_ascend() {
    let mut network = Network::new();
    let good = network.certificate(&[0], &[30], &[0, 1, 2]);
    network.check(&good).unwrap();
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        let mut bad = good.clone();
        bad.nonSigners.swap(a, b);
        let refusal = refused(network.check(&bad));
        assert!(refusal.starts_with("NonSignersNotAscending"), "{refusal}");
    }
    // Not a member of the quorum that signs, though of another.
    let mut bad = network.certificate(&[1], &[30], &[2]);
    bad.nonSigners = vec![network.keys[0].g1()];
    let stranger = id(&bad.nonSigners[0]);
    assert_eq!(
        refused(network.check(&bad)),
        format!("NotAMember {{ operatorId: {stranger} }}")
    );
}

#[test]
fn an_operator_registers_one_key_that_it_holds() {
    let mut network = Network::empty();
    let (one, two) = (operator(0), operator(1));
    let (key, other) = (Key::new(U256::from(11)), Key::new(U256::from(12)));
    let digest = registration_digest(one, network.verifier);
    let told = network.read(&V::keyRegistrationDigestCall { operator: one });
    assert_eq!(told, digest);

    let proof = signature(&key.sign(digest, TAG));
    let invalid = "InvalidProofOfPossession";
    let zero = (G1Point::default(), G2Point::default());
    let cases = [
        ("halves of two keys", key.g1(), other.g2(), proof, invalid),
        ("of another key", other.g1(), other.g2(), proof, invalid),
        ("no proof", key.g1(), key.g2(), zero.0, invalid),
        ("half a key", key.g1(), zero.1, proof, invalid),
        ("the other half", zero.0, key.g2(), proof, "IdentityKey"),
        ("nothing", zero.0, zero.1, zero.0, "IdentityKey"),
    ];
    for (name, g1, g2, proof, error) in cases {
        assert_eq!(
            refused(network.register_raw(one, g1, g2, proof)),
            error,
            "{name}"
        );
    }
    // A proof is of one operator, under one tag.
    assert_eq!(
        refused(network.register_raw(two, key.g1(), key.g2(), proof)),
        invalid
    );
    let otherwise = signature(&key.sign(digest, b"ANOTHER_TAG"));
    assert_eq!(
        refused(network.register_raw(one, key.g1(), key.g2(), otherwise)),
        invalid
    );

    let done = network.register(one, &key).unwrap();
    let operator_id = id(&key.g1());
    println!("registerKey: {} gas", done.gas_used);
    let event = done.event::<V::KeyRegistered>();
    assert_eq!((event.operator, event.operatorId), (one, operator_id));
    assert_eq!((event.key, event.keyG2), (key.g1(), key.g2()));
    assert_eq!(
        network.read(&V::operatorIdsCall { operator: one }),
        operator_id
    );
    assert_eq!(
        network.read(&V::operatorsCall {
            operatorId: operator_id
        }),
        one
    );
    assert_eq!(
        network.read(&V::keyOfCall {
            operatorId: operator_id
        }),
        key.g1()
    );
    let taken = format!("AlreadyRegistered {{ operatorId: {operator_id} }}");
    assert_eq!(refused(network.register(one, &other)), taken);
    assert_eq!(refused(network.register(two, &key)), taken);
}

#[test]
fn stakes_and_keys_are_those_of_the_reference_block() {
    let mut network = Network::new();
    let before = network.certificate(&[0], &[90], &[0]);
    let first = id(&network.keys[0].g1());
    // The first operator leaves, the last one gains.
    let done = network
        .set_stakes(OWNER, &[(0, 0, 0), (3, 0, 500)])
        .unwrap();
    assert_eq!(done.logs.len(), 2);
    let quorum_key = sum_g1(
        &network.keys[1..]
            .iter()
            .map(|key| key.in_g1.sk_to_pk())
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        network.read(&V::quorumApkCall { quorumNumber: 0 }),
        quorum_key
    );
    let answer = network.check(&before).unwrap();
    assert_eq!(answer.totalStake, [U96::from(1000)]);

    let block = network.chain.block() - 1;
    let stale = Certificate {
        referenceBlockNumber: block,
        ..before.clone()
    };
    assert_eq!(
        refused(network.check(&stale)),
        "OtherQuorumKey { quorumNumber: 0 }"
    );
    let mut now = Certificate {
        quorumApks: vec![quorum_key],
        ..stale
    };
    assert_eq!(
        refused(network.check(&now)),
        format!("NotAMember {{ operatorId: {first} }}")
    );
    now.nonSigners.clear();
    let answer = network.check(&now).unwrap();
    assert_eq!(answer.signedStake, [U96::from(1000)]);
    for (block, stakes) in [(block - 1, (100, 400)), (block, (0, 500)), (0, (0, 0))] {
        let mut stake = |index: usize| {
            let call = V::stakeAtCall {
                operatorId: id(&network.keys[index].g1()),
                quorumNumber: 0,
                blockNumber: block,
            };
            network.read(&call).to::<u64>()
        };
        assert_eq!((stake(0), stake(3)), stakes, "{block}");
    }
    // It comes back, in a block of several changes of which the last counts.
    network
        .set_stakes(OWNER, &[(0, 0, 7), (0, 0, 0), (0, 0, 100), (3, 0, 400)])
        .unwrap();
    let again = Certificate {
        referenceBlockNumber: network.chain.block() - 1,
        ..before
    };
    network.check(&again).unwrap();
}

#[test]
fn only_the_owner_sets_stakes_and_only_of_registered_keys() {
    let mut network = Network::new();
    assert_eq!(
        refused(network.set_stakes(STRANGER, &[(0, 0, 1)])),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    assert_eq!(
        refused(network.set_stakes(OWNER, &[(0, 0, 1), (4, 0, 1)])),
        format!("NotRegistered {{ operator: {} }}", operator(4))
    );
    assert_eq!(
        refused(network.set_stakes(OWNER, &[(0, 192, 1)])),
        "UnknownQuorum { quorumNumber: 192 }"
    );
    network.set_stakes(OWNER, &[(0, 191, 1)]).unwrap();
}

/// Whoever has two keys that cancel out would have a signature of every message: the identity.
#[test]
fn keys_that_cancel_out_sign_nothing() {
    let secret = U256::from(1001);
    let mut network =
        Network::with_keys([secret, order() - secret, U256::from(1003), U256::from(1004)]);
    let certificate = network.certificate(&[0], &[30], &[2, 3]);
    assert_eq!(certificate.apkG2, G2Point::default());
    assert_eq!(certificate.sigma, G1Point::default());
    assert_eq!(refused(network.check(&certificate)), "IdentityKey");
    // Beside others they do no harm.
    let certificate = network.certificate(&[0], &[60], &[2]);
    network.check(&certificate).unwrap();
}

#[test]
fn the_domain_separation_tag_is_a_parameter() {
    let mut network = Network::new();
    assert_eq!(network.read(&V::signatureDomainCall {}).as_ref(), TAG);
    let signers = &network.keys;
    let signatures: Vec<_> = signers.iter().map(|key| key.sign(DIGEST, b"TAG")).collect();
    let sigma = sum_signatures(&signatures);
    let bad = Certificate {
        sigma,
        ..network.certificate(&[0], &[66], &[])
    };
    assert_eq!(refused(network.check(&bad)), "InvalidSignature");

    let chain = &mut network.chain;
    for length in [0, 256] {
        assert_eq!(
            refused(deploy(chain, &vec![b'A'; length])),
            format!("InvalidDomain {{ length: {length} }}")
        );
    }
    // The longest, and others that end at each place in a block of SHA-256; blst signs the proof.
    for length in (1..=255).step_by(127).chain([64, 191]) {
        let tag = vec![b'A'; length];
        let verifier = deploy(chain, &tag).unwrap();
        let key = Key::new(U256::from(9));
        let digest = registration_digest(STRANGER, verifier);
        let call = V::registerKeyCall {
            key: key.g1(),
            keyG2: key.g2(),
            proof: signature(&key.sign(digest, &tag)),
        };
        chain.send(STRANGER, verifier, &call).unwrap();
    }
}

#[test]
fn a_chain_without_the_precompiles_takes_no_verifier() {
    let mut chain = Chain::new();
    chain.set_spec(SpecId::CANCUN);
    let map_fp_to_g1 = 0x10;
    assert_eq!(
        refused(deploy(&mut chain, TAG)),
        precompile_failed(map_fp_to_g1)
    );
}
