// Where data comes from: a server that answers questions, or files beside the page that are read whole.
"use strict";
delete window.WebAssembly; // the content policy refuses it, and model-viewer would compile a decoder that no mesh here needs
const V3D = { bundle: document.body.dataset.bundle === "yes", arrived: {}, waiting: {}, asked: {} };

// Files of a bundle are scripts, because a page that was opened from disk may fetch nothing.
V3D.receive = (name, value) => { V3D.arrived[name] = value; };

V3D.load = name => {
  if (name in V3D.asked) return V3D.asked[name];
  const answer = V3D.bundle ? V3D.loadScript(name) : V3D.fetchJson(`data/${name}.json`);
  V3D.asked[name] = answer;
  answer.catch(() => { delete V3D.asked[name]; });
  const kept = Object.keys(V3D.asked).filter(key => key.startsWith("mesh-"));
  if (kept.length > 24) delete V3D.asked[kept[0]];
  return answer;
};

V3D.fetchJson = async address => {
  let response;
  try { response = await fetch(address); } catch {
    throw new Error("The server does not answer: `verdict3d view` has ended. Start it again, then reload.");
  }
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(value.error || value.detail || `${address}: status ${response.status}`);
  return value;
};

V3D.loadScript = name => new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = `data/${name}.js`;
  script.onload = () => {
    const value = V3D.arrived[name];
    delete V3D.arrived[name];
    script.remove();
    if (value && value.error) reject(new Error(value.error)); else resolve(value);
  };
  script.onerror = () => {
    script.remove();
    reject(new Error(`data/${name}.js is missing: make the bundle again, it goes on where it was.`));
  };
  document.head.append(script);
});

// One page of the list: { total, rows, counts }. A query is a URLSearchParams in the words of the index.
V3D.find = async query => {
  if (!V3D.bundle) return V3D.fetchJson(`data/pairs.json?${query}`);
  const all = await V3D.everything(), facts = await V3D.facts();
  const fitting = V3D.select(all, facts, query), rows = Number(query.get("rows") || 50);
  const start = (Number(query.get("page") || 1) - 1) * rows, counts = {};
  for (const field of facts.fields.filter(one => one.kind === "choice")) {
    const wider = new URLSearchParams(query);
    wider.delete(field.name);
    const found = counts[field.name] = {};
    for (const one of query.has(field.name) ? V3D.select(all, facts, wider) : fitting) {
      const value = one.columns[field.name];
      if (value) found[value] = (found[value] || 0) + 1;
    }
  }
  return { total: fitting.length, rows: fitting.slice(start, start + rows).map(one => one.row), counts };
};

V3D.ids = async query => {
  if (!V3D.bundle) return V3D.fetchJson(`data/ids.json?${query}`);
  return V3D.select(await V3D.everything(), await V3D.facts(), query).map(one => one.row.id);
};

V3D.facts = () => V3D.load("facts");

V3D.pair = async name => {
  if (!V3D.bundle) return V3D.load(`pair-${name}`);
  const shard = await V3D.load(`documents-${name.slice(0, 2)}`).catch(() => ({}));
  if (!(name in shard)) throw new Error(`There is no pair ${name} in this bundle.`);
  return shard[name];
};

V3D.everything = async () => {
  const { shards } = await V3D.facts();
  const parts = await Promise.all(Array.from({ length: shards }, (_, number) => V3D.load(`rows-${number}`)));
  return V3D.all ??= parts.flat();
};

// What the index does in SQL (verdict3d/view/pairs/index.py); a test holds both to the same answers.
V3D.select = (all, facts, query) => {
  const tests = [];
  for (const field of facts.fields) {
    const values = query.getAll(field.name);
    if (!values.length) continue;
    if (field.kind === "choice") tests.push(one => values.includes(one.columns[field.name]));
    else {
      const [low, high] = V3D.bounds(values[values.length - 1]);
      tests.push(one => {
        const value = one.columns[field.name];
        return value !== null && (low === null || value >= low) && (high === null || value <= high);
      });
    }
  }
  for (const word of (query.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean)) {
    tests.push(one => one.columns.text.includes(word));
  }
  const found = all.filter(one => tests.every(test => test(one)));
  const sort = facts.sorts.find(one => one.name === query.get("sort"));
  if (!sort) return found;
  const key = one => one.columns[sort.column], sign = sort.descending ? -1 : 1;
  return found.sort((one, other) => {
    const a = key(one), b = key(other);
    if (a === null || b === null) return (a === null) - (b === null);
    return a === b ? 0 : a < b ? -sign : sign;
  });
};

V3D.bounds = text => {
  const [low, high] = text.includes("..") ? text.split("..") : [text, text];
  return [low === "" ? null : Number(low), high === "" ? null : Number(high)];
};
