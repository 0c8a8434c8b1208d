// Addresses and keys: #/?… is the list, #/pair/ID?… a pair of that list.
"use strict";
(() => {
  const main = document.getElementById("main");
  let turn = 0, shown = null;

  const read = () => {
    const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
    return { name: (path.match(/^\/pair\/([0-9a-f]+)$/) || [])[1], query: new URLSearchParams(query) };
  };

  const show = async () => {
    const mine = ++turn, { name, query } = read();
    if (shown) { V3D.lastMode = shown.viewers.mode; shown.viewers.dispose(); shown = null; }
    try {
      if (!name) { await V3D.showList(main, query); return; }
      const page = await V3D.showPair(main, name, query);
      if (mine !== turn) { page.viewers.dispose(); return; }
      shown = { ...page, query };
      scrollTo(0, 0);
      const there = await page.neighbours;
      if (mine !== turn) return;
      shown.there = there;
      document.getElementById("place").textContent = there.place < 0 ? V3D.count(there.total, "pair") : `${there.place + 1} of ${there.total}`;
      for (const which of ["previous", "next"]) {
        const button = document.getElementById(which);
        button.disabled = !there[which];
        button.onclick = () => step(which);
      }
      if (there.next) V3D.pair(there.next).then(pair => {
        for (const side of Object.values(pair.sides)) if (side.mesh) V3D.load(`mesh-${side.mesh}`).catch(() => {});
      }).catch(() => {});
    } catch (problem) {
      if (mine === turn) main.replaceChildren(V3D.make("h1", {}, "This cannot be shown"), V3D.make("p", { class: "gap", role: "alert" }, problem.message), V3D.make("p", {}, V3D.make("a", { href: "#/" }, "All pairs")));
    }
  };
  const step = which => {
    const name = shown && shown.there && shown.there[which];
    if (name) location.hash = `#/pair/${name}?${shown.query}`;
  };

  addEventListener("hashchange", show);
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const { name, query } = read(), inViewer = event.target.closest("model-viewer");
    if (event.key === "/") { const search = document.getElementById("search"); if (search) { search.closest("details").open = true; search.focus(); event.preventDefault(); } return; }
    if (!name) {
      if (event.key === "j" || event.key === "k") {
        const links = [...document.querySelectorAll("a.row")], at = links.indexOf(document.activeElement);
        const next = links[Math.max(0, at + (event.key === "j" ? 1 : -1))];
        if (next) next.focus();
      }
      return;
    }
    if (event.key === "j" || (event.key === "ArrowRight" && !inViewer)) step("next");
    else if (event.key === "k" || (event.key === "ArrowLeft" && !inViewer)) step("previous");
    else if (event.key === "u") location.hash = `#/?${query}`;
    else if (event.key === "m" && shown) shown.viewers.nextMode();
    else return;
    event.preventDefault();
  });
  V3D.facts().then(facts => { document.getElementById("title").textContent = facts.title || ""; }).catch(() => {});
  show();
})();
