// The device API: its documents, its calls, and the key of whoever looks, which stays in this tab.

import { Refused, refusal } from "../api";

const KEY = "iiot-gateway-devices-key";

export function storedKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function keepKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** A key names its kind; the gateway decides all the same. */
export function isAdministrator(key: string): boolean {
  return key.startsWith("iiota_");
}

/** Times are Unix seconds. */
export interface Device {
  id: string;
  name: string;
  device_type: string;
  location: string | null;
  firmware_version: string | null;
  hardware_version: string | null;
  state: string;
  tags: Record<string, string>;
  user_name: string | null;
  created_at: number;
  last_seen: number | null;
  configuration_version: number;
  presence: string;
}

export interface Configuration {
  configuration: Record<string, unknown>;
  version: number;
}

export interface Command {
  id: number;
  type: string;
  payload: unknown;
  state: string;
  created_at: number;
  expires_at: number;
  sent_at: number | null;
  acknowledged_at: number | null;
}

/** Its tags stand beside these. */
export interface StoredValue {
  time: string;
  device_id: string;
  measurement: string;
  field: string;
  value: unknown;
}

/** Make a call with a key; `body` is JSON as text. */
export async function call<T>(key: string, method: string, path: string, body?: string, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { "x-api-key": key };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, { method, headers, body: body ?? null, signal: signal ?? null, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, { error: "offline", message: "the gateway does not answer", remedy: "" });
  }
  if (!response.ok) throw await refusal(response);
  return response.json() as Promise<T>;
}
