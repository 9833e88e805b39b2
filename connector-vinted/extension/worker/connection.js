// The line to the gateway: hello, obey, connect again.

import { MALFORMED, MessageError, SUBPROTOCOL, VERSION, readMessage } from "./messages.js";

const PING_MILLISECONDS = 20_000;
const LEAST_WAIT_MILLISECONDS = 1_000;
const MOST_WAIT_MILLISECONDS = 60_000;
const OPEN_MILLISECONDS = 15_000;
// After these the gateway is of no use to this browser until a person does something.
const FINAL_REASONS = new Set(["UNAUTHORIZED", "VERSION_UNSUPPORTED", "REPLACED"]);

export class Connection {
  #gatewayUrl;
  #greeting;
  #onMessage;
  #onChange;
  #socket = null;
  #timer = null;
  #pings = null;
  #wait = LEAST_WAIT_MILLISECONDS;
  #notBefore = 0;
  #isOver = false;
  isWelcome = false;
  lastBye = null;

  /** `greeting()` returns hello without type and version; `onMessage` takes what comes after it. */
  constructor(gatewayUrl, { greeting, onMessage, onChange }) {
    this.#gatewayUrl = gatewayUrl;
    this.#greeting = greeting;
    this.#onMessage = onMessage;
    this.#onChange = onChange;
  }

  get state() {
    if (this.isWelcome) {
      return "CONNECTED";
    }
    return this.#socket === null ? "OFFLINE" : "CONNECTING";
  }

  /** Connects unless it does already, or was told to wait. */
  connect() {
    const isUseless = this.#isOver || FINAL_REASONS.has(this.lastBye);
    if (this.#socket !== null || isUseless || Date.now() < this.#notBefore) {
      return;
    }
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#gatewayUrl, [SUBPROTOCOL]);
    this.#socket = socket;
    const opening = setTimeout(() => socket.close(), OPEN_MILLISECONDS);
    socket.addEventListener("open", () => {
      this.#write({ type: "hello", version: VERSION, ...this.#greeting() });
      this.#pings = setInterval(() => this.#write({ type: "ping" }), PING_MILLISECONDS);
    });
    socket.addEventListener("message", (event) => this.#read(socket, event.data));
    socket.addEventListener("close", () => {
      clearTimeout(opening);
      this.#closed(socket);
    });
    this.#onChange();
  }

  /** Says something once the gateway has said welcome; before, and without a line, it is dropped. */
  send(message) {
    if (this.isWelcome) {
      this.#write(message);
    }
  }

  /** Ends the line for good, with a word. */
  leave(reason, message) {
    this.#write({ type: "bye", reason, message });
    this.#isOver = true;
    this.#socket?.close(1000, reason);
  }

  /** Connects at once, whatever the gateway said before: a person did something. */
  renew() {
    this.#isOver = false;
    this.lastBye = null;
    this.#notBefore = 0;
    this.#wait = LEAST_WAIT_MILLISECONDS;
    this.connect();
  }

  #write(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #read(socket, data) {
    let message;
    try {
      message = readMessage(data);
      if (!this.isWelcome && !["welcome", "bye"].includes(message.type)) {
        throw new MessageError(`${message.type} before welcome`);
      }
    } catch (error) {
      this.#write({ type: "bye", reason: "MALFORMED", message: error.message.slice(0, 500) });
      this.#hold(MOST_WAIT_MILLISECONDS);
      socket.close(MALFORMED, "MALFORMED");
      return;
    }
    if (message.type === "bye") {
      this.lastBye = message.reason;
      const least = message.reason === "MALFORMED" ? MOST_WAIT_MILLISECONDS : 0;
      this.#hold(Math.max(least, (message.retry_after_seconds ?? 0) * 1000));
    } else if (message.type === "welcome") {
      this.isWelcome = true;
      this.lastBye = null;
      this.#wait = LEAST_WAIT_MILLISECONDS;
    }
    this.#onMessage(message);
  }

  #hold(milliseconds) {
    this.#notBefore = Date.now() + milliseconds;
  }

  #closed(socket) {
    if (this.#socket !== socket) {
      return;
    }
    clearInterval(this.#pings);
    this.#socket = null;
    this.isWelcome = false;
    const wait = Math.max(this.#wait * (0.5 + Math.random() / 2), this.#notBefore - Date.now());
    this.#wait = Math.min(this.#wait * 2, MOST_WAIT_MILLISECONDS);
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#onMessage({ type: "closed" });
    this.#onChange();
  }
}

/** Exchanges the code that the seller was shown for {token, account}; throws an Error for people. */
export function pair(gatewayUrl, { code, clientId, clientName }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(gatewayUrl, [SUBPROTOCOL]);
    const opening = setTimeout(() => socket.close(), OPEN_MILLISECONDS);
    socket.addEventListener("open", () => {
      const greeting = { version: VERSION, code, client_id: clientId, client_name: clientName };
      socket.send(JSON.stringify({ type: "pair", ...greeting }));
    });
    socket.addEventListener("message", ({ data }) => {
      try {
        const message = readMessage(data);
        if (message.type === "paired") {
          resolve({ token: message.token, account: message.account });
        } else {
          reject(new Error(PAIRING_MESSAGES[message.reason] ?? `The gateway said ${message.reason}.`));
        }
      } catch (error) {
        reject(error);
      }
      socket.close(1000);
    });
    socket.addEventListener("close", () => {
      clearTimeout(opening);
      reject(new Error("The gateway cannot be reached. Try again in a moment."));
    });
  });
}

const PAIRING_MESSAGES = {
  PAIRING_REFUSED: "This code is wrong, too old or used already. Ask for a new one.",
  TOO_MANY_ATTEMPTS: "Too many attempts. Wait a few minutes.",
  VERSION_UNSUPPORTED: "This extension is too old: it has to be updated first.",
};
