"""The shader text (GLSL 3.30). It is part of the rig's digest: another text is another rig.

``normal``: camera-space geometric normal by winding, n * 0.5 + 0.5, not turned towards the viewer, so that
inverted faces stand out. ``clay``: matte grey under two lights fixed to the camera, both sides lit.
``rgb``: vertex colour, texture or their product under the same lights. ``splat``: soft points of baked
colour, unlit.
"""

from __future__ import annotations

_VERTEX = """
uniform mat4 clip_from_object;
in vec3 position;
#if defined(COLORS) || defined(TEXTURE)
in vec3 color;
out vec3 surface_color;
#endif
#ifdef TEXTURE
in vec2 uv;
out vec2 surface_uv;
#endif
void main() {
#if defined(COLORS) || defined(TEXTURE)
    surface_color = color;
#endif
#ifdef TEXTURE
    surface_uv = uv;
#endif
    gl_Position = clip_from_object * vec4(position, 1.0);
}
"""

# Normals are looked up by face: vertices stay shared and every driver shades flat.
_FACE_NORMAL = """
uniform sampler2D face_normals;
uniform mat3 camera_from_object;
vec3 camera_normal() {
    ivec2 at = ivec2(gl_PrimitiveID % 2048, gl_PrimitiveID / 2048);
    return camera_from_object * texelFetch(face_normals, at, 0).xyz;
}
"""

_NORMAL_FRAGMENT = """
out vec4 fragment;
void main() {
    fragment = vec4(camera_normal() * 0.5 + 0.5, 1.0);
}
"""

# Bilinear filtering is written out: the drivers' own filters round differently.
_LIT_FRAGMENT = """
out vec4 fragment;
#ifdef TEXTURE
in vec3 surface_color;
in vec2 surface_uv;
uniform sampler2D surface;
vec3 texel(ivec2 at, ivec2 size) {
    return texelFetch(surface, ((at % size) + size) % size, 0).rgb;
}
vec3 albedo() {
    ivec2 size = textureSize(surface, 0);
    vec2 at = fract(surface_uv) * vec2(size) - 0.5;
    ivec2 low = ivec2(floor(at));
    vec2 part = at - vec2(low);
    return surface_color * mix(
        mix(texel(low, size), texel(low + ivec2(1, 0), size), part.x),
        mix(texel(low + ivec2(0, 1), size), texel(low + ivec2(1, 1), size), part.x),
        part.y
    );
}
#elif defined(COLORS)
in vec3 surface_color;
vec3 albedo() { return surface_color; }
#else
vec3 albedo() { return vec3(0.78); }
#endif
const vec3 KEY = vec3(-0.30, 0.80, 0.52);
const vec3 FILL = vec3(0.70, 0.10, 0.7071);
void main() {
    vec3 n = gl_FrontFacing ? camera_normal() : -camera_normal();
    float light = 0.44 + 0.50 * max(dot(n, KEY), 0.0) + 0.12 * max(dot(n, FILL), 0.0);
    fragment = vec4(albedo() * min(light, 1.0), 1.0);
}
"""

_SPLAT_VERTEX = """
uniform mat4 clip_from_object;
uniform float sigma_px;
in vec3 position;
in vec3 color;
out vec3 splat_color;
void main() {
    splat_color = color;
    gl_Position = clip_from_object * vec4(position, 1.0);
    gl_PointSize = 4.0 * sigma_px / gl_Position.w;
}
"""

# A Gaussian out to two standard deviations, premultiplied.
_SPLAT_FRAGMENT = """
in vec3 splat_color;
out vec4 fragment;
void main() {
    vec2 at = (gl_PointCoord - 0.5) * 4.0;
    float weight = dot(at, at);
    if (weight > 4.0)
        discard;
    float alpha = 0.9 * exp(-0.5 * weight);
    fragment = vec4(splat_color * alpha, alpha);
}
"""

_RESOLVE_VERTEX = """
void main() {
    vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
"""

# Box filter over supersample x supersample samples; first row of the result is the top of the picture.
_RESOLVE_FRAGMENT = """
uniform sampler2D samples;
uniform int supersample;
uniform vec4 background;
out vec4 fragment;
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    at.y = textureSize(samples, 0).y / supersample - 1 - at.y;
    vec4 total = vec4(0.0);
    for (int y = 0; y < supersample; ++y)
        for (int x = 0; x < supersample; ++x)
            total += texelFetch(samples, at * supersample + ivec2(x, y), 0);
    float alpha = total.a / float(supersample * supersample);
    vec3 color = total.rgb / max(total.a, 0.001);
    if (background.a > 0.0)
        fragment = vec4(mix(background.rgb, color, alpha), 1.0);
    else
        fragment = vec4(color, alpha);
}
"""

_VERSION = "#version 330\n"


def _drawing(fragment: str, define: str = "") -> tuple[str, str]:
    head = _VERSION + (f"#define {define}\n" if define else "")
    return head + _VERTEX, head + _FACE_NORMAL + fragment


PROGRAMS: dict[str, tuple[str, str]] = {
    "normal": _drawing(_NORMAL_FRAGMENT),
    "clay": _drawing(_LIT_FRAGMENT),
    "colors": _drawing(_LIT_FRAGMENT, "COLORS"),
    "texture": _drawing(_LIT_FRAGMENT, "TEXTURE"),
    "splat": (_VERSION + _SPLAT_VERTEX, _VERSION + _SPLAT_FRAGMENT),
    "resolve": (_VERSION + _RESOLVE_VERTEX, _VERSION + _RESOLVE_FRAGMENT),
}
"""Vertex and fragment text of each program."""


def read_programs() -> list[list[str]]:
    """Return every program's name and text in a fixed order, for the rig's digest."""
    return [[name, *PROGRAMS[name]] for name in sorted(PROGRAMS)]
