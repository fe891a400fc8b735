// The order page, /o/{order}: where an order stands, what it holds, its tickets and its receipt.
// Asks again while something is still under way. The order's id in the address is its key.

import * as api from "./api.js";
import { announce } from "./announce.js";
import { openHouse, runPage, setTitle } from "./chrome.js";
import { feeRows, feesOf, stubRow, stubTotal } from "./checkout.js";
import { byId, h, icon } from "./dom.js";
import { ExchangeForm } from "./exchange.js";
import { GiveBack } from "./give_back.js";
import { Invoice } from "./invoice.js";
import { clock, currentLanguage, longDate, moneyExact, pick, plural, t } from "./i18n.js";
import {
  forgetAttempt, forgetBasket, forgetOrder, freshId, keepAttempt, keptAttempt, keptBasket, keptOrder,
} from "./keep.js";
import { Plan } from "./plan.js";
import { refusalText } from "./refusals.js";

const ASK_FIRST_MS = 800;
const ASK_MOST_MS = 10_000;
const APART = { target: "_blank", rel: "noopener" }; // a paper opens beside this page, which stays
const UNDER_WAY = new Set(["open", "selling", "exchanging"]);
const SOLD = new Set(["paid", "part_refunded", "exchanging", "exchanged"]);
const TO_PAY = new Set(["awaiting_payment", "exchanging"]);
const GIVEN_UP = new Set(["cancelled", "expired"]);
const ICONS = {
  paid: "check", part_refunded: "check", failed: "alert", cancelled: "alert", expired: "alert", refunded: "back",
  repaid: "back", exchanged: "check",
};
const TONES = {
  paid: "good", part_refunded: "good", exchanged: "good", failed: "bad", cancelled: "bad", expired: "bad",
};

/** A performance of the order: of its places, or of the house that sold its gift cards. */
const placeOf = (order) => order.performances[0]?.id ?? order.performance;

/** A code as people read it. */
const spaced = (code) => code.match(/.{4}/g).join("-");

/** The gift cards of an order that stand: what is left of each, and once it is paid its code. */
const giftCardsOf = ({ charges }) => charges
  .filter(({ kind, amount, state }) => kind === "gift_card" && amount > 0 && state !== "cancelled")
  .map(({ card, amount }) => {
    const back = charges.filter((one) => one.kind === "gift_card" && one.amount < 0 && one.card === card);
    return { card, left: back.reduce((sum, one) => sum + one.amount, amount) };
  });

class OrderPage {
  constructor(house, id) {
    this.house = house;
    this.id = id;
    this.plans = new Map(); // performance -> Plan
    this.typeNames = new Map(); // performance -> price type -> names
    this.fees = new Map(); // performance -> its fees, with their names
    this.wait = ASK_FIRST_MS;
    this.problem = h("p.problem", { role: "alert" });
    this.giving = h("div");
  }

  async open() {
    await this.#show(await this.#look(await api.order(this.id)));
  }

  /**
   * The buyer may just have paid on the provider's page, whose own notice can be slow or lost:
   * repeating the attempt that was kept takes no money, and has the desk look there.
   */
  async #look(order) {
    const kept = keptOrder(placeOf(order));
    const attempt = keptAttempt(order.id) ?? (kept?.id === order.id ? kept.attempt : null);
    const payment = attempt && order.payments.find(({ id }) => id === `${order.id}-${attempt}`);
    if (!(order.state === "open" || TO_PAY.has(order.state)) || payment?.state !== "pending") return order;
    try {
      return (await api.pay(order.id, { method: payment.method, attempt })).order;
    } catch (error) {
      if (error instanceof api.Problem || error instanceof api.Unreachable) return order;
      throw error;
    }
  }

  async #show(order) {
    if (order.state !== "open") this.#forgetKept(order);
    await this.#know(order);
    const changed = order.state !== this.shown?.state || order.tickets_ready !== this.shown?.tickets_ready
      || order.refunds.length !== this.shown?.refunds.length || order.due !== this.shown?.due;
    if (changed) this.#draw(order);
    this.shown = order;
    const ready = order.tickets_ready || !order.lines.some(({ state }) => state === "sold");
    const settled = !UNDER_WAY.has(order.state) && (ready || !SOLD.has(order.state));
    if (!settled) this.#askLater();
  }

  /** What this browser kept to repeat the order is needed no more. */
  #forgetKept(order) {
    for (const { performance, token } of order.holds) {
      if (keptOrder(performance)?.id === order.id) forgetOrder(performance);
      if (!TO_PAY.has(order.state)) forgetAttempt(order.id);
      if (!GIVEN_UP.has(order.state) && keptBasket(performance)?.token === token) forgetBasket(performance);
    }
    for (const { hold: { performance, token }, done, refused } of order.exchanges) {
      if (done && !refused && keptBasket(performance)?.token === token) forgetBasket(performance);
    }
  }

  /** The words for the order's places. */
  async #know(order) {
    const unknown = order.performances.filter(({ id }) => !this.plans.has(id));
    await Promise.all(unknown.map(async ({ id, plan }) => {
      const [json, { types, fees }] = await Promise.all([api.plan(plan), names(id)]);
      this.plans.set(id, new Plan(json));
      this.typeNames.set(id, types);
      this.fees.set(id, fees);
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
    const waiting = UNDER_WAY.has(state) && !(state === "exchanging" && order.due);
    const cards = state === "paid" && !order.lines.length; // gift cards alone
    const title = t(cards ? "web.order.gift_cards.title" : `web.order.${state}.title`);
    const amount = moneyExact(order.total, order.currency);
    const places = order.lines.filter((line) => line.state === "sold").length || order.lines.length;
    setTitle(t("web.order.number", { number: order.number }), title);
    byId("order").replaceChildren(h("div.order-page-grid", {},
      h("div", {},
        h(`p.order-state.${TONES[state] ?? "plain"}`, {},
          waiting ? dots() : icon(ICONS[state] ?? "clock"), t(`web.order.${state}.state`)),
        h("h1", { tabindex: "-1" }, title),
        h("p.lead", {}, cards
          ? t("web.order.gift_cards.text") : plural(`web.order.${state}.text`, places, { amount })),
        order.equal.length > 0 && SOLD.has(state) && h("p", { id: "equal" }, t("web.order.equal")),
        this.problem,
        this.#buttons(order),
        this.giving,
        this.#facts(order)),
      h("div.stubs", {}, order.performances.map((performance) => this.#stub(order, performance)))));
    announce(title);
  }

  #buttons(order) {
    const language = currentLanguage();
    const first = placeOf(order);
    const tickets = order.tickets_ready && SOLD.has(order.state)
      && h("a.button.primary", { href: api.ticketsAddress(order.id, language), id: "tickets", ...APART },
        icon("ticket"), t("web.order.tickets"));
    const giftCards = SOLD.has(order.state) && giftCardsOf(order).some(({ left }) => left)
      && h("a.button.primary", { href: api.giftCardsAddress(order.id, language), id: "gift-cards", ...APART },
        icon("ticket"), t("web.order.gift_cards.pdf"));
    const receipt = order.payments.some(({ captured }) => captured)
      && h("a.button", { href: api.receiptAddress(order.id, language), id: "receipt", ...APART },
        icon("receipt"), t("web.order.receipt"));
    const pay = order.state === "open"
      && h("a.button.primary", { href: `/p/${first}#checkout` }, t("web.order.to_payment"));
    const due = { amount: moneyExact(order.due, order.currency) };
    const payNow = TO_PAY.has(order.state) && order.due > 0
      && h("button.button.primary", { type: "button", id: "pay-now", onclick: () => this.#payNow(order) },
        t(this.house.payment_methods[0] === "test_card" ? "web.pay.test_button" : "web.pay.card_button", due));
    const again = (order.state === "failed" || GIVEN_UP.has(order.state))
      && h("a.button.primary", { href: `/p/${first}` }, t("web.order.again"));
    const giveBack = order.returnable.length > 0
      && h("button.button.quiet", { type: "button", id: "give-back", onclick: () => this.#askBack(order) },
        t("web.return.button"));
    const exchange = order.exchangeable.length > 0
      && h("button.button.quiet", { type: "button", id: "exchange", onclick: () => this.#askExchange(order) },
        t("web.exchange.button"));
    const keep = order.state === "exchanging" && order.due > 0
      && h("button.button.quiet", { type: "button", id: "no-exchange", onclick: () => this.#noExchange(order) },
        t("web.return.leave"));
    const invoice = (SOLD.has(order.state) || order.state === "awaiting_payment" || order.state === "refunded")
      && h("button.button.quiet", { type: "button", id: "invoice", onclick: () => this.#invoice(order) },
        t("web.invoice.button"));
    return order.state === "exchanging"
      ? h("div.order-buttons", {}, payNow, keep, tickets, giftCards)
      : h("div.order-buttons", {}, tickets, giftCards, receipt, pay, payNow, again, exchange, giveBack, invoice);
  }

  /** Shows the order's papers, or asks whom its invoice is for. */
  async #invoice(order) {
    const panel = new Invoice(order, (name) => api.paperAddress(order.id, name),
      (client) => this.#whileBusy(async () => {
        await api.invoice(order.id, client, currentLanguage());
        panel.show(await api.papers(order.id));
      }),
      () => this.giving.replaceChildren());
    await this.#whileBusy(async () => {
      const papers = await api.papers(order.id);
      this.giving.replaceChildren(panel.element);
      if (papers.length) panel.show(papers);
      else panel.ask();
    });
  }

  /** Does one thing at a time, and says why it was not done. */
  async #whileBusy(work) {
    if (this.busy) return;
    this.busy = true;
    this.problem.textContent = "";
    try {
      await work();
    } catch (error) {
      if (!(error instanceof api.Problem || error instanceof api.Unreachable)) throw error;
      this.problem.textContent = error instanceof api.Problem
        ? refusalText(null, error.code) : t("web.checkout.unreachable");
    } finally {
      this.busy = false;
    }
  }

  #askExchange(order) {
    const form = new ExchangeForm(order, (line) => this.#line(order, line), () => this.giving.replaceChildren());
    this.giving.replaceChildren(form.element);
    form.element.querySelector("input")?.focus();
  }

  /** Gives the exchange up: the places stay those that were bought. */
  #noExchange(order) {
    return this.#ask(() => api.cancelExchange(order.id, order.exchanges.at(-1).id));
  }

  /** Asks which places are given back. One return has one id: asked again, it is done once. */
  #askBack(order) {
    const id = freshId();
    const form = new GiveBack(order, (line) => this.#line(order, line),
      (lines, toCredit) => this.#giveBack(order, { id, lines, to_credit: toCredit }),
      () => this.giving.replaceChildren());
    this.giving.replaceChildren(form.element);
    form.element.querySelector("input")?.focus();
  }

  #giveBack(order, wanted) {
    return this.#ask(() => api.giveBack(order.id, wanted));
  }

  /** Asks for a change of the order, and shows what it is then. */
  #ask(request) {
    return this.#whileBusy(async () => {
      const changed = await request();
      this.giving.replaceChildren();
      await this.#show(changed);
    });
  }

  /** Pays what is reserved. The attempt is kept: asked again, it takes no money twice. */
  async #payNow(order) {
    if (this.busy) return;
    this.busy = true;
    this.problem.textContent = "";
    const attempt = keptAttempt(order.id) ?? freshId();
    keepAttempt(order.id, attempt);
    try {
      const paid = await api.pay(order.id, { method: this.house.payment_methods[0], attempt });
      if (paid.redirect_url) location.assign(paid.redirect_url);
      else await this.#show(paid.order);
    } catch (error) {
      if (error instanceof api.Problem) forgetAttempt(order.id); // the next one is another
      else if (!(error instanceof api.Unreachable)) throw error;
      this.problem.textContent = error instanceof api.Problem
        ? refusalText(null, error.code) : t("web.checkout.unreachable");
    } finally {
      this.busy = false;
    }
  }

  #facts(order) {
    const facts = [[t("web.order.fact_number"), String(order.number)]];
    if (order.buyer.name) facts.push([t("web.order.fact_buyer"), order.buyer.name]);
    if (order.buyer.email) facts.push([t("web.order.fact_email"), order.buyer.email]);
    if (order.state === "awaiting_payment") {
      facts.push([t("web.order.fact_due"), moneyExact(order.due, order.currency)]);
      if (order.terms.until_ms) facts.push([t("web.order.fact_until"), longDate(order.terms.until_ms)]);
    }
    for (const { card, left } of giftCardsOf(order)) {
      const amount = moneyExact(left, order.currency);
      const words = card ? t("web.order.credit", { amount, code: spaced(card) }) : amount;
      facts.push([t("web.order.gift_cards.fact"), words]);
    }
    for (const { kind, card, amount } of order.charges) {
      if (kind !== "credit") continue;
      const words = { amount: moneyExact(amount, order.currency), code: spaced(card) };
      facts.push([t("web.order.fact_credit"), t("web.order.credit", words)]);
    }
    const made = { date: longDate(order.created_ms), time: clock(order.created_ms) };
    facts.push([t("web.order.fact_when"), t("web.when", made)]);
    return h("dl.order-facts", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  #stub(order, performance) {
    const gone = goneFrom(order);
    const lines = order.lines.filter((line) => line.performance === performance.id && !gone.has(line.number));
    if (!lines.length) return "";
    const first = performance === order.performances[0];
    const fees = feesOf(order, (its) => its === performance.id || (its < 0 && first));
    const exchanges = order.charges.filter(({ kind, state }) => first && kind === "exchange" && state !== "cancelled");
    if (exchanges.length) fees.push(["exchange", exchanges.reduce((sum, { amount }) => sum + amount, 0)]);
    const named = [...this.fees.get(performance.id), { id: "exchange", names: { en: t("web.exchange.fee_row") } }];
    const staying = lines.filter(({ number }) => !leavingNow(order).includes(number));
    const total = [...staying.map(({ amount }) => amount), ...fees.map(([, amount]) => amount)]
      .reduce((sum, amount) => sum + amount, 0);
    return h("aside.stub", {},
      h("p.stub-date", {}, longDate(performance.starts_ms), h("span", {}, clock(performance.starts_ms))),
      h("h2.stub-title", {}, pick(performance.title)),
      h("p.stub-place", {}, performance.venue),
      performance.status === "cancelled"
        && h("p.order-state.bad", {}, icon("alert"), t("web.status.cancelled")),
      h("ul.stub-lines", {}, lines.map((line) => this.#line(order, line)),
        feeRows(fees, named, order.currency)),
      stubTotal(staying.length, total, order.currency));
  }

  #line(order, line) {
    const names = this.typeNames.get(line.performance)[line.price_type] ?? {};
    const state = line.state === "refunded" ? t("web.order.line_refunded") : exchangeWords(order, line);
    const type = [pick(names), state].filter(Boolean).join(" · ");
    const row = stubRow(this.plans.get(line.performance), order.currency, line.seat, line.area, type, line.amount);
    const gone = line.state === "refunded" || line.state === "cancelled" || leavingNow(order).includes(line.number);
    row.classList.toggle("gone", gone);
    return row;
  }
}

/** Lines that an order does not have: places that were given for others, or never came for some. */
function goneFrom({ exchanges }) {
  const done = exchanges.filter((one) => one.done);
  return new Set(done.flatMap(({ refused, leaving, coming }) => (refused ? coming : leaving)));
}

/** The state people are told: money paid back for tickets is another story than for none. */
const told = ({ state, lines }) =>
  (state === "refunded" && !lines.some((line) => line.state === "refunded") ? "repaid" : state);

/** Names of price types and fees; without them when the performance is shown to nobody any more. */
async function names(performance) {
  try {
    const { price_types: types, fees } = await api.performance(performance);
    return { types: Object.fromEntries(types.map(({ id, names: texts }) => [id, texts])), fees };
  } catch (error) {
    if (error instanceof api.Problem && error.status === 404) return { types: {}, fees: [] };
    throw error;
  }
}

/** The lines that an exchange under way gives for others. */
const leavingNow = ({ state, exchanges }) => (state === "exchanging" ? exchanges.at(-1).leaving : []);

/** What an exchange that is under way makes of a line. */
function exchangeWords(order, { number }) {
  if (leavingNow(order).includes(number)) return t("web.exchange.leaving");
  const coming = order.state === "exchanging" && order.exchanges.at(-1).coming.includes(number);
  return coming ? t("web.exchange.coming") : "";
}

const dots = () => h("span.waiting-dots", { "aria-hidden": "true" }, h("i"), h("i"), h("i"));

runPage(async () => {
  const house = await openHouse();
  await new OrderPage(house, location.pathname.split("/").pop()).open();
});
