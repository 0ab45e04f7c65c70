// How the page is laid out: how tall the preview is and how wide a page it shows, and on a narrow screen which part is in view.

const LEAST = 10; // per cent of the page's height
const MOST = 80;
const NAME = "easel.build.preview";

export function bindStage() {
  const stage = document.getElementById("build-stage");
  const divider = document.getElementById("divider");
  const views = [...document.querySelectorAll("[data-view-choice]")];
  const widths = [...document.querySelectorAll("[data-width-choice]")];
  let share = Number(recall()) || 42;

  function size(next) {
    share = Math.min(MOST, Math.max(LEAST, Math.round(next)));
    stage.style.setProperty("--preview", `${share}%`);
    divider.setAttribute("aria-valuenow", String(share));
    divider.setAttribute("aria-valuetext", `Preview ${share} per cent of the height`);
  }

  divider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    divider.setPointerCapture(event.pointerId);
    stage.classList.add("is-sizing");
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    size(((box.bottom - event.clientY) / box.height) * 100);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    divider.addEventListener(name, () => {
      stage.classList.remove("is-sizing");
      remember(String(share));
    });
  }
  divider.addEventListener("keydown", (event) => {
    const to = { ArrowUp: share + 5, ArrowDown: share - 5, Home: LEAST, End: MOST }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    size(to);
    remember(String(share));
  });

  function show(view) {
    stage.dataset.view = view;
    for (const one of views) one.setAttribute("aria-pressed", String(one.dataset.viewChoice === view));
  }
  for (const one of views) one.addEventListener("click", () => show(one.dataset.viewChoice));

  const frames = document.getElementById("preview-frames");
  for (const one of widths) {
    one.addEventListener("click", () => {
      frames.dataset.width = one.dataset.widthChoice;
      for (const other of widths) other.setAttribute("aria-pressed", String(other === one));
    });
  }

  size(share);
  show("form");
  return { show, added: () => stage.dataset.view === "palette" && show("form") };
}

function recall() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null; // storage is switched off
  }
}

function remember(value) {
  try {
    localStorage.setItem(NAME, value);
  } catch {
    // Switched off: it lasts as long as the page.
  }
}
