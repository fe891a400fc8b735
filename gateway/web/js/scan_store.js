// What a scanner keeps through reloads, dead batteries and lost networks: who it is, the door lists,
// what it let through, and the scans that it has not sent. IndexedDB; what must not be lost is
// written strictly, before anybody is shown an answer. Knows no rule and no network.

import { Unreachable } from "./api.js";

const PATIENCE_MS = 3_000;
const OWNED_WITHIN_MS = 1_500;
const NAME = "strapontin.doors";
const STRICT = { durability: "strict" };

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** It cannot be kept: no room, or the browser will not. */
export class NotKept extends Error {}

const committed = (transaction) => new Promise((resolve, reject) => {
  transaction.oncomplete = () => resolve();
  transaction.onabort = transaction.onerror = () => reject(new NotKept(String(transaction.error)));
});

/**
 * Promises whether this page alone has the memory from now on: of two pages of one browser each would
 * let the same ticket in. `take` takes it from the page that has it, which hears of it by `onLost`.
 */
export function ownMemory(take, onLost) {
  if (!navigator.locks) return Promise.resolve(true); // not a secure page: it can do nothing alone
  return new Promise((resolve) => {
    const how = take ? { steal: true } : { signal: AbortSignal.timeout(OWNED_WITHIN_MS) };
    let owned = false;
    navigator.locks.request(NAME, how, () => {
      owned = true;
      resolve(true);
      return new Promise(() => {});
    }).catch(() => (owned ? onLost() : resolve(false)));
  });
}

export class Store {
  #database;

  static async open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore("meta");
      database.createObjectStore("lists");
      database.createObjectStore("used");
      database.createObjectStore("kept", { keyPath: "sequence" });
    };
    const store = new Store();
    store.#database = await done(request);
    // Else a phone that is short of room throws away what was not sent.
    navigator.storage?.persist?.();
    return store;
  }

  read(key) {
    return done(this.#database.transaction("meta").objectStore("meta").get(key));
  }

  async write(key, value) {
    const transaction = this.#database.transaction("meta", "readwrite", STRICT);
    transaction.objectStore("meta").put(value, key);
    await committed(transaction);
  }

  /**
   * What `ask` promises, and what it promised last where nobody answers; a house that is only slow
   * is not waited for long where there is something to go on with.
   */
  async remembered(key, ask) {
    const known = await this.read(key);
    const asked = ask().then(async (told) => {
      await this.write(key, told);
      return told;
    });
    if (known === undefined) return asked;
    asked.catch(() => {}); // what is known stands in for it
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, known));
    return Promise.race([asked.catch((error) => {
      if (error instanceof Unreachable) return known;
      throw error;
    }), late]);
  }

  /**
   * The next number of this device's scans, never given twice. The first is the time of day in
   * milliseconds: a browser whose memory was wiped goes on above what it used before.
   */
  async nextSequence() {
    const transaction = this.#database.transaction("meta", "readwrite", STRICT);
    const meta = transaction.objectStore("meta");
    const next = ((await done(meta.get("sequence"))) ?? Date.now()) + 1;
    meta.put(next, "sequence");
    await committed(transaction);
    return next;
  }

  /** {listed, used: Map} of a performance, or null. */
  async list(performance) {
    const transaction = this.#database.transaction(["lists", "used"]);
    const range = IDBKeyRange.bound([performance, 0], [performance, Infinity]);
    const used = transaction.objectStore("used");
    const [listed, keys, uses] = await Promise.all([
      done(transaction.objectStore("lists").get(performance)), done(used.getAllKeys(range)), done(used.getAll(range)),
    ]);
    return listed ? { listed, used: new Map(keys.map(([, ticket], at) => [ticket, uses[at]])) } : null;
  }

  /** Keeps a list as `Doors` has it: `changed` are the tickets whose use is another now. */
  async keepList(doors, changed) {
    const { performance } = doors.listed;
    const transaction = this.#database.transaction(["lists", "used"], "readwrite", STRICT);
    transaction.objectStore("lists").put(
      { ...doors.listed, first: 1, places: doors.places, sections: doors.sections }, performance);
    const used = transaction.objectStore("used");
    for (const ticket of changed) {
      const use = doors.used.get(ticket);
      if (use) used.put(use, [performance, ticket]);
      else used.delete([performance, ticket]);
    }
    await committed(transaction);
  }

  /** Keeps one ticket's use, and the scan to be sent where there is one, both or neither. */
  async keep(performance, ticket, use, scan) {
    const transaction = this.#database.transaction(["used", "kept"], "readwrite", STRICT);
    if (use) transaction.objectStore("used").put(use, [performance, ticket]);
    if (scan) transaction.objectStore("kept").put(scan);
    await committed(transaction);
  }

  /** Scans not sent yet, the oldest first. */
  kept(most) {
    return done(this.#database.transaction("kept").objectStore("kept").getAll(null, most));
  }

  keptCount() {
    return done(this.#database.transaction("kept").objectStore("kept").count());
  }

  /** A scan was sent; or is to be sent as another one. */
  async settle(sequence, instead = null) {
    const transaction = this.#database.transaction("kept", "readwrite", STRICT);
    transaction.objectStore("kept").delete(sequence);
    if (instead) transaction.objectStore("kept").put(instead);
    await committed(transaction);
  }
}
