// The price list beside the map: categories with colour, price and places left (a button each, which
// shows where they are), and the areas sold by quantity.

import { byId, h, icon, setText } from "./dom.js";
import { money, number, plural, pick, t } from "./i18n.js";
import { stepper } from "./stepper.js";

export class PriceList {
  /** `chooseCategory(category)` is told what is to be shown (-1: all). */
  constructor({ plan, stock, basket, most, chooseCategory }) {
    this.plan = plan;
    this.stock = stock;
    this.basket = basket;
    this.most = most;
    this.chosen = -1;
    this.chooseCategory = chooseCategory;
    this.rows = this.#categories();
    this.areas = plan.areas.map((area, index) => this.#area(area, index));
    byId("prices").replaceChildren(
      h("h2", {}, t("web.prices.title")),
      h("ul.price-list", {}, this.rows.map(({ row }) => row)),
      this.areas.length ? h("div.areas", {}, this.areas.map(({ card }) => card)) : "");
    this.refresh();
  }

  #categories() {
    const used = new Set([...this.plan.category, ...this.plan.areas.map((area) => area.category)]);
    return this.plan.categories.flatMap(({ name, color }, category) => {
      const choices = this.stock.prices.choices(category, this.stock.now());
      if (!used.has(category) || !choices.length) return [];
      const swatch = h("span.swatch");
      swatch.style.backgroundColor = color;
      const left = h("span.price-left");
      const [full, ...others] = choices.map(({ names, amount }) =>
        ({ type: pick(names), price: money(amount, this.stock.prices.currency) }));
      const reduced = others.map((other) => h("span.price-type", {}, t("web.prices.reduced", other)));
      const toggle = { type: "button", "aria-pressed": "false", onclick: () => this.#toggle(category) };
      const button = h("button.price", toggle,
        swatch, h("span.price-name", {}, name, left), h("span.price-amount", {}, full.price, reduced));
      return [{ category, button, left, row: h("li", {}, button) }];
    });
  }

  #toggle(category) {
    this.chooseCategory(this.chosen === category ? -1 : category);
  }

  /** Shows which category is picked out on the map. */
  setCategory(category) {
    this.chosen = category;
    for (const row of this.rows) row.button.setAttribute("aria-pressed", String(row.category === category));
  }

  #area(area, index) {
    const id = `area-${index}`;
    const left = h("span.area-left");
    const many = stepper({ label: t("web.area.places", { name: area.name }), value: 1, least: 1, most: this.most });
    const take = () => this.basket.take([], [[index, many.value]]);
    const add = h("button.button", { type: "button", onclick: take }, t("web.area.add"));
    const card = h("section.area-card", { id, tabindex: "-1", "aria-label": area.name },
      h("p.area-name", {}, h("span", {}, area.name), left),
      h("div.area-choice", {}, many, add));
    return { card, left, many, add, index };
  }

  /** Brings an area's card before the reader: it was picked on the map. */
  showArea(area) {
    const { card, many } = this.areas[area];
    card.scrollIntoView({ block: "center" });
    many.querySelector("input").focus({ preventScroll: true });
  }

  /** Places left have changed, or are known for the first time. */
  refresh() {
    const free = this.stock.freeByCategory();
    for (const { category, left, button } of this.rows) {
      setText(left, free[category] ? plural("web.prices.left", free[category]) : nothingText(this.stock));
      button.classList.toggle("gone", this.stock.known && !free[category]);
    }
    for (const { index, left, many, add } of this.areas) {
      const places = this.stock.areaFree(index);
      setText(left, areaText(this.stock, index));
      many.limit(Math.min(this.most, places));
      add.disabled = !places;
    }
  }
}

/** "320 places left", or why none can be had. */
export function areaText(stock, area) {
  const free = stock.areaFree(area);
  return free ? t("web.area.left", { free: number(free) }) : nothingText(stock);
}

/** Why no place is counted: nobody has told yet, the sale is closed, or there is none left. */
function nothingText(stock) {
  if (!stock.known) return t("web.state.unknown");
  return t(stock.open ? "web.prices.none_left" : "web.state.off");
}

/** The shapes of the map, with their words: colour is never the only sign. */
export function fillLegend(element, plan) {
  const marks = ["free", "mine", "held", "sold", "off"].map((name) => [`seat-${name}`, `web.legend.${name}`]);
  if (plan.flags.some((flags) => flags & 1)) marks.push(["seat-wheelchair", "web.mark.wheelchair"]);
  if (plan.flags.some((flags) => flags & 4)) marks.push(["seat-restricted", "web.mark.restricted_view"]);
  element.replaceChildren(...marks.map(([name, key]) => h(`li.legend-item.${name}`, {}, icon(name), t(key))));
}
