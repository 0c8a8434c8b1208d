// One pair: photos, both meshes, what the judge saw from every view set and said in both orders, truth, other judges.
"use strict";
V3D.showPair = async (main, name, query) => {
  const facts = await V3D.facts(), pair = await V3D.pair(name), { x, y } = pair.sides, word = pair.word;
  const viewers = V3D.viewers([{ ...x, label: `X: ${V3D.side(x.name)}` }, { ...y, label: `Y: ${V3D.side(y.name)}` }], V3D.lastMode);
  const better = { x: V3D.side(x.name), y: V3D.side(y.name), same: "neither" }[pair.better];
  main.replaceChildren(...[
    V3D.make("p", { class: "back" }, V3D.make("a", { href: `#/?${query}` }, "← Back to the list"), V3D.make("span", { id: "place", class: "note" }),
      V3D.make("span", { class: "turn" }, V3D.make("button", { type: "button", id: "previous", disabled: true }, "Previous"), V3D.make("button", { type: "button", id: "next", disabled: true }, "Next"))),
    V3D.make("h1", {}, pair.object, " ", V3D.make("small", {}, `${V3D.heading(x.name)} against ${V3D.side(y.name)}`)),
    V3D.make("p", { class: "shortcuts" }, V3D.outcomeChip(word.outcome, x.name, y.name),
      V3D.make("span", { class: "chip" }, V3D.word(facts, "place", pair.place)),
      pair.regime && V3D.make("span", { class: "chip" }, `${V3D.title(pair.regime)} input`),
      pair.control && V3D.make("span", { class: "chip" }, V3D.word(facts, "control", pair.control)),
      pair.truth === "contradicts" && V3D.make("span", { class: "chip bad" }, `Contradicts the truth: ${better} is better`),
      pair.judges === "contradicts" && V3D.make("span", { class: "chip even" }, "Another judge names the other side"),
      pair.people === "contradicts" && V3D.make("span", { class: "chip even" }, "People name the other side")),
    V3D.make("div", { class: "look" },
      V3D.make("div", { class: "photos" },
        V3D.figure(V3D.picture(pair.photo, `The object ${pair.object}`, "the judge saw no photo"), pair.condition ? "Photo, as the judge saw it" : "Photo"),
        pair.condition && V3D.figure(V3D.picture(pair.condition, `Degraded photo of ${pair.object}`), "Degraded photo, as the generators saw it")),
      viewers.element),
    V3D.make("div", { class: "columns" },
      V3D.section("What the judge said", V3D.marginTable(word, x, y), V3D.make("p", { class: "note" }, V3D.reading(word, x, y))),
      V3D.section("Truth", V3D.truthTable(pair, x, y, better))),
    V3D.section("What the judge saw", ...V3D.montages(facts, pair, x, y)),
    V3D.section("What other judges said", V3D.others(pair, x, y)),
    V3D.section("What people said", V3D.people(pair, x, y)),
    pair.elsewhere.length ? V3D.section("The same meshes elsewhere", V3D.rows(facts, pair.elsewhere, query)) : null,
    V3D.section("The question", V3D.question(facts, word)),
    V3D.section("Names", V3D.table("Names", ["", "X", "Y"], [["Generation", x.generation || "–", y.generation || "–"], ["Mesh digest", code(x.digest), code(y.digest)], ["Pair", code(pair.name), code(pair.id)]])),
  ].filter(Boolean));
  document.title = `${pair.object}: ${V3D.side(x.name)} against ${V3D.side(y.name)} · Verdict3D`;
  return { viewers, neighbours: V3D.placeInList(name, query) };
};

const code = text => V3D.make("code", {}, text || "–");
V3D.section = (title, ...content) => V3D.make("section", {}, V3D.make("h2", {}, title), ...content);
V3D.figure = (picture, caption) => V3D.make("figure", {}, picture, V3D.make("figcaption", {}, caption));

V3D.says = (margin, first, second) => margin === null ? "–" : margin > 0 ? first : second;
V3D.marginTable = (word, x, y) => word.m1 === null
  ? V3D.make("p", {}, word.outcome === "same" ? "Both meshes are one, or look so from every view set: nothing was asked." : `${word.reason}: ${word.message || "no answer"}`)
  : V3D.table("Margins of both orders", ["Shown first", "Margin for the first", "Better"], [
    [`X: ${V3D.side(x.name)}`, V3D.signed(word.m1), V3D.says(word.m1, "X", "Y")],
    [`Y: ${V3D.side(y.name)}`, V3D.signed(word.m2), V3D.says(word.m2, "Y", "X")],
    ["Preference for X", V3D.make("span", {}, V3D.signed(word.d), word.se === null ? null : V3D.make("small", {}, ` ± ${V3D.number(word.se)}`)), V3D.says(word.d, "X", "Y")],
    ["Position bias", V3D.signed(word.b), "–"]]);

V3D.reading = (word, x, y) => ({
  win: `Both orders name X (${V3D.side(x.name)}), by more than the position and the view sets matter.`,
  loss: `Both orders name Y (${V3D.side(y.name)}), by more than the position and the view sets matter.`,
  flip: "The two orders name different sides: the position decided.",
  close: "Both orders name one side, but the preference is within its error.",
  same: "A pair of the same mesh counts half.", invalid: "A pair without a verdict counts nowhere.",
})[word.outcome];

V3D.truthTable = (pair, x, y, better) => {
  const measures = [...new Set([...Object.keys(x.truth), ...Object.keys(y.truth)])];
  const order = ["f_score", "normal_consistency", "chamfer_distance", "floating_share"];
  measures.sort((a, b) => (order.indexOf(a) + 1 || 99) - (order.indexOf(b) + 1 || 99));
  const words = pair.known ? [V3D.make("p", {}, pair.known === "same" ? "By the way this pair was made, neither side is better." : `By the way this pair was made, ${pair.known.toUpperCase()} is better.`)] : [];
  if (!measures.length) return V3D.make("div", {}, words.length ? words : V3D.make("p", {}, "The true mesh is not known, or neither mesh was measured against it."));
  const table = V3D.table("Truth", ["Measure", "X", "Y"], measures.map(name => [V3D.title(name).replace("F score", "F-score").replace("Non manifold", "Non-manifold"), V3D.measure(name, x.truth[name]), V3D.measure(name, y.truth[name])]));
  return V3D.make("div", {}, words, table, better && !pair.known ? V3D.make("p", { class: "note" }, `Nearer to the true mesh by F-score: ${better}. The judge does not know this.`) : null);
};

V3D.montages = (facts, pair, x, y) => {
  const modes = [...new Set([pair.word.mode, ...Object.keys(x.montages), ...Object.keys(y.montages)])].filter(mode => x.montages[mode] || y.montages[mode]);
  if (!modes.length) return [V3D.make("p", {}, "The montages are not kept.")];
  const blocks = modes.map(mode => {
    const sets = mode === pair.word.mode && pair.word.sets.length ? pair.word.sets : [null];
    const rows = sets.map((both, number) => {
      const view = facts.views[number] || `view set ${number + 1}`, picture = (side, label) => V3D.picture(side.montages[mode] && `${side.montages[mode]}-${number}`, `${label} in ${mode}, ${view}`);
      return V3D.make("div", { class: "set" }, V3D.figure(picture(x, "X"), `X: ${V3D.side(x.name)}`), V3D.figure(picture(y, "Y"), `Y: ${V3D.side(y.name)}`),
        V3D.make("p", { class: "note" }, V3D.make("b", {}, V3D.title(view)), both ? `: X first ${V3D.signed(both[0])}, Y first ${V3D.signed(both[1])}, preference for X ${V3D.signed((both[0] - both[1]) / 2)}` : ""));
    });
    return V3D.make("details", { open: mode === pair.word.mode }, V3D.make("summary", {}, `${V3D.mode(mode)}${mode === pair.word.mode ? ": shown to the judge" : ""}`), V3D.make("div", { class: "sets" }, rows));
  });
  return blocks;
};

V3D.others = (pair, x, y) => {
  if (!pair.others.length) return V3D.make("p", {}, "No other judge was asked about this pair in this way.");
  return V3D.table("What other judges said", ["Judge", "Verdict", "Preference", "X first", "Y first"], [pair.word, ...pair.others].map(word =>
    [V3D.title(word.role), V3D.outcomeChip(word.outcome, x.name, y.name), V3D.signed(word.d), V3D.signed(word.m1), V3D.signed(word.m2)]));
};

V3D.people = (pair, x, y) => {
  const said = pair.votes;
  if (!said) return V3D.make("p", {}, "Nobody was asked about this pair.");
  const faults = tags => Object.entries(tags).map(([name, count]) => `${V3D.title(name).toLowerCase()} ${count}`).join(", ") || "–";
  const table = V3D.table("What people said", ["Answer", "People", "Faults they named"], [
    [`X: ${V3D.side(x.name)}`, said.x, faults(said.x_tags)], [`Y: ${V3D.side(y.name)}`, said.y, faults(said.y_tags)],
    ["Equally good", said.tie, "–"], ["Cannot tell", said.unsure, "–"]]);
  return V3D.make("div", {}, table, V3D.make("p", { class: "note" }, "They did not know whose meshes they saw. Answers of careless people are not counted."));
};

V3D.question = (facts, word) => {
  const text = facts.questions[word.question];
  return V3D.make("div", {}, V3D.make("p", { class: "note" }, `${V3D.title(word.role)} judge ${word.model}; ${V3D.word(facts, "panel", word.panel).toLowerCase()}; montages in ${word.mode}. Braces stand for pictures; each order is one question.`),
    text ? V3D.make("pre", { tabindex: "0" }, text) : V3D.make("p", {}, "The text that was asked is no longer configured."));
};

// Where a pair stands in the list that it was opened from.
V3D.placeInList = async (name, query) => {
  const key = String(query);
  if (V3D.listKey !== key) {
    V3D.listIds = await V3D.ids(query);
    V3D.listKey = key;
  }
  const place = V3D.listIds.indexOf(name);
  return { place, total: V3D.listIds.length, previous: V3D.listIds[place - 1], next: place < 0 ? V3D.listIds[0] : V3D.listIds[place + 1] };
};
