// Two to four images that zoom and move together, as a part of the page.

import { Zoom } from "../rank/zoom.js";

const viewer = document.getElementById("viewer");
const data = document.getElementById("shown");

if (viewer && data) {
  const candidates = JSON.parse(data.textContent);
  const zoom = new Zoom(viewer);
  const widest = Math.max(...candidates.map((one) => one.width));
  zoom.show({ candidates }, { current: candidates[0].id, pixelated: widest <= 128 });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, .table-box")) return;
    const key = event.key;
    if (key === "Escape") location.assign(document.querySelector("[data-back]").href);
    else if (/^n$/i.test(key)) document.querySelector("[rel=next]")?.click();
    else if (key === " ") {
      if (event.target.closest("button, a")) return; // it presses what has the focus
      zoom.flip();
    } else {
      const letter = candidates.find((one) => one.letter === key.toUpperCase());
      if (!zoom.key(event, letter?.id)) return;
    }
    event.preventDefault();
  });
}

// Back leads to the gallery as it was: with its filters and ticks, where it was what one came from.
const back = document.querySelector("[data-back]");
if (back && document.referrer.split("?")[0] === back.href) back.href = document.referrer;
