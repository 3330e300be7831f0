// Keeps what is on the screen true to the state: fetches what is missing, draws when something changed.

import { effect, signal } from "@preact/signals";

import { hasLabels, imageTile, labelTile, type Plane } from "./addresses";
import { type Camera, centred, fit, type Point, type Size, toImage } from "./camera";
import type { TileData } from "./decoding";
import { imageSize, levelFor, visibleTiles } from "./levels";
import { exactValue, isInside, valueAtHand } from "./picking";
import { Renderer } from "./renderer";
import { layersIn, neededTiles, type Scene, sceneOf, type Shown } from "./scene";
import type { ImageInfo } from "./shapes";
import type { ViewerState } from "./state";
import { drawTails } from "./tails";
import { TileStore } from "./tiles";
import { TrackStore } from "./tracks";

/** Above two device pixels per pixel nobody sees a difference, and tiles get four times as many. */
const MOST_RATIO = 2;
const FILL_PART = 0.8;
const SMALL_INSTANCE_PX = 12;

export interface LabelSource {
  readonly base: string;
  /** Which planes have labels. */
  readonly image: ImageInfo;
}

export interface Sources {
  readonly base: string;
  readonly labels: LabelSource | null;
  /** Drawn as white outlines over the labels, to compare. */
  readonly others: LabelSource | null;
}

export interface StageStatus {
  readonly isLoading: boolean;
  readonly problem: string;
}

export class Stage {
  readonly view = signal<Size>({ width: 0, height: 0 });
  readonly status = signal<StageStatus>({ isLoading: true, problem: "" });
  readonly store = new TileStore(() => this.redraw());
  readonly image: ImageInfo;
  #renderer: Renderer | null = null;
  #tracks: TrackStore | null = null;
  #canvas: HTMLCanvasElement | null = null;
  #overlay: HTMLCanvasElement | null = null;
  #frame = 0;
  /** The plane on the screen: the last one stays until there is something of the next. */
  #drawn: Plane | null = null;
  #isSharp = false;
  #stopWatching = () => undefined as void;

  constructor(readonly state: ViewerState, readonly sources: Sources) {
    this.image = state.image;
  }

  /** Begin on these canvases. False: this browser has no WebGL2. */
  open(canvas: HTMLCanvasElement, overlay: HTMLCanvasElement): boolean {
    this.#renderer = Renderer.on(canvas);
    if (!this.#renderer) return false;
    [this.#canvas, this.#overlay] = [canvas, overlay];
    if (this.image.has_tracks) {
      this.#tracks = new TrackStore(this.sources.base, this.image.sizes.t, () => this.redraw());
    }
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#renderer?.restore();
      this.redraw();
    });
    const { state } = this;
    this.#stopWatching = effect(() => {
      for (const source of [
        state.camera, state.t, state.z, state.channels, state.hasOutlines, state.isFilled, state.hasOthers, state.opacity,
        state.tail_frames, state.hovered, state.picked, state.isPlaying, this.view,
      ]) void source.value;
      this.redraw();
    });
    return true;
  }

  close(): void {
    this.#stopWatching();
    cancelAnimationFrame(this.#frame);
    this.store.close();
    this.#tracks?.close();
    this.#renderer?.close();
    this.#renderer = null;
  }

  /** The present camera: the one set, or that which shows the whole image or region. */
  get camera(): Camera {
    return this.state.camera.value ?? fit(this.state.whole, this.view.value);
  }

  redraw(): void {
    if (this.#frame || !this.#renderer) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** Whether all of the present plane is here at the resolution of the screen. */
  get isReady(): boolean {
    const { plane } = this.state;
    return this.#isSharp && this.#drawn?.t === plane.value.t && this.#drawn.z === plane.value.z;
  }

  #draw(): void {
    const view = this.view.peek();
    if (!this.#renderer || !this.#canvas || view.width === 0) return;
    const camera = this.camera;
    const ratio = this.#fitCanvas(view);
    const plane = this.state.plane.peek();
    this.#want(plane, camera, view, ratio);
    const scene = this.#sceneToDraw(plane, camera, view, ratio);
    this.#renderer.draw(scene, this.#looks(), camera, imageSize(this.image), ratio, this.#tileOf);
    this.#drawTails(scene.plane, camera, view, ratio);
    const problem = this.store.problem || (this.#tracks?.problem ?? "");
    const isLoading = !this.#isSharp;
    const before = this.status.peek();
    if (isLoading !== before.isLoading || problem !== before.problem) this.status.value = { isLoading, problem };
  }

  readonly #tileOf = (path: string): TileData | undefined => this.store.get(path);

  #fitCanvas(view: Size): number {
    const ratio = Math.min(MOST_RATIO, globalThis.devicePixelRatio || 1);
    const canvas = this.#canvas!;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    return ratio;
  }

  #want(plane: Plane, camera: Camera, view: Size, ratio: number): void {
    const needed = neededTiles(this.shownAt(plane), plane, camera, view, ratio);
    if (this.state.isPlaying.peek()) {
      const next = { t: (plane.t + 1) % this.image.sizes.t, z: plane.z };
      needed.push(...neededTiles(this.shownAt(next), next, camera, view, ratio));
    }
    this.store.want(needed);
  }

  #sceneToDraw(plane: Plane, camera: Camera, view: Size, ratio: number): Scene {
    const scene = sceneOf(this.shownAt(plane), plane, camera, view, ratio, this.store);
    const layers = layersIn(scene);
    this.#isSharp = layers.every(({ isSharp }) => isSharp);
    if (this.#drawn && !layers.every(({ isCovered }) => isCovered)) {
      const before = this.#drawn;
      return sceneOf(this.shownAt(before), before, camera, view, ratio, this.store);
    }
    this.#drawn = plane;
    return scene;
  }

  #looks() {
    const { hasOutlines, isFilled, opacity, hovered, picked } = this.state;
    return {
      hasOutlines: hasOutlines.peek(),
      fill: isFilled.peek() ? FILL_PART * opacity.peek() : 0,
      opacity: opacity.peek(),
      hovered: hovered.peek(),
      picked: picked.peek(),
    };
  }

  #drawTails(plane: Plane, camera: Camera, view: Size, ratio: number): void {
    if (!this.#tracks || !this.#overlay) return;
    const { tail_frames, picked } = this.state;
    const looks = { t: plane.t, length: tail_frames.peek(), picked: picked.peek() };
    drawTails(this.#overlay, this.#tracks.tails(plane.t, looks.length), looks, camera, view, ratio);
  }

  shownAt(plane: Plane): Shown {
    const { base, labels, others } = this.sources;
    const shown = this.state.hasOthers.peek() ? others : null;
    const sources = [labels && { ...labels, isOther: false }, shown && { ...shown, isOther: true }];
    return {
      image: this.image,
      base,
      channels: this.state.channels.peek().filter(({ isVisible }) => isVisible),
      labelBases: sources.flatMap((source) => (source && hasLabels(source.image, plane) ? [source] : [])),
    };
  }

  // ------------------------------------------------------------------ questions

  toImage(point: Point): Point {
    return toImage(this.camera, this.view.value, point);
  }

  /** The tiles of a channel that are in view now, for contrast. */
  tilesInView(channel: number): TileData[] {
    const ratio = Math.min(MOST_RATIO, globalThis.devicePixelRatio || 1);
    const level = levelFor(this.image, this.camera.scale * ratio);
    const plane = this.state.plane.peek();
    return visibleTiles(this.image, level, this.camera, this.view.peek()).flatMap((tile) =>
      this.store.get(imageTile(this.sources.base, this.image, plane, channel, tile).path) ?? []);
  }

  /** The label below a point of the screen, at full size; 0: none. */
  async labelAt(point: Point, signal?: AbortSignal): Promise<number> {
    const plane = this.state.plane.peek();
    const { x, y } = this.toImage(point);
    const { labels } = this.sources;
    if (!labels || !hasLabels(labels.image, plane) || !isInside(this.image, x, y)) return 0;
    return exactValue(this.image, this.store, (tile) => labelTile(labels.base, this.image, plane, tile), x, y, signal);
  }

  /** The same from what is here already. */
  labelAtHand({ x, y }: Point): number {
    const plane = this.state.plane.peek();
    const { labels } = this.sources;
    if (!labels || !hasLabels(labels.image, plane)) return 0;
    const requestOf = (tile: Parameters<typeof labelTile>[3]) => labelTile(labels.base, this.image, plane, tile);
    return valueAtHand(this.image, this.store, requestOf, x, y)?.value ?? 0;
  }

  /** Look at a place of the image, near enough to see an instance. */
  centreOn(at: Point): void {
    this.state.camera.value = centred(this.camera, at, SMALL_INSTANCE_PX, this.view.peek());
  }
}
