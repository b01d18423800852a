//! The contract's journal is the guest's, and a proof of any other is refused by name.

use alloy_primitives::{FixedBytes, hex};
use alloy_sol_types::SolValue;
use mach_contracts_bindings::zk::{Verifier, abi::Journal, deploy_verifier};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const SELECTOR: [u8; 4] = hex!("73c457ba");

/// What stands for RISC Zero's verifier: takes a seal that is the selector, the program and the digest, and refuses any other
/// without a reason.
const BOUND: [u8; 39] = hex!(
    "601e8060095f395ff3"
    "6024356088351460443560a8351416"
    "60643560441416601c575f5ffd5b00"
);

/// A service manager over the adapter of RISC Zero.
struct Bound {
    world: World,
    zk: ZkServiceManager,
}

impl Bound {
    async fn new() -> Self {
        let world = World::new().await;
        let (verifier, _) = world
            .owner
            .deploy(Bytes::copy_from_slice(&BOUND))
            .await
            .unwrap();
        let adapter = Verifier::RiscZero(verifier, FixedBytes(SELECTOR));
        let verifier = deploy_verifier(&world.owner, adapter).await.unwrap();
        let mut config = world.config.clone();
        for program in &mut config.programs {
            program.verifier = verifier;
        }
        let zk = ZkServiceManager::deploy(&world.owner, &config)
            .await
            .unwrap();
        Self { world, zk }
    }

    fn journal(&self, claim: &Claim) -> Journal {
        claim.journal(
            self.world.prover.sender(),
            self.zk.address(),
            self.world.config.rollup,
            self.world.devnet.l1().chain_id(),
        )
    }

    async fn record(
        &self,
        program: B256,
        claim: &Claim,
        proof: Vec<u8>,
    ) -> Result<(), SubmitError> {
        let (prover, proof) = (&self.world.prover, Bytes::from(proof));
        let sent = self.zk.record_proof(prover, program, claim, &proof);
        sent.await.map(drop)
    }
}

fn seal(program: B256, digest: B256) -> Vec<u8> {
    [&SELECTOR[..], program.as_slice(), digest.as_slice()].concat()
}

#[tokio::test]
async fn the_journal_is_that_of_the_guest() {
    let bound = Bound::new().await;
    let claim = bound.world.claim(3, 4);
    let digest = bound
        .zk
        .journal_digest(bound.world.prover.sender(), &claim)
        .await
        .unwrap();
    assert_eq!(bound.journal(&claim).digest(), digest);
    // The type that guests commit to, with its own encoding.
    let journal = mach_prove::Journal {
        l1_chain_id: U256::from(bound.world.devnet.l1().chain_id()),
        service_manager: bound.zk.address(),
        prover: bound.world.prover.sender(),
        rollup_chain_id: U256::from(bound.world.config.rollup),
        config_hash: claim.configHash,
        parent_hash: claim.parentHash,
        block_hash: claim.blockHash,
        block_number: claim.blockNumber,
        fault: claim.fault,
        claimed: claim.claimed,
        computed: claim.computed,
        output_root: claim.outputRoot,
    };
    assert_eq!(journal.digest(), digest);
    bound
        .record(BLOCK_PROGRAM, &claim, seal(BLOCK_PROGRAM, digest))
        .await
        .unwrap();
}

/// Whoever proves one of these and claims another has a proof of another journal.
#[tokio::test]
async fn a_proof_of_a_journal_with_another_field_is_refused_by_name() {
    let bound = Bound::new().await;
    let claim = Claim {
        outputRoot: B256::repeat_byte(8),
        ..bound.world.claim(3, 4)
    };
    let right = bound.journal(&claim);
    let other = B256::repeat_byte(9);
    let changes: [fn(&mut Journal, B256); 13] = [
        |journal, _| journal.version = 2,
        |journal, _| journal.l1ChainId = U256::from(1),
        |journal, _| journal.serviceManager = Address::repeat_byte(9),
        |journal, _| journal.prover = Address::repeat_byte(9),
        |journal, _| journal.rollupChainId = U256::from(10),
        |journal, other| journal.configHash = other,
        |journal, other| journal.parentHash = other,
        |journal, other| journal.blockHash = other,
        |journal, _| journal.blockNumber = 4,
        |journal, _| journal.fault = 5,
        |journal, other| journal.claimed = other,
        |journal, other| journal.computed = other,
        |journal, other| journal.outputRoot = other,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut journal = right.clone();
        change(&mut journal, other);
        assert_ne!(journal, right);
        // Proved so, and claimed right.
        let proof = seal(BLOCK_PROGRAM, journal.digest());
        let told = bound.record(BLOCK_PROGRAM, &claim, proof).await;
        assert_eq!(told.refusal(), "ProofRejected", "field {index}");
        // Proved right, and claimed so: what the contract can tell by itself it tells before the verifier.
        let claimed = Claim::from(&journal);
        if claimed != claim {
            let proof = seal(BLOCK_PROGRAM, right.digest());
            let told = bound.record(BLOCK_PROGRAM, &claimed, proof).await.refusal();
            let name = if index == 5 {
                "ConfigNotActive"
            } else {
                "ProofRejected"
            };
            assert!(told.starts_with(name), "field {index}: {told}");
        }
    }
    // Another one's proof.
    let proof = Bytes::from(seal(BLOCK_PROGRAM, right.digest()));
    let thief = &bound.world.stranger;
    let stolen = bound
        .zk
        .record_proof(thief, BLOCK_PROGRAM, &claim, &proof)
        .await;
    assert_eq!(stolen.refusal(), "ProofRejected");
    // Another program, known or not, and one that proves something else.
    let seal = |program| seal(program, right.digest());
    let told = bound.record(other, &claim, seal(other)).await.refusal();
    assert!(told.starts_with("ProgramNotActive"), "{told}");
    let told = bound
        .record(OUTPUT_PROGRAM, &claim, seal(OUTPUT_PROGRAM))
        .await
        .refusal();
    assert!(told.starts_with("UnprovableFault"), "{told}");
}

/// Rules that no program proves, or not in such words.
#[tokio::test]
async fn what_no_program_says_is_refused_even_with_a_proof() {
    let bound = Bound::new().await;
    let claim = bound.world.claim(3, 4);
    let right = bound.world.claim(3, 0);
    let cases = [
        (
            BLOCK_PROGRAM,
            Claim {
                fault: 128,
                ..claim.clone()
            },
        ),
        (
            BLOCK_PROGRAM,
            Claim {
                fault: 160,
                ..claim.clone()
            },
        ),
        (
            BLOCK_PROGRAM,
            Claim {
                fault: u16::MAX,
                ..claim.clone()
            },
        ),
        (
            BLOCK_PROGRAM,
            Claim {
                fault: 0,
                ..claim.clone()
            },
        ),
        (
            BLOCK_PROGRAM,
            Claim {
                claimed: B256::ZERO,
                ..right.clone()
            },
        ),
        (
            BLOCK_PROGRAM,
            Claim {
                computed: B256::ZERO,
                ..right.clone()
            },
        ),
        (OUTPUT_PROGRAM, claim.clone()),
        (OUTPUT_PROGRAM, right.clone()),
        // An output root that is the right one is nothing to say.
        (
            OUTPUT_PROGRAM,
            Claim {
                fault: 128,
                ..right
            },
        ),
    ];
    for (program, claim) in cases {
        let proof = seal(program, bound.journal(&claim).digest());
        let told = bound.record(program, &claim, proof).await.refusal();
        assert_eq!(
            told,
            format!("UnprovableFault {{ fault: {} }}", claim.fault)
        );
    }
}

#[tokio::test]
async fn a_thousand_random_bits_are_refused_by_name() {
    let bound = Bound::new().await;
    let claim = Claim {
        outputRoot: B256::repeat_byte(8),
        ..bound.world.claim(3, 4)
    };
    let journal = bound.journal(&claim).abi_encode();
    assert_eq!(journal.len(), 416);
    let proof = seal(BLOCK_PROGRAM, bound.journal(&claim).digest());
    let mut random = StdRng::seed_from_u64(5);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        let (mut program, mut claim, mut proof) = (BLOCK_PROGRAM, claim.clone(), proof.clone());
        let bit = random.random_range(0..8 * (416 + 32 + proof.len()));
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        match byte {
            0..416 => {
                let mut journal = journal.clone();
                journal[byte] ^= mask;
                match Journal::abi_decode_validate(&journal) {
                    // What the contract does not know by itself is claimed so; the rest is proved so.
                    Ok(altered) if Claim::from(&altered) != claim => claim = Claim::from(&altered),
                    // A word that is none of its type is in nobody's claim: only somebody's program could say it.
                    _ => proof = seal(program, B256::new(sha2_digest(&journal))),
                }
            }
            416..448 => program[byte - 416] ^= mask,
            _ => proof[byte - 448] ^= mask,
        }
        let told = bound.record(program, &claim, proof).await.refusal();
        let name = told.split([' ', '(']).next().unwrap().to_owned();
        *counts.entry(name).or_insert(0) += 1;
    }
    println!("{counts:?}");
    let names: Vec<_> = counts.keys().map(String::as_str).collect();
    let known = [
        "ConfigNotActive",
        "ProgramNotActive",
        "ProofRejected",
        "UnknownSelector",
        "UnprovableFault",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    assert!(names.len() >= 4, "{names:?}");
}

fn sha2_digest(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}
