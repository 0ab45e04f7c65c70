// What a reviewer or the training says of one's work: why an item came back, how far the training is, and whether an answer was right.

import { chipOf } from "./element.js";
import { announce, state } from "./words.js";

const $ = (id) => document.getElementById(id);

let answered = 0; // items of the round that were answered here: one that was leased ahead was numbered before

// Beside the item: why it came back, and which item of the training it is.
export function tell(work) {
  const { returned, training } = work ?? {};
  if (training && training.number <= answered) training.number = Math.min(answered + 1, training.of);
  $("returned").hidden = !returned;
  $("returned").querySelector("[data-comment]").textContent = returned?.comment ?? "";
  $("training-mark").hidden = !training;
  $("training-mark").textContent = training ? `Training ${training.number} of ${training.of}` : "";
}

// In words, for the announcement of the next item.
export function said({ returned, training }) {
  if (returned) return `Returned by a reviewer: ${returned.comment} `;
  return training ? `Training ${training.number} of ${training.of}. ` : "";
}

// Until the answer of the server comes: nothing can be pressed.
export function checking(work) {
  answered = work.training.number % work.training.of;
  $("feedback-title").textContent = "";
  $("checking-words").textContent = "Checking your answer…";
  state("checking");
}

// Was it right? The pictures in the order that was expected, and in one's own. Resolves when the person goes on.
export function feedback(work, { passed, note, expected }) {
  const words = passed === null ? "Thank you" : passed ? "Right" : "Not quite";
  $("feedback-title").textContent = words;
  $("feedback").dataset.passed = String(passed);
  $("feedback-note").textContent = note;
  $("feedback-note").hidden = !note;
  places($("feedback-expected"), work, expected ?? []);
  const own = Object.values(work.answers).find((answer) => Array.isArray(answer) && Array.isArray(answer[0])) ?? [];
  places($("feedback-own"), work, own);
  $("feedback-own").parentElement.hidden = passed === true || !own.length;
  $("feedback-expected").parentElement.hidden = !expected?.length;
  const { number, of } = work.training;
  $("feedback-far").textContent = number >= of ? "That was the last one of the training." : `${number} of ${of} done.`;
  state("feedback");
  announce(`${words}. ${note}`);
  return new Promise((resolve) => {
    const button = $("feedback-next");
    button.addEventListener("click", resolve, { once: true });
    button.focus();
  });
}

function places(list, work, groups) {
  const letters = new Map(work.candidates.map((one) => [one.id, one]));
  list.replaceChildren(
    ...groups.map((group, index) => {
      const place = document.createElement("li");
      const number = document.createElement("b");
      number.textContent = index + 1;
      place.append(number, ...group.filter((id) => letters.has(id)).map((id) => chipOf(letters.get(id))));
      const names = group.map((id) => letters.get(id)?.letter).filter(Boolean);
      place.setAttribute("aria-label", `Place ${index + 1}: ${names.join(" and ")}`);
      return place;
    }),
  );
}
