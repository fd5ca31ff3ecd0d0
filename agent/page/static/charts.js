// The two charts: answers by minute, and the kept accuracy against its floor.

import { by, known, percent, shape, write } from "./dom.js";

const WIDTH = 480, HEIGHT = 96, MINUTES = 60;

export function showShares(shares) {
  const last = shares.at(-1)[0];
  const bars = shares.filter(([minute]) => minute > last - 60 * MINUTES);
  const most = Math.max(...bars.map(([, board, cloud]) => board + cloud));
  const step = WIDTH / MINUTES;
  const shapes = bars.flatMap(([minute, board, cloud]) => {
    const x = WIDTH - step * (1 + (last - minute) / 60) + 1;
    const [high, above] = [(HEIGHT * board) / most, (HEIGHT * cloud) / most];
    return [
      shape("rect", { class: "board", x, y: HEIGHT - high, width: step - 2, height: high }),
      shape("rect", { class: "cloud", x, y: HEIGHT - high - above, width: step - 2, height: above }),
    ];
  });
  by("shares").replaceChildren(...shapes);
  const sum = (place) => bars.reduce((total, bar) => total + bar[place], 0);
  write("shares-text", `by minute, in the last hour: ${sum(1)} on the board, ${sum(2)} in the cloud`);
}

export function showAccuracy({ kept, floor }) {
  if (!kept || !known(floor)) {
    write("kept-text", `not known yet; the floor is ${percent(floor, 1)}`);
    return;
  }
  write("kept", percent(kept.estimate, 1));
  write("kept-text", `between ${percent(kept.low, 1)} and ${percent(kept.high, 1)}; the floor is ${percent(floor, 1)}`);
  const low = Math.min(kept.low, floor) - 0.02, high = Math.max(kept.high, floor, 1) + 0.01;
  const at = (share) => (WIDTH * (share - low)) / (high - low);
  by("accuracy").replaceChildren(
    shape("rect", { class: "axis", x: 0, y: 27, width: WIDTH, height: 2 }),
    shape("rect", { class: "interval", x: at(kept.low), y: 16, width: Math.max(2, at(kept.high) - at(kept.low)), height: 24 }),
    shape("rect", { class: "estimate", x: at(kept.estimate) - 2, y: 12, width: 4, height: 32 }),
    shape("rect", { class: "floor", x: at(floor) - 1, y: 4, width: 2, height: 48 }),
  );
}
