// The editor of keys on the profile: a key that is pressed in a field becomes its key, and what is wrong with it is said at once.
// The server checks the same (easel/accounts/keymap.py).

import { nameOf } from "./rank/keymap.js";

const { acts, free, reserved } = JSON.parse(document.getElementById("keymap").textContent);
const rows = [...document.querySelectorAll("[data-act]")];
const form = document.querySelector("form.profile");

function inputOf(row) {
  return row.querySelector("input");
}

// What is wrong with a row's key, and the rows that are part of it.
function faultOf(row) {
  const { label, usual } = acts[row.dataset.act];
  const key = inputOf(row).value.trim() || usual;
  if (!free.includes(key) && key !== usual) {
    const why = reserved[key];
    return why ? `${key} stays what it is: ${why}. Choose a letter from J to Z, or a sign.` : `“${label}” cannot have the key ${key}. Choose a letter from J to Z, or a sign.`;
  }
  const other = rows.find((one) => one !== row && (inputOf(one).value.trim() || acts[one.dataset.act].usual) === key);
  return other ? `${key} is the key of “${acts[other.dataset.act].label}”, too. Give one of them another key.` : "";
}

function check() {
  for (const row of rows) {
    const fault = faultOf(row);
    const error = row.querySelector(".error");
    if (error.textContent !== fault) error.textContent = fault;
    error.hidden = !fault;
    row.classList.toggle("is-wrong", Boolean(fault));
    inputOf(row).setAttribute("aria-invalid", String(Boolean(fault)));
    row.querySelector("[data-reset]").disabled = inputOf(row).value === acts[row.dataset.act].usual;
  }
}

function reset(row) {
  inputOf(row).value = acts[row.dataset.act].usual;
}

for (const row of rows) {
  const input = inputOf(row);
  input.addEventListener("focus", () => input.select());
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || ["Tab", "Escape"].includes(event.key)) return;
    const name = nameOf(event) || (/^[\d]$/.test(event.key) || event.key.startsWith("Arrow") ? event.key : "");
    if (!name) return;
    event.preventDefault();
    input.value = name;
    input.select();
    check();
  });
  input.addEventListener("input", check); // from a keyboard on the screen
  row.querySelector("[data-reset]").addEventListener("click", () => {
    reset(row);
    check();
    input.focus();
  });
}

document.querySelector("[data-reset-all]").addEventListener("click", () => {
  rows.forEach(reset);
  check();
});

form.addEventListener("submit", (event) => {
  const wrong = rows.find(faultOf);
  if (!wrong) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // the button is not spent
  inputOf(wrong).focus();
}, { capture: true });

check();
