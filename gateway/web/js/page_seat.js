// The seat page, /p/{performance}: wires the map, the list, the prices, the basket and the checkout
// to one connection. Decides nothing itself; each part owns its own business.

import * as api from "./api.js";
import { announce, clearNotes, note } from "./announce.js";
import { Basket } from "./basket.js";
import { BasketPanel } from "./basket_panel.js";
import { BestForm, rungText } from "./best_form.js";
import { Checkout } from "./checkout.js";
import { exchangeStrip } from "./exchange.js";
import { openHouse, runPage, setTitle, titles } from "./chrome.js";
import { Countdown } from "./countdown.js";
import { byId, setText } from "./dom.js";
import { Applied, Feed } from "./feed.js";
import { clock, currentLanguage, list, longDate, number, plural, t } from "./i18n.js";
import { keptBasket, keptOrder } from "./keep.js";
import { Look } from "./map_seats.js";
import { MapTip } from "./map_tip.js";
import { seatsText } from "./places.js";
import { Plan } from "./plan.js";
import { areaText, fillLegend, PriceList } from "./price_list.js";
import { Prices } from "./prices.js";
import { refusalText } from "./refusals.js";
import { hasQueue } from "./room_words.js";
import { isOpen, saleText, statusAt } from "./sale.js";
import { SeatList } from "./seat_list.js";
import { SeatMap } from "./seat_map.js";
import { Sheet } from "./sheet.js";
import { Connection } from "./socket.js";
import { Stock } from "./stock.js";

const VIEW_KEY = "strapontin.view";
const PLAN_AGAIN_MS = 2_000;
const LEARN_MOST_MS = 3_600_000; // the house may have changed the sale's times: looked up this often at least
const LEARN_SPREAD_MS = 5_000;
const COUNTS_EVERY_MS = 400; // places left in words and menus follow the feed this often at most

class SeatPage {
  /** `visit` is told of holds refused for want of an admission, and of every change of the basket. */
  constructor(visit, plan) {
    const { house, performance, connection } = visit;
    Object.assign(this, { visit, house, performance, plan, connection });
    this.away = false; // in the waiting room
    this.now = () => this.connection.serverNow();
    this.feed = new Feed(plan.count, plan.areas.length);
    this.basket = new Basket(performance.id, this.connection);
    this.prices = new Prices(performance);
    this.stock = new Stock(plan, this.feed, this.basket, this.prices, this.now);
    this.stock.open = isOpen(performance, this.now());
    this.#build();
    this.#listen();
  }

  #build() {
    const { plan, stock, basket, prices, performance } = this;
    const shared = { plan, stock, basket, prices, most: performance.max_per_order };
    this.map = new SeatMap(byId("map"), plan, {
      areaText: (area) => areaText(stock, area),
    });
    this.tip = new MapTip(byId("tip"), plan, stock);
    this.list = new SeatList({ plan, stock, choose: (seat) => this.#choose(seat) });
    const chooseCategory = (category) => this.#chooseCategory(category);
    this.best = new BestForm({ ...shared, chooseCategory });
    this.priceList = new PriceList({ ...shared, chooseCategory });
    fillLegend(byId("legend"), plan);
    this.sheet = new Sheet((inset) => this.map.setInset(inset));
    this.panel = new BasketPanel({
      plan, basket, prices, now: this.now,
      toCheckout: () => this.#toCheckout(),
      showSeat: (seat) => this.#showSeat(seat),
    });
    this.checkout = new Checkout({
      house: this.house, performance, plan, basket,
      items: () => this.panel.items(),
      leave: () => this.#toSeats(),
      locked: (order) => this.countdown.until(order.expires_ms),
    });
    this.countdown = new Countdown(this.now, (text, share, urgent) => {
      this.panel.showTime(text, share, urgent);
      this.checkout.showTime(text);
    });
  }

  #listen() {
    const on = (source, type, listener) => source.addEventListener(type, ({ detail }) => listener(detail));
    on(this.connection, "feed", (frame) => this.#fed(frame));
    on(this.connection, "state", (state) => this.#line(state));
    on(this.basket, "change", ({ seats }) => this.#basketChanged(seats));
    on(this.basket, "taken", (taken) => this.#taken(taken));
    on(this.basket, "refused", (refusal) => this.#refused(refusal));
    on(this.basket, "lost", (lost) => this.#lost(lost));
    on(this.basket, "failed", () => note(t("web.refusal.other"), { tone: "warning" }));
    on(this.map, "seat", ({ seat }) => this.#choose(seat));
    on(this.map, "area", ({ area }) => {
      this.sheet.open();
      this.priceList.showArea(area);
    });
    on(this.map, "hover", (place) => this.tip.show(place));
    byId("zoom-in").addEventListener("click", () => this.map.zoomIn());
    byId("zoom-out").addEventListener("click", () => this.map.zoomOut());
    byId("zoom-fit").addEventListener("click", () => this.map.fit());
    byId("view-map").addEventListener("click", () => this.showView("map"));
    byId("view-list").addEventListener("click", () => this.showView("list"));
    byId("skip").addEventListener("click", () => {
      this.showView("list");
      byId("list-title").focus();
    });
    addEventListener("hashchange", () => this.route());
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) location.reload(); // back from a payment page: this one's connection is long dead
    });
    // What another tab of this buyer did shows as soon as this one is looked at again.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.connection.state === "open") this.basket.refresh();
    });
    const lights = { attributeFilter: ["data-theme"] };
    new MutationObserver(() => this.map.retheme()).observe(document.documentElement, lights);
  }

  async open() {
    this.#watch();
    byId("exchange").replaceChildren(exchangeStrip());
    this.showView(localStorage.getItem(VIEW_KEY) === "list" ? "list" : "map");
    if (await this.checkout.resume()) {
      this.countdown.until(this.checkout.order.expires_ms);
      history.replaceState(null, "", "#checkout");
    }
    this.route();
  }

  #watch() {
    this.connection.watch(this.performance.id, () => [this.feed.epoch, this.feed.seq]);
  }

  /** Leaves the screen to the waiting room: nothing is watched or shown until `comeBack`. */
  stepAside() {
    this.away = true;
    this.connection.unwatch(this.performance.id);
    this.sheet.close();
    this.route();
  }

  comeBack() {
    if (!this.away) return;
    this.away = false;
    this.#watch();
    this.route();
  }

  /** Whether something is in the basket, may be, or is being paid. */
  holding() {
    const { basket, checkout } = this;
    return !basket.known || basket.size > 0 || basket.waiting || Boolean(checkout.order);
  }

  #toCheckout() {
    if (location.hash === "#checkout") this.route();
    else location.hash = "checkout"; // a step that the browser's "back" undoes
  }

  #toSeats() {
    history.replaceState(null, "", location.pathname);
    this.route();
  }

  /** Seats or checkout, as the address says and the basket allows. */
  route() {
    if (this.away) {
      byId("seats").hidden = byId("checkout").hidden = true;
      return;
    }
    const { order } = this.checkout;
    const paying = location.hash === "#checkout" && (order || this.panel.items().length > 0);
    if (!paying && order) {
      this.checkout.back(); // the browser's own "back" gives up the payment like ours
      return;
    }
    byId("seats").hidden = paying;
    byId("checkout").hidden = !paying;
    document.body.classList.toggle("paying", paying);
    if (paying) {
      clearNotes();
      this.checkout.show();
    } else {
      byId("checkout").replaceChildren();
      this.basket.refresh();
    }
  }

  showView(view) {
    for (const name of ["map", "list"]) {
      byId(`view-${name}`).setAttribute("aria-pressed", String(name === view));
      byId(`${name}-view`).hidden = name !== view;
    }
    if (view === "list") this.list.show();
    localStorage.setItem(VIEW_KEY, view);
  }

  #fed(frame) {
    if (frame[1] !== this.performance.id) return;
    const { did, seats } = this.feed.apply(frame);
    if (did === Applied.GAP) this.connection.rewatch(this.performance.id);
    if (did === Applied.GAP || did === Applied.STALE) return;
    this.map.live = true;
    this.#looked(seats);
    this.#countSoon();
  }

  /** Looks follow feed and basket; the map is told of those that really differ. */
  #looked(seats) {
    const { looks } = this.map;
    const changed = [];
    const judge = (seat) => {
      const look = this.stock.look(seat);
      if (looks[seat] === look) return;
      looks[seat] = look;
      changed.push(seat);
    };
    if (seats) seats.forEach(judge);
    else for (let seat = 0; seat < looks.length; seat += 1) judge(seat);
    if (seats) this.map.touch(changed);
    else this.map.repaint();
    this.list.refresh(seats ? changed : null);
    this.tip.refresh();
  }

  #countSoon() {
    this.counting ??= setTimeout(() => {
      this.counting = null;
      this.priceList.refresh();
      this.best.refresh();
      this.map.setAreaShares(this.plan.areas.map((area, index) => this.stock.areaFree(index) / area.capacity));
      document.documentElement.dataset.epoch = `${this.feed.epoch}.${this.feed.seq}`;
    }, this.counted ? COUNTS_EVERY_MS : 0);
    this.counted = true;
  }

  #basketChanged(seats) {
    this.panel.refresh();
    this.#looked(seats);
    this.countdown.until(this.checkout.order?.expires_ms ?? this.basket.expiresMs);
    if (location.hash === "#checkout" && byId("checkout").hidden && this.panel.items().length) this.route();
    this.visit.settle();
  }

  #choose(seat) {
    const look = this.stock.look(seat);
    clearNotes();
    if (look === Look.FREE) this.basket.take(this.plan.together(seat));
    else if (look === Look.MINE) this.basket.give(this.plan.together(seat));
    else if (look !== Look.PENDING) note(this.#whyNot(look, seat), { tone: "warning" });
  }

  #whyNot(look, seat) {
    if (look === Look.UNKNOWN) return t("web.state.unknown");
    if (look === Look.OFF) return t(this.stock.open ? "web.refusal.seat_blocked" : "web.refusal.not_on_sale");
    return t(look === Look.SOLD ? "web.choose.sold" : "web.choose.held", { seat: seatsText(this.plan, [seat]) });
  }

  #chooseCategory(category) {
    this.map.focusCategory(category);
    this.best.setCategory(category);
    this.priceList.setCategory(category);
  }

  #showSeat(seat) {
    this.showView("map");
    this.sheet.close();
    this.map.showSeats([seat]);
    this.map.mark([seat]);
  }

  #taken({ seats, areas, rung }) {
    const places = seats.length + areas.reduce((sum, [, count]) => sum + count, 0);
    const names = seats.length ? seatsText(this.plan, seats) : list(areas.map(([area]) => this.plan.areas[area].name));
    if (rung) {
      clearNotes();
      this.map.mark(seats);
      note(t("web.best.found", { seats: names, why: rungText(rung, places) }), { tone: "good" });
    } else {
      announce(plural("web.basket.added", places, { seats: names }));
    }
  }

  /** The sale, or its prices, are otherwise than when this page began. */
  learn(performance) {
    this.performance = performance;
    this.prices.learn(performance);
    this.stock.open = isOpen(performance, this.now());
    this.stock.forget();
    this.panel.refresh();
    this.#looked(null);
    this.#countSoon();
  }

  async #refused({ code, seats, detail, asked }) {
    if (code === "not_admitted" && await this.visit.turnedAway()) return;
    if (seats.length) this.map.mark(seats);
    const values = { most: number(this.performance.max_per_order), size: number(asked.size ?? 0) };
    const text = refusalText(this.plan, code, seats, values, detail);
    note(text, { tone: "warning", action: this.#wayOut(code, seats, asked) });
  }

  /** A lonely seat, or the rest of a table, can simply be taken too. */
  #wayOut(code, seats, asked) {
    if (!asked.seats || (code !== "orphan" && code !== "whole_table")) return null;
    const all = [...asked.seats, ...seats];
    return {
      text: plural("web.refusal.take_too", seats.length, { seats: seatsText(this.plan, seats) }),
      run: () => this.basket.take(all, asked.areas),
    };
  }

  #lost({ seats, places }) {
    if (seats.length) this.map.mark(seats);
    const seen = { text: t("web.basket.lost_ok"), run: () => {} }; // stays until it is read
    note(plural("web.basket.lost", places), { tone: "warning", action: seen });
    this.checkout.expired();
    this.#toSeats();
  }

  #line(state) {
    if (this.away) return;
    const banner = byId("line");
    banner.hidden = state !== "retrying";
    setText(banner, state === "retrying" ? t("web.line.lost") : "");
    if (state === "retrying") this.wasLost = true;
    if (state === "open") {
      if (this.wasLost) announce(t("web.line.back"));
      this.wasLost = false;
      this.basket.refresh();
    }
  }
}

/** A buyer's visit to one performance: its seats, and the waiting room before them where there is one. */
class Visit {
  #plan = null;

  constructor(house, performance, plan) {
    this.house = house;
    this.performance = performance;
    this.#plan = plan;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.connection = new Connection(`${scheme}://${location.host}/ws`, api.sessionToken, currentLanguage());
    this.page = null;
    this.room = null;
  }

  async open() {
    fillPlaybill(this.performance);
    this.#learnLater();
    if (hasQueue(this.performance)) {
      byId("seats").hidden = true;
      await this.#openRoom();
      this.connection.start();
    } else {
      this.connection.start();
      await this.show();
    }
  }

  /** The seats on the screen. Throws when their plan cannot be had and no waiting room stands before them. */
  async show() {
    if (this.page) {
      this.page.comeBack();
      return;
    }
    const plan = new Plan(await this.#planned());
    // The sale may have begun while one waited for it.
    if (this.room && !isOpen(this.performance, this.connection.serverNow())) await this.#learn();
    byId("seats").hidden = false;
    this.page = new SeatPage(this, plan);
    await this.page.open();
  }

  hide() {
    if (this.page) this.page.stepAside();
    else byId("seats").hidden = true;
  }

  holding() {
    const { id } = this.performance;
    return this.page ? this.page.holding() : Boolean(keptBasket(id) || keptOrder(id));
  }

  settle() {
    this.room?.settle();
  }

  /** Not let in: the waiting room may have opened since this page did. Answers whether it is shown. */
  async turnedAway() {
    if (!this.room) {
      await this.#learn();
      await this.#openRoom();
    }
    return this.room.refused();
  }

  /** How the performance is now; as it was, when nobody answers. */
  async #learn() {
    this.performance = await api.performance(this.performance.id).catch(() => this.performance);
    fillPlaybill(this.performance);
    this.page?.learn(this.performance);
  }

  /** When the sale or a price changes by itself, this page does: at once by what it knows, then it asks. */
  #learnLater() {
    const now = this.connection.serverNow();
    const { changes_ms: changes, prices_change_ms: prices } = this.performance;
    const next = Math.min(...[changes, prices].filter((moment) => moment > now), now + LEARN_MOST_MS);
    setTimeout(async () => {
      fillPlaybill(this.performance);
      this.page?.learn(this.performance);
      // Everybody's page wakes at this moment: they do not all ask in it.
      await new Promise((resume) => { setTimeout(resume, Math.random() * LEARN_SPREAD_MS); });
      await this.#learn();
      this.#learnLater();
    }, next - now);
  }

  async #openRoom() {
    const { openWaitingRoom } = await import("./waiting.js");
    this.room ??= await openWaitingRoom(this.performance, this.connection, this);
  }

  /** The plan: who waited in line for it does not give up because a line broke. */
  async #planned() {
    for (;;) {
      try {
        return await this.#plan;
      } catch (error) {
        if (!this.room) throw error;
        await new Promise((resume) => { setTimeout(resume, PLAN_AGAIN_MS); });
        this.#plan = api.plan(this.performance.plan);
      }
    }
  }
}

function fillPlaybill(performance) {
  const [title, subtitle] = titles(performance);
  setTitle(title, longDate(performance.starts_ms));
  setText(byId("title"), title);
  setText(byId("subtitle"), subtitle);
  setText(byId("when"), t("web.when", { date: longDate(performance.starts_ms), time: clock(performance.starts_ms) }));
  setText(byId("venue"), performance.venue);
  const now = Date.now();
  const silent = statusAt(performance, now) === "on_sale" && !(performance.changes_ms > now);
  byId("closed").hidden = silent;
  if (!silent) setText(byId("closed"), saleText(performance, now));
}

runPage(async () => {
  const id = Number(location.pathname.split("/").pop());
  const told = api.performance(id);
  const plan = told.then((performance) => api.plan(performance.plan));
  // Nothing waits for what it does not need: plan and session come while the words do.
  const [house, performance] = await Promise.all([
    openHouse(), told, told.then((known) => (hasQueue(known) ? null : plan)), api.sessionToken(),
  ]);
  plan.catch(() => {}); // heard again by whoever needs it
  await new Visit(house, performance, plan).open();
});
