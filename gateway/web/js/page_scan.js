// The scanner page, /scan: makes this browser a device by the code it was opened with, lets one
// choose a performance and a gate, and says to every ticket that is read whether it comes in. Works
// without the network once it was opened with it: the worker keeps the page, `Desk` the doors.

import * as api from "./api.js";
import { languageSwitch, runPage, setTitle, themeSwitch } from "./chrome.js";
import { byId, h, icon, setText } from "./dom.js";
import { chosenLanguage, clock, keepLanguage, longDate, pick, plural, setLanguage, t, translate } from "./i18n.js";
import { fullSeatText } from "./places.js";
import { Plan } from "./plan.js";
import { Camera, readPicture } from "./scan_camera.js";
import { Desk, SYNC_MS } from "./scan_desk.js";
import { listenToReader } from "./scan_keys.js";
import { showAnswer, showAsking, showReady, showTrouble, showUndone } from "./scan_result.js";
import { PREFIX } from "./scan_secret.js";
import { signal, stayAwake, unlockSound } from "./scan_signal.js";
import { ownMemory, Store } from "./scan_store.js";
import { Connection } from "./socket.js";

const NEAR_MS = 12 * 3_600_000;
const MODES = ["admit", "look_up", "exit"];
const HERE = "#here";
const UNDO_MS = 120_000;

let store;
let connection = null;
let syncing = 0;
let desk;
let device;
let camera;
let plan = null;
let mode = "admit";
let passed = null; // who went in or out last by the house's word: {ticket, id}, to be taken back
let forgetPassed = 0;
let busy = Promise.resolve();

// Who this is ---------------------------------------------------------------------

/** What the code that opened the page says, taken out of the address: it is good once. */
function offerIn(text) {
  const told = new URLSearchParams(text.slice(text.indexOf("#") + 1));
  if (!text.includes("#") || !told.get("e")) return null;
  return {
    token: told.get("e"),
    language: told.get("l") ?? "",
    camera: told.get("c") === "front" ? "front" : "back",
    performances: (told.get("p") ?? "").split(",").filter(Boolean).map(Number),
  };
}

async function enrol(offer) {
  const made = await api.enrol(offer.token);
  device = { ...made, camera: offer.camera };
  if (offer.language) keepLanguage(offer.language);
  await store.write("device", device);
}

async function openWords() {
  const house = await store.remembered("house", api.house);
  const messages = await Promise.all(house.languages.map((one) =>
    store.remembered(`messages.${one}`, () => api.messages(one))));
  const language = chosenLanguage(house.languages);
  setLanguage(language, messages[house.languages.indexOf(language)], house.time_zone);
  translate();
  setText(byId("house-name"), house.name);
  byId("tools").replaceChildren(languageSwitch(house.languages), themeSwitch());
}

async function open() {
  if ("serviceWorker" in navigator) {
    navigator.serviceWorker.register("/scan-worker.js", { scope: "/scan" });
  }
  const [offer, here] = [offerIn(location.hash), location.hash === HERE];
  history.replaceState(null, "", location.pathname);
  store = await Store.open();
  device = await store.read("device");
  if (offer?.language) keepLanguage(offer.language);
  await openWords();
  for (const place of document.querySelectorAll("[data-icon]")) place.append(icon(place.dataset.icon));
  setTitle(t("web.scan.title"));
  camera = new Camera(byId("camera"), (texts) => readTexts(texts));
  if (!(await ownMemory(here || offer !== null, moved))) {
    document.body.dataset.state = "elsewhere";
    return;
  }
  const trouble = offer ? await tryToEnrol(offer) : "web.scan.stranger";
  // Who is a device already stays it, whatever became of another code.
  if (device) await begin();
  else showStranger(trouble);
}

/** Promises the words for why it is still nobody, or "". */
async function tryToEnrol(offer) {
  try {
    await enrol(offer);
    return "";
  } catch (error) {
    if (error instanceof api.Problem) return "web.scan.bad_code";
    if (error instanceof api.Unreachable) return "web.scan.no_house";
    throw error;
  }
}

/** Another page of this browser has the doors now. */
function moved() {
  leave();
  document.body.dataset.state = "elsewhere";
}

/** Asks, hears and judges nothing any more. */
function leave() {
  clearInterval(syncing);
  connection?.stop();
  desk?.close();
  stopCamera();
}

/** Nobody yet: shows how one becomes a device. */
function showStranger(key) {
  setText(byId("stranger-text"), t(key));
  document.body.dataset.state = "stranger";
}

// The doors ------------------------------------------------------------------------

async function begin() {
  const url = `${location.origin.replace("http", "ws")}/ws`;
  connection = new Connection(url, async (refused) => {
    if (refused) revoked();
    return device?.token ?? "";
  }, document.documentElement.lang);
  desk = await Desk.open(store, connection, {
    doorList: (...asked) => api.doorList(device.token, ...asked),
  });
  connection.addEventListener("state", showState);
  for (const event of ["kept", "listed"]) desk.addEventListener(event, showState);
  desk.addEventListener("conflict", () => byId("conflict").removeAttribute("hidden"));
  desk.addEventListener("revoked", revoked);
  syncing = setInterval(() => desk.performance !== undefined && connection.state === "open" && desk.sync(), SYNC_MS);
  connection.start();
  stayAwake();
  setText(byId("device-name"), device.name);
  await choosePerformance();
}

function revoked() {
  leave();
  device = null;
  // What was kept stays, and is sent once this browser is enrolled again.
  store.write("device", null);
  showStranger("web.scan.revoked");
}

async function choosePerformance() {
  const all = await store.remembered("performances", () => api.performances(device.token));
  const mine = all.filter((one) => !device.performances.length || device.performances.includes(one.id));
  const known = await store.read("performance");
  const near = mine.filter((one) => Math.abs(one.starts_ms - Date.now()) < NEAR_MS);
  const alone = mine.length === 1 ? mine : near;
  const chosen = mine.find((one) => one.id === known) ?? (alone.length === 1 ? alone[0] : null);
  const list = byId("performance");
  list.replaceChildren(...mine.map((one) =>
    h("option", { value: one.id }, `${pick(one.title)} · ${longDate(one.starts_ms)} ${clock(one.starts_ms)}`)));
  if (!chosen) list.prepend(h("option", { value: "", selected: true }, t("web.scan.choose")));
  list.onchange = () => list.value && openDoors(mine.find((one) => one.id === Number(list.value)));
  document.body.dataset.state = "doors";
  showModes();
  if (chosen) {
    list.value = chosen.id;
    await openDoors(chosen);
  } else {
    showState();
  }
}

async function openDoors(performance) {
  await store.write("performance", performance.id);
  const gate = device.gate || (await store.read("gate")) || "";
  await desk.choose(performance.id, gate);
  plan = await openPlan(performance.plan);
  showGates();
  showState();
  showReady(mode);
  document.body.dataset.ready = performance.id;
}

async function openPlan(hash) {
  try {
    const kept = await store.read("plan");
    const json = kept?.hash === hash ? kept.json : await api.plan(hash);
    if (kept?.hash !== hash) await store.write("plan", { hash, json });
    return new Plan(json);
  } catch (error) {
    if (!(error instanceof api.Problem || error instanceof api.Unreachable)) throw error;
    return null; // a place without its words is no less a ticket
  }
}

function showGates() {
  const list = byId("gate");
  const names = device.gate ? desk.gates.filter((one) => one.id === device.gate) : desk.gates;
  const other = h("option", { value: device.gate }, device.gate || t("web.scan.any_gate"));
  list.replaceChildren(
    ...(device.gate && names.length ? [] : [other]), ...names.map((one) => h("option", { value: one.id }, one.name)));
  list.value = desk.gate;
  list.disabled = Boolean(device.gate);
  list.onchange = () => {
    desk.gate = list.value;
    store.write("gate", list.value);
  };
}

function showModes() {
  byId("modes").replaceChildren(...MODES.map((one) =>
    h("button.mode", {
      type: "button", "aria-pressed": String(one === mode), "data-mode": one,
      onclick: () => {
        mode = one;
        showModes();
        showReady(mode);
      },
    }, t(`web.scan.mode_${one}`))));
}

function showState() {
  const pill = byId("state");
  const waiting = desk.keptCount;
  const state = desk.live ? "online" : desk.canBeAlone ? "alone" : "blind";
  pill.className = `pill ${state}`;
  setText(pill, t(`web.scan.state_${state}`));
  const kept = byId("kept");
  kept.hidden = waiting === 0;
  kept.dataset.count = waiting;
  setText(kept, waiting ? plural("web.scan.kept", waiting) : "");
  // What was sold back or used since, a door that is alone does not know.
  const old = state === "alone" && desk.listedMs;
  setText(byId("list-age"), old ? t("web.scan.list_of", { when: whenTold(desk.listedMs) }) : "");
}

function whenTold(ms) {
  return longDate(ms) === longDate(desk.nowMs()) ? clock(ms) : `${longDate(ms)} ${clock(ms)}`;
}

// Tickets --------------------------------------------------------------------------

/** What one picture showed: a ticket's two codes are one ticket, and a link is a new device. */
function readTexts(texts) {
  const link = texts.find((text) => offerIn(text) && text.includes("/scan#"));
  if (link) location.assign(`/scan${link.slice(link.indexOf("#"))}`);
  if (link || document.body.dataset.state !== "doors") {
    if (link) location.reload();
    return;
  }
  const tickets = texts.filter((text) => text.startsWith(PREFIX));
  for (const text of tickets.length ? tickets : texts.slice(0, 1)) present(text);
}

/** One after the other, in the order read. */
function present(text) {
  busy = busy.then(() => presentNow(text));
  return busy;
}

async function presentNow(text) {
  if (desk?.performance === undefined || !text.trim()) return;
  const asked = mode;
  canUndo(null);
  showAsking();
  const told = await desk.present(text, asked);
  const look = told.trouble ? showTrouble(told.trouble)
    : showAnswer(told, asked, placeOf(told), desk.gates, desk.nowMs());
  signal(look);
  if (told.live && asked !== "look_up" && look === "good") canUndo(told.ticket);
  showState();
}

/** Offers to take back that `ticket` went through (null: nobody did). */
function canUndo(ticket) {
  clearTimeout(forgetPassed);
  passed = ticket === null ? null : { ticket, id: crypto.getRandomValues(new Uint8Array(16)) };
  byId("undo").hidden = passed === null;
  if (passed) forgetPassed = setTimeout(canUndo, UNDO_MS, null);
}

async function undoNow() {
  if (!passed) return;
  const { ticket, id } = passed;
  const told = await desk.undo(id, ticket);
  const look = told.trouble ? showTrouble(told.trouble) : showUndone(told.mode);
  signal(look);
  // Whether it was taken back is not known: the same is asked again, which does it once.
  if (told.trouble !== "network") canUndo(null);
}

function placeOf({ seat, area }) {
  if (plan === null) return "";
  if (area >= 0) return plan.areas[area]?.name ?? "";
  return seat >= 0 && seat < plan.count ? fullSeatText(plan, seat) : "";
}

byId("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("number");
  const text = field.value;
  field.value = "";
  if (offerIn(text)) readTexts([text]);
  else present(text);
});

byId("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  readTexts([byId("code").value]);
});

for (const place of document.querySelectorAll("input[type=file]")) {
  place.addEventListener("change", async () => {
    const texts = await readPicture(place.files[0]);
    place.value = "";
    if (texts.length) readTexts(texts);
    else if (document.body.dataset.state === "doors") showTrouble("no_code");
  });
}

function showCamera() {
  document.body.dataset.camera = camera.running ? "on" : "off";
  for (const button of document.querySelectorAll(".camera-switch")) {
    setText(button, t(camera.running ? "web.scan.camera_off" : button.dataset.t));
  }
}

function stopCamera() {
  camera.stop();
  showCamera();
}

for (const button of document.querySelectorAll(".camera-switch")) {
  button.addEventListener("click", async () => {
    if (camera.running) camera.stop();
    else await camera.start(device?.camera ?? "back").catch(noCamera);
    showCamera();
  });
}

function noCamera() {
  if (document.body.dataset.state === "doors") showTrouble("camera");
  else setText(byId("stranger-text"), t("web.scan.trouble.camera"));
}

byId("undo").addEventListener("click", () => {
  busy = busy.then(undoNow);
});

byId("here").addEventListener("click", () => {
  location.hash = HERE;
  location.reload();
});

for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, unlockSound);
listenToReader((text) => readTexts([text]));
await runPage(open);
