// How a seat looks: colour and shape by what it is to this buyer, in three levels of detail.
// Knows shapes; where a tile begins and when to draw is the painter's and the tiles' business.

import { RESTRICTED_VIEW, WHEELCHAIR } from "./plan.js";
import { mix } from "./map_theme.js";

/** What a seat is to this buyer. */
export const Look = Object.freeze({ FREE: 0, HELD: 1, SOLD: 2, OFF: 3, MINE: 4, PENDING: 5, UNKNOWN: 6 });

/** The same in words of the style sheet and the catalogue ("web.state.free"). */
export const LOOK_NAMES = ["free", "held", "sold", "off", "mine", "pending", "unknown"];

const LOOKS = 7;
const DOTS_BELOW_PX = 1.8; // radius in device pixels: below it a shape cannot be seen
const SIMPLE_BELOW_PX = 4.2;
const NUMBERS_FROM_CSS_PX = 8.5; // radius from which a seat carries its number
const DOT_SIZE = [1, 0.78, 0.78, 0.5, 1.25, 1.25, 0.4]; // by look, relative to the seat's radius
const CARPET = 1.3;
const CARPET_SHARE = 0.5;
const DIMMED = 0.2;

export class SeatPainter {
  constructor(plan, looks) {
    this.plan = plan;
    this.looks = looks;
    this.category = -1; // the one shown at full strength, -1 for all
    this.buckets = Array.from({ length: LOOKS }, () => new Uint32Array(1024));
    this.sizes = new Uint32Array(LOOKS);
  }

  setTheme(theme) {
    this.theme = theme;
    this.colors = [
      theme.seatAvailableFill, theme.seatHeldFill, theme.seatSoldFill, theme.seatBlockedFill,
      theme.seatMineFill, theme.seatMineFill, theme.seatBlockedFill,
    ];
    this.carpets = this.plan.categories.map((category) => mix(category.color, theme.surface, CARPET_SHARE));
    this.dimmedCarpet = theme.surface;
  }

  /** All seats of a rectangle; `scale` is device pixels per plan unit, `ratio` per CSS pixel. */
  paint(context, rect, scale, ratio) {
    const { plan } = this;
    const margin = plan.largestRadius * CARPET;
    this.sizes.fill(0);
    plan.grid.within(rect.left - margin, rect.top - margin, rect.right + margin, rect.bottom + margin,
      (seat) => this.#sort(seat));
    this.#carpets(context, scale);
    for (let look = 0; look < LOOKS; look += 1) {
      const seats = this.buckets[look].subarray(0, this.sizes[look]);
      if (seats.length) this.#look(context, look, seats, scale, ratio);
    }
  }

  /** One seat that changed, over its own old picture. */
  repaint(context, seat, scale, ratio) {
    this.#carpet(context, [seat], scale);
    this.#look(context, this.looks[seat], [seat], scale, ratio);
  }

  #sort(seat) {
    const look = this.looks[seat];
    let bucket = this.buckets[look];
    if (this.sizes[look] === bucket.length) {
      bucket = new Uint32Array(bucket.length * 2);
      bucket.set(this.buckets[look]);
      this.buckets[look] = bucket;
    }
    bucket[this.sizes[look]] = seat;
    this.sizes[look] += 1;
  }

  #carpets(context, scale) {
    for (let look = 0; look < LOOKS; look += 1) {
      this.#carpet(context, this.buckets[look].subarray(0, this.sizes[look]), scale);
    }
  }

  /** The category's colour, laid under its seats: neighbours of one price run together. */
  #carpet(context, seats, scale) {
    const { x, y, radius, category } = this.plan;
    const round = this.plan.largestRadius * scale >= SIMPLE_BELOW_PX;
    let last = -1;
    for (const seat of seats) {
      if (category[seat] !== last) {
        last = category[seat];
        context.fillStyle = this.#dims(seat) ? this.dimmedCarpet : this.carpets[last];
      }
      const half = radius[seat] * CARPET;
      if (round) {
        context.beginPath();
        context.arc(x[seat], y[seat], half, 0, 2 * Math.PI);
        context.fill();
      } else {
        context.fillRect(x[seat] - half, y[seat] - half, 2 * half, 2 * half);
      }
    }
  }

  #dims(seat) {
    return this.category >= 0 && this.plan.category[seat] !== this.category;
  }

  #look(context, look, seats, scale, ratio) {
    const radius = this.plan.largestRadius * scale;
    context.fillStyle = this.colors[look];
    if (radius < DOTS_BELOW_PX) this.#dots(context, look, seats);
    else if (radius < SIMPLE_BELOW_PX) this.#simple(context, look, seats);
    else this.#full(context, look, seats, scale / ratio);
  }

  #each(context, seats, draw) {
    const { x, y, radius } = this.plan;
    for (const seat of seats) {
      const dims = this.#dims(seat);
      if (dims) context.globalAlpha = DIMMED;
      draw(x[seat], y[seat], radius[seat], seat);
      if (dims) context.globalAlpha = 1;
    }
  }

  /** Squares, smaller the less there is to want. */
  #dots(context, look, seats) {
    const size = DOT_SIZE[look];
    this.#each(context, seats, (x, y, radius) => {
      const half = radius * size;
      context.fillRect(x - half, y - half, 2 * half, 2 * half);
    });
  }

  #simple(context, look, seats) {
    this.#each(context, seats, (x, y, radius) => {
      if (look === Look.FREE) {
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
      } else if (look === Look.MINE || look === Look.PENDING) {
        diamond(context, x, y, radius * 1.25);
        context.fill();
      } else {
        const half = radius * DOT_SIZE[look];
        context.fillRect(x - half, y - half, 2 * half, 2 * half);
      }
    });
  }

  #full(context, look, seats, cssScale) {
    const draw = [this.#free, this.#held, this.#sold, this.#off, this.#mine, this.#pending, this.#unknown][look];
    this.#each(context, seats, (x, y, radius, seat) => draw.call(this, context, x, y, radius, seat, cssScale));
  }

  /** A green disc; a wheelchair place is a square, a restricted view has its foot cut off. */
  #free(context, x, y, radius, seat, cssScale) {
    const flags = this.plan.flags[seat];
    context.beginPath();
    const half = radius * 0.95;
    if (flags & WHEELCHAIR) context.roundRect(x - half, y - half, 2 * half, 2 * half, radius * 0.35);
    else if (flags & RESTRICTED_VIEW) context.arc(x, y, radius, 0.8 * Math.PI, 0.2 * Math.PI);
    else context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    if (flags & WHEELCHAIR) this.#wheelchair(context, x, y, radius);
    else if (radius * cssScale >= NUMBERS_FROM_CSS_PX) this.#number(context, x, y, radius, seat);
  }

  /** In somebody's basket: a hollow vermilion square, which may come free again. */
  #held(context, x, y, radius) {
    const half = radius * 0.66;
    context.strokeStyle = this.theme.seatHeldFill;
    context.lineWidth = radius * 0.28;
    context.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }

  /** Sold: a full vermilion square. */
  #sold(context, x, y, radius) {
    context.beginPath();
    context.roundRect(x - radius * 0.78, y - radius * 0.78, radius * 1.56, radius * 1.56, radius * 0.18);
    context.fill();
  }

  /** Not on sale: a grey cross. */
  #off(context, x, y, radius) {
    const arm = radius * 0.46;
    context.strokeStyle = this.theme.seatBlockedFill;
    context.lineWidth = radius * 0.28;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
    context.stroke();
  }

  /** Mine: a yellow diamond with a dark edge, larger than its neighbours. */
  #mine(context, x, y, radius, seat, cssScale) {
    this.#diamond(context, x, y, radius, this.theme.seatMineFill);
    if (radius * cssScale < NUMBERS_FROM_CSS_PX) return;
    context.fillStyle = this.theme.seatMineOn;
    this.#label(context, x, y, radius * 0.86, seat);
    context.fillStyle = this.theme.seatMineFill;
  }

  /** On its way: the diamond, with nothing certain in it yet. */
  #pending(context, x, y, radius) {
    this.#diamond(context, x, y, radius, mix(this.theme.seatMineFill, this.theme.floor, 0.35));
    context.fillStyle = this.theme.dark ? this.theme.ink : this.theme.seatMineEdge;
    for (const step of [-0.42, 0, 0.42]) {
      context.beginPath();
      context.arc(x + radius * step, y, radius * 0.13, 0, 2 * Math.PI);
      context.fill();
    }
  }

  /** Not told of yet: a faint point, which promises and denies nothing. */
  #unknown(context, x, y, radius) {
    context.beginPath();
    context.arc(x, y, radius * DOT_SIZE[Look.UNKNOWN], 0, 2 * Math.PI);
    context.fill();
  }

  #diamond(context, x, y, radius, color) {
    diamond(context, x, y, radius * 1.18);
    context.fillStyle = color;
    context.fill();
    context.strokeStyle = this.theme.seatMineEdge;
    context.lineWidth = radius * 0.16;
    context.lineJoin = "round";
    context.stroke();
  }

  #number(context, x, y, radius, seat) {
    context.fillStyle = this.theme.seatAvailableOn;
    this.#label(context, x, y, radius, seat);
    context.fillStyle = this.theme.seatAvailableFill;
  }

  #label(context, x, y, radius, seat) {
    const label = this.plan.labels[seat];
    if (label.length > 4) return;
    context.font = `600 ${radius * (label.length > 2 ? 0.78 : 0.98)}px ${this.theme.sans}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(label, x, y + radius * 0.06);
  }

  /** A head, a back and a wheel. */
  #wheelchair(context, x, y, radius) {
    context.strokeStyle = this.theme.seatAvailableOn;
    context.fillStyle = this.theme.seatAvailableOn;
    context.lineWidth = radius * 0.17;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.beginPath();
    context.arc(x - radius * 0.18, y - radius * 0.58, radius * 0.15, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    context.moveTo(x - radius * 0.16, y - radius * 0.32);
    context.lineTo(x - radius * 0.12, y + radius * 0.12);
    context.lineTo(x + radius * 0.3, y + radius * 0.12);
    context.lineTo(x + radius * 0.5, y + radius * 0.55);
    context.stroke();
    context.beginPath();
    context.arc(x - radius * 0.1, y + radius * 0.26, radius * 0.38, -0.15 * Math.PI, 1.2 * Math.PI);
    context.stroke();
    context.fillStyle = this.theme.seatAvailableFill;
  }
}

function diamond(context, x, y, reach) {
  context.beginPath();
  context.moveTo(x, y - reach);
  context.lineTo(x + reach, y);
  context.lineTo(x, y + reach);
  context.lineTo(x - reach, y);
  context.closePath();
}
