// Lists in the properties panel: options, texts, sizes. Rows are added, taken out and moved, by keys as well (Alt and arrows).

import { count, el } from "./dom.js";

export function listControl(given, tools, kind) {
  const rows = el("ol", { class: "list-rows" });
  const add = el("button", { type: "button", class: "button small" }, kind.add);
  const box = el("div", { class: "list-field", id: given.id, role: "group", "aria-label": given.label, "aria-describedby": given.describedBy });
  const heads = el("div", { class: "list-heads", "aria-hidden": "true" }, ...kind.parts().map((part) => el("span", {}, part.label)));
  box.append(...(kind.parts().length > 1 ? [heads] : []), rows, add);
  let entries = [];
  let drawn = "";

  add.addEventListener("click", () => {
    give([...entries, kind.fresh(entries)]);
    const last = rows.lastElementChild?.querySelector("input");
    last?.focus();
    last?.select();
  });

  function give(next, run) {
    entries = next;
    if (!run) draw();
    else drawn = JSON.stringify(entries);
    tools.give(entries, run);
  }

  function move(index, by) {
    const to = index + by;
    if (to < 0 || to >= entries.length) return;
    const next = entries.toSpliced(index, 1).toSpliced(to, 0, entries[index]);
    give(next);
    rows.children[to].querySelector("input").focus();
    tools.say(`Moved to place ${to + 1} of ${count(next.length, kind.one)}`);
  }

  function draw() {
    drawn = JSON.stringify(entries);
    rows.replaceChildren(...entries.map(row));
    heads.hidden = !entries.length;
    add.disabled = given.entries !== undefined && entries.length >= given.entries;
  }

  function row(entry, index) {
    const inputs = kind.parts(entry).map((part) => {
      const input = el("input", {
        type: part.number ? "number" : "text", value: typeof part.value === "object" ? JSON.stringify(part.value) : String(part.value),
        "aria-label": `${part.label} of ${kind.one} ${index + 1}`, placeholder: part.label, "data-key": part.key, class: part.mono ? "mono" : "",
        maxlength: part.number ? null : (part.longest ?? given.longest), step: part.number ? 8 : null, autocomplete: "off",
      });
      input.addEventListener("input", () => {
        const values = Object.fromEntries(inputs.map((one) => [one.dataset.key, one.type === "number" ? one.valueAsNumber || 0 : one.value]));
        give(entries.with(index, clean(kind.make(entries[index], values))), "typing");
      });
      input.addEventListener("blur", () => tools.seal());
      return input;
    });
    const act = (words, sign, does, off) =>
      el("button", { type: "button", class: "row-act", "aria-label": `${words} ${kind.one} ${index + 1}`, title: words, onclick: does, disabled: off }, sign);
    const line = el(
      "li",
      { class: `list-row is-${kind.one}` },
      el("span", { class: "list-inputs" }, ...inputs.flatMap((one, at) => (at && kind.between ? [kind.between, one] : [one]))),
      el(
        "span",
        { class: "row-acts" },
        act("Move up", "↑", () => move(index, -1), index === 0),
        act("Move down", "↓", () => move(index, 1), index === entries.length - 1),
        act("Take out", "×", () => {
          give(entries.toSpliced(index, 1));
          (rows.children[Math.min(index, entries.length - 1)]?.querySelector("input") ?? add).focus();
        }),
      ),
    );
    line.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (event.altKey && by) {
        event.preventDefault();
        event.stopPropagation();
        move(index, by);
      } else if (event.key === "Enter" && event.target.matches("input")) {
        event.preventDefault();
        if (!add.disabled) add.click();
      }
    });
    return line;
  }

  return {
    box,
    update: (value) => {
      entries = Array.isArray(value) ? value : [];
      if (JSON.stringify(entries) !== drawn) draw();
    },
    // The input of "options.2.value"; the whole list where the place says no more.
    at: ([index, key]) => {
      const line = rows.children[index];
      return line?.querySelector(`[data-key="${CSS.escape(key ?? "")}"]`) ?? line?.querySelector("input") ?? box;
    },
  };
}

function clean(entry) {
  if (typeof entry !== "object" || Array.isArray(entry)) return entry;
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}
