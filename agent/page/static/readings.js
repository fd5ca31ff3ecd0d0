// The numbers: savings, the board, and the servers with their links.

import { by, element, known, number, percent } from "./dom.js";

const LOADS = { cpu_load: "CPU", gpu_load: "GPU", memory_pressure: "Waiting for memory" };
const VALUES = {
  temp_c: ["Temperature", "°C"], power_w: ["Power", "W"], memory_available_mb: ["Free memory", "MB"],
  battery_pct: ["Battery", "%"],
};

function reading(name, text, share = null) {
  const shown = element("dd", {}, element("strong", {}, text));
  if (known(share)) shown.append(element("meter", { min: 0, max: 1, value: Math.min(1, Math.max(0, share)), "aria-label": name }));
  return element("div", {}, element("dt", {}, name), shown);
}

export function showSavings(totals, spend) {
  const shown = [reading("Latency per answer, estimated", known(totals?.saved_ms) ? sooner(totals.saved_ms) : "–")];
  if (known(totals?.used_j)) {
    const saved = totals.cloud_j > 0 ? 1 - totals.used_j / totals.cloud_j : null;
    shown.push(reading("Energy, estimated", less(saved)));
    shown.push(reading("Energy used", `${number(totals.used_j, "J")} of ${number(totals.cloud_j, "J")}`));
  }
  if (known(totals?.saved_cost)) shown.push(reading("Money saved, estimated", number(totals.saved_cost, totals.currency)));
  if (known(spend?.today)) {
    const cap = known(spend.per_day) ? ` of ${number(spend.per_day)}` : "";
    shown.push(reading("Spent today", `${number(spend.today)}${cap} ${spend.currency}`, spend.today / spend.per_day));
  }
  by("savings").replaceChildren(...shown);
}

const sooner = (ms) => `${number(Math.abs(ms), "ms")} ${ms < 0 ? "later" : "sooner"}`;
const less = (share) => known(share) ? `${percent(Math.abs(share))} ${share < 0 ? "more" : "less"}` : "–";

export function showBoard({ device, faults, problems }) {
  const loads = Object.entries(LOADS).filter(([name]) => known(device[name]))
    .map(([name, title]) => reading(title, percent(device[name]), device[name]));
  const values = Object.entries(VALUES).filter(([name]) => known(device[name]))
    .map(([name, [title, unit]]) => reading(title, number(device[name], unit)));
  const shown = [...loads, ...values];
  if (device.throttled) shown.push(reading("Clock", "held down by heat or power"));
  if (faults.length) shown.push(reading("Sensors that fail", faults.join(", ")));
  for (const problem of problems) shown.push(reading("Problem", problem));
  by("board").replaceChildren(...shown);
}

export function showServers(servers) {
  by("servers").replaceChildren(...servers.map((server) => {
    const state = server.trust === "untrusted" ? "not trusted" : server.healthy ? "healthy" : "not available";
    const { rtt_ms, uplink_mbps, loss } = server.link ?? {};
    const link = [
      known(rtt_ms) ? `round trip ${number(rtt_ms, "ms")}` : null,
      known(uplink_mbps) ? `uplink ${number(uplink_mbps, "Mbit/s")}` : null,
      known(loss) && loss > 0 ? `loss ${percent(loss, 1)}` : null,
    ].filter(Boolean).join(", ");
    return element("li", {},
      element("span", { class: `tier ${server.tier === "local" ? "local" : "cloud"}` }, server.tier === "local" ? "board" : "cloud"),
      ` ${server.id}: ${state}`,
      link ? element("div", { class: "quiet" }, link) : null,
      server.problem ? element("div", { class: "alarm" }, server.problem) : null);
  }));
}
