//! mach on EigenLayer's own contracts, as their registry crates carry them: on the devnet's L1, and on the
//! node at `MACH_L1_RPC` if that is set. Batches, as kona reads them.

mod batches;
mod code;
mod l1;
mod life;
mod m2;
mod sets;
mod stack;

use l1::L1;
use stack::Weighs;

#[tokio::test]
async fn m2_on_the_devnet() {
    life::run(&m2::deploy(L1::devnet()).await).await;
}

#[tokio::test]
async fn operator_sets_on_the_devnet() {
    life::run(&sets::deploy(L1::devnet(), Weighs::Delegated).await).await;
}

#[tokio::test]
async fn slashable_stake_on_the_devnet() {
    life::run(&sets::deploy(L1::devnet(), Weighs::Slashable).await).await;
}

/// One after the other: all use the accounts of one node.
#[tokio::test]
async fn online_all_on_a_node() {
    let Some(l1) = L1::node() else {
        println!("skipped: MACH_L1_RPC is not set");
        return;
    };
    life::run(&m2::deploy(l1.clone()).await).await;
    life::run(&sets::deploy(l1.clone(), Weighs::Delegated).await).await;
    life::run(&sets::deploy(l1, Weighs::Slashable).await).await;
}
