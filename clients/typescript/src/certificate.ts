// The rules of mach-bls's `verify_self_contained`, on @noble/curves.

import { bn254 } from "@noble/curves/bn254.js";

import { bytes, concat, hex, integer, keccak, number, text } from "./bytes.js";
import type { components } from "./schema.js";

type File = components["schemas"]["CertificateFile"];
type Certificate = components["schemas"]["Certificate"];
type Statement = components["schemas"]["Statement"];
type Domain = components["schemas"]["Domain"];
type G1 = InstanceType<typeof bn254.G1.Point>;
type G2 = InstanceType<typeof bn254.G2.Point>;

/** What a caller asks of a certificate beyond that it proves what it says. */
export interface Policy {
  /** The service manager whose certificates count. */
  domain: Domain;
  /** Least share of its stake that each quorum has to have signed with, in percent. */
  leastShare: number;
  /** Quorums that have to have signed; those of the certificate if none are named. */
  quorums?: number[];
  /**
   * Whether the operators with this hash are those of L1 at this block: compared with `mach-cli certificate operators`, or
   * asked of a contract. Whoever makes up operators signs for them.
   */
  trustOperators: (operators: string, referenceBlock: number) => boolean | Promise<boolean>;
}

/** A certificate that was checked. */
export interface Checked {
  digest: string;
  operators: string;
  statement: Statement;
  /** Stake that signed, for each quorum of the certificate. */
  signed: { quorum: number; signed: bigint; total: bigint }[];
}

const P = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47n;
const ALERT_KINDS = ["invalidBlock", "invalidOutputProposal", "wrongBlockHash", "notDerivable"];

/** Checks a certificate file, and throws an error that says what is wrong with it. */
export async function checkCertificate(file: File, policy: Policy): Promise<Checked> {
  if (file.version !== 1) throw new Error(`version ${file.version} is not known`);
  if (file.curve !== "bn254") throw new Error(`curve ${file.curve} is not known`);
  const certificate = file.certificate;
  const { domain, round } = certificate;
  const isDomain =
    domain.l1ChainId === policy.domain.l1ChainId &&
    domain.serviceManager.toLowerCase() === policy.domain.serviceManager.toLowerCase();
  if (!isDomain) throw new Error("the certificate is for another service manager or L1 chain");

  const signed = checkStakes(certificate);
  for (const quorum of [...(policy.quorums ?? []), ...signed.map((it) => it.quorum)]) {
    const tally = signed.find((it) => it.quorum === quorum);
    if (tally === undefined) throw new Error(`quorum ${quorum} has not signed`);
    if (tally.signed * 100n < tally.total * BigInt(policy.leastShare)) {
      throw new Error(`quorum ${quorum} has signed with less than ${policy.leastShare} %`);
    }
  }

  // One equation for each: is it the same key in both groups, and is it its signature.
  const key = decodeG2(certificate.apkG2);
  if (!sameDiscreteLog(signersKey(certificate), bn254.G1.Point.BASE, key)) {
    throw new Error("the aggregate key is not that of the signers");
  }
  const signature = decodeG1(certificate.sigma);
  if (!sameDiscreteLog(signature, hashToG1(messageOf(certificate)), key)) {
    throw new Error("the aggregate signature is not valid");
  }

  const operators = operatorsDigest(certificate);
  if (!(await policy.trustOperators(operators, round.referenceBlock))) {
    throw new Error(`the operators ${operators} at L1 block ${round.referenceBlock} are not trusted`);
  }
  return { digest: hex(messageOf(certificate)), operators, statement: certificate.statement, signed };
}

/** What operators sign: EIP-712 typed data. */
export function digest(statement: Statement, domain: Domain): string {
  return hex(keccak(number(0x1901, 2), domainSeparator(domain), structHash(statement)));
}

/** The hash of all that a certificate says of its operators, as mach-core documents it. */
export function operatorsDigest(certificate: Certificate): string {
  const { domain, round, quorums, nonSigners } = certificate;
  const parts = [
    text("mach operatorsbn254\0"),
    number(domain.l1ChainId, 8),
    bytes(domain.serviceManager, 20),
    number(round.referenceBlock, 4),
    number(quorums.length, 8),
  ];
  for (const quorum of quorums) {
    parts.push(number(quorum.quorum, 1), bytes(quorum.apk, 64), number(decimal(quorum.total), 16));
  }
  parts.push(number(nonSigners.length, 8));
  for (const absent of nonSigners) {
    parts.push(bytes(absent.keyG1, 64), number(absent.stakes.length, 1));
    for (const of of absent.stakes) parts.push(number(of.quorum, 1), number(decimal(of.stake), 16));
  }
  return hex(keccak(...parts));
}

function messageOf(certificate: Certificate): Uint8Array {
  return bytes(digest(certificate.statement, certificate.domain), 32);
}

function domainSeparator(domain: Domain): Uint8Array {
  return keccak(
    keccak(text("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
    keccak(text("Mach")),
    keccak(text("3")),
    number(domain.l1ChainId, 32),
    number(0, 12),
    bytes(domain.serviceManager, 20),
  );
}

function structHash(statement: Statement): Uint8Array {
  const { rollupChainId, block } = statement;
  if (statement.type === "attestation") {
    return keccak(
      keccak(
        text(
          "Attestation(uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,bytes32 stateRoot,bytes32 outputRoot)",
        ),
      ),
      number(rollupChainId, 32),
      number(block.number, 32),
      bytes(block.hash, 32),
      bytes(statement.stateRoot, 32),
      bytes(statement.outputRoot, 32),
    );
  }
  const kind = ALERT_KINDS.indexOf(statement.kind) + 1;
  if (kind === 0) throw new Error(`alerts of kind ${statement.kind} are not known`);
  return keccak(
    keccak(
      text(
        "Alert(uint8 kind,uint256 rollupChainId,uint64 blockNumber,bytes32 blockHash,uint16 rule,bytes32 claimed,bytes32 computed)",
      ),
    ),
    number(kind, 32),
    number(rollupChainId, 32),
    number(block.number, 32),
    bytes(block.hash, 32),
    number(statement.rule, 32),
    bytes(statement.claimed, 32),
    bytes(statement.computed, 32),
  );
}

/** Everything about quorums, stakes and thresholds. */
function checkStakes(certificate: Certificate): Checked["signed"] {
  const { round, quorums, nonSigners } = certificate;
  const count = round.quorums.length;
  if (count === 0 || round.thresholds.length !== count || quorums.length !== count) {
    throw new Error("there is not one tally for each quorum");
  }
  if (!isAscending(round.quorums)) throw new Error("quorums do not ascend");
  const ids = nonSigners.map((absent) => {
    const numbers = absent.stakes.map((of) => of.quorum);
    const isMember = numbers.length > 0 && isAscending(numbers) && numbers.every((it) => round.quorums.includes(it));
    const id = hex(keccak(bytes(absent.keyG1, 64)));
    if (!isMember || id !== absent.id.toLowerCase()) throw new Error(`operator ${absent.id} is malformed`);
    return id;
  });
  if (!isAscending(ids)) throw new Error("the absent operators do not ascend");

  return quorums.map((tally, index) => {
    const quorum = round.quorums[index];
    const threshold = round.thresholds[index];
    const [signed, total] = [decimal(tally.signed), decimal(tally.total)];
    const absent = nonSigners
      .flatMap((it) => it.stakes)
      .filter((of) => of.quorum === quorum)
      .reduce((sum, of) => sum + decimal(of.stake), 0n);
    if (quorum === undefined || threshold === undefined || tally.quorum !== quorum || total - absent !== signed) {
      throw new Error(`the tally of quorum ${tally.quorum} does not add up`);
    }
    const isShare = Number.isInteger(threshold) && threshold >= 1 && threshold <= 100;
    if (!isShare || signed < 0n || total === 0n || signed * 100n < total * BigInt(threshold)) {
      throw new Error(`quorum ${quorum} is below its threshold`);
    }
    return { quorum, signed, total };
  });
}

/** The sum of the quorums' keys without those of the absent, each as often as it is in them. */
function signersKey(certificate: Certificate): G1 {
  let sum = bn254.G1.Point.ZERO;
  for (const quorum of certificate.quorums) sum = sum.add(decodeG1(quorum.apk));
  for (const absent of certificate.nonSigners) {
    const key = decodeG1(absent.keyG1);
    for (const _ of absent.stakes) sum = sum.subtract(key);
  }
  return sum;
}

/** Whether `multiple` is to `base` what `key` is to the generator of G2: e(multiple, -G2) * e(base, key) = 1. */
function sameDiscreteLog(multiple: G1, base: G1, key: G2): boolean {
  if (multiple.is0()) return false;
  const product = bn254.pairingBatch([
    { g1: multiple, g2: bn254.G2.Point.BASE.negate() },
    { g1: base, g2: key },
  ]);
  return bn254.fields.Fp12.eql(product, bn254.fields.Fp12.ONE);
}

/** `BN254.hashToG1` of EigenLayer: the first abscissa from the digest on, and the root that p = 3 mod 4 gives. */
function hashToG1(message: Uint8Array): G1 {
  const { Fp } = bn254.fields;
  let x = integer(message) % P;
  for (;;) {
    const beta = Fp.add(Fp.mul(Fp.sqr(x), x), 3n);
    const y = Fp.pow(beta, (P + 1n) / 4n);
    if (Fp.eql(Fp.sqr(y), beta)) return bn254.G1.Point.fromAffine({ x, y });
    x = Fp.add(x, 1n);
  }
}

/** X, Y; any point of the curve but the identity. */
function decodeG1(encoded: string): G1 {
  const [x, y] = words(encoded, 2);
  const point = bn254.G1.Point.fromAffine({ x: x ?? 0n, y: y ?? 0n });
  if (point.is0()) throw new Error("a point is the identity");
  point.assertValidity();
  return point;
}

/** X.c0, X.c1, Y.c0, Y.c1; any point of the subgroup but the identity. */
function decodeG2(encoded: string): G2 {
  const [x0, x1, y0, y1] = words(encoded, 4);
  const { Fp2 } = bn254.fields;
  const point = bn254.G2.Point.fromAffine({
    x: Fp2.fromBigTuple([x0 ?? 0n, x1 ?? 0n]),
    y: Fp2.fromBigTuple([y0 ?? 0n, y1 ?? 0n]),
  });
  if (point.is0()) throw new Error("a point is the identity");
  point.assertValidity();
  return point;
}

/** Coordinates below the field modulus. */
function words(encoded: string, count: number): bigint[] {
  const all = bytes(encoded, 32 * count);
  return Array.from({ length: count }, (_, index) => {
    const word = integer(all.subarray(32 * index, 32 * (index + 1)));
    if (word >= P) throw new Error("a coordinate is not below the field modulus");
    return word;
  });
}

/** A stake: decimal digits, at most 96 bits. */
function decimal(digits: string): bigint {
  if (!/^(0|[1-9][0-9]{0,28})$/.test(digits)) throw new Error("a stake is not in decimal digits");
  const value = BigInt(digits);
  if (value >> 96n !== 0n) throw new Error("a stake has more than 96 bits");
  return value;
}

function isAscending<T>(values: T[]): boolean {
  return values.every((value, index) => index === 0 || (values[index - 1] as T) < value);
}
