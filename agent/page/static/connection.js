// Requests to the agent, with the token of this tab if there is one, and the stream of events.
//
// A browser cannot send a header when it opens a page or an EventSource, and a token in a URL would be in logs and
// in the history. So the page has no data, the token is in sessionStorage, and fetch sends it in a header.

const TOKEN = "inarvl-token";
const FIRST_PAUSE_MS = 1000, MAX_PAUSE_MS = 15000, SILENCE_MS = 45000, MAX_BUFFER = 4_000_000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;
export const setToken = (token) => sessionStorage.setItem(TOKEN, token);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

async function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin" });
  if (response.ok) return response;
  const content = await response.json().catch(() => ({}));
  throw new Refused(response.status, content.error?.message ?? `status ${response.status}`);
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// Calls receive(content) for each message until the token is refused; connects again after every other end.
export async function listen(receive, state) {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
    try {
      await readEvents((content) => {
        pause = FIRST_PAUSE_MS;
        receive(content);
      });
      state("Connection ended, trying again");
    } catch (error) {
      if (error instanceof Refused && [401, 403].includes(error.status)) throw error;
      state(error instanceof Refused ? error.message : "No connection to the agent, trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function readEvents(receive) {
  const stop = new AbortController();
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENCE_MS);
  };
  heard();
  try {
    const response = await request("events", { signal: stop.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      text += value;
      if (text.length > MAX_BUFFER) throw new Error("a message is too long");
      const messages = text.split("\n\n");
      text = messages.pop();
      for (const message of messages) if (message.startsWith("data: ")) receive(JSON.parse(message.slice(6)));
    }
  } finally {
    clearTimeout(silence);
    stop.abort();
  }
}
