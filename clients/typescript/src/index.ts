// How sure the blocks of a rollup are, asked of a mach node; and certificates, checked here.

export { createMach, Mach, MachError } from "./client.js";
export type { Block, Event, MachOptions } from "./client.js";
export { checkCertificate, digest, operatorsDigest } from "./certificate.js";
export type { Checked, Policy } from "./certificate.js";
export { keccak256 } from "./bytes.js";
export type { components, paths } from "./schema.js";
