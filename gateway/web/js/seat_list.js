// The house without a picture: section, row, then a button for each seat with its state and price
// in words. For keyboards, for screen readers, and for whoever prefers a list.

import { byId, h, setText } from "./dom.js";
import { money, number, t } from "./i18n.js";
import { Look, LOOK_NAMES } from "./map_seats.js";
import { fullSeatText, markTexts, seatText } from "./places.js";

export class SeatList {
  /** `choose(seat)` takes or gives a seat. */
  constructor({ plan, stock, choose }) {
    this.plan = plan;
    this.stock = stock;
    this.choose = choose;
    this.section = h("select", { id: "list-section", onchange: () => this.#showSection() });
    this.row = h("select", { id: "list-row", onchange: () => this.#showRow() });
    this.seats = h("ul.list-seats", { id: "list-seats" });
    this.buttons = new Map();
    byId("list").replaceChildren(
      h("h2", { id: "list-title", tabindex: "-1" }, t("web.list.title")),
      h("p.list-help", {}, t("web.list.help")),
      h("div.list-choice", {},
        h("div.field", {}, h("label.field-label", { for: "list-section" }, t("web.list.section")), this.section),
        h("div.field", {}, h("label.field-label", { for: "list-row" }, t("web.list.row")), this.row)),
      this.seats);
    this.filled = false;
  }

  /** Made when first shown: a stadium's lists are long. */
  show() {
    if (!this.filled) this.#fillSections();
    this.filled = true;
    this.refresh(null);
  }

  #fillSections() {
    const sections = this.plan.sections.map((section, index) => ({ name: section.name, index }))
      .filter(({ index }) => this.plan.boxes[index].seats);
    this.section.replaceChildren(...sections.map(({ name, index }) => h("option", { value: index }, name)));
    this.#showSection();
  }

  #rowsOf(section) {
    return this.plan.rows.map((row, index) => ({ ...row, index }))
      .filter((row) => row.section === section && row.count);
  }

  #showSection() {
    const rows = this.#rowsOf(Number(this.section.value));
    this.row.replaceChildren(...rows.map((row) => h("option", { value: row.index }, "")));
    this.row.closest(".field").hidden = rows.length === 1;
    this.#nameRows();
    this.#showRow();
  }

  #rowName(row) {
    const table = this.plan.table[row.first];
    if (table >= 0) return t("web.list.table", { table: this.plan.tables[table].label });
    return row.label ? t("web.list.row_name", { row: row.label }) : t("web.list.row_unnamed");
  }

  #nameRows() {
    for (const option of this.row.options) {
      const row = this.plan.rows[Number(option.value)];
      const name = this.#rowName(row);
      const free = number(this.stock.freeAmong(row.first, row.count));
      setText(option, this.stock.known ? t("web.list.row_free", { row: name, free }) : name);
    }
  }

  #showRow() {
    const row = this.plan.rows[Number(this.row.value)];
    this.buttons.clear();
    const items = [];
    for (let seat = row.first; seat < row.first + row.count; seat += 1) {
      const button = h("button.list-seat", { type: "button", "data-seat": seat, onclick: () => this.choose(seat) });
      this.buttons.set(seat, button);
      items.push(h("li", {}, button));
    }
    this.seats.replaceChildren(...items);
    for (const seat of this.buttons.keys()) this.#name(seat);
  }

  #name(seat) {
    const button = this.buttons.get(seat);
    const look = this.stock.look(seat);
    const amount = this.stock.prices.full(this.plan.category[seat], this.stock.now());
    const mayHave = look === Look.FREE || look === Look.MINE;
    const price = mayHave && amount !== undefined ? money(amount, this.stock.prices.currency) : "";
    const words = [t(`web.state.${LOOK_NAMES[look]}`), price, ...markTexts(this.plan, seat)].filter(Boolean);
    button.className = `list-seat ${LOOK_NAMES[look]}`;
    button.replaceChildren(
      h("span.list-seat-name", {}, seatText(this.plan, seat)), h("span.list-seat-words", {}, words.join(" · ")));
    button.setAttribute("aria-label", [fullSeatText(this.plan, seat), ...words].join(", "));
    button.setAttribute("aria-pressed", String(look === Look.MINE));
    // A taken seat stays reachable: one who cannot see the map learns the row by walking along it.
    button.setAttribute("aria-disabled", String(!mayHave));
  }

  /** These seats' looks have changed (null: any); names change in place, the focus stays. */
  refresh(seats) {
    if (!this.filled) return;
    const shown = seats === null ? [...this.buttons.keys()] : seats.filter((seat) => this.buttons.has(seat));
    for (const seat of shown) this.#name(seat);
    if (seats === null || shown.length) this.#nameRows();
  }
}
