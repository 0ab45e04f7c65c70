// Conditions by choosing: a component above that is answered, a comparison that suits it, a value. And as a sentence.

import { el } from "./dom.js";

const ALONE = ["answered", "empty"];
const OPS = {
  text: ["is", "is_not", "contains", ...ALONE],
  day: ["is", "is_not", ...ALONE],
  number: ["is", "is_not", "at_least", "at_most", ...ALONE],
  choice: ["is", "is_not", ...ALONE],
  choices: ["contains", ...ALONE],
  texts: ["contains", ...ALONE],
  flag: ["is", "is_not"],
  pair: ["is", "is_not", ...ALONE],
  "": ALONE,
};
const PAIR = [["tie", "both are equal"], ["both_bad", "neither is acceptable"]];
const FLAGS = [["true", "yes"], ["false", "no"]];

export function comparedOf(offer, node) {
  if (offer?.type === "select" && node.data.multiple) return "choices";
  return offer?.compared ?? "";
}

// "“Kind” is “Photo”"
export function sentence(condition, state, words) {
  const other = state.all.find((one) => one.node.data.name === condition?.name)?.node;
  const label = other ? other.data.label || other.data.name : condition?.name;
  return `“${short(label || "?")}” ${words[condition?.op] ?? condition?.op ?? "?"}${valueWords(condition, other)}`;
}

function valueWords(condition, other) {
  const value = condition?.value;
  if (value === undefined || value === null || ALONE.includes(condition.op)) return "";
  if (typeof value === "boolean") return value ? " yes" : " no";
  if (typeof value === "number") return ` ${value}`;
  const option = optionsOf(other).find(([one]) => one === value);
  return ` “${short(option ? option[1] : String(value))}”`;
}

function optionsOf(node) {
  if (node?.data.type === "pairwise") return PAIR;
  const options = Array.isArray(node?.data.options) ? node.data.options : [];
  return options.filter((one) => one && typeof one.value === "string").map((one) => [one.value, one.label || one.value]);
}

function short(words) {
  const line = String(words).trim();
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}

// The control: `control.update()` shows what the state says, `give(value)` is called with the condition or undefined.
export function conditionControl({ id, state, words, never, give }) {
  const box = el("div", { class: "condition" });
  const drawn = { key: "" };

  function draw(node, condition) {
    const before = [];
    for (const one of state.all) {
      if (one.node.id === node.id) break;
      if (state.offers.get(one.node.data.type)?.answers && typeof one.node.data.name === "string") before.push(one.node);
    }
    const key = JSON.stringify([condition, before.map((one) => one.data)]);
    if (key === drawn.key || box.contains(document.activeElement) && document.activeElement.matches("input") && drawn.node === node.id) return;
    const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
    Object.assign(drawn, { key, node: node.id });
    box.replaceChildren(...parts(before, condition));
    if (focused) document.getElementById(focused)?.focus();
  }

  function parts(before, condition) {
    const whom = el("select", { id, onchange: () => (whom.value ? give(first(before[Number(whom.value)])) : give(undefined)) });
    whom.append(el("option", { value: "" }, never));
    for (const [index, one] of before.entries()) whom.append(el("option", { value: String(index) }, short(one.data.label || one.data.name)));
    if (!condition) return before.length ? [whom] : [whom, el("p", { class: "help" }, "Nothing above it is answered, so there is nothing to look at.")];
    const at = before.findIndex((one) => one.data.name === condition.name);
    const other = before[at];
    if (other) whom.value = String(at);
    else whom.append(el("option", { value: "gone", selected: true, disabled: true }, `${short(condition.name ?? "?")} (not above)`));
    const kind = comparedOf(state.offers.get(other?.data.type), other ?? { data: {} });
    const ops = OPS[kind].includes(condition.op) ? OPS[kind] : [...OPS[kind], condition.op];
    const op = el("select", { id: `${id}-op`, "aria-label": "Comparison", onchange: () => give(turned(condition, op.value, kind, other)) });
    for (const one of ops) op.append(el("option", { value: one, selected: one === condition.op }, words[one] ?? String(one)));
    const value = ALONE.includes(condition.op) ? null : valueControl(condition, kind, other);
    return [whom, op, value, el("p", { class: "help" }, `${sentence(condition, state, words)}.`)];
  }

  function valueControl(condition, kind, other) {
    const common = { id: `${id}-value`, "aria-label": "Value" };
    const told = (value) => give({ ...condition, value });
    const choices = kind === "flag" ? FLAGS : ["choice", "choices", "pair"].includes(kind) ? optionsOf(other) : null;
    if (choices) {
      const select = el("select", { ...common, onchange: () => told(kind === "flag" ? select.value === "true" : select.value) });
      const now = String(condition.value);
      if (!choices.some(([one]) => one === now)) select.append(el("option", { value: now, selected: true, disabled: true }, `${now} (no option)`));
      for (const [one, label] of choices) select.append(el("option", { value: one, selected: one === now }, short(label)));
      return select;
    }
    if (kind === "number") {
      return el("input", {
        ...common, type: "number", step: "any", value: condition.value,
        oninput: (event) => event.target.value !== "" && told(event.target.valueAsNumber),
      });
    }
    return el("input", {
      ...common, type: kind === "day" ? "date" : "text", maxlength: 200, value: condition.value ?? "",
      oninput: (event) => event.target.value && told(event.target.value),
    });
  }

  // The condition that choosing a component begins with.
  function first(other) {
    const kind = comparedOf(state.offers.get(other.data.type), other);
    return turned({ name: other.data.name }, OPS[kind][0], kind, other);
  }

  function turned({ name, value }, op, kind, other) {
    if (ALONE.includes(op)) return { name, op };
    const options = optionsOf(other).map(([one]) => one);
    if (kind === "flag") return { name, op, value: typeof value === "boolean" ? value : true };
    if (kind === "number") return { name, op, value: typeof value === "number" ? value : (other?.data.min ?? 1) };
    if (options.length) return { name, op, value: options.includes(value) ? value : options[0] };
    if (typeof value === "string" && value) return { name, op, value };
    return kind === "day" ? { name, op, value: new Date().toISOString().slice(0, 10) } : { name, op, value: "…" };
  }

  return { box, update: draw };
}
