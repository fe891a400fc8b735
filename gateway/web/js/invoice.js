// The papers of an order: asks for the address that an invoice is for, and shows what was issued.
// Knows an order as the server shows it; asks nobody but whom it is given.

import { h, icon } from "./dom.js";
import { moneyExact, t } from "./i18n.js";

const MAX_ADDRESS_LINES = 8;
const APART = { target: "_blank", rel: "noopener" };

export class Invoice {
  /** `address(name)` is where a paper is, `send(client)` has it issued, `leave()` closes this. */
  constructor(order, address, send, leave) {
    this.order = order;
    this.address = address;
    this.send = send;
    this.leave = leave;
    this.element = h("div.return", {});
  }

  /** Asks whom the invoice is for. */
  ask() {
    const { name: value } = this.order.buyer;
    this.name = h("input", {
      id: "invoice-name", autocomplete: "billing name", value, required: true, maxlength: 200,
    });
    this.lines = h("textarea", {
      id: "invoice-address", autocomplete: "billing street-address", rows: 4, maxlength: 800,
    });
    const field = (input, words) => h("div.field", {}, h("label.field-label", { for: input.id }, words), input);
    this.element.replaceChildren(h("form", { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, t("web.invoice.title")),
      field(this.name, t("web.invoice.name")), field(this.lines, t("web.invoice.address")),
      h("p.return-sum", {}, t("web.invoice.once")),
      h("div.order-buttons", {},
        h("button.button.primary", { type: "submit", id: "invoice-now" }, t("web.invoice.confirm")),
        h("button.button.quiet", { type: "button", onclick: () => this.leave() }, t("web.return.leave")))));
    this.name.focus();
  }

  /** Shows the papers that there are, each a link. */
  show(papers) {
    this.element.replaceChildren(h("h2", {}, t("web.invoice.papers")),
      h("div.order-buttons", {}, papers.map((paper) => this.#link(paper))));
    this.element.querySelector("a")?.focus();
  }

  #link({ name, kind, total, currency }) {
    const words = { name, amount: moneyExact(total, currency) };
    return h("a.button", { href: this.address(name), ...APART }, icon("receipt"),
      kind === "invoice" ? t("web.invoice.invoice", words) : t("web.invoice.credit_note", words));
  }

  #submit(event) {
    event.preventDefault();
    const lines = this.lines.value.split("\n").map((line) => line.trim()).filter(Boolean);
    this.send({ name: this.name.value.trim(), address: lines.slice(0, MAX_ADDRESS_LINES) });
  }
}
