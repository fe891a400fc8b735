// What every place is to this buyer, from the three who know a part of it: the feed (what is
// taken), the basket (what is mine) and the prices (what is sold at all). Draws nothing.

import { AVAILABLE, HELD, SOLD } from "./feed.js";
import { Place } from "./basket.js";
import { Look } from "./map_seats.js";

export class Stock {
  /** `now()` gives the server's time; prices may end with it. */
  constructor(plan, feed, basket, prices, now) {
    this.plan = plan;
    this.feed = feed;
    this.basket = basket;
    this.prices = prices;
    this.now = now;
    this.open = true; // the performance is on sale here
    this.judged = { second: -1, sold: [] };
  }

  /** Prices or the sale are otherwise now. */
  forget() {
    this.judged = { second: -1, sold: [] };
  }

  /** Whether the feed has told yet what is taken: before that, nothing is free and nothing is gone. */
  get known() {
    return this.feed.known;
  }

  /** map_seats.js Look of a seat. */
  look(seat) {
    const place = this.basket.seats.get(seat);
    if (place === Place.HELD) return Look.MINE;
    if (place) return Look.PENDING;
    if (!this.known) return Look.UNKNOWN;
    const status = this.feed.statuses[seat];
    if (status === SOLD) return Look.SOLD;
    if (status === HELD) return Look.HELD;
    return status === AVAILABLE && this.open && this.sold(this.plan.category[seat]) ? Look.FREE : Look.OFF;
  }

  /** Whether places of this category have a price here and now. */
  sold(category) {
    // Asked for every seat of a house: judged once a second, a price ends no oftener.
    const nowMs = this.now();
    const second = Math.floor(nowMs / 1000);
    if (second !== this.judged.second) {
      const sold = this.plan.categories.map((_, index) => this.prices.full(index, nowMs) !== undefined);
      this.judged = { second, sold };
    }
    return this.judged.sold[category];
  }

  /** Places of an area that this buyer could still take. */
  areaFree(area) {
    return this.open && this.sold(this.plan.areas[area].category) ? this.feed.areasFree[area] : 0;
  }

  /** Free places per category: of seats and areas together. */
  freeByCategory() {
    const free = new Array(this.plan.categories.length).fill(0);
    this.feed.statuses.forEach((status, seat) => {
      if (status === AVAILABLE) free[this.plan.category[seat]] += 1;
    });
    this.plan.areas.forEach((area, index) => { free[area.category] += this.feed.areasFree[index]; });
    return free.map((count, category) => (this.open && this.sold(category) ? count : 0));
  }

  /** Free seats among those from `first` on, `count` of them. */
  freeAmong(first, count) {
    let free = 0;
    for (let seat = first; seat < first + count; seat += 1) free += this.look(seat) === Look.FREE ? 1 : 0;
    return free;
  }
}
