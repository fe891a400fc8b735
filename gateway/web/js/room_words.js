// A waiting room as those are told of it who do not stand in it: whether there is one, and when.

import { momentText, t } from "./i18n.js";

/** Whether a waiting room stands before the seats, or will. */
export const hasQueue = ({ room, status }) => Boolean(room) && room.phase !== "closed" && status !== "ended";

/** When it opens or that it is open, in one line, and when the sale begins. */
export function roomText({ phase, opens_ms: opens, on_sale_ms: sale }, nowMs) {
  if (phase === "scheduled") {
    return t("web.list_page.room_opens", { opens: momentText(opens, nowMs), sale: momentText(sale, opens) });
  }
  if (phase === "gathering") return t("web.list_page.room_gathers", { sale: momentText(sale, nowMs) });
  return t("web.list_page.room_open");
}
