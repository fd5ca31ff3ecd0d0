// The list of the last answers. An answer that is already shown is changed in place, so that neither the focus nor an open
// table is lost. Nothing moves while the list is paused, has the keyboard's focus, or is below the pointer.

import { by, clock, element, known, number, percent, shape, write } from "./dom.js";

const MAX = 30;
const THUMB = "M1 9h4v11H1zM6.5 9.5 11 1c1.7 0 3 1.2 3 2.8L13.2 8H20c1.3 0 2.2 1.2 1.9 2.4l-2 8c-.3 1-1 1.6-2 1.6H6.5z";
const shown = new Map();
let waiting = [], paused = false, judge = null;

export function startAnswers(giveFeedback) {
  judge = giveFeedback;
  by("pause").addEventListener("click", () => {
    paused = !paused;
    by("pause").setAttribute("aria-pressed", String(paused));
    if (!paused) release();
  });
  for (const end of ["focusout", "pointerleave"]) by("answers").addEventListener(end, () => setTimeout(release));
}

export function forgetAnswers() {
  shown.clear();
  waiting = [];
  by("answers").replaceChildren();
}

export function showAnswers(answers) {
  for (const answer of answers) {
    if (shown.has(answer.key)) update(answer);
    else waiting = [...waiting.filter((other) => other.key !== answer.key), answer].slice(-MAX);
  }
  release();
}

function release() {
  const list = by("answers");
  const busy = paused || list.querySelector(":focus-visible") || list.matches(":hover");
  write("waiting", busy && waiting.length ? `${waiting.length} new` : "");
  if (busy) return;
  for (const answer of waiting) {
    list.querySelector(":scope > .note")?.remove();
    const item = made(answer);
    shown.set(answer.key, item);
    list.prepend(item);
    update(answer);
  }
  waiting = [];
  while (list.children.length > MAX) {
    shown.delete(list.lastElementChild.dataset.key);
    list.lastElementChild.remove();
  }
}

function made(answer) {
  const question = answer.question ?? "Question not shown (privacy)";
  const item = element("li", { class: "answer new" },
    element("div", {}, element("h3", {}, question), element("div", { class: "text" }, answer.answer ?? "Answer not shown (privacy)")),
    thumbs(answer, question),
    element("p", { class: "facts quiet" },
      element("span", { class: `tier ${answer.tier === "local" ? "local" : "cloud"}` }, answer.tier === "local" ? "board" : "cloud"),
      ` · ${facts(answer)}`),
    answer.warning ? element("p", { class: "facts alarm" }, answer.warning) : null,
    alternatives(answer));
  item.dataset.key = answer.key;
  return item;
}

function facts(answer) {
  return [
    clock(answer.time), answer.client, answer.model, number(answer.latency_ms, "ms"),
    known(answer.confidence) ? `confidence ${percent(answer.confidence)}` : null,
    known(answer.energy_j) ? `${number(answer.energy_j, "J")} ${answer.energy_source}` : null,
    known(answer.cost) ? `${number(answer.cost, answer.currency)} ${answer.cost_source}` : null,
    answer.reason,
  ].filter(Boolean).join(" · ");
}

function alternatives({ alternatives: arms, arm: chosen }) {
  const head = ["Arm", "Latency", "Energy", "Quality", "Cost", ""].map((name) => element("th", { scope: "col" }, name));
  const rows = arms.map(({ arm, latency_ms, energy_j, quality, score, blocked }) => element("tr", {},
    ...[arm, number(latency_ms, "ms"), number(energy_j, "J"), percent(quality, 1), number(score),
      blocked ?? (arm === chosen ? "chosen" : "")].map((text) => element("td", {}, text))));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, `Predicted costs of ${arms.length} alternatives`),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Predicted costs" }, table));
}

function thumbs(answer, question) {
  const button = (correct, name) => {
    const made = element("button", { type: "button", "aria-pressed": "false", "aria-label": `${name}: ${question}` }, icon(correct));
    made.dataset.correct = String(correct);
    made.addEventListener("click", () => {
      if (made.getAttribute("aria-disabled") !== "true") judge(answer.key, correct);
    });
    return made;
  };
  return element("div", { class: "thumbs", role: "group", "aria-label": "Feedback" },
    button(true, "Correct"), button(false, "Wrong"));
}

function icon(up) {  // drawn, because not every system has a font with thumbs
  const picture = shape("svg", { viewBox: "0 0 24 22", class: "icon", "aria-hidden": "true" });
  picture.append(shape("path", up ? { d: THUMB } : { d: THUMB, transform: "rotate(180 12 11)" }));
  return picture;
}

function update(answer) {
  const item = shown.get(answer.key);
  for (const button of item.querySelectorAll(".thumbs button")) {
    button.setAttribute("aria-pressed", String(button.dataset.correct === String(answer.correct)));
    if (answer.correct !== null) button.setAttribute("aria-disabled", "true");
  }
  if (answer.picture && !item.querySelector("img")) {
    item.firstElementChild.append(element("img", { src: answer.picture, alt: "What the camera saw" }));
  }
}
