// Numbers, times and names for people.

import type { Series } from "./types";

const UNITS: Record<string, string> = {
  celsius: "°C",
  percent: "%",
  hpa: "hPa",
  ohms: "Ω",
  millivolts: "mV",
  volts: "V",
  dbm: "dBm",
  db: "dB",
  lux: "lx",
  seconds: "s",
};

const ACRONYMS: Record<string, string> = { rssi: "RSSI", snr: "SNR", crc: "CRC", co2: "CO₂" };

export function unitOf(series: Series): string {
  return series.unit ? (UNITS[series.unit] ?? series.unit) : "";
}

export function words(name: string): string {
  const text = name
    .split("_")
    .map((word) => ACRONYMS[word] ?? word)
    .join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Tags that say whose value it is, or in what unit, and are shown elsewhere. */
const SHOWN_ELSEWHERE = new Set(["node", "device", "device_id", "unit"]);

/** The metric's name: its measurement, or the last level of its topic. Of a point with several fields it is the field, with those tags in which
 * the points differ. */
export function titleOf(series: Series, differing?: Set<string>): string {
  if (!series.field || series.field === "value") return words(series.measurement || series.topic?.split("/").pop() || "value");
  const tags = Object.entries(series.tags).filter(([key]) => !SHOWN_ELSEWHERE.has(key) && (differing?.has(key) ?? true));
  const which = tags.map(([key, value]) => (value.length < 3 ? `${key} ${value}` : value)).join(", ");
  return which ? `${words(series.field)} · ${which}` : words(series.field);
}

/** The tags in which the points of each measurement differ. */
export function differingTags(all: Pick<Series, "measurement" | "tags">[]): Map<string, Set<string>> {
  const seen = new Map<string, Map<string, string>>();
  const differing = new Map<string, Set<string>>();
  for (const { measurement, tags } of all) {
    const first = seen.get(measurement) ?? new Map<string, string>();
    const found = differing.get(measurement) ?? new Set<string>();
    seen.set(measurement, first);
    differing.set(measurement, found);
    for (const [key, value] of Object.entries(tags)) {
      if ((first.get(key) ?? value) !== value) found.add(key);
      first.set(key, value);
    }
  }
  return differing;
}

/** What the metric belongs to: its node, else the level of the topic before the last. */
export function groupOf(series: Series): string {
  return series.tags["node"] ?? series.tags["device"] ?? series.tags["device_id"] ?? series.topic?.split("/").slice(-2)[0] ?? series.source;
}

/** Groups thousands of long whole numbers; a number is otherwise shown as it came. */
export function valueText(series: Series): string {
  if (series.kind === "number" && /^-?\d{5,15}$/.test(series.value)) return count(Number(series.value));
  return series.value;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US").replaceAll(",", "\u202f");
}

export function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return "0 /s";
  return perSecond < 1 ? `${(perSecond * 60).toFixed(1)} /min` : `${perSecond < 10 ? perSecond.toFixed(1) : count(perSecond)} /s`;
}

export function duration(seconds: number): string {
  const steps: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  for (const [length, unit] of steps) if (seconds >= length) return `${count(Math.floor(seconds / length))} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/** How long the journal's room lasts. */
export function room(hours: number): string {
  if (hours >= 24 * 365) return "more than a year";
  return hours >= 48 ? `${count(hours / 24)} days` : hours >= 1 ? `${count(hours)} h` : `${count(hours * 60)} min`;
}

export function age(ms: number): string {
  return ms < 1500 ? "now" : `${duration(ms / 1000)} ago`;
}

export function moment(ms: number): string {
  return new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
