// The list of pairs. The address holds all of its state: filters, search, order and page.
"use strict";
V3D.SHORTCUTS = [
  ["Loudest wrong verdicts", { truth: "contradicts", sort: "loudest" }],
  ["Judges contradict each other", { judges: "contradicts", sort: "loudest" }],
  ["View sets disagree", { cameras: "split", sort: "split" }],
  ["Orders disagree", { outcome: "flip", sort: "bias" }],
];

V3D.showList = async (main, query) => {
  const facts = await V3D.facts(), found = await V3D.find(query);
  const go = changed => { location.hash = `#/?${changed}`; };
  const changed = change => {
    const next = new URLSearchParams(query);
    next.delete("page");
    change(next);
    go(next);
  };
  const active = document.activeElement && document.activeElement.id;
  const shown = V3D.make("div", { class: "browse" },
    V3D.make("div", { class: "filters" }, V3D.filterPanel(facts, found, query, changed)),
    V3D.make("section", { class: "found", "aria-labelledby": "h-found" },
      V3D.make("h1", { id: "h-found" }, `${found.total.toLocaleString("en")} of ${V3D.count(facts.pairs, "pair")}`),
      V3D.make("p", { class: "shortcuts" }, V3D.SHORTCUTS.map(([label, values]) => {
        const on = Object.entries(values).every(([name, value]) => query.get(name) === value);
        return V3D.make("button", { type: "button", class: "chip", "aria-pressed": String(on), onclick: () => changed(next => {
          for (const [name, value] of Object.entries(values)) on ? next.delete(name) : next.set(name, value);
        }) }, label);
      })),
      V3D.chosen(facts, query, changed),
      found.rows.length ? V3D.rows(facts, found.rows, query) : V3D.make("p", { class: "gap" }, facts.pairs
        ? "No pair fits. Take a filter away." : "No pair was judged here yet: `verdict3d run` asks about some."),
      V3D.pages(found.total, query, go)));
  main.replaceChildren(shown);
  if (active && document.getElementById(active)) document.getElementById(active).focus();
  document.title = `${V3D.count(found.total, "pair")} · Verdict3D`;
};

V3D.pageRows = query => Math.min(Number(query.get("rows") || 50), 1000);
V3D.rows = (facts, rows, query) => V3D.make("ol", { class: "pairs", start: (Number(query.get("page") || 1) - 1) * V3D.pageRows(query) + 1 }, rows.map(row => {
  const picture = (name, suffix, alt) => V3D.picture(name && name + suffix, alt, "–");
  const lines = [row.control ? V3D.word(facts, "control", row.control) : V3D.word(facts, "place", row.place), row.regime && `${row.regime} input`,
    `${row.judge} judge`, row.control && row.panel && V3D.word(facts, "panel", row.panel).toLowerCase()];
  return V3D.make("li", {}, V3D.make("a", { class: "row card", href: `#/pair/${row.id}?${query}` },
    V3D.make("span", { class: "thumbs", "aria-hidden": "true" },
      picture(row.photo, "", ""), picture(row.x_montage, "-0", ""), picture(row.y_montage, "-0", "")),
    V3D.make("span", { class: "what" }, V3D.make("b", {}, row.object), " ", V3D.make("small", {}, `${V3D.heading(row.x)} against ${V3D.side(row.y)}`),
      V3D.make("small", { class: "line" }, lines.filter(Boolean).join(" · "))),
    V3D.make("span", { class: "said" }, V3D.outcomeChip(row.outcome, row.x, row.y),
      row.truth === "contradicts" && V3D.make("span", { class: "chip bad" }, "against the truth"),
      row.judges === "contradicts" && V3D.make("span", { class: "chip even" }, "judges disagree"),
      row.people === "contradicts" && V3D.make("span", { class: "chip even" }, "people disagree"),
      row.split > 0 && V3D.make("span", { class: "chip even" }, "view sets disagree")),
    V3D.make("span", { class: "numbers" }, V3D.make("span", {}, "preference ", V3D.make("b", {}, V3D.signed(row.d))),
      row.gap !== null && V3D.make("span", {}, "F-score ", V3D.make("b", {}, V3D.signed(row.gap))))));
}));

V3D.filterPanel = (facts, found, query, changed) => {
  const open = V3D.openFilters ??= new Set(["place", "arm", "truth", "outcome", "regime"]);
  const search = V3D.make("input", { id: "search", type: "search", name: "q", value: query.get("q") || "", placeholder: "object, arm, mesh digest", autocomplete: "off" });
  const form = V3D.make("form", { role: "search", onsubmit: event => {
    event.preventDefault();
    changed(next => { search.value.trim() ? next.set("q", search.value.trim()) : next.delete("q"); });
  } }, V3D.make("label", { for: "search" }, "Search"), search);
  const sort = V3D.make("select", { id: "sort", onchange: () => changed(next => { sort.value ? next.set("sort", sort.value) : next.delete("sort"); }) },
    [{ name: "", label: "As the stages wrote them" }, ...facts.sorts].map(one =>
      V3D.make("option", { value: one.name, selected: one.name === (query.get("sort") || "") }, one.label)));
  const groups = facts.fields.map(field => {
    const chosen = query.getAll(field.name);
    if (field.kind === "range") return V3D.rangeFilter(field, chosen, open, changed);
    const counts = { ...Object.fromEntries(chosen.map(value => [value, 0])), ...found.counts[field.name] };
    const values = Object.keys(counts), order = Object.keys(field.words);
    if (values.length < 2 && !chosen.length) return null;
    values.sort((a, b) => (order.indexOf(a) + 1 || 99) - (order.indexOf(b) + 1 || 99) || a.localeCompare(b));
    return V3D.group(field, open, chosen.length, values.map(value => {
      const box = V3D.make("input", { type: "checkbox", id: `f-${field.name}-${value}`, checked: chosen.includes(value), onchange: () => changed(next => {
        const kept = chosen.filter(one => one !== value);
        next.delete(field.name);
        for (const one of box.checked ? [...kept, value] : kept) next.append(field.name, one);
      }) });
      return V3D.make("label", { class: "option" }, box, V3D.make("span", {}, V3D.word(facts, field.name, value)), V3D.make("small", {}, counts[value].toLocaleString("en")));
    }));
  });
  const panel = V3D.make("details", { class: "panel", open: V3D.panelOpen ?? matchMedia("(min-width: 60rem)").matches, ontoggle: () => { V3D.panelOpen = panel.open; } },
    V3D.make("summary", {}, "Filters and order"), form,
    V3D.make("label", { for: "sort" }, "Order"), sort, groups);
  return panel;
};

V3D.group = (field, open, chosen, content) => {
  const group = V3D.make("details", { open: open.has(field.name) || chosen > 0, ontoggle: () => {
    group.open ? open.add(field.name) : open.delete(field.name);
  } }, V3D.make("summary", {}, field.label), content);
  return group;
};

V3D.rangeFilter = (field, chosen, open, changed) => {
  const [low, high] = chosen.length ? V3D.bounds(chosen[chosen.length - 1]) : [null, null];
  const input = (end, value) => V3D.make("input", { type: "number", step: "any", id: `f-${field.name}-${end}`, value: value === null ? "" : String(value), placeholder: end, "aria-label": `${field.label}, ${end}` });
  const from = input("from", low), to = input("to", high);
  const form = V3D.make("form", { class: "range", onsubmit: event => {
    event.preventDefault();
    changed(next => { from.value || to.value ? next.set(field.name, `${from.value}..${to.value}`) : next.delete(field.name); });
  } }, from, "–", to, V3D.make("button", { type: "submit" }, "Set"));
  return V3D.group(field, open, chosen.length, form);
};

V3D.chosen = (facts, query, changed) => {
  const names = new Map(facts.fields.map(field => [field.name, field])), chips = [];
  for (const [name, value] of query) {
    if (!names.has(name) && name !== "q") continue;
    const field = names.get(name), text = name === "q" ? `“${value}”` : field.kind === "range" ? `${field.label} ${value}` : V3D.word(facts, name, value);
    chips.push(V3D.make("button", { type: "button", class: "chip", "aria-label": `Remove ${text}`, onclick: () => changed(next => {
      const kept = next.getAll(name).filter(one => one !== value);
      next.delete(name);
      for (const one of kept) next.append(name, one);
    }) }, `${text} ×`));
  }
  if (chips.length > 1) chips.push(V3D.make("a", { href: "#/" }, "Remove all"));
  return V3D.make("p", { class: "shortcuts chosen" }, chips);
};

V3D.pages = (total, query, go) => {
  const page = Number(query.get("page") || 1), last = Math.max(1, Math.ceil(total / V3D.pageRows(query)));
  if (last === 1) return null;
  const turn = (label, there) => V3D.make("button", { type: "button", disabled: there < 1 || there > last, onclick: () => {
    const next = new URLSearchParams(query);
    next.set("page", String(there));
    go(next);
    scrollTo(0, 0);
  } }, label);
  return V3D.make("p", { class: "pages" }, turn("Previous page", page - 1), `Page ${page} of ${last}`, turn("Next page", page + 1));
};
