// The keys of the ranking page: which act a key has, a person decides (keymap.js); the letters of images, digits and arrows stay.

import { openDialog } from "../page.js";
import { digitOf, letterOf } from "./keymap.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// page: { form, tiles, zoom, live, keymap, current, canJudge, press, give, undo, undoSubmission, submit, enlarge, look, lookAll,
// focusTile, openSkip }
export function listen(page) {
  const { form, tiles, zoom, live, keymap } = page;
  const imageOf = (letter) => page.current?.candidates.find((each) => each.letter === letter);

  // What each act does; those of a form's own parts (none, equal) are theirs.
  const acts = {
    submit: () => page.submit(),
    skip: () => page.openSkip(),
    undo: () => page.undo("undo"),
    redo: () => page.undo("redo"),
    undo_submission: () => page.undoSubmission(),
    write: writeText,
    enlarge: () => page.enlarge(),
    flip: () => page.enlarge(null, true),
    look: () => page.look(),
    look_all: () => page.lookAll(),
    take_out: () => page.give(tiles?.current?.id, 0),
    prompt: () => live.focus(),
    vary: () => live.vary(),
    earlier: () => live.history(),
  };
  const ofLive = ["prompt", "vary", "earlier"];

  // What a key does here: the letter of an image is that image first.
  function actOf(event) {
    const letter = letterOf(event);
    if (imageOf(letter)) return undefined;
    const doing = keymap.actOf(event) ?? (event.key === "Delete" ? "take_out" : letter === "C" && !event.shiftKey ? "flip" : undefined);
    return ofLive.includes(doing) && !live ? undefined : doing;
  }
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
    const doing = actOf(event);
    if (ofLive.includes(doing) || doing === "undo_submission") return act(event, () => event.repeat || acts[doing]());
    const tile = target.closest(".tile-image");
    const operable = target.matches("button, a, summary, input") && !tile;
    if (!page.current) return;
    if (event.key === "Enter" || event.key === " ") {
      if (operable && !(event.key === "Enter" && target.matches("input"))) return;
      if (event.key === " " && !tiles) return; // it scrolls
      if (tile) event.preventDefault(); // it places the image, where it has no other act
    }
    if (ARROWS[event.key] && (!tiles || target.closest("[role=tablist], .words"))) return;
    if (ARROWS[event.key]) return act(event, () => tiles?.move(...ARROWS[event.key]));
    if (doing === "undo" || doing === "redo") return act(event, acts[doing]);
    if (doing && event.repeat) return event.preventDefault();
    if (event.repeat) return;
    const digit = digitOf(event);
    if (digit >= 0 && tiles) return act(event, () => page.give(tiles.current?.id, digit));
    const candidate = imageOf(letter);
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
    if (doing && form.parts.some((part) => inView(part) && part.key?.(doing))) return event.preventDefault();
    if (acts[doing]) act(event, acts[doing]);
  }

  function zoomKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || (event.key === " " && event.target.matches("button") && event.target.matches(":focus-visible"))) return;
    const digit = digitOf(event);
    if (digit > 0 && zoom.shown && event.key !== "+" && event.key !== "=") return act(event, () => page.give(zoom.shown, digit));
    const doing = actOf(event);
    if (doing === "look" || doing === "look_all") return act(event, acts[doing]);
    if (zoom.key(event, imageOf(letterOf(event))?.id, doing ?? "")) event.preventDefault();
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
