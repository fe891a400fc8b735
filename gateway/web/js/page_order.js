// The order page, /o/{order}: where an order stands, what it holds, its tickets and its receipt.
// Asks again while something is still under way. The order's id in the address is its key.

import * as api from "./api.js";
import { announce } from "./announce.js";
import { openHouse, runPage, setTitle } from "./chrome.js";
import { stubRow, stubTotal } from "./checkout.js";
import { byId, h, icon } from "./dom.js";
import { clock, currentLanguage, longDate, moneyExact, pick, plural, t } from "./i18n.js";
import { forgetBasket, forgetOrder, keptBasket, keptOrder } from "./keep.js";
import { Plan } from "./plan.js";

const ASK_FIRST_MS = 800;
const ASK_MOST_MS = 10_000;
const APART = { target: "_blank", rel: "noopener" }; // a paper opens beside this page, which stays
const UNDER_WAY = new Set(["pending", "paid"]);
const ICONS = { confirmed: "check", failed: "alert", cancelled: "alert", refunded: "back", repaid: "back" };
const TONES = { confirmed: "good", failed: "bad", cancelled: "bad" };

class OrderPage {
  constructor(house, id) {
    this.house = house;
    this.id = id;
    this.plans = new Map(); // performance -> Plan
    this.typeNames = new Map(); // performance -> price type -> names
    this.wait = ASK_FIRST_MS;
  }

  async open() {
    await this.#show(await this.#look(await api.order(this.id)));
  }

  /**
   * The buyer may just have paid on the provider's page, whose own notice can be slow or lost:
   * repeating the attempt that was kept takes no money, and has the desk look there.
   */
  async #look(order) {
    const kept = keptOrder(order.holds[0].performance);
    const payment = kept?.id === order.id && order.payments.find(({ id }) => id === `${order.id}-${kept.attempt}`);
    if (order.state !== "pending" || payment?.state !== "pending") return order;
    try {
      return (await api.pay(order.id, { method: payment.method, attempt: kept.attempt })).order;
    } catch (error) {
      if (error instanceof api.Problem || error instanceof api.Unreachable) return order;
      throw error;
    }
  }

  async #show(order) {
    if (order.state !== "pending") this.#forgetKept(order);
    await this.#know(order);
    const changed = order.state !== this.shown?.state || order.tickets_ready !== this.shown?.tickets_ready;
    if (changed) this.#draw(order);
    this.shown = order;
    const settled = !UNDER_WAY.has(order.state) && (order.tickets_ready || order.state !== "confirmed");
    if (!settled) this.#askLater();
  }

  /** What this browser kept to repeat the order is needed no more. */
  #forgetKept(order) {
    for (const { performance, token } of order.holds) {
      if (keptOrder(performance)?.id === order.id) forgetOrder(performance);
      if (order.state !== "cancelled" && keptBasket(performance)?.token === token) forgetBasket(performance);
    }
  }

  /** The words for the order's places. */
  async #know(order) {
    const unknown = order.performances.filter(({ id }) => !this.plans.has(id));
    await Promise.all(unknown.map(async ({ id, plan }) => {
      const [json, names] = await Promise.all([api.plan(plan), typeNames(id)]);
      this.plans.set(id, new Plan(json));
      this.typeNames.set(id, names);
    }));
  }

  #askLater() {
    setTimeout(async () => {
      this.wait = Math.min(ASK_MOST_MS, this.wait * 1.4);
      try {
        await this.#show(await api.order(this.id));
      } catch (error) {
        if (!(error instanceof api.Unreachable)) throw error;
        this.#askLater();
      }
    }, this.wait);
  }

  #draw(order) {
    const state = told(order);
    const waiting = UNDER_WAY.has(state);
    const title = t(`web.order.${state}.title`);
    const amount = moneyExact(order.total, order.currency);
    setTitle(t("web.order.number", { number: order.number }), title);
    byId("order").replaceChildren(h("div.order-page-grid", {},
      h("div", {},
        h(`p.order-state.${TONES[state] ?? "plain"}`, {},
          waiting ? dots() : icon(ICONS[state] ?? "clock"), t(`web.order.${state}.state`)),
        h("h1", { tabindex: "-1" }, title),
        h("p.lead", {}, plural(`web.order.${state}.text`, order.lines.length, { amount })),
        this.#buttons(order),
        this.#facts(order)),
      h("div.stubs", {}, order.performances.map((performance) => this.#stub(order, performance)))));
    announce(title);
  }

  #buttons(order) {
    const language = currentLanguage();
    const first = order.performances[0].id;
    const tickets = order.tickets_ready && (order.state === "confirmed")
      && h("a.button.primary", { href: api.ticketsAddress(order.id, language), id: "tickets", ...APART },
        icon("ticket"), t("web.order.tickets"));
    const receipt = order.payments.some(({ captured }) => captured)
      && h("a.button", { href: api.receiptAddress(order.id, language), id: "receipt", ...APART },
        icon("receipt"), t("web.order.receipt"));
    const pay = order.state === "pending"
      && h("a.button.primary", { href: `/p/${first}#checkout` }, t("web.order.to_payment"));
    const again = (order.state === "failed" || order.state === "cancelled")
      && h("a.button.primary", { href: `/p/${first}` }, t("web.order.again"));
    return h("div.order-buttons", {}, tickets, receipt, pay, again);
  }

  #facts(order) {
    const facts = [[t("web.order.fact_number"), String(order.number)]];
    if (order.buyer.name) facts.push([t("web.order.fact_buyer"), order.buyer.name]);
    if (order.buyer.email) facts.push([t("web.order.fact_email"), order.buyer.email]);
    const made = { date: longDate(order.created_ms), time: clock(order.created_ms) };
    facts.push([t("web.order.fact_when"), t("web.when", made)]);
    return h("dl.order-facts", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  #stub(order, performance) {
    const lines = order.lines.filter((line) => line.performance === performance.id);
    const total = lines.reduce((sum, { amount }) => sum + amount, 0);
    return h("aside.stub", {},
      h("p.stub-date", {}, longDate(performance.starts_ms), h("span", {}, clock(performance.starts_ms))),
      h("h2.stub-title", {}, pick(performance.title)),
      h("p.stub-place", {}, performance.venue),
      h("ul.stub-lines", {}, lines.map((line) => this.#line(order, line))),
      stubTotal(lines.length, total, order.currency));
  }

  #line(order, line) {
    const names = this.typeNames.get(line.performance)[line.price_type] ?? {};
    const refunded = line.state === "refunded" ? t("web.order.line_refunded") : "";
    const type = [pick(names), refunded].filter(Boolean).join(" · ");
    const row = stubRow(this.plans.get(line.performance), order.currency, line.seat, line.area, type, line.amount);
    row.classList.toggle("gone", line.state === "refunded" || line.state === "cancelled");
    return row;
  }
}

/** The state people are told: money paid back for tickets is another story than for none. */
const told = ({ state, lines }) =>
  (state === "refunded" && !lines.some((line) => line.state === "refunded") ? "repaid" : state);

/** The price types' names; without them when the performance is shown to nobody any more. */
async function typeNames(performance) {
  try {
    const { price_types: types } = await api.performance(performance);
    return Object.fromEntries(types.map(({ id, names }) => [id, names]));
  } catch (error) {
    if (error instanceof api.Problem && error.status === 404) return {};
    throw error;
  }
}

const dots = () => h("span.waiting-dots", { "aria-hidden": "true" }, h("i"), h("i"), h("i"));

runPage(async () => {
  const house = await openHouse();
  await new OrderPage(house, location.pathname.split("/").pop()).open();
});
