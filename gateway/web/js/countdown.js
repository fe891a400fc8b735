// The time left to a hold, shown every second and said aloud when it matters. Knows when it ends,
// by the server's clock; not what ends.

import { announce } from "./announce.js";
import { plural } from "./i18n.js";

const ANNOUNCED_MS = [5 * 60_000, 60_000];

export class Countdown {
  #timer = 0;
  #endMs = 0;
  #beganMs = 0;
  #lastMs = Infinity;

  /** `now()` is the server's time; `show(text, share, urgent)` is called every second, or with "". */
  constructor(now, show) {
    this.now = now;
    this.show = show;
  }

  /** Counts to `endMs` from now on; 0 stops. */
  until(endMs) {
    if (endMs === this.#endMs) return;
    this.#endMs = endMs;
    this.#beganMs = this.now();
    this.#lastMs = Infinity;
    clearTimeout(this.#timer);
    if (endMs) this.#tick();
    else this.show("", 0, false);
  }

  #tick() {
    const leftMs = Math.max(0, this.#endMs - this.now());
    for (const mark of ANNOUNCED_MS) {
      if (this.#lastMs > mark && leftMs <= mark && this.#lastMs !== Infinity) {
        announce(plural("web.countdown.left", Math.round(mark / 60_000)));
      }
    }
    this.#lastMs = leftMs;
    const share = leftMs / Math.max(1, this.#endMs - this.#beganMs);
    this.show(minutesAndSeconds(leftMs), share, leftMs <= ANNOUNCED_MS[1]);
    // Ticks fall just after the full second, so that none is shown twice or left out.
    if (leftMs > 0) this.#timer = setTimeout(() => this.#tick(), (leftMs % 1000) + 15);
  }
}

/** 872000 -> "14:32" */
export function minutesAndSeconds(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
