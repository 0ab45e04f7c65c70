// The properties of the chosen component, at the right: a form made from what the component says of itself.

import { conditionControl } from "./conditions.js";
import { el } from "./dom.js";
import { CONTROLS } from "./fields.js";
import { Refused } from "./tree.js";

const NEVER = { visible_if: "Always", required_if: "No condition" };
const WITHOUT_COMPONENTS = new Set(["type", "components"]);

export class Properties {
  #state;
  #words;
  #tools;
  #box;
  #fields = new Map();
  #shown = null;
  #problems = new Map(); // node id → [{ rest, message }]

  // tools: { say(words), models() }
  constructor(state, words, box, tools) {
    this.#state = state;
    this.#words = words;
    this.#box = box;
    this.#tools = tools;
  }

  set problems(found) {
    this.#problems = found;
    this.#mark();
  }

  update() {
    const { node } = this.#state;
    if (!node) this.#nothing();
    else {
      const key = `${node.id} ${node.data.type}`;
      if (this.#shown !== key) this.#build(node, key);
      for (const [name, field] of this.#fields) this.#show(node, name, field);
      this.#rest(node);
    }
    this.#mark();
  }

  focus(rest = []) {
    const field = this.#fields.get(rest[0]) ?? this.#fields.get("label");
    const found = field?.control.at?.(rest.slice(1)) ?? field?.box.querySelector("input, select, textarea");
    const target = found?.matches?.("input, select, textarea, button") ? found : found?.querySelector?.("input, select, textarea, button");
    target?.focus();
    if (target?.matches("input[type=text], textarea")) target.select();
    return Boolean(target);
  }

  #nothing() {
    if (this.#shown === "nothing") return;
    this.#shown = "nothing";
    this.#fields.clear();
    this.#box.replaceChildren(el("p", { class: "quiet" }, "Choose a component of the form to see what can be set."));
  }

  #build(node, key) {
    this.#shown = key;
    this.#fields.clear();
    const offer = this.#state.offers.get(node.data.type);
    const parts = [el("p", { class: "error", id: "part-problem", hidden: true })];
    if (!offer) parts.push(el("p", {}, `This Easel knows no component “${String(node.data.type)}”. Delete it, or import the form into an Easel that knows it.`));
    for (const given of offer?.properties ?? []) parts.push(this.#field(node, given));
    parts.push(el("div", { class: "field", id: "unknown-properties" }));
    this.#box.replaceChildren(...parts);
    this.#box.parentElement.scrollTop = 0;
  }

  #field(node, given) {
    const id = `property-${given.name}`;
    const help = given.help ? el("p", { class: "help", id: `${id}-help` }, given.help) : null;
    const wrong = el("p", { class: "error", id: `${id}-error`, hidden: true });
    const described = { ...given, id, describedBy: [help ? help.id : "", wrong.id].join(" ").trim() };
    const control = given.control === "condition" ? this.#condition(node, described) : CONTROLS[given.control](described, this.#toolsOf(node.id, given, wrong));
    const label = control.labelled ? null : this.#label(given, control, id);
    const box = el("div", { class: `field is-${given.control} of-${given.name}` }, label, control.box, help, wrong);
    this.#fields.set(given.name, { given, control, box, wrong });
    return box;
  }

  #label(given, control, id) {
    const optional = given.optional && ["text", "long", "number", "whole", "day"].includes(given.control) ? el("span", { class: "optional" }, " (optional)") : null;
    const inside = given.control === "condition" || control.box.querySelector(`#${id}:is(input, select, textarea)`);
    const operable = inside || control.box.matches("input, select, textarea");
    return operable ? el("label", { for: id }, given.label, optional) : el("span", { class: "label", "aria-hidden": "true" }, given.label);
  }

  #toolsOf(id, given, wrong) {
    const state = this.#state;
    return {
      say: this.#tools.say,
      models: this.#tools.models,
      give: (value, run) => state.set(id, given.name, value, run),
      seal: () => state.seal(),
      complain: (words) => {
        this.#fields.get(given.name).refused = words;
        wrong.textContent = words;
        wrong.hidden = !words;
      },
      rename: (name) => this.#rename(id, name),
    };
  }

  #rename(id, name) {
    const field = this.#fields.get("name");
    const old = this.#state.find(id).node.data.name;
    try {
      const keeps = this.#state.rename(id, name);
      field.refused = "";
      this.#tools.say(keeps ? `Renamed. What was answered under ${old} stays readable, as answers of ${name}.` : "Renamed.");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      field.refused = `${error.message} It is still named ${old}.`;
      this.#tools.say(field.refused);
      field.control.reset(old);
    }
    this.#mark();
  }

  #condition(node, given) {
    const { id } = node;
    const control = conditionControl({
      id: given.id,
      state: this.#state,
      words: this.#words,
      never: NEVER[given.name] ?? "No condition",
      give: (value) => this.#state.set(id, given.name, value, value === undefined ? "" : "choosing"),
    });
    return { box: control.box, at: () => control.box, update: (value) => control.update(this.#state.find(id).node, value) };
  }

  #show(node, name, field) {
    const value = node.data[name];
    const { given, control, box } = field;
    control.update(value);
    const empty = value === undefined || (Array.isArray(value) && !value.length);
    box.hidden = (given.unused && value === undefined) || (Boolean(control.hiddenWhenEmpty) && empty);
  }

  // Properties that the component does not have, as an import may bring: they can be taken out.
  #rest(node) {
    const box = this.#box.querySelector("#unknown-properties");
    const known = new Set([...this.#fields.keys(), ...WITHOUT_COMPONENTS]);
    const strange = this.#state.offers.has(node.data.type) ? Object.keys(node.data).filter((name) => !known.has(name)) : [];
    box.hidden = !strange.length;
    box.replaceChildren(
      ...strange.map((name) => {
        const drop = () => this.#state.set(node.id, name, undefined);
        return el("p", { class: "row" }, el("code", {}, name), "is no property of it.", el("button", { type: "button", class: "button small", onclick: drop }, "Take it out"));
      }),
    );
  }

  // Problems stand at the very field; those of the component as a whole at the top.
  #mark() {
    const { node } = this.#state;
    const found = node ? (this.#problems.get(node.id) ?? []) : [];
    for (const element of this.#box.querySelectorAll("[aria-invalid]")) element.removeAttribute("aria-invalid");
    const whole = [];
    const told = new Map();
    for (const { rest, message } of found) {
      const field = this.#fields.get(rest[0]);
      if (!field) {
        whole.push(rest.length ? `${rest.join(" ")} ${message}` : sentence(message));
        continue;
      }
      field.box.hidden = false;
      const number = /^\d+$/.test(rest[1] ?? "") ? `${Number(rest[1]) + 1}: ` : "";
      told.set(rest[0], [...(told.get(rest[0]) ?? []), number ? number + message : sentence(message)]);
      const at = field.control.at?.(rest.slice(1));
      if (at?.matches("input, select, textarea")) at.setAttribute("aria-invalid", "true");
    }
    for (const [name, field] of this.#fields) {
      const words = [field.refused, ...(told.get(name) ?? [])].filter(Boolean).join(" ");
      field.wrong.textContent = words;
      field.wrong.hidden = !words;
      field.box.classList.toggle("is-wrong", Boolean(words));
    }
    const top = this.#box.querySelector("#part-problem");
    if (top) {
      top.textContent = whole.join(" ");
      top.hidden = !whole.length;
    }
  }
}

function sentence(message) {
  const words = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
