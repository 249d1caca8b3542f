// What the page knows, and the connection that keeps it so: it recovers by itself, and says since when it is cut off.

import { Refused, hasToken, readEvents } from "./api";
import type { Changes, Latest, Link, Sample, Series, Status, Value } from "./types";

/** The gateway says something every two seconds at the latest. */
const SILENCE_MS = 7000;
const RETRY_MS = [500, 1000, 2000, 4000];
const MAX_SAMPLES = 120;
const SAMPLE_STEP_MS = 1000;

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "offline"; sinceMs: number; why: string }
  | { state: "token"; wrong: boolean };

export class Store {
  connection: Connection = { state: "connecting" };
  status: Status | null = null;
  series = new Map<number, Series>();
  links = new Map<string, Link>();
  valuesNotShown = 0;
  framesLeftOut = 0;
  maxSeries = 0;

  private clockOffsetMs = 0;
  private tries = 0;
  private lastHeardMs = 0;
  private abort = new AbortController();
  private listeners = new Set<() => void>();

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The gateway's own time: that of the device which shows the page may be wrong. */
  nowMs(): number {
    return Date.now() + this.clockOffsetMs;
  }

  async run(): Promise<void> {
    setInterval(() => this.watch(), 1000);
    addEventListener("online", () => this.abort.abort());
    for (;;) {
      this.abort = new AbortController();
      let refused: unknown = null;
      try {
        this.lastHeardMs = Date.now();
        await readEvents("/api/v1/live", this.abort.signal, (name, data) => this.take(name, data));
      } catch (error) {
        refused = error;
      }
      this.lost(refused);
      if (this.connection.state === "token") await this.tokenGiven();
      else await this.pause(RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)] ?? 0);
    }
  }

  /** Try again at once. */
  retry = (): void => this.wake();

  private wake: () => void = () => {};

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private tokenGiven(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private lost(error: unknown): void {
    if (error instanceof Refused && error.status === 401) {
      this.connection = { state: "token", wrong: hasToken() };
    } else {
      const why = error instanceof Refused && error.status ? `${error.problem.message}; ${error.problem.remedy}` : "";
      const sinceMs = this.connection.state === "offline" ? this.connection.sinceMs : Date.now();
      this.connection = { state: "offline", sinceMs, why };
    }
    this.tell();
  }

  /** A connection that died without a word (a phone that slept, a cable) shows by its silence. */
  private watch(): void {
    if (this.connection.state === "live" && Date.now() - this.lastHeardMs > SILENCE_MS) this.abort.abort();
    this.tell();
  }

  private take(name: string, data: string): void {
    this.lastHeardMs = Date.now();
    if (name === "latest") this.takeLatest(JSON.parse(data) as Latest);
    else if (name === "changes") this.takeChanges(JSON.parse(data) as Changes);
    else if (name === "status") {
      this.status = JSON.parse(data) as Status;
      this.clockOffsetMs = this.status.now_ms - Date.now();
    }
    this.tell();
  }

  private takeLatest(latest: Latest): void {
    this.connection = { state: "live" };
    this.tries = 0;
    this.takeHead(latest);
    this.series = new Map(latest.series.map((series) => [series.id, series]));
    this.links = new Map(latest.links.map((link) => [keyOf(link), link]));
  }

  private takeChanges(changes: Changes): void {
    this.takeHead(changes);
    for (const series of changes.added) this.series.set(series.id, series);
    for (const value of changes.changed) {
      const known = this.series.get(value.id);
      if (known) this.series.set(value.id, { ...known, ...value, samples: added(known.samples, value) });
    }
    for (const link of changes.links) {
      const samples = this.links.get(keyOf(link))?.rssi_samples ?? [];
      const sample: Sample = [link.last_received_at_ms, Number(link.rssi_dbm)];
      const rssi_samples = link.rssi_dbm === null ? samples : pushed(samples, sample);
      this.links.set(keyOf(link), { ...link, rssi_samples });
    }
  }

  private takeHead(head: Latest | Changes): void {
    this.maxSeries = head.max_series;
    this.valuesNotShown = head.values_not_shown;
    this.framesLeftOut = head.frames_left_out;
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function keyOf(link: Link): string {
  return `${link.source} ${link.node}`;
}

function added(samples: Sample[], value: Value): Sample[] {
  if (value.kind === "text") return samples;
  return pushed(samples, [value.received_at_ms, value.kind === "bool" ? Number(value.value === "true") : Number(value.value)]);
}

/** As the gateway thins them: of samples within a second the last one stays. */
function pushed(samples: Sample[], sample: Sample): Sample[] {
  const before = samples[samples.length - 2];
  const last = samples[samples.length - 1];
  if (last && sample[0] <= last[0]) return samples;
  const replaces = last && sample[0] - (before?.[0] ?? Number.NEGATIVE_INFINITY) < 2 * SAMPLE_STEP_MS && sample[0] - last[0] < SAMPLE_STEP_MS;
  const kept = replaces ? samples.slice(0, -1) : samples.slice(-(MAX_SAMPLES - 1));
  return [...kept, sample];
}
