// The words for places: seats, places of an area, and the marks they carry.

import { list, plural, t } from "./i18n.js";
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

const inOrder = new Intl.Collator(undefined, { numeric: true });

/** Several seats in one breath: "B 11, B 12 and 3 more"; chairs by their tables, in words. */
export function seatsText(plan, seats, most = 6) {
  const names = seats.map((seat) => plan.seatName(seat)).sort((one, other) =>
    inOrder.compare(one.table || one.row, other.table || other.row) || inOrder.compare(one.seat, other.seat));
  const shown = names.slice(0, most);
  const rows = shown.filter(({ table }) => !table).map(({ row, seat }) =>
    (row ? `${row} ${seat}` : t("web.place.seat", { seat })));
  const tables = new Map();
  for (const { table, seat } of shown.filter((name) => name.table)) {
    tables.set(table, [...(tables.get(table) ?? []), seat]);
  }
  const more = names.length > most ? [t("web.place.more", { count: names.length - most })] : [];
  if (!tables.size) return list([...rows, ...more]);
  const chairs = [...tables].map(([table, labels]) =>
    plural("web.place.at_table_seats", labels.length, { table, seats: list(labels) }));
  // A comma within a table's name asks for more than a comma between two.
  return [...(rows.length ? [list(rows)] : []), ...chairs, ...more].join("; ");
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
