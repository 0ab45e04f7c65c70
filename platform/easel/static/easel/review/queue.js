// Keys of the review page: what they do stands on its buttons.

import { openDialog } from "../page.js";
import { letterOf } from "../rank/keymap.js";

const $ = (id) => document.getElementById(id);
const comment = $("comment");
const verdict = (value) => $("verdict")?.querySelector(`[value="${value}"]`);

// Returned is only what says why.
function giveBack() {
  const button = verdict("returned");
  if (!button || button.disabled) return;
  if (comment.value.trim()) return button.click();
  comment.focus();
}

const ACTS = {
  A: () => verdict("accepted")?.click(),
  R: giveBack,
  F: () => $("fix")?.click(),
  J: () => $("after")?.click(),
  K: () => $("before")?.click(),
  U: () => $("undo")?.querySelector("button").click(),
  C: () => $("comment-text")?.focus(),
};
const ARROWS = { ArrowRight: "J", ArrowLeft: "K" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.repeat) return;
  const { target } = event;
  if (target === comment && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    return giveBack();
  }
  if (target.matches("textarea, input:not([type=checkbox]), select")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "?") return void (event.preventDefault(), openDialog($("keys")));
  const act = ACTS[ARROWS[event.key] ?? (event.shiftKey ? "" : letterOf(event))];
  if (!act) return;
  event.preventDefault();
  act();
});

// Without a comment nothing is returned: say so where it is missing, before anything is sent.
$("verdict")?.addEventListener(
  "submit",
  (event) => {
    const returned = event.submitter?.value === "returned" && !comment.value.trim();
    comment.setCustomValidity(returned ? "Say what to mend: the annotator reads it." : "");
    if (!returned) return;
    event.preventDefault();
    event.stopPropagation();
    comment.reportValidity();
  },
  { capture: true },
);
comment?.addEventListener("input", () => comment.setCustomValidity(""));
