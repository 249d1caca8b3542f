// uPlot in the page's colours, as wide as its place.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  label: string;
  timesMs: number[];
  values: (number | null)[];
}

const HEIGHT = 260;
/** A line is broken where points are this many times as far apart as usual. */
const GAP = 6;
const DAY_MS = 86_400_000;

export class Plot {
  private readonly plot: uPlot;
  private readonly observer: ResizeObserver;

  constructor(
    place: HTMLElement,
    lines: Line[],
    private readonly unit: string,
    rangeMs: [number, number],
    onZoom: (fromMs: number, toMs: number) => void,
  ) {
    const style = getComputedStyle(place);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui" };
    this.plot = new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        ms: 1,
        scales: { x: { range: () => rangeMs }, y: { range: (_plot, low, high) => padded(low, high) } },
        axes: [{ ...axis, values: (_plot, ticks, _axis, _space, step) => ticks.map((tick, at) => clock(tick, ticks[at - 1], step)) }, { ...axis, size: 64, values: (_plot, ticks) => ticks.map((tick) => `${+tick.toPrecision(6)}`) }],
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
        hooks: {
          setSelect: [
            (plot) => {
              if (plot.select.width > 4) onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
            },
          ],
        },
        series: [
          { value: (_plot, ms) => (ms === null ? "–" : new Date(ms).toLocaleString()) },
          ...lines.map((line, at) => ({
            label: line.label,
            stroke: colour(`--series-${at % 6}`),
            width: 2,
            points: { show: line.timesMs.length < 80, size: 5 },
            value: (_plot: uPlot, value: number | null) => (value === null ? "–" : `${+value.toPrecision(6)} ${this.unit}`),
          })),
        ],
      },
      joined(lines),
      place,
    );
    this.observer = new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: HEIGHT }));
    this.observer.observe(place);
  }

  destroy(): void {
    this.observer.disconnect();
    this.plot.destroy();
  }
}

/** A tick of the time axis: 24 hours, and the day where it begins. */
function clock(ms: number, before: number | undefined, stepMs: number): string {
  const time = new Date(ms);
  const day = time.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  if (stepMs >= DAY_MS) return day;
  const seconds = stepMs < 60_000 ? ({ second: "2-digit" } as const) : {};
  const text = time.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hour12: false, ...seconds });
  return before === undefined || new Date(before).getDate() !== time.getDate() ? `${text}\n${day}` : text;
}

function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const pad = (high - low || Math.abs(high) * 0.1 || 1) * 0.1;
  return [low - pad, high + pad];
}

/** All lines over one row of times. Steps without a value are left out, so that sparse points make a line; long pauses break it. */
function joined(lines: Line[]): uPlot.AlignedData {
  const tables = lines.map(({ timesMs, values }): uPlot.AlignedData => {
    const times: number[] = [];
    const kept: (number | null)[] = [];
    const there = timesMs.flatMap((time, at) => (values[at] === null ? [] : [[time, values[at] as number] as const]));
    const steps = there.slice(1).map(([time], at) => time - (there[at]?.[0] ?? time));
    const usual = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
    for (const [at, [time, value]] of there.entries()) {
      const pause = at > 0 ? (steps[at - 1] ?? 0) : 0;
      if (pause > GAP * usual && pause > 60_000) {
        times.push(time - pause / 2);
        kept.push(null);
      }
      times.push(time);
      kept.push(value);
    }
    return [times, kept];
  });
  return tables.length ? uPlot.join(tables, tables.map(() => [0, 1])) : [[]];
}
