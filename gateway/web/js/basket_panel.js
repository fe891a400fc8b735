// The basket as people see it: places, price types, total, time left, and the way to the checkout.
// Asks the basket for everything; decides nothing.

import { byId, h, icon, setText } from "./dom.js";
import { money, moneyExact, number, pick, plural, t } from "./i18n.js";
import { fullSeatText, markTexts, seatText } from "./places.js";
import { Place } from "./basket.js";

export class BasketPanel {
  /** `toCheckout()` is called by the button; `showSeat(seat)` shows one on the map. */
  constructor({ plan, basket, prices, now, toCheckout, showSeat }) {
    this.plan = plan;
    this.basket = basket;
    this.prices = prices;
    this.now = now;
    this.showSeat = showSeat;
    this.lines = h("ul.basket-lines");
    this.total = h("strong.basket-total");
    this.time = h("span.basket-time", { role: "timer" });
    this.bar = h("span.basket-bar", { "aria-hidden": "true" });
    this.go = h("button.button.primary.wide", { type: "button", id: "to-checkout", onclick: toCheckout },
      t("web.basket.go"));
    this.empty = h("p.basket-empty", {}, t("web.basket.empty"));
    this.foot = h("div.basket-foot", {},
      h("p.basket-sum", {}, h("span", {}, t("web.basket.total")), this.total), this.go);
    byId("basket").replaceChildren(
      h("div.basket-head", {}, h("h2", { id: "basket-title" }, t("web.basket.title")), this.time),
      this.bar, this.empty, this.lines, this.foot);
    this.brief = byId("sheet-brief");
    byId("sheet-go").addEventListener("click", toCheckout);
    this.refresh();
  }

  /** The basket has changed. */
  refresh() {
    const items = this.items();
    const focused = document.activeElement?.dataset?.focus;
    this.lines.replaceChildren(...items.map((item) => this.#line(item)));
    if (focused) this.#refocus(focused);
    const has = items.length > 0;
    for (const element of [this.lines, this.foot]) element.hidden = !has;
    this.empty.hidden = has;
    const total = this.#sum(items);
    setText(this.total, moneyExact(total, this.prices.currency));
    this.go.disabled = this.basket.waiting || !has;
    byId("sheet-go").hidden = !has;
    byId("sheet-go").disabled = this.go.disabled;
    const brief = { places: plural("web.basket.places", items.length), total: money(total, this.prices.currency) };
    setText(this.brief, has ? t("web.basket.brief", brief) : t("web.basket.brief_empty"));
    document.body.classList.toggle("has-basket", has);
  }

  /** "14:32", the share of the time that is left, and whether it is nearly over. */
  showTime(text, share, urgent) {
    setText(this.time, text && t("web.basket.kept", { time: text }));
    setText(byId("sheet-time"), text);
    this.bar.style.transform = `scaleX(${share})`;
    document.body.classList.toggle("urgent", urgent);
  }

  /** What is in the basket, place by place: {key, index, seat, area, category, type, amount...}. */
  items() {
    const items = [];
    for (const [seat, place] of this.basket.seats) {
      items.push(this.#item({ key: `s${seat}`, index: 0, seat, area: -1, place, category: this.plan.category[seat] }));
    }
    for (const [area, count] of this.basket.areas) {
      const { category } = this.plan.areas[area];
      for (let index = 0; index < count; index += 1) {
        items.push(this.#item({ key: `a${area}`, index, seat: -1, area, place: Place.HELD, category }));
      }
    }
    return items;
  }

  #item(item) {
    const choices = this.prices.choices(item.category, this.now());
    const chosen = this.basket.chosen(item.key)[item.index];
    const choice = choices.find(({ id }) => id === chosen) ?? choices[0];
    return { ...item, choices, type: choice?.id, typeNames: choice?.names ?? {}, amount: choice?.amount ?? 0 };
  }

  #sum = (items) => items.reduce((sum, { amount, place }) => sum + (place === Place.LEAVING ? 0 : amount), 0);

  #line(item) {
    const { seat, area, place } = item;
    const name = seat >= 0 ? seatText(this.plan, seat) : this.plan.areas[area].name;
    const full = seat >= 0 ? fullSeatText(this.plan, seat) : name;
    const details = seat >= 0
      ? [this.plan.seatName(seat).section, ...markTexts(this.plan, seat)].filter(Boolean).join(" · ")
      : t("web.area.place_number", { number: number(item.index + 1) });
    const busy = place !== Place.HELD;
    const title = seat >= 0
      ? h("button.line-name", {
        type: "button", title: t("web.basket.show"), "data-focus": `show ${item.key}`,
        onclick: () => this.showSeat(seat),
      }, name)
      : h("span.line-name", {}, name);
    return h(`li.basket-line${busy ? ".busy" : ""}`, { "data-place": item.key },
      h("div.line-words", {}, title, h("span.line-details", {}, details)),
      this.#types(item, full, busy),
      h("span.line-amount", {}, moneyExact(item.amount, this.prices.currency)),
      h("button.line-remove", {
        type: "button", disabled: busy, "data-focus": `remove ${item.key} ${item.index}`,
        "aria-label": t("web.basket.remove", { place: full }), onclick: () => this.#remove(item),
      }, icon("close")));
  }

  #types(item, full, busy) {
    if (item.choices.length < 2) return h("span.line-type", {}, item.type ? pick(item.typeNames) : "");
    const options = item.choices.map(({ id, names, amount }) => {
      const price = money(amount, this.prices.currency);
      return h("option", { value: id, selected: id === item.type }, t("web.basket.type", { type: pick(names), price }));
    });
    const select = h("select.line-type", {
      disabled: busy, "data-focus": `type ${item.key} ${item.index}`,
      "aria-label": t("web.basket.type_of", { place: full }),
      onchange: () => this.basket.choose(item.key, item.index, select.value),
    }, options);
    return select;
  }

  #remove({ seat, area, index }) {
    if (seat >= 0) this.basket.give(this.plan.together(seat));
    else this.basket.dropPlace(area, index);
  }

  /** The line that had the focus, or the one that took its place, or the title. */
  #refocus(focused) {
    const same = this.lines.querySelector(`[data-focus="${CSS.escape(focused)}"]`);
    if (same && !same.disabled) same.focus();
    else if (same) same.closest("li").querySelector("button, select")?.focus();
    else (this.lines.querySelector(".line-remove") ?? byId("panel")).focus();
  }
}
