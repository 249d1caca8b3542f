// The last samples of a series as a small line, scaled to itself.

import type { Sample } from "./types";

const WIDTH = 120;
const HEIGHT = 28;
const PAD = 3;

export function Sparkline({ samples, label }: { samples: Sample[]; label: string }) {
  const first = samples[0];
  const last = samples[samples.length - 1];
  if (!first || !last || samples.length < 2) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const [, value] of samples) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = last[0] - first[0] || 1;
  const x = (time: number) => ((time - first[0]) / span) * (WIDTH - 2 * PAD) + PAD;
  // A constant value is a line in the middle.
  const y = (value: number) => (high > low ? HEIGHT - PAD - ((value - low) / (high - low)) * (HEIGHT - 2 * PAD) : HEIGHT / 2);
  const points = samples.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
  const area = `${PAD},${HEIGHT} ${points.join(" ")} ${x(last[0]).toFixed(1)},${HEIGHT}`;
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${label}: from ${low} to ${high}`}>
      <polygon points={area} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}
