// The gallery: arrows move, Enter opens an image large, Space chooses it for side by side, Esc closes or clears.

const dialog = document.getElementById("image-dialog");
const chooser = document.getElementById("chooser");

const links = () => [...document.querySelectorAll("a[data-image]")];
const tileOf = (link) => link.closest("[data-tile]");

// The large image

if (dialog) {
  const body = dialog.querySelector("[data-body]");
  let current = null;

  const beside = (step) => {
    const all = links();
    return all[all.indexOf(current) + step];
  };
  const show = (link) => {
    current = link;
    body.replaceChildren(tileOf(link).querySelector("template").content.cloneNode(true));
    for (const button of dialog.querySelectorAll("[data-step]")) button.disabled = !beside(Number(button.dataset.step));
    if (dialog.open) return;
    dialog.showModal();
    dialog.focus(); // not its first button: Enter and Space would press it
  };
  const move = (step) => {
    const next = beside(step);
    if (!next) return;
    next.scrollIntoView({ block: "nearest" }); // the page follows, so that more images are fetched in time
    show(next);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-image]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link);
  });
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) move(Number(button.dataset.step));
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
  });
  dialog.addEventListener("close", () => current?.focus());
  document.addEventListener("htmx:afterSettle", () => {
    if (dialog.open && current) show(current); // images came in: there may be a next one now
  });
}

// Choosing for side by side

if (chooser) {
  const most = Number(chooser.dataset.most);
  const bar = chooser.querySelector("[data-chosen]");
  const go = chooser.querySelector("[data-go]");
  const ticks = () => [...chooser.querySelectorAll("input[name=image]")];

  const draw = () => {
    const all = ticks();
    const chosen = all.filter((tick) => tick.checked);
    for (const tick of all) {
      tick.disabled = !tick.checked && chosen.length >= most;
      tick.closest("[data-tile]").classList.toggle("is-chosen", tick.checked);
    }
    bar.hidden = !chosen.length;
    bar.querySelector("[data-count]").textContent = `${chosen.length} of ${most} chosen.`;
    bar.querySelector("[data-hint]").textContent = chosen.length < 2 ? "Choose at least two." : "";
    bar.querySelector("[data-thumbs]").replaceChildren(
      ...chosen.map((tick) => {
        const line = document.createElement("li");
        const image = new Image(40, 40);
        image.src = tick.closest("[data-tile]").querySelector("img").src;
        image.alt = "";
        line.append(image);
        return line;
      }),
    );
    go.setAttribute("aria-disabled", String(chosen.length < 2));
  };

  chooser.addEventListener("change", draw);
  chooser.addEventListener("submit", (event) => {
    if (go.getAttribute("aria-disabled") === "true") event.preventDefault();
  });
  const clear = () => {
    for (const tick of ticks()) tick.checked = false;
    draw();
  };
  chooser.querySelector("[data-clear]").addEventListener("click", () => {
    clear();
    links()[0]?.focus();
  });
  document.addEventListener("htmx:afterSettle", draw);
  addEventListener("pageshow", draw); // the back button brings the ticks back

  chooser.addEventListener("keydown", (event) => {
    const link = event.target.closest("a[data-image]");
    if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      const tick = tileOf(link).querySelector("input[name=image]");
      if (!tick.disabled) tick.checked = !tick.checked;
      draw();
    } else if (event.key === "Escape") clear();
    else if (!step(link, event.key)) return;
    event.preventDefault();
  });
}

// The tile beside, above or below, as the eye sees them.
function step(link, key) {
  const all = links();
  const at = all.indexOf(link);
  const top = (one) => one.getBoundingClientRect().top;
  const columns = Math.max(1, all.findIndex((one) => top(one) > top(all[0]) + 1));
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: all.length - 1 - at };
  if (!(key in steps)) return false;
  all[Math.min(Math.max(at + steps[key], 0), all.length - 1)].focus();
  return true;
}
