// Stake behind the newest attestations, by block.

import { count, element, shape } from "./dom.js";

const HEIGHT = 200;
const LEFT = 44;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 30;

// `width` is in CSS pixels, so that text is as large as elsewhere.
export function stakeChart(attestations, width) {
  const points = [...attestations].sort((a, b) => a.block.number - b.block.number);
  if (points.length === 0) return element("p", { class: "empty" }, "No block is attested yet.");
  const first = points[0].block.number;
  const last = points[points.length - 1].block.number;
  const x = (number) =>
    last === first
      ? (LEFT + width - RIGHT) / 2
      : LEFT + ((number - first) / (last - first)) * (width - LEFT - RIGHT);
  const y = (percent) => TOP + (1 - percent / 100) * (HEIGHT - TOP - BOTTOM);
  const line = points.map((it) => `${x(it.block.number).toFixed(1)},${y(it.stake.percent).toFixed(1)}`);
  const threshold = Math.max(...points[points.length - 1].stake.quorums.map((it) => it.threshold));
  const newest = points[points.length - 1];
  const summary =
    `Stake behind ${points.length} attestations, blocks ${first} to ${last}: ` +
    `${newest.stake.percent} percent behind the newest, ${threshold} percent are needed.`;
  const ends = last === first ? [first] : [first, Math.round((first + last) / 2), last];
  const svg = shape(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary },
    ...[0, 50, 100].flatMap((percent) => [
      shape("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(percent), y2: y(percent) }),
      shape("text", { x: LEFT - 8, y: y(percent) + 4, "text-anchor": "end" }, `${percent} %`),
    ]),
    ...[...new Set(ends)].map((number, index, all) =>
      shape(
        "text",
        {
          x: x(number),
          y: HEIGHT - 8,
          "text-anchor": all.length === 1 ? "middle" : ["start", "middle", "end"][index === all.length - 1 ? 2 : index],
        },
        count(number),
      ),
    ),
    points.length > 1
      ? shape("polygon", {
          class: "area",
          points: `${x(first)},${y(0)} ${line.join(" ")} ${x(last)},${y(0)}`,
        })
      : null,
    shape("polyline", { class: "stake", points: line.join(" ") }),
    shape("line", { class: "threshold", x1: LEFT, x2: width - RIGHT, y1: y(threshold), y2: y(threshold) }),
    ...points.map((it) =>
      shape(
        "circle",
        {
          class: it.confirmation ? "point confirmed" : "point",
          cx: x(it.block.number),
          cy: y(it.stake.percent),
          r: width / points.length < 10 ? 2 : 3.5,
        },
        shape(
          "title",
          {},
          `block ${it.block.number}: ${it.stake.percent} %${it.confirmation ? ", confirmed on L1" : ""}`,
        ),
      ),
    ),
  );
  const key = (kind, text) => element("span", { class: `key ${kind} quiet` }, text);
  return element(
    "div",
    { class: "chart" },
    svg,
    element(
      "p",
      { class: "legend" },
      key("", "attested"),
      key("confirmed", "confirmed on L1"),
      key("threshold", `${threshold} % needed`),
    ),
  );
}
