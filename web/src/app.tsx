// The page: what stands where.

import { useEffect, useReducer, useState } from "preact/hooks";
import { Alerts } from "./alerts";
import { Banner, headline } from "./banner";
import { Chart } from "./chart";
import { Devices } from "./devices/section";
import { Flow } from "./flow";
import { count, duration } from "./format";
import { Ledger } from "./ledger";
import { Links } from "./links";
import { Rejects } from "./rejects";
import type { Store } from "./store";
import * as themes from "./theme";
import { TokenForm } from "./token";
import type { Status } from "./types";
import { Values } from "./values";

const PILL = { live: "Live", connecting: "Connecting", offline: "Offline", token: "Locked" };

/** A gateway whose registry of devices is on has their calls for a source. */
function hasDevices(status: Status): boolean {
  return Object.values(status.source).some((source) => source.kind === "devices");
}

export function App({ store }: { store: Store }) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [chosen, setChosen] = useState<number | null>(null);
  const [theme, setTheme] = useState(themes.current);
  useEffect(() => store.subscribe(() => redraw(0)), [store]);
  useEffect(() => themes.onSystemChange(() => setTheme(themes.current())), []);
  useEffect(() => themes.apply(theme), [theme]);

  const { connection, status } = store;
  const troubled = connection.state === "live" && status && status.verdict.state !== "flowing";
  const title = connection.state === "offline" ? "Offline – iiot-gateway" : troubled ? `${headline(status.verdict)} – iiot-gateway` : "iiot-gateway";
  useEffect(() => {
    document.title = title;
  }, [title]);
  const state = connection.state;
  const series = chosen === null ? undefined : store.series.get(chosen);
  const nowMs = store.nowMs();
  const turn = () => {
    const next = theme === "dark" ? "light" : "dark";
    themes.choose(next);
    setTheme(next);
  };
  return (
    <>
      <header class="top">
        <img src="favicon.svg" alt="" width="28" height="28" />
        <strong>iiot-gateway</strong>
        {status ? <span class="version">{status.gateway.version}</span> : null}
        <span class={`pill ${state}`} data-testid="connection">
          {PILL[state]}
        </span>
        <button type="button" class="quiet" onClick={turn} aria-label={theme === "dark" ? "Light colours" : "Dark colours"}>
          {theme === "dark" ? "☀" : "☾"}
        </button>
      </header>
      <main class={state === "offline" ? "stale" : ""}>
        {state === "token" ? (
          <TokenForm wrong={connection.state === "token" && connection.wrong} onGiven={store.retry} />
        ) : (
          <>
            <Banner store={store} />
            {status ? <Flow status={status} nowMs={nowMs} live={state === "live"} /> : null}
            {status ? <Alerts status={status} nowMs={nowMs} /> : null}
            {status && hasDevices(status) ? <Devices store={store} /> : null}
            {series ? <Chart key={series.id} store={store} series={series} theme={theme} onClose={() => setChosen(null)} /> : null}
            <Values store={store} chosen={chosen} onOpen={(id) => setChosen(id === chosen ? null : id)} />
            <Links links={[...store.links.values()]} nowMs={nowMs} />
            {status ? (
              <div class="pair">
                <Ledger status={status} />
                <Rejects status={status} nowMs={nowMs} />
              </div>
            ) : null}
          </>
        )}
      </main>
      <footer>
        {status ? <span>Up {duration(status.gateway.uptime_s)}, process {status.gateway.pid}</span> : null}
        {store.framesLeftOut ? <span>{count(store.framesLeftOut)} frames came faster than this page looks; sinks have had them.</span> : null}
        <a href="api/v1/openapi.json">API</a>
        <a href="licences.txt">Licences</a>
      </footer>
    </>
  );
}
