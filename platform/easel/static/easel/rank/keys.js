// The keys of the ranking page. They speak Latin letters, by what is typed or by where a key lies on other keyboards.

import { openDialog } from "../page.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// A Latin letter by what is typed, or by where the key lies on other keyboards.
function letterOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toUpperCase();
  return /^[\x20-\x7e]$/.test(event.key) ? "" : (/^Key([A-Z])$/.exec(event.code)?.[1] ?? "");
}

function digitOf(event) {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key);
  return found ? Number(found[1]) : -1;
}

// page: { form, tiles, zoom, live, current, canJudge, press, give, undo, submit, enlarge, focusTile, openSkip }
export function listen(page) {
  const { form, tiles, zoom, live } = page;
  const one = (selector) => document.querySelector(selector);

  function onKey(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const { target } = event;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === "Enter" && !one("dialog[open]")) {
      return act(event, () => (live && target.closest(".asking") ? live.generate() : page.submit()));
    }
    const choice = target.matches("input[type=radio], input[type=range]");
    if (target.matches("textarea, select, input:not([type=checkbox])") && !choice) {
      if (event.key === "Escape") return act(event, () => (tiles?.current ? tiles.focus() : target.blur()));
      if (event.key !== "Enter" || !target.matches("input")) return;
      // Enter in one line would submit the whole form.
      if (live && target.closest(".asking")) act(event, () => live.generate());
      else if (target.matches("[data-note]") || target.closest("[data-type=tags]")) event.preventDefault();
      return;
    }
    if (choice && choosing(event)) return;
    if (one("#skip-dialog").open) return skipKey(event);
    if (zoom.open) return zoomKey(event);
    if (one("dialog[open]")) return;
    const letter = letterOf(event);
    if (command && !event.altKey && letter === "Z") return act(event, () => page.undo(event.shiftKey ? "redo" : "undo"));
    if (command || event.altKey) return;
    if (event.key === "?") return act(event, () => openDialog(one("#keys")));
    if (live && letter === "P" && !event.shiftKey) return act(event, () => live.focus());
    if (live && letter === "R" && !event.shiftKey) return act(event, () => event.repeat || live.vary());
    if (live && letter === "H" && !event.shiftKey && !page.current?.candidates.some((each) => each.letter === "H")) return act(event, () => live.history());
    const tile = target.closest(".tile-image");
    const operable = target.matches("button, a, summary, input") && !tile;
    if (!page.current) return;
    if (event.key === "Enter" || event.key === " ") {
      if (operable && !(event.key === "Enter" && target.matches("input"))) return;
      if (event.key === " " && !tiles) return; // it scrolls
      return act(event, () => event.repeat || (event.key === "Enter" ? page.submit() : page.enlarge()));
    }
    if (ARROWS[event.key] && (!tiles || target.closest("[role=tablist], .words"))) return;
    if (ARROWS[event.key]) return act(event, () => tiles?.move(...ARROWS[event.key]));
    if (letter === "Z") return act(event, () => page.undo(event.shiftKey ? "redo" : "undo"));
    if (event.repeat) return;
    const digit = digitOf(event);
    if (digit >= 0 && tiles) return act(event, () => page.give(tiles.current?.id, digit));
    if (event.key === "Backspace" || event.key === "Delete") return act(event, () => page.give(tiles?.current?.id, 0));
    const candidate = page.current.candidates.find((each) => each.letter === letter);
    if (candidate && page.canJudge) {
      return act(event, () => {
        tiles?.choose(candidate.id);
        if (!target.matches("input")) page.focusTile();
        page.press(candidate.id, event.shiftKey);
      });
    }
    if (candidate && tiles) {
      return act(event, () => {
        tiles.choose(candidate.id);
        tiles.focus();
      });
    }
    if (event.shiftKey) return;
    if (letter && form.parts.some((part) => inView(part) && part.key?.(letter))) return event.preventDefault();
    const keys = { S: page.openSkip, V: () => page.enlarge(null, true), C: () => page.enlarge(null, true), T: writeText };
    if (keys[letter]) act(event, keys[letter]);
  }

  function zoomKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || (event.key === " " && event.target.matches("button") && event.target.matches(":focus-visible"))) return;
    const digit = digitOf(event);
    if (digit > 0 && zoom.shown && event.key !== "+" && event.key !== "=") return act(event, () => page.give(zoom.shown, digit));
    const candidate = page.current?.candidates.find((each) => each.letter === letterOf(event));
    if (zoom.key(event, candidate?.id)) event.preventDefault();
  }

  function skipKey(event) {
    const reasons = document.querySelectorAll("#skip-dialog [data-reason]");
    const reason = reasons[digitOf(event) - 1];
    if (reason && !event.repeat) act(event, () => reason.click());
  }

  function writeText() {
    const field = form.fields.find((part) => part.type === "textarea" && inView(part)) ?? form.fields.find((part) => part.type === "input" && inView(part));
    if (!field) return;
    form.reveal(field);
    field.focus();
  }

  document.addEventListener("keydown", onKey);
  // A released Space presses the focused tile in some browsers, even where its keydown was taken.
  document.addEventListener("keyup", (event) => event.key === " " && event.target.closest(".tile-image") && event.preventDefault());
}

// Keys that a scale or a group of options answers itself: a digit is its step, Delete takes the choice back.
function choosing(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  if (ARROWS[event.key] || [" ", "Home", "End", "PageUp", "PageDown"].includes(event.key)) return true;
  if (target.type !== "radio") return false;
  const group = [...document.querySelectorAll(`input[type=radio][name="${CSS.escape(target.name)}"]`)];
  const step = target.closest(".scale") ? group[digitOf(event) - 1] : undefined;
  if (step) act(event, () => (step.focus(), step.checked || step.click()));
  else if (event.key === "Delete" || event.key === "Backspace") {
    act(event, () => {
      for (const one of group) one.checked = false;
      target.dispatchEvent(new Event("input", { bubbles: true }));
    });
  } else return Boolean(target.closest(".scale") && digitOf(event) >= 0);
  return true;
}

function inView(part) {
  return !part.section.closest(".is-hidden");
}

function act(event, what) {
  event.preventDefault();
  what();
}
