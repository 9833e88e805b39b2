// The service worker: puts the parts together, and answers popup and pairing page.

import { readConfig } from "./config.js";
import { Connection, pair } from "./connection.js";
import { Executor } from "./executor.js";
import { RequestMemory } from "./memory.js";

const WAKE_MINUTES = 0.5;

class Browser {
  #storage = chrome.storage.local;
  #pages = new Set();
  #identity = null;
  #config = null;
  #problem = null;
  #executor = null;
  #connection = null;
  #role = null;
  #toldSession = "";

  async start() {
    try {
      this.#config = await readConfig();
    } catch (error) {
      this.#problem = error.message;
      return;
    }
    // The token is of no concern to content scripts, which run beside the site's own code.
    await this.#storage.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
    const kept = await this.#storage.get("identity");
    this.#identity = kept.identity ?? { client_id: crypto.randomUUID(), token: null, account: null };
    await this.#storage.set({ identity: this.#identity });
    this.#executor = new Executor({
      config: this.#config,
      memory: new RequestMemory(this.#storage),
      storage: this.#storage,
      send: (message) => this.#connection.send(message),
      onChange: () => this.#tellPages(),
    });
    this.#connection = new Connection(this.#config.gatewayUrl, {
      greeting: () => this.#greeting(),
      onMessage: (message) => this.#obey(message),
      onChange: () => this.#tellPages(),
    });
    await this.#executor.load();
    this.wake();
  }

  /** Connects again if it should be connected and is not. */
  wake() {
    if (this.#identity?.token) {
      this.#connection.connect();
    }
  }

  #greeting() {
    this.#toldSession = JSON.stringify(this.#executor.session);
    return {
      token: this.#identity.token,
      client_id: this.#identity.client_id,
      client_name: clientName(),
      session: this.#executor.session,
      requests: this.#executor.openRequests,
    };
  }

  #obey(message) {
    const executor = this.#executor;
    switch (message.type) {
      case "welcome":
      case "role":
        this.#role = { role: message.role, reason: message.reason };
        executor.epoch = message.epoch;
        executor.isActive = message.role === "ACTIVE";
        if (message.type === "welcome") {
          this.#speak(message.account);
        }
        break;
      case "command":
        executor.take(message);
        break;
      case "cancel":
        executor.cancel(message.request_id);
        break;
      case "result_ack":
        void executor.acknowledge(message.request_id);
        break;
      case "bye":
        if (message.reason === "UNAUTHORIZED") {
          void this.#forgetToken();
        }
        break;
      case "closed":
        this.#role = null;
        executor.isActive = false;
        break;
    }
    this.#tellPages();
  }

  /** Says, after the welcome, what changed since hello, and every answer kept. */
  #speak(account) {
    this.#identity.account = account;
    if (JSON.stringify(this.#executor.session) !== this.#toldSession) {
      this.#executor.tellSession();
    }
    this.#executor.sendKeptResults();
  }

  async #forgetToken() {
    this.#identity.token = null;
    await this.#storage.set({ identity: this.#identity });
    this.#tellPages();
  }

  addTab(port) {
    if (this.#executor === null) {
      port.disconnect();
      return;
    }
    this.#executor.tabs.add(port);
  }

  addPage(port) {
    this.#pages.add(port);
    port.onDisconnect.addListener(() => this.#pages.delete(port));
    port.onMessage.addListener((wish) => void this.#grant(port, wish));
    port.postMessage({ state: this.state });
  }

  async #grant(port, wish) {
    switch (wish.type) {
      case "pause":
        await this.#executor.pause("SELLER");
        break;
      case "resume":
        await this.#executor.resume();
        break;
      case "pair":
        port.postMessage(await this.#pair(wish.code));
        break;
      case "unpair":
        this.#connection.leave("UNPAIRED", "The seller unpaired this browser.");
        await this.#forgetToken();
        break;
    }
    this.#tellPages();
  }

  async #pair(code) {
    try {
      const { client_id: clientId } = this.#identity;
      const paired = await pair(this.#config.gatewayUrl, { code, clientId, clientName: clientName() });
      this.#identity = { client_id: clientId, ...paired };
    } catch (error) {
      return { refused: error.message };
    }
    await this.#storage.set({ identity: this.#identity });
    this.#connection.renew();
    return { paired: true };
  }

  /** What popup and pairing page show. */
  get state() {
    if (this.#executor === null) {
      return { problem: this.#problem ?? "Starting." };
    }
    return {
      problem: null,
      gateway: new URL(this.#config.gatewayUrl).host,
      sites: [...this.#config.siteOrigins],
      isPaired: Boolean(this.#identity.token),
      account: this.#identity.account,
      connection: this.#connection.state,
      lastBye: this.#connection.lastBye,
      role: this.#role,
      session: this.#executor.session,
      work: this.#executor.work,
    };
  }

  #tellPages() {
    for (const port of this.#pages) {
      port.postMessage({ state: this.state });
    }
  }
}

function clientName() {
  const brand = navigator.userAgentData?.brands.find(({ brand: name }) => !/not.*brand/i.test(name))?.brand;
  return `${brand ?? "Browser"} on ${navigator.userAgentData?.platform ?? "an unknown system"}`;
}

// Listeners are added before anything is awaited: an event that woke this worker is delivered only then.
const browser = new Browser();
const started = browser.start();

chrome.runtime.onConnect.addListener((port) => {
  void started.then(() => (port.name === "tab" ? browser.addTab(port) : browser.addPage(port)));
});
chrome.alarms.onAlarm.addListener(() => void started.then(() => browser.wake()));
chrome.runtime.onStartup.addListener(() => void started.then(() => browser.wake()));
chrome.runtime.onInstalled.addListener(({ reason }) => {
  if (reason === "install") {
    void chrome.runtime.openOptionsPage();
  }
});
void chrome.alarms.create("wake", { periodInMinutes: WAKE_MINUTES });
