// On a phone the panel is a sheet over the foot of the map: a bar with the basket in brief, pulled
// up for the rest. On a wide screen it stands beside the map and this file does nothing.

import { byId } from "./dom.js";

const DRAG_FROM_PX = 24;
const MAP_MARGIN_PX = 20;
const SWITCH_PX = 44;
const LEGEND_GAP_PX = 8;

export class Sheet {
  /** `room(inset)` is told what the sheet and the tools leave of the map. */
  constructor(room) {
    this.room = room;
    this.narrow = matchMedia("(max-width: 899px)");
    this.toggle = byId("sheet-toggle");
    this.toggle.addEventListener("click", () => this.set(!this.opened));
    this.narrow.addEventListener("change", () => this.set(false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.opened) this.close();
    });
    this.#drags();
    this.set(false);
    // The legend takes a second line in some languages and widths: the house moves up for it.
    new ResizeObserver(() => this.#tellRoom()).observe(byId("legend"));
  }

  open() {
    this.set(true);
  }

  close() {
    this.set(false);
  }

  set(opened) {
    this.opened = opened && this.narrow.matches;
    byId("panel").classList.toggle("open", this.opened);
    this.toggle.setAttribute("aria-expanded", String(this.opened));
    byId("panel-body").inert = this.narrow.matches && !this.opened;
    this.#tellRoom();
  }

  #tellRoom() {
    const bar = this.narrow.matches ? byId("sheet-bar").offsetHeight : 0;
    const bottom = bar + byId("legend").offsetHeight + MAP_MARGIN_PX + LEGEND_GAP_PX;
    this.room({ top: MAP_MARGIN_PX + SWITCH_PX, right: MAP_MARGIN_PX, bottom, left: MAP_MARGIN_PX });
  }

  #drags() {
    let startY = 0;
    const bar = byId("sheet-bar");
    bar.addEventListener("pointerdown", (event) => { startY = event.clientY; });
    bar.addEventListener("pointerup", (event) => {
      const far = event.clientY - startY;
      if (Math.abs(far) > DRAG_FROM_PX) this.set(far < 0);
    });
  }
}
