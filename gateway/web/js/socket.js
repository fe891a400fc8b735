// The websocket to the gateway: says hello, watches, asks, and survives every loss of the line.
//
// Owns the connection's life: back-off with jitter, watching again from where each feed stands,
// sending unanswered commands again with the same id (the server decides an id once), waiting out
// "shed", and the server's clock. Knows nothing of seats and places in line: the frames of feeds and
// waiting rooms are handed on as they are.
//
// Events: "state" (detail: "connecting" | "open" | "retrying"), "feed", "room", "placed" and
// "admitted" (a frame), "lost" ({performance, token}), "fault" ({code, detail}: a frame without an id
// could not be served).

import { encode, decode } from "./msgpack.js";

export const RETRY_FIRST_MS = 300;
export const RETRY_MOST_MS = 10_000;
export const PING_EVERY_MS = 20_000;
export const PONG_WITHIN_MS = 8_000;
export const MAX_UNANSWERED = 64;

/** More commands are waiting for an answer than a person can have meant. */
export class TooManyUnanswered extends Error {}

/** The server could not serve this frame, and will not: `code` is stable. */
export class Faulted extends Error {
  constructor(code, detail) {
    super(detail);
    this.code = code;
  }
}

export class Connection extends EventTarget {
  #socket = null;
  #state = "connecting";
  #stopped = false;
  #welcomed = false;
  #attempt = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #pongTimer = 0;
  #pings = 0;
  #pingSentMs = 0;
  #offsetMs = 0;
  #watched = new Map(); // performance -> () => [epoch, seq]
  #queued = new Map(); // performance -> () => admission
  #unanswered = new Map(); // id as hex -> {frame, resolve, reject, timer}

  /**
   * `url` of the socket; `token(refused)` promises the bearer token, a fresh one when the last
   * was refused; `environment` replaces the browser's parts in tests.
   */
  constructor(url, token, language, environment = {}) {
    super();
    this.url = url;
    this.token = token;
    this.language = language;
    this.makeSocket = environment.makeSocket ?? ((address) => new WebSocket(address));
    this.random = environment.random ?? Math.random;
    this.now = environment.now ?? Date.now;
    this.setTimer = environment.setTimer ?? ((work, ms) => setTimeout(work, ms));
    this.clearTimer = environment.clearTimer ?? ((timer) => clearTimeout(timer));
  }

  get state() {
    return this.#state;
  }

  /** Unix milliseconds by the server's clock, as well as it is known. */
  serverNow() {
    return this.now() + this.#offsetMs;
  }

  start() {
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.addEventListener?.("offline", this.#dropped);
    this.#connect(false);
  }

  stop() {
    this.#stopped = true;
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.removeEventListener?.("offline", this.#dropped);
    this.clearTimer(this.#retryTimer);
    this.#forget()?.close();
  }

  /** Keeps watching a performance; `position()` tells [epoch, seq] whenever asked. */
  watch(performance, position) {
    this.#watched.set(performance, position);
    this.rewatch(performance);
  }

  /** Asks for the feed again from where it stands: a gap was found. */
  rewatch(performance) {
    if (this.#welcomed) this.#send(["watch", performance, ...this.#watched.get(performance)()]);
  }

  /** Watches a performance no longer. */
  unwatch(performance) {
    if (this.#watched.delete(performance) && this.#welcomed) this.#send(["unwatch", performance]);
  }

  /** Stands in a performance's waiting room, on every line to come too; `admission()` tells the token, or "". */
  queue(performance, admission) {
    this.#queued.set(performance, admission);
    if (this.#welcomed) this.#send(["queue", performance, admission()]);
  }

  /** Comes back to the waiting room no more. */
  unqueue(performance) {
    this.#queued.delete(performance);
  }

  /**
   * Sends ["kind", id, ...rest] and promises its outcome array. Resolves only with a decision:
   * through lost lines and shed load the same id is sent again. Rejects TooManyUnanswered, or
   * Faulted when the server can make nothing of the frame.
   */
  ask(kind, ...rest) {
    return this.askAs(crypto.getRandomValues(new Uint8Array(16)), kind, ...rest);
  }

  /** The same under an id that the caller has kept, so that it may ask again after a reload. */
  askAs(id, kind, ...rest) {
    if (this.#unanswered.size >= MAX_UNANSWERED) return Promise.reject(new TooManyUnanswered());
    return new Promise((resolve, reject) => {
      const frame = [kind, id, ...rest];
      this.#unanswered.set(hex(id), { frame, resolve, reject, timer: 0 });
      if (this.#welcomed) this.#send(frame);
    });
  }

  /** Asks this no more, on any line; it may have been decided all the same, and nobody will say. */
  withdraw(id) {
    this.clearTimer(this.#unanswered.get(hex(id))?.timer);
    this.#unanswered.delete(hex(id));
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell("state", state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async #connect(refused) {
    let token;
    try {
      token = await this.token(refused);
    } catch {
      this.#retry();
      return;
    }
    if (this.#stopped) return;
    const socket = this.makeSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    // An address whose machine is gone answers nothing at all, for minutes.
    this.#pongTimer = this.setTimer(this.#dropped, PONG_WITHIN_MS);
    socket.onopen = () => this.#send(["hello", token, this.language]);
    socket.onmessage = (message) => {
      if (socket === this.#socket) this.#received(decode(new Uint8Array(message.data)));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#dropped();
    };
  }

  /** Lets go of the socket and its timers, and returns it. */
  #forget() {
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomed = false;
    this.clearTimer(this.#pingTimer);
    this.clearTimer(this.#pongTimer);
    for (const waiting of this.#unanswered.values()) this.clearTimer(waiting.timer);
    return socket;
  }

  #dropped = () => {
    this.#forget()?.close();
    this.#retry();
  };

  #retry(refused = false) {
    if (this.#stopped) return;
    this.#setState("retrying");
    // Full jitter: a thousand pages that lost one gateway must not come back in step.
    const ceiling = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    this.clearTimer(this.#retryTimer);
    this.#retryTimer = this.setTimer(() => this.#connect(refused), ceiling * (0.5 + this.random() / 2));
  }

  #hurry = () => {
    if (this.#socket) return;
    this.clearTimer(this.#retryTimer);
    this.#attempt = 0;
    this.#connect(false);
  };

  #send(frame) {
    this.#socket.send(encode(frame));
  }

  #received(frame) {
    switch (frame[0]) {
      case "welcome": return this.#greeted(frame);
      case "reply": return this.#answered(frame[1], frame[2]);
      case "shed": return this.#shed(frame[1], frame[3]);
      case "snapshot":
      case "delta": return this.#tell("feed", frame);
      case "room":
      case "placed":
      case "admitted": return this.#tell(frame[0], frame);
      case "lost": return this.#tell("lost", { performance: frame[1], token: frame[2] });
      case "pong": return this.#ponged(frame);
      case "error": return this.#faulted(frame[1], frame[2], frame[3]);
      default: return undefined; // a frame of a later protocol: not for us
    }
  }

  #greeted([, , , , serverMs]) {
    this.clearTimer(this.#pongTimer);
    this.#welcomed = true;
    this.#attempt = 0;
    this.#offsetMs = serverMs - this.now();
    // The waiting room first: what is asked again below may need to be let in.
    for (const [performance, admission] of this.#queued) this.#send(["queue", performance, admission()]);
    for (const performance of this.#watched.keys()) this.rewatch(performance);
    for (const { frame } of this.#unanswered.values()) this.#send(frame);
    this.#pingTimer = this.setTimer(this.#ping, PING_EVERY_MS);
    this.#setState("open");
  }

  #answered(id, outcome) {
    const waiting = this.#unanswered.get(hex(id));
    if (!waiting) return;
    this.#unanswered.delete(hex(id));
    waiting.resolve(outcome);
  }

  #shed(id, retryMs) {
    const waiting = this.#unanswered.get(hex(id));
    if (!waiting) return;
    const delay = retryMs * (1 + this.random() / 2);
    waiting.timer = this.setTimer(() => {
      if (this.#welcomed && this.#unanswered.has(hex(id))) this.#send(waiting.frame);
    }, delay);
  }

  #ping = () => {
    this.#pings += 1;
    this.#pingSentMs = this.now();
    this.#send(["ping", this.#pings]);
    this.#pongTimer = this.setTimer(this.#dropped, PONG_WITHIN_MS);
    this.#pingTimer = this.setTimer(this.#ping, PING_EVERY_MS);
  };

  #ponged([, number, serverMs]) {
    if (number !== this.#pings) return;
    this.clearTimer(this.#pongTimer);
    this.#offsetMs = serverMs - (this.#pingSentMs + this.now()) / 2;
  }

  #faulted(code, detail, id) {
    const waiting = id?.length && this.#unanswered.get(hex(id));
    if (waiting) {
      this.#unanswered.delete(hex(id));
      waiting.reject(new Faulted(code, detail));
      return;
    }
    if (this.#welcomed) {
      this.#tell("fault", { code, detail });
      return;
    }
    // Refused before the welcome: the token is of no use any more.
    this.#forget()?.close();
    this.#retry(true);
  }
}

/** Lower-case hexadecimal of bytes. */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of a hexadecimal text. */
export function unhex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
