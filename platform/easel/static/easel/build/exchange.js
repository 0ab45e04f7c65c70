// A form as JSON: out as a file, in from a file or pasted, and single components over the clipboard.

import { Refused } from "./tree.js";

export function download(definition, name) {
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(definition, null, 2)}\n`], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${slug(name)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// The definition in a text. Raises Refused, in words for the person.
export function definitionIn(text, most) {
  if (!text.trim()) throw new Refused("There is nothing to import yet. Choose a file, or paste its text.");
  if (new Blob([text]).size > most * 2) throw new Refused(`That is more than ${Math.round(most / 1024)} kB, the most that a form may have.`);
  const read = parse(text);
  if (!read.ok) throw new Refused(`This is no JSON: ${read.why}. Check that the whole file is there.`);
  const found = read.value?.definition ?? read.value;
  if (!found || typeof found !== "object" || Array.isArray(found) || !Array.isArray(found.components)) {
    throw new Refused('This is JSON, and no form: a form is an object with a list of components, as {"components": [...]}.');
  }
  return found;
}

// The component in a clipboard's text, or null.
export function componentIn(text) {
  const { value } = parse(text);
  return value && typeof value === "object" && typeof value.type === "string" ? value : null;
}

function parse(text) {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, why: error.message };
  }
}

function slug(name) {
  return name.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "form";
}
