// One mesh in four modes: each is a GLB made here of the positions, indices and colours of the copy that was loaded.
"use strict";
V3D.MODES = ["normals", "clay", "colour", "wireframe"];

V3D.readGlb = text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
  const length = view.getUint32(12, true);
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(20, 20 + length)));
  const start = 20 + length + 8, { attributes, indices } = json.meshes[0].primitives[0];
  const array = (number, kind, width) => {
    const accessor = json.accessors[number], part = json.bufferViews[accessor.bufferView];
    return new kind(bytes.slice(start + part.byteOffset, start + part.byteOffset + part.byteLength).buffer, 0, accessor.count * width);
  };
  return {
    positions: array(attributes.POSITION, Float32Array, 3),
    indices: array(indices, Uint32Array, 1),
    colors: attributes.COLOR_0 === undefined ? null : array(attributes.COLOR_0, Float32Array, 3),
  };
};

// Corners of their own for every face, so that each face has one colour, as the judge sees it.
V3D.flatten = ({ positions, indices, colors }) => {
  const count = indices.length, places = new Float32Array(3 * count), normals = new Float32Array(3 * count);
  const shades = colors && new Float32Array(3 * count);
  for (let corner = 0; corner < count; corner++) {
    for (let axis = 0; axis < 3; axis++) {
      places[3 * corner + axis] = positions[3 * indices[corner] + axis];
      if (shades) shades[3 * corner + axis] = colors[3 * indices[corner] + axis];
    }
  }
  for (let face = 0; face < 3 * count; face += 9) {
    const at = place => places[face + place];
    const [ux, uy, uz] = [at(3) - at(0), at(4) - at(1), at(5) - at(2)], [vx, vy, vz] = [at(6) - at(0), at(7) - at(1), at(8) - at(2)];
    const n = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], size = Math.hypot(...n) || 1;
    for (let place = 0; place < 9; place++) normals[face + place] = n[place % 3] / size;
  }
  return { places, normals, shades };
};

// Every mode is a colour of each corner, so no light is computed while a mesh turns: that also runs without a graphics card.
const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;

V3D.modeGlb = (mesh, mode) => {
  if (mode === "wireframe") {
    const seen = new Set(), lines = [], { indices, positions } = mesh, vertices = positions.length / 3;
    for (let corner = 0; corner < indices.length; corner++) {
      const a = indices[corner], b = indices[corner % 3 === 2 ? corner - 2 : corner + 1];
      const key = Math.min(a, b) * vertices + Math.max(a, b);
      if (!seen.has(key)) { seen.add(key); lines.push(a, b); }
    }
    return V3D.writeGlb({ POSITION: positions }, new Uint32Array(lines), 1, [0.05, 0.13, 0.35, 1]);
  }
  const { places, normals, shades } = mesh.flat ??= V3D.flatten(mesh), colors = new Float32Array(normals.length);
  for (let place = 0; place < normals.length; place += 3) {
    // the object's own frame: z up, front towards -y
    const n = [normals[place], -normals[place + 2], normals[place + 1]];
    const light = 0.62 + 0.3 * (0.48 * n[0] - 0.56 * n[1] + 0.68 * n[2]) + 0.08 * n[2];
    for (let axis = 0; axis < 3; axis++) {
      if (mode === "normals") colors[place + axis] = linear(n[axis] * 0.5 + 0.5);
      else colors[place + axis] = mode === "colour" && shades ? shades[place + axis] * linear(light + 0.25) : linear(light * 0.86);
    }
  }
  return V3D.writeGlb({ POSITION: places, COLOR_0: colors }, null, 4, [1, 1, 1, 1]);
};

V3D.writeGlb = (attributes, indices, mode, color) => {
  const parts = [], views = [], accessors = [];
  let offset = 0;
  const add = (array, componentType, type, width) => {
    const accessor = { bufferView: views.length, componentType, type, count: array.length / width };
    if (type === "VEC3" && accessors.length === 0) {
      accessor.min = [Infinity, Infinity, Infinity];
      accessor.max = [-Infinity, -Infinity, -Infinity];
      array.forEach((value, place) => {
        accessor.min[place % 3] = Math.min(accessor.min[place % 3], value);
        accessor.max[place % 3] = Math.max(accessor.max[place % 3], value);
      });
    }
    views.push({ buffer: 0, byteOffset: offset, byteLength: array.byteLength });
    parts.push(array);
    offset += array.byteLength;
    return accessors.push(accessor) - 1;
  };
  const primitive = { mode, material: 0, attributes: {} };
  for (const [name, array] of Object.entries(attributes)) primitive.attributes[name] = add(array, 5126, "VEC3", 3);
  if (indices) primitive.indices = add(indices, 5125, "SCALAR", 1);
  const material = { doubleSided: true, pbrMetallicRoughness: { baseColorFactor: color }, extensions: { KHR_materials_unlit: {} } };
  const json = {
    asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }], meshes: [{ primitives: [primitive] }],
    materials: [material], accessors, bufferViews: views, buffers: [{ byteLength: offset }],
    extensionsUsed: ["KHR_materials_unlit"],
  };
  let text = JSON.stringify(json);
  text += " ".repeat((4 - text.length % 4) % 4);
  const head = new Uint32Array([0x46546c67, 2, 28 + text.length + offset, text.length, 0x4e4f534a]);
  return new Blob([head, text, new Uint32Array([offset, 0x004e4942]), ...parts], { type: "model/gltf-binary" });
};
