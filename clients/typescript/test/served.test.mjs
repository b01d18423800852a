// Against a server that a cargo test started: `cargo test -p mach-node the_typescript_client`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MachError, checkCertificate, createMach, digest, operatorsDigest } from "../dist/index.js";

const url = process.env.MACH_URL;
const skip = url === undefined ? "MACH_URL is not set" : false;
// What the Rust side knows of the same things.
const expected = JSON.parse(process.env.MACH_EXPECTED ?? "{}");
const { rollup } = expected;
const mach = createMach(url ?? "http://localhost");

test("blocks, transactions and heads are told", { skip }, async () => {
  assert.deepEqual((await mach.rollups()).map((it) => it.rollup), [rollup]);
  const head = await mach.head(rollup);
  assert.deepEqual(head.finalizedByStake, expected.attested);
  assert.deepEqual(head.confirmed, expected.attested);
  for (const [block, status] of [
    [expected.attested.number - 1, "confirmed"],
    [expected.attested.hash, "confirmed"],
    [expected.attested.number + 1, "seen"],
    [expected.accused.hash, "alerted"],
    [1_000_000n, "unknown"],
  ]) {
    assert.equal((await mach.block(rollup, block)).status, status, String(block));
  }
  const view = await mach.transaction(rollup, expected.transaction);
  assert.equal(view.status, "confirmed");
  assert.equal(view.stake?.percent, 75);
  assert.equal((await mach.finalized(rollup, expected.attested.number)).status, "confirmed");
  assert.deepEqual(await mach.rounds(rollup), []);
  const [alert] = await mach.alerts();
  assert.deepEqual(alert?.block, expected.accused);
});

test("what is wrong is said", { skip }, async () => {
  await assert.rejects(mach.head(rollup + 1), (error) => {
    assert.ok(error instanceof MachError);
    assert.equal(error.status, 404);
    assert.equal(error.detail, `rollup ${rollup + 1} is not served`);
    return true;
  });
  await assert.rejects(mach.block(rollup, "latest"), { status: 400 });
});

test("events begin with a snapshot and are resumed", { skip }, async () => {
  const seen = [];
  for await (const event of mach.events({ rollup })) {
    seen.push(event);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen.map((it) => it.type), ["snapshot", "head", "head"]);
  for await (const event of mach.events({ rollup, lastEventId: seen[1].id })) {
    assert.deepEqual(event, seen[2]);
    break;
  }
});

/** Asks for little, so that the certificate itself has to be wrong. */
const policy = (change = {}) => ({
  domain: expected.domain,
  leastShare: 1,
  trustOperators: (operators) => operators === expected.operators,
  ...change,
});

test("a certificate is checked without the server", { skip }, async () => {
  const file = await mach.certificate(rollup, expected.attested.number);
  const checked = await checkCertificate(file, policy({ leastShare: 66, quorums: [0] }));
  assert.equal(checked.digest, expected.digest);
  assert.equal(checked.operators, expected.operators);
  assert.deepEqual(checked.signed, [{ quorum: 0, signed: 300n, total: 400n }]);
  assert.deepEqual(checked.statement.block, expected.attested);

  // An alert as well: its digest is made of other fields.
  const alert = await mach.certificate(rollup, expected.alert);
  assert.equal((await checkCertificate(alert, policy())).digest, expected.alert);
  assert.equal(digest(alert.certificate.statement, expected.domain), expected.alert);
  assert.equal(operatorsDigest(alert.certificate), expected.operators);
});

test("whatever is altered is refused", { skip }, async () => {
  const file = await mach.certificate(rollup, expected.attested.number);
  const zeros = (length) => `0x${"00".repeat(length)}`;
  const flipped = (hex) => hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0");
  // A point of the twist outside the subgroup of order r, computed by arkworks.
  const outside = expected.outsideTheSubgroup;
  const changes = {
    version: [(it) => (it.version = 2), /version 2/],
    curve: [(it) => (it.curve = "bls12-381"), /curve/],
    rollup: [(it) => (it.certificate.statement.rollupChainId += 1), /signature/],
    number: [(it) => (it.certificate.statement.block.number += 1), /signature/],
    hash: [(it) => (it.certificate.statement.block.hash = zeros(32)), /signature/],
    "state root": [(it) => (it.certificate.statement.stateRoot = zeros(32)), /signature/],
    "output root": [(it) => (it.certificate.statement.outputRoot = zeros(32)), /signature/],
    "L1 chain": [(it) => (it.certificate.domain.l1ChainId += 1), /another service manager/],
    "service manager": [(it) => (it.certificate.domain.serviceManager = zeros(20)), /another service manager/],
    "reference block": [(it) => (it.certificate.round.referenceBlock += 1), /not trusted/],
    quorums: [(it) => (it.certificate.round.quorums = []), /one tally/],
    "another quorum": [(it) => (it.certificate.round.quorums = [1]), /malformed/],
    threshold: [(it) => (it.certificate.round.thresholds = [76]), /threshold/],
    "threshold of 0": [(it) => (it.certificate.round.thresholds = [0]), /threshold/],
    total: [(it) => (it.certificate.quorums[0].total = "399"), /add up/],
    signed: [(it) => (it.certificate.quorums[0].signed = "400"), /add up/],
    "no number": [(it) => (it.certificate.quorums[0].total = "0400"), /decimal/],
    "total and signed": [
      (it) => Object.assign(it.certificate.quorums[0], { total: "401", signed: "301" }),
      /not trusted/,
    ],
    apk: [(it) => (it.certificate.quorums[0].apk = it.certificate.sigma), /aggregate key/],
    "apk off the curve": [(it) => (it.certificate.quorums[0].apk = flipped(it.certificate.quorums[0].apk)), /./],
    "no apk": [(it) => (it.certificate.quorums[0].apk = zeros(64)), /identity/],
    "nobody absent": [(it) => (it.certificate.nonSigners = []), /add up/],
    "absent twice": [(it) => it.certificate.nonSigners.push(it.certificate.nonSigners[0]), /ascend/],
    "absent id": [(it) => (it.certificate.nonSigners[0].id = zeros(32)), /malformed/],
    "absent key": [(it) => (it.certificate.nonSigners[0].keyG1 = it.certificate.sigma), /malformed/],
    "absent stake": [(it) => (it.certificate.nonSigners[0].stakes[0].stake = "1"), /add up/],
    "absent nowhere": [(it) => (it.certificate.nonSigners[0].stakes = []), /malformed/],
    apkG2: [(it) => (it.certificate.apkG2 = flipped(it.certificate.apkG2)), /./],
    "no apkG2": [(it) => (it.certificate.apkG2 = zeros(128)), /identity/],
    "apkG2 outside the subgroup": [(it) => (it.certificate.apkG2 = outside), /./],
    sigma: [(it) => (it.certificate.sigma = it.certificate.quorums[0].apk), /signature/],
    "no sigma": [(it) => (it.certificate.sigma = zeros(64)), /identity/],
    "coordinate above the modulus": [(it) => (it.certificate.sigma = `0x${"ff".repeat(64)}`), /modulus/],
    "short point": [(it) => (it.certificate.sigma = "0x01"), /bytes/],
  };
  await checkCertificate(structuredClone(file), policy());
  for (const [what, [change, error]] of Object.entries(changes)) {
    const altered = structuredClone(file);
    change(altered);
    await assert.rejects(checkCertificate(altered, policy()), error, what);
  }
  await assert.rejects(checkCertificate(file, policy({ leastShare: 76 })), /less than 76/);
  await assert.rejects(checkCertificate(file, policy({ quorums: [1] })), /quorum 1 has not signed/);
  await assert.rejects(checkCertificate(file, policy({ trustOperators: () => false })), /not trusted/);
});
