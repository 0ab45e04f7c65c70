// Choosing many annotations: all on the page, and how many are chosen.

const form = document.getElementById("bulk");
const words = form?.querySelector("[data-chosen]");
const boxes = () => [...document.querySelectorAll('#rows input[name="annotation"]')];

function count() {
  const all = form.elements.all.checked;
  const chosen = boxes().filter((box) => box.checked).length;
  for (const box of boxes()) box.disabled = all;
  words.textContent = all ? "All of this filter" : chosen ? `${chosen} chosen` : "None chosen";
}

form?.querySelector("[data-page]").addEventListener("change", (event) => {
  for (const box of boxes()) box.checked = event.target.checked;
});
if (form) {
  document.addEventListener("change", count);
  addEventListener("pageshow", count);
}
