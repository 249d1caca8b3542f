// One metric over a chosen range, out of the history; without one, the samples that the page has seen.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, get } from "./api";
import { count, duration, groupOf, moment, titleOf, unitOf } from "./format";
import { type Line, Plot } from "./plot";
import type { Store } from "./store";
import type { Range, Series, StoredSeries } from "./types";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const RANGES: [string, number][] = [
  ["15 min", 15 * MINUTE],
  ["1 h", HOUR],
  ["6 h", 6 * HOUR],
  ["24 h", 24 * HOUR],
  ["7 d", 7 * 24 * HOUR],
  ["30 d", 30 * 24 * HOUR],
];
const AGGREGATES = ["mean", "min", "max"];
const MAX_LINES = 6;
const NO_HISTORY = new Refused(404, {
  error: "no_history",
  message: "no history is kept",
  remedy: "add a [history] section to the configuration and start the gateway again",
});

interface Window {
  lengthMs: number;
  /** null follows the present. */
  endMs: number | null;
}

interface Drawn {
  lines: Line[];
  rangeMs: [number, number];
  note: string;
}

export function Chart({ store, series, theme, onClose }: { store: Store; series: Series; theme: string; onClose: () => void }) {
  const [view, setView] = useState<Window>({ lengthMs: HOUR, endMs: null });
  const [agg, setAgg] = useState("mean");
  const [compare, setCompare] = useState(false);
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const [others, setOthers] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLElement>(null);
  const live = store.connection.state === "live";

  useEffect(() => panel.current?.scrollIntoView({ block: "nearest", behavior: "smooth" }), [series.id]);

  useEffect(() => {
    if (!live) return;
    const abort = new AbortController();
    const load = async () => {
      try {
        if (!isKept(store)) throw NO_HISTORY;
        const stored = (await get<{ series: StoredSeries[] }>("/api/v1/series", abort.signal)).series;
        const own = stored.find((candidate) => isSame(candidate, series));
        const alike = stored.filter((candidate) => candidate !== own && candidate.measurement === series.measurement && candidate.field === series.field);
        setOthers(alike.length);
        if (!own) throw new Refused(404, { error: "not_stored", message: "nothing of this metric is stored yet", remedy: "it is stored with its next value" });
        setDrawn(await ask([own, ...(compare ? alike.slice(0, MAX_LINES - 1) : [])], view, agg, store.nowMs(), abort.signal));
      } catch (error) {
        if (!abort.signal.aborted) setDrawn(ofSamples(series, view, store.nowMs(), error));
      }
    };
    void load();
    const timer = view.endMs === null ? setInterval(() => void load(), view.lengthMs <= HOUR ? 5000 : 30_000) : undefined;
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [series.id, view, agg, compare, live]);

  useEffect(() => {
    if (!place.current || !drawn) return;
    const zoom = (fromMs: number, toMs: number) => setView({ lengthMs: Math.max(1000, toMs - fromMs), endMs: toMs });
    const plot = new Plot(place.current, drawn.lines, unitOf(series), drawn.rangeMs, zoom);
    return () => plot.destroy();
  }, [drawn, theme]);

  const shift = (by: number) => setView({ ...view, endMs: (drawn?.rangeMs[1] ?? store.nowMs()) + by * view.lengthMs });
  const points = drawn?.lines[0]?.timesMs.length ?? 0;
  return (
    <section class="chart card" ref={panel} aria-labelledby="chart" data-testid="chart" data-points={points}>
      <div class="head">
        <h2 id="chart">
          {titleOf(series)} <small>{groupOf(series)}</small>
        </h2>
        <button type="button" class="quiet" aria-label="Close the chart" onClick={onClose}>
          ✕
        </button>
      </div>
      <div class="tools">
        <div class="choice" role="group" aria-label="Range">
          {RANGES.map(([label, lengthMs]) => (
            <button key={label} type="button" aria-pressed={view.lengthMs === lengthMs} onClick={() => setView({ lengthMs, endMs: null })}>
              {label}
            </button>
          ))}
        </div>
        <div class="choice" role="group" aria-label="Move">
          <button type="button" aria-label="Earlier" onClick={() => shift(-0.5)}>
            ‹
          </button>
          <button type="button" aria-pressed={view.endMs === null} onClick={() => setView({ ...view, endMs: null })}>
            Now
          </button>
          <button type="button" aria-label="Later" onClick={() => shift(0.5)}>
            ›
          </button>
        </div>
        <select aria-label="What is drawn of each step" value={agg} onChange={(event) => setAgg(event.currentTarget.value)}>
          {AGGREGATES.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {others ? (
          <label>
            <input type="checkbox" checked={compare} onChange={(event) => setCompare(event.currentTarget.checked)} /> Compare nodes
          </label>
        ) : null}
      </div>
      <div class="plot" ref={place} />
      <p class="note" data-testid="chart-note">
        {drawn ? drawn.note : "Asking the history."}
      </p>
    </section>
  );
}

function isKept(store: Store): boolean {
  return Object.values(store.status?.sinks ?? {}).some((sink) => sink.kind === "history" && sink.state !== "removed");
}

/** Series of the page and of the history have numbers of their own. */
function isSame(stored: StoredSeries, series: Series): boolean {
  if (series.topic !== null && stored.topic === series.topic) return true;
  const tags = Object.entries(series.tags);
  return (
    stored.measurement === series.measurement &&
    stored.field === series.field &&
    tags.length === Object.keys(stored.tags).length &&
    tags.every(([key, value]) => stored.tags[key] === value)
  );
}

async function ask(stored: StoredSeries[], view: Window, agg: string, nowMs: number, signal: AbortSignal): Promise<Drawn> {
  const newest = Math.max(...stored.map((series) => series.last_ms));
  // A recording of another day has nothing to show of the last hour: its newest points are.
  const stale = view.endMs === null && newest < nowMs - view.lengthMs;
  const endMs = Math.ceil(view.endMs ?? (stale ? newest + 1 : nowMs));
  // What was not stored yet is no reason for an empty half of a chart.
  const beganMs = Math.min(...stored.map((series) => series.first_ms));
  const earliestMs = view.endMs === null ? Math.min(beganMs, endMs - MINUTE) : Number.NEGATIVE_INFINITY;
  const startMs = Math.floor(Math.max(endMs - view.lengthMs, earliestMs));
  const ranges = await Promise.all(
    stored.map((series) => get<Range>(`/api/v1/range?id=${series.id}&start_ms=${startMs}&end_ms=${endMs}&agg=${agg}`, signal)),
  );
  const lines = ranges.map((range, at) => ({
    label: nameOf(stored[at] as StoredSeries),
    timesMs: range.times_ms,
    values: range.values,
  }));
  const every = (ranges[0]?.every_ms ?? 0) / 1000;
  const total = count(stored[0]?.points ?? 0);
  const which = stale ? `The newest points are of ${moment(newest)}. ` : "";
  const empty = ranges.every((range) => range.values.every((value) => value === null)) ? "Nothing is stored of this time. " : "";
  return { lines, rangeMs: [startMs, endMs], note: `${empty}${which}The ${agg} of every ${duration(every)}; ${total} points are stored. Drag to zoom.` };
}

function nameOf(series: StoredSeries): string {
  return series.tags["node"] ?? series.tags["device"] ?? series.topic ?? series.measurement;
}

function ofSamples(series: Series, view: Window, nowMs: number, error: unknown): Drawn {
  const why = error instanceof Refused ? `${error.problem.message}${error.problem.remedy ? `: ${error.problem.remedy}` : ""}` : "the history cannot be asked";
  const endMs = view.endMs ?? nowMs;
  const samples = series.samples;
  const line = { label: groupOf(series), timesMs: samples.map(([time]) => time), values: samples.map(([, value]) => value) };
  const from = Math.max(endMs - view.lengthMs, Math.min(samples[0]?.[0] ?? endMs - view.lengthMs, endMs - MINUTE));
  const text = why.charAt(0).toUpperCase() + why.slice(1);
  return { lines: [line], rangeMs: [from, endMs], note: `${text}. These are the last samples that came.` };
}
