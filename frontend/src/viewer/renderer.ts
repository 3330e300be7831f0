// Draws scenes with WebGL2: channels add up, labels lie over them.

import type { Camera, Size } from "./camera";
import { PALETTE, PALETTE_SIZE, unitRgb } from "./colours";
import { APRON_PX, type TileData } from "./decoding";
import { type GlProgram, linked } from "./glProgram";
import { Lru } from "./lru";
import type { LabelLayer, Quad, Scene } from "./scene";
import { CHANNEL, CORNERS, LABELS } from "./shaders";

const MOST_TEXTURE_BYTES = 256 * 2 ** 20;
const GROUND = [0.063, 0.067, 0.071] as const;
/** Enlarged more than that, single pixels are to be seen as such. */
const SMOOTH_UP_TO = 2;
const LINE_PX = 1.25;
const MARKED_LINE_PX = 2.5;
/** From afar instances are all outline: fainter ones let the image through. */
const FAINT = 0.35;
const FAINT_UP_TO = 1.6;
const OTHER_COLOUR = [1, 1, 1, 1] as const;

export interface LabelLooks {
  readonly hasOutlines: boolean;
  /** 0: no fill. */
  readonly fill: number;
  readonly opacity: number;
  readonly hovered: number;
  readonly picked: number;
}

/** Where the scene is on the screen, in device pixels. */
interface Window {
  readonly camera: Camera;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
}

interface Machine {
  readonly channel: GlProgram;
  readonly labels: GlProgram;
  readonly palette: WebGLTexture;
}

export class Renderer {
  readonly #gl: WebGL2RenderingContext;
  readonly #textures: Lru<WebGLTexture>;
  #machine: Machine | null = null;

  /** null: this browser has no WebGL2. */
  static on(canvas: HTMLCanvasElement, mostTextureBytes = MOST_TEXTURE_BYTES): Renderer | null {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    return gl && new Renderer(gl, mostTextureBytes);
  }

  private constructor(gl: WebGL2RenderingContext, mostTextureBytes: number) {
    this.#gl = gl;
    this.#textures = new Lru(mostTextureBytes, (texture) => gl.deleteTexture(texture));
    this.restore();
  }

  /** Build all anew: at first, and when the browser gives back a context that it took away. */
  restore(): void {
    const gl = this.#gl;
    this.#textures.clear();
    this.#machine = null;
    if (gl.isContextLost()) return;
    gl.bindVertexArray(gl.createVertexArray());
    this.#machine = {
      channel: linked(gl, CORNERS, CHANNEL),
      labels: linked(gl, CORNERS, LABELS),
      palette: paletteTexture(gl),
    };
  }

  draw(
    scene: Scene, looks: LabelLooks, camera: Camera, image: Size, ratio: number,
    tileOf: (path: string) => TileData | undefined,
  ): void {
    const gl = this.#gl;
    if (!this.#machine || gl.isContextLost()) return;
    const { width, height } = gl.canvas;
    const window = { camera, width, height, ratio };
    gl.viewport(0, 0, width, height);
    this.#clear(window, image);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    this.#drawChannels(this.#machine.channel, scene, window, tileOf);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE);
    this.#drawLabels(this.#machine, scene, looks, window, tileOf);
  }

  /** Black below the image, for channels to add to; the ground around it. */
  #clear(window: Window, image: Size): void {
    const gl = this.#gl;
    gl.clearColor(...GROUND, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const [left, top, right, bottom] = clipOf({ left: 0, top: 0, right: image.width, bottom: image.height }, window);
    const x = Math.round(((left + 1) / 2) * window.width);
    const y = Math.round(((bottom + 1) / 2) * window.height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, y, Math.round(((right - left) / 2) * window.width), Math.round(((top - bottom) / 2) * window.height));
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.disable(gl.SCISSOR_TEST);
  }

  #drawChannels(
    program: GlProgram, scene: Scene, window: Window, tileOf: (path: string) => TileData | undefined,
  ): void {
    const gl = this.#gl;
    gl.useProgram(program.program);
    for (const { colour, low, high, quads } of scene.channels) {
      gl.uniform3fv(program.at("u_colour"), unitRgb(colour));
      gl.uniform2f(program.at("u_limits"), low, high);
      for (const quad of quads) {
        const enlarged = window.camera.scale * window.ratio * quad.factor;
        gl.uniform1i(program.at("u_smooth"), enlarged < SMOOTH_UP_TO || quad.factor > 1 ? 1 : 0);
        this.#drawQuad(program, quad, window, tileOf);
      }
    }
  }

  #drawLabels(
    { labels: program, palette }: Machine, scene: Scene, looks: LabelLooks, window: Window,
    tileOf: (path: string) => TileData | undefined,
  ): void {
    const gl = this.#gl;
    gl.useProgram(program.program);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, palette);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(program.at("u_palette"), 1);
    for (const layer of scene.labels) {
      setLooks(gl, program, looks, layer, window.camera.scale);
      for (const quad of layer.quads) {
        const texels = window.ratio / (window.camera.scale * window.ratio * quad.factor);
        gl.uniform2f(program.at("u_line"), LINE_PX * texels, MARKED_LINE_PX * texels);
        this.#drawQuad(program, quad, window, tileOf);
      }
    }
  }

  #drawQuad(
    program: GlProgram, quad: Quad, window: Window, tileOf: (path: string) => TileData | undefined,
  ): void {
    const texture = this.#textureOf(quad.request.path, tileOf);
    if (!texture) return;
    const gl = this.#gl;
    const { box, left, top, factor } = quad;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.uniform4fv(program.at("u_clip"), clipOf(box, window));
    gl.uniform4f(
      program.at("u_texels"),
      (box.left - left) / factor, (box.top - top) / factor, (box.right - left) / factor, (box.bottom - top) / factor,
    );
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #textureOf(path: string, tileOf: (path: string) => TileData | undefined): WebGLTexture | undefined {
    const known = this.#textures.get(path);
    if (known) return known;
    const tile = tileOf(path);
    if (!tile) return undefined;
    const texture = tileTexture(this.#gl, tile);
    this.#textures.set(path, texture, tile.values.byteLength);
    return texture;
  }

  close(): void {
    this.#textures.clear();
    // Browsers have few contexts; this one is not to wait for the garbage collector.
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function setLooks(gl: WebGL2RenderingContext, program: GlProgram, looks: LabelLooks, layer: LabelLayer, scale: number): void {
  const { isOther } = layer;
  const outlines = looks.hasOutlines || isOther ? looks.opacity * Math.min(1, FAINT + scale * FAINT_UP_TO) : 0;
  gl.uniform1f(program.at("u_outlines"), outlines);
  gl.uniform1f(program.at("u_fill"), isOther ? 0 : looks.fill);
  gl.uniform1f(program.at("u_opacity"), looks.opacity);
  gl.uniform1ui(program.at("u_hovered"), isOther ? 0 : looks.hovered);
  gl.uniform1ui(program.at("u_picked"), isOther ? 0 : looks.picked);
  gl.uniform4fv(program.at("u_only"), isOther ? OTHER_COLOUR : [0, 0, 0, 0]);
}

/** Image pixels to -1 ... 1 with y upwards. In double precision: neighbours then meet exactly. */
function clipOf(box: { left: number; top: number; right: number; bottom: number }, window: Window) {
  const { camera, width, height, ratio } = window;
  const across = (x: number) => ((x - camera.x_px) * camera.scale * ratio * 2) / width;
  const up = (y: number) => ((camera.y_px - y) * camera.scale * ratio * 2) / height;
  return [across(box.left), up(box.top), across(box.right), up(box.bottom)] as const;
}

function tileTexture(gl: WebGL2RenderingContext, { values, width, height, isLabels }: TileData): WebGLTexture {
  const around = isLabels ? 2 * APRON_PX : 0;
  const texture = newTexture(gl);
  const [format, type] = isLabels ? [gl.R32UI, gl.UNSIGNED_INT] : [gl.R16UI, gl.UNSIGNED_SHORT];
  gl.texImage2D(
    gl.TEXTURE_2D, 0, format, width + around, height + around, 0, gl.RED_INTEGER, type, values,
  );
  return texture;
}

function paletteTexture(gl: WebGL2RenderingContext): WebGLTexture {
  const texture = newTexture(gl);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, PALETTE_SIZE, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, PALETTE);
  return texture;
}

function newTexture(gl: WebGL2RenderingContext): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  }
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  }
  return texture;
}
