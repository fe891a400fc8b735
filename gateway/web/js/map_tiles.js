// The painted house kept in tiles, so that panning only copies pictures. One layer of tiles per
// zoom; while a new layer is being painted the old one shows, stretched, and below both lies a
// small picture of the whole house, so that there is never a hole.
//
// Knows scales, tiles and a time budget; what is painted is the painter's business.

const TILE_PX = 384;
const MAX_TILES = 160; // in one layer: 90 MB of pixels at most
const OVERVIEW_PX = 1024;
const PAINT_BUDGET_MS = 7; // of a frame of 16; at least one tile is painted anyway
const FIRST_BUDGET_MS = 60; // while the screen was never whole nobody pans yet: it had better be soon

class Layer {
  constructor(scale, ratio) {
    this.scale = scale; // device pixels per plan unit
    this.ratio = ratio;
    this.tiles = new Map(); // "column,line" -> {canvas, context, used}
  }
}

export class Tiles {
  constructor(painter, plan) {
    this.painter = painter;
    this.plan = plan;
    this.current = null;
    this.previous = null;
    this.overview = null;
    this.frame = 0;
    this.missing = [];
    this.complete = false; // the screen has been whole once
  }

  /** Everything has to be painted anew: theme, category shown, a whole snapshot. */
  reset() {
    if (!this.current) return;
    // What there was shows until it is replaced: a picture that flickers is worse than a late one.
    if (this.current.tiles.size) this.previous = this.current;
    this.current = new Layer(this.current.scale, this.current.ratio);
    this.overview = null;
  }

  /** The zoom has come to rest at `scale` device pixels per plan unit. */
  settle(scale, ratio) {
    if (this.current?.scale === scale && this.current.ratio === ratio) return;
    if (this.current?.tiles.size) this.previous = this.current;
    this.current = new Layer(scale, ratio);
  }

  /** Copies what there is onto the screen; `origin` is where plan (0, 0) lies, in device pixels. */
  draw(context, origin, scale, width, height) {
    this.frame += 1;
    this.missing = [];
    const whole = this.#visible(this.current, origin, scale, width, height);
    const holes = whole.some(({ key }) => !this.current.tiles.has(key));
    if (holes) {
      if (this.complete) this.#drawOverview(context, origin, scale);
      if (this.previous) this.#drawLayer(context, this.previous, origin, scale, width, height);
    } else if (scale === this.current.scale) {
      this.previous = null;
      this.complete = true; // only now an overview is worth its price: nothing else waits
    }
    this.#drawLayer(context, this.current, origin, scale, width, height);
    if (scale === this.current.scale) this.missing = whole.filter(({ key }) => !this.current.tiles.has(key));
    this.#evict(this.current);
  }

  /** Paints missing tiles, the middle of the screen first, within the budget. True: draw again. */
  work() {
    if (!this.missing.length) return false;
    const until = performance.now() + (this.complete ? PAINT_BUDGET_MS : FIRST_BUDGET_MS);
    do this.#paint(this.missing.shift());
    while (this.missing.length && performance.now() < until);
    return true;
  }

  /** These seats look different now: painted over in every tile that shows them. */
  touch(seats) {
    for (const layer of [this.current, this.previous]) {
      if (layer) for (const seat of seats) this.#touchIn(layer, seat);
    }
    if (this.overview) for (const seat of seats) this.#repaint(this.overview, seat);
  }

  #touchIn(layer, seat) {
    const { x, y, radius } = this.plan;
    const reach = radius[seat] * 1.3;
    const size = TILE_PX / layer.scale;
    const tileAt = (place) => Math.floor(place / size);
    for (let line = tileAt(y[seat] - reach); line <= tileAt(y[seat] + reach); line += 1) {
      for (let column = tileAt(x[seat] - reach); column <= tileAt(x[seat] + reach); column += 1) {
        const tile = layer.tiles.get(`${column},${line}`);
        if (tile) this.#repaint({ ...tile, scale: layer.scale, ratio: layer.ratio }, seat);
      }
    }
  }

  #repaint({ context, scale, ratio }, seat) {
    this.painter.seats.repaint(context, seat, scale, ratio);
  }

  /** The tiles that the screen touches, nearest to its middle first. */
  #visible(layer, origin, scale, width, height) {
    const size = (TILE_PX * scale) / layer.scale;
    const tiles = [];
    const [middleX, middleY] = [(width / 2 - origin.x) / size - 0.5, (height / 2 - origin.y) / size - 0.5];
    for (let line = Math.floor(-origin.y / size); line < (height - origin.y) / size; line += 1) {
      for (let column = Math.floor(-origin.x / size); column < (width - origin.x) / size; column += 1) {
        tiles.push({ column, line, key: `${column},${line}`, far: Math.hypot(column - middleX, line - middleY) });
      }
    }
    return tiles.sort((one, other) => one.far - other.far);
  }

  #drawLayer(context, layer, origin, scale, width, height) {
    const size = (TILE_PX * scale) / layer.scale;
    for (const { column, line, key } of this.#visible(layer, origin, scale, width, height)) {
      const tile = layer.tiles.get(key);
      if (!tile) continue;
      tile.used = this.frame;
      // Both edges are rounded the same way for both neighbours: no seam between stretched tiles.
      const [left, top] = [Math.round(origin.x + column * size), Math.round(origin.y + line * size)];
      const [right, bottom] = [Math.round(origin.x + (column + 1) * size), Math.round(origin.y + (line + 1) * size)];
      context.drawImage(tile.canvas, left, top, right - left, bottom - top);
    }
  }

  #paint({ column, line, key }) {
    const { scale, ratio } = this.current;
    const tile = canvasOf(TILE_PX, TILE_PX);
    const size = TILE_PX / scale;
    tile.context.setTransform(scale, 0, 0, scale, -column * TILE_PX, -line * TILE_PX);
    const rect = { left: column * size, top: line * size, right: (column + 1) * size, bottom: (line + 1) * size };
    this.painter.paint(tile.context, rect, scale, ratio);
    tile.used = this.frame;
    this.current.tiles.set(key, tile);
  }

  #drawOverview(context, origin, scale) {
    const { width, height } = this.plan;
    if (!this.overview) {
      const reduced = OVERVIEW_PX / Math.max(width, height);
      const picture = canvasOf(Math.ceil(width * reduced), Math.ceil(height * reduced));
      picture.context.setTransform(reduced, 0, 0, reduced, 0, 0);
      this.painter.paint(picture.context, { left: 0, top: 0, right: width, bottom: height }, reduced, 1);
      this.overview = { ...picture, scale: reduced, ratio: 1 };
    }
    context.drawImage(this.overview.canvas, origin.x, origin.y, width * scale, height * scale);
  }

  #evict(layer) {
    if (layer.tiles.size <= MAX_TILES) return;
    const oldest = [...layer.tiles].sort(([, one], [, other]) => one.used - other.used);
    for (const [key] of oldest.slice(0, layer.tiles.size - MAX_TILES)) layer.tiles.delete(key);
  }
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return { canvas, context: canvas.getContext("2d", { alpha: false }), used: 0 };
}
