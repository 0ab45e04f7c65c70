// The pages of a project: forms that are sent once, and good manners for htmx.

// A double click or an impatient second one must not send a form twice. Coming back with the back button starts afresh.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("once" in form.dataset)) return;
  if ("sent" in form.dataset) return event.preventDefault();
  form.dataset.sent = "";
  for (const button of form.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-disabled", "true");
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
});

// The current tab is in view on a narrow screen.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// htmx: nothing is fetched for a page that nobody looks at, and an ended session leads to sign-in, not into the page.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.getAttribute("hx-trigger")?.startsWith("every")) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const asked = new URL(event.detail.pathInfo.finalRequestPath, location.href);
  const answered = event.detail.xhr.responseURL && new URL(event.detail.xhr.responseURL);
  if (answered && answered.pathname !== asked.pathname) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});

// What cannot be taken back is asked about first. The list behind is renewed all the time, so the dialog stands outside of it.
document.addEventListener("submit", (event) => {
  const dialog = document.getElementById(event.target.dataset.confirm ?? "");
  if (!dialog) return;
  event.preventDefault();
  dialog.querySelector("form").action = event.target.action;
  dialog.showModal();
  dialog.focus();
});
