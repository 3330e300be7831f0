// The programs that run on the graphics card. Labels stay whole numbers all the way: a float would
// round those above 2^24.

import { GOLDEN } from "./colours";

/** A rectangle, without buffers: its four corners are the numbers of its vertices. */
export const CORNERS = `#version 300 es
precision highp float;
uniform vec4 u_clip;    // left, top, right, bottom on the screen, -1 to 1
uniform vec4 u_texels;  // the same corners in pixels of the tile
out vec2 v_texel;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  v_texel = mix(u_texels.xy, u_texels.zw, corner);
  gl_Position = vec4(mix(u_clip.xy, u_clip.zw, corner), 0.0, 1.0);
}`;

export const CHANNEL = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D u_tile;
uniform vec3 u_colour;
uniform vec2 u_limits;  // black, brightest; stored values
uniform bool u_smooth;
in vec2 v_texel;
out vec4 colour;

float stored(ivec2 at) {
  return float(texelFetch(u_tile, clamp(at, ivec2(0), textureSize(u_tile, 0) - 1), 0).r);
}

float between(vec2 at) {
  ivec2 first = ivec2(floor(at - 0.5));
  vec2 part = fract(at - 0.5);
  float above = mix(stored(first), stored(first + ivec2(1, 0)), part.x);
  float below = mix(stored(first + ivec2(0, 1)), stored(first + ivec2(1, 1)), part.x);
  return mix(above, below, part.y);
}

void main() {
  float value = u_smooth ? between(v_texel) : stored(ivec2(floor(v_texel)));
  float bright = clamp((value - u_limits.x) / max(1.0, u_limits.y - u_limits.x), 0.0, 1.0);
  colour = vec4(u_colour * bright, 1.0);
}`;

export const LABELS = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D u_tile;     // with a pixel of the neighbours around it
uniform sampler2D u_palette;
uniform vec2 u_line;           // thickness of an outline in pixels of the tile: usual, marked
uniform float u_outlines;      // how strong; 0: none
uniform float u_fill;
uniform float u_opacity;
uniform uint u_hovered;
uniform uint u_picked;
uniform vec4 u_only;           // a colour for all, where its alpha is not 0
in vec2 v_texel;
out vec4 colour;

uint label(vec2 at) {
  ivec2 size = textureSize(u_tile, 0);
  return texelFetch(u_tile, clamp(ivec2(floor(at)) + 1, ivec2(0), size - 1), 0).r;
}

bool isEdge(uint here, float line) {
  // At the border of a tile the one pixel of the apron stands for those beyond.
  float d = min(line, 2.0);
  float e = d * 0.7071;
  return label(v_texel + vec2(d, 0)) != here || label(v_texel - vec2(d, 0)) != here
    || label(v_texel + vec2(0, d)) != here || label(v_texel - vec2(0, d)) != here
    || label(v_texel + vec2(e, e)) != here || label(v_texel - vec2(e, e)) != here
    || label(v_texel + vec2(e, -e)) != here || label(v_texel - vec2(e, -e)) != here;
}

void main() {
  uint here = label(v_texel);
  if (here == 0u) discard;
  vec3 own = u_only.a > 0.0 ? u_only.rgb
    : texelFetch(u_palette, ivec2(int((here * ${GOLDEN}u) >> 24), 0), 0).rgb;
  bool isPicked = here == u_picked;
  bool isMarked = isPicked || here == u_hovered;
  if (isMarked && isEdge(here, u_line.y)) {
    colour = vec4(isPicked ? vec3(1.0) : mix(own, vec3(1.0), 0.6), 1.0);
  } else if (u_outlines > 0.0 && !isMarked && isEdge(here, u_line.x)) {
    colour = vec4(own, u_outlines);
  } else if (u_only.a > 0.0 && isEdge(here, 2.0 * u_line.x)) {
    colour = vec4(vec3(0.0), u_outlines);  // a dark line beside the light one: to be seen on any ground
  } else {
    float fill = isPicked ? max(u_fill, 0.4) : isMarked ? max(u_fill, 0.2) : u_fill;
    colour = vec4(own, fill * (isMarked ? 1.0 : u_opacity));
  }
}`;
