// Codes out of pictures: the phone's camera, or a picture file. Decodes with the browser's own
// BarcodeDetector where it knows QR codes, with the vendored zxing-cpp otherwise. Knows no ticket.

const FORMATS = ["qr_code", "code_128"];
const LOOK_MS = 120;
const AGAIN_MS = 3_000;
const MAX_SIDE = 1_280;

let decoder = null;

/** Promises the texts of the codes in a drawable picture (canvas, image bitmap). */
async function decode(canvas) {
  decoder ??= await makeDecoder();
  return decoder(canvas);
}

async function makeDecoder() {
  const known = (await globalThis.BarcodeDetector?.getSupportedFormats().catch(() => [])) ?? [];
  if (FORMATS.every((format) => known.includes(format))) {
    const detector = new BarcodeDetector({ formats: FORMATS });
    return async (canvas) => (await detector.detect(canvas)).map((code) => code.rawValue);
  }
  const zxing = await import("../vendor/zxing/reader.js");
  // Told where it lies: on its own it would ask another site for it.
  const at = new URL("../vendor/zxing/zxing_reader.wasm", import.meta.url).href;
  await zxing.prepareZXingModule({ overrides: { locateFile: () => at }, fireImmediately: true });
  const options = { formats: ["QRCode", "Code128"], maxNumberOfSymbols: 4, tryHarder: true };
  return async (canvas) => {
    const picture = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return (await zxing.readBarcodes(picture, options)).map((code) => code.text);
  };
}

/** A canvas of this picture, no larger than needs be. */
function drawn(source, width, height, canvas = document.createElement("canvas")) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The texts in a picture file; none where it is no picture. */
export async function readPicture(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return [];
  }
  const found = await decode(drawn(picture, picture.width, picture.height));
  picture.close();
  return found;
}

export class Camera {
  #video;
  #stream = null;
  #canvas = document.createElement("canvas");
  #seen = new Map(); // text -> when it was last in the picture

  /** Shows itself in `video`; `onRead(texts)` gets codes that were not just there. */
  constructor(video, onRead) {
    this.#video = video;
    this.onRead = onRead;
  }

  get running() {
    return this.#stream !== null;
  }

  /** `facing` is "back" or "front". Rejects where there is no camera, or it is not allowed. */
  async start(facing) {
    this.stop();
    const wanted = { facingMode: { ideal: facing === "front" ? "user" : "environment" }, width: { ideal: MAX_SIDE } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    this.#stream = stream;
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#look(stream);
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }

  async #look(stream) {
    while (this.#stream === stream) {
      const { videoWidth: width, videoHeight: height } = this.#video;
      if (width && document.visibilityState === "visible") {
        const texts = await decode(drawn(this.#video, width, height, this.#canvas));
        const fresh = texts.filter((text) => this.#isFresh(text));
        if (fresh.length && this.#stream === stream) this.onRead(fresh);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** A ticket held before the camera is one presentation, until it was away for a while. */
  #isFresh(text) {
    const now = Date.now();
    const before = this.#seen.get(text) ?? 0;
    this.#seen.set(text, now);
    for (const [other, at] of this.#seen) if (now - at > AGAIN_MS) this.#seen.delete(other);
    return now - before > AGAIN_MS;
  }
}
