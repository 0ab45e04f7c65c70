// Curate: items are ticked by mouse, finger and keys, opened in a dialog, and acted on after a look at what would change.
import { openDialog } from "../page.js";

const form = document.getElementById("curate");
if (form) start(form);

function start(form) {
  const grid = document.getElementById("grid");
  const bar = form.querySelector("[data-bar]");
  const itemDialog = document.getElementById("item-dialog");
  const actDialog = document.getElementById("act-dialog");
  const found = Number(form.dataset.found);
  const counted = Number(form.dataset.counted);
  const whole = found > counted ? `more than ${counted.toLocaleString("en")}` : found.toLocaleString("en");
  let everything = false; // all that the filters take, also what is not loaded
  let anchor = null; // where a range begins

  const links = () => [...grid.querySelectorAll("[data-open]")];
  const ticks = () => [...grid.querySelectorAll("input[name=item]")];
  const cardOf = (one) => one.closest("[data-card]");
  const tickOf = (one) => cardOf(one).querySelector("input[name=item]");

  const draw = () => {
    const all = ticks();
    const chosen = all.filter((tick) => tick.checked);
    for (const tick of all) cardOf(tick).classList.toggle("is-chosen", tick.checked || everything);
    if (!bar) return;
    form.querySelector("[data-which]").value = everything ? "query" : "ticked";
    bar.querySelector("[data-count]").textContent = everything
      ? `All of the query: ${whole} ${found === 1 ? "item" : "items"}.`
      : chosen.length
        ? `${chosen.length.toLocaleString("en")} of ${whole} ticked.`
        : "No item is ticked.";
    bar.querySelector("[data-clear]").hidden = !everything && !chosen.length;
    bar.querySelector("[data-all]").hidden = everything;
    bar.querySelector("[data-go]").setAttribute("aria-disabled", String(!everything && !chosen.length));
  };

  const range = (from, to, checked) => {
    const all = ticks();
    const [a, b] = [all.indexOf(from), all.indexOf(to)].sort((x, y) => x - y);
    for (const tick of all.slice(Math.max(a, 0), b + 1)) tick.checked = checked;
  };
  const clear = () => {
    everything = false;
    anchor = null;
    for (const tick of ticks()) tick.checked = false;
    draw();
  };

  // A tick with Shift takes all from the last one on.
  grid.addEventListener("click", (event) => {
    const tick = event.target.closest("input[name=item]");
    if (tick) {
      everything = false;
      if (event.shiftKey && anchor?.isConnected) range(anchor, tick, tick.checked);
      anchor = tick;
      return draw();
    }
    const link = event.target.closest("[data-open]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey) {
      const own = tickOf(link);
      everything = false;
      range(anchor?.isConnected ? anchor : own, own, true);
      anchor = own;
      return draw();
    }
    show(link);
  });

  if (bar) {
    bar.querySelector("[data-clear]").addEventListener("click", () => {
      clear();
      links()[0]?.focus();
    });
    bar.querySelector("[data-all]").addEventListener("click", () => {
      everything = true;
      draw();
      form.querySelector("#act").focus();
    });
    const act = form.querySelector("#act");
    const needs = () => {
      for (const part of form.querySelectorAll("[data-of]")) {
        part.hidden = !part.dataset.of.split(" ").includes(act.value);
        for (const field of part.querySelectorAll("input, select")) field.disabled = part.hidden;
      }
    };
    act.addEventListener("change", needs);
    needs();
  }

  form.addEventListener("submit", (event) => {
    if (bar.querySelector("[data-go]").getAttribute("aria-disabled") === "true") event.preventDefault();
  });
  document.addEventListener("htmx:confirm", (event) => {
    if (event.detail.elt === form && bar.querySelector("[data-go]").getAttribute("aria-disabled") === "true") event.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "act-body") openDialog(actDialog);
    draw();
  });
  addEventListener("pageshow", draw); // the back button brings the ticks back

  // One item, large

  let current = null;
  const body = document.getElementById("item-body");
  async function show(link) {
    current = link;
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok || answer.redirected) return void (location.href = link.href);
    if (current !== link) return; // another was opened in the meantime
    body.innerHTML = await answer.text(); // our own page, escaped by the server
    const at = links().indexOf(link);
    for (const button of body.querySelectorAll("[data-step]")) button.disabled = !links()[at + Number(button.dataset.step)];
    openDialog(itemDialog);
    itemDialog.focus();
  }
  const step = (by) => {
    const next = links()[links().indexOf(current) + by];
    if (!next) return;
    next.scrollIntoView({ block: "nearest" });
    show(next);
  };
  itemDialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) step(Number(button.dataset.step));
  });
  itemDialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
  });
  itemDialog.addEventListener("close", () => current?.focus());
  actDialog.addEventListener("click", (event) => {
    if (!event.target.closest("a[data-close]")) return;
    event.preventDefault();
    actDialog.close();
  });

  // Keys

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea, summary")) return;
    const all = links();
    const link = event.target.closest("[data-open]") ?? (event.target.closest("[data-card]") && cardOf(event.target).querySelector("[data-open]"));
    if (event.key === "a" || event.key === "A") {
      everything = false;
      for (const tick of ticks()) tick.checked = true;
    } else if (event.key === "Escape") clear();
    else if (event.key === " " && link) {
      const tick = tickOf(link);
      everything = false;
      tick.checked = !tick.checked;
      anchor = tick;
    } else if (event.key.startsWith("Arrow")) {
      const next = link ? beside(all, link, event.key) : event.target === document.body ? all[0] : null;
      if (!next) return;
      if (event.shiftKey && link) {
        anchor ??= tickOf(link);
        range(anchor, tickOf(next), true);
      }
      next.focus();
    } else return;
    event.preventDefault();
    draw();
  });

  draw();
}

// The card beside, above or below, as the eye sees them.
function beside(all, link, key) {
  const at = all.indexOf(link);
  const top = (one) => one.getBoundingClientRect().top;
  const columns = Math.max(1, all.findIndex((one) => top(one) > top(all[0]) + 1));
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  return all[Math.min(Math.max(at + steps[key], 0), all.length - 1)];
}
