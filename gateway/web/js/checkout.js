// From the basket to the order: who buys, then payment. The order's id is made and kept before
// anything is sent, so that a double click, a reload or a lost answer repeats and never doubles.
//
// Owns the checkout's two steps and what is kept of them. Knows the basket by its lines only.

import * as api from "./api.js";
import { byId, h, icon } from "./dom.js";
import { askAnew, forgetExchange, keptExchange } from "./exchange.js";
import { currentLanguage, longDate, clock, moneyExact, pick, plural, t } from "./i18n.js";
import { forgetBasket, forgetOrder, freshId, keepBuyer, keepOrder, keptBuyer, keptOrder } from "./keep.js";
import { seatText } from "./places.js";
import { refusalText } from "./refusals.js";

const MAX_TEXT_CHARS = 200; // the engine's bound for any free text
const DONE = new Set([
  "awaiting_approval", "awaiting_payment", "selling", "paid", "part_refunded", "failed", "refunded",
]);

export class Checkout {
  /** `leave()` goes back to the seats; `items()` are the basket panel's. */
  constructor({ house, performance, plan, basket, items, leave, locked }) {
    Object.assign(this, { house, performance, plan, basket, items, leave, locked });
    this.order = null;
    this.quote = null;
    this.busy = false;
    this.problem = h("p.problem", { role: "alert" });
    this.time = h("span.checkout-time");
    this.page = byId("checkout");
  }

  /**
   * An order was begun before this page was opened: true when it still waits for its payment. One
   * that was paid meanwhile, on another page or in another tab, is shown instead of the seats.
   */
  async resume() {
    const kept = keptOrder(this.performance.id);
    if (!kept) return false;
    try {
      this.order = await api.order(kept.id);
    } catch (error) {
      // Not known there: it never arrived. Its id stays kept, and is used when it is sent again.
      if (error instanceof api.Problem) return false;
      throw error;
    }
    if (this.order.state === "open") return true;
    if (DONE.has(this.order.state)) this.#showOrder(this.order);
    this.expired();
    return false;
  }

  show() {
    this.problem.textContent = "";
    this.quote = null;
    this.stub = this.#summary();
    this.page.replaceChildren(h("div.checkout-page", {},
      h("div.checkout-work", {}, this.#step()),
      this.stub));
    this.page.querySelector("h1").focus();
    if (!this.order && !keptExchange() && this.performance.fees.length) this.#askFees();
  }

  /** What the basket costs with its fees, as the server reckons it: before it is ordered. */
  async #askFees() {
    const lines = this.#lines();
    let quote;
    try {
      quote = await api.quote({ baskets: [{ performance: this.performance.id, lines }] });
    } catch (error) {
      if (error instanceof api.Unreachable || error instanceof api.Problem) return; // the order tells
      throw error;
    }
    if (this.order || JSON.stringify(lines) !== JSON.stringify(this.#lines())) return;
    this.quote = this.#way(quote.ways) ?? quote;
    const stub = this.#summary();
    this.stub.replaceWith(stub);
    this.stub = stub;
  }

  /** What the way costs in which this page is paid. */
  #way(ways) {
    return ways.find(({ method }) => method === this.house.payment_methods[0]);
  }

  showTime(text) {
    this.time.textContent = text && t("web.basket.kept", { time: text });
  }

  /** Gives up the order, if there may be one, and goes back to the seats. */
  async back() {
    const kept = keptOrder(this.performance.id);
    if (kept && !(await this.#do(() => this.#giveUp(kept.id)))) return;
    this.expired();
    this.leave();
  }

  /** The order is over, and what was kept to repeat it. */
  expired() {
    this.order = null;
    forgetOrder(this.performance.id);
  }

  async #giveUp(id) {
    try {
      return await api.cancelOrder(id);
    } catch (error) {
      // Sent, perhaps, but never arrived: there is nothing to give up.
      if (error instanceof api.Problem && error.status === 404) return true;
      throw error;
    }
  }

  #step() {
    if (this.order) return this.#payment();
    return keptExchange() ? this.#exchange(keptExchange()) : this.#details();
  }

  /** What is in the basket is given for places of an order, whose page tells what is left to pay. */
  #exchange({ number, lines, fee, worth }) {
    const { currency, fees } = this.performance;
    const money = (amount) => ({ amount: moneyExact(amount, currency) });
    const more = this.items().reduce((sum, { amount }) => sum + amount, 0) + fee - worth;
    const words = fee ? [t("web.exchange.fee", money(fee))] : [];
    // With fees of places or orders only the answer tells what it comes to.
    if (!fees.length && more > 0) words.push(t("web.exchange.more", money(more)));
    if (!fees.length && more < 0) words.push(t("web.return.back", money(-more)));
    return h("div", {},
      h("h1", { tabindex: "-1" }, t("web.exchange.confirm_title")),
      h("p.lead", {}, plural("web.exchange.confirm_text", lines.length, { number })),
      h("p.exchange-sum", {}, words.join(" ")),
      this.problem,
      h("div.checkout-buttons", {},
        h("button.button.primary", { type: "button", id: "exchange-places", onclick: () => this.#giveFor() },
          t("web.exchange.confirm")), this.#backButton()));
  }

  async #giveFor() {
    const kept = keptExchange();
    const basket = { performance: this.performance.id, token: this.basket.token, lines: this.#lines() };
    const changed = await this.#do(() => api.exchange(kept.order, { id: kept.id, lines: kept.lines, basket }));
    if (!changed && this.refusedLast) askAnew(kept);
    if (!changed) return;
    forgetExchange();
    this.busy = true; // this page is being left
    location.replace(`/o/${kept.order}`);
  }

  #details() {
    const buyer = keptBuyer();
    const always = { required: true, maxlength: MAX_TEXT_CHARS };
    const name = h("input", { id: "buyer-name", name: "name", autocomplete: "name", value: buyer.name, ...always });
    const email = h("input", {
      id: "buyer-email", name: "email", type: "email", autocomplete: "email", value: buyer.email, ...always,
    });
    const equal = h("input", { id: "equal-places", name: "equal", type: "checkbox" });
    const form = h("form", { onsubmit: (event) => this.#place(event, name, email, equal) },
      h("div.field", {}, h("label.field-label", { for: "buyer-name" }, t("web.checkout.name")), name),
      h("div.field", {}, h("label.field-label", { for: "buyer-email" }, t("web.checkout.email")), email,
        h("p.field-help", { id: "email-help" }, t("web.checkout.email_help"))),
      h("label.agree", {}, equal, h("span", {}, t("web.checkout.equal_places"))),
      this.problem,
      h("div.checkout-buttons", {},
        h("button.button.primary", { type: "submit", id: "place" }, t("web.checkout.to_payment")), this.#backButton()));
    email.setAttribute("aria-describedby", "email-help");
    return h("div", {},
      h("h1", { tabindex: "-1" }, t("web.checkout.title")), h("p.lead", {}, t("web.checkout.lead")), form);
  }

  async #place(event, name, email, equal) {
    event.preventDefault();
    const buyer = { name: name.value.trim(), email: email.value.trim() };
    keepBuyer(buyer);
    const placed = await this.#do(() => this.#send(buyer, equal.checked));
    if (!placed) return;
    this.order = placed;
    if (placed.state !== "open") {
      this.#showOrder(placed); // there was nothing to pay, or it was paid already
      return;
    }
    this.locked(placed);
    this.show();
  }

  async #send(buyer, equalPlaces) {
    const kept = keptOrder(this.performance.id) ?? this.#freshOrder();
    const lines = this.#lines();
    const request = (id) => api.placeOrder({
      id,
      baskets: [{ performance: this.performance.id, token: this.basket.token, lines }],
      buyer: { ...buyer, language: currentLanguage() },
      equal_places: equalPlaces,
    });
    try {
      return await request(kept.id);
    } catch (error) {
      if (!(error instanceof api.Problem) || error.code !== "id_reused") throw error;
      // An earlier sending did arrive, its answer was lost, and the basket has changed since.
      await this.#giveUp(kept.id);
      return request(this.#freshOrder().id);
    }
  }

  #freshOrder() {
    const fresh = { id: freshId(), attempt: freshId() };
    keepOrder(this.performance.id, fresh);
    return fresh;
  }

  /** Lines as the engine reads them: [seat, area, price type, quantity]. */
  #lines() {
    const lines = [];
    const places = new Map();
    for (const { seat, area, type } of this.items()) {
      if (seat >= 0) lines.push([seat, -1, type, 1]);
      else places.set(`${area} ${type}`, [-1, area, type, (places.get(`${area} ${type}`)?.[3] ?? 0) + 1]);
    }
    return [...lines, ...places.values()];
  }

  #payment() {
    const [method] = this.house.payment_methods;
    const due = this.#way(this.order.ways)?.due ?? this.order.due;
    const amount = moneyExact(due, this.order.currency);
    const test = method === "test_card";
    return h("div", {},
      h("h1", { tabindex: "-1" }, t("web.pay.title")),
      h("p.lead", {}, t("web.pay.lead", { number: this.order.number })),
      h(`div.pay-card${test ? ".test" : ""}`, {},
        h("p.pay-badge", {}, t(test ? "web.pay.test_badge" : "web.pay.card_badge")),
        h("p.pay-amount", {}, amount),
        h("p.pay-words", {}, t(test ? "web.pay.test_text" : "web.pay.card_text"))),
      this.problem,
      this.#creditForm(),
      h("div.checkout-buttons", {},
        h("button.button.primary", { type: "button", id: "pay", onclick: () => this.#pay(method) },
          t(test ? "web.pay.test_button" : "web.pay.card_button", { amount })),
        this.house.terms.map((kind) => this.#laterButton(kind)),
        this.#backButton()));
  }

  /** A part of the order, or all of it, may be paid with the code of a credit. */
  #creditForm() {
    const code = h("input", {
      id: "credit", type: "text", autocomplete: "off", autocapitalize: "characters", maxlength: 40,
      required: true, placeholder: t("web.pay.credit_hint"), "aria-label": t("web.pay.credit_hint"),
    });
    const paid = { amount: moneyExact(this.order.paid, this.order.currency) };
    const taken = this.order.paid > 0
      && h("p.pay-taken", { role: "status" }, t("web.pay.credit_taken", paid));
    return h("details.pay-credit", { open: this.order.paid > 0 },
      h("summary", {}, t("web.pay.credit_label")), taken,
      h("form", { onsubmit: (event) => this.#useCredit(event, code) }, code,
        h("button.button", { type: "submit", id: "use-credit" }, t("web.pay.credit_button"))));
  }

  async #useCredit(event, code) {
    event.preventDefault();
    const reference = code.value.trim();
    const paid = await this.#do(() => this.#attempt("store_credit", reference));
    // Whatever was answered, the next payment is another; an unanswered one is asked again.
    if (paid || this.refusedLast) this.#freshAttempt();
    if (!paid) return;
    this.order = paid.order;
    if (paid.order.state !== "open") this.#showOrder(paid.order);
    else this.show();
  }

  #laterButton(kind) {
    const words = t(kind === "invoice" ? "web.pay.later.invoice" : "web.pay.later.on_site");
    return h("button.button", { type: "button", id: `later-${kind}`, onclick: () => this.#later(kind) }, words);
  }

  /** The order is to be paid later, on the house's terms, once somebody there approves. */
  async #later(kind) {
    const reserved = await this.#do(() => api.reserve(this.order.id, kind));
    if (reserved) this.#showOrder(reserved);
  }

  #backButton() {
    return h("button.button.quiet", { type: "button", id: "back", onclick: () => this.back() },
      icon("back"), t("web.checkout.back"));
  }

  async #pay(method) {
    const paid = await this.#do(() => this.#attempt(method));
    // A refused attempt is over: the next one is another. An unanswered one is asked again.
    if (!paid && this.refusedLast) this.#freshAttempt();
    if (!paid) return;
    if (paid.redirect_url) location.assign(paid.redirect_url);
    else this.#showOrder(paid.order);
  }

  /** Asks with the attempt that was kept: whoever comes back from the payment's page finds it again. */
  async #attempt(method, reference = "") {
    const ask = ({ attempt }) => api.pay(this.order.id, { method, attempt, reference });
    try {
      return await ask(keptOrder(this.performance.id) ?? this.#freshAttempt());
    } catch (error) {
      if (!(error instanceof api.Problem) || error.code !== "attempt_over") throw error;
      // Its page was closed unpaid and can take no money any more: now another may.
      return ask(this.#freshAttempt());
    }
  }

  #freshAttempt() {
    const kept = { id: this.order.id, attempt: freshId() };
    keepOrder(this.performance.id, kept);
    return kept;
  }

  /** The order goes on on its own page; what is settled is not repeated from here any more. */
  #showOrder({ id, state, holds }) {
    this.busy = true; // this page is being left: another click asks for nothing
    if (DONE.has(state) && holds.some(({ token }) => token === this.basket.token)) {
      forgetBasket(this.performance.id);
      this.basket.token = null;
    }
    if (state !== "open") forgetOrder(this.performance.id);
    location.replace(`/o/${id}`);
  }

  /** Runs one request at a time, with its button busy; a refusal is shown and null returned. */
  async #do(request) {
    if (this.busy) return null;
    this.busy = true;
    this.refusedLast = false;
    this.problem.textContent = "";
    this.page.setAttribute("aria-busy", "true");
    try {
      return await request();
    } catch (error) {
      this.#refused(error);
      return null;
    } finally {
      this.busy = false;
      this.page.removeAttribute("aria-busy");
    }
  }

  #refused(error) {
    if (error instanceof api.Unreachable) {
      this.problem.textContent = t("web.checkout.unreachable");
      return;
    }
    if (!(error instanceof api.Problem)) throw error;
    if (error.code === "order_closed" && this.order) {
      location.assign(`/o/${this.order.id}`); // paid or given up elsewhere: its page knows more
      return;
    }
    this.refusedLast = true;
    this.problem.textContent = refusalText(
      this.plan, error.code, error.problem.seats ?? [], { quotas: this.performance.quotas }, error.problem.detail,
    );
    if (!this.order) forgetOrder(this.performance.id); // nothing was done under that id
    this.basket.refresh();
  }

  #summary() {
    const { performance } = this;
    const rows = this.order
      ? this.order.lines.map((line) => this.#orderRow(line))
      : this.items().map((item) => this.#row(item));
    const way = this.order && this.#way(this.order.ways);
    const told = this.order ? [...feesOf(this.order), ...pairs(way?.fees)] : pairs(this.quote?.fees);
    const fees = feeRows(told, performance.fees, performance.currency);
    const total = way?.total ?? this.order?.total ?? this.quote?.total
      ?? this.items().reduce((sum, { amount }) => sum + amount, 0);
    return h("aside.stub", { "aria-label": t("web.checkout.summary") },
      h("p.stub-date", {}, longDate(performance.starts_ms), h("span", {}, clock(performance.starts_ms))),
      h("h2.stub-title", {}, pick(performance.title)),
      h("p.stub-place", {}, performance.venue),
      h("ul.stub-lines", {}, rows, fees),
      stubTotal(rows.length, total, performance.currency),
      this.time);
  }

  #row({ seat, area, typeNames, amount }) {
    return stubRow(this.plan, this.performance.currency, seat, area, pick(typeNames), amount);
  }

  #orderRow({ seat, area, price_type: type, amount }) {
    const names = this.performance.price_types.find(({ id }) => id === type)?.names ?? {};
    return stubRow(this.plan, this.order.currency, seat, area, pick(names), amount);
  }
}

/**
 * What an order is charged beside its places, as [[fee, amount]]: the buyer's own, not the house's.
 * `of(performance)` says whose are wanted; -1 are the order's as a whole.
 */
export function feesOf(order, of = () => true) {
  const sums = new Map();
  const add = (fee, amount) => sums.set(fee, (sums.get(fee) ?? 0) + amount);
  for (const { performance, fees } of order.lines) {
    for (const [fee, amount, absorbed] of fees) if (!absorbed && of(performance)) add(fee, amount);
  }
  for (const { fee, kind, amount, absorbed, state, line, refund, performance } of order.charges) {
    const stands = !absorbed && !line && !refund && state !== "cancelled";
    if (kind !== "gift_card" && stands && of(performance)) add(fee, amount);
  }
  return [...sums];
}

const pairs = (fees = []) => fees.map(({ fee, amount }) => [fee, amount]);

/** Fees as lines of a stub; `named` are those of the performance, with their names. */
export function feeRows(fees, named, currency) {
  const names = Object.fromEntries(named.map(({ id, names: texts }) => [id, texts]));
  return fees.map(([fee, amount]) => h("li.stub-line", {},
    h("span.stub-name", {}, pick(names[fee] ?? {}) || fee),
    h("span.stub-amount", {}, moneyExact(amount, currency))));
}

/** The last line of a stub. */
export function stubTotal(places, total, currency) {
  return h("p.stub-total", {},
    h("span", {}, plural("web.basket.places", places)), h("strong", {}, moneyExact(total, currency)));
}

/** One place of an order, as a line of a stub. */
export function stubRow(plan, currency, seat, area, type, amount) {
  const name = seat >= 0 ? seatText(plan, seat) : plan.areas[area].name;
  const section = seat >= 0 ? plan.seatName(seat).section : "";
  return h("li.stub-line", {},
    h("span.stub-name", {}, name, h("span.stub-details", {}, [section, type].filter(Boolean).join(" · "))),
    h("span.stub-amount", {}, moneyExact(amount, currency)));
}
