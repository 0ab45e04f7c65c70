// A scale of radio buttons: stars that fill up to the chosen one, or the numbers of a Likert scale. Choosing the chosen one
// again takes it back.

export function levels(root, { name, count, style, label, low = "", high = "" }) {
  const group = document.createElement("div");
  group.className = `scale ${style}`;
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  const inputs = Array.from({ length: count }, (_, index) => {
    const input = document.createElement("input");
    input.type = "radio";
    input.name = name;
    input.value = index + 1;
    const end = index === 0 ? low : index === count - 1 ? high : "";
    input.setAttribute("aria-label", `${index + 1} of ${count}${end ? `, ${end}` : ""}`);
    const mark = document.createElement("span");
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = style === "stars" ? "★" : index + 1;
    const step = document.createElement("label");
    step.className = "scale-step";
    step.append(input, mark);
    group.append(step);
    return input;
  });
  const render = () => {
    const chosen = inputs.findIndex((input) => input.checked);
    for (const [index, input] of inputs.entries()) input.parentElement.classList.toggle("is-on", style === "stars" ? index <= chosen : index === chosen);
  };
  let before = -1;
  group.addEventListener("pointerdown", () => (before = inputs.findIndex((input) => input.checked)));
  group.addEventListener("click", (event) => {
    const at = inputs.indexOf(event.target);
    if (at >= 0 && at === before) {
      event.target.checked = false;
      event.target.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (at >= 0) before = -1;
    render();
  });
  group.addEventListener("input", render);
  root.append(group);
  return {
    get value() {
      const chosen = inputs.findIndex((input) => input.checked);
      return chosen < 0 ? undefined : chosen + 1;
    },
    set value(level) {
      for (const [index, input] of inputs.entries()) input.checked = index + 1 === level;
      render();
    },
    focus() {
      (inputs.find((input) => input.checked) ?? inputs[0]).focus();
    },
  };
}
