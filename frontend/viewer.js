// The image with the outlines of its instances over it.
//
// The server sends instance numbers, not lines. Outlines are found anew at the resolution of the
// screen with each drawing, so they are thin and sharp at every zoom.

import { getLabels, getPicture } from "./api.js";
import { $, setText } from "./dom.js";

const KEPT_PLANES = 12;
const MOST_ZOOM = 40; // screen pixels per pixel of the picture
const STEP = 1.25;
const HUES = 1024;
const LOADING_TEXT_AFTER_MS = 250;

/** Bright colours far apart for neighbouring numbers: steps of the golden ratio on the hues. */
const COLOURS = Uint32Array.from({ length: HUES }, (_, place) => {
  const ramp = (shift) => {
    const hue = (place / HUES + shift) % 1;
    return 55 + 200 * Math.min(1, Math.max(0, Math.abs(hue * 6 - 3) - 1));
  };
  return pixel(ramp(0), ramp(2 / 3), ramp(1 / 3), 255);
});
const colour = (id) => COLOURS[Math.floor(((id * 0.61803398875) % 1) * HUES)];

/** Bytes r, g, b, a as the number that a little-endian machine stores them as. */
function pixel(r, g, b, a) {
  return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
const HIGHLIGHT = pixel(255, 255, 255, 70);
const HIGHLIGHT_EDGE = pixel(255, 255, 255, 255);

export class Viewer {
  constructor() {
    this.canvas = $("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.overlay = document.createElement("canvas");
    // Only ever written by putImageData; kept off the GPU, where such a canvas is slow.
    this.overlayContext = this.overlay.getContext("2d", { willReadFrequently: true });
    this.#listen();
    new ResizeObserver(() => this.#resized()).observe(this.canvas.parentElement);
    this.close();
  }

  close() {
    this.stopper?.abort();
    this.jobId = "";
    this.planes = null;
    this.picture = this.labels = null;
    this.kept = new Map();
    this.hovered = 0;
    this.isFitted = true;
    this.view = { scale: 1, x: 0, y: 0 };
    setText($("readout"), "");
  }

  /** Show a job; `planes` is the server's answer. */
  open(jobId, planes) {
    this.close();
    this.jobId = jobId;
    this.planes = planes;
    const last = planes.planes.length - 1;
    $("plane").max = last;
    $("plane").value = 0;
    $("plane-field").hidden = last === 0;
    $("plane-text").hidden = last === 0;
    for (const id of ["outlines", "opacity"]) $(id).disabled = !planes.has_labels;
    this.canvas.setAttribute("aria-label", "Picture of the plane with the instances outlined");
    this.#resized();
    return this.show(0);
  }

  async show(index) {
    const { t, z } = this.planes.planes[index];
    $("plane").value = index;
    setText($("plane-text"), `${index + 1} of ${this.planes.planes.length} (t ${t}, z ${z})`);
    this.stopper?.abort();
    const stopper = this.stopper = new AbortController();
    const slow = setTimeout(() => this.#say("Loading…"), LOADING_TEXT_AFTER_MS);
    try {
      const plane = await this.#plane(index, stopper.signal);
      if (stopper.signal.aborted) return;
      this.picture = plane.picture;
      this.labels = plane.labels;
      this.#say("");
      if (this.isFitted) this.fit();
      this.#drawSoon();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#say(error.message);
    } finally {
      clearTimeout(slow);
    }
  }

  async #plane(index, signal) {
    const known = this.kept.get(index);
    if (known) return known;
    const [picture, labels] = await Promise.all([
      getPicture(this.jobId, index, signal),
      this.planes.has_labels ? getLabels(this.jobId, index, signal) : null,
    ]);
    if (signal.aborted) return { picture, labels };
    this.kept.set(index, { picture, labels });
    if (this.kept.size > KEPT_PLANES) this.kept.delete(this.kept.keys().next().value);
    return { picture, labels };
  }

  // ------------------------------------------------------------------ moving about

  fit() {
    if (!this.picture) return;
    const { width, height } = this.canvas;
    const scale = Math.min(width / this.picture.width, height / this.picture.height);
    this.view = {
      scale,
      x: (width - this.picture.width * scale) / 2,
      y: (height - this.picture.height * scale) / 2,
    };
    this.isFitted = true;
    this.#drawSoon();
  }

  /** Zoom so that the point (x, y) of the canvas stays where it is. */
  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.picture) return;
    const { width, height } = this.canvas;
    const fitted = Math.min(width / this.picture.width, height / this.picture.height);
    const wanted = this.view.scale * factor;
    const scale = Math.min(MOST_ZOOM, Math.max(Math.min(fitted, 1) / 2, wanted));
    const grown = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * grown, y: y - (y - this.view.y) * grown };
    this.isFitted = false;
    this.#drawSoon();
  }

  pan(x, y) {
    this.view.x += x;
    this.view.y += y;
    this.isFitted = false;
    this.#drawSoon();
  }

  step(by) {
    if (!this.planes) return;
    const index = Number($("plane").value) + by;
    if (index >= 0 && index < this.planes.planes.length) this.show(index);
  }

  #listen() {
    const { canvas } = this;
    const ratio = () => canvas.width / canvas.clientWidth;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = event;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (last) {
        this.pan((event.clientX - last.clientX) * ratio(), (event.clientY - last.clientY) * ratio());
        last = event;
      }
      this.#point(event.offsetX * ratio(), event.offsetY * ratio());
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
    canvas.addEventListener("pointerleave", () => this.#point(-1, -1));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const factor = Math.exp(-event.deltaY * lines * 0.0015);
      this.zoom(factor, event.offsetX * ratio(), event.offsetY * ratio());
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    $("zoom-in").addEventListener("click", () => this.zoom(STEP));
    $("zoom-out").addEventListener("click", () => this.zoom(1 / STEP));
    $("fit").addEventListener("click", () => this.fit());
    for (const id of ["outlines", "opacity"]) $(id).addEventListener("input", () => this.#drawSoon());
    $("plane").addEventListener("input", () => this.show(Number($("plane").value)));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = 60 * devicePixelRatio;
    const actions = {
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      ArrowLeft: () => this.pan(far, 0), ArrowRight: () => this.pan(-far, 0),
      ArrowUp: () => this.pan(0, far), ArrowDown: () => this.pan(0, -far),
      ",": () => this.step(-1), ".": () => this.step(1),
      o: () => { $("outlines").click(); },
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** The pointer is at (x, y) of the canvas: say where that is in the image, and in what. */
  #point(x, y) {
    if (!this.picture) return;
    const { view, picture, planes } = this;
    const column = Math.floor((x - view.x) / view.scale);
    const row = Math.floor((y - view.y) / view.scale);
    const isInside = x >= 0 && column >= 0 && row >= 0 && column < picture.width && row < picture.height;
    const id = isInside && this.labels ? this.labels.ids[row * this.labels.width + column] : 0;
    const across = Math.floor(((x - view.x) / view.scale / picture.width) * planes.width_px);
    const down = Math.floor(((y - view.y) / view.scale / picture.height) * planes.height_px);
    const place = isInside ? `y ${down}  x ${across}` : "";
    setText($("readout"), id ? `Instance ${id}   ${place}` : place);
    if (id !== this.hovered) {
      this.hovered = id;
      this.#drawSoon();
    }
  }

  // ------------------------------------------------------------------ drawing

  #say(text) {
    setText($("stage-text"), text);
  }

  #resized() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    const [width, height] = [clientWidth * devicePixelRatio, clientHeight * devicePixelRatio].map(Math.round);
    if (width === 0 || (width === this.canvas.width && height === this.canvas.height)) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (this.isFitted) this.fit();
    this.#drawSoon();
  }

  #drawSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { context, canvas, picture, view } = this;
    context.fillStyle = "#101112";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!picture) return;
    // Single pixels are to be seen as such when they are large.
    context.imageSmoothingEnabled = view.scale < 2;
    context.drawImage(picture, view.x, view.y, picture.width * view.scale, picture.height * view.scale);
    const real = (view.scale * picture.width) / this.planes.width_px / devicePixelRatio;
    setText($("zoom"), `${Math.round(real * 100)} %`);
    if (this.labels && $("outlines").checked) this.#drawOutlines();
  }

  #drawOutlines() {
    const { canvas, view, labels } = this;
    const left = Math.max(0, Math.floor(view.x));
    const top = Math.max(0, Math.floor(view.y));
    const width = Math.min(canvas.width, Math.ceil(view.x + labels.width * view.scale)) - left;
    const height = Math.min(canvas.height, Math.ceil(view.y + labels.height * view.scale)) - top;
    if (width <= 0 || height <= 0) return;
    // Setting the size clears the canvas, without the trouble that clearRect makes on some GPUs.
    this.overlay.width = width;
    this.overlay.height = height;
    const image = this.overlayContext.createImageData(width, height);
    const window_ = { left: left - view.x, top: top - view.y, width, height, scale: view.scale };
    outline(labels, window_, new Uint32Array(image.data.buffer), this.hovered);
    this.overlayContext.putImageData(image, 0, 0);
    this.context.globalAlpha = Number($("opacity").value) / 100;
    this.context.drawImage(this.overlay, left, top);
    this.context.globalAlpha = 1;
  }
}

/** Colours the edges of all instances in a window of the screen; `pixels` is one number each. */
function outline(labels, window_, pixels, hovered) {
  const { width, height } = window_;
  // Instances shrunk to a few screen pixels would be all outline if that were not thinner there.
  const thick = Math.max(1, Math.round(devicePixelRatio * (window_.scale < 1 ? 1 : 1.5)));
  const columns = places(window_.left, width, window_.scale, labels.width);
  const rows = places(window_.top, height, window_.scale, labels.height);
  // Instance numbers of screen rows y - thick ... y + thick, in a ring.
  const ring = Array.from({ length: 2 * thick + 1 }, () => new Uint32Array(width));
  const fill = (y) => {
    const target = ring[y % ring.length];
    const from = rows[y] * labels.width;
    for (let x = 0; x < width; x++) target[x] = labels.ids[from + columns[x]];
  };
  for (let y = 0; y < Math.min(thick, height); y++) fill(y);
  for (let y = 0; y < height; y++) {
    if (y + thick < height) fill(y + thick);
    const here = ring[y % ring.length];
    const above = ring[Math.max(0, y - thick) % ring.length];
    const below = ring[Math.min(height - 1, y + thick) % ring.length];
    for (let x = 0; x < width; x++) {
      const id = here[x];
      if (id === 0) continue;
      const isEdge = above[x] !== id || below[x] !== id
        || (x >= thick && here[x - thick] !== id) || (x + thick < width && here[x + thick] !== id);
      if (id === hovered) pixels[y * width + x] = isEdge ? HIGHLIGHT_EDGE : HIGHLIGHT;
      else if (isEdge) pixels[y * width + x] = colour(id);
    }
  }
}

/** For each screen pixel from `start` on, the row or column of the labels that it shows. */
function places(start, length, scale, size) {
  return Int32Array.from({ length }, (_, i) =>
    Math.min(size - 1, Math.max(0, Math.floor((start + i + 0.5) / scale))));
}
