// The current value of every metric, by node: value, age, sparkline. A tile opens the chart.

import { Component } from "preact";
import { useState } from "preact/hooks";
import { age, differingTags, groupOf, moment, titleOf, unitOf, valueText } from "./format";
import { Sparkline } from "./sparkline";
import type { Store } from "./store";
import type { Series } from "./types";

/** More tiles than this only on demand: drawing thousands four times a second would serve nobody. */
const SHOWN = 120;
const OLD_MS = 300_000;

interface TileProps {
  series: Series;
  title: string;
  ageText: string;
  old: boolean;
  chosen: boolean;
  onOpen: (id: number) => void;
}

/** Drawn again only if its value or its age's text changed. */
class Tile extends Component<TileProps> {
  override shouldComponentUpdate(next: TileProps): boolean {
    const { series, title, ageText, old, chosen } = this.props;
    return next.series !== series || next.title !== title || next.ageText !== ageText || next.old !== old || next.chosen !== chosen;
  }

  render({ series, title, ageText, old, chosen, onOpen }: TileProps) {
    return (
      <button
        type="button"
        class={`tile${old ? " old" : ""}`}
        aria-pressed={chosen}
        title={`${series.topic ?? `${series.measurement} ${title}`}\n${moment(series.time_ms)}`}
        data-testid={`tile-${series.topic ?? series.measurement}`}
        onClick={() => onOpen(series.id)}
      >
        <span class="name">{title}</span>
        <span class="value" key={series.count}>
          <b data-testid="value">{valueText(series)}</b> <i>{unitOf(series)}</i>
        </span>
        <Sparkline samples={series.samples} label={title} />
        <span class="age">{ageText}</span>
      </button>
    );
  }
}

export function Values({ store, chosen, onOpen }: { store: Store; chosen: number | null; onOpen: (id: number) => void }) {
  const [wanted, setWanted] = useState("");
  const [all, setAll] = useState(false);
  const nowMs = store.nowMs();
  const matching = [...store.series.values()].filter((series) => matches(series, wanted)).sort(byGroup);
  const shown = all ? matching : matching.slice(0, SHOWN);
  const differing = differingTags(shown);
  const groups = new Map<string, Series[]>();
  for (const series of shown) groups.set(groupOf(series), [...(groups.get(groupOf(series)) ?? []), series]);
  return (
    <section class="values" aria-labelledby="values">
      <div class="head">
        <h2 id="values">Now</h2>
        {store.series.size > 8 ? (
          <input
            type="search"
            placeholder="Filter, e.g. temperature"
            aria-label="Filter the values"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        ) : null}
      </div>
      {store.series.size === 0 ? <p class="empty">No value has come yet. They appear here with the first telemetry.</p> : null}
      {store.series.size > 0 && matching.length === 0 ? <p class="empty">Nothing matches “{wanted}”.</p> : null}
      {[...groups].map(([group, members]) => (
        <div class="group" key={group}>
          <h3>{group}</h3>
          <div class="tiles">
            {members.map((series) => {
              const old = nowMs - series.received_at_ms > OLD_MS;
              const text = age(nowMs - series.received_at_ms);
              const title = titleOf(series, differing.get(series.measurement));
              return <Tile key={series.id} series={series} title={title} ageText={text} old={old} chosen={series.id === chosen} onOpen={onOpen} />;
            })}
          </div>
        </div>
      ))}
      {matching.length > shown.length ? (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show all {matching.length}
        </button>
      ) : null}
      {store.valuesNotShown ? (
        <p class="note">There are more than {store.maxSeries} series; {store.valuesNotShown} values of further ones are not shown here. Sinks get all.</p>
      ) : null}
    </section>
  );
}

const ORDER = new Intl.Collator("en", { numeric: true });

/** Nodes in the order of their numbers; what is of their receiver comes last. Within a group as they came. */
function byGroup(a: Series, b: Series): number {
  const last = (series: Series) => Number(series.of_receiver);
  const point = (series: Series) => (series.field === "value" ? "" : `${series.measurement} ${Object.values(series.tags).join(" ")}`);
  return last(a) - last(b) || ORDER.compare(groupOf(a), groupOf(b)) || ORDER.compare(point(a), point(b)) || a.id - b.id;
}

function matches(series: Series, wanted: string): boolean {
  const text = `${series.topic ?? ""} ${series.measurement} ${Object.values(series.tags).join(" ")}`.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
