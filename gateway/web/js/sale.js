// When a performance, or a price type, is sold: what the server says of now and of what comes next.
// Both are told as {status, changes_ms, then}: it is `status` until `changes_ms` (0: for good).

import { clock, has, longDate, t } from "./i18n.js";

/** How it stands at `nowMs`. */
export const statusAt = ({ status, changes_ms: changes, then }, nowMs) => (changes && nowMs >= changes ? then : status);

/** Whether places can be taken here, or could if one came back. */
export function isOpen(performance, nowMs) {
  const status = statusAt(performance, nowMs);
  return status === "on_sale" || status === "sold_out";
}

/** "On sale from Saturday 14 February 2026, 10:00": how the sale stands, and until when. */
export function saleText(performance, nowMs) {
  const { changes_ms: changes, then } = performance;
  const status = statusAt(performance, nowMs);
  const key = `web.status.${status}`;
  const timed = `${key}.then_${then}`;
  return changes > nowMs && has(timed) ? t(timed, { when: moment(changes) }) : t(key);
}

/** "Saturday 14 February 2026, 10:00" */
export const moment = (ms) => t("web.when", { date: longDate(ms), time: clock(ms) });
