// What a drag listens to, from the pointer that came down until it is over: its moves, its end, and all that calls it off.

// hooks: move(event), end(event), cancel(), and lifted(): whether something hangs on the pointer, so that Escape lets go of it.
// Returns an AbortController; aborting ends the listening.
export function follow({ move, end, cancel, lifted }) {
  const stop = new AbortController();
  const on = (name, act) => addEventListener(name, act, { signal: stop.signal, capture: true });
  on("pointermove", move);
  on("pointerup", end);
  on("pointercancel", cancel);
  on("blur", (blur) => blur.target === window && cancel());
  on("keydown", (key) => {
    if (key.key !== "Escape" || !lifted()) return;
    key.preventDefault();
    key.stopPropagation();
    cancel();
  });
  return stop;
}
