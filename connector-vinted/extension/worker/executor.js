// Performs commands in a tab of the site, one at a time, and never one request id twice.

import { callOf, commandViolations, labelOf } from "./operations.js";
import { fetchPhoto } from "./photo.js";
import { Failure, answerFields, resultOf } from "./results.js";
import { Tabs } from "./tabs.js";

const OPEN_COMMANDS_MOST = 50;
// A tab that outlived the worker connects again within a second; then it says what it is about.
const CLAIM_MILLISECONDS = 4_000;
const LATE_ANSWER_MILLISECONDS = 60_000;
const STOPPING = new Set(["NO_SESSION", "CAPTCHA", "FORBIDDEN", "RATE_LIMITED"]);

export class Executor {
  #config;
  #memory;
  #storage;
  #send;
  #onChange;
  #queue = [];
  #current = null;
  #unclaimed = new Set();
  tabs;
  pauseReason = null;
  epoch = 0;
  isActive = false;

  /** `send` takes a message for the gateway and drops it while there is none. */
  constructor({ config, memory, storage, send, onChange }) {
    this.#config = config;
    this.#memory = memory;
    this.#storage = storage;
    this.#send = send;
    this.#onChange = onChange;
    this.tabs = new Tabs(config, {
      onChange: () => this.tellSession(),
      onClaim: (tab, requestId) => void this.#claim(tab, requestId),
    });
  }

  async load() {
    await this.#memory.load();
    this.pauseReason = (await this.#storage.get("pause")).pause ?? null;
    for (const entry of this.#memory.open.filter((one) => one.result === null)) {
      if (entry.is_sent) {
        this.#unclaimed.add(entry.request_id);
      } else {
        await this.#settle(entry, new Failure("INTERRUPTED", "The browser ended before the call.").fields());
      }
    }
    setTimeout(() => void this.#giveUpUnclaimed(), CLAIM_MILLISECONDS);
  }

  /** The session as hello and session say it. */
  get session() {
    const user = this.tabs.current?.user ?? null;
    return { ...this.#state(user), ...(user === null ? {} : { user }) };
  }

  #state(user) {
    if (this.pauseReason !== null) {
      return { state: "PAUSED", pause: this.pauseReason };
    }
    if (this.tabs.current === null) {
      return { state: "NO_TAB" };
    }
    return { state: user === null ? "SIGNED_OUT" : "READY" };
  }

  get openRequests() {
    return this.#memory.open.map((entry) => ({
      request_id: entry.request_id,
      epoch: entry.epoch,
      state: entry.result === null ? "RUNNING" : "ANSWERED",
    }));
  }

  /** What the popup shows of the work: {label, stage, waiting}. */
  get work() {
    const { label = null, stage = null } = this.#current ?? {};
    return { label, stage, waiting: this.#queue.length };
  }

  tellSession() {
    this.#send({ type: "session", session: this.session });
    this.#onChange();
  }

  sendKeptResults() {
    for (const entry of this.#memory.open.filter((one) => one.result !== null)) {
      this.#send(entry.result);
    }
  }

  /** Answers from memory, refuses at the door, or writes the id down and queues the command. */
  take(command) {
    const known = this.#memory.find(command.request_id);
    if (known !== undefined) {
      void this.#repeat(known, command);
      return;
    }
    const refusal = this.#refusal(command);
    if (refusal !== null) {
      this.#send(resultOf(command.request_id, command.epoch, refusal.fields()));
      return;
    }
    const entry = this.#memory.begin(command.request_id, command.epoch);
    const isKept = this.#memory
      .keep(entry)
      .then(() => this.#send({ type: "accepted", request_id: entry.request_id }));
    this.#queue.push({ command, entry, isKept });
    void this.#work();
  }

  async #repeat(entry, command) {
    entry.epoch = Math.max(entry.epoch, command.epoch);
    if (entry.is_acknowledged) {
      const forgotten = new Failure("FORGOTTEN", "The answer was acknowledged and is not kept.", true);
      this.#send(resultOf(entry.request_id, entry.epoch, forgotten.fields()));
    } else if (entry.result === null) {
      this.#send({ type: "accepted", request_id: entry.request_id });
    } else {
      entry.result.epoch = entry.epoch;
      this.#send(entry.result);
    }
    await this.#memory.keep(entry);
  }

  #refusal(command) {
    const wrong = commandViolations(command, this.#config.imageOrigins);
    if (wrong.length > 0) {
      return new Failure("NOT_ALLOWED", wrong.join("; "));
    }
    if (command.epoch < this.epoch) {
      return new Failure("STALE_EPOCH", `The epoch is ${this.epoch}.`);
    }
    if (!this.isActive) {
      return new Failure("NOT_ACTIVE", "Another browser performs this account's commands.");
    }
    if (this.pauseReason !== null) {
      return new Failure("PAUSED", `Paused: ${this.pauseReason}.`);
    }
    const unfinished = this.#queue.length + (this.#current === null ? 0 : 1);
    if (unfinished >= OPEN_COMMANDS_MOST || this.#memory.isFull) {
      return new Failure("BUSY", "Too many commands are open.");
    }
    return null;
  }

  async acknowledge(requestId) {
    await this.#memory.acknowledge(requestId);
  }

  /** Answers a command that has not begun; one that has is let go on. */
  cancel(requestId) {
    const position = this.#queue.findIndex(({ entry }) => entry.request_id === requestId);
    if (position >= 0) {
      const [{ entry }] = this.#queue.splice(position, 1);
      void this.#settle(entry, new Failure("CANCELLED", "Cancelled before it began.").fields());
    }
  }

  /** Stops: whatever has not begun is refused, until `resume`. */
  async pause(reason) {
    this.pauseReason = reason;
    const refused = this.#queue.splice(0);
    await this.#storage.set({ pause: reason });
    this.#send({ type: "pause", reason });
    this.tellSession();
    for (const { entry } of refused) {
      await this.#settle(entry, new Failure("PAUSED", `Paused: ${reason}.`).fields());
    }
  }

  async resume() {
    this.pauseReason = null;
    await this.#storage.remove("pause");
    this.#send({ type: "resume" });
    this.tellSession();
  }

  async #work() {
    while (this.#current === null && this.#queue.length > 0) {
      const { command, entry, isKept } = this.#queue.shift();
      this.#current = { label: labelOf(command.operation), stage: null };
      this.#onChange();
      try {
        await isKept;
        await this.#perform(command, entry);
      } finally {
        this.#current = null;
        this.#onChange();
      }
    }
  }

  async #perform(command, entry) {
    const startedTime = new Date().toISOString();
    let fields;
    try {
      fields = answerFields(await this.#call(command, entry));
    } catch (error) {
      fields = failureOf(error, entry).fields();
    }
    await this.#settleAndStop(entry, fields, startedTime);
  }

  async #settleAndStop(entry, fields, startedTime) {
    const reason = fields.outcome === "ANSWERED" ? fields.error?.kind : undefined;
    if (STOPPING.has(reason)) {
      // Before anything is written or said: no other call may begin meanwhile.
      this.pauseReason = reason;
    }
    await this.#settle(entry, fields, startedTime);
    if (STOPPING.has(reason)) {
      await this.pause(reason);
    }
  }

  async #call(command, entry) {
    const tab = this.tabs.current;
    if (tab === null) {
      throw new Failure("NO_TAB", "No tab of the site is open.");
    }
    if (tab.user === null) {
      throw new Failure("NO_SESSION", "Nobody is signed in.");
    }
    const signal = AbortSignal.timeout(command.timeout_seconds * 1000);
    let photo;
    if (command.operation === "upload_photo") {
      this.#progress(entry, "FETCHING_PHOTO");
      photo = await fetchPhoto(command.parameters, signal);
    }
    this.#progress(entry, "CALLING");
    entry.is_sent = true;
    await this.#memory.keep(entry);
    return await withSignal(tab.perform(entry.request_id, callOf(command, photo)), signal, () =>
      tab.abort(entry.request_id),
    );
  }

  #progress(entry, stage) {
    this.#current.stage = stage;
    this.#send({ type: "progress", request_id: entry.request_id, stage });
    this.#onChange();
  }

  async #settle(entry, fields, startedTime) {
    entry.result = resultOf(entry.request_id, entry.epoch, fields, startedTime);
    await this.#memory.keep(entry);
    this.#send(entry.result);
  }

  /** Takes up a call from before this worker started, whose tab still knows it. */
  async #claim(tab, requestId) {
    if (!this.#unclaimed.delete(requestId)) {
      return;
    }
    const entry = this.#memory.find(requestId);
    const signal = AbortSignal.timeout(LATE_ANSWER_MILLISECONDS);
    let fields;
    try {
      fields = answerFields(await withSignal(tab.await(requestId), signal, () => tab.abort(requestId)));
    } catch (error) {
      fields = failureOf(error, entry).fields();
    }
    await this.#settleAndStop(entry, fields);
  }

  async #giveUpUnclaimed() {
    for (const requestId of this.#unclaimed) {
      this.#unclaimed.delete(requestId);
      const failure = new Failure("INTERRUPTED", "The browser ended meanwhile.", true);
      await this.#settle(this.#memory.find(requestId), failure.fields());
    }
  }
}

function failureOf(error, entry) {
  if (error instanceof Failure) {
    return error;
  }
  if (error?.name === "TimeoutError") {
    return new Failure("TIMEOUT", "The time was up.", entry.is_sent);
  }
  console.error(error);
  return new Failure("INTERRUPTED", `Unexpected: ${error?.name}.`, entry.is_sent);
}

/** Returns the promise's value, or throws the signal's reason when that comes first. */
function withSignal(promise, signal, onAbort) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => {
      onAbort();
      reject(signal.reason);
    });
    promise.then(resolve, reject);
  });
}
