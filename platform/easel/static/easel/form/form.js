// A form on a page: the fields of a definition, what is shown and asked for by its conditions, and its answers.

import { holds } from "./conditions.js";

export class Form {
  static async of(root, definition) {
    const found = [...flat(definition.components)];
    const types = [...new Set(found.map((component) => component.type))];
    const modules = await Promise.all(types.map((type) => import(`../components/${type}/field.js`)));
    const kinds = new Map(types.map((type, index) => [type, modules[index].default]));
    const parts = found.flatMap((component) => {
      const section = root.querySelector(`[data-component="${component.name}"]`); // a name is letters, digits and _
      return section ? [new (kinds.get(component.type))(section, component)] : [];
    });
    return new Form(root, definition, parts);
  }

  constructor(root, definition, parts) {
    this.root = root;
    this.definition = definition;
    this.parts = parts; // every component, in the order in which people meet them
    this.fields = parts.filter((part) => part.component.answered);
    this.asking = parts.filter((part) => part.asks && part.type !== "generate");
    this.generate = parts.find((part) => part.type === "generate") ?? null;
    this.judges = parts.filter((part) => part.judges);
    root.easel = this;
  }

  of(name) {
    return this.parts.find((part) => part.name === name);
  }

  holding(target) {
    return this.fields.find((field) => field.section.contains(target));
  }

  show(answers, work) {
    for (const part of this.parts) {
      if (!part.asks) part.show(answers[part.name], work);
      part.complain("");
    }
    this.refresh();
  }

  // The answers of what is in view.
  read() {
    const answers = {};
    for (const [part, shown] of this.#inView(answers)) {
      const answer = shown && part.component.answered ? part.read() : undefined;
      if (answer !== undefined) answers[part.name] = answer;
    }
    return answers;
  }

  // Show and ask for what the conditions say, given what is answered.
  refresh() {
    const answers = {};
    for (const [part, shown] of this.#inView(answers)) {
      part.section.classList.toggle("is-hidden", !shown);
      part.ask(isRequired(part, answers));
      const answer = shown && part.component.answered ? part.read() : undefined;
      if (answer !== undefined) answers[part.name] = answer;
    }
    for (const part of this.parts) part.refresh?.();
  }

  // What is wrong, marked at its place; returns the first field that is.
  check() {
    const all = this.read();
    const above = {};
    let first = null;
    for (const [part, shown] of this.#inView(above)) {
      if (!shown || !part.component.answered) continue;
      const answer = all[part.name];
      const required = isRequired(part, above);
      const words = part.isMissing(all) ? (required ? part.missing(this) : "") : part.check(answer, required);
      part.complain(words);
      if (words) first ??= part;
      if (answer !== undefined) above[part.name] = answer;
    }
    return first;
  }

  // Bring a field into view, out of a tab that is not.
  reveal(field) {
    for (const part of this.parts) part.reveal?.(field.section);
    field.section.scrollIntoView({ block: "nearest" });
  }

  // What is filled in for an attempt.
  values() {
    return Object.fromEntries(this.asking.map((part) => [part.name, part.value()]).filter(([, value]) => value !== undefined));
  }

  fill(values) {
    for (const part of this.asking) part.fill(values[part.name]);
  }

  // Every part and whether it is shown, given the answers that were read until then.
  *#inView(answers, components = this.definition.components, shown = true) {
    for (const component of components) {
      const visible = shown && (!component.visible_if || holds(component.visible_if, answers));
      const part = this.of(component.name);
      if (part) yield [part, visible];
      yield* this.#inView(answers, component.components ?? [], visible);
    }
  }
}

function isRequired({ component: { required, required_if } }, answers) {
  return required || Boolean(required_if && holds(required_if, answers));
}

function* flat(components) {
  for (const component of components) {
    yield component;
    yield* flat(component.components ?? []);
  }
}
