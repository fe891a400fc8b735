// Giving places back: which, how the money returns, and what of it the house keeps.
// Knows an order as the server shows it; asks nobody but whom it is given.

import { h } from "./dom.js";
import { moneyExact, t } from "./i18n.js";

const WAYS = ["as_paid", "credit"];

/** The ways that the money of all these lines may go. */
const waysOf = (lines) => WAYS.filter((way) => lines.every((line) => line.way === way || line.way === "either"));

export class GiveBack {
  /**
   * `row(line)` draws a place, `send(lines, toCredit)` gives places back, `leave()` closes this.
   */
  constructor(order, row, send, leave) {
    this.order = order;
    const open = new Map(order.returnable.map((one) => [one.line, one]));
    this.lines = order.lines.filter(({ number }) => open.has(number))
      .map((line) => ({ ...line, ...open.get(line.number), row: row(line) }));
    this.send = send;
    this.leave = leave;
    this.sum = h("p.return-sum", { role: "status" });
    this.ways = h("div.return-ways");
    this.way = null;
    this.element = this.#draw();
    this.#tell();
  }

  #draw() {
    const boxes = this.lines.map((line) => {
      const box = h("input", { type: "checkbox", checked: true, onchange: () => this.#choose(line, box.checked) });
      line.chosen = true;
      return h("label.return-line", {}, box, line.row);
    });
    return h("form.return", { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, t("web.return.title")), h("div.return-lines", {}, boxes), this.ways, this.sum,
      h("div.order-buttons", {},
        h("button.button.primary", { type: "submit", id: "give-back-now" }, t("web.return.confirm")),
        h("button.button.quiet", { type: "button", onclick: () => this.leave() }, t("web.return.leave"))));
  }

  #choose(line, chosen) {
    line.chosen = chosen;
    this.#tell();
  }

  get #chosen() {
    return this.lines.filter(({ chosen }) => chosen);
  }

  /** What comes back, and how. */
  #tell() {
    const ways = waysOf(this.#chosen);
    if (!ways.includes(this.way)) [this.way] = ways;
    this.ways.replaceChildren(...(ways.length > 1 ? [h("p", {}, t("web.return.way"))] : []),
      ...(ways.length > 1 ? ways.map((way) => this.#wayButton(way)) : []));
    const price = ({ amount, fees }) => amount + fees.reduce((sum, [, fee, absorbed, refundable]) => (
      sum + (absorbed || !refundable ? 0 : fee)), 0);
    const paid = this.#chosen.reduce((sum, line) => sum + price(line), 0);
    const kept = Math.min(paid, this.#chosen.reduce((sum, { fee }) => sum + fee, 0));
    const money = (amount) => ({ amount: moneyExact(amount, this.order.currency) });
    const words = [t("web.return.back", money(paid - kept))];
    if (kept) words.push(t("web.return.kept", money(kept)));
    if (this.way === "credit" && ways.length === 1) words.push(`${t("web.return.credit")}.`);
    this.sum.textContent = this.#chosen.length ? words.join(" ") : t("web.return.none");
  }

  #wayButton(way) {
    const box = h("input", {
      type: "radio", name: "return-way", value: way, checked: way === this.way, onchange: () => { this.way = way; },
    });
    return h("label.return-way", {}, box, way === "credit" ? t("web.return.credit") : t("web.return.as_paid"));
  }

  #submit(event) {
    event.preventDefault();
    if (this.#chosen.length && this.way) this.send(this.#chosen.map(({ number }) => number), this.way === "credit");
  }
}
