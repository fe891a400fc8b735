// What just happened, said twice: in a note on the screen, and to screen readers in a live region.

import { byId, h, icon } from "./dom.js";
import { t } from "./i18n.js";

const NOTE_MS = 7_000;
const MAX_NOTES = 3;
const NOTES_ROOM_PX = 20; // free above and below them together

/** Says it to screen readers alone, without interrupting them. */
export function announce(text) {
  const region = byId("live");
  // The same words twice in a row are news twice: an emptied region is read again.
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}

/**
 * A note for everybody. `tone`: "good", "warning" or "plain". With an `action` ({text, run}) it
 * stays until it is used or closed; else it goes by itself, not while pointed at.
 */
export function note(text, { tone = "plain", action = null } = {}) {
  const board = byId("notes");
  const close = () => card.remove();
  const card = h(`div.note.note-${tone}`, {},
    h("p", {}, text),
    action && h("button.button.small", { type: "button", onclick: () => { close(); action.run(); } }, action.text),
    h("button.note-close", { type: "button", "aria-label": t("web.close"), onclick: close }, icon("close")));
  board.append(card);
  while (board.children.length > MAX_NOTES) board.firstElementChild.remove();
  measures(board);
  announce(text);
  if (!action) leaveSoon(card, close);
}

/** Takes away the notes that say something that is over. */
export function clearNotes() {
  byId("notes").replaceChildren();
}

/** The style sheet is told how high the notes are, so that nothing that scrolls ends under them. */
const measured = new WeakSet();

function measures(board) {
  if (measured.has(board)) return;
  measured.add(board);
  new ResizeObserver(() => {
    const height = board.offsetHeight && board.offsetHeight + NOTES_ROOM_PX;
    document.documentElement.style.setProperty("--notes-height", `${height}px`);
  }).observe(board);
}

function leaveSoon(card, close) {
  let timer = setTimeout(close, NOTE_MS);
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => { timer = setTimeout(close, NOTE_MS); });
  card.addEventListener("focusin", () => clearTimeout(timer));
}
