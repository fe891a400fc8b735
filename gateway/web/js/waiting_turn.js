// The turn itself: the curtain that opens over the house, and the line that says how long the buyer
// may choose. Knows until when, by the server's clock.

import { announce } from "./announce.js";
import { minutesAndSeconds } from "./countdown.js";
import { byId, h, icon, setText } from "./dom.js";
import { plural, t } from "./i18n.js";

const ALOUD_MIN = [5, 2, 1];
const URGENT_MS = 120_000;

/** Opens the curtain over the house; where motion is not wanted it is just not there any more. */
export function openCurtain() {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const house = document.querySelector(".house");
  const drapes = ["left", "right"].map((side) => h(`div.drape.${side}`, { "aria-hidden": "true" }));
  house.append(...drapes);
  for (const drape of drapes) drape.addEventListener("animationend", () => drape.remove());
}

export class TurnLine {
  #timer = 0;
  #endMs = 0;
  #lastMs = 0;

  /** `now()` is the server's time; `ended()` is called once when the time is over. */
  constructor(now, ended) {
    this.now = now;
    this.ended = ended;
    this.text = h("span", {});
    this.root = h("p.turn", { id: "turn", hidden: true }, icon("clock"), this.text);
    byId("when").parentElement.after(this.root);
  }

  /** Counts to `endMs`; 0: no line at all. */
  until(endMs) {
    if (endMs === this.#endMs) return;
    clearTimeout(this.#timer);
    this.#endMs = endMs;
    this.#lastMs = endMs - this.now();
    this.root.hidden = !endMs;
    this.root.classList.remove("over");
    if (endMs) this.#tick();
  }

  #tick() {
    const leftMs = Math.max(0, this.#endMs - this.now());
    const mark = ALOUD_MIN.find((min) => this.#lastMs > min * 60_000 && leftMs <= min * 60_000);
    if (mark) announce(plural("web.queue.turn.aloud", mark));
    this.#lastMs = leftMs;
    this.root.classList.toggle("urgent", leftMs > 0 && leftMs <= URGENT_MS);
    if (leftMs > 0) {
      setText(this.text, t("web.queue.turn.left", { time: minutesAndSeconds(leftMs) }));
      this.#timer = setTimeout(() => this.#tick(), (leftMs % 1000) + 15);
    } else {
      this.root.classList.add("over");
      setText(this.text, t("web.queue.turn.over"));
      this.ended();
    }
  }
}
