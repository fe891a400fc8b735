// A refusal as people read it: what happened, to which seat, what to do next.

import { has, plural, t } from "./i18n.js";
import { seatsText } from "./places.js";

/** The words for a refusal's code; `seats` are the plan's indices that it names. */
export function refusalText(plan, code, seats = [], values = {}) {
  const key = `web.refusal.${code}`;
  if (!has(key)) return t(has(`refusal.${code}`) ? `refusal.${code}` : "web.refusal.other");
  const named = { seats: seatsText(plan, seats), ...values };
  return has(`${key}.named`) && seats.length ? plural(`${key}.named`, seats.length, named) : t(key, named);
}
