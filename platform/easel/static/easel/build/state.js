// What the builder edits: a form, which component is chosen, and every act that can be taken back. It knows of no page: the page
// listens to "change" and shows what `root` says. An act that cannot be done raises Refused, in words for the person.

import { ROOT, Refused, change, copyOf, count, find, height, holds, insert, isName, lookingAt, read, remove, takenNames, walk, write } from "./tree.js";

const MAX_STEPS = 300;

export class FormState extends EventTarget {
  #past = [];
  #future = [];
  #open = ""; // the run of small changes that the next one may join
  #published;

  // palette: what forms.palette offers. published: { name: type } of what the newest version has, whose answers are kept.
  constructor(palette, definition, published = {}) {
    super();
    this.offers = new Map(palette.components.map((one) => [one.type, one]));
    this.limits = palette.limits;
    this.kinds = { layouts: new Set(palette.components.filter((one) => one.layout).map((one) => one.type)), limits: palette.limits };
    this.#published = new Map(Object.entries(published));
    this.root = read(definition, this.kinds);
    this.chosen = null;
  }

  // A version was published: its names are kept from now on.
  publishedAs(definition) {
    this.#published = new Map([...walk(read(definition, this.kinds))].map(({ node }) => [node.data.name, node.data.type]));
  }

  get definition() {
    return write(this.root);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  get node() {
    return this.chosen === null ? null : (find(this.root, this.chosen)?.node ?? null);
  }

  // Every component in order: { node, parent, index, depth, place }.
  get all() {
    return [...walk(this.root)];
  }

  find(id) {
    return find(this.root, id);
  }

  titleOf(node) {
    const title = this.offers.get(node.data.type)?.title ?? String(node.data.type ?? "Component");
    const label = text(node.data.label) || text(node.data.name);
    return label ? `${title} “${label.length > 60 ? `${label.slice(0, 59)}…` : label}”` : title;
  }

  // Where a component stands, in words.
  placeOf(id) {
    const { parent, index } = find(this.root, id);
    const inside = parent.id === ROOT ? "" : ` in ${this.titleOf(parent)}`;
    return `place ${index + 1} of ${parent.children.length}${inside}`;
  }

  choose(id) {
    if (this.chosen === id) return;
    this.#open = "";
    this.chosen = id;
    this.#tell("choice");
  }

  // The next small change begins a step of its own.
  seal() {
    this.#open = "";
  }

  // Why a component of a kind, with so many layers in it, may not stand in a parent; "" where it may.
  refusal(parent, type, layers = 0) {
    if (!parent.children) return `${this.titleOf(parent)} holds no components.`;
    if (parent.data.type === "tabs" && type !== "group") return "Tabs hold groups only. Put it into one of the groups.";
    const layer = parent.id === ROOT ? 0 : find(this.root, parent.id).depth + 1;
    if (layer + layers > this.limits.layers) return `Groups go ${this.limits.layers} deep at most. Put it further out.`;
    return "";
  }

  // Where something new of a kind goes: into the chosen layout component, else below the chosen one, else to the end.
  placeFor(type, layers = 0) {
    const tries = [];
    if (this.node?.children) {
      tries.push({ parent: this.chosen, index: this.node.children.length });
      const inner = this.node.data.type === "tabs" && this.node.children.findLast((one) => one.children);
      if (inner) tries.push({ parent: inner.id, index: inner.children.length });
    }
    for (let at = this.node && find(this.root, this.chosen); at; at = at.parent.id === ROOT ? null : find(this.root, at.parent.id)) {
      tries.push({ parent: at.parent.id, index: at.index + 1 });
    }
    tries.push({ parent: ROOT, index: this.root.children.length });
    return tries.find((where) => !this.refusal(find(this.root, where.parent).node, type, layers)) ?? tries.at(-1);
  }

  add(type, where = null) {
    const offer = this.offers.get(type);
    if (!offer) throw new Refused(`There is no component ${type}.`);
    return this.place(offer.defaults, where, "Added");
  }

  // Puts a copy of a component, as JSON, into the form; it is chosen then.
  place(component, where = null, verb = "Pasted") {
    const node = copyOf(component, takenNames(this.root), this.kinds);
    const target = where ?? this.placeFor(node.data.type, height(node));
    const refused = this.refusal(find(this.root, target.parent).node, node.data.type, height(node));
    if (refused) throw new Refused(refused);
    if (count(this.root) + 1 + count(node) > this.limits.components) {
      throw new Refused(`A form has at most ${this.limits.components} components. Delete some, or split it in two.`);
    }
    this.#commit(`${verb} ${this.titleOf(node)}`, insert(this.root, target.parent, target.index, node), node.id);
    return node.id;
  }

  duplicate(id) {
    const { node, parent, index } = find(this.root, id);
    return this.place(write(node), { parent: parent.id, index: index + 1 }, "Duplicated");
  }

  remove(id) {
    const { node, parent, index } = find(this.root, id);
    const rest = parent.children.filter((child) => child.id !== id);
    const next = rest[Math.min(index, rest.length - 1)]?.id ?? (parent.id === ROOT ? null : parent.id);
    this.#commit(`Deleted ${this.titleOf(node)}`, remove(this.root, id), next);
  }

  // Moves a component before the one that now stands at an index of a parent. Returns whether it moved.
  move(id, { parent, index }) {
    const from = find(this.root, id);
    const into = find(this.root, parent).node;
    if (holds(from.node, parent)) throw new Refused("A component cannot be put into itself.");
    const stays = from.parent.id === parent;
    const at = stays && from.index < index ? index - 1 : index;
    if (stays && at === from.index) return false;
    const refused = this.refusal(into, from.node.data.type, height(from.node));
    if (refused) throw new Refused(refused);
    this.#commit(`Moved ${this.titleOf(from.node)}`, insert(remove(this.root, id), parent, at, from.node), id);
    return true;
  }

  // One step: up, down, out of the layout component that holds it, in to the one beside it. Returns whether it moved.
  nudge(id, way) {
    const { node, parent, index, depth } = find(this.root, id);
    if (way === "up") return index > 0 && this.move(id, { parent: parent.id, index: index - 1 });
    if (way === "down") return index < parent.children.length - 1 && this.move(id, { parent: parent.id, index: index + 2 });
    if (way === "out") {
      if (depth === 0) return false;
      for (let at = find(this.root, parent.id); at; at = at.parent.id === ROOT ? null : find(this.root, at.parent.id)) {
        if (!this.refusal(at.parent, node.data.type, height(node))) return this.move(id, { parent: at.parent.id, index: at.index + 1 });
      }
      return false;
    }
    const [above, below] = [parent.children[index - 1], parent.children[index + 1]];
    for (const [beside, end] of [[above, true], [below, false]]) {
      const into = this.#taker(beside, node);
      if (into) return this.move(id, { parent: into.id, index: end ? into.children.length : 0 });
    }
    return false;
  }

  // The layout component that takes a node: the one beside it, or one of its tabs.
  #taker(beside, node) {
    if (!beside?.children) return null;
    if (!this.refusal(beside, node.data.type, height(node))) return beside;
    return beside.data.type === "tabs" ? (beside.children.find((one) => this.#taker(one, node) === one) ?? null) : null;
  }

  // Sets a property; undefined takes it out. Changes that follow each other in one run (as of typing) are one step.
  set(id, name, value, run = "") {
    const { node } = find(this.root, id);
    const offered = this.offers.get(node.data.type)?.properties.find((one) => one.name === name);
    const plain = value === undefined || (offered && !offered.needed && same(value, offered.default));
    if (plain ? !(name in node.data) : same(node.data[name], value)) return;
    const data = { ...node.data };
    if (plain) delete data[name];
    else data[name] = value;
    const words = `Changed ${(offered?.label ?? name).toLowerCase()} of ${this.titleOf(node)}`;
    const root = change(this.root, id, (one) => ({ ...one, data }));
    this.#commit(words, root, this.chosen, run && `${id} ${name} ${run}`);
  }

  // Gives another name. Conditions follow; the answers of a published component stay its own. Returns whether they need to.
  rename(id, name) {
    const { node } = find(this.root, id);
    const old = node.data.name;
    if (name === old) return false;
    if (!isName(name)) throw new Refused("A name has small letters, digits and _, a letter first, and at most 40 of them.");
    const past = Array.isArray(node.data.formerly) ? node.data.formerly : [];
    for (const { node: other } of walk(this.root)) {
      if (other.id === id) continue;
      if (other.data.name === name) throw new Refused(`Another component is named ${name}. Names differ: answers are kept under them.`);
      if (Array.isArray(other.data.formerly) && other.data.formerly.includes(name)) {
        throw new Refused(`${this.titleOf(other)} was named ${name} before, and its answers are kept under that name.`);
      }
    }
    const keeps = this.#published.has(old) && this.#published.get(old) === node.data.type;
    const formerly = [...past.filter((one) => one !== name && one !== old), ...(keeps ? [old] : [])];
    const { formerly: _, ...rest } = node.data;
    const data = { ...rest, name, ...(formerly.length ? { formerly } : {}) };
    // Of several with one name, which an import can bring, conditions look at the first.
    const first = this.all.find((one) => one.node.data.name === old).node.id === id;
    const renamed = change(this.root, id, (one) => ({ ...one, data }));
    this.#commit(`Renamed ${old} to ${name}`, first ? lookingAt(renamed, new Map([[old, name]])) : renamed, this.chosen);
    return keeps;
  }

  // Takes another definition in place of this one; it can be taken back as any other act.
  replace(definition, words = "Imported a form") {
    const root = read(definition, this.kinds);
    this.#commit(words, root, null);
  }

  undo() {
    return this.#step(this.#past, this.#future);
  }

  redo() {
    return this.#step(this.#future, this.#past);
  }

  #step(from, to) {
    const entry = from.pop();
    if (!entry) return "";
    to.push({ root: this.root, chosen: this.chosen, words: entry.words });
    this.#open = "";
    this.root = entry.root;
    this.chosen = entry.chosen;
    this.#tell("form");
    return entry.words;
  }

  #commit(words, root, chosen, run = "") {
    const joins = run !== "" && run === this.#open && this.#past.length > 0;
    if (!joins) this.#past.push({ root: this.root, chosen: this.chosen, words });
    if (this.#past.length > MAX_STEPS) this.#past.shift();
    this.#future = [];
    this.#open = run;
    this.root = root;
    this.chosen = chosen;
    this.#tell("form");
  }

  #tell(what) {
    this.dispatchEvent(new CustomEvent("change", { detail: what }));
  }
}

function text(value) {
  return typeof value === "string" ? value.trim() : "";
}

export function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}
