// What a device sends: the newest value of each of its series, live; of one that is silent, what is stored.

import { useEffect, useState } from "preact/hooks";
import { age, differingTags, moment, unitOf, valueText, words } from "../format";
import type { Store } from "../store";
import type { Series } from "../types";
import { call, type StoredValue } from "./calls";

/** What the registry adds to each point says nothing of one of them. */
const OF_DEVICE = new Set(["device_id", "device_name", "device_type", "location", "topic", "unit"]);
const SHOWN = 24;

interface Point {
  measurement: string;
  field: string;
  tags: Record<string, string>;
  text: string;
  atMs: number;
}

interface Shown {
  title: string;
  text: string;
  atMs: number;
}

export function Newest({ store, apiKey, deviceId, nowMs }: { store: Store; apiKey: string; deviceId: string; nowMs: number }) {
  const [stored, setStored] = useState<Point[] | null>(null);
  const live = [...store.series.values()].filter((series) => series.tags["device_id"] === deviceId);
  const isSilent = live.length === 0;
  useEffect(() => {
    if (!isSilent) return;
    const abort = new AbortController();
    call<{ latest_data: StoredValue[] | null }>(apiKey, "GET", `influxdb/device/${deviceId}/latest`, undefined, abort.signal)
      .then((found) => setStored((found.latest_data ?? []).map(ofStored)))
      // Without a database or a history there is nothing to ask; then nothing is shown.
      .catch(() => abort.signal.aborted || setStored([]));
    return () => abort.abort();
  }, [apiKey, deviceId, isSilent]);

  const shown = newestOf(isSilent ? (stored ?? []) : live.map(ofLive));
  return (
    <section aria-labelledby="device-values">
      <h4 id="device-values">
        Newest values {isSilent && shown.length ? <small>as stored</small> : null}
      </h4>
      {shown.length === 0 && (!isSilent || stored) ? <p class="empty">No value of it is known yet.</p> : null}
      <dl class="newest">
        {shown.slice(0, SHOWN).map(({ title, text, atMs }) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              <b>{text}</b>{" "}
              <span class="age" title={moment(atMs)}>
                {age(nowMs - atMs)}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      {shown.length > SHOWN ? <p class="note">{SHOWN} of {shown.length}.</p> : null}
    </section>
  );
}

function ofLive(series: Series): Point {
  return { ...series, text: `${valueText(series)} ${unitOf(series)}`.trim(), atMs: series.received_at_ms };
}

function ofStored({ time, measurement, device_id, field, value, ...tags }: StoredValue): Point {
  return { measurement, field, tags: tags as Record<string, string>, text: String(value), atMs: Date.parse(time) };
}

/** One entry for each thing that is measured: what came over HTTP and over MQTT is the same, and so is what came before the device moved. */
function newestOf(points: Point[]): Shown[] {
  const own = points.map((point) => ({ ...point, tags: Object.fromEntries(Object.entries(point.tags).filter(([name]) => !OF_DEVICE.has(name))) }));
  const differing = differingTags(own);
  const newest = new Map<string, Shown>();
  for (const { measurement, field, tags, text, atMs } of own) {
    const which = [...(differing.get(measurement) ?? [])].filter((name) => name in tags).map((name) => tags[name]);
    const what = field === "value" ? words(measurement) : `${words(measurement)} · ${words(field)}`;
    const title = which.length ? `${what} · ${which.join(", ")}` : what;
    const before = newest.get(title);
    if (!before || before.atMs < atMs) newest.set(title, { title, text, atMs });
  }
  return [...newest.values()].sort((a, b) => a.title.localeCompare(b.title));
}
