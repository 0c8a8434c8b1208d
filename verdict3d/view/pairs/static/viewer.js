// Two meshes under one camera. A page that wants them (a pair, a vote) calls V3D.viewers and puts the result in its place.
"use strict";
V3D.FRONT = "45deg 70deg 3.35m"; // the first view of the judge's rig: yaw 45, elevation 20, distance 3.35, 30 degrees

// Decoders are never needed, because the copies are plain; should one be, it is looked for here and not elsewhere.
if (window.ModelViewerElement) {
  const element = window.ModelViewerElement.ModelViewerElement;
  for (const name of ["dracoDecoderLocation", "ktx2TranscoderLocation", "lottieLoaderLocation"]) {
    element[name] = "static/none/";
  }
  element.powerPreference = "low-power";
}

// sides: [{ mesh: key or null, failure, label }]; returns { element, setMode, mode, nextMode, dispose, ready }.
V3D.viewers = (sides, mode = "normals") => {
  const status = sides.map(() => V3D.make("p", { class: "faces note", role: "status" }, ""));
  const frames = sides.map((side, place) => side.mesh
    ? V3D.make("model-viewer", {
      "camera-controls": true, "camera-orbit": V3D.FRONT, "camera-target": "0m 0m 0m", "field-of-view": "30deg",
      "min-camera-orbit": "auto auto 1.2m", "max-camera-orbit": "auto 180deg 8m", "min-field-of-view": "8deg",
      "max-field-of-view": "30deg", "interaction-prompt": "none", "disable-tap": true, "tone-mapping": "none", "shadow-intensity": "0",
      "interpolation-decay": "60", "touch-action": "pan-y", alt: `Mesh of ${side.label}`,
    })
    : V3D.make("div", { class: "none" }, side.failure ? `no mesh: ${side.failure}` : "this mesh is not kept; its pictures are below"));
  const meshes = [], addresses = [];
  let current = null;

  const draw = place => {
    const frame = frames[place];
    if (!meshes[place] || !sides[place].mesh) return;
    if (addresses[place]) URL.revokeObjectURL(addresses[place]);
    addresses[place] = URL.createObjectURL(V3D.modeGlb(meshes[place], current));
    frame.src = addresses[place];
  };
  const buttons = V3D.MODES.map(name => V3D.make("button", { type: "button", "aria-pressed": "false", onclick: () => setMode(name) }, V3D.title(name)));
  const setMode = name => {
    current = name;
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(V3D.MODES[place] === name)));
    frames.forEach((_, place) => draw(place));
  };

  frames.forEach((frame, place) => {
    if (!sides[place].mesh) return;
    frame.addEventListener("camera-change", event => {
      if (event.detail.source !== "user-interaction") return;
      frames.forEach((other, there) => {
        if (there === place || !sides[there].mesh) return;
        other.cameraOrbit = frame.getCameraOrbit().toString();
        other.cameraTarget = frame.getCameraTarget().toString();
        other.fieldOfView = `${frame.getFieldOfView()}deg`;
        other.jumpCameraToGoal();
      });
    });
  });
  // paper has another width than the screen, and the canvas of a viewer keeps its own: a copy stands in for it
  const stills = frames.map(() => V3D.make("canvas", { class: "still", "aria-hidden": "true" }));
  const keepStills = () => frames.forEach((frame, place) => {
    const shown = frame.shadowRoot?.querySelector("canvas.show, canvas");
    if (!shown?.width) return;
    [stills[place].width, stills[place].height] = [shown.width, shown.height];
    stills[place].getContext("2d").drawImage(shown, 0, 0);
    frame.classList.add("kept");
  });
  addEventListener("beforeprint", keepStills);
  const reset = () => frames.forEach((frame, place) => {
    if (!sides[place].mesh) return;
    frame.cameraOrbit = V3D.FRONT;
    frame.cameraTarget = "0m 0m 0m";
    frame.fieldOfView = "30deg";
    frame.jumpCameraToGoal();
  });
  const ready = Promise.all(sides.map(async (side, place) => {
    if (!side.mesh) return;
    status[place].textContent = "loading…";
    try {
      const found = await V3D.load(`mesh-${side.mesh}`);
      meshes[place] = V3D.readGlb(found.glb);
      meshes[place].colored = meshes[place].colors !== null;
      const count = (found.faces || 0).toLocaleString("en"); // a vote is not told
      status[place].textContent = !found.faces ? "" : found.shown < found.faces ? `${count} faces, ${found.shown.toLocaleString("en")} shown` : `${count} faces`;
      draw(place);
    } catch (problem) { status[place].textContent = problem.message; }
  }));
  const element = V3D.make("div", { class: "viewers" },
    V3D.make("div", { class: "modes", role: "group", "aria-label": "What the meshes show" }, buttons,
      V3D.make("button", { type: "button", onclick: reset }, "Camera back")),
    V3D.make("div", { class: "stage" }, frames.map((frame, place) => V3D.make("figure", {}, frame, stills[place],
      V3D.make("figcaption", {}, V3D.make("b", {}, sides[place].label), status[place])))));
  setMode(mode);
  return {
    element, ready, setMode, frames,
    get mode() { return current; },
    nextMode: () => setMode(V3D.MODES[(V3D.MODES.indexOf(current) + 1) % V3D.MODES.length]),
    dispose: () => {
      removeEventListener("beforeprint", keepStills);
      addresses.forEach(address => address && URL.revokeObjectURL(address));
    },
  };
};
