// The open tabs of the site, each with the content script's port. One of them performs; the others stand by.

import { Failure } from "./results.js";

class Tab {
  #port;
  #waiting = new Map();
  user = null;

  constructor(port) {
    this.#port = port;
  }

  /** Lets the tab send a call and returns the site's answer {status, headers, body}. */
  perform(requestId, call) {
    this.#port.postMessage({ type: "perform", request_id: requestId, call });
    return this.await(requestId);
  }

  /** Returns the answer of a call that this tab is about already. */
  await(requestId) {
    return new Promise((resolve, reject) => this.#waiting.set(requestId, { resolve, reject }));
  }

  abort(requestId) {
    this.#waiting.delete(requestId);
    this.#port.postMessage({ type: "abort", request_id: requestId });
  }

  /** Hands an answer to whoever waits for it; says whether anybody did. */
  settle({ request_id: requestId, answer, failed }) {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    this.#port.postMessage({ type: "taken", request_id: requestId });
    if (waiting === undefined) {
      return false;
    }
    if (answer !== undefined) {
      waiting.resolve(answer);
    } else {
      waiting.reject(new Failure("OFFLINE", `The connection to the site failed: ${failed}`, true));
    }
    return true;
  }

  close() {
    for (const { reject } of this.#waiting.values()) {
      reject(new Failure("TAB_CLOSED", "The tab was closed before the site answered.", true));
    }
    this.#waiting.clear();
  }

  configure(page) {
    this.#port.postMessage({ type: "configure", page });
  }
}

export class Tabs {
  #config;
  #tabs = [];
  #latest = null;
  #onChange;
  #onClaim;

  /** `onClaim(tab, requestId)`: a tab is about a call, or has its answer, from before this worker started. */
  constructor(config, { onChange, onClaim }) {
    this.#config = config;
    this.#onChange = onChange;
    this.#onClaim = onClaim;
  }

  /** The tab that performs: the oldest in which the same seller is signed in as in the page loaded last. */
  get current() {
    const userId = this.#latest?.user?.id;
    return this.#tabs.find((tab) => tab.user?.id === userId) ?? null;
  }

  add(port) {
    if (!this.#config.siteOrigins.has(port.sender?.origin)) {
      port.disconnect();
      return;
    }
    const tab = new Tab(port);
    port.onMessage.addListener((message) => this.#hear(tab, message));
    port.onDisconnect.addListener(() => this.#remove(tab));
    tab.configure(this.#config.page);
  }

  #hear(tab, message) {
    if (message.type === "page") {
      tab.user = message.user;
      this.#latest = tab;
      this.#tabs = [...this.#tabs.filter((one) => one !== tab), tab];
      for (const requestId of message.requests) {
        this.#onClaim(tab, requestId);
      }
      this.#onChange();
    } else if (message.type === "answer") {
      tab.settle(message);
    }
  }

  #remove(tab) {
    this.#tabs = this.#tabs.filter((one) => one !== tab);
    if (this.#latest === tab) {
      this.#latest = this.#tabs.at(-1) ?? null;
    }
    tab.close();
    this.#onChange();
  }
}
