// The doors of one performance as this device knows them, and what it says to a proven ticket while
// it is alone. The twin of engine/door_list.py, rule by rule; a test compares the two. Pure: no
// storage, no clock, no network.

const STATES = { revoked: "REVOKED", refunded: "REFUNDED", unpaid: "UNPAID", blocked: "BLOCKED" };

export class Doors {
  /** `used` is a Map: ticket -> [at_ms, gate, inside]. */
  constructor(listed) {
    this.used = new Map();
    this.places = [];
    this.sections = [];
    this.update(listed);
  }

  /** Takes in a newer list, or part of one, as GET .../door-list tells it. */
  update(listed) {
    if (listed.whole) this.used.clear();
    for (const [number, use] of Object.entries(listed.used)) {
      if (use === null) this.used.delete(Number(number));
      else this.used.set(Number(number), use);
    }
    if (listed.first <= this.places.length + 1) {
      this.places.length = this.sections.length = listed.first - 1;
      this.places = this.places.concat(listed.places);
      this.sections = this.sections.concat(listed.sections);
    }
    this.listed = { ...listed, used: {}, places: [], sections: [] };
  }

  /** What to say to a proven claim (null: a forged one). Changes nothing. */
  judge(claim, gate, mode, atMs) {
    const nothing = { ticket: -1, seat: -1, area: -1, usedAtMs: 0, usedGate: "" };
    if (claim === null) return { ...nothing, result: "UNKNOWN" };
    const { performance, ticket, version } = claim;
    if (performance !== this.listed.performance) return { ...nothing, ticket, result: "WRONG_PERFORMANCE" };
    const result = this.#judge(ticket, version, gate, mode, atMs);
    const admitted = mode === "admit" && result === "ADMITTED";
    const [usedAtMs, usedGate] = this.used.get(ticket) ?? (admitted ? [atMs, gate] : [0, ""]);
    const place = this.places[ticket - 1];
    return {
      result,
      ticket,
      seat: place >= 0 ? place : -1,
      area: place < 0 ? -1 - place : -1,
      usedAtMs,
      usedGate,
    };
  }

  #judge(ticket, version, gate, mode, atMs) {
    const { listed } = this;
    const used = this.used.get(ticket);
    if (mode === "exit") {
      if (!used) return "TOO_EARLY";
      return used[2] ? "EXITED" : "ALREADY_USED";
    }
    const known = listed.versions[ticket] ?? 0;
    if (version < known) return "REVOKED";
    // A secret that is newer than the list was made after the old one was revoked.
    const state = STATES[listed.states[ticket]];
    if (state && version <= known) return state;
    if (used && !(listed.re_entry === "unlimited" || (listed.re_entry === "after_exit" && !used[2]))) {
      return "ALREADY_USED";
    }
    if (!this.#isRightGate(gate, ticket)) return "WRONG_GATE";
    if (atMs < listed.opens_ms) return "TOO_EARLY";
    if (listed.closes_ms && atMs >= listed.closes_ms) return "TOO_LATE";
    return "ADMITTED";
  }

  #isRightGate(gate, ticket) {
    if (!gate || !this.listed.gates.length) return true;
    const found = this.listed.gates.find((one) => one.id === gate);
    if (!found) return false;
    // Where a ticket sold since belongs is not known: it is let in, not kept out.
    const section = this.sections[ticket - 1];
    return !found.sections.length || section === undefined || found.sections.includes(section);
  }

  /** Somebody went in (or out) with this ticket; how it is used now. */
  note(ticket, entry, atMs, gate) {
    const [firstMs, firstGate] = this.used.get(ticket) ?? [atMs, gate];
    const use = [firstMs, firstGate, entry];
    this.used.set(ticket, use);
    return use;
  }

  /** It is used as it was before (undefined: not at all). */
  restore(ticket, before) {
    if (before) this.used.set(ticket, before);
    else this.used.delete(ticket);
  }
}
