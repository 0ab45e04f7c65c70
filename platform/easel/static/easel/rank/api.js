// Requests to Easel's REST API with the session of this browser.

export class Unreachable extends Error {}

export class Api {
  #root;

  constructor(root) {
    this.#root = root;
  }

  // Returns { status, body, wait }: any answer that the server gave. Raises Unreachable when none came.
  async send(method, path, body = {}, { keepalive = false, timeout = 20_000 } = {}) {
    let response;
    try {
      response = await fetch(this.#root + path, {
        method,
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
        body: method === "GET" ? undefined : JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        keepalive,
        signal: AbortSignal.timeout(timeout),
      });
      const text = response.status === 204 ? "" : await response.text();
      return { status: response.status, body: parse(text), wait: Number(response.headers.get("Retry-After")) || 0 };
    } catch (error) {
      throw new Unreachable(String(error));
    }
  }
}

// The cookie knows of a sign-in in another tab; the page's own token is for sites that hide the cookie from scripts.
function csrfToken() {
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  return cookie ? cookie.slice("csrftoken=".length) : (document.querySelector("meta[name=csrf-token]")?.content ?? "");
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
