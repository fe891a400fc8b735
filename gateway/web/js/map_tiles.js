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
    this.tiles = new Map(); // "column,line" -> {canvas, context, column, line, used}
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
    // Far smaller than it was painted, a layer would have thousands of tiles on the screen: nobody
    // counts those, it has holes.
    const shrunk = scale < this.current.scale;
    const missing = shrunk ? [] : this.#missing(origin, scale, width, height);
    if (shrunk || missing.length) {
      if (this.overview) this.#drawOverview(context, origin, scale);
      if (this.previous) this.#drawLayer(context, this.previous, origin, scale, width, height);
    } else if (scale === this.current.scale) {
      this.previous = null;
      this.complete = true;
      this.overview ??= this.#composeOverview();
    }
    this.#drawLayer(context, this.current, origin, scale, width, height);
    this.missing = scale === this.current.scale ? missing : [];
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

  /** The tiles that the screen touches and the current layer lacks, nearest to its middle first. */
  #missing(origin, scale, width, height) {
    const { tiles, scale: painted } = this.current;
    const size = (TILE_PX * scale) / painted;
    const found = [];
    const [middleX, middleY] = [(width / 2 - origin.x) / size - 0.5, (height / 2 - origin.y) / size - 0.5];
    for (let line = Math.floor(-origin.y / size); line < (height - origin.y) / size; line += 1) {
      for (let column = Math.floor(-origin.x / size); column < (width - origin.x) / size; column += 1) {
        const key = `${column},${line}`;
        if (!tiles.has(key)) found.push({ column, line, key, far: Math.hypot(column - middleX, line - middleY) });
      }
    }
    return found.sort((one, other) => one.far - other.far);
  }

  #drawLayer(context, layer, origin, scale, width, height) {
    const size = (TILE_PX * scale) / layer.scale;
    for (const tile of layer.tiles.values()) {
      // Both edges are rounded the same way for both neighbours: no seam between stretched tiles.
      const [left, right] = [tile.column, tile.column + 1].map((edge) => Math.round(origin.x + edge * size));
      const [top, bottom] = [tile.line, tile.line + 1].map((edge) => Math.round(origin.y + edge * size));
      if (right <= 0 || bottom <= 0 || left >= width || top >= height) continue;
      tile.used = this.frame;
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
    this.current.tiles.set(key, { ...tile, column, line, used: this.frame });
  }

  #drawOverview(context, origin, scale) {
    const { width, height } = this.plan;
    context.drawImage(this.overview.canvas, origin.x, origin.y, width * scale, height * scale);
  }

  /** The whole house, small, put together from tiles once they are all there; else null. */
  #composeOverview() {
    const { width, height } = this.plan;
    const { scale, tiles } = this.current;
    const [columns, lines] = [Math.ceil((width * scale) / TILE_PX), Math.ceil((height * scale) / TILE_PX)];
    if (columns * lines > tiles.size) return null;
    const reduced = OVERVIEW_PX / Math.max(width, height);
    const size = (TILE_PX * reduced) / scale;
    const picture = canvasOf(Math.ceil(width * reduced), Math.ceil(height * reduced));
    for (let line = 0; line < lines; line += 1) {
      for (let column = 0; column < columns; column += 1) {
        const tile = tiles.get(`${column},${line}`);
        if (!tile) return null;
        picture.context.drawImage(tile.canvas, column * size, line * size, size, size);
      }
    }
    picture.context.setTransform(reduced, 0, 0, reduced, 0, 0);
    return { ...picture, scale: reduced, ratio: 1 };
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
  return { canvas, context: canvas.getContext("2d", { alpha: false }) };
}
