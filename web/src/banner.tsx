// The one sentence: does data flow, and if not, where does it stop.

import { duration } from "./format";
import type { Store } from "./store";
import type { Status } from "./types";

export function headline({ state, text, stops }: Status["verdict"]): string {
  if (state === "flowing") return "Data flows";
  if (state === "waiting") return "Waiting for data";
  if (state === "stopped") return "Nothing comes in";
  const first = stops.find((stop) => stop.text === text);
  if (!first) return "Held up";
  return first.kind === "source" ? `${first.name} is silent` : `Held up at ${first.name}`;
}

const SIGNS = { flowing: "✓", waiting: "…", held: "!", stopped: "✕", offline: "✕", connecting: "…" };

export function Banner({ store }: { store: Store }) {
  const { connection, status } = store;
  if (connection.state === "offline") {
    const since = duration((Date.now() - connection.sinceMs) / 1000);
    return (
      <section class="banner offline" role="alert" data-testid="banner">
        <span class="sign">{SIGNS.offline}</span>
        <div>
          <h1>Offline</h1>
          <p>
            {connection.why ? `The gateway refuses: ${connection.why}.` : "The gateway does not answer."} What you see is {since} old. Trying again by
            itself.
          </p>
        </div>
        <button type="button" onClick={store.retry}>
          Try now
        </button>
      </section>
    );
  }
  if (!status || connection.state === "connecting") {
    return (
      <section class="banner connecting" data-testid="banner">
        <span class="sign">{SIGNS.connecting}</span>
        <div>
          <h1>Connecting</h1>
          <p>Asking the gateway.</p>
        </div>
      </section>
    );
  }
  const { state, text, stops } = status.verdict;
  const others = stops.filter((stop) => stop.text !== text);
  return (
    <section class={`banner ${state}`} role="status" data-testid="banner">
      <span class="sign">{SIGNS[state]}</span>
      <div>
        <h1>{headline(status.verdict)}</h1>
        <p>{text}</p>
        {others.map((stop) => (
          <p key={stop.name}>{stop.text}</p>
        ))}
      </div>
    </section>
  );
}
