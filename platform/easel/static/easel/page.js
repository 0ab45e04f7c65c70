// What every page needs: the theme switch, menus that close, dialogs that open, buttons that copy.

function remember(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "auto") localStorage.removeItem("easel.theme");
    else localStorage.setItem("easel.theme", theme);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
  showTheme();
}

function showTheme() {
  const current = document.documentElement.dataset.theme ?? "auto";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === current));
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
}

// The focus goes to the dialog, not to its first button, which Space or Enter would press.
export function openDialog(dialog) {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  if (dialog.hasAttribute("tabindex") && !dialog.querySelector("[autofocus]")) dialog.focus();
}

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(source.value ?? ("copyLines" in button.dataset ? linesOf(source) : source.textContent.trim()));
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // no clipboard on plain http: select it, so that Ctrl+C does
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = words), 2000);
}

// A list of names and values as lines of text.
function linesOf(list) {
  return [...list.querySelectorAll("dt")].map((name) => `${name.textContent.trim()}: ${name.nextElementSibling.textContent.trim()}`).join("\n");
}

document.addEventListener("click", (event) => {
  closeMenus(event.target);
  const button = event.target.closest?.("button");
  if (!button) {
    if (event.target.matches?.("dialog.dialog[open]")) closeOutside(event);
    return;
  }
  if (button.dataset.themeChoice) remember(button.dataset.themeChoice);
  else if (button.dataset.opens) openDialog(document.getElementById(button.dataset.opens));
  else if ("close" in button.dataset) button.closest("dialog")?.close();
  else if (button.dataset.copy) copy(button);
});

function closeOutside(event) {
  const box = event.target.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside) event.target.close();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
  }
});

showTheme();
