// The list of events, and the newest drift event as a message that a screen reader reads.

import { by, clock, element, write } from "./dom.js";

const MAX = 20;
const HIDDEN = new Set(["time", "event"]);

export function showEvents(events, isFirst) {
  if (!events.length) return;
  const list = by("events");
  list.querySelector(".note")?.remove();
  for (const event of events) {
    const details = Object.entries(event).filter(([name]) => !HIDDEN.has(name)).map(([, value]) => value).join(" · ");
    const alarm = ["drift", "error"].includes(event.event) ? "alarm" : "";
    list.prepend(element("li", {},
      element("span", { class: "quiet" }, clock(event.time)), " ",
      element("span", { class: alarm }, event.event), details ? `: ${details}` : ""));
    if (event.event === "drift" && !isFirst) write("drift", `Drift at ${clock(event.time)}: ${event.message}`);
  }
  while (list.children.length > MAX) list.lastElementChild.remove();
}
