// A form as a tree of nodes that never change: { id, data, children }. Every act makes new nodes along its way and leaves the
// others as they are, so that undoing is keeping the old root. `data` is the component as JSON without its `components`;
// `children` is null where a component holds none. Nothing here knows of a page.

export const ROOT = 0;
export const MAX_NAME = 40;
const NAME = /^[a-z][a-z0-9_]{0,39}$/;
let last = ROOT;

export class Refused extends Error {}

// Reads a definition. Raises Refused where it cannot be shown as a form at all.
export function read(definition, { layouts, limits }) {
  if (!isObject(definition)) throw new Refused("This is no form: it must be an object with a list of components.");
  const { components = [], ...data } = definition;
  return { id: ROOT, data, children: nodesOf(components, "components", 0, { layouts, limits }) };
}

export function nodeOf(component, kinds, place = "", layer = 0) {
  if (!isObject(component)) throw new Refused(`${place || "The component"} is no object with a type and a name.`);
  const { components, ...data } = component;
  const holds = components !== undefined || kinds.layouts.has(data.type);
  return { id: (last += 1), data, children: holds ? nodesOf(components ?? [], `${place}.components`, layer + 1, kinds) : null };
}

function nodesOf(components, place, layer, kinds) {
  if (!Array.isArray(components)) throw new Refused(`${place} is no list of components.`);
  if (layer > kinds.limits.layers) throw new Refused(`${place} lies more than ${kinds.limits.layers} groups deep.`);
  return components.map((component, index) => nodeOf(component, kinds, `${place}.${index}`, layer));
}

export function write(node) {
  return node.children ? { ...node.data, components: node.children.map(write) } : { ...node.data };
}

export function find(root, id) {
  for (const one of walk(root)) if (one.node.id === id) return one;
  return id === ROOT ? { node: root, parent: null, index: 0, depth: -1, place: "" } : null;
}

// Every node in the order in which people meet it, with where it stands.
export function* walk(root, depth = 0, above = "components") {
  for (const [index, node] of root.children.entries()) {
    const place = `${above}.${index}`;
    yield { node, parent: root, index, depth, place };
    if (node.children) yield* walk(node, depth + 1, `${place}.components`);
  }
}

export function change(root, id, act) {
  if (root.id === id) return act(root);
  if (!root.children) return root;
  let touched = false;
  const children = root.children.map((child) => {
    const changed = change(child, id, act);
    touched ||= changed !== child;
    return changed;
  });
  return touched ? { ...root, children } : root;
}

export function insert(root, parent, index, node) {
  return change(root, parent, (one) => ({ ...one, children: one.children.toSpliced(index, 0, node) }));
}

export function remove(root, id) {
  const { parent } = find(root, id);
  return change(root, parent.id, (one) => ({ ...one, children: one.children.filter((child) => child.id !== id) }));
}

export function holds(node, id) {
  return node.id === id || Boolean(node.children?.some((child) => holds(child, id)));
}

// How many lists of components lie inside each other below a node.
export function height(node) {
  return node.children ? 1 + Math.max(0, ...node.children.map(height)) : 0;
}

export function count(node) {
  return (node.children ?? []).reduce((sum, child) => sum + 1 + count(child), 0);
}

// The component that a problem's place names, and what remains of the place: "components.2.levels" is ["levels"] of the third.
export function resolve(root, place) {
  const steps = place ? place.split(".") : [];
  let node = root;
  while (steps[0] === "components" && node.children?.[steps[1]]) {
    node = node.children[steps[1]];
    steps.splice(0, 2);
  }
  return { node, rest: steps };
}

export function isName(name) {
  return NAME.test(name);
}

// A name that nobody has: the wanted one, or with the first free number behind it.
export function freeName(wanted, taken) {
  const base = isName(wanted) ? wanted : "component";
  if (!taken.has(base)) return base;
  const stem = base.replace(/_\d+$/, "");
  for (let number = 2; ; number += 1) {
    const name = `${stem.slice(0, MAX_NAME - 1 - String(number).length)}_${number}`;
    if (!taken.has(name)) return name;
  }
}

// Names that a new component must not have: those of others, and those that others had (their answers are kept under them).
export function takenNames(root) {
  const taken = new Set();
  for (const { node } of walk(root)) {
    taken.add(node.data.name);
    for (const old of Array.isArray(node.data.formerly) ? node.data.formerly : []) taken.add(old);
  }
  return taken;
}

// A copy for a form: nodes of its own, free names, conditions that look at its own parts, and no past.
export function copyOf(component, taken, kinds) {
  const node = nodeOf(component, kinds);
  const names = new Map();
  const used = new Set(taken);
  const renamed = (one) => {
    const { formerly, ...data } = one.data;
    data.name = freeName(data.name, used);
    used.add(data.name);
    if (!names.has(one.data.name)) names.set(one.data.name, data.name);
    return { ...one, data, children: one.children?.map(renamed) ?? null };
  };
  const copied = renamed(node);
  return lookingAt(copied, names);
}

// The tree with its conditions turned from old names to new ones.
export function lookingAt(node, names) {
  const data = { ...node.data };
  let touched = false;
  for (const which of ["visible_if", "required_if"]) {
    const now = names.get(data[which]?.name);
    if (now === undefined || now === data[which].name) continue;
    data[which] = { ...data[which], name: now };
    touched = true;
  }
  const children = node.children?.map((child) => lookingAt(child, names)) ?? null;
  const same = !children || children.every((child, index) => child === node.children[index]);
  return touched || !same ? { ...node, data: touched ? data : node.data, children } : node;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
