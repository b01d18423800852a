// Follows the node's events and shows one rollup.

import { element } from "./dom.js";
import { ATTESTATIONS, State } from "./state.js";
import { rollupPage } from "./view.js";

const ROUNDS_EVERY = 2000;
const EVIDENCE_EVERY = 3000;
// Alerts whose evidence is asked for at a time.
const LOOKED_AT = 20;
// Padding and border of a panel, in pixels.
const PANEL = 40;

const state = new State();
const main = document.getElementById("main");
const nav = document.getElementById("rollups");
const live = document.getElementById("live");
let shown = null;
let isDirty = false;

async function read(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function tell(name) {
  if (live.dataset.state === name) return;
  live.dataset.state = name;
  live.textContent = name;
}

function render() {
  isDirty = false;
  const ids = [...state.rollups.keys()];
  if (!state.rollups.has(shown)) {
    const wanted = Number(location.hash.slice(1));
    shown = state.rollups.has(wanted) ? wanted : (ids[0] ?? null);
  }
  nav.replaceChildren(
    ...ids.map((id) => {
      const alerts = [...state.rollups.get(id).alerts.values()].some((it) => !it.isResolved);
      const attributes = { type: "button", "aria-current": id === shown ? "true" : null, "data-alerts": alerts };
      return element("button", { ...attributes, onclick: () => choose(id) }, `rollup ${id}`);
    }),
  );
  const rollup = state.rollups.get(shown);
  if (!rollup) {
    main.replaceChildren(element("p", { class: "empty" }, "This node serves no rollup."));
    return;
  }
  // What was opened stays open.
  const open = new Set(
    [...main.querySelectorAll("details[open]")].map((it) => it.closest("[data-key]")?.dataset.key),
  );
  const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
  const style = getComputedStyle(main);
  const inside = main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  main.replaceChildren(...rollupPage(rollup, state, Math.max(Math.round(inside) - PANEL, 240)));
  for (const item of main.querySelectorAll("[data-key]")) {
    const details = item.querySelector("details");
    if (details && open.has(item.dataset.key)) details.open = true;
    if (details && focused === item.dataset.key) details.querySelector("summary").focus();
  }
  const { l1ChainId, serviceManager } = rollup.domain;
  document.getElementById("domain").textContent = `service manager ${serviceManager} on chain ${l1ChainId}`;
  document.title = `${[...rollup.alerts.values()].some((it) => !it.isResolved) ? "(!) " : ""}mach · rollup ${shown}`;
}

// However many events come, the page is made once a frame.
function changed() {
  if (isDirty) return;
  isDirty = true;
  requestAnimationFrame(render);
}

function choose(id) {
  shown = id;
  history.replaceState(null, "", `#${id}`);
  changed();
}

async function readHistory() {
  for (const known of state.rollups.values()) {
    const { rollup } = known;
    try {
      const [certificates, alerts] = await Promise.all([
        read(`/v1/rollups/${rollup}/certificates?limit=${ATTESTATIONS}`),
        read(`/v1/alerts?rollup=${rollup}`),
      ]);
      state.history(known, certificates.attestations, alerts);
      changed();
    } catch (error) {
      known.meanwhile = null;
      console.warn("history", error);
    }
  }
}

async function readRounds() {
  if (!document.hidden) {
    try {
      const [rounds, node] = await Promise.all([read("/v1/rounds"), read("/v1/node")]);
      if (JSON.stringify([rounds, node]) !== JSON.stringify([state.rounds, state.node])) {
        Object.assign(state, { rounds, node });
        changed();
      }
    } catch (error) {
      console.warn("rounds", error);
    }
  }
  setTimeout(readRounds, ROUNDS_EVERY);
}

// A verifier on the same machine writes its bundle when it finds something, and that may take a while.
async function readEvidence() {
  if (!document.hidden) {
    const alerts = [...(state.rollups.get(shown)?.alerts.values() ?? [])];
    const missing = alerts.filter((alert) => !state.evidence.has(alert.digest));
    for (const alert of missing.slice(-LOOKED_AT)) {
      try {
        const files = await read(`/v1/rollups/${alert.rollup}/evidence/${alert.block.hash}`);
        if (files.length === 0) continue;
        state.evidence.set(alert.digest, files);
        changed();
      } catch (error) {
        console.warn("evidence", error);
      }
    }
  }
  setTimeout(readEvidence, EVIDENCE_EVERY);
}

function follow() {
  const source = new EventSource("/v1/events");
  const take = (message) => {
    const event = JSON.parse(message.data);
    state.apply(event);
    if (event.type === "snapshot") readHistory();
    changed();
  };
  for (const name of ["snapshot", "attested", "confirmed", "unconfirmed", "alerted", "resolved", "head"]) {
    source.addEventListener(name, take);
  }
  source.addEventListener("open", () => tell("live"));
  source.addEventListener("error", () => {
    tell("offline");
    // Where the browser gives up, this does not.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
}

addEventListener("resize", changed);
addEventListener("hashchange", () => {
  const wanted = Number(location.hash.slice(1));
  if (state.rollups.has(wanted)) choose(wanted);
});
follow();
readRounds();
readEvidence();
