// "Find me seats": party size, category, wheelchair places. Asks the basket for the best ones.

import { byId, h } from "./dom.js";
import { money, number, plural, t } from "./i18n.js";
import { stepper } from "./stepper.js";
import { WHEELCHAIR } from "./plan.js";

/** Fills #best. `chooseCategory(category)` is told what the select shows (-1: any). */
export class BestForm {
  constructor({ plan, stock, basket, most, chooseCategory }) {
    this.plan = plan;
    this.stock = stock;
    this.basket = basket;
    this.most = most;
    this.party = stepper({ label: t("web.best.party"), value: Math.min(2, most), least: 1, most });
    this.category = h("select", { id: "best-category", onchange: () => chooseCategory(Number(this.category.value)) });
    const places = plan.flags.reduce((count, flags) => count + (flags & WHEELCHAIR ? 1 : 0), 0);
    this.accessible = places
      ? stepper({ label: t("web.best.wheelchairs"), value: 0, least: 0, most: Math.min(most, places) })
      : null;
    this.asking = false;
    this.button = h("button.button.primary.wide", { type: "submit" }, t("web.best.find"));
    this.#fill();
  }

  #fill() {
    const form = h("form.best-form", { onsubmit: (event) => this.#submit(event) },
      h("div.best-choice", {},
        h("div.field", {}, h("span.field-label", { "aria-hidden": "true" }, t("web.best.party")), this.party),
        h("div.field", {}, h("label.field-label", { for: "best-category" }, t("web.best.category")), this.category)),
      this.accessible && h("details.best-more", {}, h("summary", {}, t("web.best.accessible")),
        h("div.field.inline", {},
          h("span.field-label", { "aria-hidden": "true" }, t("web.best.wheelchairs")), this.accessible)),
      this.button);
    byId("best").replaceChildren(h("h2", { id: "best-title" }, t("web.best.title")), form);
    this.refresh();
  }

  /** Prices and places left have changed, or are known for the first time. */
  refresh() {
    this.button.disabled = this.asking || !this.stock.known;
    const free = this.stock.freeByCategory();
    const now = this.stock.now();
    const options = this.plan.categories.flatMap(({ name }, category) => {
      const amount = this.stock.prices.full(category, now);
      if (amount === undefined) return [];
      const price = money(amount, this.stock.prices.currency);
      const values = { name, price, free: number(free[category]) };
      if (!this.stock.known || !this.stock.open) return [[String(category), t("web.best.option_plain", values), false]];
      const text = t(free[category] ? "web.best.option" : "web.best.option_gone", values);
      return [[String(category), text, !free[category]]];
    });
    const wanted = [["-1", t("web.best.any"), false], ...options];
    const shown = [...this.category.options].map((option) => option.text);
    if (wanted.every(([, text], index) => text === shown[index])) return;
    const chosen = this.category.value || "-1";
    this.category.replaceChildren(...wanted.map(([value, text, disabled]) =>
      h("option", { value, disabled, selected: value === chosen }, text)));
  }

  setCategory(category) {
    this.category.value = String(category);
  }

  async #submit(event) {
    event.preventDefault();
    this.asking = this.button.disabled = true;
    const category = Number(this.category.value);
    try {
      await this.basket.best(this.party.value, {
        categories: category >= 0 ? [category] : [],
        accessible: Math.min(this.accessible?.value ?? 0, this.party.value),
      });
    } finally {
      this.asking = this.button.disabled = false;
    }
  }
}

/** The engine's reason for its choice, in words: "2 seats side by side". */
export const rungText = (rung, count) => plural(`web.rung.${rung}`, count);
