// A refusal as people read it: what happened, to which seat, what to do next.

import { has, pick, plural, t } from "./i18n.js";
import { seatsText } from "./places.js";
import { moment } from "./sale.js";

/** The words for a refusal's code; `seats` are the plan's indices, `detail` what else it names. */
export function refusalText(plan, code, seats = [], values = {}, detail = "") {
  const key = `web.refusal.${code}`;
  if (code === "not_on_sale" && Number(detail)) return t(`${key}.from`, { when: moment(Number(detail)) });
  if (code === "quota_full") return quotaText(key, values.quotas ?? [], detail);
  if (!has(key)) return t(has(`refusal.${code}`) ? `refusal.${code}` : "web.refusal.other");
  const named = { seats: seatsText(plan, seats), ...values };
  return has(`${key}.named`) && seats.length ? plural(`${key}.named`, seats.length, named) : t(key, named);
}

/** "students: 3 left", with the quota's own name. */
function quotaText(key, quotas, detail) {
  const [, id, left] = /^(.*): (\d+) left$/.exec(detail) ?? [];
  const names = quotas.find((quota) => quota.id === id)?.names;
  if (!names) return t(key);
  const quota = pick(names);
  return Number(left) ? plural(`${key}.left`, Number(left), { quota }) : t(`${key}.none`, { quota });
}
