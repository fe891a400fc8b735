// The card beside a seat that is pointed at: its name, what it is, its prices and its marks.
// A help for eyes; the list says the same to everyone else.

import { h } from "./dom.js";
import { money, pick, t } from "./i18n.js";
import { Look, LOOK_NAMES } from "./map_seats.js";
import { markTexts, seatText } from "./places.js";

export class MapTip {
  constructor(element, plan, stock) {
    this.element = element;
    this.plan = plan;
    this.stock = stock;
    this.place = null;
  }

  /** {seat, x, y, reach} in the map's CSS pixels, or null. */
  show(place) {
    this.place = place;
    this.element.hidden = !place;
    if (!place) return;
    this.refresh();
    const { x, y, reach } = place;
    const { offsetWidth: wide, offsetHeight: high } = this.element;
    const room = this.element.offsetParent;
    const left = Math.min(Math.max(8, x - wide / 2), room.clientWidth - wide - 8);
    const above = y - reach - high - 12;
    const top = above > 8 ? above : y + reach + 12;
    this.element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  /** Something may have changed under the pointer. */
  refresh() {
    if (!this.place) return;
    const { seat } = this.place;
    const look = this.stock.look(seat);
    const category = this.plan.category[seat];
    const swatch = h("span.swatch");
    swatch.style.backgroundColor = this.plan.categories[category].color;
    const sold = look === Look.FREE || look === Look.MINE || look === Look.PENDING;
    this.element.replaceChildren(
      h("p.tip-section", {}, this.plan.seatName(seat).section),
      h("p.tip-seat", {}, seatText(this.plan, seat)),
      h(`p.tip-state.${LOOK_NAMES[look]}`, {}, t(`web.state.${LOOK_NAMES[look]}`)),
      sold ? h("p.tip-category", {}, swatch, this.plan.categories[category].name) : "",
      sold ? h("ul.tip-prices", {}, this.stock.prices.choices(category, this.stock.now()).map(({ names, amount }) =>
        h("li", {}, h("span", {}, pick(names)), h("span", {}, money(amount, this.stock.prices.currency))))) : "",
      ...markTexts(this.plan, seat).map((mark) => h("p.tip-mark", {}, mark)));
  }
}
