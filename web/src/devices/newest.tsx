// What a device sends: the newest value of each of its series, live; of one that is silent, what is stored.

import { useEffect, useState } from "preact/hooks";
import { age, differingTags, moment, titleOf, unitOf, valueText, words } from "../format";
import type { Store } from "../store";
import type { Series } from "../types";
import { call, type StoredValue } from "./calls";

/** What the registry adds to each point says nothing of one of them. */
const OF_DEVICE = new Set(["device_id", "device_name", "device_type", "location", "topic"]);
const SHOWN = 24;

interface Shown {
  id: string;
  title: string;
  text: string;
  atMs: number;
}

export function Newest({ store, apiKey, deviceId, nowMs }: { store: Store; apiKey: string; deviceId: string; nowMs: number }) {
  const [stored, setStored] = useState<Shown[] | null>(null);
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

  const shown = isSilent ? (stored ?? []) : ofLive(live);
  return (
    <section aria-labelledby="device-values">
      <h4 id="device-values">
        Newest values {isSilent && shown.length ? <small>as stored</small> : null}
      </h4>
      {shown.length === 0 && (!isSilent || stored) ? <p class="empty">No value of it is known yet.</p> : null}
      <dl class="newest">
        {shown.slice(0, SHOWN).map(({ id, title, text, atMs }) => (
          <div key={id}>
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

function ofLive(live: Series[]): Shown[] {
  const bare = live.map((series) => ({ ...series, tags: Object.fromEntries(Object.entries(series.tags).filter(([key]) => !OF_DEVICE.has(key))) }));
  const differing = differingTags(bare);
  return bare
    .map((series) => ({
      id: String(series.id),
      title: series.measurement === "status" ? `Status · ${titleOf(series, differing.get("status"))}` : titleOf(series, differing.get(series.measurement)),
      text: `${valueText(series)} ${unitOf(series)}`.trim(),
      atMs: series.received_at_ms,
    }))
    .sort((a, b) => a.title.localeCompare(b.title));
}

function ofStored({ time, measurement, field, value }: StoredValue): Shown {
  const title = field === "value" ? words(measurement) : `${words(measurement)} · ${words(field)}`;
  return { id: `${measurement} ${field}`, title, text: String(value), atMs: Date.parse(time) };
}
