// The page, made anew from what is known.

import { stakeChart } from "./chart.js";
import { blockName, count, element, facts, hash, pill } from "./dom.js";
import { rollupOf } from "./state.js";

const KINDS = {
  invalidBlock: "invalid block",
  invalidOutputProposal: "invalid output proposal",
  wrongBlockHash: "wrong block hash",
  notDerivable: "not derivable from L1",
};

// Names of the rules by their numbers, as faults have them in evidence.
const RULES = {
  1: "parentHash",
  2: "ommersHash",
  4: "stateRoot",
  5: "transactionsRoot",
  6: "receiptsRoot",
  7: "logsBloom",
  8: "difficulty",
  9: "number",
  10: "gasLimit",
  11: "gasUsed",
  12: "timestamp",
  13: "extraData",
  15: "nonce",
  16: "baseFeePerGas",
  17: "withdrawalsRoot",
  18: "blobGasUsed",
  19: "excessBlobGas",
  20: "parentBeaconBlockRoot",
  21: "requestsHash",
  64: "transaction",
  128: "outputRoot",
  129: "blockHash",
  160: "l1Attributes",
  161: "l1Origin",
  162: "l1OriginNumber",
  163: "beforeL1Origin",
  164: "sequencerDrift",
  165: "userDeposits",
  166: "upgradeDeposits",
  167: "sequencerTransaction",
  168: "payloadAttributes",
  169: "systemConfig",
  170: "batchOrigin",
  171: "batchTransactions",
};

const LONGEST = 20;

export function rollupPage(rollup, { rounds, evidence, node }, width) {
  const alerts = [...rollup.alerts.values()].sort((a, b) => b.block.number - a.block.number);
  const standing = alerts.filter((alert) => !alert.isResolved);
  const own = rounds.filter((round) => rollupOf(round) === rollup.rollup);
  const verifiers = node.verifiers.flatMap(({ name, silentFor, rollups }) =>
    rollups.filter((it) => it.rollup === rollup.rollup).map((it) => ({ ...it, name, silentFor })),
  );
  const noRound = node.leads ? "No round is open." : "This instance stands by: the one that leads has the rounds.";
  return [
    banner(standing),
    heads(rollup.heads, verifiers),
    panel("Attested stake", stakeChart(rollup.attestations.values(), width)),
    element(
      "div",
      { class: "columns" },
      panel("Rounds", list(own, roundItem, noRound)),
      panel("Alerts", list(alerts, (alert) => alertItem(alert, evidence.get(alert.digest) ?? []), "No alert was ever raised.")),
    ),
    verifiers.length > 0 ? panel("Verifiers", verifierTable(verifiers)) : null,
  ].filter(Boolean);
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

function heads({ seen, finalizedByStake, confirmed }, verifiers) {
  const known = verifiers.map((it) => it.verified).filter(Boolean);
  const verified = known.sort((a, b) => b.number - a.number)[0];
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
    verifiers.length > 0 ? card("Verified", "re-executed here, with all before it", verified ?? null) : null,
    card("Attested", "verified by enough stake", finalizedByStake),
    card("Confirmed", "the attestation stands on L1", confirmed),
  );
}

function verifierTable(verifiers) {
  const how = ({ silentFor, isBroken, lag }) => {
    if (silentFor !== undefined) return pill("warn", `silent for ${count(silentFor)} s`);
    if (isBroken) return pill("bad", "stopped by a reorg of final blocks");
    if (lag === null) return pill("warn", "has no head yet");
    return lag > 0 ? pill("accent", `${count(lag)} behind`) : pill("good", "up to date");
  };
  const row = (it) => [
    it.name,
    it.verified ? blockName(it.verified) : "none",
    how(it),
    count(it.invalid),
    count(it.undecided),
  ];
  const names = ["verifier", "verified", "status", "invalid", "undecided"];
  return element(
    "table",
    { class: "verifiers" },
    element("thead", {}, element("tr", {}, ...names.map((it) => element("th", { scope: "col" }, it)))),
    element(
      "tbody",
      {},
      ...verifiers.map((it) => element("tr", {}, ...row(it).map((cell) => element("td", {}, ...[cell].flat())))),
    ),
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
  withdrawn: ["warn", "withdrawn on L1"],
};

function roundItem(round) {
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
          ...round.absent.map((operator) => who(operator, ["warn", "absent"], round.reasons[operator] ?? "")),
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
  const { confirmation, stake } = alert;
  // One that was found on L1 has no certificate here.
  const isCertified = stake.quorums.length > 0;
  const rule = RULES[alert.rule];
  return element(
    "li",
    { class: alert.isResolved ? "item" : "item bad", "data-key": alert.digest },
    element(
      "div",
      { class: "title" },
      element("h3", {}, KINDS[alert.kind] ?? alert.kind),
      alert.isResolved ? pill("good", "resolved") : pill("bad", "stands"),
      element("span", { class: "quiet" }, isCertified ? `${stake.percent} % of the stake` : "checked by L1"),
    ),
    facts([
      ["block", blockName(alert.block)],
      ["rule", rule ? `${rule} (${alert.rule})` : String(alert.rule)],
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
      isCertified && [
        "signed",
        element("a", { href: file, download: `alert-${alert.digest.slice(2, 10)}.json` }, "certificate"),
      ],
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
