// A reader that types: what comes from the keyboard in a burst and ends with Enter is a code, wherever
// the cursor stands, unless somebody is writing in a field.

const PAUSE_MS = 600;
const MIN_CHARS = 6;

/** Calls `onRead(text)` for every burst. */
export function listenToReader(onRead) {
  let typed = "";
  let lastMs = 0;
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.timeStamp - lastMs > PAUSE_MS) typed = "";
    lastMs = event.timeStamp;
    if (event.key === "Enter" || event.key === "Tab") {
      if (typed.length < MIN_CHARS) return;
      event.preventDefault();
      onRead(typed);
      typed = "";
    } else if (event.key.length === 1) {
      typed += event.key;
    }
  });
}
