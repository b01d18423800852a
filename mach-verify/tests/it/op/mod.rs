//! What L1 says of a block: every rule is named when it is broken, and nothing damaged accuses.

mod devnet;
mod drift;
mod mutations;
mod published;
mod source;
mod world;

pub(crate) use devnet::{DEVNET_FORKS, devnet_blocks, make_devnet};
use mach_core::{Fault, L2Block};
use mach_verify::op::{L1Error, L1View, Parent, verify_against_l1};
pub(crate) use world::Random;
use world::World;

/// What the check says of a block in the place of the one at `index`, with all of L1 known.
fn judge(world: &World, index: usize, block: &L2Block) -> Result<Option<Fault>, L1Error> {
    let parent = Parent::of_block(&world.rollup, &world.l2[index - 1]).unwrap();
    let claimed = mach_verify::op::L1Attributes::of_block(block).ok();
    let at = claimed.and_then(|claimed| {
        (world.l1.iter()).position(|block| block.header.number == claimed.number)
    });
    let following: Vec<_> = at.map_or_else(Vec::new, |at| {
        (world.l1.iter().skip(at + 1).take(2))
            .map(|block| block.header.clone())
            .collect()
    });
    let origin = at.map(|at| &world.l1[at]);
    let view = L1View {
        origin: origin.map(|block| &block.header),
        receipts: origin.map(|block| block.receipts.as_slice()),
        following: &following,
        settled: Some(u64::MAX),
    };
    verify_against_l1(&world.rollup, &parent, block, &view)
}
