// Numbers and names in words, as the report writes them, and elements made of text, never of HTML.
"use strict";
V3D.rounded = (value, digits) => Number(value.toFixed(digits)) || 0; // what rounds to nothing has no sign
V3D.number = (value, digits = 2) => value === null || value === undefined ? "–" : V3D.rounded(value, digits).toFixed(digits).replace("-", "−");
V3D.signed = (value, digits = 2) => value === null || value === undefined ? "–" : (V3D.rounded(value, digits) > 0 ? "+" : "") + V3D.number(value, digits);
V3D.isId = name => /^\S*\d\S*$/.test(name); // names of generations and folders stay as they are
V3D.side = name => V3D.isId(name) ? name : name.replace(/_/g, " ");
V3D.heading = name => V3D.isId(name) ? name : V3D.title(name);
V3D.mode = name => ({ normal: "Normals", rgb: "Colour", splat: "Splats" })[name] || V3D.title(name);
V3D.measure = (name, value) => V3D.number(value, ["components", "pieces"].includes(name) ? 0 : 3);
V3D.count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
V3D.title = name => {
  const text = String(name).replace(/[_-]/g, " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
};

V3D.make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
};

V3D.tone = outcome => ({ win: "good", loss: "bad" })[outcome] || "even";
V3D.outcome = (outcome, x, y) => ({
  win: `${V3D.heading(x)} is better`, loss: `${V3D.heading(y)} is better`, same: "Same mesh: not asked",
  flip: "Flip: orders disagree", close: "Close: within its error", invalid: "No verdict",
})[outcome];
V3D.outcomeChip = (outcome, x, y) => V3D.make("span", { class: `chip ${V3D.tone(outcome)}` }, V3D.outcome(outcome, x, y));
V3D.word = (facts, field, value) => {
  const known = facts.fields.find(one => one.name === field);
  return (known && known.words[value]) || V3D.title(value);
};

V3D.picture = (name, alt, none = "no picture") => name
  ? V3D.make("img", { src: `pictures/${name}.webp`, alt, loading: "lazy", decoding: "async" })
  : V3D.make("div", { class: "none" }, none);

V3D.table = (label, head, rows) => V3D.make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
  V3D.make("table", {},
    V3D.make("thead", {}, V3D.make("tr", {}, head.map(cell => V3D.make("th", { scope: "col" }, cell)))),
    V3D.make("tbody", {}, rows.map(cells => V3D.make("tr", {}, cells.map((cell, place) =>
      place ? V3D.make("td", {}, cell) : V3D.make("th", { scope: "row" }, cell)))))));
