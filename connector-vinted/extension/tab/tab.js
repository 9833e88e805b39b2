// In a tab of the site: tells who is signed in, and sends the calls that the worker names, as the page itself would.
// A content script cannot be a module. It decides nothing: which calls there are is checked in worker/operations.js.

(() => {
  const CARRIED_HEADERS = ["content-type", "retry-after"];
  const RECONNECT_MILLISECONDS = 1_000;
  const running = new Map();
  const answers = new Map();
  let port = null;
  let page = null;

  function connect() {
    try {
      port = chrome.runtime.connect({ name: "tab" });
    } catch {
      // The extension was removed or replaced: this tab has nothing to say to the new one until it is loaded again.
      return;
    }
    port.onMessage.addListener(hear);
    port.onDisconnect.addListener(() => {
      // The worker ended. Calls go on here, and their answers wait for the next one.
      port = null;
      setTimeout(connect, RECONNECT_MILLISECONDS);
    });
  }

  function hear(message) {
    if (message.type === "configure") {
      page = message.page;
      port.postMessage({ type: "page", user: readUser(), requests: [...running.keys(), ...answers.keys()] });
      for (const answer of answers.values()) {
        port.postMessage(answer);
      }
    } else if (message.type === "perform") {
      void perform(message.request_id, message.call);
    } else if (message.type === "abort") {
      running.get(message.request_id)?.abort();
    } else if (message.type === "taken") {
      answers.delete(message.request_id);
    }
  }

  function read(selector) {
    return document.querySelector(selector)?.content ?? "";
  }

  function readUser() {
    const user = { id: read(page.user_id), login: read(page.user_login) };
    return user.id ? user : null;
  }

  async function perform(requestId, call) {
    const controller = new AbortController();
    running.set(requestId, controller);
    const said = { type: "answer", request_id: requestId };
    try {
      said.answer = await send(call, controller.signal);
    } catch (error) {
      said.failed = error.name;
    }
    running.delete(requestId);
    answers.set(requestId, said);
    port?.postMessage(said);
  }

  async function send(call, signal) {
    const headers = { accept: "application/json" };
    if (call.method !== "GET") {
      headers["x-csrf-token"] = read(page.csrf_token);
    }
    if (call.json !== undefined) {
      headers["content-type"] = "application/json";
    }
    const url = new URL(call.target, location.origin);
    if (url.origin !== location.origin) {
      throw new TypeError("a call goes to the site of this very page");
    }
    const body = call.form === undefined ? call.json : formOf(call.form);
    const response = await fetch(url, { method: call.method, headers, body, signal, credentials: "same-origin" });
    const carried = CARRIED_HEADERS.filter((name) => response.headers.has(name));
    return {
      status: response.status,
      headers: Object.fromEntries(carried.map((name) => [name, response.headers.get(name)])),
      body: await response.text(),
    };
  }

  function formOf(parts) {
    const form = new FormData();
    for (const part of parts) {
      if (part.base64 === undefined) {
        form.append(part.name, part.text);
      } else {
        const bytes = Uint8Array.from(atob(part.base64), (character) => character.charCodeAt(0));
        form.append(part.name, new Blob([bytes], { type: part.media_type }), part.file_name);
      }
    }
    return form;
  }

  connect();
})();
