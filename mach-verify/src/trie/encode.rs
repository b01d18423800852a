use alloy_primitives::Bytes;
use alloy_rlp::{EMPTY_STRING_CODE, Header};
use nybbles::Nibbles;

use super::{
    decode,
    node::{Link, Node, Reference, Target},
};

/// Room for the longest list header, filled in once the payload's length is known.
const HEADER_MAX: usize = 9;

/// Appends the encoding of `node` to `out`, and returns where it starts: some bytes that mean
/// nothing may come before it.
///
/// `reference` gives the reference of a child that is in the arena; it is up to date for each.
pub(super) fn node<'a>(
    node: &Node,
    reference: impl Fn(u32) -> &'a Reference,
    out: &mut Vec<u8>,
) -> usize {
    let before = out.len();
    out.resize(before + HEADER_MAX, 0);
    match node {
        Node::Leaf { path, value } => {
            write_path(path, true, out);
            write_string(value, out);
        }
        Node::Extension { path, child, raw } => {
            write_path(path, false, out);
            write_link(*child, raw, &reference, out);
        }
        Node::Branch { children, raw } => {
            for child in children {
                write_link(*child, raw, &reference, out);
            }
            out.push(EMPTY_STRING_CODE);
        }
    }
    before + write_header_before(out.get_mut(before..).unwrap_or_default())
}

fn write_link<'a>(
    link: Link,
    raw: &Bytes,
    reference: &impl Fn(u32) -> &'a Reference,
    out: &mut Vec<u8>,
) {
    match link.target() {
        Target::Empty => out.push(EMPTY_STRING_CODE),
        Target::Node(id) => reference(id).write_item(out),
        Target::Raw(at) => out.extend_from_slice(decode::item(raw, at)),
    }
}

/// Hex prefix and packed nibbles (Yellow Paper, appendix C) as one RLP string.
fn write_path(path: &Nibbles, is_leaf: bool, out: &mut Vec<u8>) {
    let flag = if is_leaf { 0x20 } else { 0x00 };
    let mut packed = [0; 33];
    let mut nibbles = path.iter();
    let mut len = 1;
    let first = match path.len() % 2 {
        1 => flag | 0x10 | nibbles.next().unwrap_or_default(),
        _ => flag,
    };
    let mut bytes = packed.iter_mut();
    if let Some(byte) = bytes.next() {
        *byte = first;
    }
    for byte in bytes {
        let (Some(high), Some(low)) = (nibbles.next(), nibbles.next()) else {
            break;
        };
        *byte = high << 4 | low;
        len += 1;
    }
    write_string(packed.get(..len).unwrap_or_default(), out);
}

fn write_string(payload: &[u8], out: &mut Vec<u8>) {
    match payload {
        [byte] if *byte < EMPTY_STRING_CODE => out.push(*byte),
        _ => {
            Header {
                list: false,
                payload_length: payload.len(),
            }
            .encode(out);
            out.extend_from_slice(payload);
        }
    }
}

/// Writes the list header so that it ends where the payload starts; returns where it starts.
fn write_header_before(out: &mut [u8]) -> usize {
    let Some((room, payload)) = out.split_at_mut_checked(HEADER_MAX) else {
        return 0;
    };
    let mut header = [0; HEADER_MAX];
    let mut rest = header.as_mut_slice();
    Header {
        list: true,
        payload_length: payload.len(),
    }
    .encode(&mut rest);
    let start = rest.len();
    for (to, from) in room.iter_mut().skip(start).zip(header) {
        *to = from;
    }
    start
}
