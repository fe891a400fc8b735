// An exchange from the order's page to the seats and back: which places are given, and for what.
// What is given is kept for this tab alone, so that another one sells as ever.

import { h } from "./dom.js";
import { moneyExact, plural, t } from "./i18n.js";
import { freshId } from "./keep.js";

const KEY = "strapontin.exchange";

/** {order (its id), number, id, lines, fee, worth (minor units)} or null. */
export function keptExchange() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export const keepExchange = (exchange) => sessionStorage.setItem(KEY, JSON.stringify(exchange));
export const forgetExchange = () => sessionStorage.removeItem(KEY);
/** What was refused is asked again as another one. */
export const askAnew = (exchange) => keepExchange({ ...exchange, id: freshId() });

/** Tells above a page that what is chosen on it is given for places of an order; "" where none is. */
export function exchangeStrip() {
  const kept = keptExchange();
  if (!kept) return "";
  const words = plural("web.exchange.strip", kept.lines.length, { number: kept.number });
  return h("p.exchange-strip", { role: "status" }, words,
    h("a", { href: "/" }, t("web.exchange.other_date")),
    h("a", { href: `/o/${kept.order}`, id: "keep-places", onclick: forgetExchange }, t("web.exchange.leave")));
}

/** Asks which places of an order are given: of one performance, because they are exchanged at once. */
export class ExchangeForm {
  /** `row(line)` draws a place, `leave()` closes this. */
  constructor(order, row, leave) {
    this.order = order;
    const open = new Map(order.exchangeable.map((one) => [one.line, one]));
    this.lines = order.lines.filter(({ number }) => open.has(number))
      .map((line) => ({ ...line, ...open.get(line.number), row: row(line) }));
    this.chosen = new Set();
    this.sum = h("p.return-sum", { role: "status" });
    this.element = h("form.return", { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, t("web.exchange.title")),
      h("div.return-lines", {}, this.lines.map((line) => this.#box(line))),
      this.sum,
      h("div.order-buttons", {},
        h("button.button.primary", { type: "submit", id: "exchange-now" }, t("web.exchange.choose")),
        h("button.button.quiet", { type: "button", onclick: leave }, t("web.return.leave"))));
    this.#tell();
  }

  #box(line) {
    line.box = h("input", { type: "checkbox", onchange: () => this.#choose(line) });
    return h("label.return-line", {}, line.box, line.row);
  }

  #choose(line) {
    if (line.box.checked) this.chosen.add(line);
    else this.chosen.delete(line);
    this.#tell();
  }

  #tell() {
    const [first] = this.chosen;
    for (const { box, performance } of this.lines) box.disabled = Boolean(first) && performance !== first.performance;
    const fee = [...this.chosen].reduce((sum, line) => sum + line.fee, 0);
    const words = [t("web.exchange.text")];
    if (fee) words.push(t("web.exchange.fee", { amount: moneyExact(fee, this.order.currency) }));
    this.sum.textContent = first ? words.join(" ") : t("web.return.none");
  }

  #submit(event) {
    event.preventDefault();
    const [first] = this.chosen;
    if (!first) return;
    const lines = [...this.chosen].map(({ number }) => number);
    const [worth, fee] = ["amount", "fee"].map((name) => [...this.chosen].reduce((sum, one) => sum + one[name], 0));
    keepExchange({ order: this.order.id, number: this.order.number, id: freshId(), lines, fee, worth });
    location.assign(`/p/${first.performance}`);
  }
}
