// Where one buyer stands in a waiting room, worked out from what the server tells: the stage to be
// shown, the people before them, how far the line has come, how long it may still take. Pure: knows
// frames and times; no socket, no words, no page.

/** What there is to be shown. */
export const Stage = Object.freeze({
  SCHEDULED: "scheduled", // announced, nobody is taken in yet
  JOINING: "joining", // asked to be taken in, not answered yet
  GATHERING: "gathering", // in, the draw is still to come
  DRAWING: "drawing", // the draw is due, its result is not here yet
  WAITING: "waiting", // in line
  FULL: "full", // in line, which stands still: every place left is in a basket
  SOLD_OUT: "sold_out",
  LAPSED: "lapsed", // was let in, and the time is over
  BUSY: "busy", // the waiting room takes nobody more
});

const PACE_SMOOTHING_MS = 20_000;
const PACE_WINDOW_MS = 60_000; // what the server counts admissions over
const PACE_FROM_MS = 8_000; // after the draw, before which no pace can be told
const STEADY_SHARE = 0.12; // a wait keeps its words until it is this much outside of them
const MINUTE_MS = 60_000;

export class Standing {
  #pace = 0; // admitted a minute, smoothed; 0: unknown
  #heardMs = 0;
  #wait = null;

  /** `told` is the performance's room as the page was told over HTTP, or null. */
  constructor(told) {
    this.phase = told?.phase ?? "";
    this.opensMs = told?.opens_ms ?? 0;
    this.onSaleMs = told?.on_sale_ms ?? 0;
    this.commitment = told?.commitment ?? "";
    this.arrived = 0;
    this.front = 0;
    this.perMin = 0;
    this.available = -1;
    this.visitor = "";
    this.number = 0;
    this.place = -1;
    this.past = 0; // the number of the coming that is over, of which late frames may still tell
    this.lapsed = false;
    this.busy = false;
  }

  /** A "room" frame. */
  hear([, , phase, serverMs, opensMs, onSaleMs, arrived, front, perMin, available]) {
    if (onSaleMs !== this.onSaleMs && this.onSaleMs) this.leave(0); // another sale, another line
    Object.assign(this, { phase, opensMs, onSaleMs, arrived, front, perMin, available });
    this.#hearPace(serverMs);
  }

  /** Out of the line: that coming, the `past`th of all, is over. */
  leave(past) {
    Object.assign(this, { past, number: 0, place: -1, lapsed: false });
  }

  /** A "placed" frame; an older coming never counts over a newer one. */
  put([, , visitor, number, place]) {
    if (number < this.number || number <= this.past) return;
    Object.assign(this, { visitor, number, place, busy: false });
  }

  /** The stage at `nowMs` of the server's clock. */
  stage(nowMs) {
    if (this.lapsed) return Stage.LAPSED;
    if (this.busy) return Stage.BUSY;
    if (this.phase === "sold_out") return Stage.SOLD_OUT;
    if (this.phase === "scheduled") return nowMs < this.opensMs ? Stage.SCHEDULED : Stage.JOINING;
    if (!this.number) return Stage.JOINING;
    if (this.place >= 0) return this.phase === "full" ? Stage.FULL : Stage.WAITING;
    return nowMs < this.onSaleMs ? Stage.GATHERING : Stage.DRAWING;
  }

  /** People who are let in before this buyer; null before the draw. */
  get ahead() {
    return this.place < 0 ? null : Math.max(0, this.place - this.front);
  }

  /** How far the line has come towards this buyer, 0 to 1. */
  get share() {
    return this.place <= 0 ? 1 : Math.min(1, this.front / this.place);
  }

  /** Whether the places left may not be enough for those before this buyer. */
  get scarce() {
    return this.ahead !== null && this.available >= 0 && this.ahead >= this.available;
  }

  /** Minutes still to wait, rounded to what can honestly be said; null: cannot be told. */
  get waitMinutes() {
    if (this.ahead === null || !this.#pace) return null;
    const minutes = this.ahead / this.#pace;
    const rounded = roundWait(minutes);
    // No flicker between two words: what was said stays while it is still nearly true.
    const low = roundWait(minutes * (1 - STEADY_SHARE));
    const high = roundWait(minutes * (1 + STEADY_SHARE));
    if (this.#wait === null || this.#wait < low || this.#wait > high) this.#wait = rounded;
    return this.#wait;
  }

  #hearPace(serverMs) {
    const drawnMs = serverMs - this.onSaleMs;
    if (this.phase !== "admitting" || drawnMs < PACE_FROM_MS) return;
    // Of the first minute only a part has been counted.
    const pace = (this.perMin * MINUTE_MS) / Math.min(PACE_WINDOW_MS, drawnMs);
    const weight = this.#pace ? 1 - Math.exp(-(serverMs - this.#heardMs) / PACE_SMOOTHING_MS) : 1;
    this.#pace += (pace - this.#pace) * weight;
    if (!this.perMin && this.#pace < 1) this.#pace = 0;
    this.#heardMs = serverMs;
  }
}

/** Minutes as people say them: 0 (under one), 1, 2 ... 10, 15, 20 ... 60, 90, 120 ...; Infinity beyond six hours. */
export function roundWait(minutes) {
  if (minutes < 1) return 0;
  if (minutes <= 10) return Math.ceil(minutes);
  if (minutes <= 60) return Math.ceil(minutes / 5) * 5;
  if (minutes <= 360) return Math.ceil(minutes / 30) * 30;
  return Infinity;
}
