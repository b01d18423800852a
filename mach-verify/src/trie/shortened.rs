use alloy_primitives::Bytes;

use super::{
    decode, encode,
    node::{KEY_NIBBLES, Node, Reference},
};

/// What a leaf or extension may have been before a removal joined it with the branch above: the
/// same node with each shorter path.
///
/// `eth_getProof` at the parent block gives the paths of keys, and not the sibling that removing a
/// key needs. The proof of the same key at the block itself ends in what that sibling has become,
/// so adding these nodes of it to the witness supplies the sibling. That is safe even if the node is
/// a lie, since nothing in a witness is found but by its hash. A sibling that is a branch is in
/// neither proof and stays missing.
///
/// Empty for a branch and for bytes that are no node.
pub fn shortened(node: &Bytes) -> Vec<Bytes> {
    // A leaf is right at one depth only, an extension at several: any will do.
    let decoded = (0..=KEY_NIBBLES).find_map(|depth| decode::node(node.clone(), depth).ok());
    match decoded {
        Some(Node::Leaf { path, value }) => (1..=path.len())
            .map(|cut| Node::Leaf {
                path: path.slice(cut..),
                value: value.clone(),
            })
            .map(|node| encoded(&node))
            .collect(),
        Some(Node::Extension { path, child, raw }) => (1..path.len())
            .map(|cut| Node::Extension {
                path: path.slice(cut..),
                child,
                raw: raw.clone(),
            })
            .map(|node| encoded(&node))
            .collect(),
        Some(Node::Branch { .. }) | None => Vec::new(),
    }
}

/// Encoding of a node without children in an arena.
fn encoded(node: &Node) -> Bytes {
    let mut out = Vec::new();
    let start = encode::node(node, |_| &Reference::STALE, &mut out);
    Bytes::from(out).slice(start..)
}
