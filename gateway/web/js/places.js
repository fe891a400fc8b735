// The words for places: seats, places of an area, and the marks they carry.

import { list, t } from "./i18n.js";
import { COMPANION, RESTRICTED_VIEW, WHEELCHAIR } from "./plan.js";

/** "Row B, seat 12"; for a chair "Table 4, seat 2". */
export function seatText(plan, seat) {
  const name = plan.seatName(seat);
  if (name.table) return t("web.place.at_table", name);
  return name.row ? t("web.place.in_row", name) : t("web.place.seat", name);
}

/** "Stalls, row B, seat 12" */
export function fullSeatText(plan, seat) {
  return t("web.place.in_section", { section: plan.seatName(seat).section, place: seatText(plan, seat) });
}

/** "B 12": for lists of several seats. */
export function shortSeatText(plan, seat) {
  const { row, seat: label, table } = plan.seatName(seat);
  return [table || row, label].filter(Boolean).join(" ");
}

const inOrder = new Intl.Collator(undefined, { numeric: true });

/** Several seats in one breath: their short names in order, then how many more. */
export function seatsText(plan, seats, most = 6) {
  const names = seats.map((seat) => shortSeatText(plan, seat)).sort(inOrder.compare).slice(0, most);
  if (seats.length > most) names.push(t("web.place.more", { count: seats.length - most }));
  return list(names);
}

/** The marks of a seat as words: wheelchair place, companion seat, restricted view. */
export function markTexts(plan, seat) {
  const flags = plan.flags[seat];
  return [
    [WHEELCHAIR, "web.mark.wheelchair"],
    [COMPANION, "web.mark.companion"],
    [RESTRICTED_VIEW, "web.mark.restricted_view"],
  ].filter(([flag]) => flags & flag).map(([, key]) => t(key));
}
