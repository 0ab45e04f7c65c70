// What a key is called ("S", "Shift+Z", "Enter", ";"), by what is typed, or by where it lies on keyboards without Latin letters;
// and how it is drawn. easel/accounts/keymap.py says which act has which key.

const NAMED = new Set(["Enter", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown"]);
const CAPS = { Enter: "⏎", Backspace: "⌫", Delete: "Del", Insert: "Ins", PageUp: "PgUp", PageDown: "PgDn" };

// A Latin letter by what is typed, or by where the key lies on other keyboards.
export function letterOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toUpperCase();
  return /^[\x20-\x7e]$/.test(event.key) ? "" : (/^Key([A-Z])$/.exec(event.code)?.[1] ?? "");
}

export function digitOf(event) {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key);
  return found ? Number(found[1]) : -1;
}

// The key's name; "" for one that has none (a digit, Ctrl, half of a composed letter).
export function nameOf(event) {
  const letter = letterOf(event);
  if (letter) return event.shiftKey ? `Shift+${letter}` : letter;
  if (event.key === " ") return "Space";
  if (NAMED.has(event.key)) return event.key;
  return /^[!-~]$/.test(event.key) && !/\d/.test(event.key) ? event.key : "";
}

export function cap(key) {
  return key.startsWith("Shift+") ? `⇧ ${key.slice(6)}` : (CAPS[key] ?? key);
}

export class Keymap {
  #keys;
  #acts;

  // keys: act -> key; none where a page is only tried out: its usual keys stand in the page
  constructor(keys) {
    this.#keys = keys ?? {};
    this.#acts = new Map(Object.entries(this.#keys).map(([act, key]) => [key, act]));
  }

  // What a key does; undefined for none.
  actOf(event) {
    return this.#acts.get(nameOf(event));
  }

  cap(act) {
    return cap(this.#keys[act] ?? "");
  }

  // Draw these keys on whatever names an act: keycaps (data-key) and buttons (data-act).
  label(root) {
    for (const one of root.querySelectorAll("[data-key]")) {
      if (this.#keys[one.dataset.key]) one.textContent = this.cap(one.dataset.key);
    }
    for (const one of root.querySelectorAll("[data-act]")) {
      if (this.#keys[one.dataset.act]) one.setAttribute("aria-keyshortcuts", this.#keys[one.dataset.act]);
    }
  }
}
