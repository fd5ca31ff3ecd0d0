// Makes elements and texts. Everything that comes from outside enters the document here, by textContent.

export const by = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return made;
}

export function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

// Sets a text only if it differs, so that a screen reader does not read it again.
export function write(id, text) {
  const target = by(id);
  if (target.textContent !== text) target.textContent = text;
}

export const known = (value) => typeof value === "number" && Number.isFinite(value);

export function percent(share, digits = 0) {
  return known(share) ? `${(100 * share).toFixed(digits)}%` : "–";
}

export function number(value, unit = "") {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4;
  return `${value.toFixed(digits)}${unit && ` ${unit}`}`;
}

export function clock(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
