//! Damage to the witness of a recorded block.

use std::{path::Path, sync::LazyLock};

use alloy_hardforks::EthereumHardfork;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, Bytes};
use mach_core::{Assurance, L2Block, Verdict};
use mach_verify::{ChainSpec, Witness, source::RecordedBlock, verify_block};

/// Bytes of one change: kind, index, offset in two bytes, value.
const CHANGE: usize = 5;

/// Changes that are made; a witness holds no more than some ten parts.
const MAX_CHANGES: usize = 64;

struct Fixture {
    spec: ChainSpec,
    block: L2Block,
    witness: Witness,
    verdict: Verdict,
}

/// Two honest blocks and a lie.
static FIXTURES: LazyLock<[Fixture; 3]> = LazyLock::new(|| {
    let jovian = |id| ChainSpec::optimism(id).with_op_forks_from_genesis(OpHardfork::Jovian);
    let osaka = |id| ChainSpec::ethereum(id).with_forks_from_genesis(EthereumHardfork::Osaka);
    [
        Fixture::read("jovian", jovian),
        Fixture::read("osaka", osaka),
        Fixture::read("lie-gas-used", jovian),
    ]
});

impl Fixture {
    fn read(name: &str, spec: impl Fn(u64) -> ChainSpec) -> Self {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mach-verify/testdata");
        let RecordedBlock { block, witness, .. } =
            RecordedBlock::read(testdata.join(format!("{name}.json.gz")))
                .expect("the file is in the repository");
        let spec = spec(block.chain_id);
        let verdict = verify_block(&spec, &block, &witness).expect("the witness is whole");
        Self {
            spec,
            block,
            witness,
            verdict,
        }
    }
}

/// The first byte chooses a block, the rest changes its witness: the verdict is the same, resting
/// on a claim at most, or there is none.
pub fn witness(data: &[u8]) {
    let Some((choice, changes)) = data.split_first() else {
        return;
    };
    let fixture = &FIXTURES[usize::from(*choice) % FIXTURES.len()];
    let mut witness = fixture.witness.clone();
    let (changes, _) = changes.as_chunks::<CHANGE>();
    for change in changes.iter().take(MAX_CHANGES) {
        apply(*change, &mut witness);
    }
    match verify_block(&fixture.spec, &fixture.block, &witness) {
        Ok(Verdict::Valid(mut summary)) => {
            if witness.headers.is_empty() {
                assert_eq!(summary.assurance, Assurance::ExecutedOnClaim);
                summary.assurance = Assurance::Executed;
            }
            assert_eq!(Verdict::Valid(summary), fixture.verdict);
        }
        Ok(verdict) => assert_eq!(verdict, fixture.verdict),
        Err(error) => assert_eq!(error.block(), fixture.block.number()),
    }
}

fn apply([kind, index, high, low, value]: [u8; CHANGE], witness: &mut Witness) {
    let index = usize::from(index);
    let offset = usize::from(u16::from_be_bytes([high, low]));
    let parts = match kind >> 6 {
        0 => &mut witness.state,
        1 => &mut witness.codes,
        2 => &mut witness.headers,
        _ => {
            let hash = B256::repeat_byte(value);
            match kind & 3 {
                0 => witness.parent_state_root = Some(hash),
                1 => drop(witness.block_hashes.insert(index as u64, hash)),
                2 => witness.parent_state_root = witness.headers.last().and_then(state_root),
                _ => witness.headers.clear(),
            }
            return;
        }
    };
    if parts.is_empty() {
        return;
    }
    let index = index % parts.len();
    match kind & 7 {
        0 => drop(parts.remove(index)),
        1 => parts.push(parts[index].clone()),
        2 => parts.swap(0, index),
        3 => parts[index] = parts[index].slice(..offset % (parts[index].len() + 1)),
        4 => parts.insert(index, Bytes::new()),
        _ => {
            let mut bytes = parts[index].to_vec();
            let offset = offset % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= value;
            }
            parts[index] = bytes.into();
        }
    }
}

/// Fourth field of a header, behind three others of fixed length.
fn state_root(header: &Bytes) -> Option<B256> {
    // A list header of three bytes; parent and ommers of 33 bytes, an address of 21.
    let at = 3 + 33 + 33 + 21 + 1;
    header.get(at..at + 32).and_then(|it| it.try_into().ok())
}
