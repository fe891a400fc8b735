// The waiting room as one buyer lives it, loaded only where a performance has one: takes the buyer in,
// follows the line, lets them to the seats when it is their turn, and back here when it is over.
// Owns when which of these happens; the seats are the page's, the words and the looks its own parts'.

import { announce, clearNotes, note } from "./announce.js";
import { setTitle, titles } from "./chrome.js";
import { byId, h, setText } from "./dom.js";
import { longDate, plural, t } from "./i18n.js";
import { forgetAdmission, isAdmission, keepAdmission, keptAdmission } from "./keep.js";
import { Standing } from "./waiting_state.js";
import { openCurtain, TurnLine } from "./waiting_turn.js";
import { WaitingView } from "./waiting_view.js";
import { Herald, tabTitle } from "./waiting_words.js";

const BUSY_AGAIN_MS = 12_000;
const CALL_MS = 1_200; // between the two titles of a tab that is called while nobody looks at it

/** Loads the looks that only waiting rooms need, then opens the one of this performance. */
export async function openWaitingRoom(performance, connection, seats) {
  const href = new URL("../css/waiting.css", import.meta.url).pathname;
  await new Promise((done) => {
    document.head.append(h("link", { rel: "stylesheet", href, onload: done, onerror: done }));
  });
  return new WaitingRoom(performance, connection, seats);
}

export class WaitingRoom {
  #tickTimer = 0;
  #askTimer = 0;
  #inside = null; // whether the seats are shown; null: nothing is yet
  #wasLost = false;

  /**
   * `seats` is what the page does: `show()` promises the seats on the screen, `hide()` takes them
   * away, `holding()` tells whether something is in the basket or being paid.
   */
  constructor(performance, connection, seats) {
    this.performance = performance;
    this.connection = connection;
    this.seats = seats;
    this.standing = new Standing(performance.room);
    this.herald = new Herald();
    this.view = new WaitingView(byId("waiting"), performance, () => this.#queueAgain());
    this.turn = new TurnLine(() => connection.serverNow(), () => this.settle());
    this.#listen();
    this.settle();
    if (!this.standing.lapsed) this.#ask();
  }

  /** A hold was refused for want of an admission. Answers whether the buyer is back in the line. */
  refused() {
    if (this.seats.holding()) return false;
    if (this.#admission()) forgetAdmission(this.performance.id);
    if (this.standing.phase === "closed") this.standing.phase = ""; // there is another room by now
    this.settle();
    if (!this.standing.lapsed) this.#ask();
    this.view.focus();
    return true;
  }

  /**
   * To the seats or back to the line, as admission, basket and room have it: called whenever one of
   * them changed. Who holds something stays with it until it is bought or gone.
   */
  settle() {
    const kept = this.#kept();
    const open = this.standing.phase === "closed";
    const admitted = Boolean(this.#admission());
    const lapsed = Boolean(kept) && !admitted && !open;
    if (lapsed) this.connection.unqueue(this.performance.id);
    this.standing.lapsed = lapsed;
    const inside = open || admitted || this.seats.holding();
    this.turn.until(inside && kept && !open ? kept.expires_ms : 0);
    if (inside && !this.#inside) this.#enter();
    else if (!inside && this.#inside !== false) this.#stay();
    else this.#show();
  }

  #listen() {
    const { id } = this.performance;
    const on = (type, listener) => this.connection.addEventListener(type, ({ detail }) => {
      if (detail[1] === id) listener(detail);
    });
    on("room", (frame) => {
      this.standing.hear(frame);
      this.settle();
    });
    on("placed", (frame) => {
      // A second coming, here or in another tab: the turn before is history.
      if (frame[3] > this.standing.number && this.standing.lapsed) forgetAdmission(id);
      this.standing.put(frame);
      this.settle();
    });
    on("admitted", ([, , admission, expiresMs]) => {
      const { number, onSaleMs } = this.standing;
      keepAdmission(id, { admission, expires_ms: expiresMs, number, on_sale_ms: onSaleMs });
      this.settle();
    });
    this.connection.addEventListener("fault", ({ detail }) => this.#fault(detail.code));
    this.connection.addEventListener("state", ({ detail }) => this.#line(detail));
    // Another tab was let in, or queues again: so does this one.
    addEventListener("storage", (event) => {
      if (!isAdmission(event, id)) return;
      this.settle();
      if (!this.standing.lapsed) this.#ask();
    });
  }

  /** The admission to this on-sale, over or not; one to an earlier sale says nothing about this. */
  #kept() {
    const kept = keptAdmission(this.performance.id);
    return kept?.on_sale_ms === this.standing.onSaleMs ? kept : null;
  }

  #admission = () => {
    const kept = this.#kept();
    return kept && kept.expires_ms > this.connection.serverNow() ? kept.admission : "";
  };

  #ask() {
    this.connection.queue(this.performance.id, this.#admission);
  }

  #queueAgain() {
    this.standing.leave(this.#kept()?.number ?? this.standing.number);
    forgetAdmission(this.performance.id);
    this.settle();
    this.#ask();
    this.view.focus();
  }

  #fault(code) {
    if (code !== "busy" || this.standing.number) return;
    this.standing.busy = true;
    clearTimeout(this.#askTimer);
    // Thousands ask again for the same reason: not in step.
    this.#askTimer = setTimeout(() => this.#ask(), BUSY_AGAIN_MS * (0.5 + Math.random()));
    this.#show();
  }

  #line(state) {
    if (state === "open") this.settle(); // the server's clock is known now
    if (this.#inside) return;
    const lost = state === "retrying";
    byId("line").hidden = !lost;
    setText(byId("line"), lost ? t("web.queue.line_lost") : "");
    if (state === "open" && this.#wasLost) announce(t("web.line.back"));
    this.#wasLost = lost;
  }

  async #enter() {
    const waited = this.#inside === false;
    this.#inside = true;
    clearTimeout(this.#tickTimer);
    await this.seats.show();
    if (!this.#inside) {
      this.seats.hide(); // the turn was over before the seats were there
      return;
    }
    byId("waiting").hidden = true;
    document.body.classList.remove("waiting");
    this.#nameTab();
    if (waited) this.#callIn();
  }

  /** The moment: the curtain opens, and who looked elsewhere is called. */
  #callIn() {
    openCurtain();
    clearNotes();
    const minutes = Math.round(((this.#kept()?.expires_ms ?? 0) - this.connection.serverNow()) / 60_000);
    note(minutes > 0 ? plural("web.queue.turn.now", minutes) : t("web.queue.turn.open"), { tone: "good" });
    byId("title").focus({ preventScroll: true });
    let called = false;
    const call = () => {
      if (!document.hidden || !this.#inside) {
        if (this.#inside) this.#nameTab();
        return;
      }
      called = !called;
      setTitle(called ? t("web.queue.turn.tab") : titles(this.performance)[0]);
      setTimeout(call, CALL_MS);
    };
    call();
  }

  #stay() {
    const turnedOut = this.#inside;
    this.#inside = false;
    this.seats.hide();
    document.body.classList.add("waiting");
    byId("waiting").hidden = false;
    clearNotes();
    this.#show();
    if (turnedOut) this.view.focus();
  }

  /** What there is to see, now and every second from now on, while in the line. */
  #show() {
    if (this.#inside !== false) return;
    clearTimeout(this.#tickTimer);
    const nowMs = this.connection.serverNow();
    const stage = this.standing.stage(nowMs);
    const said = this.view.show(this.standing, stage, nowMs);
    this.herald.tell(this.standing, stage, said, nowMs);
    this.#nameTab(tabTitle(this.standing, stage, nowMs));
    // Ticks fall just after the full second, so that none is shown twice or left out.
    this.#tickTimer = setTimeout(() => this.#show(), 1015 - (nowMs % 1000));
  }

  #nameTab(news = "") {
    setTitle(news, titles(this.performance)[0], news ? "" : longDate(this.performance.starts_ms));
  }
}
