// Asking the gateway: the token, errors that say what to do, and server-sent events over fetch (EventSource cannot send a token).

import type { Problem } from "./types";

const TOKEN = "iiot-gateway-token";

export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

function headers(): HeadersInit {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** What the gateway answered instead of what was asked; `status` 0 means that it did not answer. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
  }
}

export async function refusal(response: Response): Promise<Refused> {
  const fallback = { error: "http", message: `the gateway answered ${response.status}`, remedy: "" };
  return new Refused(response.status, await response.json().catch(() => fallback));
}

async function open(path: string, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { headers: headers(), signal, cache: "no-store" });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused(0, { error: "offline", message: "the gateway does not answer", remedy: "" });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await open(path, signal)).json() as Promise<T>;
}

/** Read server-sent events until the stream ends. */
export async function readEvents(path: string, signal: AbortSignal, on: (name: string, data: string) => void): Promise<void> {
  const body = (await open(path, signal)).body;
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (held + value).split("\n\n");
    held = blocks.pop() ?? "";
    for (const block of blocks) {
      const [first = "", second = ""] = block.split("\n");
      on(first.replace("event: ", ""), second.replace("data: ", ""));
    }
  }
}
