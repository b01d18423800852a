// The page, made anew from what is known.

import { stakeChart } from "./chart.js";
import { blockName, count, element, facts, hash, pill } from "./dom.js";
import { absence, rollupOf } from "./state.js";

const KINDS = {
  invalidBlock: "invalid block",
  invalidOutputProposal: "invalid output proposal",
  wrongBlockHash: "wrong block hash",
  notDerivable: "not derivable from L1",
};

const LONGEST = 20;

export function rollupPage(rollup, { rounds, evidence }, width) {
  const alerts = [...rollup.alerts.values()].sort((a, b) => b.block.number - a.block.number);
  const standing = alerts.filter((alert) => !alert.isResolved);
  const own = rounds.filter((round) => rollupOf(round) === rollup.rollup);
  return [
    banner(standing),
    heads(rollup.heads),
    panel("Attested stake", stakeChart(rollup.attestations.values(), width)),
    element(
      "div",
      { class: "columns" },
      panel("Rounds", list(own, (round) => roundItem(round, rounds), "No round is open.")),
      panel("Alerts", list(alerts, (alert) => alertItem(alert, evidence.get(alert.digest) ?? []), "No alert was ever raised.")),
    ),
  ];
}

function banner(standing) {
  if (standing.length === 0) {
    return element(
      "p",
      { class: "banner good" },
      element("strong", {}, "Clean"),
      "No alert stands against this rollup.",
    );
  }
  const lowest = standing[standing.length - 1];
  const more = standing.length > 1 ? ` and ${standing.length - 1} more` : "";
  return element(
    "p",
    { class: "banner bad", role: "alert" },
    element("strong", {}, standing.length === 1 ? "An alert stands" : `${standing.length} alerts stand`),
    element("span", {}, `${KINDS[lowest.kind] ?? lowest.kind} at `, ...blockName(lowest.block), more),
  );
}

function heads({ seen, finalizedByStake, confirmed }) {
  const card = (name, what, block) => {
    const behind = block && seen ? seen.number - block.number : null;
    return element(
      "div",
      { class: "panel head" },
      element("dt", {}, name),
      element("dd", { class: "number" }, block ? count(block.number) : "none"),
      element("dd", {}, block ? hash(block.hash) : null),
      element(
        "dd",
        { class: "quiet" },
        what,
        behind === null || block === seen ? null : behind > 0 ? `, ${count(behind)} behind` : ", up to date",
      ),
    );
  };
  return element(
    "dl",
    { class: "heads", "aria-label": "Heads" },
    card("Unsafe", "newest block of the node", seen),
    card("Attested", "verified by enough stake", finalizedByStake),
    card("Confirmed", "the attestation stands on L1", confirmed),
  );
}

function panel(title, ...content) {
  return element("section", { class: "panel" }, element("h2", {}, title), ...content);
}

function list(items, show, empty) {
  if (items.length === 0) return element("p", { class: "empty" }, empty);
  const rest = items.length - LONGEST;
  return element(
    "ul",
    { class: "items" },
    ...items.slice(0, LONGEST).map(show),
    rest > 0 ? element("li", { class: "quiet" }, `and ${rest} more`) : null,
  );
}

const STATES = {
  collecting: ["warn", "collecting"],
  certified: ["accent", "certified"],
  confirmed: ["good", "confirmed on L1"],
};

function roundItem(round, rounds) {
  const isAlert = round.statement.type === "alert";
  const [kind, text] = STATES[round.state.state] ?? ["warn", round.state.state];
  const members = round.signers.length + round.absent.length;
  const who = (operator, status, why) =>
    element("tr", {}, element("td", {}, hash(operator)), element("td", {}, pill(...status)), element("td", {}, why));
  return element(
    "li",
    { class: isAlert ? "item bad" : "item", "data-key": round.digest },
    element(
      "div",
      { class: "title" },
      element("h3", {}, isAlert ? "Alert: " : "Attestation: ", ...blockName(round.statement.block)),
      pill(kind, text),
    ),
    ...round.quorums.map(quorumBar),
    element(
      "details",
      {},
      element("summary", {}, `${round.signers.length} of ${members} operators signed`),
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, ...["operator", "status", "why"].map((it) => element("th", { scope: "col" }, it)))),
        element(
          "tbody",
          {},
          ...round.signers.map((operator) => who(operator, ["good", "signed"], "")),
          ...round.absent.map((operator) => who(operator, ["warn", "absent"], absence(operator, round, rounds))),
        ),
      ),
      facts([
        ["digest", hash(round.digest)],
        ["reference block", `L1 block ${count(round.referenceBlock)}`],
        round.state.transaction && ["transaction", hash(round.state.transaction)],
      ]),
    ),
  );
}

function quorumBar({ quorum, signed, total, threshold }) {
  // Stakes have up to 96 bits.
  const share = BigInt(total) === 0n ? 0 : Number((BigInt(signed) * 10000n) / BigInt(total)) / 100;
  const filled = element("div", { class: share >= threshold ? "signed met" : "signed" });
  filled.style.width = `${Math.min(share, 100)}%`;
  const mark = element("div", { class: "mark" });
  mark.style.left = `${threshold}%`;
  const text = `quorum ${quorum}: ${share.toFixed(1)} % of the stake, ${threshold} % needed`;
  return element(
    "div",
    {},
    element(
      "div",
      {
        class: "bar",
        role: "meter",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "aria-valuenow": share,
        "aria-label": text,
      },
      filled,
      mark,
    ),
    element("span", { class: "quiet" }, text),
  );
}

function alertItem(alert, bundles) {
  const file = `/v1/rollups/${alert.rollup}/certificates/${alert.digest}`;
  const { confirmation } = alert;
  return element(
    "li",
    { class: alert.isResolved ? "item" : "item bad", "data-key": alert.digest },
    element(
      "div",
      { class: "title" },
      element("h3", {}, KINDS[alert.kind] ?? alert.kind),
      alert.isResolved ? pill("good", "resolved") : pill("bad", "stands"),
      element("span", { class: "quiet" }, `${alert.stake.percent} % of the stake`),
    ),
    facts([
      ["block", blockName(alert.block)],
      ["rule", String(alert.rule)],
      ["claimed", element("span", { class: "mono" }, alert.claimed)],
      ["computed", element("span", { class: "mono" }, alert.computed)],
      [
        "on L1",
        confirmation
          ? [
              `block ${count(confirmation.l1Block)} `,
              confirmation.transaction ? hash(confirmation.transaction) : null,
            ]
          : "not yet",
      ],
      ["signed", element("a", { href: file, download: `alert-${alert.digest.slice(2, 10)}.json` }, "certificate")],
      bundles.length > 0 && [
        "evidence",
        bundles.map(({ name, bytes }) =>
          element(
            "a",
            {
              href: `/v1/rollups/${alert.rollup}/evidence/${alert.block.hash}/${encodeURIComponent(name)}`,
              download: name,
              title: `replay it: mach-cli verify ${name}`,
            },
            `${name} (${count(Math.ceil(bytes / 1024))} KiB) `,
          ),
        ),
      ],
    ].filter(Boolean).map((pair) => [pair[0], [pair[1]].flat().filter((it) => it !== null)])),
  );
}
