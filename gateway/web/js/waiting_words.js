// The waiting room in words: times, waits, places, and which of them are worth being said aloud.
// Knows what is to be said and when it was last said; shows nothing.

import { announce } from "./announce.js";
import { plural, t } from "./i18n.js";
import { Stage } from "./waiting_state.js";

const DAY_MS = 24 * 3_600_000;
const COUNTED_ALOUD_MIN = [60, 30, 10, 5, 1];
const PLACES_ALOUD = [5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1];
const QUIET_MS = 20_000; // between two places said aloud
const SILENT_MOST_MS = 180_000; // then a place is said again without having passed a mark

/** 872000 -> "14:32", 7265000 -> "2:01:05", more than two days -> "3 days". */
export function countdownText(ms) {
  if (ms >= 2 * DAY_MS) return plural("web.queue.days", Math.round(ms / DAY_MS));
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** The same to be listened to: "15 minutes", "3 hours", "3 days". */
export function aloudText(ms) {
  const minutes = Math.max(1, Math.ceil(ms / 60_000));
  if (minutes < 120) return plural("web.queue.minutes", minutes);
  return ms < 2 * DAY_MS ? plural("web.queue.hours", Math.round(minutes / 60)) : countdownText(ms);
}

/** The wait in words, for the minutes of `Standing.waitMinutes`. */
export function waitText(minutes) {
  if (minutes === null) return t("web.queue.wait.unknown");
  if (minutes === 0) return t("web.queue.wait.soon");
  if (minutes === Infinity) return t("web.queue.wait.long");
  return minutes < 60 ? plural("web.queue.wait.minutes", minutes) : plural("web.queue.wait.hours", minutes / 60);
}

/** The head of the browser tab, which is read from the corner of an eye. */
export function tabTitle(standing, stage, nowMs) {
  const { ahead } = standing;
  switch (stage) {
    case Stage.WAITING:
    case Stage.FULL: return ahead ? plural("web.queue.tab.ahead", ahead) : t("web.queue.next");
    case Stage.SOLD_OUT: return t("web.queue.sold_out.figure");
    case Stage.LAPSED: return t("web.queue.lapsed.figure");
    case Stage.GATHERING: {
      const minutes = Math.ceil((standing.onSaleMs - nowMs) / 60_000);
      return minutes <= 60 ? plural("web.queue.tab.draw", minutes) : t("web.queue.name");
    }
    default: return t("web.queue.name");
  }
}

/** Says aloud what changed for the buyer, and not what merely moved. */
export class Herald {
  #stage = "";
  #leftMin = Infinity;
  #ahead = Infinity;
  #saidMs = 0;
  #scarce = false;

  /** `said` is what the stage is in words; called as often as the view is shown. */
  tell(standing, stage, said, nowMs) {
    if (stage !== this.#stage) {
      this.#stage = stage;
      this.#leftMin = leftMinutes(standing, stage, nowMs);
      this.#say(said, standing, nowMs);
    } else if (stage === Stage.GATHERING || stage === Stage.SCHEDULED) {
      this.#count(standing, stage, nowMs);
    } else if (stage === Stage.WAITING && this.#isWorthSaying(standing, nowMs)) {
      this.#say(said, standing, nowMs);
    }
  }

  #say(text, standing, nowMs) {
    this.#ahead = standing.ahead ?? Infinity;
    this.#scarce = standing.scarce;
    this.#saidMs = nowMs;
    announce(text);
  }

  #count(standing, stage, nowMs) {
    const left = leftMinutes(standing, stage, nowMs);
    const passed = COUNTED_ALOUD_MIN.some((mark) => this.#leftMin > mark && left <= mark);
    this.#leftMin = left;
    if (!passed) return;
    const key = stage === Stage.GATHERING ? "web.queue.aloud.draw" : "web.queue.aloud.opens";
    announce(plural(key, Math.max(1, Math.round(left))));
  }

  #isWorthSaying(standing, nowMs) {
    const { ahead } = standing;
    if (ahead === this.#ahead && standing.scarce === this.#scarce) return false;
    if (ahead === 0 || (standing.scarce && !this.#scarce)) return true;
    const silentMs = nowMs - this.#saidMs;
    if (silentMs >= SILENT_MOST_MS) return true;
    return silentMs >= QUIET_MS && PLACES_ALOUD.some((mark) => this.#ahead > mark && ahead <= mark);
  }
}

function leftMinutes(standing, stage, nowMs) {
  return ((stage === Stage.GATHERING ? standing.onSaleMs : standing.opensMs) - nowMs) / 60_000;
}

