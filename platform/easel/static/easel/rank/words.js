// Words on the ranking page: what is said to screen readers, notices, and which of its states the page is in.

const $ = (id) => document.getElementById(id);

export function state(name) {
  const before = $("state").dataset.state;
  $("state").dataset.state = name;
  if (name === before) return;
  if (name === "nothing") announce("No images to rank right now. New ones appear here by themselves.");
  if (name === "paused" || name === "limit") announce(`${$(`${name}-title`).textContent}. ${$(`${name}-words`).textContent}`);
}

export function announce(words) {
  $("announcer").textContent = "";
  requestAnimationFrame(() => ($("announcer").textContent = words));
}

// acts: [[words, what it does], ...], buttons beside the words. A notice that stays outlives the item that is shown.
export function notify(kind, words, { acts = [], stays = false } = {}) {
  const notice = $("notice-part").content.cloneNode(true).firstElementChild;
  if (kind) notice.classList.add(kind);
  notice.toggleAttribute("data-stays", stays || kind === "danger");
  notice.setAttribute("role", kind === "danger" ? "alert" : "status");
  notice.querySelector("p").textContent = words;
  const dismiss = notice.querySelector("[data-dismiss]");
  const close = () => {
    notice.remove();
    document.dispatchEvent(new Event("easel-dismissed"));
  };
  dismiss.addEventListener("click", close);
  for (const [label, what] of acts) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = label;
    button.addEventListener("click", () => {
      close();
      what();
    });
    dismiss.before(button);
  }
  $("notices").append(notice);
  return notice;
}

export function clearNotices() {
  for (const notice of [...$("notices").children]) if (!("stays" in notice.dataset)) notice.remove();
}

export function restart(element, name) {
  element.classList.remove(name);
  void element.offsetWidth; // a new layout: the animation runs again
  element.classList.add(name);
}

// How far the draft has come.
export function tellSaved(draft) {
  const seconds = Math.round((Date.now() - (draft?.savedAt ?? 0)) / 1000);
  const ago = seconds < 2 ? "just now" : seconds < 90 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
  const words = { unsaved: "Saving…", local: "Kept in this browser", saved: `Saved ${ago}` };
  $("saved").textContent = words[draft?.state] ?? "";
}
