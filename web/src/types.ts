// The documents of /api/v1/, as openapi.json describes them.

export type Sample = [timeMs: number, value: number];

export interface Value {
  id: number;
  value: string;
  kind: "number" | "bool" | "text";
  time_ms: number;
  received_at_ms: number;
  count: number;
}

export interface Series extends Value {
  topic: string | null;
  measurement: string;
  field: string;
  tags: Record<string, string>;
  unit: string | null;
  source: string;
  of_receiver: boolean;
  samples: Sample[];
}

export interface Link {
  source: string;
  node: string;
  rssi_dbm: string | null;
  snr_db: string | null;
  received: number;
  duplicate: number;
  lost_on_air: number;
  last_received_at_ms: number;
  rssi_samples?: Sample[];
}

interface Head {
  version: number;
  max_series: number;
  values_not_shown: number;
  frames_left_out: number;
}

export interface Latest extends Head {
  series: Series[];
  links: Link[];
}

export interface Changes extends Head {
  added: Series[];
  changed: Value[];
  links: Link[];
}

export type VerdictState = "flowing" | "waiting" | "held" | "stopped";

export interface Stop {
  kind: "source" | "journal" | "sink";
  name: string;
  text: string;
}

export interface Sink {
  kind?: string;
  state: string;
  last_error: string | null;
  accepted: number;
  delivered: number;
  queued: number;
  rejected: number;
  dropped: number;
  superseded: number;
  oldest_queued_at_ms: number | null;
  /** Of the sink of alerts; each changes when something of them does. */
  version?: number;
  changes_waiting?: Record<string, number>;
  notifications_sent?: Record<string, number>;
  attempts_failed?: Record<string, number>;
  receiver_errors?: Record<string, string>;
}

export interface Alert {
  state: "pending" | "firing";
  id: string | null;
  labels: Record<string, string>;
  value: string;
  text: string;
  since_ms: number;
}

export interface AlertRule {
  name: string;
  severity: "warning" | "critical";
  state: "quiet" | "pending" | "firing";
  series: number;
  firing: number;
  pending: number;
  receivers: string[];
  alerts: Alert[];
}

export interface AlertReceiver {
  waiting: number;
  oldest_ms: number | null;
  sent: number;
  failed: number;
  coalesced: number;
  expired: number;
  dropped: number;
  last_error: string | null;
}

export interface Alerts {
  rules: AlertRule[];
  receivers: Record<string, AlertReceiver>;
}

export interface Source {
  kind: string;
  state: string;
  detail: string;
  documents: number;
  bytes: number;
  restarts: number;
  last_document_at: number | null;
}

export interface Status {
  gateway: { version: string; pid: number; uptime_s: number; frames_per_s: number };
  intake: { received: number; accepted: number; duplicate: number; rejected: number; lost_on_air: number; ignored: number; reject_reasons: Record<string, number> };
  sinks: Record<string, Sink>;
  journal: { bytes: number; max_bytes: number; frames: number; bytes_per_s: number; hours_left: number | null; rejects: number; stalled: string | null };
  source: Record<string, Source>;
  verdict: { state: VerdictState; text: string; stops: Stop[] };
  now_ms: number;
}

export interface Reject {
  id: number;
  at_ms: number;
  sink: string | null;
  source: string;
  kind: "document" | "value" | "sink";
  reason: string;
  place: string;
  excerpt: string;
}

export interface StoredSeries {
  id: number;
  topic: string | null;
  measurement: string;
  tags: Record<string, string>;
  field: string;
  first_ms: number;
  last_ms: number;
  points: number;
}

export interface Range {
  id: number;
  agg: string;
  every_ms: number;
  times_ms: number[];
  values: (number | null)[];
}

export interface Problem {
  error: string;
  message: string;
  remedy: string;
}
