// The buyer's basket: one hold in one performance, what is in it, what is on its way in or out, and
// until when. Knows the commands and their outcomes; shows nothing.
//
// Events: "change" ({seats}: seats whose place in the basket changed), "taken" ({seats, areas, rung}),
// "refused" ({code, seats, asked}), "lost" ({seats, places}), "failed" (the server made no sense of it).

import { forgetBasket, freshId, keepBasket, keptBasket } from "./keep.js";
import { hex, unhex } from "./socket.js";

/** What a seat is to the basket. */
export const Place = Object.freeze({ PENDING: "pending", HELD: "held", LEAVING: "leaving" });

export class Basket extends EventTarget {
  constructor(performance, connection) {
    super();
    this.performance = performance;
    this.connection = connection;
    const kept = keptBasket(performance);
    this.token = kept?.token ?? null; // hex, known to us alone
    this.types = new Map(Object.entries(kept?.types ?? {})); // "s12" or "a3" -> price types
    this.seats = new Map(); // seat -> Place
    this.areas = new Map(); // area -> places held
    this.pendingAreas = new Map(); // area -> places on their way, negative when leaving
    this.expiresMs = 0;
    this.order = ""; // the order that is paying for this hold
    this.known = !this.token; // false: kept from before, and the server has not told what is in it
    connection.addEventListener("lost", ({ detail }) => {
      if (detail.performance === performance && hex(detail.token) === this.token) this.#lost();
    });
  }

  /** Places in the basket for certain. */
  get size() {
    let size = 0;
    for (const place of this.seats.values()) size += place === Place.PENDING ? 0 : 1;
    for (const count of this.areas.values()) size += count;
    return size;
  }

  get heldSeats() {
    return [...this.seats].filter(([, place]) => place !== Place.PENDING).map(([seat]) => seat);
  }

  /** Whether an answer is awaited. */
  get waiting() {
    return [...this.seats.values()].some((place) => place !== Place.HELD) || this.pendingAreas.size > 0;
  }

  /** Asks for seats and places of areas ([area, count]...), all or nothing. */
  async take(seats, areas = []) {
    const wanted = seats.filter((seat) => !this.seats.has(seat)).sort((one, other) => one - other);
    if (!wanted.length && !areas.length) return;
    for (const seat of wanted) this.seats.set(seat, Place.PENDING);
    this.#pendAreas(areas, +1);
    this.#changed(wanted);
    const outcome = await this.#ask("hold", this.#useToken(), wanted, areas);
    this.#pendAreas(areas, -1);
    if (outcome[0] === "held") {
      for (const seat of wanted) this.seats.set(seat, Place.HELD);
      this.#addAreas(areas, +1);
      this.#took(outcome);
    } else {
      for (const seat of wanted) this.seats.delete(seat);
      this.#refused(outcome, { seats: wanted, areas });
    }
    this.#changed(wanted);
  }

  /** Asks for the best `size` places that pass the filters. */
  async best(size, { categories = [], area = -1, accessible = 0 }) {
    const outcome = await this.#ask("best", this.#useToken(), size, categories, [], area, accessible);
    if (outcome[0] === "held") {
      for (const seat of outcome[2]) this.seats.set(seat, Place.HELD);
      this.#addAreas(outcome[3], +1);
      this.#took(outcome);
      this.#changed(outcome[2]);
    } else {
      this.#refused(outcome, { size });
    }
    return outcome;
  }

  /** Gives seats and places back. */
  async give(seats, areas = []) {
    for (const seat of seats) this.seats.set(seat, Place.LEAVING);
    this.#pendAreas(areas, -1);
    this.#changed(seats);
    const outcome = await this.#ask("release", unhex(this.token), seats, areas);
    this.#pendAreas(areas, +1);
    if (outcome[0] === "released") {
      for (const seat of outcome[2]) this.seats.delete(seat);
      this.#addAreas(outcome[3], -1);
      this.#emptied();
    } else {
      for (const seat of seats) if (this.seats.has(seat)) this.seats.set(seat, Place.HELD);
      this.#refused(outcome, { seats, areas });
    }
    this.#changed(outcome[0] === "released" ? outcome[2] : seats);
  }

  /** Asks the server what the hold contains: after a reload, a lost line, another tab's work. */
  async refresh() {
    const kept = keptBasket(this.performance);
    if (kept?.token && kept.token !== this.token && !this.size) this.token = kept.token;
    if (!this.token) return;
    const asked = this.token;
    const outcome = await this.#ask("basket", unhex(asked));
    if (asked !== this.token) return;
    this.known = true;
    if (outcome[0] === "basket_is") this.#is(outcome);
    else if (outcome[0] === "refused" && this.size) this.#lost();
    else if (outcome[0] === "refused" && !this.waiting) {
      this.#emptied();
      this.#changed([]);
    }
  }

  /** The price types chosen for a seat ("s12") or the places of an area ("a3"): a list. */
  chosen(key) {
    return this.types.get(key) ?? [];
  }

  choose(key, index, type) {
    const types = [...this.chosen(key)];
    types[index] = type;
    this.types.set(key, types);
    this.#keep();
    this.#changed([]);
  }

  /** One place of an area goes: the choices behind it move up. */
  dropPlace(area, index) {
    const types = [...this.chosen(`a${area}`)];
    types.splice(index, 1);
    this.types.set(`a${area}`, types);
    return this.give([], [[area, 1]]);
  }

  async #ask(kind, token, ...rest) {
    try {
      return await this.connection.ask(kind, this.performance, token, ...rest);
    } catch (error) {
      this.#tell("failed", { code: error.code ?? "" });
      return ["failed"];
    }
  }

  /** The token, made and saved before its first use. */
  #useToken() {
    if (!this.token) {
      this.token = freshId();
      this.#keep();
    }
    return unhex(this.token);
  }

  #keep() {
    keepBasket(this.performance, { token: this.token, types: Object.fromEntries(this.types) });
  }

  #took([, , seats, areas, expiresMs, rung]) {
    this.expiresMs = expiresMs;
    this.#tell("taken", { seats, areas, rung });
  }

  #is([, , seats, areas, expiresMs, order]) {
    const held = new Set(seats);
    const changed = [...this.seats.keys()].filter((seat) => !held.has(seat) && this.seats.get(seat) !== Place.PENDING);
    for (const seat of changed) this.seats.delete(seat);
    for (const seat of seats) {
      if (!this.seats.has(seat)) changed.push(seat);
      if (this.seats.get(seat) !== Place.LEAVING) this.seats.set(seat, Place.HELD);
    }
    this.areas = new Map(areas);
    this.expiresMs = expiresMs;
    this.order = order;
    this.#changed(changed);
  }

  /** The hold ended without being asked to. */
  #lost() {
    const seats = this.heldSeats;
    const places = this.size;
    const changed = [...this.seats.keys()];
    this.clear();
    this.#changed(changed);
    if (places) this.#tell("lost", { seats, places });
  }

  /** An empty hold is over: the next one is a new one, with its own time. */
  #emptied() {
    if (!this.size && !this.waiting) this.clear();
  }

  /** Starts over with nothing, known to nobody yet. */
  clear() {
    this.token = null;
    this.seats.clear();
    this.areas.clear();
    this.types.clear();
    this.expiresMs = 0;
    this.order = "";
    forgetBasket(this.performance);
  }

  #pendAreas(areas, sign) {
    for (const [area, count] of areas) add(this.pendingAreas, area, sign * count);
  }

  #addAreas(areas, sign) {
    for (const [area, count] of areas) add(this.areas, area, sign * count);
  }

  #refused([tag, code, seats, detail], asked) {
    if (tag !== "refused") return;
    if (code === "hold_unknown" && this.size) this.#lost();
    else this.#tell("refused", { code, seats, detail, asked });
  }

  #changed(seats) {
    this.#tell("change", { seats });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function add(counts, key, change) {
  const count = (counts.get(key) ?? 0) + change;
  if (count) counts.set(key, count);
  else counts.delete(key);
}
