// The way of the data: sources, journal, sinks, each with what it does now, and the place where it stops.

import type { ComponentChildren } from "preact";
import { age, bytes, count, duration, rate, room } from "./format";
import type { Sink, Source, Status } from "./types";

/** What sources call their work. */
const WORKING = new Set(["running", "subscribed", "listening"]);

interface Card {
  name: string;
  kind: string;
  state: string;
  mood: "good" | "idle" | "bad";
  children: ComponentChildren;
}

function Box({ name, kind, state, mood, children }: Card) {
  return (
    <article class={`box ${mood}`} data-testid={`box-${name}`}>
      <header>
        <span class="dot" aria-hidden="true" />
        <h3>{name}</h3>
        {kind && kind !== name ? <span class="kind">{kind}</span> : null}
      </header>
      <p class="state">{state}</p>
      {children}
    </article>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function SourceBox({ name, source, nowMs, mood }: { name: string; source: Source; nowMs: number; mood: Card["mood"] }) {
  const last = source.last_document_at;
  return (
    <Box name={name} kind={source.kind} state={words(source.state)} mood={mood}>
      {source.detail ? <p class={mood === "bad" ? "detail error" : "detail"}>{source.detail}</p> : null}
      <dl>
        <Figure label="last telemetry" value={last === null ? "none yet" : age(nowMs - last * 1000)} />
        <Figure label="documents" value={count(source.documents)} />
        {source.restarts ? <Figure label="restarts" value={count(source.restarts)} /> : null}
      </dl>
    </Box>
  );
}

function SinkBox({ name, sink, nowMs, mood }: { name: string; sink: Sink; nowMs: number; mood: Card["mood"] }) {
  const behind = sink.oldest_queued_at_ms === null ? 0 : (nowMs - sink.oldest_queued_at_ms) / 1000;
  return (
    <Box name={name} kind={sink.kind ?? ""} state={words(sink.state)} mood={mood}>
      {mood === "bad" && sink.last_error ? <p class="detail error">{sink.last_error}</p> : null}
      <dl>
        <Figure label="delivered" value={count(sink.delivered)} />
        <Figure label="waiting" value={count(sink.queued)} />
        <Figure label="behind" value={behind < 2 ? "no" : duration(behind)} />
        {sink.rejected ? <Figure label="rejected" value={count(sink.rejected)} /> : null}
        {sink.dropped ? <Figure label="dropped" value={count(sink.dropped)} /> : null}
      </dl>
    </Box>
  );
}

function Arrow({ broken, moving }: { broken: boolean; moving: boolean }) {
  return (
    <div class={`arrow ${broken ? "broken" : moving ? "moving" : ""}`} aria-hidden="true">
      <span />
    </div>
  );
}

export function Flow({ status, nowMs, live }: { status: Status; nowMs: number; live: boolean }) {
  const stopped = (kind: string, name: string) => status.verdict.stops.some((stop) => stop.kind === kind && stop.name === name);
  const mood = (kind: string, name: string, works: boolean): Card["mood"] => (stopped(kind, name) ? "bad" : works ? "good" : "idle");
  const sources = Object.entries(status.source);
  const sinks = Object.entries(status.sinks).filter(([, sink]) => sink.state !== "removed");
  const { journal } = status;
  const moving = live && (status.verdict.state === "flowing" || (status.verdict.state === "held" && status.gateway.frames_per_s > 0));
  const full = Math.min(1, journal.bytes / Math.max(1, journal.max_bytes));
  return (
    <section class="flow" aria-label="The way of the data">
      <div class="column">
        <h2>Sources</h2>
        {sources.map(([name, source]) => (
          <SourceBox key={name} name={name} source={source} nowMs={nowMs} mood={mood("source", name, WORKING.has(source.state))} />
        ))}
        {sources.length ? null : <p class="empty">No source is configured.</p>}
      </div>
      <Arrow broken={sources.length === 0 || sources.every(([name]) => stopped("source", name))} moving={moving} />
      <div class="column">
        <h2>Journal</h2>
        <Box name="journal" kind="" state={journal.stalled ? "Stalled" : "On disk"} mood={journal.stalled ? "bad" : "good"}>
          {journal.stalled ? <p class="detail error">{journal.stalled}</p> : null}
          <dl>
            <Figure label="coming in" value={rate(status.gateway.frames_per_s)} />
            <Figure label="room for an outage" value={journal.hours_left === null ? "–" : room(journal.hours_left)} />
            <Figure label="used" value={`${bytes(journal.bytes)} of ${bytes(journal.max_bytes)}`} />
          </dl>
          <meter min={0} max={1} high={0.8} value={full} aria-label="How full the journal is" />
        </Box>
      </div>
      <Arrow broken={sinks.length === 0 || sinks.every(([name]) => stopped("sink", name))} moving={moving} />
      <div class="column">
        <h2>Sinks</h2>
        {sinks.map(([name, sink]) => (
          <SinkBox key={name} name={name} sink={sink} nowMs={nowMs} mood={mood("sink", name, sink.state === "connected")} />
        ))}
        {sinks.length ? null : <p class="empty">No sink is configured; frames stay in the journal.</p>}
      </div>
    </section>
  );
}

function words(state: string): string {
  const text = state.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
