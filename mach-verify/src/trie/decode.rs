use core::array;

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Buf, EMPTY_LIST_CODE, EMPTY_STRING_CODE, Header};
use nybbles::Nibbles;

use super::node::{KEY_NIBBLES, Link, Node};

const HASH_CODE: u8 = EMPTY_STRING_CODE + 32;
/// Length of the item that holds a hash.
const HASH_ITEM: usize = 33;

const WRONG_COUNT: &str = "neither 2 nor 17 items";

/// Longest list that a parent may embed, header included.
const EMBEDDED_MAX: usize = 31;

/// A child as its parent encodes it.
#[derive(Clone, Debug)]
pub(super) enum Child {
    Hash(B256),
    Embedded(Bytes),
}

/// Decodes the node whose position is `depth` nibbles below the root.
///
/// Accepts exactly the encodings that [`super::encode`] writes, so a decoded node encodes to the
/// same bytes. Children are checked for their form here and decoded when a key leads to them.
///
/// Errors: the rule that `raw` breaks.
pub(super) fn node(raw: Bytes, depth: usize) -> Result<Node, &'static str> {
    let mut payload: &[u8] = &raw;
    let header = Header::decode(&mut payload).map_err(|_| "not an RLP item")?;
    if !header.list {
        return Err("not a list");
    }
    if header.payload_length != payload.len() {
        return Err("trailing bytes");
    }
    let start = raw.len() - payload.len();
    if start == raw.len() {
        return Err(WRONG_COUNT);
    }
    let second = item_end(&raw, start)?;
    if second == raw.len() {
        return Err(WRONG_COUNT);
    }
    if item_end(&raw, second)? == raw.len() {
        short(raw, depth, start, second)
    } else {
        branch(raw, depth, start)
    }
}

/// Reads the child whose item starts at `at`, which [`node`] has found to be a hash or a short list.
pub(super) fn child(raw: &Bytes, at: usize) -> Result<Child, &'static str> {
    let end = item_end(raw, at)?;
    match raw.get(at..end) {
        Some([HASH_CODE, hash @ ..]) => B256::try_from(hash)
            .map(Child::Hash)
            .map_err(|_| "child hash is not 32 bytes"),
        Some([code, ..]) if *code >= EMPTY_LIST_CODE => Ok(Child::Embedded(raw.slice(at..end))),
        _ => Err("child is neither a hash nor a node"),
    }
}

/// The whole item that starts at `at`, which [`node`] has found to be in bounds.
pub(super) fn item(raw: &[u8], at: usize) -> &[u8] {
    item_end(raw, at)
        .ok()
        .and_then(|end| raw.get(at..end))
        .unwrap_or_default()
}

/// Reads the branch whose items begin at `at`, in one pass: most nodes are branches.
fn branch(raw: Bytes, depth: usize, mut at: usize) -> Result<Node, &'static str> {
    if depth >= KEY_NIBBLES {
        return Err("branch below the end of the key");
    }
    if let Some(children) = full(&raw, at) {
        return Ok(Node::Branch { children, raw });
    }
    let mut children = [Link::EMPTY; 16];
    let mut count = 0;
    for link in &mut children {
        let code = *raw.get(at).ok_or(WRONG_COUNT)?;
        if code != EMPTY_STRING_CODE {
            let end = item_end(&raw, at)?;
            *link = child_link(&raw, at)?;
            count += 1;
            at = end;
        } else {
            at += 1;
        }
    }
    let code = *raw.get(at).ok_or(WRONG_COUNT)?;
    if item_end(&raw, at)? != raw.len() {
        return Err("more than 17 items");
    }
    if code != EMPTY_STRING_CODE {
        return Err("branch with a value");
    }
    if count < 2 {
        return Err("branch with fewer than two children");
    }
    Ok(Node::Branch { children, raw })
}

/// The children of a branch that has 16 hashes, as most near the root of a large trie.
fn full(raw: &[u8], start: usize) -> Option<[Link; 16]> {
    let (items, [EMPTY_STRING_CODE]) = raw.get(start..)?.as_chunks::<HASH_ITEM>() else {
        return None;
    };
    let items: &[_; 16] = items.try_into().ok()?;
    let is_full = items.iter().all(|[code, ..]| *code == HASH_CODE);
    is_full.then(|| array::from_fn(|index| Link::raw(start + index * HASH_ITEM)))
}

fn short(raw: Bytes, depth: usize, path: usize, value: usize) -> Result<Node, &'static str> {
    let (is_leaf, path) = hex_prefix(string(&raw, path)?)?;
    let end = depth + path.len();
    if is_leaf {
        if end != KEY_NIBBLES {
            return Err("leaf does not end the key");
        }
        let length = string(&raw, value)?.len();
        if length == 0 {
            return Err("leaf without a value");
        }
        // The value is the last item, so it ends with the node.
        let mut value = raw;
        value.advance(value.len() - length);
        return Ok(Node::Leaf { path, value });
    }
    if path.is_empty() {
        return Err("extension without a path");
    }
    if end >= KEY_NIBBLES {
        return Err("extension to the end of the key");
    }
    let child = child_link(&raw, value)?;
    Ok(Node::Extension { path, child, raw })
}

/// Link to the item at `offset`, which must be a hash or a list that is short enough to embed.
fn child_link(raw: &[u8], offset: usize) -> Result<Link, &'static str> {
    match raw.get(offset) {
        Some(&HASH_CODE) => Ok(Link::raw(offset)),
        Some(&code)
            if code >= EMPTY_LIST_CODE && usize::from(code - EMPTY_LIST_CODE) < EMBEDDED_MAX =>
        {
            Ok(Link::raw(offset))
        }
        _ => Err("child is neither a hash nor a short node"),
    }
}

/// End of the item that starts at `at`; within `raw`, and canonical.
#[inline]
fn item_end(raw: &[u8], at: usize) -> Result<usize, &'static str> {
    let mut rest = raw.get(at..).ok_or("item out of bounds")?;
    match rest.first() {
        Some(&EMPTY_STRING_CODE) => return Ok(at + 1),
        Some(&HASH_CODE) if rest.len() > 32 => return Ok(at + 33),
        _ => {}
    }
    // Checks that the payload lies within `rest` and that the header is the shortest possible.
    let header = Header::decode(&mut rest).map_err(|_| "item is not RLP")?;
    Ok(raw.len() - rest.len() + header.payload_length)
}

/// Payload of the string that starts at `at`.
fn string(raw: &[u8], at: usize) -> Result<&[u8], &'static str> {
    let mut rest = raw.get(at..).ok_or("item out of bounds")?;
    Header::decode_bytes(&mut rest, false).map_err(|_| "item is not a string")
}

/// Whether the path ends in a leaf, and its nibbles.
///
/// Source: Yellow Paper, appendix C.
fn hex_prefix(encoded: &[u8]) -> Result<(bool, Nibbles), &'static str> {
    let (&first, rest) = encoded.split_first().ok_or("path without a prefix")?;
    if rest.len() > KEY_NIBBLES / 2 {
        return Err("path longer than the key");
    }
    let nibbles = Nibbles::unpack(rest);
    let path = match first >> 4 {
        0 | 2 if first & 0x0f == 0 => nibbles,
        1 | 3 if nibbles.len() < KEY_NIBBLES => {
            Nibbles::from_nibbles([first & 0x0f]).join(&nibbles)
        }
        1 | 3 => return Err("path longer than the key"),
        _ => return Err("path with an unknown prefix"),
    };
    Ok((first & 0x20 != 0, path))
}
