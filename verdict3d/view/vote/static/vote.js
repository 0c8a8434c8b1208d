// One question at a time: photo, two meshes under one camera, four answers on keys 1 to 4, tags; the next one is loaded ahead.
"use strict";
(() => {
  const main = document.getElementById("main");
  const ANSWERS = [["a", "A is better"], ["b", "B is better"], ["tie", "Equally good"], ["unsure", "Cannot tell"]];
  const TAGS = [["holes", "Holes"], ["floaters", "Floating bits"], ["wrong_shape", "Wrong shape"], ["blurry", "Blurry"]];
  const KEYS = { left: ["a", "s", "d", "f"], right: ["h", "j", "k", "l"] };
  const done = [];
  let turn = null, shown = null, busy = false, back = 0, mode = "normals";

  const send = async body => {
    const response = await fetch("data/answers", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
      .catch(() => { throw new Error("The server does not answer; your last answer was not recorded."); });
    const value = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(value.error || value.detail || `status ${response.status}`);
    return value;
  };

  const say = problem => main.replaceChildren(V3D.make("h1", {}, "This cannot be shown"),
    V3D.make("p", { class: "gap", role: "alert" }, problem.message),
    V3D.make("p", {}, V3D.make("button", { type: "button", onclick: start }, "Try again")));

  const finish = () => main.replaceChildren(...[V3D.make("h1", {}, "Thank you"),
    V3D.make("p", { id: "done" }, `You have answered ${V3D.count(turn.answered, "question")}; there are no more for you.`),
    done.length ? V3D.make("p", {}, V3D.make("button", { type: "button", id: "back", onclick: goBack }, "Change my last answer")) : null].filter(Boolean));

  const tagButtons = (side, label) => V3D.make("div", { class: "tags", role: "group", "aria-label": `What is wrong with ${label}` },
    TAGS.map(([name, words], place) => V3D.make("button", { type: "button", class: "chip", "data-tag": `${side}-${name}`, "aria-pressed": "false", onclick: event => toggle(event.currentTarget) },
      words, " ", V3D.make("kbd", {}, KEYS[side][place]))));
  const toggle = button => button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  const tagsOf = side => TAGS.map(([name]) => name).filter(name => main.querySelector(`[data-tag="${side}-${name}"]`).getAttribute("aria-pressed") === "true");

  const show = () => {
    if (shown) { mode = shown.viewers.mode; shown.viewers.dispose(); shown = null; }
    const question = back ? done[done.length - back] : turn.questions[0];
    if (!question) { finish(); return; }
    const viewers = V3D.viewers([{ mesh: question.a, label: "A" }, { mesh: question.b, label: "B" }], mode);
    const frames = viewers.element.querySelectorAll(".stage figure");
    frames[0].append(tagButtons("left", "A"));
    frames[1].append(tagButtons("right", "B"));
    const left = done.length - back;
    main.replaceChildren(
      V3D.make("h1", {}, "Which is the better model of this object?"),
      V3D.make("div", { class: "ask" },
        V3D.make("figure", { class: "photo" }, V3D.picture(question.photo, "Photo of the object", "no photo"), V3D.make("figcaption", {}, "Photo")),
        viewers.element,
        V3D.make("div", { class: "answers", role: "group", "aria-label": "Your answer" }, ANSWERS.map(([name, words], place) =>
          V3D.make("button", { type: "button", "data-pick": name, disabled: true, "aria-pressed": String(question.pick === name), onclick: () => vote(name) }, V3D.make("kbd", {}, place + 1), " ", words))),
        V3D.make("p", { class: "progress" },
          V3D.make("progress", { max: Math.max(turn.pairs, turn.answered), value: turn.answered, "aria-label": "Answered" }),
          V3D.make("span", { id: "count" }, back ? "Changing an earlier answer" : `${turn.answered} answered`),
          V3D.make("button", { type: "button", id: "back", disabled: left < 1, onclick: goBack }, "Back ", V3D.make("kbd", {}, "z")),
          V3D.make("span", { id: "problem", role: "alert" }, ""))));
    const mine = shown = { question, viewers, since: null };
    viewers.ready.then(() => {
      if (shown !== mine) return;
      mine.since = performance.now();
      main.querySelectorAll("[data-pick]").forEach(button => { button.disabled = false; });
      main.dataset.ready = question.question;
    });
    const next = !back && turn.questions[1];
    if (next) viewers.ready.then(() => [next.a, next.b].forEach(name => V3D.load(`mesh-${name}`).catch(() => {})));
  };

  const vote = async pick => {
    if (busy || !shown || shown.since === null) return;
    busy = true;
    const { question, since } = shown;
    try {
      const seconds = (performance.now() - since) / 1000;
      turn = await send({ question: question.question, pick, left: tagsOf("left"), right: tagsOf("right"), seconds });
      if (back) done[done.length - back--].pick = pick;
      else done.push({ ...question, pick });
      show();
    } catch (problem) { document.getElementById("problem").textContent = problem.message; } finally { busy = false; }
  };

  const goBack = () => {
    if (busy || back >= done.length) return;
    back += 1;
    show();
  };

  const start = async () => {
    try {
      turn = await V3D.fetchJson("data/turn.json");
      show();
    } catch (problem) { say(problem); }
  };

  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase(), place = "1234".indexOf(key);
    const side = ["left", "right"].find(one => KEYS[one].includes(key));
    if (key.length === 1 && place >= 0) vote(ANSWERS[place][0]);
    else if (key === "z") goBack();
    else if (key === "m" && shown) shown.viewers.nextMode();
    else if (side && shown) toggle(main.querySelector(`[data-tag="${side}-${TAGS[KEYS[side].indexOf(key)][0]}"]`));
    else return;
    event.preventDefault();
  });
  start();
})();
