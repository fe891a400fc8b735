// What happens to a ticket that was read: asked of the house while it answers, judged here while it
// does not, kept, and sent later exactly once. Owns the order of these. Knows no camera and no screen.
//
// Every scan has a number that is never used again, and an id made of it. A scan that was asked and
// not answered in time is judged here and sent later under the same id: where the house had decided
// it after all, it says "id_reused", and repeats its answer when asked as before.
//
// Events: "kept" (how many are not sent), "conflict" (the scan that let a ticket in twice), "listed" (the
// doors' list is a newer one), "revoked".

import { Doors } from "./scan_judge.js";
import { isShortNumber, proves, publicKey, readSecret } from "./scan_secret.js";
import { NotKept } from "./scan_store.js";
import { Faulted, hex, unhex } from "./socket.js";

export const PATIENCE_MS = 2_500;
export const SYNC_MS = 30_000;
export const MAX_KEPT = 20_000;
const SENT_AT_ONCE = 32;
const BUSY_MS = 2_000;
const MAX_SECRET_CHARS = 200;

export class Desk extends EventTarget {
  #store;
  #connection;
  #api;
  #lane;
  #doors = null;
  #key = null;
  #sending = false;
  #syncing = null;
  #offsetMs = 0;
  #closed = false;
  #fresh = new Map(); // how tickets are used that were decided here since the list was asked for last
  #stuck = new Set(); // scans that the house would not take on this line

  /** `api` has doorList(performance, since, first, kept). Begins once the connection is started. */
  static async open(store, connection, api) {
    const desk = new Desk();
    desk.#store = store;
    desk.#connection = connection;
    desk.#api = api;
    desk.#lane = await store.read("lane");
    if (!desk.#lane) {
      desk.#lane = hex(crypto.getRandomValues(new Uint8Array(16)));
      await store.write("lane", desk.#lane);
    }
    desk.#offsetMs = (await store.read("offset")) ?? 0;
    desk.keptCount = await store.keptCount();
    connection.addEventListener("state", () => desk.#stateChanged());
    return desk;
  }

  /** Whether the house answers, and has heard of everything that was decided here. */
  get live() {
    return this.#connection.state === "open" && this.keptCount === this.#stuck.size;
  }

  /** Judges nothing alone from now on: this is not a device any more, or another page is it. */
  close() {
    this.#closed = true;
  }

  /** Unix milliseconds by the house's clock, as well as it was ever known. */
  nowMs() {
    return Date.now() + this.#offsetMs;
  }

  /** The gates of the performance, once a list is known. */
  get gates() {
    return this.#doors?.listed.gates ?? [];
  }

  /** Whether tickets can be judged while nobody answers. */
  get canBeAlone() {
    return this.#doors !== null && this.#key !== null;
  }

  /** When the house told last what is known of the doors here; 0: never. */
  get listedMs() {
    return this.#doors?.listed.told_ms ?? 0;
  }

  /** Opens a performance with what is kept of it, and asks for what is new. */
  async choose(performance, gate) {
    this.performance = performance;
    this.gate = gate;
    this.#doors = this.#key = null;
    const kept = await this.#store.list(performance);
    if (kept) {
      this.#doors = new Doors({ ...kept.listed, used: {} });
      this.#doors.used = kept.used;
      this.#key = await publicKey(kept.listed.public_key);
    }
    await this.sync();
  }

  /** Asks for what changed at the doors; quiet when nobody answers. */
  sync() {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = null;
    });
    return this.#syncing;
  }

  async #sync() {
    const { performance } = this;
    this.#fresh.clear();
    const since = this.#doors?.listed.seq ?? 0;
    const first = (this.#doors?.places.length ?? 0) + 1;
    let told;
    try {
      told = await this.#api.doorList(performance, since, first, this.keptCount);
    } catch (error) {
      if (error.status === 401) this.#tell("revoked");
      return;
    }
    if (performance !== this.performance) return;
    told.told_ms = this.nowMs();
    // A whole list knows nothing of what was not told from here, or was decided while it came.
    const unheard = told.whole ? await this.#store.kept(MAX_KEPT) : [];
    const before = new Map(this.#doors?.used);
    if (this.#doors) this.#doors.update(told);
    else this.#doors = new Doors(told);
    for (const scan of unheard) this.#noteAgain(scan);
    for (const [ticket, use] of this.#fresh) this.#doors.used.set(ticket, use);
    // A relay tells everything every time: what is written down is what is new.
    await this.#store.keepList(this.#doors, changes(before, this.#doors.used));
    this.#key ??= await publicKey(told.public_key);
    this.#tell("listed");
  }

  #note(doors, ticket, result, atMs, gate) {
    const use = doors.note(ticket, result === "ADMITTED", atMs, gate);
    this.#fresh.set(ticket, use);
    return use;
  }

  #noteAgain(scan) {
    const claim = readSecret(scan.secret);
    if (scan.performance !== this.performance || !claim || !passes(scan.result)) return;
    this.#doors.note(claim.ticket, scan.result === "ADMITTED", scan.scanned_ms, scan.gate);
  }

  /**
   * Presents what was read. Promises {result, ticket, seat, area, usedAtMs, usedGate, live}, or
   * {trouble}: "network" (only the house can tell), "list" (nothing is known of the doors), "full"
   * (too many scans wait to be sent), "memory" (it cannot be kept here), or the code of a refusal.
   */
  async present(text, mode) {
    try {
      return await this.#present(text.trim().slice(0, MAX_SECRET_CHARS), mode);
    } catch (error) {
      if (!(error instanceof NotKept)) throw error;
      return { trouble: "memory" };
    }
  }

  async #present(secret, mode) {
    const sequence = await this.#store.nextSequence();
    const atMs = this.nowMs();
    const asked = this.live;
    if (asked) {
      const told = await this.#ask(sequence, secret, mode);
      if (told) return told;
    }
    return this.#alone({ sequence, performance: this.performance, secret, gate: this.gate, mode, asked }, atMs);
  }

  /**
   * The turnstile did not turn: takes back that somebody went in (or out). Promises {mode}, that of what
   * was taken back, or {trouble}. `id` is the caller's: asked again under it, it is taken back once.
   */
  async undo(id, ticket) {
    const outcome = await this.#patiently(id, "undo_scan", this.performance, ticket, this.gate);
    if (outcome === null) return { trouble: "network" };
    if (outcome[0] !== "undone") return { trouble: outcome[1] };
    await this.sync();
    return { mode: outcome[2] };
  }

  /** The outcome; ["refused", code] for what the house will not serve; null when it does not answer. */
  async #patiently(id, ...frame) {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, null);
    });
    try {
      const outcome = await Promise.race([this.#connection.askAs(id, ...frame), late]);
      if (outcome === null) this.#connection.withdraw(id);
      return outcome;
    } catch (error) {
      if (!(error instanceof Faulted)) throw error;
      return ["refused", error.code];
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(sequence, secret, mode) {
    const { performance, gate } = this;
    const outcome = await this.#patiently(this.#idOf(sequence), "scan", performance, secret, gate, mode);
    if (outcome === null) return null;
    if (outcome[0] !== "scanned") return { trouble: outcome[1] };
    const [, result, ticket, seat, area, , , usedAtMs, usedGate] = outcome;
    if (mode !== "look_up" && passes(result) && this.#doors && this.performance === performance) {
      const use = this.#note(this.#doors, ticket, result, this.nowMs(), gate);
      // The house has decided, whether it can be kept here or not.
      await this.#store.keep(performance, ticket, use, null).catch(() => {});
    }
    return { result, ticket, seat, area, usedAtMs, usedGate, live: true };
  }

  async #alone(scan, atMs) {
    if (this.#closed) return { trouble: "closed" };
    if (!this.#doors) return { trouble: "list" };
    if (isShortNumber(scan.secret) || !this.#key) return { trouble: "network" };
    const claim = readSecret(scan.secret);
    const proven = claim !== null && (await proves(this.#key, claim));
    const judged = this.#doors.judge(proven ? claim : null, scan.gate, scan.mode, atMs);
    if (scan.mode !== "look_up") {
      if (this.keptCount >= MAX_KEPT) return { trouble: "full" };
      await this.#keep({ ...scan, scanned_ms: atMs, result: judged.result }, judged.ticket);
      this.#tell("kept");
      this.#send();
    }
    return { ...judged, live: false };
  }

  async #keep(scan, ticket) {
    const doors = this.#doors;
    const before = doors.used.get(ticket);
    // Noted at once, so that the same ticket read again meanwhile is refused.
    const use = passes(scan.result) ? this.#note(doors, ticket, scan.result, scan.scanned_ms, scan.gate) : null;
    this.keptCount += 1;
    try {
      await this.#store.keep(scan.performance, ticket, use, scan);
    } catch (error) {
      // What is not kept did not happen: nobody is shown an answer.
      this.keptCount -= 1;
      if (use) doors.restore(ticket, before);
      this.#fresh.delete(ticket);
      throw error;
    }
  }

  // What was kept is sent -----------------------------------------------------------

  #stateChanged() {
    if (this.#connection.state !== "open") return;
    this.#stuck.clear();
    this.#offsetMs = this.#connection.serverNow() - Date.now();
    this.#store.write("offset", this.#offsetMs);
    this.#send();
    if (this.performance !== undefined) this.sync();
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#connection.state === "open") {
        const all = await this.#store.kept(SENT_AT_ONCE + this.#stuck.size);
        const scans = all.filter((scan) => !this.#stuck.has(scan.sequence));
        if (!scans.length) return;
        await Promise.all(scans.map((scan) => this.#deliver(scan)));
        this.keptCount = await this.#store.keptCount();
        this.#tell("kept");
      }
    } finally {
      this.#sending = false;
    }
  }

  async #deliver(scan) {
    const id = this.#idOf(scan.sequence);
    const asked = [scan.performance, scan.secret, scan.gate, scan.mode];
    try {
      const outcome = await this.#connection.askAs(
        id, "kept_scan", ...asked, scan.sequence, scan.scanned_ms, scan.result);
      if (outcome[0] === "kept") {
        if (outcome[3]) this.#tell("conflict", scan);
        await this.#store.settle(scan.sequence);
      } else if (outcome[1] === "id_reused") {
        await this.#decidedBefore(scan, id, asked);
      } else {
        this.#stuck.add(scan.sequence);
        setTimeout(() => this.#unstick(scan.sequence), BUSY_MS);
      }
    } catch (error) {
      if (!(error instanceof Faulted)) throw error;
      this.#stuck.add(scan.sequence);
    }
  }

  /** The house knows this id: as the scan that was asked in vain, or of another device's making. */
  async #decidedBefore(scan, id, asked) {
    if (scan.asked) {
      const outcome = await this.#connection.askAs(id, "scan", ...asked);
      if (outcome[0] === "scanned") {
        await this.#store.settle(scan.sequence);
        return;
      }
    }
    const sequence = await this.#store.nextSequence();
    await this.#store.settle(scan.sequence, { ...scan, sequence, asked: false });
  }

  #unstick(sequence) {
    this.#stuck.delete(sequence);
    this.#send();
  }

  /** Sixteen bytes: half of them this browser's own, half the scan's number. */
  #idOf(sequence) {
    return unhex(this.#lane.slice(0, 16) + sequence.toString(16).padStart(16, "0"));
  }

  #tell(type, detail = this.keptCount) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The tickets that are used otherwise than before. */
function changes(before, after) {
  const differs = (ticket) => String(before.get(ticket)) !== String(after.get(ticket));
  return [...new Set([...before.keys(), ...after.keys()])].filter(differs);
}

const passes = (result) => result === "ADMITTED" || result === "EXITED";
