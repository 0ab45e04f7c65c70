// The form that asks for images: what it adds up to, the models' own settings, prompts that are ticked, and previews.

const form = document.getElementById("generate-form");

if (form) {
  const summary = document.getElementById("summary");
  const chosen = document.getElementById("chosen-prompts");
  const choices = document.getElementById("prompt-choices");
  const ticked = (name) => [...form.querySelectorAll(`input[name=${name}]:checked`)];
  const number = (count) => count.toLocaleString("en");
  const some = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

  const prompts = () => {
    const which = ticked("which")[0]?.value;
    return { all: Number(form.dataset.all), bare: Number(form.dataset.bare), chosen: ticked("prompts").length, new: 1 }[which] ?? 0;
  };

  const last = (seconds) => {
    if (seconds < 60) return "under a minute";
    const minutes = Math.round(seconds / 60);
    return minutes < 90 ? `about ${minutes} min` : `about ${number(Math.round(minutes / 60))} h`;
  };

  // "120 prompts × 2 models × 4 images = 960 images, about 5 min at the last pace."
  const add = () => {
    const [models, each] = [ticked("models").length, form.elements.images_per_prompt.valueAsNumber];
    const total = prompts() * models * each;
    if (!models || !(each > 0) || !prompts()) {
      summary.textContent = !models ? "Choose a model." : !prompts() ? "No prompt is chosen." : "";
      return;
    }
    const parts = [some(prompts(), "prompt"), ...(models > 1 ? [some(models, "model")] : []), some(each, "image")];
    const pace = Number(form.dataset.pace);
    const time = pace > 0 ? `, ${last(total / pace)} at the last pace` : "";
    const alone = each * models === 1 ? " One image of a prompt alone cannot be ranked." : "";
    summary.textContent = `${parts.join(" × ")} = ${some(total, "image")}${time}.${alone}`;
  };

  // An empty setting shows what the chosen models render with.
  const suggest = () => {
    const models = ticked("models");
    for (const name of ["steps", "guidance_scale", "width", "height"]) {
      const own = new Set(models.map((model) => model.dataset[name] ?? ""));
      const [only] = own;
      form.elements[name].placeholder = own.size === 1 && only ? only : "model’s own";
    }
  };

  // What is ticked moves up to the chosen ones, so that another search does not lose it.
  const keep = () => {
    for (const box of choices.querySelectorAll("input:checked")) chosen.append(box.closest("li"));
    const known = new Set([...chosen.querySelectorAll("input")].map((box) => box.value));
    for (const box of choices.querySelectorAll("input")) if (known.has(box.value)) box.closest("li").remove();
  };

  const change = (event) => {
    if (event?.target.name === "prompts") {
      const { target } = event;
      if (target.closest("#chosen-prompts")) {
        choices.prepend(target.closest("li"));
      } else keep();
      target.focus();
    }
    add();
    suggest();
  };
  form.addEventListener("change", change);
  form.addEventListener("input", add);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target === choices) keep();
  });
  form.querySelector("[data-tick-all]").addEventListener("click", () => {
    for (const box of choices.querySelectorAll("input")) box.checked = true;
    keep();
    add();
  });
  // Enter in the search field searches; it does not send the form.
  document.getElementById("find-prompts").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  addEventListener("pageshow", () => change());
  keep();
  change();

  // A wrong field is told at its place; the first one is brought into view.
  const mark = () => {
    for (const error of form.querySelectorAll(".error[id]")) {
      const field = error.closest(".field");
      const wrong = Boolean(error.textContent.trim());
      if (error.parentElement === field) field.classList.toggle("is-wrong", wrong || Boolean(field.querySelector(":scope > .error:not(:empty)")));
      const input = document.getElementById(error.id.replace("_error", ""));
      if (wrong) input?.setAttribute("aria-invalid", "true");
      else input?.removeAttribute("aria-invalid");
      if (wrong) for (const details of [error.closest("details")]) if (details) details.open = true;
    }
    const first = [...form.querySelectorAll(".error[id]")].find((error) => error.textContent.trim());
    first?.scrollIntoView({ block: "center" });
  };
  mark();
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "previews" && event.detail.xhr.status === 400) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.requestConfig?.verb === "post") mark();
  });
}
