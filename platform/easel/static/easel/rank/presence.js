// Whether somebody is there: signs of life, the page hidden or shown again, and the beat that keeps leases meanwhile.

const AWAY_MS = 600_000; // without a sign of life for this long, the leases are let go
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"];

// page: touch() at a sign of life, hide(), back(), beat(), leave()
export function watch(page, beat_s) {
  let lifeAt = performance.now();
  const here = () => performance.now() - lifeAt <= AWAY_MS;

  function life() {
    const away = !here();
    lifeAt = performance.now();
    if (!document.hidden) page.touch();
    if (away) page.beat();
  }

  for (const name of SIGNS) addEventListener(name, life, { passive: true, capture: true });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return page.hide();
    life();
    page.back();
  });
  addEventListener("pagehide", () => page.leave());
  addEventListener("pageshow", (event) => event.persisted && here() && page.beat());
  setInterval(() => here() && page.beat(), beat_s * 1000);
}
