import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

/** The bytes of `0x…`; `length` of them, if it is given. */
export function bytes(hex: string, length?: number): Uint8Array {
  if (!/^0x([0-9a-fA-F]{2})*$/.test(hex)) throw new Error("not hexadecimal");
  const read = hexToBytes(hex.slice(2));
  if (length !== undefined && read.length !== length) throw new Error(`${read.length} bytes, expected ${length}`);
  return read;
}

export function hex(bytes: Uint8Array): string {
  return `0x${bytesToHex(bytes)}`;
}

/** A number, big-endian, in `length` bytes. */
export function number(value: bigint | number, length: number): Uint8Array {
  const big = BigInt(value);
  if (big < 0n || big >> BigInt(8 * length) !== 0n) throw new Error(`${big} has more than ${length} bytes`);
  return hexToBytes(big.toString(16).padStart(2 * length, "0"));
}

export function integer(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(hex(bytes));
}

export function text(value: string): Uint8Array {
  return utf8ToBytes(value);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return concatBytes(...parts);
}

export function keccak(...parts: Uint8Array[]): Uint8Array {
  return keccak_256(concatBytes(...parts));
}

/** Keccak-256 of `0x…`, as the contracts and `mach-cli` print it. */
export function keccak256(data: string): string {
  return hex(keccak(bytes(data)));
}
