// What a place costs here: the performance's price types and amounts, as its list is read on the
// web. The server judges every price again; this one is for showing and choosing.

import { statusAt } from "./sale.js";

export class Prices {
  /** `performance` as GET /api/performances/{id} gives it. */
  constructor(performance) {
    this.learn(performance);
  }

  /** The prices may have changed. */
  learn(performance) {
    this.currency = performance.currency;
    this.types = performance.price_types;
    this.amounts = new Map();
    for (const [category, type, amount] of performance.prices) {
      this.amounts.set(`${category} ${type}`, amount);
    }
  }

  /** The types sold for a category at `nowMs`, the full price first: [{id, names, amount}]. */
  choices(category, nowMs) {
    return this.types
      .filter((type) => statusAt(type, nowMs) === "on_sale")
      .map((type) => ({ ...type, amount: this.amounts.get(`${category} ${type.id}`) }))
      .filter((type) => type.amount !== undefined);
  }

  /** The price of a category for a type, in minor units; undefined when it is not sold. */
  amount(category, type) {
    return this.amounts.get(`${category} ${type}`);
  }

  /** The full price of a category: that of the first type listed; undefined when not on sale. */
  full(category, nowMs) {
    return this.choices(category, nowMs)[0]?.amount;
  }
}
