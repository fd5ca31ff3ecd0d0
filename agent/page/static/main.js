// Connects the stream of events with the parts of the page.

import { forgetAnswers, showAnswers, startAnswers } from "./answers.js";
import { showAccuracy, showShares } from "./charts.js";
import { forgetToken, hasToken, listen, post, Refused, setToken } from "./connection.js";
import { by, percent, write } from "./dom.js";
import { showEvents } from "./events.js";
import { showBoard, showSavings, showServers } from "./readings.js";

let run = null, mode = null, totals = null, spend = null;

function receive(content) {
  const isFirst = run !== content.run;
  if (isFirst) {
    forgetAnswers();
    by("events").replaceChildren();
    [totals, spend] = [null, null];
  }
  run = content.run;
  by("sign-in").hidden = true;
  by("data").hidden = false;
  by("mode").disabled = false;
  by("sign-out").hidden = !hasToken();
  write("connection", "Live");
  write("device", content.device);
  document.title = `inarvl ${content.device}`;
  if (content.mode) showMode(content.mode);
  if (content.shares?.length) showShares(content.shares);
  if (content.telemetry) showTelemetry(content.telemetry);
  totals = content.totals ?? totals;
  showSavings(totals, spend);
  showAnswers(content.answers);
  showEvents(content.events, isFirst);
}

function showTelemetry(telemetry) {
  spend = telemetry.spend;
  write("share", telemetry.controller.questions ? percent(telemetry.controller.edge_share) : "–");
  showAccuracy(telemetry.controller);
  showBoard(telemetry);
  showServers(telemetry.servers);
}

function showMode(name) {
  mode = name;
  for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === name;
}

async function attempt(done, action) {
  try {
    await action();
    write("message", done);
  } catch (error) {
    write("message", error instanceof Refused ? error.message : "No connection to the agent: try again");
    if (mode) showMode(mode);
  }
}

async function start() {
  try {
    await listen(receive, (text) => write("connection", text));
  } catch (error) {
    write("sign-in-problem", hasToken() ? error.message : "");
    forgetToken();
    [by("sign-in").hidden, by("data").hidden, by("mode").disabled, by("sign-out").hidden] = [false, true, true, true];
    write("connection", "Signed out");
    by("token").focus();
  }
}

let lastChange = Promise.resolve();
by("mode").addEventListener("change", ({ target }) => {  // one after the other, in the order of the keys pressed
  const name = target.parentElement.textContent.trim();
  lastChange = lastChange.then(() => attempt(`Mode set: ${name}`, () => post("mode", { mode: target.value })));
});
by("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(by("token").value.trim());
  by("token").value = "";
  start();
});
by("sign-out").addEventListener("click", () => {
  forgetToken();
  location.reload();
});
startAnswers((key, correct) =>
  attempt(`Feedback sent: ${correct ? "correct" : "wrong"}`, () => post(`answers/${key}/feedback`, { correct })));
start();
