// An answer for ears and hands: three sounds and three vibrations that nobody mixes up.

const SOUNDS = {
  good: [[880, 0, 0.09], [1320, 0.1, 0.16]],
  warn: [[520, 0, 0.12], [520, 0.18, 0.12], [520, 0.36, 0.12]],
  bad: [[190, 0, 0.6]],
};
const SHAKES = { good: [70], warn: [70, 70, 70], bad: [400] };
const LOUDNESS = 0.35;

let audio = null;

/** Browsers allow sound after a touch only: call this from one. */
export function unlockSound() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Keeps the screen on while this page is looked at, where the browser can. */
export function stayAwake() {
  const ask = () => {
    if (document.visibilityState === "visible") navigator.wakeLock?.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}

/** `look` is "good", "warn" or "bad". */
export function signal(look) {
  navigator.vibrate?.(SHAKES[look]);
  if (audio?.state !== "running") return;
  for (const [hertz, after, lasts] of SOUNDS[look]) {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    const begins = audio.currentTime + after;
    tone.type = look === "bad" ? "sawtooth" : "sine";
    tone.frequency.value = hertz;
    gain.gain.setValueAtTime(LOUDNESS, begins);
    gain.gain.setTargetAtTime(0, begins + lasts * 0.7, lasts * 0.1);
    tone.connect(gain).connect(audio.destination);
    tone.start(begins);
    tone.stop(begins + lasts + 0.1);
  }
}
