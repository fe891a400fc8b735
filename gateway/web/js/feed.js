// One performance's seat colours as this client knows them: the rules that keep an older picture
// from ever being painted over a newer one. Knows frames and positions; no socket, no drawing.

export const AVAILABLE = 0;
export const HELD = 1;
export const SOLD = 2;
export const BLOCKED = 3;

/** What a frame did. GAP asks the caller to watch again from (epoch, seq). */
export const Applied = Object.freeze({
  SNAPSHOT: "snapshot",
  DELTA: "delta",
  STALE: "stale",
  GAP: "gap",
});

export class Feed {
  /** `seatCount` and `areaCount` are the plan's; everything counts as not on sale until told. */
  constructor(seatCount, areaCount) {
    this.statuses = new Uint8Array(seatCount).fill(BLOCKED);
    this.areasFree = new Array(areaCount).fill(0);
    this.epoch = 0;
    this.seq = 0;
    this.known = false; // a first snapshot has come
  }

  /**
   * Applies a decoded "snapshot" or "delta" frame.
   *
   * Returns {did, seats}: `seats` are the indices whose status changed (null: any of them).
   * Throws RangeError when the frame does not fit the plan.
   */
  apply(frame) {
    return frame[0] === "snapshot" ? this.#snapshot(frame) : this.#delta(frame);
  }

  #snapshot([, , epoch, seq, packed, areas]) {
    if (this.known && older(epoch, seq, this.epoch, this.seq)) return { did: Applied.STALE, seats: [] };
    const { statuses } = this;
    if (packed.length !== (statuses.length + 3) >> 2 || areas.length !== this.areasFree.length) {
      throw new RangeError("feed: the snapshot is of another plan");
    }
    for (let seat = 0; seat < statuses.length; seat += 1) {
      statuses[seat] = (packed[seat >> 2] >> ((seat & 3) << 1)) & 3;
    }
    this.areasFree = [...areas];
    this.epoch = epoch;
    this.seq = seq;
    this.known = true;
    return { did: Applied.SNAPSHOT, seats: null };
  }

  #delta([, , epoch, fromSeq, seq, packed, areas]) {
    if (!this.known) return { did: Applied.GAP, seats: [] };
    if (older(epoch, seq, this.epoch, this.seq + 1)) return { did: Applied.STALE, seats: [] };
    if (epoch !== this.epoch || fromSeq > this.seq) return { did: Applied.GAP, seats: [] };
    const seats = [];
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    for (let at = 0; at + 4 <= packed.length; at += 4) {
      const word = view.getUint32(at, true);
      const seat = word >>> 2;
      if (seat >= this.statuses.length) throw new RangeError("feed: the delta is of another plan");
      if (this.statuses[seat] !== (word & 3)) seats.push(seat);
      this.statuses[seat] = word & 3;
    }
    for (const [area, free] of areas) this.areasFree[area] = free;
    this.seq = seq;
    return { did: Applied.DELTA, seats };
  }
}

/** Whether (epoch, seq) lies before (otherEpoch, otherSeq). */
function older(epoch, seq, otherEpoch, otherSeq) {
  return epoch < otherEpoch || (epoch === otherEpoch && seq < otherSeq);
}
