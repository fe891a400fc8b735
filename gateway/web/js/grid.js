// Where the seats are, in squares: what lies in a rectangle, what is nearest to a point.
// Knows coordinates and indices only.

export class Grid {
  /** Points `x[i]`, `y[i]` of a plane, in squares of `cell` units. */
  constructor(x, y, cell) {
    this.x = x;
    this.y = y;
    this.cell = cell;
    this.left = x.reduce((least, value) => Math.min(least, value), Infinity);
    this.top = y.reduce((least, value) => Math.min(least, value), Infinity);
    const right = x.reduce((most, value) => Math.max(most, value), -Infinity);
    const bottom = y.reduce((most, value) => Math.max(most, value), -Infinity);
    this.columns = x.length ? Math.floor((right - this.left) / cell) + 1 : 0;
    this.lines = x.length ? Math.floor((bottom - this.top) / cell) + 1 : 0;
    this.#fill();
  }

  /** Counting sort: `start[c]` to `start[c + 1]` are the places in `order` of square c. */
  #fill() {
    const { x, columns, lines } = this;
    const start = new Uint32Array(columns * lines + 1);
    const square = new Uint32Array(x.length);
    for (let i = 0; i < x.length; i += 1) {
      square[i] = this.#line(this.y[i]) * columns + this.#column(x[i]);
      start[square[i] + 1] += 1;
    }
    for (let c = 0; c < start.length - 1; c += 1) start[c + 1] += start[c];
    const next = start.slice();
    this.order = new Uint32Array(x.length);
    for (let i = 0; i < x.length; i += 1) {
      this.order[next[square[i]]] = i;
      next[square[i]] += 1;
    }
    this.start = start;
  }

  #column(x) {
    return Math.min(this.columns - 1, Math.max(0, Math.floor((x - this.left) / this.cell)));
  }

  #line(y) {
    return Math.min(this.lines - 1, Math.max(0, Math.floor((y - this.top) / this.cell)));
  }

  /** Calls visit(i) for every point inside the rectangle. */
  within(left, top, right, bottom, visit) {
    if (!this.order.length) return;
    const { x, y, start, order, columns } = this;
    const lastLine = this.#line(bottom);
    const [first, last] = [this.#column(left), this.#column(right)];
    for (let line = this.#line(top); line <= lastLine; line += 1) {
      // The squares of one line lie side by side: one stretch of `order` a line.
      const end = start[line * columns + last + 1];
      for (let at = start[line * columns + first]; at < end; at += 1) {
        const i = order[at];
        if (x[i] >= left && x[i] <= right && y[i] >= top && y[i] <= bottom) visit(i);
      }
    }
  }

  /** The point nearest to (x, y) no farther than `reach`, other than `except`; -1 for none. */
  nearest(x, y, reach, except = -1) {
    let found = -1;
    let best = reach * reach;
    this.within(x - reach, y - reach, x + reach, y + reach, (i) => {
      const distance = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (i !== except && distance <= best) {
        best = distance;
        found = i;
      }
    });
    return found;
  }
}
