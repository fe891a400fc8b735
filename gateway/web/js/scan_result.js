// How an answer looks: colour, shape and words, each enough alone. Looking up admits nobody and never
// looks as if it did: its ground is blue whatever the answer.

import { byId, h } from "./dom.js";
import { ago, clock, has, longDate, t } from "./i18n.js";

const GOOD = new Set(["ADMITTED", "EXITED"]);
const WARN = new Set(["ALREADY_USED", "WRONG_GATE", "TOO_EARLY", "TOO_LATE", "UNPAID"]);
const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  good: ["M50 4a46 46 0 1 0 0 92a46 46 0 1 0 0-92z", "M27 52l16 17 31-36"],
  out: ["M50 4a46 46 0 1 0 0 92a46 46 0 1 0 0-92z", "M26 50h46M54 31l19 19-19 19"],
  warn: ["M50 6l46 84H4z", "M50 36v28M50 76v3"],
  bad: ["M30 4h40l26 26v40l-26 26H30L4 70V30z", "M33 33l34 34M67 33L33 67"],
  wait: ["M8 8h84v84H8z", "M30 50h40"],
};

/** "good" lets in, "warn" is worth a question, "bad" stays outside. */
export const lookOf = (result) => (GOOD.has(result) ? "good" : WARN.has(result) ? "warn" : "bad");

function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("class", "sign");
  svg.setAttribute("aria-hidden", "true");
  SHAPES[name].forEach((path, at) => {
    const drawn = document.createElementNS(SVG, "path");
    drawn.setAttribute("d", path);
    drawn.setAttribute("class", at ? "sign-mark" : "sign-ground");
    svg.append(drawn);
  });
  return svg;
}

/** `result` names what is shown: an outcome, a trouble's code, "undone", or "" while there is none. */
function show(result, look, lookUp, big, lines, sign = look) {
  const panel = byId("result");
  panel.dataset.result = result;
  panel.className = `result look-${look}${lookUp ? " looking-up" : ""}`;
  panel.replaceChildren(shape(sign), h("div.words", {},
    h("strong.big", {}, big), lines.filter(Boolean).map((line) => h("p", {}, line))));
}

/** An answer of `Desk.present`, now; `place` is its seat in words, or "". */
export function showAnswer(told, mode, place, gates, nowMs) {
  const look = lookOf(told.result);
  const lookUp = mode === "look_up";
  const valid = lookUp && told.result === "ADMITTED";
  const used = told.result === "ALREADY_USED" && told.usedAtMs;
  const gate = gates.find((one) => one.id === told.usedGate)?.name ?? told.usedGate;
  const today = used && longDate(told.usedAtMs) === longDate(nowMs);
  const when = used ? `${today ? "" : `${longDate(told.usedAtMs)} `}${clock(told.usedAtMs)}` : "";
  show(told.result, look, lookUp, valid ? t("web.scan.valid") : t(`outcome.scan.${told.result}`), [
    place,
    lookUp ? t("web.scan.not_admitted") : "",
    used ? t(gate ? "web.scan.used_at" : "web.scan.used", { when, gate }) : t(`outcome.scan_why.${told.result}`),
    used ? ago(told.usedAtMs, nowMs) : "",
    told.live ? "" : t("web.scan.alone"),
  ], told.result === "EXITED" ? "out" : look);
  return look;
}

/** Nobody could say. */
export function showTrouble(code) {
  const key = [`web.scan.trouble.${code}`, `refusal.${code}`, "web.scan.trouble.other"].find(has);
  show(code, "warn", false, t("web.scan.not_known"), [t(key, { code })]);
  return "warn";
}

/** Somebody did not go in (or out) after all; `mode` is that of what was taken back. */
export function showUndone(mode) {
  show("undone", "warn", false, t("web.scan.undone"), [t(`web.scan.undone_${mode}`)]);
  return "warn";
}

/** Ready for a ticket. */
export function showReady(mode) {
  show("", "wait", mode === "look_up", t("web.scan.ready"), [t(`web.scan.ready_${mode}`)]);
}

export function showAsking() {
  show("", "wait", false, "…", [t("web.scan.asking")]);
}
