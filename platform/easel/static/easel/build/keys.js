// The keys of the builder. Those that change the form count while the form has the focus; undo and redo everywhere but in a text,
// where the browser's own undo is what people expect.

import { openDialog } from "../page.js";
import { isTyping } from "./dom.js";
import { componentIn } from "./exchange.js";
import { write } from "./tree.js";

export function bindKeys({ state, canvas, acts, dragging, say, inTree, leave }) {
  const inDialog = () => Boolean(document.querySelector("dialog[open]"));

  addEventListener("keydown", (event) => {
    if (inDialog() || dragging.active || event.defaultPrevented) return;
    if (everywhere(event) || (inTree() && (ofForm(event) || steering(event)))) event.preventDefault();
  });

  function everywhere(event) {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (command && !event.altKey && !isTyping(event.target)) {
      if (key === "z" && !event.shiftKey) return done(acts.undo());
      if ((key === "z" && event.shiftKey) || key === "y") return done(acts.redo());
    }
    if (event.key === "?" && !isTyping(event.target)) return done(openDialog(document.getElementById("keys")));
    if (event.key === "Escape" && event.target.closest?.("#properties-panel")) return done(leave());
    if (event.key === "/" && !isTyping(event.target)) return done(document.getElementById("palette-filter").focus());
    return false;
  }

  function ofForm(event) {
    const command = event.ctrlKey || event.metaKey;
    if (!state.node) return false;
    if (event.altKey && !command) {
      const way = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "out", ArrowRight: "in" }[event.key];
      return way ? done(acts.nudge(way)) : false;
    }
    if (command && event.key.toLowerCase() === "d") return done(acts.duplicate());
    if (command || event.altKey) return false;
    if (event.key === "Delete" || event.key === "Backspace") return done(acts.remove());
    if (event.key === "F2") return done(acts.rename());
    if (event.key === "Enter") return done(acts.details());
    return false;
  }

  function steering(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
    return canvas.steer(event.key);
  }

  for (const kind of ["copy", "cut"]) {
    document.addEventListener(kind, (event) => {
      if (!inTree() || !state.node || inDialog()) return;
      event.preventDefault();
      event.clipboardData.setData("text/plain", JSON.stringify(write(state.node), null, 2));
      const words = state.titleOf(state.node);
      if (kind === "cut") acts.remove();
      say(`${kind === "cut" ? "Cut" : "Copied"} ${words}`);
    });
  }
  document.addEventListener("paste", (event) => {
    if (isTyping(event.target) || inDialog()) return;
    const component = componentIn(event.clipboardData.getData("text/plain"));
    if (!component) return say("The clipboard holds no component.");
    event.preventDefault();
    acts.paste(component);
    canvas.focus();
  });
}

function done() {
  return true;
}
