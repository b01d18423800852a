// Elements are made, never parsed from text: what the node says is shown, not run.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

export const shape = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

export const short = (hex) =>
  hex.length > 20 ? `${hex.slice(0, 10)}…${hex.slice(-6)}` : hex;

export const hash = (hex) => element("span", { class: "mono", title: hex }, short(hex));

export const count = (number) => number.toLocaleString("en");

export const pill = (kind, text) => element("span", { class: `pill ${kind}` }, text);

export const blockName = (block) => [`block ${count(block.number)} `, hash(block.hash)];

export const facts = (pairs) =>
  element(
    "dl",
    { class: "facts" },
    ...pairs.filter(Boolean).map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
