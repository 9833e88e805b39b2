// What this browser remembers of requests: written before anything is sent, kept until acknowledged and beyond.

const PREFIX = "request:";
const REMEMBERED_MILLISECONDS = 7 * 86_400_000;
const REMEMBERED_MOST = 1_000;
const UNACKNOWLEDGED_MOST = 200;

export class RequestMemory {
  #entries = new Map();
  #storage;
  #lastOrder = 0;

  constructor(storage) {
    this.#storage = storage;
  }

  async load() {
    const kept = await this.#storage.get(null);
    const entries = Object.entries(kept)
      .filter(([key]) => key.startsWith(PREFIX))
      .map(([, entry]) => entry)
      .sort((one, other) => one.order - other.order);
    for (const entry of entries) {
      this.#entries.set(entry.request_id, entry);
      this.#lastOrder = entry.order;
    }
  }

  find(requestId) {
    return this.#entries.get(requestId);
  }

  /** Entries without acknowledgement, in the order of their commands. */
  get open() {
    return [...this.#entries.values()].filter((entry) => !entry.is_acknowledged);
  }

  get isFull() {
    return this.open.length >= UNACKNOWLEDGED_MOST;
  }

  /** Remembers a request id at once, and returns its entry; `keep` must end before anything is sent. */
  begin(requestId, epoch) {
    this.#lastOrder += 1;
    const entry = {
      request_id: requestId,
      epoch,
      order: this.#lastOrder,
      time: Date.now(),
      is_sent: false,
      is_acknowledged: false,
      result: null,
    };
    this.#entries.set(requestId, entry);
    return entry;
  }

  async keep(entry) {
    await this.#storage.set({ [PREFIX + entry.request_id]: entry });
  }

  /** Forgets the answer and keeps the id; what never left the browser may be asked for again. */
  async acknowledge(requestId) {
    const entry = this.#entries.get(requestId);
    if (entry === undefined || entry.result === null) {
      return;
    }
    if (entry.result.outcome === "NOT_SENT") {
      await this.#forget([entry]);
    } else {
      entry.result = null;
      entry.is_acknowledged = true;
      await this.keep(entry);
    }
    const oldest = Date.now() - REMEMBERED_MILLISECONDS;
    const done = [...this.#entries.values()].filter((one) => one.is_acknowledged).reverse();
    await this.#forget(done.filter((one, position) => position >= REMEMBERED_MOST || one.time < oldest));
  }

  async #forget(entries) {
    for (const entry of entries) {
      this.#entries.delete(entry.request_id);
    }
    if (entries.length > 0) {
      await this.#storage.remove(entries.map((entry) => PREFIX + entry.request_id));
    }
  }
}
