// The controls of the properties panel, one function a kind. Each returns { box, update(value), at(rest) }: what stands in the field,
// how it shows a value that came from elsewhere, and the element that a problem's place means.

import { el } from "./dom.js";
import { listControl } from "./lists.js";

// tools: { give(value, run), set(name, value, run), rename(name), models() }; given: the property as forms.palette describes it.
export const CONTROLS = {
  text: (given, tools) => typed(given, tools, el("input", { type: "text", ...common(given), maxlength: given.longest, autocomplete: "off" })),
  long: (given, tools) => typed(given, tools, el("textarea", { ...common(given), rows: given.name === "help" ? 2 : 6, maxlength: given.longest })),
  whole: (given, tools) => number(given, tools, 1),
  number: (given, tools) => number(given, tools, "any"),
  day: (given, tools) => typed(given, tools, el("input", { type: "date", ...common(given) }), (value) => value || undefined),
  flag: flagControl,
  choice: choiceControl,
  name: nameControl,
  formerly: formerlyControl,
  options: (given, tools) => listControl(given, tools, OPTION),
  texts: (given, tools) => listControl(given, tools, TEXT),
  sizes: (given, tools) => listControl(given, tools, SIZE),
  models: modelsControl,
};

function common(given) {
  return { id: given.id, "aria-describedby": given.describedBy };
}

function typed(given, tools, input, read = (value) => (value === "" && given.needed ? "" : value)) {
  input.addEventListener("input", () => tools.give(read(input.value), "typing"));
  input.addEventListener("blur", () => tools.seal());
  return { box: input, at: () => input, update: (value) => show(input, value ?? given.default ?? "") };
}

function number(given, tools, step) {
  const input = el("input", { type: "number", ...common(given), step, min: given.least, max: given.most, inputmode: step === 1 ? "numeric" : "decimal" });
  input.classList.add("is-short");
  if (!given.optional && given.default !== undefined) input.placeholder = given.default;
  input.addEventListener("input", () => {
    if (input.validity.badInput) return;
    tools.give(input.value === "" ? undefined : input.valueAsNumber, "typing");
  });
  input.addEventListener("blur", () => tools.seal());
  const limits = [given.least, given.most];
  const said = limits.every((one) => one !== undefined && Math.abs(one) < 1e6) ? limits.map((one) => one.toLocaleString("en")).join(" to ") : "";
  const box = said ? el("div", { class: "row nowrap" }, input, el("span", { class: "help" }, said)) : input;
  return { box, at: () => input, update: (value) => show(input, value === undefined && given.optional ? "" : (value ?? given.default ?? "")) };
}

function show(input, value) {
  const words = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (input === document.activeElement && input.matches(":focus") && input.value !== "" && Number(input.value) === Number(words) && input.type === "number") return;
  if (input.value !== words) input.value = words;
}

function flagControl(given, tools) {
  const input = el("input", { type: "checkbox", ...common(given), onchange: () => tools.give(input.checked) });
  const box = el("label", { class: "check" }, input, el("span", {}, given.label));
  return { box, at: () => input, update: (value) => (input.checked = (value ?? given.default) === true), labelled: true };
}

function choiceControl(given, tools) {
  const select = el("select", { ...common(given), onchange: () => tools.give(select.value) });
  for (const one of given.choices) select.append(el("option", { value: one }, one.charAt(0).toUpperCase() + one.slice(1)));
  return {
    box: select,
    at: () => select,
    update: (value) => {
      const now = String(value ?? given.default);
      select.querySelector("[disabled]")?.remove();
      if (!given.choices.includes(now)) select.append(el("option", { value: now, disabled: true }, `${now} (no choice)`));
      select.value = now;
    },
  };
}

// A name counts once it is entered whole: conditions and kept answers follow it.
function nameControl(given, tools) {
  const input = el("input", { type: "text", ...common(given), maxlength: 40, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  input.classList.add("mono");
  input.addEventListener("change", () => tools.rename(input.value.trim()));
  input.addEventListener("input", () => tools.complain(""));
  return { box: input, at: () => input, update: (value) => input !== document.activeElement && show(input, value ?? ""), reset: (value) => (input.value = value ?? "") };
}

function formerlyControl(given, tools) {
  const box = el("ul", { class: "chips", id: given.id, "aria-label": given.label });
  return {
    box,
    at: () => box,
    hiddenWhenEmpty: true,
    update: (value) => {
      const names = Array.isArray(value) ? value : [];
      box.replaceChildren(
        ...names.map((name) => {
          const drop = () => tools.give(names.filter((one) => one !== name));
          const button = el("button", { type: "button", class: "chip-drop", "aria-label": `Forget the name ${name}`, onclick: drop }, "×");
          return el("li", { class: "badge" }, el("code", {}, String(name)), button);
        }),
      );
    },
  };
}

function modelsControl(given, tools) {
  const box = el("div", { class: "models-list", id: given.id, role: "group", "aria-label": given.label });
  let chosen = [];
  const draw = (models) => {
    const known = new Set(models.map((one) => one.id));
    const gone = chosen.filter((one) => !known.has(one)).map((id) => ({ id, name: `${String(id).slice(0, 13)}… (not there)` }));
    box.replaceChildren(
      ...[...models, ...gone].map((one) => {
        const input = el("input", {
          type: "checkbox",
          checked: chosen.includes(one.id),
          onchange: () => tools.give(input.checked ? [...chosen, one.id] : chosen.filter((id) => id !== one.id)),
        });
        return el("label", { class: "check" }, input, el("span", {}, one.name));
      }),
    );
    if (!models.length && !gone.length) box.append(el("p", { class: "help" }, "No models are registered."));
  };
  return {
    box,
    at: () => box,
    update: (value) => {
      chosen = Array.isArray(value) ? value : [];
      tools.models().then(draw);
    },
  };
}

const OPTION = {
  one: "option",
  add: "Add an option",
  parts: (entry) => [
    { key: "value", label: "Value", value: entry?.value ?? "", longest: 40, mono: true },
    { key: "label", label: "Label", value: entry?.label ?? "", longest: 200 },
  ],
  make: (entry, values) => ({ ...(typeof entry === "object" ? entry : {}), value: values.value, ...(values.label ? { label: values.label } : { label: undefined }) }),
  fresh: (entries) => {
    const taken = new Set(entries.map((one) => one?.value));
    let number = entries.length + 1;
    while (taken.has(`option_${number}`)) number += 1;
    return { value: `option_${number}`, label: `Option ${number}` };
  },
};

const TEXT = {
  one: "text",
  add: "Add one",
  parts: (entry) => [{ key: "text", label: "Text", value: entry ?? "" }],
  make: (_, values) => values.text,
  fresh: (entries) => {
    let number = entries.length + 1;
    while (entries.includes(`Text ${number}`)) number += 1;
    return `Text ${number}`;
  },
};

const SIZE = {
  one: "size",
  add: "Add a size",
  parts: (entry) => [
    { key: "0", label: "Width", value: entry?.[0] ?? "", number: true },
    { key: "1", label: "Height", value: entry?.[1] ?? "", number: true },
  ],
  between: "×",
  make: (_, values) => [values["0"], values["1"]],
  fresh: () => [512, 512],
};
