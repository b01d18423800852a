// What the page knows, without a browser: `cargo test -p mach-node what_the_page_knows`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { State } from "../../src/dashboard/assets/state.js";

const ROLLUP = 10;
const statement = (digest) => ({ digest, rollup: ROLLUP, block: { number: 5, hash: "0x05" } });
const alert = (digest) => ({ ...statement(digest), isResolved: false });
const confirmation = { l1Block: 7 };

function asked() {
  const state = new State();
  state.apply({ type: "snapshot", rollups: [{ rollup: ROLLUP, alerts: [], heads: {} }] });
  return [state, state.rollups.get(ROLLUP)];
}

test("an answer does not undo the events that overtook it", () => {
  const [state, known] = asked();
  state.apply({ type: "alerted", ...alert("raised") });
  state.apply({ type: "resolved", rollup: ROLLUP, digest: "withdrawn" });
  state.apply({ type: "confirmed", rollup: ROLLUP, digest: "attested", isAlert: false, confirmation });
  state.history(known, [statement("attested")], [alert("withdrawn"), alert("other")]);
  assert.equal(known.alerts.get("raised").isResolved, false);
  assert.equal(known.alerts.get("withdrawn").isResolved, true);
  assert.equal(known.alerts.get("other").isResolved, false);
  assert.deepEqual(known.attestations.get("attested").confirmation, confirmation);
});

test("an answer from before a snapshot is not taken", () => {
  const [state, before] = asked();
  state.apply({ type: "snapshot", rollups: [{ rollup: ROLLUP, alerts: [alert("raised")], heads: {} }] });
  const known = state.rollups.get(ROLLUP);
  state.history(before, [], []);
  assert.ok(known.alerts.has("raised"));
  state.history(known, [], [{ ...alert("raised"), isResolved: true }]);
  assert.ok(known.alerts.get("raised").isResolved);
});
