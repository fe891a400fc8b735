// Keeps the scanner page on this device, whole and of one version, so that it opens with no network.
// What the page asks of the house it keeps by itself: nothing of /api goes through here. The server
// puts its version into every address below; a new one is another worker, and takes over once no
// page of the old one is open.
"use strict";

const FILES = [
  "/static/css/palette.css",
  "/static/css/base.css",
  "/static/css/scan.css",
  "/static/favicon.svg",
  "/static/icons.svg",
  "/static/scan.webmanifest",
  "/static/js/early.js",
  "/static/js/api.js",
  "/static/js/chrome.js",
  "/static/js/dom.js",
  "/static/js/grid.js",
  "/static/js/i18n.js",
  "/static/js/msgpack.js",
  "/static/js/page_scan.js",
  "/static/js/places.js",
  "/static/js/plan.js",
  "/static/js/scan_camera.js",
  "/static/js/scan_desk.js",
  "/static/js/scan_judge.js",
  "/static/js/scan_keys.js",
  "/static/js/scan_result.js",
  "/static/js/scan_secret.js",
  "/static/js/scan_signal.js",
  "/static/js/scan_store.js",
  "/static/js/socket.js",
  "/static/vendor/zxing/reader.js",
  "/static/vendor/zxing/share.js",
  "/static/vendor/zxing/zxing_reader.wasm",
];
const PAGE = "/scan";
const CACHE = `scan ${FILES[0]}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([PAGE, ...FILES])));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname !== PAGE && !FILES.includes(pathname)) return;
  event.respondWith(
    caches.open(CACHE)
      .then((cache) => cache.match(pathname))
      .then((kept) => kept ?? fetch(event.request)),
  );
});
